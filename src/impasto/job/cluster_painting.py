"""A job on a cluster: photos in batches, films by parts, each a task; what is done is done once, also after the driver died.

Where a machine sees the files of the driver, tasks pass their names; where it does not, their bytes, there and back.
"""

import hashlib
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from impasto.errors import ImpastoError
from impasto.events import Listener
from impasto.files import atomic_file, beside, check_folder, fingerprint, fitting
from impasto.job.build import bytes_a_pixel
from impasto.job.cluster import Cluster, Failure, Task, connected
from impasto.job.cluster_task import Painted, Seen, content_of, paint_here
from impasto.job.engine import OnDone, as_sentence
from impasto.job.large import memory_of as bytes_of
from impasto.job.moving import holds_parts, made_with, open_film
from impasto.job.outcome import Outcome, Summary
from impasto.job.painted_before import ALREADY
from impasto.job.parts import join_parts
from impasto.job.perform import Prepared, build
from impasto.job.plan import Job
from impasto.job.request import Part
from impasto.job.resolve import Decision
from impasto.job.spans import stretch_of
from impasto.job.style_paths import files_of
from impasto.media.animations import AnimationReader
from impasto.media.large_files import read_header
from impasto.runtime.device import Place, choose_place
from impasto.runtime.size import usual_size, working_size
from impasto.runtime.stylizer import memory_of
from impasto.settings import AUTO, PHOTO_SIDE

TASK_FRAMES = 250
"""Frames of a film that are one task, about: the same on every cluster, so that one resumes what another began."""
TASKS_A_CORE = 4
"""Batches of photos for each core: few enough to cost little, and enough for all cores to end at about the same time."""
MOST_PHOTOS = 16
"""Photos of a batch at the most."""
PROCESS = 3 << 29
"""Bytes that a process takes while it paints a film, and before it paints a photo."""
FRAME = 512 * 288
"""Pixels of a frame, which is the unit of work."""
FINISHING = 20
"""How much more work a finished picture is than a draft, about; nothing but the order of tasks and the bar depend on it."""
LOGS = "impasto-logs"
"""The folder beside the results where the logs of failed tasks go."""


def paint_on_cluster(
    prepared: Prepared,
    listener: Listener,
    there: Mapping[Path, Outcome] | None = None,
    on_done: OnDone = lambda job, outcome: None,
) -> Summary:
    """Paint what was prepared on the cluster that the request names. The same request resumes what an earlier one did not finish.

    What concerns one file is its outcome's error, and the log of its task lies beside the results; what concerns all raises ImpastoError.
    there: outcomes of jobs whose results are there already, by their outputs. on_done: is told of each whole result.
    """
    for job in prepared.jobs:
        check_folder(job.output)
    with connected(prepared.request.cluster or AUTO) as cluster:
        controls = prepared.request.controls
        place = choose_place(controls.device, controls.precision, painting=True)
        memories: dict[bool, int | None] = {}
        if prepared.request.regions.kind != "regions":  # which have styles of their own for each photo
            for moving, decision in prepared.decided.items():  # learned once, here
                memories[moving] = memory_of(build(decision, prepared.source, place, listener))
        work = _Work(prepared, place, memories, cluster, there or {}, on_done)
        with work.begun():
            try:
                work.do(cluster, listener)
            except KeyboardInterrupt:
                return Summary(work.outcomes, True, prepared.said)
        return Summary(work.outcomes, False, prepared.said)


@dataclass
class _File:
    """One file that was asked for: its job, what of it is to be painted, how many frames it has, and what became of it."""

    job: Job
    pieces: list[Job] = field(default_factory=list)
    frames: int = 0
    found: list[Outcome] = field(default_factory=list)
    outcome: Outcome | None = None


@dataclass(frozen=True)
class _Unit:
    """What one task paints: pieces of files with the numbers of these."""

    pieces: list[tuple[int, Job]]
    weight: float
    memory: int


