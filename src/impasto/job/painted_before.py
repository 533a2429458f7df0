"""What was painted before: results that lie there already, made from the same input with the same settings, are not painted again.

A record of every result stands in the cache folder: what it was made with, and a digest of it. A result that was changed, replaced or
removed since is painted again, and so is everything where the record is gone. Free of heavy imports.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from impasto import __version__
from impasto.errors import ImpastoError
from impasto.files import atomic_file, sha256_of, stamp
from impasto.job.outcome import Outcome
from impasto.job.plan import Job
from impasto.job.request import PathLike, Request
from impasto.job.resolve import implied_method
from impasto.job.style_paths import files_of, path_of_style
from impasto.methods.table import methods
from impasto.settings import Controls
from impasto.storage.registry import cache_folder, is_at_hand

VGG19 = "vgg19"
"""The encoder that the best quality takes where it is at hand."""


ALREADY = "was painted already"
"""What the outcome of such a result says."""


class Records:
    """What is known of the results of a request's jobs."""

    def __init__(self, request: Request, jobs: Sequence[Job]):
        self._settings = _settings(request)
        self._stamps = {job.source: _stamps(job.source) for job in jobs}
        self._books: dict[Path, _Book] = {}

    def there(self, job: Job) -> Outcome | None:
        """The outcome of a job whose result is there already; None if it has to be painted."""
        found = self._book(job).find(job.output.name)
        if found is None or job.part is not None or not (job.shown is None or job.shown.is_file()):
            return None
        try:
            if found["key"] != self._key(job) or found["digest"] != _digest(job.output, found["files"]):
                return None
            size = found["size"]
            remark = "; ".join(filter(None, (str(found["remark"]), ALREADY)))
            return Outcome(job.source, job.output, (int(size[0]), int(size[1])), remark=remark, already=True)
        except (OSError, KeyError, TypeError, ValueError):
            return None

    def note(self, job: Job, outcome: Outcome) -> None:
        """Write down that a job is done. A source that was changed meanwhile is not; a cache that cannot be written to is no error."""
        if outcome.output is None or job.part is not None or self._stamps.get(job.source) != _stamps(job.source):
            return
        with contextlib.suppress(OSError):
            names = [file.name for file in _files(job.output)] if job.output.is_dir() else None
            record = {"name": job.output.name, "key": self._key(job), "digest": _digest(job.output, names), "files": names}
            self._book(job).add(record | {"size": outcome.size, "remark": outcome.remark})

    def _key(self, job: Job) -> str:
        return hashlib.sha256(repr([self._settings, job.moving, job.output.suffix.lower(), _digest(job.source)]).encode()).hexdigest()

    def _book(self, job: Job) -> "_Book":
        folder = Path(os.path.realpath(job.output.parent))
        if folder not in self._books:
            self._books[folder] = _Book(folder)
        return self._books[folder]


class _Book:
    """The records of the results in one folder: lines of JSON, the last of a name counts."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._path = cache_folder() / "painted" / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]}.jsonl"
        self._records: dict[str, dict[str, Any]] = {}
        with contextlib.suppress(OSError):
            for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
                with contextlib.suppress(ValueError, TypeError, KeyError):  # a line that was cut off
                    record = json.loads(line)
                    self._records[record["name"]] = record

    def find(self, name: str) -> dict[str, Any] | None:
        """The record of a result."""
        return self._records.get(name)

    def add(self, record: dict[str, Any]) -> None:
        """Write a record. Raises OSError."""
        if not self._path.is_file():
            self._begin()
        self._records[record["name"]] = record
        with self._path.open("a", encoding="utf-8") as book:
            book.write("\n" + json.dumps(record))  # a line before it may have been cut off

    def _begin(self) -> None:
        """A book begins with its folder's name. Books of folders that are gone are removed."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        for path in self._path.parent.glob("*.jsonl"):
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError), path.open(encoding="utf-8") as book:
                if not Path(json.loads(book.readline())["folder"]).is_dir():
                    path.unlink()
        with atomic_file(self._path) as part:
            part.write_text(json.dumps({"folder": str(self._folder)}), encoding="utf-8")


def said(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """What is said of results that were there already."""
    already = [outcome for outcome in outcomes if outcome.already]
    if not already:
        return ()
    one = len(already) == 1
    what, them = (f"{already[0].output} was", "it") if one else (f"{len(already)} were", "them")
    return (f"{what} painted already with these settings; --again paints {them} again",)


def _settings(request: Request) -> str:
    """Everything beside the source that decides a result's pixels and what stands beside them."""
    controls, regions = request.controls, request.regions
    try:
        method = implied_method(controls, methods(), regions.kind)
        styles = [_content(path_of_style(style, method=method)) for style in request.styles]
    except ImpastoError:  # it is said where the styles are looked for
        styles = [os.fspath(style) for style in request.styles]
    files = {str(path): _content(path) for path in files_of(controls)}
    plain = asdict(replace(controls, max_megapixels=Controls.max_megapixels, encoder=files.get(controls.encoder, controls.encoder)))
    plain["options"] = sorted((name, files.get(str(value), repr(value))) for name, value in (controls.options or {}).items())
    masks = [[_content(path) for path in paths] for paths in (regions.masks, regions.style_masks)]
    best = controls.quality == "best" and is_at_hand(VGG19, "encoder")
    told = [__version__, styles, request.weights, sorted(plain.items()), masks, regions.count, regions.show, request.frames, best]
    told.append(None if request.selection is None else _content(request.selection))
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _content(path: PathLike) -> str:
    """A digest of a file, or its name where there is none."""
    try:
        return _digest(Path(path))
    except OSError:
        return os.fspath(path)


def _files(path: Path) -> list[Path]:
    """A file, or the files of a folder in order of their names, without hidden ones. Raises OSError."""
    if not path.is_dir():
        return [path]
    return sorted(entry for entry in path.iterdir() if not entry.name.startswith(".") and entry.is_file())


def _digest(path: Path, names: Sequence[str] | None = None) -> str:
    """A digest of what is in a file, or of the names of a folder's files and what is in them; or of some of them. Raises OSError."""
    if not path.is_dir():
        return sha256_of(path)
    files = _files(path) if names is None else [path / name for name in names]
    return hashlib.sha256(repr([(file.name, sha256_of(file)) for file in files]).encode()).hexdigest()


def _stamps(path: Path) -> list[tuple[int, ...]]:
    """What changes when a file does, or one of a folder."""
    with contextlib.suppress(OSError):
        return [stamp(file) for file in _files(path)]
    return []
