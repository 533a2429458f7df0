"""Animated GIF, WebP, PNG and AVIF: short films in files of pictures. AVIF is read only."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
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

_TIME_BASE = {"PNG": Fraction(1, 90_000)}
"""Seconds a unit of the times that are read; of others a millisecond. PNG has fractions of seconds."""
_USUAL, _SHORTEST = Fraction(1, 10), Fraction(1, 100)
"""Seconds that browsers show a frame that says this short a time, or less."""
_TICKS = {"GIF": (Fraction(1, 100), 2), "WEBP": (Fraction(1, 1000), 11), "PNG": (Fraction(1, 90_000), 990)}
"""Seconds a unit of the delays that are written, and the least of them that a frame has: browsers show what is shorter for longer."""
_MOST_FRAMES = 10_000
_COLORS = 255
"""Of a frame of a GIF with transparency, which takes the 256th."""
_TRANSPARENT = (1, 254, 3)
"""The colour that is stored for what is transparent."""


class AnimationReader:
    """An animation, read like a film. Raises FilmError or PictureError for what is none, or is damaged."""

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
        self._stamped = image.format == "AVIF"  # its frames need not last whole milliseconds
        self.loop: int | None = image.info.get("loop", 0 if image.format == "AVIF" else None)  # Pillow does not say it of AVIF
        self._first = int(bool(getattr(image, "default_image", False)))  # an image for programs that know no animations
        durations, alpha = [], False
        for number in range(count):
            try:
                image.seek(self._first + number)
                alpha = alpha or _is_transparent(image)
            except Exception:
                if not number:
                    raise
                break  # iterating says what is wrong
            durations.append(_duration(image))
        rate, base = 1 / sorted(durations)[len(durations) // 2], _TIME_BASE.get(image.format or "", Fraction(1, 1000))
        self.info = FilmInfo((height, width), rate, base, count, float(sum(durations)), alpha=alpha, remarks=self._color.messages)
        self.remarks = self.info.remarks

    def _opened(self) -> Any:
        return opened(self.path)

    def __iter__(self) -> Iterator[Frame]:
        begin, base = Fraction(0), self.info.time_base
        number = 0
        try:
            with self._opened() as image:
                for number in range(self.info.frames):
                    image.seek(self._first + number)
                    pixels = self._shown(np.array(image.convert("RGBA" if self.info.alpha else "RGB")))
                    begin = Fraction(image.info["timestamp"], 1000) if self._stamped else begin
                    time, begin = round(begin / base), begin + _duration(image)
                    yield Frame(pixels, time, number, max(1, round(begin / base) - time))
        except ImpastoError:
            raise
        except Exception as error:  # decoders raise whatever they stumble over
            self.problem = f"{self.path} is damaged after frame {number} ({error or type(error).__name__}); what comes before it was kept"

    def _shown(self, pixels: np.ndarray) -> np.ndarray:
        """A frame in sRGB, its alpha as it is."""
        if not self._color.is_srgb:
            pixels[..., :3] = self._color.to_srgb(pixels[..., : 1 if self._grey else 3])
        return pixels


def _duration(image: Image.Image) -> Fraction:
    """Seconds of the frame that an animation is at, as browsers show it."""
    stated = Fraction(float(image.info.get("duration") or 0) / 1000).limit_denominator(65_535)
    return stated if stated > _SHORTEST else _USUAL


def _is_transparent(image: Image.Image) -> bool:
    """Whether anything of the frame that an animation is at is transparent."""
    if image.mode in ("RGB", "L") and "transparency" not in image.info:
        return False
    lowest, _ = image.convert("RGBA").getchannel("A").getextrema()
    return bool(lowest < 255)  # type: ignore[operator]


class AnimationWriter:
    """Writes an animation: frames lie beside it until all are there, so that it can be resumed, and are then put together.

    As `FilmWriter`; the key includes the format.
    """

    def __init__(
        self, output: Path, info: FilmInfo, size: tuple[int, int], key: str, *, loop: int | None = 0, remarks: tuple[str, ...] = ()
    ):
        check_animation_output(output)
        self.output, self.info, self.loop, self.remarks = output, info, loop, remarks
        self.folder = beside(output, "parts")
        self.alpha = info.alpha
        if info.length > _MOST_FRAMES:
            raise FilmError(
                f"cannot write {output}: an animation has at most {_MOST_FRAMES} frames, and there are {info.length}; .mp4 takes more"
            )
        self._frames = self._writer(size, key)
        self._times = self.folder / "times.json"
        try:
            self._at: list[list[int]] = json.loads(self._times.read_text(encoding="utf-8"))[: self._frames.done]
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

    def write(self, picture: np.ndarray, time: int, *, cut: bool = False, duration: int = 0) -> None:
        """Add a frame, bytes (H, W, 3), or (H, W, 4) with alpha, at a time in the source's time base, which also counts its duration."""
        if self._frames.done >= _MOST_FRAMES:
            raise FilmError(f"an animation has at most {_MOST_FRAMES} frames; .mp4 takes more")
        self._at.append([time, duration or round(1 / (self.info.rate * self.info.time_base))])
        with atomic_file(self._times) as temporary:
            temporary.write_text(json.dumps(self._at), encoding="utf-8")
        self._frames.write(picture, time)

    def pause(self) -> None:
        """Every frame that was written is there already."""

    def finish(self) -> None:
        """Put the frames together; the file appears whole or not at all. Raises FilmError."""
        if not self.done:
            raise FilmError(f"there is no frame for {self.output}")
        kind = ANIMATIONS[self.output.suffix.lower()]
        begins = [time * self.info.time_base for time, _ in self._at]
        shown, lengths = delays(kind, begins, sum(self._at[-1]) * self.info.time_base)
        if len(shown) < self.done:
            most = round(1 / (_TICKS[kind][0] * _TICKS[kind][1]))
            left_out = self.done - len(shown)
            self.remarks += (f"{left_out} of {self.done} frames are left out: {self.output.suffix} shows at most {most} a second",)
        try:
            with atomic_file(self.output) as temporary:
                first, *rest = (self._frames.file(number) for number in shown)
                prepared = _with_index if kind == "GIF" and self.alpha else _frame
                options = _options(kind, self.alpha) | {"duration": lengths[0] if len(lengths) == 1 else lengths}
                if self.loop is not None or kind != "GIF":  # a GIF that does not say how often is shown once
                    options["loop"] = 1 if self.loop is None else self.loop
                prepared(first).save(temporary, format=kind, save_all=True, append_images=_Frames(rest, prepared), **options)
        except (OSError, ValueError) as error:
            raise FilmError(f"cannot write {self.output}: {getattr(error, 'strerror', None) or error}") from None
        shutil.rmtree(self.folder, ignore_errors=True)


