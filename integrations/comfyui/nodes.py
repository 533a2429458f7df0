"""Nodes: styles are made, mixed and learned; pictures and the frames of films are painted in them.

IMAGE is (B, H, W, C), floats in [0, 1], MASK (B, H, W); a style is a wire of its own, of the type IMPASTO_STYLE.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from comfy_api.latest import ComfyExtension, io

import impasto
from impasto.media.images import Picture, write_picture
from impasto.storage.library import Library
from impasto.storage.registry import bundled, cache_folder

CATEGORY = "image/impasto"
QUALITY = ["auto", "draft", "fine", "best"]
COLORS = ["painting", "luma", "coral"]


@dataclass(frozen=True)
class Styles:
    """What runs along a wire: names or files of styles, with a weight each."""

    names: tuple[str, ...]
    weights: tuple[float, ...]


STYLE = io.Custom("IMPASTO_STYLE")


def names() -> list[str]:
    """The styles that there are by name: those of the user's library first."""
    return [*Library().names(), *bundled("style")]


def kept(image: torch.Tensor) -> str:
    """The file of a picture (B, H, W, C), the first of its batch: the library takes styles as files."""
    pixels = image[0, ..., :3].detach().float().cpu().permute(2, 0, 1).contiguous()
    digest = hashlib.sha256(pixels.mul(255).round().byte().numpy().tobytes() + str(tuple(pixels.shape)).encode()).hexdigest()[:16]
    path = cache_folder() / "comfyui" / f"painting-{digest}.png"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_picture(Picture(pixels), path)
    return str(path)


def progress(event: impasto.Event) -> None:
    """Show how far the work is, and stop it where the user wants that."""
    try:
        from comfy.model_management import throw_exception_if_processing_interrupted
        from comfy.utils import ProgressBar
        from comfy_execution.utils import get_executing_context
    except ImportError:  # an older program, or none
        return
    throw_exception_if_processing_interrupted()
    if get_executing_context() is not None and event.total:
        ProgressBar(event.total).update_absolute(event.step, event.total)


def stylizer(style: Styles, controls: impasto.Controls, *, films: bool = False) -> Any:
    """What paints, in the styles of a wire."""
    weights = list(style.weights) if len(style.names) > 1 else None
    return impasto.load_style(*style.names, weights=weights, controls=controls, films=films, listener=progress)


def painted(paint: Any, images: torch.Tensor, *, stream: bool) -> Iterator[torch.Tensor]:
    """Pictures (B, H, W, C) one by one, as (H, W, C); with `stream` as the frames of one film, which the stylizer may remember."""
    frames = (image[..., :3].float().cpu().permute(2, 0, 1).contiguous() for image in images)
    results = paint.stream(frames) if stream and hasattr(paint, "stream") else (paint(frame[None])[0] for frame in frames)
    for result in results:
        yield result.detach().float().cpu().permute(1, 2, 0).clamp(0, 1)


def within(images: torch.Tensor, results: Sequence[torch.Tensor], mask: torch.Tensor | None, color: str) -> torch.Tensor:
    """The painted pictures, in the photo's colours if that is wanted, and where the mask (B, H, W) lets them."""
    photos, pictures = images[..., :3].float().cpu(), torch.stack(list(results))
    if color != COLORS[0]:
        from impasto.media.color import keep_color

        pairs = zip(pictures.permute(0, 3, 1, 2), photos.permute(0, 3, 1, 2), strict=True)
        pictures = torch.stack([keep_color(color, picture, photo) for picture, photo in pairs]).permute(0, 2, 3, 1)
    if mask is None:
        return pictures
    share = torch.nn.functional.interpolate(mask[:, None].float().cpu(), size=photos.shape[1:3], mode="bilinear", align_corners=False)
    return torch.lerp(photos, pictures, share.permute(0, 2, 3, 1).clamp(0, 1))


class Style(io.ComfyNode):
    """A style by its name."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What the node shows."""
        return io.Schema(
            node_id="ImpastoStyle", display_name="Style (Impasto)", category=CATEGORY, description="A learned style, bundled or your own.",
            inputs=[io.Combo.Input("style", options=names())], outputs=[STYLE.Output(display_name="style")],
        )  # fmt: skip

    @classmethod
    def execute(cls, style: str) -> io.NodeOutput:
        """The style."""
        return io.NodeOutput(Styles((style,), (1.0,)))


class StyleFromPicture(io.ComfyNode):
    """A painting as style, without learning."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What the node shows."""
        return io.Schema(
            node_id="ImpastoStyleFromPicture", display_name="Style from picture (Impasto)", category=CATEGORY,
            description="Any painting as a style, at once; learn it for films, or to paint faster.",
            inputs=[io.Image.Input("painting")], outputs=[STYLE.Output(display_name="style")],
        )  # fmt: skip

    @classmethod
    def execute(cls, painting: torch.Tensor) -> io.NodeOutput:
        """The style."""
        return io.NodeOutput(Styles((kept(painting),), (1.0,)))


