"""Long work of the studio: a queue that outlives closed pages and the program itself.

Two lanes, each with a process: one for pictures that somebody waits for, one for everything that takes long, which sleeps while the
first works. Each job is a folder: `job.json`, what it made, and its last preview.
"""

import contextlib
import json
import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from impasto.errors import ImpastoError, InputError
from impasto.studio.painter import Painter, Step, StoppedError

State = Literal["queued", "running", "paused", "done", "failed", "cancelled"]
ENDED = frozenset({"done", "failed", "cancelled"})
SOON, LONG = "soon", "long"
"""The lanes: pictures that somebody waits for, and everything else."""
_CURVE = 200
"""Points of a curve of losses that are kept."""
_SHORT_SECONDS = 900
"""How long a picture that somebody waited for is kept."""


class BusyError(Exception):
    """There is too much work already: the sentence says so."""


@dataclass(frozen=True)
class Job:
    """One job. state: see State. total: steps, 0 while unknown. seconds: of work so far. left: seconds that it will still take, None while
    unknown. result: what it made, by names that mean something to the user. asked: the request as it came, to do it again after a restart.
    """

    id: str
    owner: str
    kind: str
    title: str
    lane: str
    asked: dict[str, Any]
    state: State = "queued"
    created: float = 0.0
    ended: float = 0.0
    step: int = 0
    total: int = 0
    seconds: float = 0.0
    left: float | None = None
    previews: int = 0
    error: str = ""
    note: str = ""
    files: list[str] = field(default_factory=list)
    size: tuple[int, int] | None = None
    curve: list[tuple[int, float]] = field(default_factory=list)

    @property
    def shown(self) -> dict[str, Any]:
        """What its owner is told."""
        known = asdict(self)
        for name in ("owner", "asked"):
            known.pop(name)
        known["files"] = [Path(file).name for file in self.files]
        known["sent"] = self.asked.get("film") is not None
        return known


Work = tuple[Callable[..., Any], tuple[Any, ...]]
Maker = Callable[[Job, Path], Work]
"""From a job and its folder to the function that the painter's process calls, and its arguments."""
Closer = Callable[[Job, Any], Job]
"""From a job and what the work gave to the job with its result."""


