"""Nodes: styles are made, mixed and learned; images and the frames of videos are painted in them.

IMAGE is (B, H, W, C), floats in [0, 1], MASK (B, H, W); a style is a wire of its own, of the type IMPASTO_STYLE.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from comfy_api.latest import ComfyExtension, io

import impasto
from impasto.backends.extras import is_installed
from impasto.errors import InputError, ReplaceError, unknown
from impasto.events import Listener
from impasto.files import stamp
from impasto.media.color import keep_color
from impasto.media.images import Picture, write_picture
from impasto.names import is_plain_name
from impasto.networks.layers import FIRST
from impasto.runtime.device import choose_place
from impasto.runtime.size import working_size
from impasto.runtime.stylizer import remark_on
from impasto.storage.library import SUFFIX, Library
from impasto.storage.registry import bundled, cache_folder, locate

from .work import Batch, painted, supervised

log = logging.getLogger("impasto")

CATEGORY = "image/impasto"
QUALITY = ("auto", "draft", "fine", "best")
COLORS = ("painting", "luma", "coral")
STABILIZE = ("auto", "student", "flow", "none")
PURPOSES: dict[str, dict[str, Any]] = {"photos": {}, "video": {"film": True}, "live": {"live": True}}
RENAMED = {"films": "video"}
"""What a purpose was called before, in workflows that were saved then."""
EXISTING = ("keep", "replace")
PREVIEW_EVERY = 10
"""Steps between previews of a network that learns."""
LEARNS = "A picture that is mixed with a learned style is learned first, which takes minutes; the result is kept."


@dataclass(frozen=True)
class Styles:
    """What runs along a wire: names or files of styles, with a weight each."""

    names: tuple[str, ...]
    weights: tuple[float, ...]


STYLE = io.Custom("IMPASTO_STYLE")
_learned: dict[Path, tuple[int, ...]] = {}
"""The files of styles as Learn style left or first saw them, zeros where there was none."""


def names() -> list[str]:
    """The styles that there are by name: those of the user's library first, small networks for live videos last."""
    return sorted([*Library().names(), *bundled("style")], key=lambda name: name in bundled("style") and name.endswith("-live"))


def missing(name: object) -> str | None:
    """What there is to say of a name that is no style; None if it is one."""
    return None if name in names() else f"{unknown('style', name, names())}; it may have been renamed or removed"


def chosen(what: str, value: str, options: Sequence[str]) -> str:
    """A value that is one of the options; links can bring any. Raises InputError."""
    if value not in options:
        raise InputError(unknown(what, value, options))
    return value


def file_of(name: str) -> Path:
    """The file of a style: a bundled name, one of the library, or a file itself."""
    if name in bundled("style"):
        return locate(name, "style")
    return Library().file(name) if name in Library() else Path(name)


def kept(image: torch.Tensor) -> str:
    """The file of a picture (B, H, W, C), the first of its batch, with its transparency: the library takes styles as files."""
    pixels = image[0].detach().float().cpu().permute(2, 0, 1).contiguous()
    digest = hashlib.sha256(pixels.mul(255).round().byte().numpy().tobytes() + str(tuple(pixels.shape)).encode()).hexdigest()[:16]
    path = cache_folder() / "comfyui" / f"painting-{digest}.png"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_picture(Picture(pixels[:3].clamp(0, 1), pixels[3:4].clamp(0, 1) if len(pixels) > 3 else None), path)
    return str(path)