class LearnStyle(io.ComfyNode):
    """A painting, learned into the user's library."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What the node shows."""
        return io.Schema(
            node_id="ImpastoLearnStyle", display_name="Learn style (Impasto)", category=CATEGORY,
            description="Learns a painting once; afterwards it is a style by its name, here and everywhere else.",
            inputs=[
                io.Image.Input("painting"), io.String.Input("name", default="my style"),
                io.Combo.Input("purpose", options=["photos", "films", "live"]), io.Int.Input("steps", default=0, min=0, max=20_000),
            ],
            outputs=[STYLE.Output(display_name="style")],
        )  # fmt: skip

    @classmethod
    def execute(cls, painting: torch.Tensor, name: str, purpose: str = "photos", steps: int = 0) -> io.NodeOutput:
        """The style; one that was learned before, from the same painting in the same way, comes out of the cache."""
        options: dict[str, Any] = {"photos": {}, "films": {"film": True}, "live": {"live": True}}[purpose] | (
            {"steps": steps} if steps else {}
        )
        library = Library()
        target = library.file(name) if name in library else library.free(name)
        written = impasto.adapt(kept(painting), target, name=name, controls=impasto.Controls(options=options), listener=progress)
        return io.NodeOutput(Styles((str(written),), (1.0,)))


class MixStyles(io.ComfyNode):
    """A style between two others."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What the node shows."""
        return io.Schema(
            node_id="ImpastoMixStyles", display_name="Mix styles (Impasto)", category=CATEGORY, description="A style between two others.",
            inputs=[
                STYLE.Input("first"), STYLE.Input("second"),
                io.Float.Input("share", default=0.5, min=0.0, max=1.0, step=0.05, tooltip="Of the second."),
            ],
            outputs=[STYLE.Output(display_name="style")],
        )  # fmt: skip

    @classmethod
    def execute(cls, first: Styles, second: Styles, share: float = 0.5) -> io.NodeOutput:
        """Both, with their weights brought to a sum of 1."""
        weights: list[float] = []
        for style, part in ((first, 1 - share), (second, share)):
            weights += [part * weight / (sum(style.weights) or 1) for weight in style.weights]
        return io.NodeOutput(Styles(first.names + second.names, tuple(weights)))


class Stylize(io.ComfyNode):
    """Pictures in a style, each by itself."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What the node shows."""
        return io.Schema(
            node_id="ImpastoStylize", display_name="Stylize (Impasto)", category=CATEGORY,
            description="Paints pictures in a style; a mask says where.",
            inputs=[
                io.Image.Input("image"), STYLE.Input("style"), io.Combo.Input("quality", options=QUALITY),
                io.Float.Input("strength", default=1.0, min=0.0, max=1.0, step=0.05),
                io.Float.Input("stroke", default=1.0, min=0.25, max=4.0, step=0.05), io.Combo.Input("colors", options=COLORS),
                io.Mask.Input("mask", optional=True),
            ],
            outputs=[io.Image.Output(display_name="image")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, image: torch.Tensor, style: Styles, quality: str = "auto", strength: float = 1.0, stroke: float = 1.0, colors: str = COLORS[0],
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:  # fmt: skip
        """The painted pictures, (B, H, W, 3)."""
        wanted = impasto.Controls(
            quality="fine" if quality == "auto" else quality, strength=strength, stroke=None if stroke == 1 else stroke
        )
        return io.NodeOutput(within(image, list(painted(stylizer(style, wanted), image, stream=False)), mask, colors))


class StylizeVideo(io.ComfyNode):
    """The frames of a film in a style, stable over time."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What the node shows."""
        return io.Schema(
            node_id="ImpastoStylizeVideo", display_name="Stylize video frames (Impasto)", category=CATEGORY,
            description="Paints the frames of a film in order, so that they hold still: by a network that learned it, or by optical flow.",
            inputs=[
                io.Image.Input("frames"), STYLE.Input("style"), io.Float.Input("strength", default=1.0, min=0.0, max=1.0, step=0.05),
                io.Combo.Input("stabilize", options=["auto", "student", "flow", "none"]), io.Mask.Input("mask", optional=True),
            ],
            outputs=[io.Image.Output(display_name="frames")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, frames: torch.Tensor, style: Styles, strength: float = 1.0, stabilize: str = "auto", mask: torch.Tensor | None = None
    ) -> io.NodeOutput:
        """The painted frames, (B, H, W, 3)."""
        wanted = impasto.Controls(strength=strength, stabilize=stabilize)
        return io.NodeOutput(within(frames, list(painted(stylizer(style, wanted, films=True), frames, stream=True)), mask, COLORS[0]))


class Impasto(ComfyExtension):
    """The nodes, as ComfyUI asks for them."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """All of them."""
        return [Style, StyleFromPicture, LearnStyle, MixStyles, Stylize, StylizeVideo]


async def comfy_entrypoint() -> Impasto:
    """Where ComfyUI begins."""
    return Impasto()
