"""Style images as they are looked at: what is transparent is not a part of the style.

The visible part is cut out, and hidden places within it continue what is around them as a mirror would. So the statistics of the image are
those of its visible part, for every method: for a rectangle exactly.
"""

import os
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from impasto.errors import PictureError
from impasto.media.images import Picture, read_picture, resize
from impasto.media.stills import MAX_PIXELS, fit_within, resized_whole
from impasto.media.transparency import FAINT


def read_style_image(
    path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS, longest: int | None = None, cropped: bool = True
) -> Tensor:
    """A style image (3, h, w), float32 in [0, 1]. longest: the longer side that it has at the most.

    cropped: whether it is cut to its visible part; without it, all places stay where they are, as masks of the image need.
    Raises PictureError as `read_picture`, and for an image in which nothing can be seen.
    """
    picture = _cropped(read_picture(path, max_pixels=max_pixels), path, cropped)
    size = picture.size if longest is None else fit_within(picture.size, min(longest, max(picture.size)))
    if picture.alpha is None:
        return resize(picture.pixels, size, bits=picture.bits)
    colors, alpha = resized_whole(picture.pixels.permute(1, 2, 0).numpy(), picture.alpha[0].numpy(), size)
    assert alpha is not None
    return torch.from_numpy(mirrored(colors, alpha >= min(FAINT, alpha.max()))).permute(2, 0, 1).contiguous()


def _cropped(picture: Picture, path: str | os.PathLike[str], cropped: bool) -> Picture:
    """The part of a picture that can be seen, with alpha only where it hides something."""
    if picture.alpha is None:
        return picture
    strongest = float(picture.alpha.max())
    if strongest == 0:
        raise PictureError(f"{path} is fully transparent: there is no style to see")
    seen = picture.alpha[0] >= min(FAINT, strongest)
    rows, columns = (seen.any(axis).nonzero()[:, 0] for axis in (1, 0))
    top, bottom, left, right = (0, picture.size[0], 0, picture.size[1]) if not cropped else (*_ends(rows), *_ends(columns))
    pixels, alpha = (values[:, top:bottom, left:right].contiguous() for values in (picture.pixels, picture.alpha))
    return replace(picture, pixels=pixels, alpha=None if bool((alpha == 1).all()) else alpha)


def _ends(found: Tensor) -> tuple[int, int]:
    return int(found[0]), int(found[-1]) + 1


def mirrored(colors: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Colours (H, W, 3) whose places that cannot be seen continue the seen ones, each mirrored at the nearest of them. seen: (H, W).

    What a mirror shows may be hidden as well; then it is looked at again when more is known, from outside in, and where no mirror shows
    anything the nearest colour is taken.
    """
    import cv2  # few style images need it

    made, known = colors.copy(), seen.copy()
    while not known.all():
        _, labels = cv2.distanceTransformWithLabels((~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
        places = np.zeros((labels.max() + 1, 2), np.int64)
        places[labels[known]] = np.argwhere(known)
        hidden = np.argwhere(~known)
        nearest = places[labels[~known]]
        mirror = 2 * nearest - hidden
        inside = ((mirror >= 0) & (mirror < known.shape)).all(1)
        shown = inside.copy()
        shown[inside] = known[tuple(mirror[inside].T)]
        if not shown.any():
            shown[:], mirror = True, nearest
        made[tuple(hidden[shown].T)] = made[tuple(mirror[shown].T)]
        known[tuple(hidden[shown].T)] = True
    return made
