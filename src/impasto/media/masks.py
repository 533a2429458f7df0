"""Region masks in: label maps from grey, palette or colour-coded pictures, and which region belongs to which.

A colour is a label; the same colour in the mask of the photo and in the mask of the painting means the same region. So is what is
transparent. Colours that lie near each other are one label, so that masks saved as JPEG work; in index masks, as segmentation tools write
them (0, 1, 2, ...), every value is a label of its own.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.errors import InputError
from impasto.media.images import Picture, read_indices, read_picture
from impasto.media.stills import MAX_PIXELS

MAX_LABELS = 64
NEARNESS = 48
"""Colours whose channels all differ by at most this much, of 255, are one label."""

_LEAST_SHARE = 5e-4


TRANSPARENT = -1
"""What a label's colour is, in all channels, where the mask is transparent."""


@dataclass(frozen=True)
class LabelMap:
    """labels: (H, W) int64, indices into colors; colors: (L, 3) int64, most frequent first. exact: near colours are different labels."""

    labels: Tensor
    colors: Tensor
    exact: bool = False


@dataclass(frozen=True)
class Regions:
    """Matched regions of one photo and some style pictures, as masks in {0, 1}.

    content: (1, K, H, W); styles: one (1, K, h, w) per style picture. report: a sentence for each label.
    """

    content: Tensor
    styles: list[Tensor]
    report: list[str]


def read_labels(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> LabelMap:
    """Read a mask of any size as a label map; what is transparent is a label of its own.

    Raises InputError if more than 64 different labels remain after near colours are grouped: then it is no mask.
    """
    picture = read_picture(path, max_pixels=max_pixels)
    hidden = None if picture.alpha is None else picture.alpha[0] < 0.5
    index = read_indices(path, max_pixels=max_pixels)
    if index is not None and tuple(index.shape) == picture.size and _is_index_mask(index):
        unique, labels = torch.unique(index, return_inverse=True)
        order = torch.bincount(labels.flatten(), minlength=len(unique)).argsort(descending=True)
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order))
        return _hidden(LabelMap(place[labels], unique[order][:, None].expand(-1, 3).contiguous(), exact=True), hidden)
    pixels = picture.pixels.mul(255).round().long()
    codes = (pixels[0] << 16) | (pixels[1] << 8) | pixels[2]
    unique, inverse = torch.unique(codes, return_inverse=True)
    colors = torch.stack([unique >> 16, unique >> 8 & 255, unique & 255], 1)
    counts = torch.bincount(inverse.flatten(), weights=_inside_regions(pixels).flatten(), minlength=len(unique))
    centres: list[Tensor] = []
    for number in counts.argsort(descending=True).tolist():
        if counts[number] < _LEAST_SHARE * codes.numel() and centres:
            break
        if not any(int((colors[number] - centre).abs().max()) <= NEARNESS for centre in centres):
            centres.append(colors[number])
        if len(centres) > MAX_LABELS:
            raise InputError(f"{path} holds more than {MAX_LABELS} different colours: it looks like a picture, not like a mask")
    palette = torch.stack(centres)
    nearest = torch.cdist(colors.float(), palette.float()).argmin(1)
    return _hidden(LabelMap(nearest[inverse].view(codes.shape), palette), hidden)


def _is_index_mask(values: Tensor) -> bool:
    """Whether grey values (H, W) are numbers of labels: few, and each fills some place; what antialiasing and JPEG add fills none."""
    unique = torch.unique(values)
    if len(unique) > MAX_LABELS:
        return False
    if max((value for value in unique.tolist() if value != 255), default=0) < MAX_LABELS:  # 255 is what tools write for "no label"
        return True
    surroundings = values[None, None].double()
    flat = F.max_pool2d(surroundings, 3, 1, 1) == -F.max_pool2d(-surroundings, 3, 1, 1)
    return len(torch.unique(values[flat[0, 0]])) == len(unique)


