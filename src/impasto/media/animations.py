"""Animated GIF, WebP, PNG and AVIF: short films in files of pictures. AVIF is read only."""

import json
import os
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from impasto.errors import ImpastoError
from impasto.files import atomic_file, beside, check_folder
from impasto.media.frames import FrameWriter
from impasto.media.image_color import color_of
from impasto.media.opening import MADE_BY, SOFTWARE, frames_of, opened
from impasto.media.stills import MAX_PIXELS
from impasto.media.videos import FilmError, FilmInfo, Frame

ANIMATIONS = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG", ".apng": "PNG"}
"""Formats of animations by suffix."""

MILLISECONDS = Fraction(1, 1000)
_USUAL = 100
"""Milliseconds of a frame that says none: what browsers take."""
_MOST_FRAMES = 10_000


class AnimationReader:
    """An animation, read like a film; times in milliseconds. Raises FilmError or PictureError for what is none, or is damaged."""

    def __init__(self, path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS):
        self.path, self.problem = Path(path), ""
        try:
            with self._opened() as image:
                self._info(image, max_pixels)
        except (ImpastoError, MemoryError):
            raise
        except Exception as error:  # decoders raise whatever they stumble over
            raise FilmError(f"{path} is damaged or cut off and cannot be decoded ({error or type(error).__name__})") from None

    def _info(self, image: Image.Image, max_pixels: int) -> None:
        count = frames_of(image)
        width, height = image.size
        if width * height > max_pixels or width < 1 or height < 1:
            raise FilmError(
                f"{self.path} has {width}x{height} pixels, more than the limit of {max_pixels / 1e6:g} megapixels (--max-megapixels)"
            )
        if not 1 < count <= _MOST_FRAMES:
            raise FilmError(f"{self.path} holds {count} frames; an animation has 2 to {_MOST_FRAMES}")
        self._color, self._grey = color_of(image, self.path), image.mode in ("L", "LA")
        first = image.convert("RGBA")
        alpha = bool((np.asarray(first.getchannel("A")) < 255).any()) or "transparency" in image.info
        length = max(1, int(image.info.get("duration") or _USUAL))
        self.loop: int | None = image.info.get("loop", 0 if image.format == "AVIF" else None)  # Pillow does not say it of AVIF
        self.info = FilmInfo((height, width), Fraction(1000, length), MILLISECONDS, count, count * length / 1000, alpha=alpha,
                             remarks=self._color.messages)  # fmt: skip

    def _opened(self) -> Any:
        return opened(self.path)

    def __iter__(self) -> Iterator[Frame]:
        time, number = 0, 0
        try:
            with self._opened() as image:
                for number in range(self.info.frames):
                    image.seek(number)
                    pixels = self._shown(np.array(image.convert("RGBA" if self.info.alpha else "RGB")))
                    length = int(image.info.get("duration") or _USUAL)
                    time = int(image.info.get("timestamp", time))  # of AVIF, whose frames need not last whole milliseconds
                    yield Frame(pixels, time, number)
                    time += max(1, length)
        except ImpastoError:
            raise
        except Exception as error:  # decoders raise whatever they stumble over
            self.problem = f"{self.path} is damaged after frame {number} ({error or type(error).__name__}); what comes before it was kept"

    def _shown(self, pixels: np.ndarray) -> np.ndarray:
        """A frame in sRGB, its alpha as it is."""
        if not self._color.is_srgb:
            pixels[..., :3] = self._color.to_srgb(pixels[..., : 1 if self._grey else 3])
        return pixels


