"""Camera raw files: told from other files by their content, and developed by LibRaw (the extra `raw`); never their small preview.

Every file of a camera is developed alike, whatever it shows: white is what the camera says, so that frames keep their brightness.
"""

import importlib.util
import io
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageFile

from impasto.errors import PictureError
from impasto.media.exif import block_of, read_directories
from impasto.media.tiff import STARTS

RAW = frozenset(
    {".dng", ".nef", ".nrw", ".cr2", ".cr3", ".crw", ".arw", ".srf", ".sr2", ".raf", ".rw2", ".rwl", ".orf", ".pef", ".srw", ".3fr",
     ".fff", ".iiq", ".x3f", ".mos", ".mef", ".mrw", ".erf", ".kdc", ".dcr", ".gpr"}
)  # fmt: skip
"""Suffixes of camera raw files."""

_OWN = (b"FUJIFILMCCD-RAW", b"FOVb", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"\0MRM")
"""How the files of Fujifilm, Sigma, Panasonic, Olympus (three) and Minolta begin."""
_SUBFILE, _PHOTOMETRIC, _DIRECTORIES, _DNG = 254, 262, 330, 50706
_MOSAIC, _LINEAR = 32803, 34892
"""Interpretations of what a sensor saw: with a colour filter before each pixel, and with all colours at each."""
_SMALL = 1
"""NewSubfileType's bit of a smaller version."""
_MOST = 100
"""Directories that are looked at."""
_SRGB_CURVE = (2.4, 12.92)
"""The power and the slope near black of sRGB."""
_LAYOUT = frozenset({0x0111, 0x0112, 0x0115, 0x0116, 0x0117, 0x011C, 0x013D, 0x0142, 0x0143, 0x0144, 0x0145, 0x014A, 0x015B})
"""Values of the first directory that are about its small preview, and the orientation, which is applied."""


def has_libraw() -> bool:
    """Whether camera raw files can be developed here."""
    return importlib.util.find_spec("rawpy") is not None


def may_be_raw(start: bytes) -> bool:
    """Whether a file that begins with these 16 bytes can be a camera raw file."""
    return start.startswith((*STARTS, *_OWN)) or _states_raw(start)


def _states_raw(start: bytes) -> bool:
    """Whether the first 16 bytes alone say so: those of Canon (three kinds), and of makers with formats of their own."""
    canon = start[4:12] == b"ftypcrx " or start[6:14] == b"HEAPCCDR" or (start[:8] == b"II*\0\x10\0\0\0" and start[8:11] == b"CR\2")
    return canon or start.startswith(_OWN)


def is_camera_raw(stream: BinaryIO, name: str = "") -> bool:
    """Whether a file is what a camera's sensor saw. name: of the file; a TIFF with the suffix of raw files is taken for one."""
    stream.seek(0)
    start = stream.read(16)
    if _states_raw(start):
        return True
    if not start.startswith(STARTS):
        return False
    found = [*_directories(stream, start)]
    sensor = any(set(one.get(_PHOTOMETRIC, ())) & {_MOSAIC, _LINEAR} for one in found)
    small_first = bool(found) and bool(set(found[0].get(_SUBFILE, ())) & {_SMALL}) and _DNG in found[0]
    return sensor or small_first or Path(name).suffix.lower() in RAW