def _hidden(found: LabelMap, hidden: Tensor | None) -> LabelMap:
    """The label map with what is transparent as a label."""
    if hidden is None or not bool(hidden.any()):
        return found
    labels = torch.where(hidden, len(found.colors), found.labels)
    used = torch.unique(labels)
    place = torch.full((len(found.colors) + 1,), -1)
    place[used] = torch.arange(len(used))
    colors = torch.cat([found.colors, torch.full((1, 3), TRANSPARENT)])[used]
    return LabelMap(place[labels], colors, found.exact)


def _inside_regions(pixels: Tensor) -> Tensor:
    """(H, W), 1 where the 3x3 surroundings have one colour: JPEG mixes the colours of two regions where they meet."""
    surroundings = pixels[None].float()
    spread = F.max_pool2d(surroundings, 3, 1, 1) + F.max_pool2d(-surroundings, 3, 1, 1)
    inside = (spread.amax(1)[0] <= NEARNESS / 2).float()
    return inside if bool(inside.any()) else torch.ones_like(inside)


def match_regions(
    content: LabelMap, styles: list[LabelMap], *, content_size: tuple[int, int], style_sizes: list[tuple[int, int]]
) -> Regions:
    """Regions that the photo and at least one style picture share, by colour; masks resized (nearest) to the given sizes.

    Raises InputError if no label of the photo's mask appears in any style mask.
    """
    rows = []
    report = []
    for index, color in enumerate(content.colors):
        partners = [_partner(color, content, style) for style in styles]
        name = _name(color, content)
        share = float((content.labels == index).float().mean())
        if any(partner is not None for partner in partners):
            rows.append((index, partners))
            report.append(f"{name}: {share:.0%} of the photo, painted")
        else:
            report.append(f"{name}: {share:.0%} of the photo, not in the style mask, kept as it is")
    for style in styles:
        for color in style.colors:
            if _partner(color, style, content) is None:
                report.append(f"{_name(color, style)}: only in the style mask, unused")
    if not rows:
        raise InputError("the two masks share no label: the same colour has to mark matching regions in both")
    masks = torch.stack([(content.labels == index).float() for index, _ in rows])
    style_masks = [torch.stack([_region(style, partners[n]) for _, partners in rows]) for n, style in enumerate(styles)]
    resized = [_nearest(mask, size) for mask, size in zip(style_masks, style_sizes, strict=True)]
    return Regions(_nearest(masks, content_size), resized, report)


def _partner(color: Tensor, first: LabelMap, other: LabelMap) -> int | None:
    """The label of the other mask that means the same: the same colour, or a near one where near ones are one label."""
    distance = (other.colors - color).abs().amax(1)
    distance = torch.where((other.colors[:, 0] < 0) == (color[0] < 0), distance, 1 << 20)
    best = int(distance.argmin())
    return best if int(distance[best]) <= (0 if first.exact and other.exact else NEARNESS) else None


def _name(color: Tensor, labels: LabelMap) -> str:
    if int(color[0]) == TRANSPARENT:
        return "transparent"
    return f"label {int(color[0])}" if labels.exact else "#" + "".join(f"{int(channel):02x}" for channel in color)


def _region(style: LabelMap, label: int | None) -> Tensor:
    """(H, W) in {0, 1}; nothing for a label that the style picture does not have."""
    return (style.labels == (-1 if label is None else label)).float()


