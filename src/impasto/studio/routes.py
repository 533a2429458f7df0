"""The routes of the studio's API."""

import base64
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from impasto import __version__
from impasto.errors import InputError
from impasto.files import fingerprint
from impasto.job.export_web import PAGE, describe, export_model
from impasto.job.styles import find_style
from impasto.job.web_engine import FILES, check_engine
from impasto.media.opening import is_film
from impasto.names import as_plain_name
from impasto.settings import PHOTO_SIDE
from impasto.studio import asked, gallery
from impasto.studio.core import DRAFT_SIDE, Studio
from impasto.studio.jobs import LONG, SOON, BusyError, Job
from impasto.studio.shelf import Kept

SOON_SIDE = 1024
"""Longer side, in pixels, up to which a picture is one that somebody waits for."""
_STREAMS = 8
"""Open streams of events of one owner."""


def owner_of(request: Request) -> str:
    """Whose request it is."""
    owner: str = request.state.owner
    return owner


def add_pictures(app: FastAPI, studio: Studio) -> None:
    """Health, and pictures and films that are sent."""

    @app.get("/api/health")
    def health(request: Request) -> dict[str, str]:
        """Whether the studio is there."""
        return {"status": "ok"} | ({"version": __version__} if owner_of(request) else {})

    @app.post("/api/pictures", status_code=201, openapi_extra=_binary("image/*"))
    async def keep(request: Request, name: Annotated[str, Query(max_length=300)] = "picture") -> Kept:
        """Send a picture, as the body of the request; `name` is what results are called by."""
        if is_film(as_plain_name(name)):
            raise InputError(f"{as_plain_name(name)} is a film: it goes to the films")
        return await studio.shelf(owner_of(request)).take(name, request.stream())

    @app.post("/api/films", status_code=201, openapi_extra=_binary("video/*"))
    async def keep_film(request: Request, name: Annotated[str, Query(max_length=300)] = "film.mp4") -> Kept:
        """Send a small film, as the body of the request; its name has to have an ending, such as .mp4."""
        if not is_film(as_plain_name(name)):
            raise InputError(f"{as_plain_name(name)} is no film that can be read")
        return await studio.shelf(owner_of(request)).take(name, request.stream())

    @app.get("/api/pictures/{key}", response_class=FileResponse)
    def picture(request: Request, key: str) -> FileResponse:
        """A picture that was sent, at 1024 px at the most."""
        return FileResponse(studio.shelf(owner_of(request)).view(key), media_type="image/png")

    @app.delete("/api/pictures/{key}", status_code=204)
    def forget(request: Request, key: str) -> None:
        """Remove a picture."""
        studio.shelf(owner_of(request)).remove(key)


def add_styles(app: FastAPI, studio: Studio) -> None:
    """Styles: the list, their pictures and files, and what can be done with those of the user."""

    @app.get("/api/styles")
    def styles(request: Request) -> list[gallery.Shown]:
        """The styles there are, your own first."""
        return [*gallery.styles(studio.library(owner_of(request)))]

    @app.post("/api/styles", status_code=201, openapi_extra=_binary("application/octet-stream"))
    async def add(request: Request, name: Annotated[str, Query(max_length=100)]) -> dict[str, str]:
        """Send a style file to your library, as the body of the request."""
        library = studio.library(owner_of(request))
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
        return _style_picture(studio, owner_of(request), name)

    @app.get("/api/styles/{name}/painting", response_class=FileResponse)
    def painting(request: Request, name: str) -> FileResponse:
        """The painting that a style was learned from, where it is at hand."""
        found = gallery.painting_of(name, studio.library(owner_of(request)))
        if found is None:
            raise InputError(f"the painting of {name} is not at hand: add it as a picture")
        return FileResponse(found)

    @app.get("/api/styles/{name}/file", response_class=FileResponse)
    def style_file(request: Request, name: str) -> FileResponse:
        """The style file."""
        return _download(gallery.file_of(name, studio.library(owner_of(request))))

    @app.patch("/api/styles/{name}")
    def rename(request: Request, name: str, body: asked.Rename) -> dict[str, str]:
        """Give one of your styles another name."""
        return {"name": studio.library(owner_of(request)).rename(name, body.name).stem}

    @app.delete("/api/styles/{name}", status_code=204)
    def remove(request: Request, name: str) -> None:
        """Remove one of your styles."""
        studio.library(owner_of(request)).remove(name)


