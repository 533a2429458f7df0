"""Writes still images: what each format can hold, and image files as they are written; free of PyTorch."""

import os
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from impasto.errors import PictureError
from impasto.files import atomic_file, check_folder
from impasto.media.opening import MADE_BY, SOFTWARE
from impasto.media.stills import Still, exif_bytes

WRITERS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP"}
_SAVE_OPTIONS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}


def check_writable(path: str | os.PathLike[str], *, inputs: tuple[str | os.PathLike[str], ...] = ()) -> None:
    """Say before any long work whether a picture could be written here: raises InputError if not.

    The suffix has to be one that can be written, the folder has to exist or to be makeable, and the file must not be
    one of the inputs.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITERS:
        raise PictureError(f"cannot write {path}: the name has to end in {', '.join(WRITERS)}")
    if path.exists() and any(Path(source).exists() and path.samefile(source) for source in inputs):
        raise PictureError(f"{path} is the input itself and is not overwritten; choose another output")
    if path.is_dir():
        raise PictureError(f"cannot write {path}: it is a folder")
    check_folder(path)


def write_still(still: Still, path: Path, *, exif: bool = False) -> Path:
    """Write a picture of eight bits in the format of its suffix, one that can hold its alpha; the file appears whole or not at all.

    exif: keep the EXIF block of the file that it was read from. Raises PictureError if the file cannot be written.
    """
    check_writable(path)
    kind = WRITERS[path.suffix.lower()]
    values = still.pixels if still.alpha is None else np.dstack([still.pixels, still.alpha])
    try:
        with atomic_file(path) as temporary:
            options = dict(_SAVE_OPTIONS.get(kind, {})) | _marked(kind, still.exif if exif else None)
            Image.fromarray(values).save(temporary, format=kind, **options)
    except Exception as error:  # encoders have limits of their own: sides, metadata
        raise PictureError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from None
    return path


def holds_alpha(path: Path) -> bool:
    """Whether the format of a suffix can hold transparency."""
    return WRITERS[path.suffix.lower()] not in ("JPEG", "BMP")


def _marked(kind: str, exif: bytes | None = None) -> dict[str, object]:
    """What Pillow is told so that the file says who made it, and keeps an EXIF block."""
    block = Image.Exif()
    if exif:
        block.load(exif)
    if kind == "BMP":
        return {}
    if kind == "PNG":
        software = PngInfo()
        software.add_text("Software", MADE_BY)
        return {"pnginfo": software} | ({"exif": exif} if exif else {})
    block[SOFTWARE] = MADE_BY
    return {"exif": exif_bytes(block) or b""}
