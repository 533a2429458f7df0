"""Looks: fitted to what was done to a photo, the same in other programs, and bad files are sentences."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from PIL import Image

import impasto
from impasto.errors import InputError, StyleError
from impasto.media.color import luma
from impasto.media.images import read_picture
from impasto.media.videos import FilmReader
from impasto.methods.lut.color_lut import ColorLUT, color_lut_of
from impasto.methods.lut.cube import read_cube, write_cube
from impasto.methods.lut.fit import fitted, identity, rising
from impasto.settings import Controls
from tests.conftest import scene
from tests.films import make_film

DOMAIN = torch.tensor([[0.0] * 3, [1.0] * 3])


def warm(pixels):
    """A curve for each channel."""
    exponents = torch.tensor([0.8, 1.0, 1.4]).view(3, *[1] * (pixels.ndim - 1))
    return pixels.clamp(0, 1) ** exponents


def colors(count=120, seed=0):
    return torch.rand(3, count, count, generator=torch.Generator().manual_seed(seed))


def test_a_table_that_changes_nothing_changes_nothing():
    photo = colors()[None]
    for size in (2, 17, 33):
        torch.testing.assert_close(ColorLUT(identity(size), DOMAIN)(photo), photo, atol=1e-5, rtol=0)


def test_a_look_does_to_other_photos_what_was_done_to_one():
    table = fitted(colors(), warm(colors()))
    other = colors(seed=1)
    found = ColorLUT(table, DOMAIN)(other[None])[0]
    assert (found - warm(other)).abs().mean() < 2 / 255


def test_colours_that_the_photo_does_not_have_are_no_surprise():
    photo = 0.4 + 0.2 * colors()
    table = fitted(photo, warm(photo))
    assert (table - identity(33)).abs().max() < 0.5
    assert (ColorLUT(table, DOMAIN)(photo[None])[0] - warm(photo)).abs().mean() < 2 / 255


def test_luma_never_falls_where_a_channel_rises():
    photo = colors()
    for result in (1 - photo, (photo * 9).sin().abs(), photo.flip(0)):
        table = fitted(photo, result, 17)
        assert ((table >= 0) & (table <= 1)).all()
        light = luma(table.permute(3, 0, 1, 2).flatten(2))[0].view(17, 17, 17)
        for axis in range(3):
            assert light.diff(dim=axis).min() > -2e-3
    torch.testing.assert_close(rising(identity(9)), identity(9))


def test_files_are_read_as_they_were_written(tmp_path):
    table = warm(identity(5).permute(3, 0, 1, 2)).permute(1, 2, 3, 0)
    path = write_cube(tmp_path / "warm.cube", table, title='a "warm" one')
    file = read_cube(path)
    assert (file.record.name, file.record.method, file.record.source) == ("warm", "lut", "a 'warm' one")
    torch.testing.assert_close(color_lut_of(file, 1.0).table, table, atol=1e-6, rtol=0)


def test_the_colours_that_its_ends_stand_for_are_heeded(tmp_path):
    rows = "\n".join(f"{r} {g} {b}" for b in (0, 1) for g in (0, 1) for r in (0, 1))
    (tmp_path / "wide.cube").write_text(f"LUT_3D_SIZE 2\nDOMAIN_MIN -1 -1 -1\nDOMAIN_MAX 1 1 1\n# a remark\n\n{rows}\n")
    found = color_lut_of(read_cube(tmp_path / "wide.cube"), 1.0)(torch.full((1, 3, 2, 2), 0.5))
    torch.testing.assert_close(found, torch.full((1, 3, 2, 2), 0.75))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "LUT_3D_SIZE is missing"),
        ("LUT_3D_SIZE 500\n", "LUT_3D_SIZE is 500"),
        ("LUT_3D_SIZE two\n", "LUT_3D_SIZE of"),
        ("LUT_3D_SIZE 2.5\n", "LUT_3D_SIZE is 2.5"),
        ("LUT_1D_SIZE 70000\n", "LUT_1D_SIZE is 70000"),
        ("LUT_2D_SIZE 2\n0 0 0\n", "'LUT_2D_SIZE', which could change colours"),
        ("LUT_3D_SIZE 2\nOUTPUT_GAMMA 2.2\n" + "0 0 0\n" * 8, "'OUTPUT_GAMMA', which could change colours"),
        ("LUT_3D_SIZE 2\nLUT_3D_SIZE 3\n" + "0 0 0\n" * 8, "LUT_3D_SIZE is there twice"),
        ("LUT_3D_SIZE 2\nDOMAIN_MAX 1 1 1\nLUT_3D_INPUT_RANGE 0 2\n" + "0 0 0\n" * 8, "contradicts itself"),
        ("LUT_1D_SIZE 2\nLUT_3D_SIZE 2\nDOMAIN_MAX 2 2 2\n" + "0 0 0\n" * 10, "do not say which"),
        ("LUT_3D_SIZE 2\n" + "0,0 0,5 1,0\n" * 8, "decimals are written with a point"),
        ("LUT_1D_SIZE 3\n0\n0.5\n1\n", "three numbers were expected"),
        ("LUT_3D_SIZE 2\n0 0 0\n", "it has 1 colours, and its tables need 8"),
        ("LUT_3D_SIZE 2\n0 0\n", "line 2 of"),
        ("LUT_3D_SIZE 2\n0 0 nan\n", "line 2 of"),
        ("LUT_3D_SIZE 2\nDOMAIN_MIN 1 1 1\n" + "0 0 0\n" * 8, "not below"),
        ("LUT_3D_SIZE 2\nDOMAIN_MAX much\n" + "0 0 0\n" * 8, "DOMAIN_MAX of"),
        ("LUT_3D_SIZE 2\nLUT_3D_INPUT_RANGE 1 0\n" + "0 0 0\n" * 8, "not below"),
        ("\x00\x01\x02binary", "three numbers were expected"),
    ],
)
def test_bad_files_are_sentences(tmp_path, text, says):
    (tmp_path / "bad.cube").write_text(text)
    with pytest.raises(StyleError, match=says):
        read_cube(tmp_path / "bad.cube")


def test_a_file_that_is_not_there_is_a_sentence(photo):
    with pytest.raises(StyleError, match=r"nowhere.cube cannot be read"):
        impasto.stylize(photo, "nowhere.cube")


def test_luts_of_other_formats_are_named(photo):
    with pytest.raises(StyleError, match=r"in the format \.3dl, which is not read: save it as \.cube"):
        impasto.stylize(photo, "grade.3dl")


@pytest.fixture
def look(tmp_path):
    table = warm(identity(33).permute(3, 0, 1, 2)).permute(1, 2, 3, 0)
    return write_cube(tmp_path / "warm.cube", table, title="warm")


def test_photos_are_graded_at_their_own_size(look, tmp_path):
    scene(2200, 900).save(tmp_path / "in.png")
    (outcome,) = impasto.stylize(tmp_path / "in.png", look, output=tmp_path / "out.png").painted
    assert outcome.size == (900, 2200)
    found, seen = (read_picture(tmp_path / name).pixels for name in ("out.png", "in.png"))
    assert (found - warm(seen)).abs().mean() < 1 / 255
    (outcome,) = impasto.stylize(tmp_path / "in.png", look, output=tmp_path / "half.png", controls=Controls(strength=0.5)).painted
    assert (read_picture(outcome.output).pixels - (warm(seen) + seen) / 2).abs().mean() < 1 / 255


def test_films_are_graded_frame_by_frame(look, tmp_path):
    film = make_film(tmp_path / "in.mp4", count=3, size=(48, 64))
    (outcome,) = impasto.stylize(film, look, output=tmp_path / "out.mp4").painted
    assert outcome.size == (48, 64)
    for before, after in zip(FilmReader(film), FilmReader(outcome.output), strict=True):
        assert (after.pixels - warm(before.pixels)).abs().mean() < 0.02
    (outcome,) = impasto.stylize(film, look, output=tmp_path / "small.mp4", controls=Controls(size=56, keep_color="luma")).painted
    assert outcome.size == (42, 56)


def filtered(look, picture):
    """What FFmpeg's lut3d makes of a picture (H, W, 3) of bytes."""
    graph = av.filter.Graph()
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    source = graph.add_buffer(width=frame.width, height=frame.height, format="rgb24", time_base=Fraction(1, 25))
    try:
        table = graph.add("lut3d", str(look).replace(":", r"\:"))
    except ValueError:
        pytest.skip("this FFmpeg has no lut3d")
    sink = graph.add("buffersink")
    source.link_to(table)
    table.link_to(sink)
    graph.configure()
    source.push(frame)
    return sink.pull().to_ndarray(format="rgb24")


