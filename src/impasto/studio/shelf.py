"""Pictures and small films that were dropped into the studio: kept on the disk for their owner, for some days."""

import contextlib
import json
import re
import secrets
import shutil
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from impasto.errors import ImpastoError, InputError, PictureError
from impasto.media.images import Picture, fitted, read_picture, write_picture
from impasto.media.opening import is_film
from impasto.media.stills import fit_within
from impasto.names import as_plain_name

VIEW = 1024
"""Longer side, in pixels, of what is shown of a picture, and of what drafts are painted from."""
VIEW_FILE = ".view.png"
"""The file of it, beside the one that was sent."""
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Kept:
    """A picture or a film on the shelf. width, height: of a picture, upright; 0 of a film."""

    id: str
    name: str
    width: int = 0
    height: int = 0
    film: bool = False


class Shelf:
    """The pictures of one owner: a folder for each."""

    def __init__(self, folder: Path, *, most: int, max_megapixels: int):
        self.folder, self._most, self._max_pixels = folder, most, max_megapixels * 1_000_000
        self._lock = threading.Lock()

    async def take(self, name: str, parts: AsyncIterator[bytes]) -> Kept:
        """Write what is sent, and keep it if it is a picture, or a film by its name. Raises PictureError, or what `parts` raises."""
        name = as_plain_name(name.replace("\\", "/").rpartition("/")[2] or "picture")
        with self._place() as place:
            with (place / name).open("wb") as file:
                async for part in parts:
                    file.write(part)
            return await run_in_threadpool(self._keep, place, name)

    def put(self, data: bytes, name: str) -> Kept:
        """Keep a picture's file that is in memory. Raises PictureError."""
        with self._place() as place:
            (place / name).write_bytes(data)
            return self._keep(place, name)

    @contextlib.contextmanager
    def _place(self) -> Iterator[Path]:
        """A folder for something that is not kept yet."""
        place = self.folder / f".{secrets.token_hex(16)}"
        place.mkdir(parents=True)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _keep(self, place: Path, name: str) -> Kept:
        file, found = place / name, place.name[1:]
        if not file.stat().st_size:
            raise PictureError(f"{name} is empty")
        if is_film(file):
            kept = Kept(found, name, film=True)
        else:
            try:
                picture = read_picture(file, max_pixels=self._max_pixels)
            except ImpastoError as error:
                raise PictureError(str(error).replace(f"{place}/", "")) from None
            size = fit_within(picture.size, min(VIEW, max(picture.size)))
            small = fitted(picture, size)
            write_picture(Picture(small.pixels, small.alpha), place / VIEW_FILE)
            kept = Kept(found, name, picture.size[1], picture.size[0])
        (place / ".record.json").write_text(json.dumps(asdict(kept)), encoding="utf-8")
        with self._lock:
            place.rename(self.folder / found)
            for old in sorted(self._places(), key=lambda path: path.stat().st_mtime)[: -self._most]:
                shutil.rmtree(old, ignore_errors=True)
        return kept

    def find(self, key: str) -> Kept:
        """What is known of a picture. Raises InputError if it is not there, or is somebody else's."""
        place = self.folder / key
        try:
            if not _ID.fullmatch(key):
                raise OSError
            record = json.loads((place / ".record.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise InputError("that picture is not here any more: drop it once again") from None
        return Kept(**record)

    def file(self, key: str) -> Path:
        """The file as it was sent. Raises InputError."""
        return self.folder / key / self.find(key).name

    def view(self, key: str) -> Path:
        """The picture at a longer side of VIEW at the most. Raises InputError."""
        kept = self.find(key)
        if kept.film:
            raise InputError(f"{kept.name} is a film, and a picture was expected")
        return self.folder / key / VIEW_FILE

    def remove(self, key: str) -> None:
        """Remove a picture. Raises InputError."""
        self.find(key)
        shutil.rmtree(self.folder / key, ignore_errors=True)

    def clean(self, days: float) -> None:
        """Remove what is older, and what was never sent whole."""
        oldest = time.time() - days * 86_400
        for place in [*self._places(), *self.folder.glob(".*")]:
            if place.stat().st_mtime < (oldest if _ID.fullmatch(place.name) else time.time() - 3600):
                shutil.rmtree(place, ignore_errors=True)

    def _places(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if _ID.fullmatch(path.name)] if self.folder.is_dir() else []
