"""Raw frames through pipes: whole frames in, whole frames out, and a sentence where they do not fit."""

import io

import numpy as np
import pytest

from impasto.errors import InputError
from impasto.media.raw import RawReader, raw_size, write_raw


class Dripping(io.BytesIO):
    """Gives at most seven bytes at a time, as pipes may."""

    def read(self, size=-1):
        return super().read(min(7, size))


def test_frames_come_back_as_they_were_written():
    frames = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3), np.uint8)
    stream = io.BytesIO()
    for frame in frames:
        write_raw(stream, frame)
    reader = RawReader(Dripping(stream.getvalue()), (4, 6))
    read = list(reader)
    assert [frame.number for frame in read] == [0, 1, 2]
    assert np.array_equal(np.stack([frame.bytes for frame in read]), frames)
    assert reader.problem == ""


def test_a_frame_that_is_cut_off_is_said():
    reader = RawReader(io.BytesIO(bytes(100)), (4, 6))
    assert len(list(reader)) == 1
    assert "within frame 1: 28 of 72 bytes" in reader.problem


@pytest.mark.parametrize("text", ["640", "640x", "axb", "0x10", "640x360x3"])
def test_a_size_is_two_numbers(text):
    assert raw_size("640X360") == (360, 640)
    with pytest.raises(InputError, match="640x360"):
        raw_size(text)