def add_painting(app: FastAPI, studio: Studio) -> None:
    """Drafts, commands, regions, and what can be turned."""
    limit = studio.settings.max_megapixels

    @app.get("/api/methods")
    def methods() -> list[dict[str, Any]]:
        """The methods with what can be turned of each."""
        return asked.offered()

    @app.post("/api/stylize", response_class=Response, responses={200: {"content": {"image/png": {}}}, 202: {"model": dict[str, Any]}})
    def stylize(request: Request, body: asked.PaintAsked) -> Response:
        """Paint a picture: a draft of at most 1024 px comes at once, as a file; everything else is a job.

        `size`: the longer side; 0 is the photo's own. A draft without a size has 512 px.
        """
        owner, place = owner_of(request), studio.place(owner_of(request))
        body = _with_selection(place, body)
        controls = asked.controls_of(body, max_megapixels=limit, size=DRAFT_SIDE if body.size is None else body.size)
        if body.quality != "draft" or _side(place.shelf.find(body.photo), controls.size) > SOON_SIDE:
            job = _queued_photo(studio, owner, body)
            return JSONResponse(job.shown, 202, {"location": f"{request.scope.get('root_path', '')}/api/jobs/{job.id}"})
        name = f"{Path(place.shelf.find(body.photo).name).stem}-draft.{body.format}"
        with studio.jobs.quiet():
            painted = studio.drafts.paint(lambda output: asked.photo_request(body, place, output, controls, draft=body.preview), name)
        kinds = {"png": "image/png", "jpg": "image/jpeg", "tif": "image/tiff", "webp": "image/webp"}
        return Response(painted, media_type=kinds[body.format])

    @app.post("/api/command")
    def command(request: Request, body: asked.PaintAsked | asked.FilmAsked) -> dict[str, str]:
        """The command line that paints the same."""
        return {"command": asked.command(body, studio.place(owner_of(request)), max_megapixels=limit)}

    @app.post("/api/regions", status_code=202)
    def regions(request: Request, body: asked.RegionsAsked) -> dict[str, Any]:
        """Find matching regions: a job whose files are label maps, of the photo first, then of each style picture."""
        return studio.jobs.add(owner_of(request), "regions", "regions", body.model_dump(), lane=SOON).shown


def _with_selection(place: asked.Place, body: asked.PaintAsked) -> asked.PaintAsked:
    """The request, a selection that came inside of it put on the shelf. Raises InputError for what is no PNG."""
    kind, marked, data = (body.selection or "").partition(";base64,")
    if not marked:
        return body
    try:
        if kind != "data:image/png":
            raise ValueError
        sent = base64.b64decode(data, validate=True)
    except ValueError:
        raise InputError("a selection is a picture that was sent, or data:image/png;base64, and a PNG file in base64") from None
    return body.model_copy(update={"selection": place.shelf.put(sent, "selection.png").id})


def _side(kept: Kept, size: int | None) -> int:
    """The longer side that a picture is painted at, in pixels."""
    own = max(kept.width, kept.height)
    return own if size == 0 else min(own, PHOTO_SIDE if size is None else size)


def _queued_photo(studio: Studio, owner: str, body: asked.PaintAsked) -> Job:
    """A picture as a job, after everything that can be known to be wrong was looked at."""
    place = studio.place(owner)
    body = _with_selection(place, body)
    kept = place.shelf.find(body.photo)
    controls = asked.controls_of(body, max_megapixels=studio.settings.max_megapixels)
    asked.photo_request(body, place, Path(f"result.{body.format}"), controls)
    lane = SOON if _side(kept, body.size) <= SOON_SIDE and body.quality != "best" else LONG
    return studio.jobs.add(owner, "photo", kept.name, body.model_dump(), lane=lane)


