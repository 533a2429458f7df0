"""Picture files opened with Pillow: what is read of the header, before anything is decoded."""

import importlib.util
import io
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError

from impasto.errors import ImpastoError, PictureError
from impasto.media.camera_raw import RAW, RawFile, has_libraw, may_be_raw
from impasto.media.psd import PsdFile
from impasto.media.scene_linear import SceneImage
from impasto.media.tiff import STARTS, OtherTiff
from impasto.media.video_probe import is_text, kind_of_video

MADE_BY = "Impasto"
"""What the results say of themselves, as their software, so that a later run does not take them for photos."""

SOFTWARE, ORIENTATION = 0x0131, 0x0112

HEIF = frozenset({".heic", ".heif", ".hif"})

READABLE = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm",
     ".pfm", ".jp2", ".j2k", ".tga", ".qoi", ".avif", ".avifs", ".mpo", ".psd", ".psb", ".hdr", ".exr", *HEIF, *RAW}
)  # fmt: skip
"""Suffixes that a folder is searched for; a file named by itself may have any."""

READABLE_FILMS = frozenset(
    {".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".ts", ".mts", ".m2ts", ".3gp", ".ogv",
     ".vob", ".m2v", ".m2t", ".tod", ".mod", ".3g2", ".f4v", ".asf", ".divx", ".dv", ".mxf", ".ogm", ".rm", ".rmvb", ".wtv", ".y4m",
     ".insv", ".lrv", ".mpe", ".m1v", ".ivf", ".nut", ".gxf", ".qt"}
)  # fmt: skip
"""Suffixes by which a file is taken for a video, whatever it begins with; others are known by their beginning."""
_ALSO_TEXTS = frozenset({".ts", ".mts", ".mod", ".rm", ".nut"})
"""Those of them that texts have too, TypeScript for example."""
_SOUNDS = frozenset({".m4a", ".m4b", ".mka", ".wma", ".weba", ".ra"})
"""Suffixes of files that hold sound alone, in containers of videos."""

_USUAL = frozenset({"JPEG", "PNG", "GIF", "BMP", "PPM"})
_NO_PICTURES = frozenset({"EPS", "WMF", "MPEG", "BUFR", "GRIB", "HDF5", "FPX", "MIC", "PSD"})
"""Formats that Pillow hands to other programs, cannot decode at all, or knows less of than we do."""


@lru_cache(maxsize=1)
def has_heif() -> bool:
    """Whether HEIC and HEIF can be read here; pillow-heif is made known to Pillow when this is first asked."""
    if importlib.util.find_spec("pillow_heif") is None:
        return False
    import pillow_heif  # it takes a while, and most folders have none

    pillow_heif.register_heif_opener()
    return True


def lacking(suffix: str) -> str:
    """The extra that reads files of a suffix and is not installed here; "" if none is needed."""
    if suffix in HEIF and not has_heif():
        return "heif"
    return "raw" if suffix in RAW and not has_libraw() else ""


def _openers() -> Iterator[tuple[str, Any, Any]]:
    """Camera raw files, which are TIFF for others; Pillow's formats: the usual ones, and then, which takes a while to load, all others."""
    yield "RAW", RawFile, may_be_raw
    Image.preinit()
    usual = [name for name in Image.ID if name in _USUAL]
    yield from ((name, *Image.OPEN[name]) for name in usual)
    Image.init()
    has_heif()
    yield from ((name, *Image.OPEN[name]) for name in Image.ID if name not in _NO_PICTURES and name not in usual)
    yield "PSD", PsdFile, lambda start: start.startswith(b"8BPS")
    yield "HDR", SceneImage, lambda start: start.startswith((b"#?", b"v/1\x01"))
    yield "TIFF", OtherTiff, lambda start: start.startswith(STARTS)


