"""Photos that would not fit into memory in one piece: how they are cut is planned before work begins, then they are painted by tiles."""

import hashlib
import math
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil
from torch import Tensor

from impasto import __version__
from impasto.errors import InputError
from impasto.events import Listener
from impasto.files import beside, check_space, stamp
from impasto.job.plan import Job
from impasto.job.request import PathLike
from impasto.media.canvas import Canvas, tiles
from impasto.media.color import KEEP_COLOR, Recolor
from impasto.media.image_writer import check_writable
from impasto.media.large_files import Header, LargePicture, read_header, read_large, write_large
from impasto.media.masks import load_shares
from impasto.runtime.device import Place
from impasto.runtime.large import KeepFor, Local, Plan, Tiling, Work, paint_by_tiles
from impasto.runtime.size import pyramid, usual_size, working_size
from impasto.runtime.stylizer import Stylizer
from impasto.settings import PHOTO_SIDE, Controls

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
READING = 36
"""Bytes that a pixel of the photo takes while it is read and resized in one piece, as floats."""
DECODING = 12
"""The same as bytes, with Pillow."""
WORKING = 60
"""Bytes that a pixel of what is painted takes beside the stylizer: the photo, the painting, and copies of both."""
TILE = 900
"""Bytes that a pixel of a tile takes, on processors without AMX, which take more."""
LEAST_TILE, USUAL_TILE = 96, 1024
"""Sides of tiles in pixels."""
GRAIN = 1.5
"""Bytes that the coarser cells of the grain take for each pixel of what is painted, held while it is."""
OVERLAP = 128
"""What a tile and the surroundings that it needs have more on both sides together."""
LEAST_WHOLE = 128 * 128
"""Pixels that are painted in one piece at the least."""
PLANNED = 0.85
"""Share of what is left that is planned with; the rest is for free memory that lies in pieces."""
BESIDE = 112 * 2**20
"""Bytes that libraries take for themselves while they work."""


@dataclass(frozen=True)
class Cut:
    """A photo that is painted by tiles: its header, the size that it is painted at, and how it is cut."""

    header: Header
    size: tuple[int, int]
    plan: Plan


def memory_of(asked: str | None) -> int:
    """Bytes that this process may take in all: what was asked for, such as "4G" or "500M", or half of what is free. Raises InputError."""
    if asked is None:
        return _taken() + int(psutil.virtual_memory().available) // 2
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?", asked.strip().upper())
    if found is None or float(found[1]) == 0:
        raise InputError(f"--memory is a number with K, M, G or T, as 4G or 500M, not {asked!r}")
    return int(float(found[1]) * _UNITS[found[2]])


def _taken() -> int:
    return int(psutil.Process().memory_info().rss)


def cut(job: Job, controls: Controls, bytes_a_pixel: int) -> Cut | None:
    """How a photo has to be cut; None if it fits into memory in one piece. Raises InputError if no way fits, PictureError."""
    header = read_header(job.source, max_pixels=controls.max_megapixels * 1_000_000)
    size = working_size(header.size, usual_size(controls.size, PHOTO_SIDE), str(job.source))
    own, there_is, begun = math.prod(header.size), memory_of(controls.memory), _taken() + BESIDE + GRAIN * math.prod(size)
    left = PLANNED * (there_is - begun)
    if own * READING + math.prod(size) * (WORKING + bytes_a_pixel) <= left:
        return None
    reading = 0 if header.streamed else own * (DECODING if header.bits == 8 else READING)
    whole = min(left / (WORKING + bytes_a_pixel), math.prod(size))
    side = min(USUAL_TILE, int((max(0.0, left) / TILE) ** 0.5) - OVERLAP) // 4 * 4
    if side < LEAST_TILE or whole < LEAST_WHOLE or reading > left:
        least = max(LEAST_WHOLE * (WORKING + bytes_a_pixel), TILE * (LEAST_TILE + OVERLAP + 4) ** 2, reading)
        needed = begun + least / PLANNED
        raise InputError(
            f"{job.source} needs at least {needed / 2**20:,.0f} MB to be painted, and may take {there_is / 2**20:,.0f} (--memory)"
        )
    return Cut(header, size, Plan(whole, side, controls.exact))


def paint_large(
    stylizer: Stylizer,
    job: Job,
    found: Cut,
    controls: Controls,
    place: Place,
    *,
    masks: Tensor | None,
    selection: PathLike | None = None,
    identity: str,
    listener: Listener,
) -> str:
    """Paint a photo by tiles from file to file; returns what there is to say of it. What is stopped is resumed if all is the same.

    Raises ImpastoError.
    """
    if controls.exact and not isinstance(stylizer, Tiling):
        raise InputError(
            "--exact is for what learned networks paint as drafts (--quality draft); everything else has its statistics exactly"
        )
    check_writable(job.output, inputs=(job.source,), size=found.size)
    check_space(job.output, math.prod(found.size) * 40)
    facts = [__version__, str(job.source.resolve()), stamp(job.source), sorted(asdict(replace(controls, memory=None)).items()), identity]
    facts += [found.size, "" if masks is None else hashlib.sha256(masks.float().cpu().numpy().tobytes()).hexdigest()]
    work = Work(beside(job.output, "parts"), hashlib.sha256(repr(facts).encode()).hexdigest())
    plan = found.plan.kept(work)
    if not work.done("read"):
        photo = read_large(job.source, work.folder, found.size, max_pixels=controls.max_megapixels * 1_000_000)
        photo.fill()
        work.note("read", 1 + (photo.alpha is not None))
    else:
        photo = LargePicture.there(work.folder, found.size, alpha=work.done("read") > 1, header=found.header)
    painted = paint_by_tiles(
        stylizer,
        photo.pixels,
        work,
        plan,
        device=place.device,
        masks=masks,
        keep=None if controls.keep_color is None else _kept(KEEP_COLOR[controls.keep_color], photo.alpha),
        listener=listener,
    )
    if selection is not None:
        painted = _selected(photo.pixels, painted, selection, work.folder, controls)
    result = replace(photo, pixels=painted)
    left_out = write_large(result, job.output, exif=controls.keep_metadata, background=controls.background)
    shutil.rmtree(work.folder, ignore_errors=True)
    said = [*found.header.messages, *left_out]
    height, width = plan.parted(pyramid(found.size, 16, least=1))[0][-1]
    if not isinstance(stylizer, (Tiling, Local)) and (height, width) != found.size:
        said.append(f"painted at {width}x{height}, then enlarged with the photo's detail (--memory)")
    return "; ".join(said)


def _kept(keep: Callable[[Tensor, Tensor, Tensor | None], Recolor], alpha: Canvas | None) -> KeepFor:
    """What keeps the colours of a photo, measured where something can be seen."""
    return lambda painted, photo: keep(painted, photo, None if alpha is None else alpha.whole((photo.shape[-2], photo.shape[-1])))


def _selected(photo: Canvas, painted: Canvas, selection: PathLike, folder: Path, controls: Controls) -> Canvas:
    """The painting inside the selection and the photo outside of it, in a file of its own, so that it can be made again."""
    found = Canvas(folder / "selected.raw", photo.size, deep=painted.deep)
    share = load_shares([selection], 1, photo.size, max_pixels=controls.max_megapixels * 1_000_000)
    for box in tiles(photo.size, USUAL_TILE):
        found.write(box, photo.read(box).lerp(painted.read(box), box.of(share)))
    return found