@pytest.mark.parametrize("kind", ["curves", "fitted"])
def test_ffmpeg_grades_alike(look, tmp_path, kind):
    picture = np.asarray(scene(120, 90))
    photo = torch.from_numpy(picture.copy()).permute(2, 0, 1).float() / 255
    if kind == "fitted":
        look = write_cube(tmp_path / "fitted.cube", fitted(photo, (photo.flip(0) * 0.7 + 0.1)), title="fitted")
    found = filtered(look, picture).astype(float)
    ours = color_lut_of(read_cube(look), 1.0)(photo[None])[0].permute(1, 2, 0).mul(255).round().numpy()
    error = np.square((found - ours) / 255).mean()
    assert -10 * np.log10(max(error, 1e-9)) >= 45


def test_a_look_is_made_of_a_photo_and_a_picture(tmp_path):
    scene(96, 72).save(tmp_path / "photo.png")
    Image.fromarray((np.asarray(scene(80, 80)) * [1.0, 0.7, 0.4]).astype(np.uint8)).save(tmp_path / "evening.png")
    path = impasto.lut(tmp_path / "photo.png", tmp_path / "evening.png", output=tmp_path / "look.cube", size=9)
    (outcome,) = impasto.stylize(tmp_path / "photo.png", path, output=tmp_path / "out.png").painted
    before, after = (read_picture(tmp_path / name).pixels.mean((1, 2)) for name in ("photo.png", "out.png"))
    assert after[2] / after[0] < before[2] / before[0], "blue gives way to red"
    assert outcome.size == (72, 96)


def test_bad_requests_are_sentences(look, tmp_path, photo):
    with pytest.raises(InputError, match="2 to 129 colours"):
        impasto.lut(photo, photo, output=tmp_path / "a.cube", size=1)
    with pytest.raises(InputError, match=r"ends in \.cube"):
        impasto.lut(photo, photo, output=tmp_path / "a.png")
    with pytest.raises(InputError, match="LUTs are not mixed"):
        impasto.stylize(photo, look, look)
    with pytest.raises(InputError, match=r"LUTs are not mixed|needs the picture"):
        impasto.stylize(photo, look, photo)
    with pytest.raises((InputError, StyleError), match="is no LUT: impasto lut PHOTO"):
        impasto.stylize(photo, photo, controls=Controls(method="lut"))
    with pytest.raises(InputError, match="optimises what a method painted"):
        impasto.stylize(photo, look, controls=Controls(quality="fine"))
