"""How a painting is learned (Zhang et al. 2019, section 3.3); free of heavy imports."""

from dataclasses import dataclass, field
from typing import get_args

from impasto.errors import InputError, unknown
from impasto.perception.presets import PRESETS
from impasto.settings import Settings, setting
from impasto.training.settings import USUAL_KINDS, FittingSettings, Kind

_KINDS = get_args(Kind)


@dataclass(frozen=True)
class Adaptation(Settings):
    """How a painting is learned.

    style_size is the shorter side that the painting is brought to; larger paints with larger strokes. content_weight and tv_weight replace
    those of the loss.

    film: learn it for films too, so that they are stable without optical flow: a share of the steps is on pairs of frames of moving scenes
    made of those pictures, with noise and without grain, and neighbours are held together along their exact motion. Films are then painted
    without the grain, which would stand still while the film moves; photos with it, as ever.

    live: learn a network for live films, with a sixth of the work, from the large one that is learned first.
    """

    training: FittingSettings = field(default_factory=FittingSettings)
    style_size: int = setting(448, "", low=32, says="a style size below 32 pixels is too small to hold a stroke")
    loss: str = setting("strokes", "Preset of the perceptual loss.")
    content_weight: float | None = setting(None, "Higher keeps more of the photo.", low=0)
    tv_weight: float | None = setting(None, "Weight of the total variation.", low=0)
    made: int = setting(48, "Pictures that are made to learn on, where no photos are given.", low=1)
    kinds: tuple[Kind, ...] = setting(USUAL_KINDS, f"Which ones, in turn: {', '.join(_KINDS)}.")
    film: bool = setting(False, "Learn it for films.", shown=False)
    live: bool = setting(False, "Learn a small network, for live films.", shown=False)
    temporal_weight: float = setting(40.0, "For films: higher is steadier, and less of the style.", low=0)
    film_share: float = setting(0.75, "For films: share of the steps that are on frames; the others are on photos.", above=0, high=1)
    camera_noise: float = setting(0.02, "For films: deviation of the noise of frames, where white is 1.", low=0)

    def __post_init__(self) -> None:
        if self.loss not in PRESETS:
            raise InputError(unknown("loss", self.loss, PRESETS))
        if not self.kinds or set(self.kinds) - set(_KINDS):
            raise InputError(f"contents are made as {', '.join(_KINDS)}, not as {', '.join(self.kinds) or 'nothing'}")
        super().__post_init__()


FOR_PHOTOS = Adaptation()
"""How a painting is learned when nothing else is said."""
FOR_LIVE = Adaptation(
    training=FittingSettings(steps=1200, crop=192), content_weight=0.1, film=True, live=True, temporal_weight=5.0, film_share=0.5
)
"""How a small network is learned from the large one. Small networks are steady and near the photo by themselves."""
FOR_FILMS = Adaptation(training=FittingSettings(steps=300, crop=224), content_weight=0.1, film=True)
"""How it is learned for films too. Neighbours that are held together keep contours, so that less of the content term is needed."""
