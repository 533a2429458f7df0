"""How stable films are: e_stab per scene and its companions, side by side for several stylizers (Chen et al. 2020, section 4.2).

e_stab alone is won by blur and by low contrast, so that beside it stand its quotient by the deviation of the colours, the same over five
and over ten frames, the input's own, and the style and content losses of the painted frames.
"""

import itertools
import statistics
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from impasto.errors import InputError
from impasto.evaluation.each import Each, in_order
from impasto.evaluation.fidelity import Judge, distinct
from impasto.evaluation.footage import Footage
from impasto.evaluation.report import tables, write_report
from impasto.events import Listener, silence
from impasto.media.images import Picture, resize, style_at, write_picture
from impasto.media.stills import fit_within
from impasto.media.videos import even
from impasto.motion.cuts import is_cut
from impasto.motion.flow import DenseInverseSearch, Flow
from impasto.motion.occlusion import reliability
from impasto.motion.stability import Stability, StabilityMeter
from impasto.motion.warp import one_step_further
from impasto.perception.encoder import Encoder
from impasto.runtime.stylizer import Stylizer, VideoStylizer

APART = {"far": 5, "farther": 10}
"""Frames between the two of a long-range pair, by the field of a row."""
LOSSES_EVERY = 5
"""Frames between those whose losses are taken."""
INPUT = "input"
"""Name of the row of the film itself."""


@dataclass(frozen=True)
class StabilityRow:
    """One stylizer on one scene.

    e_stab: of neighbours; relative: by the deviation of the colours; far, farther: over five and ten frames, None if the scene is too
    short; style and content: mean losses of every fifth frame, None for the input or if no painting was given.
    """

    method: str
    scene: str
    e_stab: float
    relative: float
    far: float | None
    farther: float | None
    style: float | None
    content: float | None
    pairs: int


_MEANS = {
    "e_stab": "e_stab", "by deviation": "relative", "over 5 frames": "far", "over 10": "farther", "style loss": "style",
    "content loss": "content",
}  # fmt: skip
"""What is said of a stylizer over all scenes, and where it stands in a row."""


def painted_film(stylizer: Stylizer, frames: Iterator[Tensor]) -> Iterator[Tensor]:
    """Frames (3, H, W) as the stylizer paints them, rounded to 8 bits."""
    each = (stylizer(frame[None])[0] for frame in frames)
    for picture in stylizer.stream(frames) if isinstance(stylizer, VideoStylizer) else each:
        yield picture.detach().float().cpu().mul(255).round().clamp(0, 255).div(255)