class AnimationWriter:
    """Writes an animation: frames lie beside it until all are there, so that it can be resumed, and are then put together.

    As `FilmWriter`; the key includes the format.
    """

    remarks: tuple[str, ...] = ()

    def __init__(self, output: Path, info: FilmInfo, size: tuple[int, int], key: str, *, loop: int | None = 0):
        check_animation_output(output)
        self.output, self.info, self.loop = output, info, loop
        self.folder = beside(output, "parts")
        self.alpha = info.alpha
        if info.length > _MOST_FRAMES:
            raise FilmError(
                f"cannot write {output}: an animation has at most {_MOST_FRAMES} frames, and there are {info.length}; .mp4 takes more"
            )
        self._frames = self._writer(size, key)
        self._times = self.folder / "times.json"
        try:
            self._at: list[int] = json.loads(self._times.read_text(encoding="utf-8"))[: self._frames.done]
        except (OSError, ValueError):
            self._at = []
        if len(self._at) < self._frames.done:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._frames, self._at = self._writer(size, key), []

    def _writer(self, size: tuple[int, int], key: str) -> FrameWriter:
        names = [f"{number:06d}" for number in range(_MOST_FRAMES)]
        identity = f"{key}|{self.output.suffix.lower()}"
        return FrameWriter(self.folder, names, size, identity, alpha=self.alpha, expected=self.info.length)

    @property
    def done(self) -> int:
        """How many frames are finished already."""
        return self._frames.done

    @property
    def last(self) -> np.ndarray | None:
        """The last of them, bytes (H, W, C)."""
        return self._frames.last

    def write(self, picture: np.ndarray, time: int, *, cut: bool = False) -> None:
        """Add a frame, bytes (H, W, 3), or (H, W, 4) with alpha, at a time in the source's time base."""
        if self._frames.done >= _MOST_FRAMES:
            raise FilmError(f"an animation has at most {_MOST_FRAMES} frames; .mp4 takes more")
        self._at.append(round(time * self.info.time_base * 1000))
        with atomic_file(self._times) as temporary:
            temporary.write_text(json.dumps(self._at), encoding="utf-8")
        self._frames.write(picture, time)

    def pause(self) -> None:
        """Every frame that was written is there already."""

    def finish(self) -> None:
        """Put the frames together; the file appears whole or not at all. Raises FilmError."""
        if not self.done:
            raise FilmError(f"there is no frame for {self.output}")
        usual = max(1, round(1000 / self.info.rate))
        lengths = [max(1, after - before) for before, after in zip(self._at, self._at[1:], strict=False)] + [usual]
        kind = ANIMATIONS[self.output.suffix.lower()]
        try:
            with atomic_file(self.output) as temporary:
                first, *rest = (self._frames.file(number) for number in range(self.done))
                options = _options(kind) | {"duration": lengths[0] if len(lengths) == 1 else lengths}
                if self.loop is not None or kind != "GIF":  # a GIF that does not say how often is shown once
                    options["loop"] = 1 if self.loop is None else self.loop
                _frame(first).save(temporary, format=kind, save_all=True, append_images=_Frames(rest), **options)
        except (OSError, ValueError) as error:
            raise FilmError(f"cannot write {self.output}: {getattr(error, 'strerror', None) or error}") from None
        shutil.rmtree(self.folder, ignore_errors=True)


def check_animation_output(path: Path) -> None:
    """Say before any long work whether an animation could be written here. Raises FilmError or InputError."""
    if path.suffix.lower() not in ANIMATIONS:
        raise FilmError(f"cannot write {path}: the name of an animation ends in {', '.join(ANIMATIONS)}")
    if path.is_dir():
        raise FilmError(f"cannot write {path}: it is a folder")
    check_folder(path)


class _Frames:
    """Pictures that are opened when they are looked at: Pillow goes through them twice."""

    def __init__(self, files: list[Path]):
        self.files = files

    def __iter__(self) -> Iterator[Image.Image]:
        return (_frame(file) for file in self.files)


def _frame(file: Path) -> Image.Image:
    with Image.open(file) as image:
        image.load()
        return image


def _options(kind: str) -> dict[str, Any]:
    if kind == "GIF":
        return {"comment": MADE_BY.encode(), "disposal": 2, "optimize": False}
    if kind == "PNG":
        software = PngInfo()
        software.add_text("Software", MADE_BY)
        return {"pnginfo": software, "default_image": False}
    exif = Image.Exif()
    exif[SOFTWARE] = MADE_BY
    return {"quality": 90, "exif": exif.tobytes()}
