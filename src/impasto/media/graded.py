"""Frames graded by a table of colours, with FFmpeg's filter: bytes in, bytes out."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.filter import Graph

_TIME_BASE = Fraction(1, 25)


class GradedFrames:
    """Grades pictures (H, W, 3) of bytes by a .cube file, interpolated trilinearly. Raises av.FFmpegError for a file that is none."""

    def __init__(self, cube: Path):
        self._file = str(cube).replace("\\", "/").replace(":", "\\:").replace("'", "\\'")
        self._size: tuple[int, ...] = ()
        self._graph: Any = None
        self._number = 0

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Grade one."""
        if picture.shape != self._size:
            self._graph, self._size = Graph(), picture.shape
            begin = self._graph.add_buffer(width=picture.shape[1], height=picture.shape[0], format="rgb24", time_base=_TIME_BASE)
            self._graph.link_nodes(begin, self._graph.add("lut3d", f"file='{self._file}':interp=trilinear"), self._graph.add("buffersink"))
            self._graph.configure()
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base, self._number = self._number, _TIME_BASE, self._number + 1
        self._graph.push(frame)
        graded: np.ndarray = self._graph.pull().to_ndarray(format="rgb24")
        return graded
