"""Networks on CUDA whose kernels are replayed as one graph where shapes repeat, as in films: small networks wait for launches otherwise."""

import logging
from collections.abc import Callable

import torch
from torch import Tensor

Paint = Callable[[Tensor], Tensor]

MOST = 4
"""Shapes that graphs are kept for; each keeps the memory of one pass."""

log = logging.getLogger("impasto")


def captured(paint: Paint, example: Tensor) -> Paint:
    """The kernels of `paint` for the shape of an example, to be replayed. Raises RuntimeError for what cannot be captured."""
    given, here = example.clone(), torch.cuda.current_stream(example.device)
    aside = torch.cuda.Stream(example.device)  # type: ignore[no-untyped-call]
    aside.wait_stream(here)
    with torch.cuda.stream(aside):
        for _ in range(3):  # libraries choose their algorithms in the first runs, which cannot be captured
            paint(given)
    here.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        made = paint(given)

    def replay(seen: Tensor) -> Tensor:
        given.copy_(seen)
        graph.replay()
        return made.clone()

    return replay


class RepeatedShapes:
    """A way to paint (B, C, H, W) that is captured when a shape comes for the second time, and runs as it is where that fails."""

    def __init__(self, paint: Paint, *, capture: Callable[[Paint, Tensor], Paint] = captured):
        self._paint, self._capture = paint, capture
        self._ways: dict[tuple[int, ...], Paint | None] = {}

    def __call__(self, seen: Tensor) -> Tensor:
        """Paint."""
        shape = tuple(seen.shape)
        if shape not in self._ways:
            if len(self._ways) == MOST:
                self._ways.pop(next(iter(self._ways)))
            self._ways[shape] = None
            return self._paint(seen)
        way = self._ways[shape]
        if way is None:
            try:
                way = self._capture(self._paint, seen)
            except RuntimeError as problem:
                log.info("not painted as a CUDA graph: %s", problem)
                way = self._paint
            self._ways[shape] = way
        return way(seen)
