"""Where parts of a film begin and end, and that a film can be read from there."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.job.spans import LEAST, stretch_of
from impasto.media.videos import FilmInfo, FilmReader, Frame
from tests.films import make_film, make_shots


class Frames:
    """A film of flat shots, one frame a tick, that counts what is read."""

    def __init__(self, shots, rate=25):
        self.shots, self.read, count = shots, 0, sum(shots)
        self.info = FilmInfo((8, 8), Fraction(rate), Fraction(1, rate), count, count / rate)
        self.kinds = [kind for kind, length in enumerate(shots) for _ in range(length)]
        tiles = [np.random.default_rng(kind).integers(0, 256, (2, 2, 3), dtype=np.uint8) for kind in range(len(shots))]
        self.pictures = [np.kron(tile, np.ones((4, 4, 1), np.uint8)) for tile in tiles]

    def span(self, begin=None, end=None):
        for number in range(max(0, begin or 0), min(len(self.kinds), len(self.kinds) if end is None else end)):
            self.read += 1
            yield Frame(self.pictures[self.kinds[number]], number, number)


@settings(deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=12), st.integers(1, 9), st.booleans())
def test_stretches_cover_a_film_once_whatever_its_shots(lengths, count, shots):
    film, total = Frames(lengths, rate=5), sum(lengths)
    first = stretch_of(film, 1, count, shots=shots)
    assert first is not None
    stretches = [stretch_of(film, number, count, shots=shots) for number in range(1, first[1] + 1)]
    borders = [0, *(span.begin for span, _ in stretches[1:]), total]
    assert [span.end for span, _ in stretches] == [*borders[1:-1], None]
    assert borders == sorted(set(borders)), "none is empty"
    assert all(found == first[1] for _, found in stretches)
    assert stretch_of(film, first[1] + 1, count, shots=shots) is None
    starts = {sum(lengths[:k]) for k in range(len(lengths))}
    for border in borders[1:-1]:
        assert border in starts if shots else border in starts or border % 50 == 0
    if not shots:
        assert first[1] == max(1, min(count, total // LEAST))


def test_only_what_is_near_the_borders_is_looked_at():
    film = Frames((20_000,))
    stretch_of(film, 3, 8)
    assert film.read <= 2 * 2 * 5 * 25


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".ts", ".avi", ".mpg", ".webm"])
def test_a_span_holds_the_same_frames_as_the_whole_film(tmp_path, suffix):
    codec = {".avi": "mpeg4", ".mpg": "mpeg2video", ".webm": "libvpx-vp9"}.get(suffix, "libx264")
    film = FilmReader(make_shots(tmp_path / f"in{suffix}", (40, 30, 50), codec=codec, key=20))
    whole = list(film)
    assert len(whole) == 120
    for begin, end in ((0, 13), (1, 2), (37, 90), (40, None), (99, 119), (119, None)):
        found = list(film.span(whole[begin].time, None if end is None else whole[end].time))
        expected = whole[begin:end]
        assert [frame.time for frame in found] == [frame.time for frame in expected]
        assert all(np.array_equal(one.bytes, other.bytes) for one, other in zip(found, expected, strict=True))
        assert [frame.number for frame in found] == list(range(len(expected)))


def test_a_span_of_a_film_of_uneven_times(tmp_path):
    film = FilmReader(make_film(tmp_path / "in.mp4", variable=True))
    whole = list(film)
    assert [frame.time for frame in film.span(whole[7].time, whole[19].time)] == [frame.time for frame in whole[7:19]]
    assert list(film.span(whole[-1].time + 1)) == []
