"""Pictures of more than eight bits, and files whose header or metadata are broken."""

import struct
import zlib

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from impasto.errors import PictureError
from impasto.media import decoding
from impasto.media.frames import FrameFolder
from impasto.media.images import Picture, read_picture, write_picture
from impasto.media.opening import made_here
from tests.conftest import scene

RAMP = np.linspace(0, 1, 64, dtype=np.float32)[None].repeat(48, 0)
COLORS = np.stack([RAMP, RAMP[:, ::-1], 0.5 * RAMP], -1)


def tiff(path, values):
    """A TIFF as other programs write it: OpenCV takes blue first."""
    assert cv2.imwrite(str(path), values if values.ndim == 2 else np.ascontiguousarray(values[..., [2, 1, 0, *range(3, values.shape[2])]]))
    return path


def srgb(light):
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("gain", [1.0, 0.5, 0.02])
@pytest.mark.parametrize("values", [RAMP, COLORS], ids=["grey", "colour"])
def test_floats_are_linear_light_whose_white_is_one(tmp_path, gain, values):
    picture = read_picture(tiff(tmp_path / "a.tif", values * np.float32(gain)))
    expected = torch.from_numpy(srgb(gain * (values if values.ndim == 3 else values[..., None].repeat(3, 2)))).permute(2, 0, 1).float()
    torch.testing.assert_close(picture.pixels, expected, atol=1e-5, rtol=0)
    assert picture.alpha is None
    assert picture.bits == 16


def test_hdr_is_brought_to_the_range_of_a_screen(tmp_path):
    """Light of which most is below 1 and some far above: lighter stays lighter, and the highlights are not cut at 1."""
    light = COLORS * 0.4
    light[20:30, 20:30] = 30.0
    light[20:30, 30:40] = 8.0
    light[0, 0] = np.nan
    picture = read_picture(tiff(tmp_path / "hdr.tif", light.astype(np.float32)))
    assert picture.pixels.min() >= 0
    assert picture.pixels.max() <= 1
    brightest, bright, dark = (float(picture.pixels[:, 25, x].mean()) for x in (25, 35, 5))
    assert brightest > bright > dark
    assert float(picture.pixels.median()) > 0.05


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("values", [RAMP, COLORS], ids=["grey", "colour"])
def test_sixteen_bits_are_as_bright_as_they_are_whatever_the_largest_value(tmp_path, suffix, values):
    """A bracket, a fade, a burst: files keep their brightness beside each other."""
    for gain in (1, 4095 / 65535, 1023 / 65535, 0.01):
        picture = read_picture(tiff(tmp_path / f"a.{suffix}", (values * gain * 65535).round().astype(np.uint16)))
        expected = gain * torch.from_numpy(values if values.ndim == 3 else values[..., None].repeat(3, 2)).permute(2, 0, 1)
        torch.testing.assert_close(picture.pixels, expected, atol=1e-5, rtol=0)


def test_frames_of_linear_light_are_tone_mapped_all_or_none(tmp_path):
    """One frame passes white: what the others have in common with it stays the same from frame to frame."""
    for number, gain in enumerate((0.95, 2.0, 0.95)):
        light = COLORS * np.float32(0.95)
        light[:8] = gain
        tiff(tmp_path / f"{number}.tif", light)
    frames = [frame.bytes.astype(int) for frame in FrameFolder(tmp_path)]
    assert np.array_equal(frames[0], frames[2])
    assert np.abs(frames[0][8:] - frames[1][8:]).max() == 0
    assert frames[1][0, 0, 0] > frames[0][0, 0, 0]
    (tmp_path / "1.tif").unlink()
    frames = [frame.bytes for frame in FrameFolder(tmp_path)]
    assert frames[0][0, 0, 0] == round(255 * float(srgb(np.float64(0.95))))


def test_sixteen_bits_with_alpha(tmp_path):
    values = np.concatenate([COLORS, 1 - RAMP[..., None]], -1)
    picture = read_picture(tiff(tmp_path / "a.png", (values * 65535).round().astype(np.uint16)))
    torch.testing.assert_close(picture.pixels[0], torch.from_numpy(RAMP), atol=2e-3, rtol=0)
    torch.testing.assert_close(picture.alpha[0], torch.from_numpy(1 - RAMP), atol=2e-3, rtol=0)


