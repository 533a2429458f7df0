"""Small films for tests: a bar that grows over a changing colour, with a tone."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def make_film(
    path: Path,
    *,
    count: int = 30,
    size: tuple[int, int] = (48, 64),
    sound: bool = True,
    pictures: bool = True,
    variable: bool = False,
    turned: int = 0,
    codec: str = "aac",
    front: bool = False,
) -> Path:
    """A film of `count` frames at 25 per second, or with some that last longer. front: the index before the pictures, as for streaming."""
    options = {"movflags": "faststart"} if front else {}
    with av.open(str(path), "w", options=options) as film:
        seen = heard = None
        if pictures:
            seen = film.add_stream("libx264", rate=25, options={"g": "12"})
            seen.height, seen.width = size
            seen.pix_fmt = "yuv444p" if size[0] % 2 or size[1] % 2 else "yuv420p"
            seen.time_base = seen.codec_context.time_base = Fraction(1, 1000)
        if sound:
            heard = film.add_stream(codec, rate=44100, layout="mono")
        time = 0
        for number in range(count if seen else 0):
            picture = np.zeros((*size, 3), np.uint8)
            picture[..., 0] = number * 8 % 256
            picture[: size[0] // 2, : number + 1, 1] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            time += 90 if variable and number % 3 == 0 else 40
            film.mux(seen.encode(frame))
        if seen:
            film.mux(seen.encode(None))
        for number in range(count * 40 * 44100 // 1000 // 1024 if heard else 0):
            wave = 0.3 * np.sin((number * 1024 + np.arange(1024)) * 2 * np.pi * 440 / 44100)
            planar = codec == "aac"
            samples = wave.astype(np.float32)[None] if planar else (wave * 32767).astype(np.int16)[None]
            tone = av.AudioFrame.from_ndarray(samples, format="fltp" if planar else "s16", layout="mono")
            tone.sample_rate, tone.pts = 44100, number * 1024
            film.mux(heard.encode(tone))
        if heard:
            film.mux(heard.encode(None))
    if turned:
        _turn(path, turned)
    return path


def make_shots(path: Path, lengths: tuple[int, ...], *, size: tuple[int, int] = (48, 64), codec: str = "libx264", key: int = 250) -> Path:
    """A film without sound, of shots of so many frames: in each a square wanders over two colours of its own."""
    colors = np.random.default_rng(0).integers(0, 256, (len(lengths), 3, 3), dtype=np.uint8)
    with av.open(str(path), "w") as film:
        seen = film.add_stream(codec, rate=25, options={"g": str(key), "sc_threshold": "0"})
        seen.height, seen.width = size
        seen.pix_fmt = "yuv420p"
        for shot, length in enumerate(lengths):
            for number in range(length):
                picture = np.empty((*size, 3), np.uint8)
                picture[:] = colors[shot, 0]
                picture[:, : size[1] * (shot % 3 + 1) // 4] = colors[shot, 1]
                left = (number + 7 * shot) % (size[1] - 12)
                picture[8 + 3 * shot : 20 + 3 * shot, left : left + 12] = colors[shot, 2]
                film.mux(seen.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        film.mux(seen.encode(None))
    return path


def _turn(path: Path, degrees: int) -> None:
    """Write a display matrix into the header, as a phone does: the nine numbers of tkhd."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = [cosine, sine, 0, -sine, cosine, 0, 0, 0, 1]
    for index, value in enumerate(matrix):
        scale = 1 << 30 if index in (2, 5, 8) else 1 << 16
        data[at + 4 * index : at + 4 * index + 4] = int(value * scale).to_bytes(4, "big", signed=True)
    path.write_bytes(bytes(data))


def write_flow(flow, path):
    """Write a flow (2, H, W) as a .flo file."""
    height, width = flow.shape[-2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    head = np.float32(202021.25).astype("<f4").tobytes() + np.array([width, height], "<i4").tobytes()
    path.write_bytes(head + flow.permute(1, 2, 0).contiguous().numpy().astype("<f4").tobytes())
    return path


def make_pan(path: Path, photo: np.ndarray, *, count: int = 40, size: tuple[int, int] = (180, 320)) -> Path:
    """A film without sound that moves over a photo, bytes (H, W, 3) larger than its size."""
    with av.open(str(path), "w") as film:
        seen = film.add_stream("libx264", rate=25)
        seen.height, seen.width = size
        seen.pix_fmt = "yuv420p"
        for number in range(count):
            top, left = ((side - own) * number // count for side, own in zip(photo.shape[:2], size, strict=True))
            picture = np.ascontiguousarray(photo[top : top + size[0], left : left + size[1]])
            film.mux(seen.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        film.mux(seen.encode(None))
    return path
