"""Finishing: a painted picture is optimised for a few steps, coarse to fine, so that strokes are large and nothing is left unpainted.

What a stylizer paints is the draft: where the optimisation of Gatys et al. 2016 begins at the coarsest size. At each finer size it
begins with the result of the size before, brought up, and the detail that the photo has at this size and not at the one before: contours
stay sharp, no texture of the network comes along, and strokes belong to the picture instead of the pixel. Above FIRST only detail is added,
so that an enlargement looks alike from afar. Zhang et al. 2019 name their network's pictures as a start for Gatys.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.events import Interrupted, Listener, silence
from impasto.gradients import with_gradients
from impasto.media.images import finer_detail, rescale, stroke_side
from impasto.perception.loss import PerceptualLoss
from impasto.perception.optimisation import PixelOptimisation
from impasto.perception.style_sizes import StyleSizes
from impasto.runtime.size import pyramid
from impasto.runtime.stylizer import Stylizer

FIRST = 1024
"""Longer side, in pixels, of the draft that all coarser sizes begin with: the same for a picture and its enlargements."""
PREVIEW_EVERY = 5
"""Iterations between previews."""
COARSEST = 80
"""Shorter side, in pixels, that the coarsest size has at least."""
LARGEST = 4_200_000
"""Pixels of the largest size that is optimised; above, the photo's detail is added."""


BYTES_A_PIXEL = 1100
"""What finishing takes for each pixel, in half precision with the compact encoder."""


@dataclass(frozen=True)
class Effort:
    """How much work finishing is: iterations at each size from the coarsest on, the last number for all that follow."""

    iterations: Sequence[int]

    def at(self, level: int) -> int:
        """Iterations at a size, 0 the coarsest."""
        return self.iterations[min(level, len(self.iterations) - 1)]


EFFORTS = {"fine": Effort((20, 20, 10, 6)), "best": Effort((100, 120, 60, 30))}
"""By the quality that is asked for."""


@dataclass
class Finished:
    """A stylizer whose pictures are finished.

    draft: what paints first; it keeps the contract of stylizers.
    styles: the targets of its styles.
    loss: what is minimised, over an encoder.
    effort: how long.
    strength: scales the weight of the style, as far as 1; 0 leaves the draft.
    stroke: shorter side of the painting against that of the picture; larger paints with larger strokes.
    style_size: the shorter side of the painting at the full size in pixels instead.
    shares: whether masks are a part of the picture for each style; what none covers stays as the draft has it.
    """

    draft: Stylizer
    styles: StyleSizes
    loss: PerceptualLoss
    effort: Effort
    strength: float = 1.0
    stroke: float = 1.0
    style_size: int | None = None
    shares: bool = False
    listener: Listener = silence

    @with_gradients
    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Paint photos (B, 3, H, W) in [0, 1]. Raises Interrupted, with the picture so far, when the user stops it."""
        if self.strength == 0:
            return self.draft(image, masks=masks)
        size = (image.shape[-2], image.shape[-1])
        stroke = self.stroke if self.style_size is None else self.style_size / min(size)
        levels = pyramid(size, 16, least=COARSEST)
        optimised = [level for level in levels if level == levels[0] or level[0] * level[1] * len(image) <= LARGEST]
        total = sum(self.effort.at(number) for number in range(len(optimised)))
        run = PixelOptimisation(image, total, self.listener, history=10, spare=(0.25, 2), preview_every=PREVIEW_EVERY)
        loss = self.loss.with_weights(style_weight=self.loss.settings.style_weight * min(1.0, self.strength))
        try:
            first = max([0, *(number for number, level in enumerate(levels) if max(level) <= FIRST)])
            drafted = self._drafted(image, masks, levels[first])
            for number, level in enumerate(levels):
                photo, coarse = rescale(image, level), run.picture
                start = rescale(coarse, level) + finer_detail(photo, levels[number - 1]) if number else rescale(drafted, level)
                run.picture = start = start.clamp(0, 1)
                if level not in optimised:
                    continue
                places = None if masks is None else rescale(masks, level)
                content = loss.content_target(photo.contiguous(memory_format=torch.channels_last), masks=places)
                style = self.styles(stroke_side(stroke, min(level)))
                run.run(loss, start, content, style, self.effort.at(number))
                if number > first:
                    run.picture = rescale(coarse, level) + finer_detail(run.picture, levels[number - 1])
                kept = rescale(drafted, level) if number <= first else start
                run.picture = self._covered(run.picture.clamp(0, 1), kept, places)
        except KeyboardInterrupt:
            raise Interrupted(run.picture.clamp(0, 1)) from None
        return run.picture

    def _drafted(self, image: Tensor, masks: Tensor | None, size: tuple[int, int]) -> Tensor:
        return self.draft(rescale(image, size), masks=None if masks is None else rescale(masks, size)).to(image)

    def _covered(self, picture: Tensor, kept: Tensor, masks: Tensor | None) -> Tensor:
        """The finished picture where styles have their share, what is kept elsewhere."""
        if masks is None or not self.shares:
            return picture
        return torch.lerp(kept, picture, masks.sum(1, keepdim=True).clamp(0, 1).to(picture))
