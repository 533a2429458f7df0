"""Frames graded by a LUT, with FFmpeg's filter lut3d: bytes in, bytes out."""

import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.filter import Graph

_TIME_BASE = Fraction(1, 25)
_HALF_A_LEVEL = 0.5 / 255
"""The filter cuts its result off to whole levels; half a level more makes that rounding."""


class FrameGrader:
    """Grades frames (H, W, 3) of bytes by a 3D table (N, N, N, 3), indexed blue, green, red and interpolated trilinearly.

    positions: (3, 256), where in the table each of the 256 levels of red, green and blue lies, in [0, 1]. strength: 0 is the frame, 1 the
    graded one.
    """

    def __init__(self, table: np.ndarray, positions: np.ndarray, strength: float = 1.0):
        self.strength = strength
        self._folder = tempfile.TemporaryDirectory(prefix="impasto-")
        file = Path(self._folder.name) / "lut.csp"
        file.write_text(_cinespace(table + _HALF_A_LEVEL, positions), encoding="ascii")
        self._file = str(file).replace("\\", "/").replace(":", "\\:").replace("'", "\\'")
        self._size: tuple[int, ...] = ()
        self._graph: Any = None
        self._number = 0

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """Grade one."""
        if frame.shape != self._size:
            self._graph, self._size = Graph(), frame.shape
            begin = self._graph.add_buffer(width=frame.shape[1], height=frame.shape[0], format="rgb24", time_base=_TIME_BASE)
            self._graph.link_nodes(begin, self._graph.add("lut3d", f"file='{self._file}':interp=trilinear"), self._graph.add("buffersink"))
            self._graph.configure()
        pushed = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        pushed.pts, pushed.time_base, self._number = self._number, _TIME_BASE, self._number + 1
        self._graph.push(pushed)
        graded: np.ndarray = self._graph.pull().to_ndarray(format="rgb24")
        return graded if self.strength == 1 else cv2.addWeighted(frame, 1 - self.strength, graded, self.strength, 0)


def _cinespace(table: np.ndarray, positions: np.ndarray) -> str:
    """The text of a Cinespace file (.csp), which has a curve for each channel before its 3D table.

    FFmpeg multiplies the table by the difference of a curve's last and first value, and samples a curve at 65,536 points: each curve gets a
    first value of 0, a last one of 1, and 255 of these points between levels.
    """
    lines = ["CSPLUTV100", "3D", "", "BEGIN METADATA", "END METADATA", ""]
    plain = np.allclose(positions, np.linspace(0, 1, 256), atol=1e-7)
    levels = np.array([0, 1]) if plain else np.arange(-1, 257) / 255
    for curve in positions:
        values = levels if plain else np.concatenate([[0], curve, [1]])
        lines += [str(len(levels)), *(" ".join(f"{value:.9f}" for value in row) for row in (levels, values))]
    lines += [
        "",
        " ".join([str(len(table))] * 3),
        *(f"{red:.7f} {green:.7f} {blue:.7f}" for red, green, blue in table.reshape(-1, 3).tolist()),
    ]
    return "\n".join(lines) + "\n"
