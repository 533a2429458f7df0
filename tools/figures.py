"""Pictures of the docs that show what the bundled styles do, from photographs that scikit-image brings along.

python tools/figures.py            # writes docs/figures/gallery.jpg, metastyle-mix.jpg, metastyle-strength.jpg
"""

from pathlib import Path

import torch
from skimage import data
from torch import Tensor

import impasto
from impasto.media.images import Picture, fit_within, resize, write_picture
from impasto.styles.registry import bundled

FIGURES = Path(__file__).resolve().parent.parent / "docs/figures"
HEIGHT = 300


def photo(name: str) -> Tensor:
    """A photograph of scikit-image, (3, H, W) in [0, 1], longer side 512."""
    pixels = torch.from_numpy(getattr(data, name)()).permute(2, 0, 1).float() / 255
    return resize(pixels, fit_within((pixels.shape[-2], pixels.shape[-1]), 512))


def strip(pictures: list[Tensor]) -> Tensor:
    """Pictures beside each other at one height."""
    return torch.cat([resize(p.clamp(0, 1), (HEIGHT, round(p.shape[-1] * HEIGHT / p.shape[-2]))) for p in pictures], 2)


def grid(rows: list[list[Tensor]]) -> Tensor:
    """Rows of equally wide pictures."""
    return torch.cat([strip(row) for row in rows], 1)


def painted(pixels: Tensor, *styles: str, weights: list[float] | None = None, strength: float = 1.0) -> Tensor:
    """The photograph in a style or a mixture."""
    stylizer = impasto.load_style(*styles, weights=weights, controls=impasto.Controls(strength=strength))
    return stylizer(pixels[None])[0]


def main() -> None:
    """Write all figures."""
    astronaut, cat = photo("astronaut"), photo("chelsea")
    names = list(bundled("style"))
    shown = [astronaut, *(painted(astronaut, name) for name in names)]
    half = (len(shown) + 1) // 2
    write_picture(Picture(grid([shown[:half], shown[half:]])), FIGURES / "gallery.jpg")
    steps = [0.0, 0.25, 0.5, 0.75, 1.0]
    mixed = [painted(cat, "starry-night", "woodcut", weights=[1 - share, share]) for share in steps]
    write_picture(Picture(strip(mixed)), FIGURES / "metastyle-mix.jpg")
    write_picture(Picture(strip([painted(cat, "scream", strength=strength) for strength in steps])), FIGURES / "metastyle-strength.jpg")


if __name__ == "__main__":
    main()
