"""Films as they come from cameras: colours, HDR, the shape of pixels, mirrors, interlacing, transparency, tracks."""

from fractions import Fraction

import av
import numpy as np
import pytest

from impasto.media.film_writer import FilmWriter, film_suffix
from impasto.media.tracks import plan_tracks
from impasto.media.videos import FilmReader, film_made_here
from tests.films import make_film

PATCHES = np.array(
    [[200, 30, 30], [30, 180, 40], [40, 60, 210], [220, 210, 40], [235, 235, 235], [16, 16, 16], [128, 128, 128], [240, 160, 120]], np.uint8
)


def patches(size):
    """Eight flat colours side by side, (H, W, 3)."""
    return np.repeat(np.repeat(PATCHES[None], size[0], 0), size[1] // 8, 1)


def colored(path, *, size, matrix, tags=None, full=False, codec="libx264", pix_fmt="yuv444p", frames=3, sar=None):
    """A film of flat colours, stored with swscale's number of a matrix; tags: H.273 numbers of matrix, primaries and transfer."""
    with av.open(str(path), "w") as film:
        stream = film.add_stream(codec, rate=25, options={"crf": "4"})
        stream.height, stream.width, stream.pix_fmt = *size, pix_fmt
        context = stream.codec_context
        if sar:
            context.sample_aspect_ratio = sar
        if tags:
            context.colorspace, context.color_primaries, context.color_trc = tags
        if full or tags:
            context.color_range = 2 if full else 1
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(patches(size), format="rgb24").reformat(
                format=pix_fmt, src_colorspace=matrix, dst_colorspace=matrix, src_color_range=2, dst_color_range=2 if full else 1
            )
            if tags:
                frame.colorspace, frame.color_primaries, frame.color_trc = tags
            if full or tags:
                frame.color_range = 2 if full else 1
            frame.pts, frame.time_base = number, Fraction(1, 25)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    return path


def centres(picture):
    """The colours of the eight patches."""
    width = picture.shape[1] // 8
    return picture[picture.shape[0] // 2, width // 2 :: width].astype(int)


CASES = {
    "SD, untagged, BT.601": {"size": (240, 320), "matrix": 5},
    "HD, untagged, BT.709": {"size": (720, 1280), "matrix": 1},
    "SD, tagged BT.709": {"size": (240, 320), "matrix": 1, "tags": (1, 1, 1)},
    "HD, tagged BT.601": {"size": (720, 1280), "matrix": 5, "tags": (6, 6, 6)},
    "SD, full range": {"size": (240, 320), "matrix": 5, "full": True},
    "HD, full range, BT.709": {"size": (720, 1280), "matrix": 1, "tags": (1, 1, 1), "full": True},
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_colours_survive_and_the_result_is_tagged(tmp_path, name, suffix):
    """What is read is what was stored, and what is written is read again by whoever honours the tags, within 2 of 255."""
    source = colored(tmp_path / "in.mkv", **CASES[name])
    reader = FilmReader(source)
    frames = list(reader)
    assert np.abs(centres(frames[0].bytes) - PATCHES).max() <= 2
    output = tmp_path / f"out{suffix}"
    writer = FilmWriter(output, source, reader.info, reader.info.size, "key")
    for frame in frames:
        writer.write(frame.bytes, frame.time)
    writer.finish()
    with av.open(str(output)) as film:
        shown = next(film.decode(video=0))
    assert int(shown.colorspace) not in (0, 2)
    assert int(shown.color_primaries) not in (0, 2)
    assert int(shown.color_trc) not in (0, 2)
    assert int(shown.color_range) == (2 if CASES[name].get("full") else 1)
    matrix, stored = {1: 1, 6: 5, 5: 5}[int(shown.colorspace)], int(shown.color_range)
    again = shown.reformat(format="rgb24", src_colorspace=matrix, src_color_range=stored, dst_color_range=2)
    assert np.abs(centres(again.to_ndarray()) - centres(frames[0].bytes)).max() <= 2


def pq(nits):
    """SMPTE ST 2084: light to code, 0 to 1."""
    y = (np.asarray(nits) / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def hlg(light):
    """ARIB STD-B67: scene light to code, 0 to 1."""
    light = np.asarray(light)
    return np.where(light <= 1 / 12, np.sqrt(3 * light), 0.17883277 * np.log(np.maximum(12 * light - 0.28466892, 1e-9)) + 0.55991073)


HDR = [("PQ", 16, pq([0, 1, 10, 50, 100, 203, 400, 1000])), ("HLG", 18, hlg([0, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3]))]


@pytest.mark.parametrize(("name", "transfer", "codes"), HDR)
def test_hdr_is_brought_to_ordinary_screens_and_that_is_said(tmp_path, name, transfer, codes):
    size = (64, 256)
    luma = np.repeat((64 + 876 * codes).round().astype(np.uint16), 32)
    with av.open(str(tmp_path / "in.mkv"), "w") as film:
        stream = film.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p10le"
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = 9, 9, transfer, 1
        for number in range(2):
            frame = av.VideoFrame(size[1], size[0], "yuv420p10le")
            for index, plane in enumerate(frame.planes):
                values = np.frombuffer(plane, np.uint16).reshape(plane.height, plane.line_size // 2)
                values[:, : plane.width] = luma if index == 0 else 512
            frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range = 9, 9, transfer, 1
            frame.pts, frame.time_base = number, Fraction(1, 25)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    reader = FilmReader(tmp_path / "in.mkv")
    assert f"is HDR ({name})" in reader.info.remarks[0]
    frames = list(reader)
    assert len(frames) == 2
    greys = frames[0].bytes[32, 16::32].astype(int)
    assert (greys.max(1) - greys.min(1)).max() <= 3, "greys stay grey"
    assert (np.diff(greys.mean(1)) > 0).all(), "lighter stays lighter, up to the highlights"
    assert greys[0].mean() < 6
    assert 200 < greys[-1].mean() <= 255
    assert reader.info.color.painted.matrix == 1


def test_wide_pixels_become_square_and_that_is_said(tmp_path):
    source = colored(tmp_path / "in.mkv", size=(96, 128), matrix=5, sar=Fraction(4, 3))
    reader = FilmReader(source)
    assert reader.info.size == (96, 171)
    assert "pixels that are not square (4:3)" in reader.info.remarks[0]
    assert next(iter(reader)).bytes.shape == (96, 171, 3)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((1, 0, 0, 1), lambda a: a),
        ((-1, 0, 0, 1), lambda a: a[:, ::-1]),
        ((1, 0, 0, -1), lambda a: a[::-1]),
        ((-1, 0, 0, -1), lambda a: a[::-1, ::-1]),
        ((0, 1, -1, 0), lambda a: np.rot90(a, -1)),
        ((0, -1, 1, 0), lambda a: np.rot90(a, 1)),
        ((0, 1, 1, 0), lambda a: a.swapaxes(0, 1)),
        ((0, -1, -1, 0), lambda a: a[::-1, ::-1].swapaxes(0, 1)),
    ],
)
def test_turned_and_mirrored_films_are_upright(tmp_path, matrix, expected):
    """All eight ways in which a camera can write a film: x' = a x + c y, y' = b x + d y."""
    flat = make_film(tmp_path / "flat.mp4", size=(48, 64))
    data = bytearray(flat.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = matrix
    for index, value in enumerate((a, b, 0, c, d, 0, 0, 0, 1)):
        scale = 1 << 30 if index in (2, 5, 8) else 1 << 16
        data[at + 4 * index : at + 4 * index + 4] = (value * scale).to_bytes(4, "big", signed=True)
    (tmp_path / "turned.mp4").write_bytes(bytes(data))
    plain, turned = (list(FilmReader(tmp_path / name))[20].bytes for name in ("flat.mp4", "turned.mp4"))
    assert np.abs(turned.astype(int) - expected(plain)).mean() < 1
    assert FilmReader(tmp_path / "turned.mp4").info.size == turned.shape[:2]


def test_interlaced_films_are_deinterlaced_and_that_is_said(tmp_path):
    size, source = (96, 128), tmp_path / "in.mkv"
    with av.open(str(source), "w") as film:
        stream = film.add_stream("libx264", rate=25, options={"crf": "4", "x264-params": "tff=1"})
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        for number in range(12):
            picture = np.full((*size, 3), 40, np.uint8)
            for field in range(2):  # a bar that moves between the two fields of a frame
                left = 8 * number + 4 * field
                picture[field::2, left : left + 16] = 220
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    with av.open(str(source)) as film:
        raw = list(film.decode(video=0))
    if not raw[0].interlaced_frame:
        pytest.skip("this FFmpeg does not mark interlaced frames")
    reader = FilmReader(source)
    frames = list(reader)
    assert "is interlaced and is deinterlaced" in reader.remarks[0]
    assert len(frames) == 12
    assert [frame.time for frame in frames] == sorted({frame.time for frame in frames})

    def comb(picture):
        rows = picture[..., 0].astype(int)
        return np.abs(rows[1:-1:2] * 2 - rows[:-2:2] - rows[2::2]).mean()

    assert comb(frames[6].bytes) < 0.3 * comb(raw[6].to_ndarray(format="rgb24"))


def transparent(path, codec, pix_fmt, options=()):
    with av.open(str(path), "w") as film:
        stream = film.add_stream(codec, rate=25, options=dict(options))
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        if path.suffix == ".webm":
            stream.metadata["alpha_mode"] = "1"
        for number in range(4):
            picture = np.zeros((48, 64, 4), np.uint8)
            picture[..., 0], picture[:, 32:, 3] = 200, 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgba")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "options"),
    [
        ("a.mov", "prores_ks", "yuva444p10le", {"profile": "4444"}),
        ("a.mov", "qtrle", "argb", {}),
        ("a.webm", "libvpx-vp9", "yuva420p", {"auto-alt-ref": "0"}),
    ],
)
def test_transparency_is_kept_where_it_can_be_and_laid_on_white_elsewhere(tmp_path, name, codec, pix_fmt, options):
    source = transparent(tmp_path / name, codec, pix_fmt, options)
    reader = FilmReader(source)
    assert reader.info.alpha
    assert film_suffix(source) == source.suffix
    for suffix in (".mov", ".webm", ".mp4"):
        output = tmp_path / f"out{suffix}"
        writer = FilmWriter(output, source, reader.info, reader.info.size, "key")
        assert writer.alpha == (suffix != ".mp4")
        assert ("laid on white" in " ".join(writer.remarks)) == (suffix == ".mp4")
        for frame in reader:
            writer.write(frame.bytes if writer.alpha else frame.bytes[..., :3], frame.time)
        writer.finish()
        again = FilmReader(output)
        assert again.info.alpha == writer.alpha
        if writer.alpha:
            alpha = next(iter(again)).alpha[0]
            assert alpha[:, :28].max() < 0.05
            assert alpha[:, 36:].min() > 0.95


def many_tracks(path):
    """Pictures, two tracks of sound in two languages, subtitles, chapters."""
    own = make_film(path.with_name("own.mkv"), codec="pcm_s16le", count=20)
    with av.open(str(own)) as source, av.open(str(path), "w") as film:
        seen = film.add_stream_from_template(source.streams.video[0])
        heard = [film.add_stream_from_template(source.streams.audio[0]) for _ in range(2)]
        for track, language in zip(heard, ("fra", "deu"), strict=True):
            track.metadata["language"] = language
        written = film.add_mux_stream("subrip")
        written.metadata["language"] = "eng"
        film.set_chapters([{"id": 1, "start": 0, "end": 400, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}])
        film.start_encoding()
        for packet in source.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "video":
                packet.stream = seen
                film.mux(packet)
                continue
            copy = av.Packet(bytes(packet))
            copy.pts, copy.dts, copy.time_base, copy.duration = packet.pts, packet.dts, packet.time_base, packet.duration
            packet.stream, copy.stream = heard
            film.mux(packet)
            film.mux(copy)
        for number in range(2):
            line = av.Packet(f"Hello {number}".encode())
            line.pts = line.dts = number * 300
            line.duration, line.time_base, line.stream = 200, Fraction(1, 1000), written
            film.mux(line)
    return path


def tracks_of(path):
    with av.open(str(path)) as film:
        named = [
            (stream.type, stream.codec_context.name, stream.metadata.get("language"))
            for stream in film.streams
            if stream.type in ("audio", "subtitle")
        ]
        return named, [chapter["metadata"]["title"] for chapter in film.chapters()]


def test_tracks_and_chapters_are_carried_and_what_cannot_be_is_said(tmp_path):
    source = many_tracks(tmp_path / "in.mkv")
    assert film_suffix(source) == ".mkv", "the container that holds all of it"
    reader = FilmReader(source)
    expected = {
        ".mkv": ([("audio", "pcm_s16le", "fra"), ("audio", "pcm_s16le", "deu"), ("subtitle", "srt", "eng")], ""),
        ".mp4": ([("audio", "aac", "fra"), ("audio", "aac", "deu")], "subtitles (srt)"),
        ".webm": ([("audio", "opus", "fra"), ("audio", "opus", "deu")], "subtitles (srt)"),
    }
    for suffix, (tracks, lost) in expected.items():
        output = tmp_path / f"out{suffix}"
        writer = FilmWriter(output, source, reader.info, reader.info.size, "key")
        for frame in reader:
            writer.write(frame.bytes, frame.time)
        writer.finish()
        assert tracks_of(output) == (tracks, ["One"])
        assert (lost in " ".join(writer.remarks)) if lost else not writer.remarks
        assert ("encoded anew" in " ".join(writer.remarks)) == (suffix != ".mkv")
        assert film_made_here(output)
        with av.open(str(output)) as film:
            heard = sum(frame.samples / frame.sample_rate for frame in film.decode(audio=0))
        assert heard == pytest.approx(0.8, abs=0.12)
    assert not film_made_here(source)
    assert plan_tracks(tmp_path / "none.mp4", ".mp4").carried == ()
