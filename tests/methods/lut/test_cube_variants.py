"""LUTs as grading programs write them: photos and frames get the colours that OpenColorIO, or the formula, gives."""

import numpy as np
import pytest
import torch

from impasto.methods.lut.color_lut import color_lut_of
from impasto.methods.lut.cube import read_cube

RNG = np.random.default_rng(7)
FRAME = np.concatenate([RNG.integers(0, 256, (40, 50, 3)), np.arange(256).repeat(3).reshape(-1, 2, 3).repeat(25, 1)[:, :50]]).astype(
    np.uint8
)
"""Random colours, and all shades of grey."""


def rows(change=lambda color: color, size=5, low=0.0, high=1.0):
    """A 3D table, red fastest; its nodes stand for colours from low to high."""
    axis = np.linspace(low, high, size)
    colors = np.stack(np.meshgrid(axis, axis, axis, indexing="ij")[::-1], -1).reshape(-1, 3)
    return "".join("{:.6f} {:.6f} {:.6f}\n".format(*change(color)) for color in colors)


def mixed(color):
    """Channels that depend on one another, within [0, 1]."""
    return np.array([[0.1, 0.7, 0.2], [0.3, 0.3, 0.4], [0.8, 0.0, 0.2]]) @ (1 - color**1.5)


def contrast(color):
    """Nodes far outside [0, 1]."""
    return 3 * color - 1


CURVE = "0.0 0.1 1.0\n0.2 0.6 0.8\n0.9 0.7 0.1\n1.0 0.9 0.0\n"
STEEP = "".join(f"{min(1, k / 12):.6f} {(k / 99) ** 0.3:.6f} {(k / 99) ** 4:.6f}\n" for k in range(100))
WIDE = "-0.5 0 2\n0.5 1 -1\n1.7 3 0.5\n"

VARIANTS = {
    "plain": "LUT_3D_SIZE 5\n" + rows(mixed),
    "two nodes": "LUT_3D_SIZE 2\n" + rows(mixed, 2),
    "contrast": "LUT_3D_SIZE 5\n" + rows(contrast),
    "negative": "LUT_3D_SIZE 3\n" + rows(lambda color: 0.4321 - color, 3),
    "resolve range": "LUT_3D_SIZE 5\nLUT_3D_INPUT_RANGE 0.0 2.0\n" + rows(mixed),
    "resolve range inside": "LUT_3D_SIZE 5\nLUT_3D_INPUT_RANGE 0.25 0.6\n" + rows(mixed),
    "domain": "LUT_3D_SIZE 5\nDOMAIN_MIN -0.1 0.0 0.1\nDOMAIN_MAX 1.2 1.0 0.9\n" + rows(mixed),
    "domain of light": "LUT_3D_SIZE 7\nDOMAIN_MIN -1 -1 -1\nDOMAIN_MAX 16 16 16\n" + rows(lambda color: color * 4, 7),
    "1D": "LUT_1D_SIZE 4\n" + CURVE,
    "1D of a domain": "LUT_1D_SIZE 4\nDOMAIN_MIN 0.2 -1 0\nDOMAIN_MAX 0.8 1 3\n" + CURVE,
    "1D of a range": "LUT_1D_SIZE 4\nLUT_1D_INPUT_RANGE -0.5 1.5\n" + CURVE,
    "1D beyond white": "LUT_1D_SIZE 3\n" + WIDE,
    "shaper": "LUT_1D_SIZE 100\nLUT_3D_SIZE 5\n" + STEEP + rows(mixed),
    "shaper with ranges": "LUT_1D_SIZE 3\nLUT_1D_INPUT_RANGE 0 2\nLUT_3D_SIZE 5\nLUT_3D_INPUT_RANGE 0 0.5\n0 0 0\n1 1 2\n2 2 2\n"
                          + rows(contrast),
    "lower case": "title \"a # b\"\nlut_3d_size 3\n" + rows(mixed, 3),
}  # fmt: skip


def graded(text, tmp_path, strength=1.0):
    """What becomes of FRAME as a photo, floats from 0 to 255, and as a frame of a video."""
    path = tmp_path / "one.cube"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    lut = color_lut_of(read_cube(path), strength)
    photo = lut(torch.from_numpy(FRAME).permute(2, 0, 1)[None].float() / 255)[0].permute(1, 2, 0).numpy() * 255
    return photo, lut.paint_bytes(FRAME).astype(float)


