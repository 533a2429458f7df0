"""Style transfer by optimisation of the picture itself (Gatys, Ecker and Bethge 2016), the yardstick of all others.

Coarse to fine over sizes and one Gram matrix per region as in Gatys et al. 2017, several style pictures with weights,
any preset of the perceptual loss, L-BFGS or Adam.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from impasto.errors import InputError
from impasto.events import Interrupted, Listener, silence
from impasto.gradients import with_gradients
from impasto.media.images import rescale, stroke_side, style_at
from impasto.methods.gatys.settings import GatysSettings
from impasto.perception.loss import PerceptualLoss, StyleTarget
from impasto.perception.optimisation import PixelOptimisation
from impasto.runtime.size import pyramid

GREY_LEVEL = 1 / 255


@dataclass
class Gatys:
    """The stylizer: the style is set once, every call paints one batch of photos of the same size.

    styles: pictures (1, 3, h, w), RGB in [0, 1], with `weights` (equal by default), and for painting by regions a mask
    (1, K, h, w) for each. Calls raise Interrupted, with the picture so far, when the user stops them.
    """

    loss: PerceptualLoss
    styles: Sequence[Tensor]
    settings: GatysSettings = field(default_factory=GatysSettings)
    weights: Sequence[float] | None = None
    style_masks: Sequence[Tensor] | None = None
    listener: Listener = silence
    _targets: dict[int, StyleTarget] = field(default_factory=dict, init=False, repr=False)

    @with_gradients
    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Paint photos (B, 3, H, W) in [0, 1]; masks (1, K, H, W) if style masks were given. Same size out."""
        if (masks is None) != (self.style_masks is None):
            raise InputError("masks are needed for both the photo and the style pictures, or for neither")
        if self.settings.strength == 0:
            return image.clone()
        sizes = pyramid((image.shape[-2], image.shape[-1]), self.settings.levels)
        loss = self.loss.with_weights(style_weight=self.loss.settings.style_weight * self.settings.strength)
        settings = self.settings
        run = PixelOptimisation(
            self._first(image),
            len(sizes) * settings.iterations,
            self.listener,
            settings.optimiser,
            settings.learning_rate,
            preview_every=settings.preview_every,
        )
        try:
            for size in sizes:
                content = loss.content_target(rescale(image, size), masks=None if masks is None else rescale(masks, size))
                style = self._style_target(loss, size, image)
                run.run(loss, rescale(run.picture, size), content, style, settings.iterations)
        except KeyboardInterrupt:
            raise Interrupted(run.picture.clamp(0, 1)) from None
        return run.picture.clamp(0, 1)

    def _first(self, image: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(self.settings.seed)
        if self.settings.start != "content":
            return torch.rand(image.shape, generator=generator).to(image)
        if float(image.std((-2, -1)).max()) > GREY_LEVEL:
            return image
        # Without any texture all places are alike, and so are their gradients: they have to be told apart.
        return (image + 2 * GREY_LEVEL * torch.randn(image.shape, generator=generator).to(image)).clamp(0, 1)

    def _style_target(self, loss: PerceptualLoss, size: tuple[int, int], image: Tensor) -> StyleTarget:
        """Statistics of the style pictures at this level, shrunk as the photo is; made once per size."""
        short = stroke_side(self.settings.stroke, min(size))
        if self.settings.style_size is not None:
            short = round(self.settings.style_size * min(size) / min(image.shape[-2:]))
        if short not in self._targets:
            scaled = [style_at(style.to(image), short) for style in self.styles]
            masks = self.style_masks
            if masks is not None:
                masks = [rescale(mask.to(image), (s.shape[-2], s.shape[-1])) for mask, s in zip(masks, scaled, strict=True)]
            self._targets[short] = loss.style_target(scaled, weights=self.weights, masks=masks)
        return self._targets[short]