def _directories(stream: BinaryIO, start: bytes) -> Iterator[dict[int, tuple[int, ...]]]:
    """What the directories of a TIFF say, those within others too, of what tells raw files; what is damaged is passed over."""
    order, big = "<" if start[:2] == b"II" else ">", 43 in start[2:4]
    head, form = ("Q", "HHQ8s") if big else ("H", "HHI4s")
    link = "Q" if big else "I"
    if len(start) < (16 if big else 8):
        return
    pending, seen = [*struct.unpack(f"{order}{link}", start[8:16] if big else start[4:8])], set[int]()
    while pending and len(seen) < _MOST:
        at = pending.pop(0)
        if not at or at in seen:
            continue
        seen.add(at)
        stream.seek(at)
        try:
            (count,) = struct.unpack(f"{order}{head}", stream.read(struct.calcsize(head)))
            size = struct.calcsize(f"{order}{form}")
            table = stream.read(min(count, 4096) * size)
            following = stream.read(struct.calcsize(link))
            entries = struct.iter_unpack(f"{order}{form}", table[: len(table) // size * size])
            found = {tag: _values(stream, order, *rest) for tag, *rest in entries if tag in (_SUBFILE, _PHOTOMETRIC, _DIRECTORIES, _DNG)}
        except (struct.error, OverflowError):
            continue
        yield found
        pending += found.get(_DIRECTORIES, ())
        if len(following) == struct.calcsize(link):
            pending += struct.unpack(f"{order}{link}", following)


def _values(stream: BinaryIO, order: str, kind: int, count: int, stored: bytes) -> tuple[int, ...]:
    """Whole numbers of an entry, as many as can matter."""
    code = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}.get(kind, "")
    wanted = f"{order}{min(count, _MOST)}{code}"
    if not code:
        return ()
    if struct.calcsize(f"{order}{code}") * count > len(stored):
        stream.seek(int.from_bytes(stored, "little" if order == "<" else "big"))
        stored = stream.read(struct.calcsize(wanted))
    return struct.unpack(wanted, stored[: struct.calcsize(wanted)])


class RawFile(ImageFile.ImageFile):
    """A camera raw file as far as its header says, upright; `develop` makes its pixels. Raises PictureError where LibRaw is missing.

    colors: 3, or 1 of a sensor without colours.
    """

    format = "RAW"
    format_description = "camera raw"

    def _open(self) -> None:
        stream: Any = self.fp
        name = os.fspath(self.filename)
        name = name.decode(errors="replace") if isinstance(name, bytes) else name
        if not is_camera_raw(stream, name):
            raise SyntaxError("no camera raw file")
        if not has_libraw():
            raise PictureError(f"{name} is a camera raw file, which needs one more package to be developed: pip install 'impasto[raw]'")
        file = stream.getvalue() if isinstance(stream, io.BytesIO) else Path(name)
        with _opened(file, name) as raw:
            sizes = raw.sizes
            width, height, aspect = sizes.width, sizes.height, sizes.pixel_aspect
            width, height = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
            self.colors = 1 if raw.num_colors == 1 else 3
            self._size, self._mode = (height, width) if sizes.flip & 4 else (width, height), "RGB" if self.colors == 3 else "L"
            block = _exif(stream, raw)
        if block:
            self.info["exif"] = b"Exif\0\0" + block


def _exif(stream: BinaryIO, raw: Any) -> bytes | None:
    """The EXIF block, of the file or else of the preview in it, without what is about the preview's pixels; None where none can be read."""
    import rawpy

    blocks: list[BinaryIO] = [stream]
    try:
        preview = raw.extract_thumb()
        if preview.format == rawpy.ThumbFormat.JPEG:
            with Image.open(io.BytesIO(preview.data)) as image:
                blocks.append(io.BytesIO(image.info.get("exif", b"").removeprefix(b"Exif\0\0")))
    except Exception:  # there is none, or it is damaged
        pass
    for block in blocks:
        try:
            found = read_directories(block, lambda tag: 0x010D <= tag < 0xC000 and tag not in _LAYOUT)
        except (ValueError, struct.error):
            continue
        if found.image or found.exposure:
            return block_of(found)
    return None


def develop(file: Path | bytes, name: str, size: tuple[int, int]) -> np.ndarray:
    """What the camera saw as sRGB, (H, W, 3) or (H, W, 1), uint16, upright: the camera's white balance and white, nothing brightened.

    file: where it lies, or what is in it. name: for errors. size: height and width that its header led to. Raises PictureError.
    """
    import rawpy

    with _opened(file, name) as raw:
        made = raw.postprocess(
            use_camera_wb=raw.camera_whitebalance[0] > 0,  # where the camera states none, LibRaw would take one from what is to be seen
            no_auto_bright=True,
            adjust_maximum_thr=0.0,  # else white is lowered to the largest value, where that is a little less
            output_color=rawpy.ColorSpace.sRGB,
            gamma=_SRGB_CURVE,
            output_bps=16,
            **_black(raw),
        )
    values: np.ndarray = made if made.ndim == 3 else made[:, :, None]
    if values.shape[:2] != size:
        raise PictureError(f"{name} cannot be developed: LibRaw makes {values.shape[1]}x{values.shape[0]} pixels of {size[1]}x{size[0]}")
    return values


def _black(raw: Any) -> dict[str, Any]:
    """Black of a file with all three colours at each pixel, as what all have in common and what each has more.

    LibRaw 0.22 counts a fourth colour there whose black is 0, so that they have nothing in common, and does not lower white by it.
    """
    import rawpy

    if raw.raw_type != rawpy.RawType.Stack or raw.num_colors != 3:
        return {}
    levels = raw.black_level_per_channel[:3]
    common = min(levels)
    return {"user_black": common, "user_cblack": [*(level - common for level in levels), 0]}


@contextmanager
def _opened(file: Path | bytes, name: str) -> Iterator[Any]:
    """A raw file in LibRaw. Raises PictureError for what it cannot read."""
    import rawpy

    try:
        with rawpy.imread(io.BytesIO(file) if isinstance(file, bytes) else os.fspath(file)) as raw:
            yield raw
    except rawpy.LibRawError as error:
        said = error.args[0] if error.args else type(error).__name__
        reason = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        version = ".".join(map(str, rawpy.libraw_version))
        raise PictureError(f"{name} is a camera raw file that LibRaw {version} cannot develop ({reason}); save it as TIFF or DNG") from None