def test_a_transparent_grey_of_sixteen_bits(tmp_path):
    """tRNS of a 16-bit grey PNG names one value that stands for nothing."""
    values = (RAMP * 65535).astype(np.uint16)
    values[10:20, 10:20] = 1234
    path = tmp_path / "a.png"
    Image.fromarray(values).save(path)
    data = path.read_bytes()
    at = data.index(b"IDAT") - 4
    body = b"tRNS" + struct.pack(">H", 1234)
    path.write_bytes(data[:at] + struct.pack(">I", 2) + body + struct.pack(">I", zlib.crc32(body)) + data[at:])
    picture = read_picture(path)
    assert float(picture.alpha[0, 10:20, 10:20].max()) == 0
    assert float(picture.alpha.mean()) > 0.9


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("deep", [False, True], ids=["8 bits", "16 bits"])
def test_all_orientations_are_applied_whatever_the_depth(tmp_path, orientation, deep):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray((RAMP * 65535).astype(np.uint16)) if deep else scene(64, 48)
    image.save(tmp_path / "a.png", exif=exif)
    turned = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
    upright = image if orientation == 1 else image.transpose(Image.Transpose(turned[orientation]))
    upright.save(tmp_path / "b.png")
    assert torch.equal(read_picture(tmp_path / "a.png").pixels, read_picture(tmp_path / "b.png").pixels)


DAMAGES = [b"II*\x00\xff\xff\xff\xff", b"MM\x00*\x00\x00\x00\x08\xff\xff" + b"\x01" * 60, b"Exif\x00\x00garbage", b"\x00" * 8]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_exif_block_is_treated_as_absent(tmp_path, damage):
    """Phones and editors write them; the picture itself is whole."""
    scene(64, 48).save(tmp_path / "a.jpg", exif=b"Exif\x00\x00" + damage)
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.size == (48, 64)
    write_picture(picture, tmp_path / "b.jpg", exif=True)
    assert made_here(tmp_path / "b.jpg")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_results_say_that_they_are(tmp_path, suffix):
    scene(64, 48).save(tmp_path / f"photo.{suffix}")
    assert not made_here(tmp_path / f"photo.{suffix}")
    exif = Image.Exif()
    exif[0x0131], exif[0x010F] = "Camera 1.0", "Camera"
    for picture, keep in ((Picture(torch.rand(3, 20, 20)), False), (Picture(torch.rand(3, 20, 20), exif=exif.tobytes()), True)):
        assert made_here(write_picture(picture, tmp_path / f"out.{suffix}", exif=keep))


def test_photos_of_phones(tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="HEIF is an extra")
    picture = scene(64, 48)
    heif.from_pillow(picture).save(tmp_path / "a.heic", quality=95)
    read = read_picture(tmp_path / "a.heic")
    assert read.size == (48, 64)
    expected = torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255
    assert (read.pixels - expected).abs().mean() < 0.03


def test_without_the_extra_the_sentence_names_it(tmp_path, monkeypatch):
    from impasto.media import folders, opening

    (tmp_path / "a.heic").write_bytes(b"\x00\x00\x00\x18ftypheic" + bytes(40))
    monkeypatch.setattr(opening, "has_heif", lambda: False)
    monkeypatch.setattr(opening, "_openers", lambda: ())
    with pytest.raises(PictureError, match=r"pip install 'impasto.heif.'"):
        read_picture(tmp_path / "a.heic")
    scene(40, 40).save(tmp_path / "b.png")
    found = folders.contents(tmp_path)
    assert [path.name for path in found.files] == ["b.png"]
    assert "1 .heic (pip install 'impasto[heif]' reads them)" in found.left_out


def test_pillows_limit_is_left_alone_and_ours_is_kept(tmp_path, monkeypatch):
    """Pillow's limit is one for the whole process, and refuses what is twice as large: it neither counts nor is changed."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("1", (2000, 1000)).save(tmp_path / "huge.png")
    with pytest.raises(PictureError, match="--max-megapixels 2"):
        read_picture(tmp_path / "huge.png", max_pixels=1_000_000)
    assert read_picture(tmp_path / "huge.png", max_pixels=2_000_000).size == (1000, 2000)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("damage", ["cut", "length"])
def test_a_deep_png_that_claims_more_than_the_file_has_is_refused_before_anything_is_reserved(tmp_path, damage, monkeypatch):
    """A chunk's length may be reserved as it stands there: two gigabytes for a file of eight kilobytes."""
    file = tiff(tmp_path / "a.png", (COLORS * 65535).astype(np.uint16))
    data = bytearray(file.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    else:
        at = data.index(b"IDAT") - 4
        data[at : at + 4] = struct.pack(">I", 0x7FFF0000)
    file.write_bytes(data)
    monkeypatch.setattr(decoding, "vips", lambda: pytest.fail("was decoded"))
    with pytest.raises(PictureError, match="damaged"):
        read_picture(file)
