"""The studio's application: the page, and the API that the page itself uses."""

import asyncio
import contextlib
import json
import logging
import re
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, MutableMapping
from dataclasses import asdict, replace
from itertools import chain, count
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from impasto import __version__
from impasto.errors import ImpastoError, InputError
from impasto.files import fingerprint
from impasto.job.export_web import PAGE, check_engine, describe, export_model
from impasto.job.styles import find_style
from impasto.media.film_writer import film_suffix, pieces_of
from impasto.media.opening import is_film
from impasto.names import as_plain_name
from impasto.settings import Controls
from impasto.storage.library import Library
from impasto.studio import asked, gallery, works
from impasto.studio.drafts import Drafts, TooSlowError
from impasto.studio.folders import Folders
from impasto.studio.guard import LOCAL, Guard, RefusedError
from impasto.studio.jobs import LONG, SOON, BusyError, Job, Jobs, Work
from impasto.studio.settings import StudioSettings
from impasto.studio.shelf import Kept, Shelf

STATIC = Path(__file__).resolve().parent / "static"
DRAFT_SIDE = 512
"""Longer side of drafts in pixels, where nothing smaller is asked for."""
SOON_SIDE = 1024
"""Longer side, in pixels, up to which a picture is one that somebody waits for."""
_HEARTBEAT = 15.0
_STREAMS = 8
"""Open streams of events of one owner."""
_CLEAN_SECONDS = 3600.0
log = logging.getLogger("impasto")


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
        self.samples = threading.Lock()
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
        for folder in (self.settings.home, *self.folders.roots):
            text = re.sub(re.escape(str(folder)) + r"/(?:[^/\s:;,'\"]+/)*", "", text)
        return re.sub(r"; raise the limit \(--max-megapixels \d+\) if there is memory for it", "", text)

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
    return next(name for name in names if not name.exists() and not pieces_of(name).exists())


def _tidied(job: Job) -> None:
    """Nothing is left of a film that was never finished."""
    if job.kind == "film" and job.state != "done" and job.files:
        shutil.rmtree(pieces_of(Path(job.files[0])), ignore_errors=True)


def create_app(settings: StudioSettings | None = None) -> Guard:
    """The application for an ASGI server. Raises InputError for settings that cannot be used."""
    studio = Studio(settings or StudioSettings())
    uploads: MutableMapping[str, int] = {
        "/api/pictures": studio.settings.max_upload, "/api/films": studio.settings.max_film, "/api/styles": studio.settings.max_upload
    }  # fmt: skip

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        living = asyncio.create_task(studio.live())
        await asyncio.sleep(0)
        if studio.settings.warm:
            threading.Thread(target=_warm, args=(studio,), daemon=True).start()
        yield
        living.cancel()
        await run_in_threadpool(studio.jobs.close)
        studio.drafts.close()

    app = FastAPI(
        title="Impasto", version=__version__, summary="Paint pictures and films in the style of any picture.",
        docs_url=None, redoc_url=None, openapi_url="/api/openapi.json", lifespan=lifespan,
    )  # fmt: skip
    app.state.studio = studio
    _add_errors(app, studio)
    _add_pictures(app, studio)
    _add_styles(app, studio)
    _add_painting(app, studio)
    _add_jobs(app, studio)
    _add_films(app, studio)
    _add_live(app, studio)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    @app.get("/favicon.ico", include_in_schema=False)
    def icon() -> FileResponse:
        return FileResponse(STATIC / "icon.svg", media_type="image/svg+xml")

    return Guard(app, studio.settings, uploads)


def _warm(studio: Studio) -> None:
    """Let both processes load what painting needs, so that the first picture does not wait for it."""
    studio.jobs.warm(works.warm)
    works.warm(lambda event: None)


def _owner(request: Request) -> str:
    owner: str = request.state.owner
    return owner


