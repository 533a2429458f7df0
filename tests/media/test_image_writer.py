"""Image files as they are written: 8 and 16 bits, alpha, limits of formats, in memory as on the disk."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.errors import InputError, PictureError
from impasto.media.canvas import Box, Canvas
from impasto.media.image_writer import FORMATS, check_writable
from impasto.media.images import Picture, encoded, read_picture, write_result
from impasto.media.large_files import LargePicture, write_large

tifffile = pytest.importorskip("tifffile")


def deep(alpha=False):
    """A picture of 16 bits: every value that differs in its low byte alone, and what lies between two values."""
    values = (torch.arange(3 * 64 * 80) * 37 % 65536).view(3, 64, 80)
    pixels = (values + torch.tensor([-0.4, 0.0, 0.4]).view(3, 1, 1)).clamp(0, 65535) / 65535
    opaque = torch.linspace(0, 1, 64 * 80).view(1, 64, 80) if alpha else None
    stored = values if opaque is None else torch.cat([values, opaque.mul(65535).round().long()])
    return Picture(pixels, opaque, bits=16), stored.permute(1, 2, 0).numpy().astype(np.uint16)


def by_strips(folder, picture, path):
    """Written from canvases; returns the path."""
    names = {"photo.raw": picture.pixels, "alpha.raw": picture.alpha}
    canvases = []
    for name, values in names.items():
        canvas = None if values is None else Canvas(folder / name, picture.size, channels=len(values), deep=picture.bits > 8)
        if canvas is not None:
            canvas.write(Box(0, 0, *picture.size), values[None])
        canvases.append(canvas)
    write_large(LargePicture(canvases[0], canvases[1], None, picture.bits), path, exif=False, background="white")
    return path


def whole(folder, picture, path):
    """Written in one piece; returns the path."""
    write_result(picture, path)
    return path


def stored(path):
    """The values in a file, by readers that are not ours."""
    if path.suffix == ".tif":
        return tifffile.imread(path)
    import cv2

    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return values[..., [2, 1, 0, *range(3, values.shape[2])]]


@pytest.mark.parametrize("write", [whole, by_strips])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("alpha", [False, True])
def test_sixteen_bits_are_rounded_and_written_as_they_are(tmp_path, write, suffix, alpha):
    picture, expected = deep(alpha)
    found = stored(write(tmp_path, picture, tmp_path / f"out{suffix}"))
    assert found.dtype == np.uint16
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("write", [whole, by_strips])
@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp"])
def test_formats_of_eight_bits_take_the_nearest(tmp_path, write, suffix):
    pixels = torch.full((3, 40, 40), 127.6 / 255)
    path = write(tmp_path, Picture(pixels, bits=16), tmp_path / f"out{suffix}")
    with Image.open(path) as image:
        assert image.mode == "RGB"
        assert np.abs(np.asarray(image).astype(int) - 128).max() <= (0 if suffix == ".bmp" else 1)


@pytest.mark.parametrize("write", [whole, by_strips])
def test_eight_bits_stay_eight(tmp_path, write):
    assert stored(write(tmp_path, Picture(torch.rand(3, 40, 40)), tmp_path / "out.tif")).dtype == np.uint8


@pytest.mark.parametrize("write", [whole, by_strips])
def test_alpha_that_a_format_cannot_hold_is_laid_on_the_background(tmp_path, write):
    picture = Picture(torch.zeros(3, 40, 40), torch.full((1, 40, 40), 0.5), bits=16)
    with Image.open(write(tmp_path, picture, tmp_path / "out.bmp")) as image:
        assert set(np.asarray(image).ravel().tolist()) == {128}


def test_what_was_laid_on_once_is_not_laid_on_again(tmp_path):
    """A write that failed is done again from the same files."""
    picture = Picture(torch.zeros(3, 40, 40), torch.full((1, 40, 40), 0.5))
    for name in ("one.bmp", "two.bmp"):
        by_strips(tmp_path, picture, tmp_path / name)
    assert (tmp_path / "one.bmp").read_bytes() == (tmp_path / "two.bmp").read_bytes()


@pytest.mark.parametrize("kind", list(FORMATS))
@pytest.mark.parametrize("alpha", [False, True])
def test_a_picture_in_memory_is_the_file_on_the_disk(tmp_path, kind, alpha):
    picture, _ = deep(alpha)
    path = tmp_path / f"out.{kind.lower()}"
    write_result(picture, path, background="red")
    data = encoded(picture, kind, background="red")
    with Image.open(io.BytesIO(data)) as found, Image.open(path) as written:
        assert found.format == kind
        assert (found.mode, found.size) == (written.mode, written.size)
    (tmp_path / f"again.{kind.lower()}").write_bytes(data)
    assert torch.equal(read_picture(tmp_path / f"again.{kind.lower()}").pixels, read_picture(path).pixels)


@pytest.mark.parametrize(("name", "fits", "not_so"), [("a.jpg", 65_500, 65_501), ("a.webp", 16_383, 16_384)])
def test_sides_that_a_format_cannot_hold_are_refused_before_the_work(tmp_path, name, fits, not_so):
    write_result(Picture(torch.zeros(3, 1, fits)), tmp_path / name)
    assert read_picture(tmp_path / name).size == (1, fits)
    with pytest.raises(PictureError, match=f"the result has {not_so}x40 pixels, and a side of this format has {fits} at the most"):
        check_writable(tmp_path / name, size=(40, not_so))
    check_writable(tmp_path / "a.png", size=(40, not_so))


def test_names_that_are_too_long_are_refused_before_the_work(tmp_path):
    with pytest.raises(InputError, match=r"a name of 304 bytes is too long, \d+ are the most"):
        check_writable(tmp_path / f"{'x' * 300}.png")