class Jobs:
    """All jobs of all owners."""

    def __init__(
        self,
        folder: Path,
        makers: Mapping[str, tuple[Maker, Closer]],
        *,
        most: int,
        sentence: Callable[[str], str] = str,
        on_change: Callable[[str, str], None] = lambda owner, job: None,
        on_forget: Callable[[Job], None] = lambda job: None,
    ):
        """folder: where they are kept. most: how many of one owner may wait. sentence: makes errors fit to be shown. on_change: is told the
        owner and the id of every job that changed, from any thread. on_forget: is told of every job that is forgotten.
        """
        self._folder, self._makers, self._most = folder, dict(makers), most
        self._sentence, self._on_change, self._on_forget = sentence, on_change, on_forget
        self._jobs: dict[str, Job] = {}
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)
        self._stops: dict[str, threading.Event] = {}
        self._wanted: dict[str, State] = {}
        self._closing = False
        self._painters = {SOON: Painter(2), LONG: Painter(5)}
        self._turns: dict[str, deque[str]] = {SOON: deque(), LONG: deque()}
        self._threads = [threading.Thread(target=self._run, args=(lane,), daemon=True, name=f"impasto {lane}") for lane in self._painters]

    def start(self) -> None:
        """Read what was left, and begin to work. What ran when the program ended is begun again, and resumed where it can be."""
        for path in sorted(self._folder.glob("*/job.json")):
            with contextlib.suppress(ValueError, TypeError, OSError):
                known = json.loads(path.read_text(encoding="utf-8"))
                job = Job(**known | {"files": list(known["files"]), "curve": [tuple(point) for point in known["curve"]]})
                if job.lane == SOON:
                    shutil.rmtree(path.parent, ignore_errors=True)
                elif job.kind in self._makers:
                    self._jobs[job.id] = replace(job, state="queued") if job.state == "running" else job
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop the work, so that the next start resumes it."""
        with self._wake:
            self._closing = True
            for stop in self._stops.values():
                stop.set()
            self._wake.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(20)
        for painter in self._painters.values():
            painter.close()

    def warm(self, work: Callable[..., Any]) -> None:
        """Begin the process of the quick lane, and let it do something first."""
        job = Job(secrets.token_hex(16), "", "warm", "", SOON, {})
        with self._wake:
            self._makers.setdefault("warm", (lambda job, folder: (work, ()), lambda job, made: job))
            self._jobs[job.id] = job
            self._wake.notify_all()

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Within the block long work sleeps."""
        with self._painters[LONG].asleep():
            yield

    def add(self, owner: str, kind: str, title: str, asked: dict[str, Any], *, lane: str = LONG) -> Job:
        """Queue a job. Raises Busy."""
        with self._wake:
            waiting = [job for job in self._jobs.values() if job.owner == owner and job.lane == lane and job.state not in ENDED]
            if len(waiting) >= self._most:
                raise BusyError(f"{len(waiting)} jobs of yours are waiting already")
            job = Job(secrets.token_hex(16), owner, kind, title, lane, asked, created=time.time())
            self.folder(job.id).mkdir(parents=True)
            self._put(job)
            self._wake.notify_all()
        return job

    def find(self, owner: str, key: str) -> Job:
        """One job. Raises InputError if there is none, or it is somebody else's."""
        with self._lock:
            job = self._jobs.get(key)
        if job is None or job.owner != owner:
            raise InputError("there is no such job")
        return job

    def all(self, owner: str) -> list[Job]:
        """The jobs of an owner, the newest first."""
        with self._lock:
            return sorted((job for job in self._jobs.values() if job.owner == owner), key=lambda job: -job.created)

    def folder(self, key: str) -> Path:
        """Where a job lies."""
        return self._folder / key

    def note(self, key: str, *, files: list[str]) -> None:
        """Keep what a job will make, so that it is resumed in the same place."""
        with self._lock:
            self._put(replace(self._jobs[key], files=files))

    def cancel(self, owner: str, key: str) -> Job:
        """Stop a job for good. Raises InputError."""
        return self._stop(owner, key, "cancelled")

    def pause(self, owner: str, key: str) -> Job:
        """Stop a job so that it can be resumed. Raises InputError."""
        return self._stop(owner, key, "paused")

    def resume(self, owner: str, key: str) -> Job:
        """Queue a job again that was paused, failed or cancelled. Raises InputError."""
        with self._wake:
            job = self.find(owner, key)
            if job.state not in ("paused", "failed", "cancelled") or key in self._stops:
                raise InputError(f"a job that is {job.state} cannot be resumed")
            job = self._put(replace(job, state="queued", error="", ended=0.0))
            self._wake.notify_all()
        return job

    def remove(self, owner: str, key: str) -> None:
        """Forget a job that has ended, with what it made in the studio's own folder. Raises InputError."""
        with self._lock:
            job = self.find(owner, key)
            if key in self._stops:
                raise InputError("that job is at work: cancel it first")
            self._forget(job)

    def clean(self, days: float) -> None:
        """Forget what ended long ago."""
        now = time.time()
        with self._lock:
            for job in [*self._jobs.values()]:
                kept = _SHORT_SECONDS if job.lane == SOON else days * 86_400
                if job.state in ENDED and job.id not in self._stops and job.ended < now - kept:
                    self._forget(job)

    def _stop(self, owner: str, key: str, state: State) -> Job:
        with self._wake:
            job = self.find(owner, key)
            if job.state in ENDED:
                return job
            if key in self._stops:
                self._wanted[key] = state
                self._stops[key].set()
                return job
            return self._put(replace(job, state=state, ended=time.time() if state in ENDED else 0.0))

    def _forget(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        shutil.rmtree(self.folder(job.id), ignore_errors=True)
        self._on_forget(job)
        self._on_change(job.owner, job.id)

    def _put(self, job: Job, *, write: bool = True) -> Job:
        """Note how a job stands."""
        with self._lock:
            self._jobs[job.id] = job
            if write and self.folder(job.id).is_dir():
                path = self.folder(job.id) / "job.json"
                temporary = path.with_suffix(".part")
                temporary.write_text(json.dumps(asdict(job)), encoding="utf-8")
                temporary.replace(path)
        self._on_change(job.owner, job.id)
        return job

    def _next(self, lane: str) -> Job | None:
        """The oldest job that waits, of the owner whose turn it is."""
        waiting = sorted((job for job in self._jobs.values() if job.lane == lane and job.state == "queued"), key=lambda job: job.created)
        if not waiting:
            return None
        turns = self._turns[lane]
        job = min(waiting, key=lambda job: turns.index(job.owner) if job.owner in turns else -1)
        if job.owner in turns:
            turns.remove(job.owner)
        turns.append(job.owner)
        while len(turns) > 1000:
            turns.popleft()
        return job

    def _run(self, lane: str) -> None:
        """Work off one lane."""
        while True:
            with self._wake:
                while not self._closing and (job := self._next(lane)) is None:
                    self._wake.wait()
                if self._closing:
                    return
                assert job is not None
                stop = self._stops[job.id] = threading.Event()
                self._put(replace(job, state="running", error=""))
            with self._painters[LONG].asleep() if lane == SOON else contextlib.nullcontext():
                ended = self._work(job.id, lane, stop)
            with self._lock:
                del self._stops[job.id]
                self._wanted.pop(job.id, None)
                if ended.kind == "warm":
                    self._jobs.pop(ended.id, None)
                else:
                    self._put(ended)

    def _work(self, key: str, lane: str, stop: threading.Event) -> Job:
        """Do one job; how it stands afterwards."""
        job = self._jobs[key]
        make, close = self._makers[job.kind]
        began, before = time.monotonic(), job.seconds
        started: list[tuple[float, int]] = []

        def on_step(step: Step) -> None:
            now = time.monotonic()
            started[:] = started or [(now, step.step)]
            known, previews = self._jobs[key], self._jobs[key].previews
            if step.preview is not None:
                previews += 1
                _write(self.folder(key) / "preview.jpg", step.preview)
            elapsed, steps = now - started[0][0], step.step - started[0][1]
            left = elapsed / steps * (step.total - step.step) if steps > 0 and elapsed > 1 else None
            curve = known.curve if step.loss is None else _thinned([*known.curve, (step.step, round(step.loss, 5))])
            self._put(
                replace(known, step=step.step, total=step.total, seconds=before + now - began, left=left, previews=previews, curve=curve),
                write=False,
            )

        try:
            work, arguments = make(job, self.folder(key))
            cancelled = lambda: lane == LONG and job.kind == "photo" and self._wanted.get(key) == "cancelled"  # noqa: E731
            made = self._painters[lane].do(work, arguments, on_step, stop, cancelled)
            known = replace(self._jobs[key], seconds=before + time.monotonic() - began, left=None, ended=time.time())
            return replace(close(known, made), state="done")
        except StoppedError:
            state = "queued" if self._closing else self._wanted.get(key, "cancelled")
            return replace(self._jobs[key], state=state, left=None, ended=time.time() if state in ENDED else 0.0)
        except Exception as error:
            said = str(error) if isinstance(error, ImpastoError) else f"something went wrong ({type(error).__name__})"
            return replace(self._jobs[key], state="failed", error=self._sentence(said), left=None, ended=time.time())


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_bytes(data)
    temporary.replace(path)


def _thinned(curve: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Every other point of a curve that has too many."""
    return curve if len(curve) <= _CURVE else curve[::2]
