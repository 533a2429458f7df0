"""Regions without a segmentation network: the features of a photo and of its style pictures, clustered together.

A cluster is a region of the photo and, under the same number, one of each style picture. Photographs and paintings differ in
their features as a whole; each picture's are therefore centred and scaled by themselves first.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.errors import InputError
from impasto.media.images import rescale
from impasto.perception.encoder import Encoder

MOST_REGIONS = 16
LEAST_SHARE = 0.02
"""A region covers at least this share of the photo and of some style picture; smaller ones join the one that is most like them."""

_SHORT_SIDE, _LONG_SIDE = 256, 1024
_LAYERS = ("relu2_1", "relu3_1", "relu4_1")
_HEIGHT = 1.0
"""Weight of the height in the picture against one layer of features."""


@torch.inference_mode()
def joint_regions(encoder: Encoder, photo: Tensor, styles: Sequence[Tensor], count: int, *, seed: int = 0) -> tuple[Tensor, list[Tensor]]:
    """Masks in {0, 1} of at most `count` matching regions: (1, K, H, W) of the photo, (1, K, h, w) of each style picture.

    photo and styles: (1, 3, H, W) each of its own size, RGB in [0, 1]; at least 32 pixels a side. Raises InputError for a count outside 2
    to 16.
    """
    if not 2 <= count <= MOST_REGIONS:
        raise InputError(f"a picture is divided in 2 to {MOST_REGIONS} regions by itself, not in {count}")
    described = [_description(encoder, picture) for picture in (photo, *styles)]
    points = torch.cat([each.flatten(1).T for each in described])
    cv2.setRNGSeed(seed)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 60, 1e-4)
    _, _, centres = cv2.kmeans(points.numpy(), count, None, criteria, 4, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    distances = [_distances(each, torch.from_numpy(np.asarray(centres))) for each in described]
    kept = _shared(distances)
    masks = [_masks(each[kept], picture) for each, picture in zip(distances, (photo, *styles), strict=True)]
    return masks[0], masks[1:]


def _description(encoder: Encoder, picture: Tensor) -> Tensor:
    """What a place is told by, (D, h, w) at the positions of relu3_1: features of each layer, averaged around it, and height."""
    scale = min(_SHORT_SIDE / min(picture.shape[-2:]), _LONG_SIDE / max(picture.shape[-2:]))
    size = tuple(max(32, round(side * scale)) for side in picture.shape[-2:])
    small = rescale(picture.float(), (size[0], size[1]))
    features = encoder(small.to(next(encoder.parameters()).device), list(_LAYERS))
    at = (features["relu3_1"].shape[-2], features["relu3_1"].shape[-1])
    parts = [F.interpolate(value.float().cpu(), size=at, mode="bilinear", antialias=True)[0] for value in features.values()]
    parts = [_standard(F.avg_pool2d(part[None], 5, 1, 2, count_include_pad=False)[0]) for part in parts]
    height = torch.linspace(-1.7, 1.7, at[0])[None, :, None].expand(1, *at) * _HEIGHT
    return torch.cat([*parts, height])


def _standard(features: Tensor) -> Tensor:
    """Each channel centred; all together scaled to a mean square length of 1."""
    centred = features - features.mean((1, 2), keepdim=True)
    return centred / centred.square().sum(0).mean().sqrt().clamp_min(1e-6)


def _distances(description: Tensor, centres: Tensor) -> Tensor:
    """(K, h, w)."""
    return torch.cdist(description.flatten(1).T, centres).T.reshape(len(centres), *description.shape[1:])


def _shared(distances: Sequence[Tensor]) -> list[int]:
    """Numbers of the clusters to keep: while one is too small in the photo, or in all styles, the smallest goes."""
    kept = list(range(len(distances[0])))
    while len(kept) > 1:
        shares = [torch.bincount(each[kept].argmin(0).flatten(), minlength=len(kept)) / each[0].numel() for each in distances]
        least = torch.minimum(shares[0], torch.stack(shares[1:]).amax(0))
        if float(least.min()) >= LEAST_SHARE:
            break
        kept.pop(int(least.argmin()))
    return kept


def _masks(distances: Tensor, picture: Tensor) -> Tensor:
    """One-hot (1, K, H, W): distances smoothed, enlarged, and the nearest taken."""
    large = F.interpolate(distances[None], size=picture.shape[-2:], mode="bilinear", align_corners=False)
    return F.one_hot(large.argmin(1), len(distances)).movedim(-1, 1).float()
