"""Optical flow by dense inverse search (Kroeger et al. 2016), in OpenCV's build. Any callable of the same form may be used instead."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from impasto.errors import InputError

Flow = Callable[[Tensor, Tensor], Tensor]
"""From a frame to another, (3, H, W) each, RGB in [0, 1], the flow (2, H, W): (dx, dy) in pixels, starting on the first."""

PRESETS = ("ultrafast", "fast", "medium")


class DenseInverseSearch:
    """The flow from one frame to another. preset: "ultrafast", "fast" or "medium", the most accurate. Raises InputError."""

    def __init__(self, preset: str = "medium"):
        if preset not in PRESETS:
            raise InputError(f"the flow is {', '.join(PRESETS)}, not {preset!r}")
        import cv2

        self._search = cv2.DISOpticalFlow.create(PRESETS.index(preset))

    def __call__(self, start: Tensor, end: Tensor) -> Tensor:
        """(3, H, W) twice -> (2, H, W). Frames with a side below 16 do not move: the flow is zero there."""
        if min(start.shape[-2:]) < 16:
            return torch.zeros(2, *start.shape[-2:])
        import cv2

        grey = [cv2.cvtColor(f.permute(1, 2, 0).mul(255).round().byte().cpu().numpy(), cv2.COLOR_RGB2GRAY) for f in (start, end)]
        return (
            torch.from_numpy(self._search.calc(grey[0], grey[1], np.zeros((*grey[0].shape, 2), np.float32))).permute(2, 0, 1).contiguous()
        )
