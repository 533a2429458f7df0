"""How painted videos are encoded: encoder, pixel format and options by the suffix of the file."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av

from impasto.media.film_color import FilmColor, tag

THREADS = 4
"""Threads of every encoder, whatever the machine has: the pixels of x264 and libvpx depend on their number."""


@dataclass(frozen=True)
class Coding:
    """An encoder and what it is told.

    codec: FFmpeg's name of the encoder.
    pix_fmt: the pixel format.
    options: of the encoder.
    piece: the suffix of pieces.
    bytes_per_pixel: about how many a pixel takes at the least.
    """

    codec: str
    pix_fmt: str
    options: dict[str, str]
    piece: str
    bytes_per_pixel: float

    @property
    def available(self) -> bool:
        """Whether this machine's FFmpeg has the encoder."""
        return self.codec in av.codec.codecs_available

    def add_stream(self, container: Any, *, size: tuple[int, int], rate: Fraction, time_base: Fraction, color: FilmColor) -> Any:
        """Add a video stream that encodes so to an output container.

        size: height and width, even. rate: mean frames a second, which Matroska states for the whole file. time_base: seconds a unit.
        """
        stream = container.add_stream(self.codec, rate=rate)
        stream.height, stream.width = size
        stream.pix_fmt = self.pix_fmt
        stream.time_base = stream.codec_context.time_base = time_base
        stream.codec_context.framerate = rate
        stream.codec_context.thread_type, stream.codec_context.thread_count = "FRAME", THREADS
        stream.options = self.options
        tag(stream.codec_context, color)
        if self.pix_fmt.startswith("yuva") and self.piece == ".webm":
            stream.metadata["alpha_mode"] = "1"
        return stream


_H264 = Coding("libx264", "yuv420p", {"crf": "18", "preset": "veryfast", "bf": "0"}, ".mp4", 0.03)
_VP9_OPTIONS = {"crf": "28", "b": "0", "row-mt": "1", "deadline": "good", "cpu-used": "4"}
_VP9 = Coding("libvpx-vp9", "yuv420p", _VP9_OPTIONS, ".webm", 0.02)
CODINGS = {".mp4": _H264, ".mov": _H264, ".m4v": _H264, ".mkv": _H264, ".webm": _VP9}
"""By the suffix of a video."""
WITH_ALPHA = {
    ".webm": Coding("libvpx-vp9", "yuva420p", {**_VP9_OPTIONS, "auto-alt-ref": "0"}, ".webm", 0.02),
    ".mov": Coding("prores_ks", "yuva444p10le", {"profile": "4444"}, ".mov", 0.3),
}
"""The same for videos with transparency."""


def container_options(kind: str, time_base: Fraction) -> dict[str, str]:
    """Options of an output container, "mp4", "mov" or another, that keep times exact: MP4 rounds its start to milliseconds otherwise."""
    if kind not in ("mp4", "mov") or time_base.denominator > 1_000_000:
        return {}
    return dict.fromkeys(("video_track_timescale", "movie_timescale"), str(time_base.denominator))