def judge_scene(
    scene: Footage,
    stylizers: Mapping[str, Stylizer],
    *,
    size: int = 0,
    flow: Flow | None = None,
    encoder: Encoder | None = None,
    painting: Tensor | None = None,
    maps: Path | None = None,
) -> list[StabilityRow]:
    """Rows of all stylizers, and of the input itself, on one scene; the flow is found once for all.

    size: longer side that the film is brought to where its flow is estimated, 0 for its own; films of true flow keep theirs. painting:
    (1, 3, h, w), judged by the encoder. maps: folder for a picture of the errors near the end of the scene.
    """
    search, known = flow or DenseInverseSearch(), scene.truth is not None
    names = [INPUT, *stylizers]
    copies = itertools.tee(_sized(scene, 0 if known else size), len(names))
    films = [copies[0], *(painted_film(stylizer, copy) for stylizer, copy in zip(stylizers.values(), copies[1:], strict=True))]
    near = {name: StabilityMeter() for name in names}
    long = {frames: {name: StabilityMeter() for name in names} for frames in APART.values()}
    losses: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    recent: deque[dict[str, Tensor]] = deque(maxlen=max(long) + 1)
    steps: deque[tuple[Tensor, Tensor] | None] = deque(maxlen=max(long))
    shown: deque[dict[str, tuple[Tensor, Tensor]]] = deque(maxlen=3)
    for number, pictures in enumerate(zip(*films, strict=True)):
        recent.append(dict(zip(names, pictures, strict=True)))
        if encoder is not None and painting is not None and number % LOSSES_EVERY == 0:
            frame = recent[-1][INPUT][None]
            judge = Judge(encoder, frame, style_at(painting, min(frame.shape[-2:])))
            for name in stylizers:
                figures = judge(recent[-1][name][None])
                losses[name].append((statistics.mean(figures.style.values()), figures.content))
        if number == 0:
            continue
        # True flow goes from the earlier frame to the later one, estimated flow is taken the other way round.
        steps.append(_motion(scene, number, recent[-2][INPUT], recent[-1][INPUT], search))
        if steps[-1] is not None:
            one, other = recent[-2 if known else -1], recent[-1 if known else -2]
            shown.append({name: (one[name], near[name].add(one[name], other[name], *steps[-1])) for name in names})
        for frames, meters in long.items():
            route = [step for step in list(steps)[-frames:] if step is not None]
            if len(route) < frames:
                continue
            earlier = -1 - frames
            one, other = recent[earlier if known else -1], recent[-1 if known else earlier]
            composed = _composed(route if known else route[::-1])
            for name in names:
                meters[name].add(one[name], other[name], *composed)
    if not near[INPUT].result.pairs:
        raise InputError(f"{scene.name} has no two frames of one shot whose motion is known")
    if maps is not None:
        _write_maps(maps / f"{scene.name}-errors.png", shown[len(shown) // 2])
    return [_row(name, scene.name, near[name].result, [meters[name].result for meters in long.values()], losses[name]) for name in names]


def _sized(scene: Footage, size: int) -> Iterator[Tensor]:
    for frame in scene.frames():
        full = (frame.shape[-2], frame.shape[-1])
        target = even(full if size == 0 or max(full) <= size else fit_within(full, size)) if scene.truth is None else full
        yield resize(frame, target)


def _motion(scene: Footage, number: int, before: Tensor, frame: Tensor, search: Flow) -> tuple[Tensor, Tensor] | None:
    """Flow and mask between a frame and the one before; None across a cut, or where the truth is not known."""
    if scene.truth is not None:
        return scene.truth(number - 1)
    if is_cut(before, frame):
        return None
    backward, forward = search(frame, before)[None], search(before, frame)[None]
    return backward[0], reliability(backward, forward)[0]


def _composed(route: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """The flow over several steps, and where all of them can be traced."""
    flow, traced = (part[None] for part in route[0])
    for step, mask in route[1:]:
        flow, traced = one_step_further(flow, traced, step, mask)
    return flow[0], traced[0]


def _row(method: str, scene: str, near: Stability, long: Sequence[Stability], losses: Sequence[tuple[float, float]]) -> StabilityRow:
    far, farther = long
    return StabilityRow(
        method,
        scene,
        near.e_stab,
        near.relative,
        far.e_stab if far.pairs else None,
        farther.e_stab if farther.pairs else None,
        statistics.mean(style for style, _ in losses) if losses else None,
        statistics.mean(content for _, content in losses) if losses else None,
        near.pairs,
    )


def _write_maps(path: Path, pictures: Mapping[str, tuple[Tensor, Tensor]]) -> None:
    """A column for each row of the table: the frame, and below it where it differs from the one before; black is no error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [
        torch.cat([frame, (4 * error.square().sum(0).sqrt()).clamp(0, 1).expand(3, -1, -1)], 1) for frame, error in pictures.values()
    ]
    write_picture(Picture(torch.cat(columns, 2)), path)


@dataclass(frozen=True)
class StabilityReport:
    """All rows, scene by scene."""

    rows: list[StabilityRow]
    settings: dict[str, Any] = field(default_factory=dict)

    def of(self, method: str) -> list[StabilityRow]:
        """The rows of one stylizer."""
        return [row for row in self.rows if row.method == method]

    @property
    def methods(self) -> list[str]:
        """In the order of the rows."""
        return list(dict.fromkeys(row.method for row in self.rows))

    def show(self, console: Console) -> None:
        """e_stab by scene and in sum, as the paper's tables; then what stands beside it, means over the scenes."""
        scenes = list(dict.fromkeys(row.scene for row in self.rows))
        each = [{row.scene: row.e_stab for row in self.of(method)} for method in self.methods]
        lines = {scene: [f"{known[scene]:.4f}" if scene in known else "-" for known in each] for scene in scenes}
        lines["sum"] = [f"{sum(known.values()):.4f}" for known in each]
        means = {
            name: [_mean([getattr(row, attribute) for row in self.of(method)]) for method in self.methods]
            for name, attribute in _MEANS.items()
        }
        for corner, shown in (("e_stab", lines), ("mean of the scenes", means)):
            for table in tables(corner, self.methods, shown, console.width):
                console.print(table)

    def write(self, path: Path) -> None:
        """All figures as JSON."""
        sums = {method: sum(row.e_stab for row in self.of(method)) for method in self.methods}
        write_report(path, {"settings": self.settings, "sum": sums, "rows": [asdict(row) for row in self.rows]})


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.mean(known):.4f}" if known else "-"


Stylizers = Mapping[str, Stylizer] | Callable[[], Mapping[str, Stylizer]]


def evaluate_stability(
    scenes: Sequence[Footage],
    stylizers: Stylizers,
    *,
    size: int = 0,
    flow: Flow | None = None,
    encoder: Encoder | None = None,
    painting: Tensor | None = None,
    maps: Path | None = None,
    settings: dict[str, Any] | None = None,
    each: Each = in_order,
    listener: Listener = silence,
) -> StabilityReport:
    """`judge_scene` on every scene. stylizers: by name, or what makes them. each: what goes through the scenes. Events count scenes."""
    names = distinct([scene.name for scene in scenes])
    calls = [(replace(scene, name=name),) for scene, name in zip(scenes, names, strict=True)]
    judged = partial(_judged, stylizers, size, flow, encoder, painting, maps)
    return StabilityReport([row for rows in each(judged, calls, listener) for row in rows], settings or {})


def _judged(
    stylizers: Stylizers,
    size: int,
    flow: Flow | None,
    encoder: Encoder | None,
    painting: Tensor | None,
    maps: Path | None,
    scene: Footage,
) -> list[StabilityRow]:
    return judge_scene(
        scene, stylizers() if callable(stylizers) else stylizers, size=size, flow=flow, encoder=encoder, painting=painting, maps=maps
    )
