"""The regions of one painting job: by masks, one grey mask for each style, or found by themselves; and how they are shown."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from impasto.errors import InputError
from impasto.media.images import Picture, read_picture, resize, write_picture
from impasto.media.masks import Regions, load_regions, load_shares, overview
from impasto.methods.declaration import StyleSource
from impasto.methods.semantic.regions import joint_regions
from impasto.methods.table import default_method, find_method
from impasto.runtime.device import Place
from impasto.runtime.encoders import load_encoder
from impasto.runtime.engine import Job
from impasto.runtime.film import film_size, open_film
from impasto.runtime.size import working_size
from impasto.settings import AUTO, Controls

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class RegionRequest:
    """What was asked for: masks of the photo and of the styles, a number of regions to find, or nothing of it."""

    masks: Sequence[PathLike] = ()
    style_masks: Sequence[PathLike] = ()
    count: int | None = None
    show: bool = False

    def __post_init__(self) -> None:
        if self.count is not None and (self.masks or self.style_masks):
            raise InputError("regions are found by themselves or given as masks, not both")
        if self.style_masks and not self.masks:
            raise InputError("masks of style pictures need a mask of the photo too")
        if self.style_masks and len(self.masks) != 1:
            raise InputError("with masks of the style pictures there is one mask of the photo, a label map")
        if self.show and not self.matching:
            raise InputError("there are no regions to show: give masks of photo and style, or regions auto:4")

    @property
    def matching(self) -> bool:
        """Whether regions of the photo meet regions of the styles."""
        return bool(self.style_masks) or self.count is not None

    @property
    def method(self) -> str | None:
        """The method that "auto" means then, if regions decide it."""
        return default_method("regions") if self.matching else default_method("shares") if self.masks else None

    def matched(self, job: Job, source: StyleSource, controls: Controls, place: Place) -> Regions:
        """The regions of one job, shown if that was asked for. Raises ImpastoError."""
        pixels, size = _opened(job, controls)
        if self.count is None:
            sizes = [(picture.shape[-2], picture.shape[-1]) for picture in source.pictures]
            regions = load_regions(self.masks[0], list(self.style_masks), content_size=size, style_sizes=sizes, max_pixels=_limit(controls))
        elif job.moving:
            raise InputError("regions are found in photos; a film needs masks")
        else:
            regions = _found(resize(pixels, size)[None], source, self.count, controls, place)
        if job.shown is not None:
            write_picture(Picture(overview(resize(pixels, size), source.pictures, regions)), job.shown)
        return regions

    def shares(self, job: Job, source: StyleSource, controls: Controls) -> Tensor:
        """One grey mask for each style, (1, K, H, W). Raises InputError if the method cannot take them."""
        if "shares" not in find_method(controls.method).masks:
            raise InputError(
                f"{controls.method} needs a mask of each style picture too; "
                f"--method {default_method('shares')} takes a mask of the photo for each style"
            )
        _, size = _opened(job, controls)
        return load_shares(self.masks, len(source.styles), size, max_pixels=_limit(controls))


def count_of(regions: str) -> int:
    """4 of "auto:4", or of "auto". Raises InputError."""
    kind, _, count = regions.partition(":")
    if kind != AUTO or not (count or "4").isdigit():
        raise InputError(f"regions are auto:4, for four of them, not {regions!r}")
    return int(count or 4)


def with_regions(source: StyleSource, regions: Regions) -> StyleSource:
    """The styles with their masks."""
    return replace(source, masks=regions.styles)


def _found(photo: Tensor, source: StyleSource, count: int, controls: Controls, place: Place) -> Regions:
    content, styles = joint_regions(load_encoder(controls.encoder, place), photo, source.pictures, count, seed=controls.seed)
    report = []
    for region in range(content.shape[1]):
        shares = [f"{float(mask[0, region].mean()):.0%} of {style.name}" for mask, style in zip(styles, source.styles, strict=True)]
        report.append(f"region {region + 1}: {float(content[0, region].mean()):.0%} of the photo, {', '.join(shares)}")
    return Regions(content, styles, report)


def _limit(controls: Controls) -> int:
    return controls.max_megapixels * 1_000_000


def _opened(job: Job, controls: Controls) -> tuple[Tensor, tuple[int, int]]:
    """The photo, or the first frame of a film, (3, H, W), and the height and width that it is painted at."""
    if job.moving:
        film = open_film(job.source, controls)
        return next(iter(film)).pixels, film_size(film.info, controls, str(job.source))
    picture = read_picture(job.source, max_pixels=_limit(controls))
    return picture.pixels, working_size(picture.size, controls.size, str(job.source))
