"""What the studio's routes share: shelves and libraries of owners, what jobs do, drafts, and who listens to what."""

import asyncio
import contextlib
import json
import re
import shutil
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool

from impasto.errors import InputError
from impasto.files import fitting
from impasto.media.film_writer import film_suffix, pieces_of
from impasto.names import as_plain_name
from impasto.settings import Controls
from impasto.storage.library import Library
from impasto.studio import asked, works
from impasto.studio.drafts import Drafts
from impasto.studio.folders import Folders
from impasto.studio.guard import LOCAL
from impasto.studio.jobs import Job, Jobs, Work
from impasto.studio.settings import StudioSettings
from impasto.studio.shelf import VIEW_FILE, Shelf

DRAFT_SIDE = 512
"""Longer side of drafts in pixels, where nothing smaller is asked for."""
_HEARTBEAT = 15.0
_CLEAN_SECONDS = 3600.0


class Studio:
    """What the routes share: shelves and libraries of owners, jobs, drafts, and who listens to what."""

    def __init__(self, settings: StudioSettings):
        self.settings = settings
        self.folder = settings.home / "studio"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folders = Folders(settings.folders)
        self.drafts = Drafts(settings.max_drafts, settings.draft_seconds)
        self._listeners: set[_Listener] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shelves: dict[str, Shelf] = {}
        self.sampling = threading.Lock()
        makers = {"photo": (self._photo, _closed), "film": (self._film, _closed), "learn": (self._learn, self._learned),
                  "regions": (self._regions, self._shelved), "frames": (self._frames, self._shelved)}  # fmt: skip
        self.jobs = Jobs(
            self.folder / "jobs", makers, most=settings.max_jobs, sentence=self.sentence, on_change=self._changed, on_forget=_tidied
        )

    def shelf(self, owner: str) -> Shelf:
        """The pictures of an owner."""
        if owner not in self._shelves:
            place = self.folder / "pictures" / owner
            self._shelves[owner] = Shelf(place, most=self.settings.max_pictures, max_megapixels=self.settings.max_megapixels)
        return self._shelves[owner]

    def library(self, owner: str) -> Library:
        """The styles of an owner: the user's own of this machine, or those of whoever has a token."""
        return Library(self.settings.home / "styles" if owner == LOCAL else self.folder / "styles" / owner)

    def place(self, owner: str) -> asked.Place:
        """What an owner can ask about."""
        return asked.Place(self.shelf(owner), self.library(owner), self.folders)

    def sentence(self, text: str) -> str:
        """A sentence without the folders of this machine: files are called as their users call them."""
        text = re.sub(f"{re.escape(str(self.folder))}/pictures/([^/]+)/([^/]+)/{re.escape(VIEW_FILE)}", self._sent_name, text)
        for folder in (self.settings.home, *self.folders.roots):
            text = re.sub(re.escape(str(folder)) + r"/(?:[^/\s:;,'\"]+/)*", "", text)
        return re.sub(r"; raise the limit \(--max-megapixels \d+\) if there is memory for it", "", text)

    def _sent_name(self, found: re.Match[str]) -> str:
        """What the picture was called that a small copy on a shelf was made from."""
        return self.shelf(found[1]).find(found[2]).name

    async def live(self) -> None:
        """Begin to work; forget what is old, now and every hour."""
        self._loop = asyncio.get_running_loop()
        self.jobs.start()
        while True:
            await run_in_threadpool(self.clean)
            await asyncio.sleep(_CLEAN_SECONDS)

    def clean(self) -> None:
        """Forget what is older than it is kept."""
        self.jobs.clean(self.settings.keep_days)
        for place in (self.folder / "pictures").glob("*"):
            self.shelf(place.name).clean(self.settings.keep_days)

    # What jobs do, and what becomes of what they made.

    def _photo(self, job: Job, folder: Path) -> Work:
        wanted = asked.PaintAsked.model_validate(job.asked)
        controls = asked.controls_of(wanted, max_megapixels=self.settings.max_megapixels)
        place = self.place(job.owner)
        stem = Path(place.shelf.find(wanted.photo).name).stem
        names = "-".join(as_plain_name(Path(place.style(style)[1]).stem) for style in wanted.styles)
        return works.paint, (asked.photo_request(wanted, place, folder / f"{stem}-{names}.{wanted.format}", controls),)

    def _film(self, job: Job, folder: Path) -> Work:
        """The result lies beside the film; of a film that was sent, in the job's folder. A job that is resumed keeps its place."""
        wanted = asked.FilmAsked.model_validate(job.asked)
        controls = asked.controls_of(wanted, max_megapixels=self.settings.max_megapixels)
        if job.files:
            target = Path(job.files[0])
        else:
            film = asked.film_of(wanted, self.place(job.owner))
            names = "-".join(as_plain_name(Path(self.place(job.owner).style(style)[1]).stem) for style in wanted.styles)
            beside = film.parent if wanted.folder is not None else folder
            target = _new(beside / f"{film.stem}-{names}{film_suffix(film)}")
            self.jobs.note(job.id, files=[str(target)])
        return works.paint, (asked.film_request(wanted, self.place(job.owner), target, controls),)

    def _learn(self, job: Job, folder: Path) -> Work:
        wanted = asked.LearnAsked.model_validate(job.asked)
        library, painting = self.library(job.owner), self.shelf(job.owner).file(wanted.painting)
        options: dict[str, Any] = {"preview_every": 5} | ({} if wanted.steps is None else {"steps": wanted.steps})
        options |= {"photos": {}, "video": {"film": True}, "live": {"live": True}}[wanted.purpose]
        controls = Controls(style_size=wanted.style_size, max_megapixels=self.settings.max_megapixels, options=options)
        source = wanted.source or self.shelf(job.owner).find(wanted.painting).name
        return works.learn, (painting, library.free(wanted.name), wanted.name, wanted.licence, source, controls)

    def _learned(self, job: Job, made: Any) -> Job:
        return replace(job, files=[str(made.path)])

    def _regions(self, job: Job, folder: Path) -> Work:
        wanted = asked.RegionsAsked.model_validate(job.asked)
        paint = asked.PaintAsked(photo=wanted.photo, styles=wanted.styles, regions=wanted.count)
        controls = asked.controls_of(paint, max_megapixels=self.settings.max_megapixels, size=DRAFT_SIDE)
        return works.find_regions, (asked.photo_request(paint, self.place(job.owner), folder, controls, draft=True), folder)

    def _frames(self, job: Job, folder: Path) -> Work:
        wanted = asked.FilmAsked.model_validate(job.asked)
        controls = asked.controls_of(wanted, max_megapixels=self.settings.max_megapixels, size=DRAFT_SIDE)
        return works.preview_film, (asked.film_request(wanted, self.place(job.owner), None, controls), folder)

    def _shelved(self, job: Job, made: list[Path]) -> Job:
        return replace(job, files=[str(path) for path in made])

    # Who is told of changes.

    def _changed(self, owner: str, key: str) -> None:
        if self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._tell, owner, key)

    def _tell(self, owner: str, key: str) -> None:
        for listener in self._listeners:
            if listener.owner == owner:
                listener.add(key)

    async def events(self, owner: str, only: str | None = None) -> AsyncIterator[bytes]:
        """Server-sent events of the jobs of an owner, or of one until it ends: each as it stands, then whenever it changes."""
        listener = _Listener(owner)
        self._listeners.add(listener)
        try:
            for job in self.jobs.all(owner):
                if only in (None, job.id):
                    listener.add(job.id)
            while True:
                for key in await listener.take():
                    if only not in (None, key):
                        continue
                    try:
                        job = self.jobs.find(owner, key)
                    except InputError:
                        yield _event("removed", {"id": key})
                        if only:
                            return
                        continue
                    yield _event("job", job.shown)
                    if only and job.state in ("done", "failed", "cancelled", "paused"):
                        return
                yield b": still here\n\n"
        finally:
            self._listeners.discard(listener)

    def streams(self, owner: str) -> int:
        """How many streams of events are open for an owner."""
        return sum(listener.owner == owner for listener in self._listeners)


class _Listener:
    """The jobs that changed since somebody was told last."""

    def __init__(self, owner: str):
        self.owner, self._keys, self._woken = owner, dict[str, None](), asyncio.Event()

    def add(self, key: str) -> None:
        """A job changed."""
        self._keys[key] = None
        self._woken.set()

    async def take(self) -> list[str]:
        """What changed; nothing after a while in which nothing did."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), _HEARTBEAT)
        await asyncio.sleep(0.05)  # several changes at once are told once
        found, self._keys = [*self._keys], {}
        self._woken.clear()
        return found


def _event(kind: str, data: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def _closed(job: Job, made: works.Made) -> Job:
    """A job whose picture or film is there."""
    return replace(job, files=[str(made.path)], size=made.size, note=made.note)


def _new(path: Path) -> Path:
    """A name that no file has, and that nobody paints to: NAME-2 if there is NAME already."""
    names = chain([path], (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2)))
    return next(name for name in map(fitting, names) if not name.exists() and not pieces_of(name).exists())


def _tidied(job: Job) -> None:
    """Nothing is left of a film that was never finished."""
    if job.kind == "film" and job.state != "done" and job.files:
        shutil.rmtree(pieces_of(Path(job.files[0])), ignore_errors=True)
