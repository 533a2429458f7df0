"""A look: what was done to the colours of a photo, as a table for other photos and films."""

from dataclasses import replace
from pathlib import Path

import torch

from impasto.errors import InputError
from impasto.events import Listener
from impasto.files import check_folder
from impasto.job.build import for_pictures
from impasto.job.request import PathLike
from impasto.job.resolve import resolve
from impasto.job.styles import facts_of, gather_styles
from impasto.media.images import filled_pixels, read_picture, rescale
from impasto.media.stills import fit_within
from impasto.methods.lut.cube import LEAST, MOST, SUFFIX, write_cube
from impasto.methods.lut.fit import fitted
from impasto.methods.table import methods
from impasto.runtime.device import choose_place
from impasto.runtime.outputs import Outputs
from impasto.settings import PHOTO_WEIGHT, Controls

PHOTO_REAL = {"photoreal": PHOTO_WEIGHT}
"""How the photo is painted where nothing else is said."""
SIDE = 512
"""Longer side, in pixels, that it is painted at where no size is given."""


def make_look(
    photo: PathLike,
    styles: list[PathLike],
    output: PathLike | None,
    weights: list[float] | None,
    size: int,
    controls: Controls,
    listener: Listener,
) -> Path:
    """Paint a photo, fit a table of `size` colours a side to what became of its colours, and write it. Raises ImpastoError."""
    if not LEAST <= size <= MOST:
        raise InputError(f"a table has {LEAST} to {MOST} colours along each side, not {size}")
    source = gather_styles(styles, weights, controls)
    outputs = Outputs([photo, *styles])
    target = outputs.only(f"{Path(photo).stem}-{source.name}{SUFFIX}") if output is None else outputs.asked(output)
    if target.suffix.lower() != SUFFIX or target.is_dir():
        raise InputError(f"cannot write {target}: the name of a look ends in {SUFFIX}")
    check_folder(target)
    picture = read_picture(photo, max_pixels=controls.max_megapixels * 1_000_000)
    longest = SIDE if controls.size is None else controls.size or max(picture.size)
    fit = fit_within(picture.size, min(longest, max(picture.size)))
    seen = rescale(filled_pixels(picture)[None], fit)
    shows = torch.ones(fit) > 0 if picture.alpha is None else rescale(picture.alpha[None], fit)[0, 0] > 0.5
    options = controls.options if controls.options or controls.method != Controls.method else PHOTO_REAL
    decision = resolve(replace(controls, options=options), facts_of(source), methods(), live=True)
    place = choose_place(controls.device, controls.precision, painting=True)
    painted = for_pictures(decision, source, place, listener)(seen.to(place.device))
    with torch.no_grad():
        table = fitted(seen[0][:, shows], painted[0].float().cpu()[:, shows], size)
    return write_cube(target, table, title=target.stem)
