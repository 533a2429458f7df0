"""The regions of one painting job: by masks, one grey mask for each style, or found by themselves; and how they are shown."""

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from impasto.errors import InputError
from impasto.job.plan import Job
from impasto.job.request import RegionRequest, Request
from impasto.job.styles import gather_styles
from impasto.media.images import Picture, filled_pixels, read_picture, resize, write_picture
from impasto.media.masks import Regions, load_regions, load_shares, overview
from impasto.methods.declaration import StyleSource
from impasto.runtime.device import Place, choose_place
from impasto.runtime.encoders import load_encoder
from impasto.runtime.size import usual_size, working_size
from impasto.settings import PHOTO_SIDE, Controls


def matched_regions(request: RegionRequest, job: Job, source: StyleSource, controls: Controls, place: Place) -> Regions:
    """The regions of one job, shown if that was asked for. Raises ImpastoError."""
    pixels, size = _opened(job, controls)
    if request.count is None:
        sizes = [(picture.shape[-2], picture.shape[-1]) for picture in source.pictures]
        regions = load_regions(
            request.masks[0], list(request.style_masks), content_size=size, style_sizes=sizes, max_pixels=_limit(controls)
        )
    elif job.moving:
        raise InputError("regions are found in photos; a film needs masks")
    else:
        regions = _found(resize(pixels, size)[None], source, request.count, controls, place)
    if job.shown is not None:
        write_picture(Picture(overview(resize(pixels, size), source.pictures, regions)), job.shown)
    return regions


def found_regions(request: Request) -> Regions:
    """The regions of the one photo of a request and of its styles, found by themselves. Raises ImpastoError."""
    controls = request.controls
    source = gather_styles(request.styles, request.weights, controls, request.regions.kind)
    job = Job(Path(request.inputs[0]), Path())
    return matched_regions(request.regions, job, source, controls, choose_place(controls.device, controls.precision, painting=True))


def shares_of(request: RegionRequest, job: Job, source: StyleSource, controls: Controls) -> Tensor:
    """One grey mask for each style, (1, K, H, W). Raises ImpastoError."""
    _, size = _opened(job, controls)
    return load_shares(request.masks, len(source.styles), size, max_pixels=_limit(controls))


def with_regions(source: StyleSource, regions: Regions) -> StyleSource:
    """The styles with their masks."""
    return replace(source, masks=regions.styles)


def _found(photo: Tensor, source: StyleSource, count: int, controls: Controls, place: Place) -> Regions:
    from impasto.methods.semantic.matching import joint_regions

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
        from impasto.job.film import film_size
        from impasto.job.moving import open_film

        film = open_film(job.source, controls)
        frame = next(iter(film))
        return filled_pixels(Picture(frame.pixels, frame.alpha)), film_size(film.info, controls, str(job.source))
    picture = read_picture(job.source, max_pixels=_limit(controls))
    return filled_pixels(picture), working_size(picture.size, usual_size(controls.size, PHOTO_SIDE), str(job.source))
