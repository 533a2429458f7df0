"""A draft without PyTorch: one photo in one learned style is read, painted by OpenVINO and written before PyTorch would be loaded.

It is what the usual way paints, up to rounding. Whatever is not as simple is left to the usual way, and so is whatever is wrong.
"""

import logging
import os
import time
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import numpy as np

from impasto.backends.extras import is_installed
from impasto.backends.openvino_graph import network_graph, running
from impasto.errors import ImpastoError, UnavailableError
from impasto.job.outcome import Outcome, Summary
from impasto.job.painted_before import Records, said
from impasto.job.plan import Job, plan
from impasto.job.request import PathLike, Request
from impasto.job.resolve import StyleFact, resolve
from impasto.media.image_writer import check_writable, holds_alpha, write_still
from impasto.media.opening import is_film
from impasto.media.stills import Still, read_still, resized_whole
from impasto.media.transparency import filled
from impasto.methods.table import methods
from impasto.names import is_plain_name
from impasto.networks.grain import painted as grain_of
from impasto.networks.layers import FIRST
from impasto.networks.shape import NETWORK, shape_of, unpacked
from impasto.runtime.size import usual_size, working_size
from impasto.settings import AUTO, PHOTO_SIDE, Controls
from impasto.storage.registry import bundled, locate
from impasto.storage.style_file import StyleFile, read_style

log = logging.getLogger("impasto")


@dataclass(frozen=True)
class _Ready:
    """A photo that is read, the style that it is painted in, and where it goes. messages: of the plan."""

    still: Still
    style: StyleFile
    job: Job
    records: Records
    messages: tuple[str, ...] = ()


def paint_at_once(request: Request) -> Summary | None:
    """The photo, painted; None, and nothing is written, if the usual way has to."""
    began = time.monotonic()
    ready = _prepared(request)
    if ready is None or isinstance(ready, Summary):
        return ready
    try:
        pixels = _painted(ready, request.controls)
    except UnavailableError:  # it is installed, and cannot be loaded
        return None
    log.info("painted by OpenVINO %s, without PyTorch", metadata.version("openvino"))
    output = ready.job.output
    left_out = write_still(replace(ready.still, pixels=pixels), output, exif=request.controls.keep_metadata)
    remark = "; ".join((*ready.still.messages, *left_out))
    outcome = Outcome(Path(request.inputs[0]), output, pixels.shape[:2], time.monotonic() - began, remark=remark)
    ready.records.note(ready.job, outcome)
    return Summary([outcome], left_out=ready.messages)


def _prepared(request: Request) -> _Ready | Summary | None:
    """Everything that is needed, if this way can and nothing is wrong; or that the photo was painted before."""
    controls = request.controls
    if not _is_simple(request) or not _is_usual(controls) or not is_installed("openvino"):
        return None
    try:
        style = _learned(request.styles[0])
        if style is None:
            return None
        name, method = style.record.name, methods()[style.record.method]
        fact = StyleFact(name, method.name, method.steady(style))
        if resolve(controls, [fact], methods(), films=False).quality != "draft":
            return None
        planned = plan(request.inputs, request.output, name, beside=request.styles)
        job = planned.jobs[0]
        records = Records(request, [job])
        if not request.again and (there := records.there(job)) is not None:
            return Summary([there], left_out=said([there]))
        still = None if job.moving else read_still(job.source, max_pixels=controls.max_megapixels * 1_000_000)
        if still is None or (still.alpha is not None and not holds_alpha(job.output)):
            return None
        size = working_size(still.pixels.shape[:2], usual_size(controls.size, PHOTO_SIDE))
        check_writable(job.output, inputs=(job.source,), size=size)
    except ImpastoError:
        return None
    if max(size) > FIRST:
        return None
    colors, alpha = resized_whole(still.pixels, still.alpha, size)
    return _Ready(replace(still, pixels=filled(colors, alpha), alpha=alpha), style, job, records, planned.left_out)


def _is_simple(request: Request) -> bool:
    """Whether it is one photo in one style."""
    one = len(request.inputs) == len(request.styles) == 1 and request.weights is None
    here = not request.frames and request.part is None and request.cluster is None and request.selection is None
    return one and here and request.regions.kind == "pictures" and Path(request.inputs[0]).is_file() and not is_film(request.inputs[0])


def _is_usual(controls: Controls) -> bool:
    """Whether nothing is asked for that is beyond a network in one pass on a processor."""
    untouched = not any((controls.stroke, controls.style_size, controls.keep_color, controls.memory, controls.exact, controls.options))
    place = controls.device in (AUTO, "cpu") and controls.backend in (AUTO, "openvino")
    return untouched and place and controls.precision in (AUTO, "float32", "bfloat16") and 0 < controls.strength <= 1


def _learned(style: PathLike) -> StyleFile | None:
    """A bundled style or a style file with a network of its own, its tensors as arrays. Raises StyleError."""
    text = os.fspath(style)
    path = locate(text, "style") if is_plain_name(text) and text in bundled("style") else Path(text)
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    file = read_style(path, arrays=True)
    method = methods().get(file.record.method)
    whole = file.record.network == NETWORK and "affine" not in file.tensors
    return file if whole and method is not None and method.one_pass else None


def _painted(ready: _Ready, controls: Controls) -> np.ndarray:
    """(H, W, 3) bytes."""
    shape, threads = shape_of(ready.style.record), int(os.environ.get("OMP_NUM_THREADS") or 0)
    weights = unpacked(ready.style.tensors, ready.style.record.name)  # type: ignore[arg-type]
    size = ready.still.pixels.shape[:2]
    run = running(network_graph(weights, shape, size), precision=controls.precision, threads=threads)
    photo = ready.still.pixels[None].astype(np.float32) / 255
    grain = shape.grain * grain_of(size, smooth=shape.smooth)[0, 0, :, :, None] if shape.grain else np.float32(0)
    painted = run([photo + grain])
    mixed = photo + np.float32(controls.strength) * (painted - photo) if controls.strength < 1 else painted
    made: np.ndarray = np.rint(mixed[0].clip(0, 1) * 255).astype(np.uint8)
    return made
