"""The colours of films: matrix, primaries, transfer and range, as their tags say, or as the height says where there are none.

Numbers are those of ITU-T H.273. Frames become RGB in the film's own primaries and transfer if these are of ordinary screens; HDR and
wide colours are brought to BT.709 as those of photos are (`video_light.py`).
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import Interpolation

from impasto.media.video_light import ToScreen

UNSPECIFIED = 2
_HD = 720
"""From this height on, films without tags are taken for BT.709; smaller ones for BT.601."""

_HDR = {16: "PQ", 18: "HLG"}
_WIDE = {8: "film", 9: "BT.2020", 10: "XYZ", 11: "DCI-P3", 12: "Display P3"}
"""Primaries that ordinary screens do not have."""
_UNUSUAL = {8: "linear light", 17: "the light of cinemas"}
"""Transfers that ordinary screens do not show."""
_SWSCALE = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
"""Matrices by swscale's numbers."""
_EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP


@dataclass(frozen=True)
class FilmColor:
    """How the colours of a film are stored. full: whether black is 0 and white 255, instead of 16 and 235."""

    matrix: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    full: bool = False

    @property
    def hdr(self) -> str:
        """ "PQ" or "HLG"; "" for films of ordinary range."""
        return _HDR.get(self.transfer, "")

    @property
    def mapped(self) -> bool:
        """Whether the colours have to be brought to BT.709: ordinary screens show others."""
        return bool(self.hdr) or self.primaries in _WIDE or self.transfer in _UNUSUAL

    @property
    def message(self) -> str:
        """What is said of a film whose colours are brought to BT.709, after its name; "" for others."""
        if self.hdr:
            return f"is HDR ({self.hdr}) and is brought to the range of ordinary screens (BT.709)"
        if self.primaries in _WIDE:
            return f"has the wide colours of {_WIDE[self.primaries]} and is brought to BT.709"
        return f"is stored in {_UNUSUAL[self.transfer]} and is brought to BT.709" if self.mapped else ""

    @property
    def painted(self) -> "FilmColor":
        """How a painted film of this one is stored: the same, if that is of ordinary screens."""
        return FilmColor(1, 1, 1) if self.mapped else self


def color_of(frame: Any, height: int) -> FilmColor:
    """What a decoded frame says of its colours, completed by what is usual for a film of this height."""
    rgb = frame.format.is_rgb
    usual = FilmColor(1, 1, 1) if height >= _HD or rgb else FilmColor(5, 5, 6) if height in (576, 288) else FilmColor(6, 6, 6)
    matrix, primaries, transfer = int(frame.colorspace), int(frame.color_primaries), int(frame.color_trc)
    known = primaries if primaries not in (0, UNSPECIFIED) else {1: 1, 9: 9, 10: 9}.get(matrix, usual.primaries)
    return FilmColor(
        matrix if matrix in _SWSCALE else {1: 1, 9: 9}.get(known, usual.matrix),
        known,
        transfer if transfer not in (0, UNSPECIFIED) else {1: 1, 9: 14}.get(known, usual.transfer),
        not rgb and (int(frame.color_range) == 2 or frame.format.name.startswith("yuvj")),
    )


