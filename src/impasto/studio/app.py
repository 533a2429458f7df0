"""The studio's application: the page, and the API that the page itself uses."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, MutableMapping
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from impasto import __version__
from impasto.errors import ImpastoError, InputError
from impasto.studio import works
from impasto.studio.core import Studio
from impasto.studio.drafts import TooSlowError
from impasto.studio.guard import Guard, RefusedError
from impasto.studio.jobs import BusyError
from impasto.studio.routes import ROUTES
from impasto.studio.settings import StudioSettings

STATIC = Path(__file__).resolve().parent / "static"
log = logging.getLogger("impasto")


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
    for add in ROUTES:
        add(app, studio)
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
