"""Patches of feature maps, and which patch of another map is most like each."""

import torch
from torch import Tensor

from impasto.perception.statistics import accumulating

_CHUNK = 1 << 25
"""Correlations that are held at once."""


def closest(searched: Tensor, patches: Tensor) -> Tensor:
    """For each column of `searched` (D, P) the number of the column of `patches` (D, Q) of highest normalised correlation, (P).

    Patches are divided by their length; that of the searched one does not change which is highest, so it may be left as it is.
    """
    length = accumulating(patches).norm(dim=0).clamp_min(1e-8)
    directions = (patches / length.to(patches.dtype)).T.contiguous()
    step = max(1, _CHUNK // max(1, len(directions)))
    return torch.cat([(directions @ part).argmax(0) for part in torch.split(searched, step, dim=1)])