def is_film(path: str | os.PathLike[str]) -> bool:
    """True for a file that is a video by its suffix or by its beginning."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in READABLE_FILMS:
        return suffix not in _ALSO_TEXTS or not is_text(path)
    return suffix not in _SOUNDS and kind_of_video(path) != ""


def open_video(path: Path) -> Any:
    """The container of a video, opened by PyAV to be read. Raises av.FFmpegError.

    FFmpeg prefers what a suffix says to what a file holds, so that it is told the format where the suffix is not that of a video.
    """
    import av  # it takes a while, and photos need none of it

    kind = "" if path.suffix.lower() in READABLE_FILMS else kind_of_video(path)
    return av.open(str(path), format=kind or None)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The picture of a file as far as its header says, to be decoded or not.

    `Image.open` without Pillow's limit of pixels, which is one for the whole process: the caller checks the size. Raises PictureError.
    """
    if path.is_dir():
        raise PictureError(f"{path} is a folder, not a picture")
    if not path.exists():
        raise PictureError(f"{path} does not exist")
    if not path.is_file():
        raise PictureError(f"{path} is no file")
    if path.stat().st_size == 0:
        raise PictureError(f"{path} is an empty file")
    try:
        stream = path.open("rb")
    except PermissionError:
        raise PictureError(f"{path} cannot be opened: permission denied") from None
    with stream:
        yield from _recognised(stream, path)


@contextmanager
def opened_bytes(data: bytes, name: str) -> Iterator[Image.Image]:
    """The same for a picture's file in memory. Raises PictureError."""
    yield from _recognised(io.BytesIO(data), Path(name))


def _recognised(stream: BinaryIO, path: Path) -> Iterator[Image.Image]:
    """The picture in a stream, by the first format that takes it. Raises PictureError."""
    start = stream.read(16)
    for name, factory, accept in _openers():
        accepted = accept is None or accept(start)
        if not accepted or isinstance(accepted, str):
            continue
        stream.seek(0)
        try:
            image = factory(stream, str(path))
        except (SyntaxError, IndexError, TypeError, KeyError, EOFError, ValueError, OSError, AttributeError, ArithmeticError):
            continue
        except ImpastoError:
            raise
        except Exception as error:
            raise PictureError(f"{path} is a damaged {name} ({type(error).__name__}: {error})") from None
        with image:
            yield image
        return
    if path.suffix.lower() in HEIF and not has_heif():
        raise PictureError(f"{path} is in the format of phones, HEIF, which needs one more package: pip install 'impasto[heif]'")
    raise UnidentifiedImageError(str(path))


def check_chunks(image: Image.Image, path: Path) -> None:
    """The chunks of a PNG lie within the file, and its EXIF block is known, also where it stands behind the pixels. Raises PictureError."""
    if image.format != "PNG":
        return
    stream: BinaryIO = image.fp  # type: ignore[attr-defined]
    place, at, length = stream.tell(), 8, stream.seek(0, os.SEEK_END)
    try:
        while at + 8 <= length:
            stream.seek(at)
            size, kind = struct.unpack(">I4s", stream.read(8))
            at += size + 12
            if kind == b"IEND":
                if "Raw profile type exif" not in image.info:
                    image.info.setdefault("exif", b"")  # without it, Pillow decodes the pixels to look for one behind them
                return
            if at > length:
                raise PictureError(f"{path} is damaged or cut off: it ends in the middle of a picture")
            if kind == b"eXIf" and "exif" not in image.info:
                image.info["exif"] = b"Exif\0\0" + stream.read(size)
        raise PictureError(f"{path} is damaged or cut off: it has no end")
    finally:
        stream.seek(place)


def frames_of(image: Image.Image) -> int:
    """How many frames an animation has; 1 for a still picture, and for a photo with a second one inside (MPO)."""
    if image.format not in ("GIF", "WEBP", "PNG", "AVIF"):
        return 1
    return int(getattr(image, "n_frames", 1)) - bool(getattr(image, "default_image", False))


def is_animation(path: Path) -> bool:
    """Whether a file is an animated GIF, WebP, PNG or AVIF. False for what cannot be opened: whoever reads it says why."""
    if path.suffix.lower() not in (".gif", ".webp", ".png", ".apng", ".avif", ".avifs"):
        return False
    try:
        with opened(path) as image:
            return bool(getattr(image, "is_animated", False)) and frames_of(image) > 1
    except Exception:
        return False


def made_here(path: Path) -> bool:
    """Whether a picture says that Impasto painted it. False for what cannot be opened."""
    try:
        with opened(path) as image:
            said = image.info.get("Software") or image.info.get("comment") or image.getexif().get(SOFTWARE) or ""
    except Exception:
        return False
    text = said.decode("latin-1") if isinstance(said, bytes) else str(said)
    return text.startswith(MADE_BY)