class _Work:
    """All files of a job on their way."""

    def __init__(
        self,
        prepared: Prepared,
        place: Place,
        memories: Mapping[bool, int | None],
        cluster: Cluster,
        there: Mapping[Path, Outcome],
        on_done: OnDone,
    ):
        self.given, self.prepared = prepared, _absolute(prepared)
        pairs = zip(self.given.jobs, self.prepared.jobs, strict=True)
        self.files = [_File(job, outcome=there.get(given.output)) for given, job in pairs]
        self._bytes = {moving: bytes_a_pixel(decision, place) for moving, decision in prepared.decided.items()}
        self._memories, self._machines, self._on_done = memories, cluster.machines, on_done
        asked = prepared.request.controls.memory
        self._bound = None if asked is None else bytes_of(asked)
        regions = prepared.request.regions
        beside = [*files_of(prepared.request.controls), *map(Path, regions.masks), *map(Path, regions.style_masks)]
        self._identity = repr([prepared.source.identity, [(path.name, fingerprint(path)) for path in beside], regions.count])
        asked_for = repr([self._identity, [(str(file.job.source), str(file.job.output)) for file in self.files]])
        self._token = f"{hashlib.sha256(asked_for.encode()).hexdigest()[:16]}.token"
        self._secret = secrets.token_hex(16)

    @property
    def outcomes(self) -> list[Outcome]:
        """What became of the files that are done, in order, by the names that they were given by."""
        pairs = zip(self.given.jobs, self.files, strict=True)
        return [
            replace(file.outcome, source=job.source, output=job.output if file.outcome.output else None)
            for job, file in pairs
            if file.outcome is not None
        ]

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Everything is looked at, and what lies beside the results while they are made is removed in the end."""
        folders = {_mark(file.job).parent for file in self.files}
        try:
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / self._token).write_text(self._secret, encoding="utf-8")
            for file in self.files:
                if file.outcome is None:
                    self._look_at(file)
            yield
        finally:
            done = all(file.outcome is not None and file.outcome.error is None for file in self.files)
            for file in self.files if done else []:
                _mark(file.job).unlink(missing_ok=True)
            for folder in folders:
                (folder / self._token).unlink(missing_ok=True)
                with suppress(OSError):
                    folder.rmdir()  # marks stay until everything is done

    def _look_at(self, file: _File) -> None:
        """Whether it is done, what its parts are, or what is wrong with it."""
        job = file.job
        try:
            if not self.prepared.request.again and job.output.exists() and _read(_mark(job)) == self._key(job):
                file.outcome = Outcome(job.source, job.output, remark=ALREADY, already=True)
            else:
                file.pieces, file.frames = self._pieces(job)
        except Exception as error:
            file.outcome = Outcome(job.source, error=as_sentence(error, job.source))

    def _pieces(self, job: Job) -> tuple[list[Job], int]:
        """A file in one piece, or a long film in parts, in a folder of their own until they are joined; and its frames, 0 of a photo."""
        if not job.moving:
            return [job], 0
        film = open_film(job.source, self.prepared.request.controls)
        length, wanted = film.info.length, film.info.length // TASK_FRAMES
        if isinstance(film, AnimationReader) or wanted < 2:
            return [job], length
        found = stretch_of(film, 1, wanted, shots=self._memories.get(True, 0) is None)
        count = found[1] if found else 1
        output = job.output if holds_parts(job.source, job.output) else _stage(job) / job.output.name
        return [replace(job, output=output, part=Part(number, wanted)) for number in range(1, count + 1)] if count > 1 else [job], length

    def _key(self, job: Job) -> str:
        """What a result was made with."""
        decision = self.prepared.decided[job.moving]
        controls = decision.controls
        content = made_with(open_film(job.source, controls), controls, None, "") if job.moving else fingerprint(job.source)
        return hashlib.sha256(repr([content, decision.controls, decision.quality, self._identity]).encode()).hexdigest()

    def do(self, cluster: Cluster, listener: Listener) -> None:
        """Paint everything: first where the files are seen, then with their bytes on machines that do not see them."""
        kept = cluster.keep(replace(self.prepared, jobs=[]))
        units = self._units()
        total = sum(unit.weight for unit in units)
        gpu = self._machines.gpus > 0 and self.prepared.request.controls.device in (AUTO, "cuda")
        unseen: list[_Unit] = []
        tasks = [Task((kept, [job for _, job in unit.pieces], self._seen(unit)), unit.weight, unit.memory, gpu) for unit in units]
        for number, result in cluster.run(paint_here, tasks, listener, total=total):
            if result is None:
                unseen.append(units[number])
            else:
                self._take(units[number], result)
        carried: dict[Path, Any] = {}
        tasks = []
        for unit in unseen:
            for _, job in unit.pieces:
                if job.source not in carried and job.source.is_file():
                    carried[job.source] = cluster.keep(job.source.read_bytes())
            sources = [carried.get(job.source) for _, job in unit.pieces]
            tasks.append(Task((kept, [job for _, job in unit.pieces], None, *sources), unit.weight, unit.memory, gpu))
        done = total - sum(unit.weight for unit in unseen)
        for number, result in cluster.run(paint_here, tasks, listener, begun=done, total=total):
            self._take(unseen[number], result)

    def _units(self) -> list[_Unit]:
        """Tasks: each part of a film, and photos in batches of about the same work."""
        films: list[_Unit] = []
        photos: list[_Unit] = []
        for number, file in enumerate(self.files):
            moving, pixels = file.job.moving, self._pixels(file.job)
            frames = file.frames / max(1, len(file.pieces)) if moving else pixels / FRAME
            weight = max(1.0, frames) * (1 if self.prepared.decided[moving].quality == "draft" else FINISHING)
            (films if moving else photos).extend(_Unit([(number, job)], weight, self._memory(moving, pixels)) for job in file.pieces)
        most = max(1, min(MOST_PHOTOS, len(photos) // max(1, TASKS_A_CORE * self._machines.cores)))
        photos.sort(key=lambda unit: -unit.weight)
        batches = [photos[start : start + most] for start in range(0, len(photos), most)]
        return films + [
            _Unit([piece for one in batch for piece in one.pieces], sum(one.weight for one in batch), max(one.memory for one in batch))
            for batch in batches
        ]

    def _pixels(self, job: Job) -> int:
        """How many a photo is painted at; 0 for what moves, and for what cannot be read, which is said when it is painted."""
        try:
            header = None if job.moving else read_header(job.source, max_pixels=10**10)
            size = None if header is None else working_size(header.size, usual_size(self.prepared.request.controls.size, PHOTO_SIDE))
            return 0 if size is None else size[0] * size[1]
        except ImpastoError:
            return 0

    def _memory(self, moving: bool, pixels: int) -> int:
        """Bytes for a task: what is asked for, or what it needs up to half of the largest machine; beyond that, photos have tiles."""
        half = self._machines.memory // 2
        needed = PROCESS + pixels * self._bytes[moving]
        return min(self._bound or needed, max(half, min(PROCESS, self._machines.memory)))

    def _seen(self, unit: _Unit) -> Seen:
        token = _mark(self.files[unit.pieces[0][0]].job).parent / self._token
        return Seen(
            token, self._secret, {job.source: content_of(job.source) for _, job in unit.pieces}, unit.memory if self._bound is None else 0
        )

    def _take(self, unit: _Unit, result: list[Painted] | Failure) -> None:
        """Note what became of a task, write what came as bytes, and put a film together whose last part it was."""
        for place, (number, job) in enumerate(unit.pieces):
            file = self.files[number]
            if isinstance(result, Failure):
                outcome, log = Outcome(job.source, error=result.error), result.log
            else:
                outcome, log = result[place].outcome, result[place].log
                try:
                    _write(result[place])
                except OSError as error:
                    outcome, log = Outcome(job.source, error=as_sentence(error, job.source)), ""
            if outcome.error is not None:
                outcome = replace(outcome, error=_with_log(outcome.error, log, job, file.job.output))
            file.found.append(outcome)
            if len(file.found) == len(file.pieces):
                file.outcome = self._finished(file)
                if file.outcome.error is None:
                    self._on_done(self.given.jobs[number], file.outcome)
                    with suppress(OSError):  # it would only be painted again
                        _mark(file.job).write_text(self._key(file.job), encoding="utf-8")

    def _finished(self, file: _File) -> Outcome:
        """A file all of whose pieces are there, or the first thing that went wrong."""
        failed = [outcome for outcome in file.found if outcome.error is not None]
        if failed:
            return Outcome(file.job.source, error=failed[0].error)
        remarks = [outcome.remark for outcome in file.found if outcome.remark and not outcome.remark.startswith("part ")]
        if len(file.pieces) > 1:
            try:
                remarks.append(join_parts(file.job.source, file.job.output, beside=file.pieces[0].output.parent))
            except Exception as error:
                return Outcome(file.job.source, error=as_sentence(error, file.job.source))
            if not holds_parts(file.job.source, file.job.output):
                shutil.rmtree(_stage(file.job), ignore_errors=True)
        seconds, said = sum(outcome.seconds for outcome in file.found), "; ".join(dict.fromkeys(filter(None, remarks)))
        return Outcome(file.job.source, file.job.output, file.found[0].size, seconds, remark=said)


def _absolute(prepared: Prepared) -> Prepared:
    """The same with names of files that mean the same on every machine."""
    request = prepared.request
    files = {str(path): str(path.absolute()) for path in files_of(request.controls)}

    def options(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
        return None if given is None else {name: files.get(str(value), value) for name, value in given.items()}

    def absolute(decision: Decision) -> Decision:
        controls = decision.controls
        return replace(
            decision,
            controls=replace(controls, encoder=files.get(controls.encoder, controls.encoder), options=options(controls.options)),
        )

    controls = replace(
        request.controls, encoder=files.get(request.controls.encoder, request.controls.encoder), options=options(request.controls.options)
    )
    regions = replace(
        request.regions,
        masks=[Path(path).absolute() for path in request.regions.masks],
        style_masks=[Path(path).absolute() for path in request.regions.style_masks],
    )
    return replace(
        prepared,
        request=replace(request, controls=controls, regions=regions, cluster=None),
        decided={moving: absolute(decision) for moving, decision in prepared.decided.items()},
        jobs=[
            replace(job, source=job.source.absolute(), output=job.output.absolute(), shown=job.shown and job.shown.absolute())
            for job in prepared.jobs
        ],
    )


def _stage(job: Job) -> Path:
    """Where the parts of a film lie until it is put together."""
    return beside(job.output, "cluster")


def _mark(job: Job) -> Path:
    """What says that a result is done, and with what it was made, while the others are not."""
    return fitting(job.output.parent / ".impasto-cluster" / f"{job.output.name}.done")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _write(painted: Painted) -> None:
    """Write a result that came as bytes."""
    if painted.data is not None and painted.outcome.output is not None:
        with atomic_file(painted.outcome.output) as temporary:
            temporary.write_bytes(painted.data)


def _with_log(error: ImpastoError, log: str, job: Job, output: Path) -> ImpastoError:
    """The error, with the log of its task written beside the results."""
    if not log:
        return error
    part = "" if job.part is None else f".part-{job.part.number}"
    path = fitting(output.parent / LOGS / f"{output.name}{part}.log")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(log, encoding="utf-8")
    except OSError:
        return error
    return type(error)(f"{error}; the log of its task is {path}")
