"""What a machine of a cluster does: it paints some files of a job, where they lie or out of their bytes."""

import socket
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from impasto.errors import ImpastoError, InputError
from impasto.events import Listener, silence
from impasto.files import fingerprint
from impasto.job.outcome import Outcome
from impasto.job.perform import Prepared, build, carry_out
from impasto.job.plan import Job
from impasto.job.resolve import Decision
from impasto.methods.declaration import StyleSource
from impasto.runtime.device import Place
from impasto.runtime.stylizer import Stylizer


@dataclass(frozen=True)
class Seen:
    """How a machine knows that it sees the files of the driver: one with a secret where results go, and what the sources hold.

    memory: bytes that painting may take there, 0 if the controls say it.
    """

    token: Path
    secret: str
    contents: Mapping[Path, str]
    memory: int

    def here(self) -> bool:
        """Whether it does."""
        try:
            return self.token.read_text(encoding="utf-8") == self.secret and all(
                content_of(path) == known for path, known in self.contents.items()
            )
        except OSError:
            return False


@dataclass(frozen=True)
class Painted:
    """What became of a piece: its outcome, its log if it failed, and the result's bytes if it has to be written by the driver."""

    outcome: Outcome
    log: str = ""
    data: bytes | None = None


def paint_here(prepared: Prepared, jobs: list[Job], seen: Seen | None, *carried: bytes | None) -> list[Painted] | None:
    """A task, on a machine of the cluster. None if it does not see the files and has not got them as bytes either."""
    if seen is not None:
        if not seen.here():
            return None
        _check_beside(prepared)
        bounded = _bounded(prepared, seen.memory)
        return [Painted(outcome, log_of(outcome)) for outcome in _each(bounded, jobs)]
    _check_beside(prepared)
    found = []
    with tempfile.TemporaryDirectory(prefix="impasto-") as folder:
        for number, (job, data) in enumerate(zip(jobs, carried, strict=True)):
            if data is None:
                raise InputError(f"{socket.gethostname()} does not see {job.source}; folders of frames need a disk that all machines share")
            here = Path(folder) / str(number) / job.source.name
            here.parent.mkdir()
            here.write_bytes(data)
            (outcome,) = _each(prepared, [replace(job, source=here, output=here.parent / "painted" / job.output.name)])
            result = None if outcome.output is None else outcome.output.read_bytes()
            there = None if outcome.output is None else job.output.parent / outcome.output.name
            found.append(Painted(replace(outcome, source=job.source, output=there), log_of(outcome), result))
    return found


def _each(prepared: Prepared, jobs: list[Job]) -> list[Outcome]:
    """Outcomes of jobs, one for each."""
    found = carry_out(replace(prepared, jobs=jobs), silence, build=_remembered).outcomes
    if len(found) != len(jobs):
        raise ImpastoError(f"{len(found)} of {len(jobs)} files were painted")
    return found


_last: dict[str, Stylizer] = {}


def _remembered(decision: Decision, styles: StyleSource, place: Place, listener: Listener) -> Stylizer:
    """The stylizer of the task before, if it is for the same."""
    key = repr([styles.identity, decision.controls, decision.kind, decision.quality, decision.film, decision.moving, place])
    if key not in _last:
        _last.clear()
        _last[key] = build(decision, styles, place, listener)
    return _last[key]


def _bounded(prepared: Prepared, memory: int) -> Prepared:
    """With what a photo may take."""
    if not memory or False not in prepared.decided:
        return prepared
    photos = prepared.decided[False]
    bounded = replace(photos, controls=replace(photos.controls, memory=f"{memory >> 20}M"))
    return replace(prepared, decided={**prepared.decided, False: bounded})


def _check_beside(prepared: Prepared) -> None:
    """Networks and masks that the request names are there. Raises InputError."""
    request = prepared.request
    named = [request.controls.encoder, *(request.controls.options or {}).values(), *request.regions.masks, *request.regions.style_masks]
    for path in (Path(name) for name in named if isinstance(name, (str, Path)) and Path(name).is_absolute()):
        if not path.exists():
            raise InputError(f"{path} is not there on {socket.gethostname()}: put it on a disk that all machines share")


def content_of(path: Path) -> str:
    """What a file holds; of a folder, the names in it."""
    return repr(sorted(entry.name for entry in path.iterdir())) if path.is_dir() else fingerprint(path)


def log_of(outcome: Outcome) -> str:
    """Everything that is known about an error that is not one of wrong input."""
    if outcome.error is None or outcome.error.__cause__ is None:
        return ""
    return f"on {socket.gethostname()}\n{''.join(traceback.format_exception(outcome.error))}"
