"""Pictures of the docs that show what the methods do, from photographs that scikit-image brings along and our own paintings.

python tools/figures.py [gallery|metastyle|solver|semantic|distillation]    # writes one family of docs/figures for each name

The gallery also takes the two sample photographs of scikit-learn: china.jpg by danielbuechele and flower.jpg by dany13, CC BY 2.0.
"""

import sys
from itertools import product
from pathlib import Path

import torch
import torch.nn.functional as F
from skimage import data
from sklearn.datasets import load_sample_image
from torch import Tensor

import impasto
from impasto.media.images import Picture, read_picture, rescale, resize, write_picture
from impasto.media.masks import tinted
from impasto.media.stills import fit_within
from impasto.methods.doodle.doodle import NeuralDoodle
from impasto.methods.doodle.settings import DoodleSettings
from impasto.methods.gatys.gatys import Gatys
from impasto.methods.gatys.settings import GatysSettings
from impasto.methods.patch_swap.swap import StyleSwap
from impasto.methods.semantic.matching import joint_regions
from impasto.methods.semantic.settings import SemanticSettings
from impasto.methods.semantic.transfer import SemanticTransfer
from impasto.methods.solver.solver import Solver, Steering
from impasto.methods.solver.solver_file import load_solver
from impasto.methods.solver.texture import SCALES_OF_TEXTURES, Reduction, enlarge, luminance
from impasto.motion.stability import StabilityMeter
from impasto.motion.synthetic import Scene, moving_scene
from impasto.networks.decoder_file import load_decoder
from impasto.networks.layers import LAYERS
from impasto.perception.loss import PerceptualLoss
from impasto.perception.transform import TRANSFORMS
from impasto.runtime.device import choose_place
from impasto.runtime.encoders import load_encoder
from impasto.settings import Controls
from impasto.storage.registry import ASSETS, bundled

FIGURES = Path(__file__).resolve().parent.parent / "docs/figures"
HEIGHT = 300


GALLERY = {
    "astronaut": "kiss",
    "china": "starry-night",
    "rocket": "scream",
    "chelsea": "rose-window",
    "coffee": "place-des-lices",
    "flower": "great-wave",
}
"""Photographs of the gallery and the bundled style of each."""


def photo(name: str, size: int = 512) -> Tensor:
    """A photograph of scikit-image, or of scikit-learn, (3, H, W) in [0, 1], with this longer side."""
    pixels = torch.from_numpy(getattr(data, name)() if hasattr(data, name) else load_sample_image(f"{name}.jpg").copy())
    pixels = pixels.permute(2, 0, 1).float() / 255
    return resize(pixels, fit_within((pixels.shape[-2], pixels.shape[-1]), size))


def strip(pictures: list[Tensor]) -> Tensor:
    """Pictures beside each other at one height."""
    return torch.cat([resize(p.clamp(0, 1), (HEIGHT, round(p.shape[-1] * HEIGHT / p.shape[-2]))) for p in pictures], 2)


def grid(rows: list[list[Tensor]]) -> Tensor:
    """Rows of equally wide pictures."""
    return torch.cat([strip(row) for row in rows], 1)


def painted(pixels: Tensor, *styles: str, weights: list[float] | None = None, strength: float = 1.0, quality: str = "auto") -> Tensor:
    """The photograph in a style or a mixture."""
    stylizer = impasto.load_style(*styles, weights=weights, controls=impasto.Controls(strength=strength, quality=quality))
    return stylizer(pixels[None])[0]


def gallery() -> None:
    """Six photographs, each in a style that suits it, with the photograph in a corner; and one in all bundled styles."""
    tiles = []
    for name, style in GALLERY.items():
        pixels = photo(name, 900)
        tile = filled(painted(pixels, style, quality="fine"), (440, 620))
        small = filled(pixels, (108, 152))
        tile[:, -118:-6, 6:162] = 1.0
        tile[:, -116:-8, 8:160] = small
        tiles.append(tile)
    rows = [torch.cat(tiles[first : first + 3], 2) for first in (0, 3)]
    write_picture(Picture(torch.cat(rows, 1)), FIGURES / "gallery.jpg")
    astronaut = photo("astronaut", 400)
    shown = [astronaut, *(painted(astronaut, name, quality="fine") for name in bundled("style") if not name.endswith("-live"))]
    third = (len(shown) + 2) // 3
    write_picture(Picture(grid([shown[:third], shown[third : 2 * third], shown[2 * third :]])), FIGURES / "styles.jpg")