def delays(kind: str, begins: Sequence[Fraction], end: Fraction) -> tuple[list[int], list[float]]:
    """Which frames of an animation are shown, by their numbers, and for how many milliseconds each.

    kind: "GIF", "WEBP" or "PNG". begins: seconds at which frames begin. end: of the last one. Delays are those between rounded times, so
    that they add up to the length; a frame that would be shown for too short a time is left out.
    """
    tick, least = _TICKS[kind]
    times = [round((begin - begins[0]) / tick) for begin in begins]
    last = round((end - begins[0]) / tick)
    shown = [0]
    for number, time in enumerate(times):
        if time - times[shown[-1]] >= least:
            shown.append(number)
    if len(shown) > 1 and last - times[shown[-1]] < least:
        shown.pop()
    ends = [*(times[number] for number in shown[1:]), max(last, times[shown[-1]] + least)]
    return shown, [float(1000 * tick * (after - times[number])) for number, after in zip(shown, ends, strict=True)]


def check_animation_output(path: Path) -> None:
    """Say before any long work whether an animation could be written here. Raises FilmError or InputError."""
    if path.suffix.lower() not in ANIMATIONS:
        raise FilmError(f"cannot write {path}: the name of an animation ends in {', '.join(ANIMATIONS)}")
    if path.is_dir():
        raise FilmError(f"cannot write {path}: it is a folder")
    check_folder(path)


class _Frames:
    """Pictures that are opened when they are looked at: Pillow goes through them twice."""

    def __init__(self, files: list[Path], prepared: Callable[[Path], Image.Image]):
        self.files, self.prepared = files, prepared

    def __iter__(self) -> Iterator[Image.Image]:
        return (self.prepared(file) for file in self.files)


def _frame(file: Path) -> Image.Image:
    with Image.open(file) as image:
        image.load()
        return image


def _with_index(file: Path) -> Image.Image:
    """A frame of a GIF whose last colour is the transparent one, also where nothing is transparent yet.

    What is left behind by a frame without such a colour is not transparent, to most programs. Pillow compares frames by their colours
    alone, so that no other colour is that of the transparent one.
    """
    image = _frame(file)
    indexed = image.convert("RGB").quantize(_COLORS)
    colors = np.zeros((256, 3), np.uint8)
    palette = np.array(indexed.getpalette(), np.uint8).reshape(-1, 3)[:_COLORS]
    colors[: len(palette)] = palette
    colors[(colors == _TRANSPARENT).all(1), 2] += 1
    colors[_COLORS] = _TRANSPARENT
    indexed.putpalette(colors.tobytes())
    indexed.paste(_COLORS, mask=image.getchannel("A").point(lambda alpha: 255 * (alpha < 128)))
    indexed.info["transparency"] = _COLORS
    return indexed


def _options(kind: str, alpha: bool) -> dict[str, Any]:
    if kind == "GIF":
        return {"comment": MADE_BY.encode(), "disposal": 2, "optimize": False}
    if kind == "PNG":
        software = PngInfo()
        software.add_text("Software", MADE_BY)
        return {"pnginfo": software, "default_image": False}
    exif = Image.Exif()
    exif[SOFTWARE] = MADE_BY
    whole = {"kmin": 0, "kmax": 1} if alpha else {}  # libwebp loses transparency behind an opaque frame otherwise
    return {"quality": 90, "exif": exif.tobytes().removeprefix(b"Exif\0\0")} | whole
