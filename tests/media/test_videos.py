"""Films in and out: nothing is lost on the way, and what cannot be read says so."""

import io
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
from PIL import Image

from impasto.media.film_writer import FilmWriter, check_film_output
from impasto.media.opening import is_film
from impasto.media.videos import FilmError, FilmReader, _turned, even
from tests.films import make_film


def copied(source: Path, output: Path, *, stop: int | None = None, piece: int = 7) -> FilmWriter:
    reader = FilmReader(source)
    writer = FilmWriter(output, source, reader.info, reader.info.size, "key", piece=piece)
    for frame in reader:
        if frame.number >= (stop if stop is not None else 10**9):
            return writer
        if frame.number >= writer.done:
            writer.write(frame.bytes[: writer.size[0], : writer.size[1]], frame.time)
    writer.finish()
    return writer


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("variable", [False, True], ids=["steady", "variable"])
def test_every_frame_comes_back_at_its_time_with_the_sound(tmp_path, suffix, variable):
    source, output = make_film(tmp_path / f"in{suffix}", variable=variable), tmp_path / f"out{suffix}"
    copied(source, output)
    before, after = FilmReader(source), FilmReader(output)
    pairs = list(zip(before, after, strict=True))
    assert len(pairs) == 30
    for one, other in pairs:
        assert (one.pixels - other.pixels).abs().mean() < 0.03
        assert one.time * before.info.time_base == pytest.approx(other.time * after.info.time_base, abs=1e-3)
    assert after.info.duration == pytest.approx(before.info.duration, abs=0.1)
    kept = sound_of(source) if suffix != ".mkv" else [packet for packet in sound_of(source) if packet[1] >= 0]
    assert [packet for packet, _ in sound_of(output)] == [packet for packet, _ in kept], "Matroska cannot hide what warms a decoder up"
    assert not list(tmp_path.glob(".*"))


def sound_of(path: Path) -> list[tuple[bytes, int]]:
    with av.open(str(path)) as film:
        return [(bytes(packet), packet.pts) for packet in film.demux(film.streams.audio[0]) if packet.dts is not None]


def test_a_film_without_sound_stays_without(tmp_path):
    copied(make_film(tmp_path / "in.mp4", sound=False), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as film:
        assert not film.streams.audio


def test_interrupted_it_goes_on_after_the_last_whole_part(tmp_path):
    source, output = make_film(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    copied(source, output, stop=16)
    assert not output.exists()
    reader = FilmReader(source)
    again = FilmWriter(output, source, reader.info, reader.info.size, "key", piece=7)
    assert again.done == 14
    assert again.last.dtype == np.uint8
    thirteenth = list(reader)[13].pixels.mul(255).round()
    assert torch.equal(torch.from_numpy(again.last).permute(2, 0, 1).float(), thirteenth)
    other = FilmWriter(tmp_path / "out.mp4", source, reader.info, reader.info.size, "another key", piece=7)
    assert other.done == 0
    copied(source, output)
    assert len(list(FilmReader(output))) == 30


def test_a_paused_film_keeps_every_frame(tmp_path):
    source, output = make_film(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    copied(source, output, stop=16).pause()
    reader = FilmReader(source)
    assert FilmWriter(output, source, reader.info, reader.info.size, "key").done == 16
    copied(source, output)
    assert len(list(FilmReader(output))) == 30


def test_a_turned_film_is_read_upright(tmp_path):
    """A phone held upright writes a film on its side and a matrix that turns it."""
    source = make_film(tmp_path / "in.mp4", size=(48, 64), turned=90)
    reader = FilmReader(source)
    assert reader.info.size == (64, 48)
    frame = next(iter(reader))
    assert frame.pixels.shape == (3, 64, 48)
    flat = next(iter(FilmReader(make_film(tmp_path / "flat.mp4", size=(48, 64)))))
    turned = [torch.rot90(flat.pixels, k, (1, 2)) for k in (1, 3)]
    assert min(float((frame.pixels - t).abs().mean()) for t in turned) < 0.02


def test_a_film_that_is_cut_off_gives_what_it_has_and_says_so(tmp_path):
    source = make_film(tmp_path / "in.mkv", count=120)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    reader = FilmReader(source)
    frames = list(reader)
    assert 5 < len(frames) < 118
    assert "cut off, and what there is was kept" in reader.problem
    whole = make_film(tmp_path / "in.mp4", count=60, front=True)
    whole.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    reader = FilmReader(whole)
    frames = list(reader)
    assert 5 < len(frames) < 58
    assert "kept" in reader.problem


def test_what_is_no_film_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "text.mp4").write_text("not a film at all")
    (tmp_path / "empty.mp4").write_bytes(b"")
    make_film(tmp_path / "heard.mp4", pictures=False)
    for name, sentence in (
        ("missing.mp4", "does not exist"),
        ("text.mp4", "not a film that can be read"),
        ("empty.mp4", "not a film that can be read"),
        ("heard.mp4", "no video stream"),
        (".", "is a folder"),
    ):
        with pytest.raises(FilmError, match=sentence):
            FilmReader(tmp_path / name)


def test_outputs_that_cannot_be_are_refused_before_any_work(tmp_path):
    for name in ("out.xyz", "in.png"):
        with pytest.raises(FilmError, match="has to end in"):
            check_film_output(tmp_path / name)
    (tmp_path / "dir.mp4").mkdir()
    with pytest.raises(FilmError, match="folder"):
        check_film_output(tmp_path / "dir.mp4")


def test_memory_holds_one_part_at_most(tmp_path):
    """The writer keeps no frames: what is written lies on disk."""
    source, output = make_film(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    writer = copied(source, output, stop=29)
    assert len(list((tmp_path / ".out.mp4.parts").glob("*.mp4"))) >= 4
    kept = vars(writer).values()
    assert not any(isinstance(value, list) and len(value) > 10 for value in kept)
    assert sum(value.nbytes for value in kept if isinstance(value, np.ndarray)) <= 2 * 48 * 64 * 3


def test_odd_sizes_become_even_and_suffixes_tell_films():
    assert even((49, 65)) == (48, 64)
    assert is_film("a.MP4")
    assert not is_film("a.png")
    assert Fraction(1, 2) == 0.5


def test_ffmpegs_messages_never_wait_for_python():
    """A decoder's thread that reports an error to Python needs its lock, which the thread that closes the film holds meanwhile."""
    assert av.logging.get_level() is None


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turn_is_known_where_other_data_of_a_frame_have_no_name(tmp_path, degrees):
    with av.open(str(make_film(tmp_path / "in.mp4", count=1, sound=False, turned=degrees))) as film:
        frame = next(film.decode(video=0))

        class Unnamed:
            def __getitem__(self, kind):
                raise ValueError("31 is not a valid Type")

        plain = SimpleNamespace(side_data=Unnamed(), rotation=frame.rotation)
        np.testing.assert_array_equal(_turned(plain), _turned(frame))


def test_frames_that_carry_exif_are_read(tmp_path):
    """Cameras write MJPEG whose frames have an EXIF block, a kind of data that PyAV has no name for."""
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    file = io.BytesIO()
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(file, format="JPEG", exif=exif)
    path = tmp_path / "camera.avi"
    with av.open(str(path), "w") as film:
        stream = film.add_stream("mjpeg", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number in range(3):
            packet = av.Packet(file.getvalue())
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 5)
            film.mux(packet)
    frames = list(FilmReader(path))
    assert len(frames) == 3
    assert abs(frames[0].bytes.astype(int) - 90).max() <= 2