def masks_for(images: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """A mask for each image, (B, H, W): one mask serves all images. Raises InputError for any other number of masks."""
    masks = mask[None] if mask.ndim == 2 else mask
    if len(masks) not in (1, len(images)):
        raise InputError(f"there are {len(masks)} masks for {len(images)} images: give one mask for all images, or one for each")
    return masks.expand(len(images), -1, -1)


def within(images: torch.Tensor, results: Sequence[torch.Tensor], masks: torch.Tensor | None, color: str) -> torch.Tensor:
    """The painted images, in the photo's colours if that is wanted, where the masks (B, H, W) let them, with the alpha of the images."""
    photos, pictures = images[..., :3].float().cpu(), torch.stack(list(results))
    if color != COLORS[0]:
        pairs = zip(pictures.permute(0, 3, 1, 2), photos.permute(0, 3, 1, 2), strict=True)
        pictures = torch.stack([keep_color(color, picture, photo) for picture, photo in pairs]).permute(0, 2, 3, 1)
    if masks is not None:
        share = torch.nn.functional.interpolate(masks[:, None].float().cpu(), size=photos.shape[1:3], mode="bilinear", align_corners=False)
        pictures = torch.lerp(photos, pictures, share.permute(0, 2, 3, 1).clamp(0, 1))
    return torch.cat([pictures, images[..., 3:4].float().cpu()], -1)


def engine(images: torch.Tensor, style: Styles, controls: impasto.Controls) -> str:
    """What paints: OpenVINO where the command line paints a photo by it, so that both give the same pixels; "auto" otherwise."""
    small = max(images.shape[1:3]) <= FIRST and controls.quality == "draft" and controls.stroke is None and controls.strength > 0
    learned = len(style.names) == 1 and file_of(style.names[0]).suffix == SUFFIX
    return "openvino" if small and learned and is_installed("openvino") and choose_place().device.type == "cpu" else "auto"


def paint(
    images: torch.Tensor,
    style: Styles,
    controls: impasto.Controls,
    mask: torch.Tensor | None,
    color: str = COLORS[0],
    *,
    video: bool = False,
) -> io.NodeOutput:
    """Images (B, H, W, C) in the styles of a wire; with `video` as frames in order."""
    working_size((images.shape[1], images.shape[2]), 0, "the image")
    masks = None if mask is None else masks_for(images, mask)
    key = repr((video, style, [stamp(file_of(name)) for name in style.names], controls))
    weights = list(style.weights) if len(style.names) > 1 else None

    def work(listener: Listener) -> list[torch.Tensor]:
        batch = Batch(listener, len(images))
        stylizer = impasto.load_style(*style.names, weights=weights, controls=controls, films=video, listener=batch)
        remark = remark_on(stylizer, (images.shape[1], images.shape[2])).replace("--", "")
        if remark:
            log.warning(remark)
        return painted(stylizer, images, stream=video, key=key, batch=batch)

    return io.NodeOutput(within(images, supervised(work), masks, color))


class Style(io.ComfyNode):
    """A style by its name."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What the node shows."""
        return io.Schema(
            node_id="ImpastoStyle", display_name="Style (Impasto)", category=CATEGORY, description="A learned style, bundled or your own.",
            inputs=[io.Combo.Input("style", options=names(), tooltip="Your own styles come first, small networks for live videos last.")],
            outputs=[STYLE.Output(display_name="style")],
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, style: str | None = None) -> bool | str:
        """Whether there is such a style; None where a link brings the name."""
        return True if style is None else missing(style) or True

    @classmethod
    def fingerprint_inputs(cls, style: str | None = None) -> str:
        """What changes when the style's file does, or is gone."""
        return "" if style is None else str(stamp(file_of(style)))

    @classmethod
    def execute(cls, style: str) -> io.NodeOutput:
        """The style. Raises InputError for a name that is none."""
        problem = missing(style)
        if problem is not None:
            raise InputError(problem)
        return io.NodeOutput(Styles((style,), (1.0,)))


class StyleFromPicture(io.ComfyNode):
    """A painting as style, without learning."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What the node shows."""
        return io.Schema(
            node_id="ImpastoStyleFromPicture", display_name="Style from picture (Impasto)", category=CATEGORY,
            description="Any painting as a style, at once; learn it for videos, or to paint faster.",
            inputs=[io.Image.Input("painting", tooltip="The first image of the batch. Transparent parts are no part of the style.")],
            outputs=[STYLE.Output(display_name="style", tooltip=f"For Stylize, at once. {LEARNS} So it is for Stylize video frames.")],
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
            node_id="ImpastoLearnStyle", display_name="Learn style (Impasto)", category=CATEGORY, is_output_node=True,
            description="Learns a painting once, in minutes; afterwards it is a style by its name, here and everywhere else. "
            "Stopped, it goes on where it was when the same is queued again.",
            inputs=[
                io.Image.Input("painting", tooltip="The first image of the batch."),
                io.String.Input("name", default="my style", tooltip="Of the style; the Style node lists it after R, refresh."),
                io.Combo.Input("purpose", options=list(PURPOSES), tooltip="video: stable videos too; live: a small, fast network."),
                io.Int.Input("steps", default=0, min=0, max=20_000, tooltip="0 for what is usual for the purpose."),
                io.Combo.Input(
                    "existing", options=list(EXISTING), optional=True,
                    tooltip="What becomes of a style of this name that was learned from another painting or with other settings.",
                ),
            ],
            outputs=[STYLE.Output(display_name="style")],
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, name: str | None = None, purpose: str | None = None) -> bool | str:
        """Whether a style can have the name, and the purpose is one; None where a link brings them."""
        if name is not None and (not is_plain_name(name) or name in bundled("style")):
            return f"{name!r} is the name of a bundled style already" if is_plain_name(name) else f"{name!r} cannot be the name of a style"
        known = [*PURPOSES, *RENAMED]
        return True if purpose is None or purpose in known else unknown("purpose", purpose, PURPOSES)

    @classmethod
    def fingerprint_inputs(cls, name: str | None = None, **others: Any) -> str:
        """What changes when somebody else replaces or removes the style."""
        if name is None or name not in Library():
            now, file = (0, 0, 0), Library().folder / f"{name}.safetensors"
        else:
            file = Library().file(name)
            now = stamp(file)
        return "" if now == _learned.setdefault(file, now) else str(now)

    @classmethod
    def execute(
        cls, painting: torch.Tensor, name: str, purpose: str = "photos", steps: int = 0, existing: str = EXISTING[0]
    ) -> io.NodeOutput:
        """The style; one that was learned before, from the same painting in the same way, comes out of the cache. Raises ImpastoError."""
        purpose = chosen("purpose", RENAMED.get(purpose, purpose), list(PURPOSES))
        force = chosen("way with an existing style", existing, EXISTING) == "replace"
        options = PURPOSES[purpose] | ({"steps": steps} if steps else {}) | {"preview_every": PREVIEW_EVERY}
        library = Library()
        target = library.file(name) if name in library else library.free(name)
        controls = impasto.Controls(options=options)

        def work(listener: Listener) -> Path:
            return impasto.adapt(kept(painting), target, name=name, controls=controls, force=force, listener=listener)

        try:
            written = supervised(work)
        except ReplaceError:
            raise InputError(
                f"there is a style {name!r} already, learned from another painting or with other settings: "
                "choose another name, or set 'existing' to replace"
            ) from None
        _learned[written] = stamp(written)
        return io.NodeOutput(Styles((str(written),), (1.0,)))


class MixStyles(io.ComfyNode):
    """A style between two others."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What the node shows."""
        return io.Schema(
            node_id="ImpastoMixStyles", display_name="Mix styles (Impasto)", category=CATEGORY,
            description=f"A style between two others. {LEARNS}",
            inputs=[
                STYLE.Input("first", tooltip=LEARNS), STYLE.Input("second", tooltip=LEARNS),
                io.Float.Input("share", default=0.5, min=0.0, max=1.0, step=0.05, tooltip="Weight of the second style."),
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
    """Images in a style, each by itself."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What the node shows."""
        return io.Schema(
            node_id="ImpastoStylize", display_name="Stylize (Impasto)", category=CATEGORY,
            description="Paints images in a style; a mask says where. Stopped, it goes on behind the last painted image when queued again.",
            inputs=[
                io.Image.Input("image", tooltip="An alpha channel is kept."), STYLE.Input("style", tooltip=LEARNS),
                io.Combo.Input("quality", options=list(QUALITY), tooltip="draft: at once; fine, which auto means: refined; best: longer."),
                io.Float.Input("strength", default=1.0, min=0.0, max=1.0, step=0.05),
                io.Float.Input("stroke", default=1.0, min=0.25, max=4.0, step=0.05, tooltip="Times the usual size; not for small drafts."),
                io.Combo.Input("colors", options=list(COLORS), tooltip="luma and coral keep the colours of the image."),
                io.Mask.Input("mask", optional=True, tooltip="White is painted. One for all images, or one for each."),
            ],
            outputs=[io.Image.Output(display_name="image")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, image: torch.Tensor, style: Styles, quality: str = QUALITY[0], strength: float = 1.0, stroke: float = 1.0,
        colors: str = COLORS[0], mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:  # fmt: skip
        """The painted images, (B, H, W, C). Raises ImpastoError."""
        quality, colors = chosen("quality", quality, QUALITY), chosen("way with colours", colors, COLORS)
        wanted = impasto.Controls(
            quality="fine" if quality == "auto" else quality, strength=strength, stroke=None if stroke == 1 else stroke
        )
        wanted = replace(wanted, backend=engine(image, style, wanted))
        return paint(image, style, wanted, mask, colors)


class StylizeVideo(io.ComfyNode):
    """The frames of a video in a style, stable over time."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What the node shows."""
        return io.Schema(
            node_id="ImpastoStylizeVideo", display_name="Stylize video frames (Impasto)", category=CATEGORY,
            description="Paints the frames of a video in order, so that they are stable: by a network that learned it, or by optical flow. "
            "Stopped, it goes on behind the last painted frame when queued again.",
            inputs=[
                io.Image.Input("frames", tooltip="An alpha channel is kept."),
                STYLE.Input("style", tooltip="A picture is learned for videos first, which takes minutes; the result is kept."),
                io.Float.Input("strength", default=1.0, min=0.0, max=1.0, step=0.05),
                io.Combo.Input("stabilize", options=list(STABILIZE), tooltip="auto: by the network if it learned videos, else by flow."),
                io.Mask.Input("mask", optional=True, tooltip="White is painted. One for all frames, or one for each."),
            ],
            outputs=[io.Image.Output(display_name="frames")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, frames: torch.Tensor, style: Styles, strength: float = 1.0, stabilize: str = STABILIZE[0], mask: torch.Tensor | None = None
    ) -> io.NodeOutput:
        """The painted frames, (B, H, W, C). Raises ImpastoError."""
        wanted = impasto.Controls(strength=strength, stabilize=chosen("way to stabilise videos", stabilize, STABILIZE))
        return paint(frames, style, wanted, mask, video=True)


class Impasto(ComfyExtension):
    """The nodes, as ComfyUI asks for them."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """All of them."""
        return [Style, StyleFromPicture, LearnStyle, MixStyles, Stylize, StylizeVideo]


async def comfy_entrypoint() -> Impasto:
    """Where ComfyUI begins."""
    return Impasto()
