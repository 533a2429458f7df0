"""Neural patch swap: every patch of the content's features becomes the style's patch that is most like it (Chen and Schmidt 2016)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.perception.patches import closest
from impasto.perception.statistics import accumulating


@torch.no_grad()
def patch_swap(
    content: Tensor,
    style: Tensor,
    *,
    size: int = 3,
    content_regions: Tensor | None = None,
    style_regions: Tensor | None = None,
) -> Tensor:
    """Features (B, C, H, W) made of patches of style features (B or 1, C, h, w), without gradient.

    Each size x size patch, at every position, is replaced by the style patch of highest normalised correlation; where patches
    overlap, their mean. Regions: weights (1, K, H, W) and (1, K, h, w); a patch then takes only patches whose
    centre lies in the same region, if there are any. Both sides of both maps at least `size`.
    """
    if min(*content.shape[-2:], *style.shape[-2:]) < size:
        raise ValueError(f"patches of {size}x{size} do not fit into features of {min(*content.shape[-2:], *style.shape[-2:])} positions")
    labels = [None if r is None else _labels(r, size) for r in (content_regions, style_regions)]
    pairs = zip(content, style.expand(len(content), -1, -1, -1), strict=True)
    return torch.stack([_swapped(labels_here, other, size, *labels) for labels_here, other in pairs])


def _labels(regions: Tensor, size: int) -> Tensor:
    """The region of the centre of each patch, -1 for none, (P)."""
    edge = size // 2
    height, width = regions.shape[-2:]
    inner = regions[0, :, edge : height - (size - 1 - edge), edge : width - (size - 1 - edge)].flatten(1)
    return torch.where(inner.amax(0) > 0.5, inner.argmax(0), -1)


def _swapped(content: Tensor, style: Tensor, size: int, label_map: Tensor | None, other: Tensor | None) -> Tensor:
    """One picture: (C, H, W) and (C, h, w)."""
    searched = F.unfold(content[None], size)[0]
    patches = F.unfold(style[None], size)[0]
    if label_map is None or other is None:
        best = closest(searched, patches)
    else:
        best = torch.empty(searched.shape[1], dtype=torch.long, device=content.device)
        for label in torch.unique(label_map).tolist():
            mine, theirs = (label_map == label).nonzero()[:, 0], (other == label).nonzero()[:, 0]
            if not len(theirs):
                theirs = torch.arange(patches.shape[1], device=content.device)
            best[mine] = theirs[closest(searched[:, mine], patches[:, theirs])]
    height, width = content.shape[-2:]
    pasted = F.fold(accumulating(patches[:, best])[None], (height, width), size)
    counts = F.fold(pasted.new_ones(1, size * size, searched.shape[1]), (height, width), size)
    return (pasted / counts)[0].to(content.dtype)