def _nearest(masks: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(masks[None], size=size, mode="nearest-exact")


def load_regions(
    mask: str | os.PathLike[str],
    style_masks: list[str | os.PathLike[str]],
    *,
    content_size: tuple[int, int],
    style_sizes: list[tuple[int, int]],
    max_pixels: int = MAX_PIXELS,
) -> Regions:
    """`read_labels` of all files and `match_regions`. Raises InputError unless there is one mask per style picture."""
    if len(style_masks) != len(style_sizes):
        raise InputError(f"{len(style_sizes)} style pictures need as many style masks, and {len(style_masks)} were given")
    labels = [read_labels(Path(file), max_pixels=max_pixels) for file in style_masks]
    return match_regions(read_labels(mask, max_pixels=max_pixels), labels, content_size=content_size, style_sizes=style_sizes)


_TINTS = torch.tensor(
    [[0.90, 0.16, 0.22], [0.16, 0.45, 0.90], [0.95, 0.75, 0.10], [0.15, 0.70, 0.35], [0.65, 0.25, 0.80], [0.10, 0.75, 0.80],
     [0.95, 0.50, 0.15], [0.90, 0.45, 0.70], [0.50, 0.35, 0.20], [0.60, 0.80, 0.20], [0.30, 0.30, 0.35], [0.80, 0.80, 0.80]]
)  # fmt: skip


def tinted(picture: Tensor, masks: Tensor) -> Tensor:
    """A picture (3, H, W) in grey under the colours of its regions, masks (1, K, H, W); what belongs to none stays grey."""
    grey = (0.25 + 0.75 * picture.mean(0, keepdim=True)).expand(3, -1, -1)
    colors = _TINTS[torch.arange(masks.shape[1]) % len(_TINTS)]
    weights = masks[0].to(picture) / masks[0].sum(0).clamp_min(1.0)
    painted = torch.einsum("kc,khw->chw", colors.to(picture), weights)
    covered = weights.sum(0)
    shown: Tensor = grey * (1 - covered) + (0.45 * grey + 0.55 * painted / covered.clamp_min(1e-6)) * covered
    return shown.clamp(0, 1)


def label_picture(masks: Tensor) -> Picture:
    """Masks (1, K, H, W) as a label map: one colour for each region, black where there is none."""
    colors = _TINTS[torch.arange(masks.shape[1]) % len(_TINTS)]
    found = masks[0].max(0)
    pixels = colors[found.indices] * (found.values > 0.5)[..., None]
    return Picture(pixels.permute(2, 0, 1).contiguous())


def overview(photo: Tensor, styles: Sequence[Tensor], regions: Regions) -> Tensor:
    """The photo and its style pictures side by side, as high as the photo, each under the colours of its regions: (3, H, W).

    photo (3, H, W), the size of `regions.content`; styles (1, 3, h, w) each, the size of its masks.
    """
    parts = [tinted(photo, regions.content)]
    for style, masks in zip(styles, regions.styles, strict=True):
        size = (photo.shape[-2], max(1, round(style.shape[-1] * photo.shape[-2] / style.shape[-2])))
        shown = tinted(style[0], masks)
        parts += [
            torch.ones(3, photo.shape[-2], 8),
            F.interpolate(shown[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0].clamp(0, 1),
        ]
    return torch.cat(parts, -1)


def load_shares(paths: Sequence[str | os.PathLike[str]], styles: int, size: tuple[int, int], *, max_pixels: int = MAX_PIXELS) -> Tensor:
    """Grey pictures that say how much of each style every place of the photo takes, as (1, K, H, W) in [0, 1], K = styles.

    One for each style, white where it paints fully; a single one for two styles is the first's share, and the second takes the
    rest. What is transparent takes nothing. Sizes may differ from the photo's, shapes may not. Raises
    InputError for another number or another shape.
    """
    wanted = 1 if styles == 2 and len(paths) == 1 else styles
    if len(paths) != wanted:
        raise InputError(f"{styles} style{'s' * (styles > 1)} need{'s' * (styles == 1)} a mask each, and {len(paths)} were given")
    shares = []
    for path in paths:
        picture = read_picture(path, max_pixels=max_pixels)
        grey = picture.pixels.mean(0, keepdim=True) * (1 if picture.alpha is None else picture.alpha)
        height, width = grey.shape[-2:]
        if abs(width / height * size[0] / size[1] - 1) > 0.02 and max(abs(width - size[1]), abs(height - size[0])) > 1:
            raise InputError(
                f"{path} has {width}x{height} pixels and the photo is painted at {size[1]}x{size[0]}: a mask has the photo's shape"
            )
        shares.append(F.interpolate(grey[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0])
    if wanted < styles:
        shares.append(1 - shares[0])
    return torch.cat(shares)[None].clamp(0, 1)