def add_jobs(app: FastAPI, studio: Studio) -> None:
    """Long work, and server-sent events of it."""
    jobs = studio.jobs

    @app.post("/api/jobs/photo", status_code=202)
    def photo(request: Request, body: asked.PaintAsked) -> dict[str, Any]:
        """Paint a picture as a job."""
        return _queued_photo(studio, owner_of(request), body).shown

    @app.post("/api/jobs/film", status_code=202)
    def film(request: Request, body: asked.FilmAsked) -> dict[str, Any]:
        """Paint a film as a job; the result lies beside it."""
        place = studio.place(owner_of(request))
        asked.film_request(body, place, None, asked.controls_of(body, max_megapixels=studio.settings.max_megapixels))
        return jobs.add(owner_of(request), "film", asked.film_of(body, place).name, body.model_dump()).shown

    @app.post("/api/jobs/frames", status_code=202)
    def frames(request: Request, body: asked.FilmAsked) -> dict[str, Any]:
        """Three frames of a film, before and after: a job whose files are pictures, in pairs."""
        place = studio.place(owner_of(request))
        asked.film_request(body, place, None, asked.controls_of(body, max_megapixels=studio.settings.max_megapixels))
        return jobs.add(owner_of(request), "frames", asked.film_of(body, place).name, body.model_dump(), lane=SOON).shown

    @app.post("/api/jobs/learn", status_code=202)
    def learn(request: Request, body: asked.LearnAsked) -> dict[str, Any]:
        """Learn a painting as a job; the style is then in your library."""
        owner = owner_of(request)
        studio.shelf(owner).view(body.painting)
        studio.library(owner).free(body.name)
        return jobs.add(owner, "learn", body.name, body.model_dump()).shown

    @app.get("/api/jobs")
    def listed(request: Request) -> list[dict[str, Any]]:
        """Your jobs, the newest first."""
        return [job.shown for job in jobs.all(owner_of(request))]

    @app.get("/api/events", response_class=StreamingResponse)
    def all_events(request: Request) -> StreamingResponse:
        """Server-sent events: each of your jobs as it stands, and again whenever it changes."""
        return _stream(studio, owner_of(request))

    @app.get("/api/jobs/{key}")
    def one(request: Request, key: str) -> dict[str, Any]:
        """One job."""
        return jobs.find(owner_of(request), key).shown

    @app.get("/api/jobs/{key}/events", response_class=StreamingResponse)
    def events(request: Request, key: str) -> StreamingResponse:
        """Server-sent events of one job, until it ends."""
        jobs.find(owner_of(request), key)
        return _stream(studio, owner_of(request), key)

    @app.get("/api/jobs/{key}/preview", response_class=FileResponse)
    def preview(request: Request, key: str) -> FileResponse:
        """The last picture of a job at work."""
        jobs.find(owner_of(request), key)
        path = jobs.folder(key) / "preview.jpg"
        if not path.is_file():
            raise HTTPException(404)
        return FileResponse(path, media_type="image/jpeg")

    @app.get("/api/jobs/{key}/files/{number}", response_class=FileResponse)
    def result(request: Request, key: str, number: int, download: bool = False) -> FileResponse:
        """What a job made, by its number in `files`."""
        job = jobs.find(owner_of(request), key)
        if job.state != "done" or not 0 <= number < len(job.files) or not Path(job.files[number]).is_file():
            raise HTTPException(404)
        path = Path(job.files[number])
        return _download(path) if download else FileResponse(path)

    @app.post("/api/jobs/{key}/{action}")
    def act(request: Request, key: str, action: Literal["pause", "resume", "cancel"]) -> dict[str, Any]:
        """Pause, resume or cancel a job."""
        do: Callable[[str, str], Job] = {"pause": jobs.pause, "resume": jobs.resume, "cancel": jobs.cancel}[action]
        return do(owner_of(request), key).shown

    @app.delete("/api/jobs/{key}", status_code=204)
    def remove(request: Request, key: str) -> None:
        """Forget a job that has ended. A film stays where it lies."""
        jobs.remove(owner_of(request), key)


def add_live(app: FastAPI, studio: Studio) -> None:
    """The page that paints in the browser, with the small networks that there are; each is exported when it is chosen first."""

    @app.get("/live", include_in_schema=False)
    def to_page(request: Request) -> RedirectResponse:
        return RedirectResponse(f"{request.scope.get('root_path', '')}/live/")

    @app.get("/live/styles.json", include_in_schema=False)
    def live_styles(request: Request) -> list[dict[str, str]]:
        check_engine()
        library = studio.library(owner_of(request))
        return [describe(find_style(gallery.file_of(style.name, library))) for style in gallery.styles(library) if style.live]

    @app.get("/live/models/{name}.onnx", include_in_schema=False)
    def live_model(request: Request, name: str) -> FileResponse:
        style = gallery.file_of(name, studio.library(owner_of(request)))
        made = studio.folder / "live" / f"{fingerprint(style)[:32]}.onnx"
        with studio.sampling:
            if not made.is_file():
                export_model(style, made)
        return FileResponse(made, media_type="application/octet-stream")

    @app.get("/live/pictures/{name}.jpg", include_in_schema=False)
    def live_picture(request: Request, name: str) -> FileResponse:
        return _style_picture(studio, owner_of(request), name)

    @app.get("/live/vendor/{name}", include_in_schema=False)
    def live_engine(name: str) -> FileResponse:
        if name not in FILES:
            raise HTTPException(404)
        return FileResponse(check_engine() / name)

    app.mount("/live", StaticFiles(directory=PAGE, html=True), name="live")


def _style_picture(studio: Studio, owner: str, name: str) -> FileResponse:
    """A small picture of a style, painted when it is asked for first."""
    with studio.sampling:
        found = gallery.picture_of(name, studio.library(owner), studio.folder / "samples" / owner)
    return FileResponse(found, headers={"cache-control": "max-age=60"})


def _stream(studio: Studio, owner: str, key: str | None = None) -> StreamingResponse:
    if studio.streams(owner) >= _STREAMS:
        raise BusyError("too many pages listen already")
    return StreamingResponse(studio.events(owner, key), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def add_films(app: FastAPI, studio: Studio) -> None:
    """The folders that were opened."""

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


ROUTES = (add_pictures, add_styles, add_painting, add_jobs, add_films, add_live)
"""Everything that is served under /api, and the live page."""