class ToRGB:
    """Decoded frames to bytes, RGB (H, W, 3) or with alpha RGBA (H, W, 4), with FFmpeg's filters where some are needed.

    From the first interlaced frame on, frames that say that they are interlaced are deinterlaced; `deinterlaced` says whether there was
    one. Calling it with a frame gives the frames that are ready, with their times, None where the film does not say, and their durations,
    0 where it does not say, in seconds; with None, the rest of them.
    """

    def __init__(self, color: FilmColor, *, alpha: bool):
        self.color, self.alpha, self.deinterlaced = color, alpha, False
        self._graph: Graph | None = None
        self._made_for: tuple[int, int, str] | None = None
        self._to_screen: ToScreen | None = None

    def __call__(self, frame: Any, time_base: Fraction) -> list[tuple[np.ndarray, Fraction | None, Fraction]]:
        """Frames that are ready, each with its time and its duration in seconds."""
        self.deinterlaced = self.deinterlaced or (frame is not None and bool(frame.interlaced_frame))
        if not self.deinterlaced:
            return [] if frame is None else [self._timed(frame, time_base)]
        return [self._timed(ready, Fraction(ready.time_base)) for ready in self._filtered(frame, time_base)]

    def _timed(self, frame: Any, time_base: Fraction) -> tuple[np.ndarray, Fraction | None, Fraction]:
        return self._bytes(frame), None if frame.pts is None else frame.pts * time_base, (frame.duration or 0) * time_base

    def _filtered(self, frame: Any, time_base: Fraction) -> list[Any]:
        ready: list[Any] = []
        if frame is None:
            if self._graph is not None:
                self._graph.push(None)
        else:
            shape = (frame.width, frame.height, frame.format.name)
            if shape != self._made_for:
                ready = [] if self._graph is None else self._filtered(None, time_base)
                self._graph, self._made_for = self._connected(frame, time_base), shape
            frame.time_base = time_base
            if self._graph is not None:
                self._graph.push(frame)
        while self._graph is not None:
            try:
                ready.append(self._graph.pull())
            except (av.BlockingIOError, av.EOFError):
                break
        return ready

    def _connected(self, frame: Any, time_base: Fraction) -> Graph:
        graph = Graph()
        nodes = [graph.add_buffer(width=frame.width, height=frame.height, format=frame.format.name, time_base=time_base)]
        nodes += [graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced"), graph.add("buffersink")]
        graph.link_nodes(*nodes).configure()
        return graph

    def _bytes(self, frame: Any) -> np.ndarray:
        if not self.color.mapped:
            return self._rgb(frame, "rgba" if self.alpha else "rgb24")
        if self._to_screen is None:
            self._to_screen = ToScreen(self.color.primaries, self.color.transfer, white=_white(frame, self.color))
        coded = self._rgb(frame, "rgba64le" if self.alpha else "rgb48le")
        shown = self._to_screen(coded[..., :3])
        return np.dstack([shown, (coded[..., 3] >> 8).astype(np.uint8)]) if self.alpha else shown

    def _rgb(self, frame: Any, kind: str) -> np.ndarray:
        """A frame as RGB or RGBA in its own primaries and transfer, of full range."""
        if frame.format.is_rgb:
            array: np.ndarray = frame.to_ndarray(format=kind)
            return array
        source = _SWSCALE[self.color.matrix]
        made = frame.reformat(
            format=kind, src_colorspace=source, dst_colorspace=source, src_color_range=_range(self.color), dst_color_range=2,
            interpolation=_EXACT,
        )  # fmt: skip
        shown: np.ndarray = made.to_ndarray()
        return shown


def _white(frame: Any, color: FilmColor) -> int:
    """The 16-bit value that swscale makes of white: it shifts values to the left, and those of video range are first scaled to 8 bits."""
    if frame.format.is_rgb:
        return 65535
    bits = frame.format.components[0].bits if color.full else 8
    return int((1 << bits) - 1 << 16 - bits)


def to_stored(picture: np.ndarray, pix_fmt: str, color: FilmColor) -> Any:
    """A frame to encode, of bytes (H, W, 3) or (H, W, 4), in a format of luma and chroma, with its tags."""
    frame = av.VideoFrame.from_ndarray(picture, format="rgba" if picture.shape[2] == 4 else "rgb24")
    matrix = _SWSCALE[color.matrix]
    stored = frame.reformat(
        format=pix_fmt, src_colorspace=matrix, dst_colorspace=matrix, src_color_range=2, dst_color_range=_range(color), interpolation=_EXACT
    )
    tag(stored, color)
    return stored


def tag(target: Any, color: FilmColor) -> None:
    """Write the colours onto a frame, or the context of an encoder."""
    target.colorspace, target.color_primaries, target.color_trc = color.matrix, color.primaries, color.transfer
    target.color_range = _range(color)


def _range(color: FilmColor) -> int:
    return 2 if color.full else 1