def by_opencolorio(text, tmp_path):
    """The same from OpenColorIO."""
    ocio = pytest.importorskip("PyOpenColorIO", reason="OpenColorIO is not installed")
    path = tmp_path / "reference.cube"
    path.write_text(text)
    transform = ocio.FileTransform(src=str(path), interpolation=ocio.INTERP_LINEAR)
    colors = (FRAME.reshape(-1, 3) / 255).astype(np.float32)
    ocio.Config.CreateRaw().getProcessor(transform).getOptimizedCPUProcessor(ocio.OPTIMIZATION_NONE).applyRGB(colors)
    return colors.clip(0, 1).reshape(FRAME.shape) * 255


@pytest.mark.parametrize("name", VARIANTS)
def test_photos_and_frames_get_the_colours_of_opencolorio(name, tmp_path):
    expected = by_opencolorio(VARIANTS[name], tmp_path)
    photo, frame = graded(VARIANTS[name], tmp_path)
    assert np.abs(photo - expected).max() < 0.1
    assert np.abs(frame - expected).max() <= 0.6, "rounded to the nearest level"
    assert abs((frame - expected).mean()) < 0.1, "and not cut off"


@pytest.mark.parametrize("name", ["plain", "contrast", "domain", "shaper"])
def test_half_of_a_lut_lies_between_the_photo_and_the_graded_one(name, tmp_path):
    whole, _ = graded(VARIANTS[name], tmp_path)
    photo, frame = graded(VARIANTS[name], tmp_path, strength=0.4)
    expected = FRAME + 0.4 * (whole - FRAME)
    assert np.abs(photo - expected).max() < 0.01
    assert np.abs(frame - expected).max() <= 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("\ufeff", ""),
        ("# made by hand\r\n\r\n", "# the end\r\n\r\n"),
        ('TITLE "Café # 2"\n', ""),
        ("  TITLE\tno quotes\n", "\n\n"),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("space", [" ", "\t", "  \t "])
def test_how_a_file_is_typed_does_not_matter(before, after, ending, space, tmp_path):
    plain = "LUT_3D_SIZE 3\n" + rows(mixed, 3)
    typed = plain.replace(" ", space).replace("3\n", "3 # three nodes\n", 1).replace("\n", "\n# a remark\n", 2)
    text = (before + typed + after).replace("\r\n", "\n").replace("\n", ending)
    np.testing.assert_array_equal(graded(text, tmp_path)[0], graded(plain, tmp_path)[0])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_every_encoding_is_read(encoding, tmp_path):
    plain = 'TITLE "Café"\nLUT_3D_SIZE 3\n' + rows(mixed, 3)
    (tmp_path / "one.cube").write_bytes(plain.encode(encoding))
    assert read_cube(tmp_path / "one.cube").record.source == "Café"
    np.testing.assert_array_equal(graded(plain.encode(encoding), tmp_path)[0], graded(plain, tmp_path)[0])


def test_video_range_is_heeded(tmp_path):
    """A LUT that changes nothing in video range changes nothing; one that inverts video levels inverts between black and white."""
    same = rows(size=2)
    both = "LUT_IN_VIDEO_RANGE\nLUT_OUT_VIDEO_RANGE\nLUT_3D_SIZE 2\n"
    for found in graded(both + same, tmp_path):
        assert np.abs(found - FRAME).max() <= 0.5
    inverse = rows(lambda color: 251 / 255 - color, size=2)
    for found in graded(both + inverse, tmp_path):
        assert np.abs(found - (255 - FRAME.astype(float))).max() <= 0.51
    levels = 16 + FRAME * (219 / 255)
    for found in graded("LUT_IN_VIDEO_RANGE\nLUT_3D_SIZE 2\n" + same, tmp_path):
        assert np.abs(found - levels).max() <= 0.51
    for found in graded("LUT_OUT_VIDEO_RANGE\nLUT_3D_SIZE 2\n" + same, tmp_path):
        assert np.abs(found - ((FRAME - 16.0) * (255 / 219)).clip(0, 255)).max() <= 0.51
    curve = "LUT_IN_VIDEO_RANGE\nLUT_OUT_VIDEO_RANGE\nLUT_1D_SIZE 2\n0 0 0\n1 1 1\n"
    for found in graded(curve, tmp_path):
        assert np.abs(found - FRAME).max() <= 0.51