def filled(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle of a picture, (3, *size)."""
    scale = max(size[0] / pixels.shape[-2], size[1] / pixels.shape[-1])
    scaled = resize(pixels, (round(pixels.shape[-2] * scale), round(pixels.shape[-1] * scale))).clamp(0, 1)
    top, left = (scaled.shape[-2] - size[0]) // 2, (scaled.shape[-1] - size[1]) // 2
    return scaled[:, top : top + size[0], left : left + size[1]].clone()


def finishing() -> None:
    """Drafts and what becomes of them."""
    rows = []
    for name, style in (("rocket", "starry-night"), ("astronaut", "composition-vii")):
        pixels = photo(name)
        rows.append([pixels, painted(pixels, style), painted(pixels, style, quality="fine"), painted(pixels, style, quality="best")])
    write_picture(Picture(torch.cat([strip(row) for row in rows[:1]], 1)), FIGURES / "finishing-sky.jpg")
    write_picture(Picture(strip(rows[1])), FIGURES / "finishing-face.jpg")


def metastyle() -> None:
    """A mixture, and strengths."""
    cat = photo("chelsea")
    steps = [0.0, 0.25, 0.5, 0.75, 1.0]
    mixed = [painted(cat, "starry-night", "woodcut", weights=[1 - share, share]) for share in steps]
    write_picture(Picture(strip(mixed)), FIGURES / "metastyle-mix.jpg")
    write_picture(Picture(strip([painted(cat, "scream", strength=strength) for strength in steps])), FIGURES / "metastyle-strength.jpg")


def solver() -> None:
    """Every control of the solver."""
    place, encoder = choose_place(), "compact"
    network = load_solver("solver")

    def holding(*styles: Tensor, steering: Steering | None = None, size: int | None = None) -> Solver:
        return Solver(network, load_encoder(encoder, place), place, styles, style_size=size, steering=steering or Steering())

    astronaut, cat, coffee = (photo(name)[None] for name in ("astronaut", "chelsea", "coffee"))
    dusk, window, woodcut = (read_picture(ASSETS / f"paintings/{name}.jpg").pixels[None] for name in ("dusk", "rose-window", "woodcut"))
    one = holding(window)
    shown = [one.paint(astronaut, Steering(strength=strength))[0] for strength in (0.2, 0.6, 1.0, 1.4)]
    write_picture(Picture(strip([astronaut[0], *shown])), FIGURES / "solver-strength.jpg")
    first = [[float(scale <= last) for scale in range(5)] for last in range(5)]
    write_picture(Picture(strip([one.paint(astronaut, Steering(scales=scales))[0] for scales in first])), FIGURES / "solver-scales.jpg")
    both = holding(dusk, woodcut)
    mixed = [both.paint(cat, Steering(shares=(1 - share, share)))[0] for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    write_picture(Picture(strip(mixed)), FIGURES / "solver-mix.jpg")
    ramp = torch.linspace(-2, 3, cat.shape[-1]).clamp(0, 1).expand(1, 1, cat.shape[-2], -1)
    masked = both(cat, masks=torch.cat([1 - ramp, ramp], 1))
    write_picture(Picture(strip([cat[0], ramp[0].expand(3, -1, -1), masked[0]])), FIGURES / "solver-masks.jpg")
    light = holding(coffee)
    pictures = [astronaut, light(astronaut), light.paint(astronaut, Steering(photoreal=50.0))]
    write_picture(Picture(strip([picture[0] for picture in [coffee, *pictures]])), FIGURES / "solver-photo.jpg")
    rows = []
    for name in ("brick", "gravel"):
        pixels = torch.from_numpy(getattr(data, name)()).float().div(255).expand(1, 3, -1, -1)
        sharp, reference = pixels[..., :252, :252], pixels[..., :252, -252:]
        small = torch.stack([Reduction((252, 252))(channel) for channel in sharp[0]])[None]
        guide = holding(luminance(reference).expand(-1, 3, -1, -1), steering=Steering(scales=SCALES_OF_TEXTURES, grain=0.0), size=252)
        enlarged = [F.interpolate(small, scale_factor=3, mode="bicubic"), enlarge(guide, small, guided=False), enlarge(guide, small)]
        rows.append([sharp[0], *(picture[0] for picture in enlarged)])
    write_picture(Picture(grid(rows)), FIGURES / "solver-texture.jpg")


def semantic() -> None:
    """Regions that were found and what is painted with them; every method side by side; the five transforms."""
    place = choose_place()
    encoder = load_encoder("compact", place)
    decoder = load_decoder(encoder)
    paintings = {name: read_picture(ASSETS / f"paintings/{name}.jpg").pixels[None] for name in ("dusk", "rose-window", "woodcut")}
    pairs = [
        (photo(name)[None], paintings[style]) for name, style in (("rocket", "dusk"), ("astronaut", "rose-window"), ("coffee", "woodcut"))
    ]
    found, sheet = [], []
    for content, style in pairs:
        masks, (style_masks,) = joint_regions(encoder, content, [style], 3)
        ours = SemanticTransfer(decoder, encoder, place, [style], [style_masks])(content, masks=masks)
        plain = SemanticTransfer(decoder, encoder, place, [style])(content)
        swapped = StyleSwap(decoder, encoder, place, style, style_masks)(content, masks=masks)
        guided = Gatys(PerceptualLoss(encoder, "impasto"), [style], GatysSettings(), style_masks=[style_masks])(content, masks=masks)
        settings = DoodleSettings(iterations=60, levels=2, style_size=256)
        small = resize(content[0], fit_within((content.shape[-2], content.shape[-1]), 320))[None]
        patches = NeuralDoodle(encoder, style, style_masks, settings)(small, masks=rescale(masks, (small.shape[-2], small.shape[-1])))
        overlay = [tinted(content[0], masks), tinted(style[0], style_masks)]
        found.append(strip([*overlay, ours[0], plain[0]]))
        sheet.append(strip([content[0], style[0], ours[0], plain[0], swapped[0], guided[0], patches[0]]))
    write_picture(Picture(stacked(found)), FIGURES / "semantic-regions.jpg")
    everything = stacked(sheet)
    write_picture(Picture(resize(everything, (everything.shape[-2] // 2, everything.shape[-1] // 2))), FIGURES / "semantic-methods.jpg")
    content, style = pairs[1]
    rows = []
    for layers in (("relu3_1",), LAYERS[1:]):
        ways = [SemanticSettings(transform=kind, layers=layers, strength=0.6 if kind == "adain_lambda" else 1.0) for kind in TRANSFORMS]
        rows.append([SemanticTransfer(decoder, encoder, place, [style], settings=way)(content)[0] for way in ways])
    write_picture(Picture(grid(rows)), FIGURES / "semantic-transforms.jpg")


def distillation() -> None:
    """A moving scene of photographs in styles painted as photos and as a film, and where each differs from the frame before."""
    pictures = [photo(name) for name in ("coffee", "chelsea", "astronaut")]
    scene = moving_scene(pictures, (288, 384), 3, torch.Generator().manual_seed(4))
    columns = [frames_and_errors(scene, scene.frames)]
    for name, film in product(("starry-night", "dusk"), (False, True)):
        stylizer = impasto.load_style(name, controls=Controls(options={"film": True} if film else None))
        columns.append(frames_and_errors(scene, torch.cat([stylizer(frame[None]) for frame in scene.frames])))
    write_picture(Picture(resize(torch.cat(columns, 2), (480, 1600))), FIGURES / "distillation-errors.jpg")


def frames_and_errors(scene: Scene, frames: Tensor) -> Tensor:
    """The last frame, and under it where it differs from the one before along the exact motion; black is no error."""
    error = StabilityMeter().add(frames[2], frames[1], scene.flow(2, 1), scene.traced(2, 1))
    return torch.cat([frames[2], (4 * error.square().sum(0).sqrt()).clamp(0, 1).expand(3, -1, -1)], 1)


def stacked(rows: list[Tensor]) -> Tensor:
    """Rows of different widths, on white."""
    width = max(row.shape[-1] for row in rows)
    return torch.cat([F.pad(row, (0, width - row.shape[-1]), value=1.0) for row in rows], 1)


def main() -> None:
    """Write all figures, or those that are named."""
    for draw in (gallery, finishing, metastyle, solver, semantic, distillation):
        if len(sys.argv) == 1 or draw.__name__ in sys.argv:
            draw()


if __name__ == "__main__":
    main()