def _add_errors(app: FastAPI, studio: Studio) -> None:
    """Whatever goes wrong is one sentence, as JSON."""

    def said(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
        return JSONResponse({"error": studio.sentence(sentence)}, status, headers)

    @app.exception_handler(ImpastoError)
    def known(request: Request, error: ImpastoError) -> JSONResponse:
        missing = "no such job" in str(error) or "not here any more" in str(error)
        return said(404 if missing else 422 if isinstance(error, InputError) else 500, str(error))

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
        return said(422, f"{where or 'the request'}: {first['msg']}")

    @app.exception_handler(HTTPException)
    def other(request: Request, error: HTTPException) -> JSONResponse:
        words = {400: "the request is no JSON", 404: "there is nothing at this address", 405: "that cannot be done with this address"}
        return said(error.status_code, words.get(error.status_code, str(error.detail)))

    @app.exception_handler(RefusedError)
    def refused(request: Request, error: RefusedError) -> JSONResponse:
        return said(error.status, error.sentence, {"connection": "close"})

    @app.exception_handler(BusyError)
    def busy(request: Request, error: BusyError) -> JSONResponse:
        return said(503, str(error), {"retry-after": "2"})

    @app.exception_handler(TooSlowError)
    def too_slow(request: Request, error: TooSlowError) -> JSONResponse:
        return said(503, str(error))

    @app.exception_handler(Exception)
    def unknown(request: Request, error: Exception) -> JSONResponse:
        log.error("the studio stumbled", exc_info=error)
        return said(500, f"something went wrong ({type(error).__name__}); the studio's own log says more")


def _add_pictures(app: FastAPI, studio: Studio) -> None:
    @app.get("/api/health")
    def health(request: Request) -> dict[str, str]:
        """Whether the studio is there."""
        return {"status": "ok"} | ({"version": __version__} if _owner(request) else {})

    @app.post("/api/pictures", status_code=201, openapi_extra=_binary("image/*"))
    async def keep(request: Request, name: Annotated[str, Query(max_length=300)] = "picture") -> Kept:
        """Send a picture, as the body of the request; `name` is what results are called by."""
        if is_film(as_plain_name(name)):
            raise InputError(f"{as_plain_name(name)} is a film: it goes to the films")
        return await studio.shelf(_owner(request)).take(name, request.stream())

    @app.post("/api/films", status_code=201, openapi_extra=_binary("video/*"))
    async def keep_film(request: Request, name: Annotated[str, Query(max_length=300)] = "film.mp4") -> Kept:
        """Send a small film, as the body of the request; its name has to have an ending, such as .mp4."""
        if not is_film(as_plain_name(name)):
            raise InputError(f"{as_plain_name(name)} is no film that can be read")
        return await studio.shelf(_owner(request)).take(name, request.stream())

    @app.get("/api/pictures/{key}", response_class=FileResponse)
    def picture(request: Request, key: str) -> FileResponse:
        """A picture that was sent, at 1024 px at the most."""
        return FileResponse(studio.shelf(_owner(request)).view(key), media_type="image/png")

    @app.delete("/api/pictures/{key}", status_code=204)
    def forget(request: Request, key: str) -> None:
        """Remove a picture."""
        studio.shelf(_owner(request)).remove(key)


def _add_styles(app: FastAPI, studio: Studio) -> None:
    @app.get("/api/styles")
    def styles(request: Request) -> list[gallery.Shown]:
        """The styles there are, your own first."""
        return [*gallery.styles(studio.library(_owner(request)))]

    @app.post("/api/styles", status_code=201, openapi_extra=_binary("application/octet-stream"))
    async def add(request: Request, name: Annotated[str, Query(max_length=100)]) -> dict[str, str]:
        """Send a style file to your library, as the body of the request."""
        library = studio.library(_owner(request))
        library.free(name)
        with tempfile.TemporaryDirectory(dir=studio.folder) as folder:
            sent = Path(folder) / "sent.safetensors"
            with sent.open("wb") as file:
                async for part in request.stream():
                    file.write(part)
            await run_in_threadpool(library.add, sent, name)
        return {"name": name}

    @app.get("/api/styles/{name}/picture", response_class=FileResponse)
    def small_picture(request: Request, name: str) -> FileResponse:
        """A small picture of a style."""
        return style_picture(studio, _owner(request), name)

    @app.get("/api/styles/{name}/painting", response_class=FileResponse)
    def painting(request: Request, name: str) -> FileResponse:
        """The painting that a style was learned from, where it is at hand."""
        found = gallery.painting_of(name, studio.library(_owner(request)))
        if found is None:
            raise InputError(f"the painting of {name} is not at hand: add it as a picture")
        return FileResponse(found)

    @app.get("/api/styles/{name}/file", response_class=FileResponse)
    def style_file(request: Request, name: str) -> FileResponse:
        """The style file."""
        return _download(gallery.file_of(name, studio.library(_owner(request))))

    @app.patch("/api/styles/{name}")
    def rename(request: Request, name: str, body: asked.Rename) -> dict[str, str]:
        """Give one of your styles another name."""
        return {"name": studio.library(_owner(request)).rename(name, body.name).stem}

    @app.delete("/api/styles/{name}", status_code=204)
    def remove(request: Request, name: str) -> None:
        """Remove one of your styles."""
        studio.library(_owner(request)).remove(name)


def _add_painting(app: FastAPI, studio: Studio) -> None:
    limit = studio.settings.max_megapixels

    @app.get("/api/methods")
    def methods() -> list[dict[str, Any]]:
        """The methods with what can be turned of each."""
        return asked.offered()

    @app.post("/api/stylize", response_class=Response, responses={200: {"content": {"image/png": {}}}, 202: {"model": dict[str, Any]}})
    def stylize(request: Request, body: asked.PaintAsked) -> Response:
        """Paint a picture: a draft of at most 512 px comes at once, as a file; everything else is a job."""
        owner, place = _owner(request), studio.place(_owner(request))
        if body.quality != "draft" or (body.size or SOON_SIDE) > SOON_SIDE:
            return JSONResponse(_queued_photo(studio, owner, body).shown, 202)
        controls = asked.controls_of(body, max_megapixels=limit, size=min(body.size or DRAFT_SIDE, SOON_SIDE))
        with studio.jobs.quiet():
            painted = studio.drafts.paint(lambda output: asked.photo_request(body, place, output, controls, draft=True), f".{body.format}")
        kinds = {"png": "image/png", "jpg": "image/jpeg", "tif": "image/tiff", "webp": "image/webp"}
        return Response(painted, media_type=kinds[body.format])

    @app.post("/api/command")
    def command(request: Request, body: asked.PaintAsked | asked.FilmAsked) -> dict[str, str]:
        """The command line that paints the same."""
        return {"command": asked.command(body, studio.place(_owner(request)), max_megapixels=limit)}

    @app.post("/api/regions", status_code=202)
    def regions(request: Request, body: asked.RegionsAsked) -> dict[str, Any]:
        """Find matching regions: a job whose files are label maps, of the photo first, then of each style picture."""
        return studio.jobs.add(_owner(request), "regions", "regions", body.model_dump(), lane=SOON).shown


def _queued_photo(studio: Studio, owner: str, body: asked.PaintAsked) -> Job:
    """A picture as a job, after everything that can be known to be wrong was looked at."""
    place = studio.place(owner)
    kept = place.shelf.find(body.photo)
    controls = asked.controls_of(body, max_megapixels=studio.settings.max_megapixels)
    asked.photo_request(body, place, Path(f"result.{body.format}"), controls)
    longest = max(kept.width, kept.height) if body.size == 0 else min(max(kept.width, kept.height), body.size or 2048)
    lane = SOON if longest <= SOON_SIDE and body.quality != "best" else LONG
    return studio.jobs.add(owner, "photo", kept.name, body.model_dump(), lane=lane)


def _add_jobs(app: FastAPI, studio: Studio) -> None:
    jobs = studio.jobs

    @app.post("/api/jobs/photo", status_code=202)
    def photo(request: Request, body: asked.PaintAsked) -> dict[str, Any]:
        """Paint a picture as a job."""
        return _queued_photo(studio, _owner(request), body).shown

    @app.post("/api/jobs/film", status_code=202)
    def film(request: Request, body: asked.FilmAsked) -> dict[str, Any]:
        """Paint a film as a job; the result lies beside it."""
        place = studio.place(_owner(request))
        asked.film_request(body, place, None, asked.controls_of(body, max_megapixels=studio.settings.max_megapixels))
        return jobs.add(_owner(request), "film", asked.film_of(body, place).name, body.model_dump()).shown

    @app.post("/api/jobs/frames", status_code=202)
    def frames(request: Request, body: asked.FilmAsked) -> dict[str, Any]:
        """Three frames of a film, before and after: a job whose files are pictures, in pairs."""
        place = studio.place(_owner(request))
        asked.film_request(body, place, None, asked.controls_of(body, max_megapixels=studio.settings.max_megapixels))
        return jobs.add(_owner(request), "frames", asked.film_of(body, place).name, body.model_dump(), lane=SOON).shown

    @app.post("/api/jobs/learn", status_code=202)
    def learn(request: Request, body: asked.LearnAsked) -> dict[str, Any]:
        """Learn a painting as a job; the style is then in your library."""
        owner = _owner(request)
        studio.shelf(owner).view(body.painting)
        studio.library(owner).free(body.name)
        return jobs.add(owner, "learn", body.name, body.model_dump()).shown

    @app.get("/api/jobs")
    def listed(request: Request) -> list[dict[str, Any]]:
        """Your jobs, the newest first."""
        return [job.shown for job in jobs.all(_owner(request))]

    @app.get("/api/events", response_class=StreamingResponse)
    def all_events(request: Request) -> StreamingResponse:
        """Server-sent events: each of your jobs as it stands, and again whenever it changes."""
        return _stream(studio, _owner(request))

    @app.get("/api/jobs/{key}")
    def one(request: Request, key: str) -> dict[str, Any]:
        """One job."""
        return jobs.find(_owner(request), key).shown

    @app.get("/api/jobs/{key}/events", response_class=StreamingResponse)
    def events(request: Request, key: str) -> StreamingResponse:
        """Server-sent events of one job, until it ends."""
        jobs.find(_owner(request), key)
        return _stream(studio, _owner(request), key)

    @app.get("/api/jobs/{key}/preview", response_class=FileResponse)
    def preview(request: Request, key: str) -> FileResponse:
        """The last picture of a job at work."""
        jobs.find(_owner(request), key)
        path = jobs.folder(key) / "preview.jpg"
        if not path.is_file():
            raise HTTPException(404)
        return FileResponse(path, media_type="image/jpeg")

    @app.get("/api/jobs/{key}/files/{number}", response_class=FileResponse)
    def result(request: Request, key: str, number: int, download: bool = False) -> FileResponse:
        """What a job made, by its number in `files`."""
        job = jobs.find(_owner(request), key)
        if job.state != "done" or not 0 <= number < len(job.files) or not Path(job.files[number]).is_file():
            raise HTTPException(404)
        path = Path(job.files[number])
        return _download(path) if download else FileResponse(path)

    @app.post("/api/jobs/{key}/{action}")
    def act(request: Request, key: str, action: Literal["pause", "resume", "cancel"]) -> dict[str, Any]:
        """Pause, resume or cancel a job."""
        do: Callable[[str, str], Job] = {"pause": jobs.pause, "resume": jobs.resume, "cancel": jobs.cancel}[action]
        return do(_owner(request), key).shown

    @app.delete("/api/jobs/{key}", status_code=204)
    def remove(request: Request, key: str) -> None:
        """Forget a job that has ended. A film stays where it lies."""
        jobs.remove(_owner(request), key)


def _add_live(app: FastAPI, studio: Studio) -> None:
    """The page that paints in the browser, with the small networks that there are; each is exported when it is chosen first."""

    @app.get("/live", include_in_schema=False)
    def to_page() -> RedirectResponse:
        return RedirectResponse("/live/")

    @app.get("/live/styles.json", include_in_schema=False)
    def live_styles(request: Request) -> list[dict[str, str]]:
        check_engine()
        library = studio.library(_owner(request))
        return [describe(find_style(gallery.file_of(style.name, library))) for style in gallery.styles(library) if style.live]

    @app.get("/live/models/{name}.onnx", include_in_schema=False)
    def live_model(request: Request, name: str) -> FileResponse:
        style = gallery.file_of(name, studio.library(_owner(request)))
        made = studio.folder / "live" / f"{fingerprint(style)[:32]}.onnx"
        with studio.samples:
            if not made.is_file():
                export_model(style, made)
        return FileResponse(made, media_type="application/octet-stream")

    @app.get("/live/pictures/{name}.jpg", include_in_schema=False)
    def live_picture(request: Request, name: str) -> FileResponse:
        return style_picture(studio, _owner(request), name)

    app.mount("/live", StaticFiles(directory=PAGE, html=True), name="live")


def style_picture(studio: Studio, owner: str, name: str) -> FileResponse:
    """A small picture of a style, painted when it is asked for first."""
    with studio.samples:
        found = gallery.picture_of(name, studio.library(owner), studio.folder / "samples" / owner)
    return FileResponse(found, headers={"cache-control": "max-age=60"})


def _stream(studio: Studio, owner: str, key: str | None = None) -> StreamingResponse:
    if studio.streams(owner) >= _STREAMS:
        raise BusyError("too many pages listen already")
    return StreamingResponse(studio.events(owner, key), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def _add_films(app: FastAPI, studio: Studio) -> None:
    @app.get("/api/folders")
    def folders() -> list[str]:
        """The folders that the studio was opened with."""
        return studio.folders.names()

    @app.get("/api/folders/{number}")
    def entries(number: int, path: Annotated[str, Query(max_length=2000)] = "") -> list[dict[str, Any]]:
        """The films and folders in one, or in a folder inside it."""
        return [asdict(entry) for entry in studio.folders.list(number, path)]


def _download(path: Path) -> FileResponse:
    """A file that the browser keeps instead of showing it."""
    return FileResponse(path, headers={"content-disposition": f"attachment; filename*=UTF-8''{quote(path.name)}"})


def _binary(kind: str) -> dict[str, Any]:
    """What the description of the API says of a body that is a file."""
    return {"requestBody": {"required": True, "content": {kind: {"schema": {"type": "string", "format": "binary"}}}}}
