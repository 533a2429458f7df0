"""Camera raw files: what LibRaw makes of files of which every value is known; and what is none."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from impasto.errors import PictureError
from impasto.job.styles import find_style
from impasto.media import camera_raw, opening
from impasto.media.camera_raw import is_camera_raw
from impasto.media.folders import contents
from impasto.media.frames import FrameFolder
from impasto.media.images import list_pictures, picture_of, read_picture
from impasto.media.large_files import read_header, read_large
from impasto.media.opening import made_here

tifffile = pytest.importorskip("tifffile", reason="tifffile writes the raw files of these tests")
needs_libraw = pytest.mark.skipif(not camera_raw.has_libraw(), reason="rawpy is not installed")

HEIGHT, WIDTH, WHITE, BLACK = 96, 128, 15000, 500
NEUTRAL = np.array([0.5, 1.0, 0.75])
"""What the sensor sees of white: red and blue need more."""
TO_CAMERA = np.linalg.inv([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]])
"""From XYZ to the sensor's colours, which are those of linear sRGB (IEC 61966-2-1), before white balance."""


def srgb(light):
    """Linear light as sRGB (IEC 61966-2-1)."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def rational(values):
    return tuple(number for value in values for number in (round(value * 10_000), 10_000))


def dng(path, light, *, linear=False, orientation=1, tags=(), preview=True, version=True, white=WHITE):
    """A DNG of linear light (H, W, 3) in [0, 1]: mosaic or all colours; before it a preview of 32x24 pixels, black."""
    seen = np.rint(light * NEUTRAL * (white - BLACK) + BLACK).astype(np.uint16)
    mosaic = np.empty(light.shape[:2], np.uint16)
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[row::2, column::2] = seen[row::2, column::2, channel]
    matrix = (TO_CAMERA * NEUTRAL[:, None]).ravel()
    about = [
        (271, "s", 0, "Test", True), (272, "s", 0, "Camera", True), (274, "H", 1, orientation, True),
        (50721, "2i", 9, rational(matrix), True), (50728, "2I", 3, rational(NEUTRAL), True), (50778, "H", 1, 21, True), *tags,
    ]  # fmt: skip
    if version:
        about += [(50706, "B", 4, (1, 4, 0, 0), True), (50708, "s", 0, "Test Camera", True)]
    levels = [(50714, "H", 1, BLACK, True), (50717, "H", 1, white, True)]
    if linear:
        levels = [(50714, "H", 3, (BLACK,) * 3, True), (50717, "H", 3, (white,) * 3, True)]
    pattern = [] if linear else [(33421, "H", 2, (2, 2), True), (33422, "B", 4, (0, 1, 1, 2), True)]
    with tifffile.TiffWriter(path) as file:
        options = {"metadata": None, "software": "", "description": None}
        if preview:
            file.write(np.zeros((24, 32, 3), np.uint8), photometric="rgb", subfiletype=1, subifds=1, extratags=about, **options)
            about = []
        values, photometric = (seen, 34892) if linear else (mosaic, 32803)
        file.write(values, photometric=photometric, subfiletype=0, extratags=[*about, *pattern, *levels], **options)
    return path


def flat(*color):
    return np.broadcast_to(np.array(color, float), (HEIGHT, WIDTH, 3))


@needs_libraw
@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("color", [(1, 1, 1), (0.5, 0.5, 0.5), (0.2, 0.6, 0.1), (0.9, 0.05, 0.4), (0, 0, 0)])
def test_colours_are_those_that_the_camera_states(tmp_path, color, linear):
    picture = read_picture(dng(tmp_path / "a.dng", flat(*color), linear=linear))
    assert picture.size == (HEIGHT, WIDTH)
    assert picture.bits == 16
    assert picture.alpha is None
    found = picture.pixels[:, 8:-8, 8:-8].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, np.broadcast_to(srgb(np.array(color)), found.shape), atol=1 / 255)


@needs_libraw
def test_white_is_what_the_camera_says_whatever_is_to_be_seen(tmp_path):
    """A fade: no picture is brightened, and none is stretched that nearly reaches white."""
    for light in (0.95, 0.8, 0.1, 0.01):
        pixels = read_picture(dng(tmp_path / "a.dng", flat(light, light, light))).pixels
        np.testing.assert_allclose(pixels.mean(), srgb(np.array(light)), atol=1 / 255)


@needs_libraw
def test_a_camera_without_white_balance_does_not_take_one_from_what_is_to_be_seen(tmp_path):
    """Cameras that state none leave the tag out; a red wall stays red."""
    path = tmp_path / "a.dng"
    light = np.rint(flat(0.4, 0.1, 0.1)[..., 0] * 0 + 1)
    mosaic = np.empty((HEIGHT, WIDTH), np.uint16)
    mosaic[:] = (light * 1500).astype(np.uint16)
    mosaic[0::2, 0::2] = 6000
    tags = [(33421, "H", 2, (2, 2), True), (33422, "B", 4, (0, 1, 1, 2), True), (50717, "H", 1, WHITE, True)]
    tifffile.imwrite(path, mosaic, photometric=32803, metadata=None, extratags=[(50706, "B", 4, (1, 4, 0, 0), True), *tags])
    red, green, blue = read_picture(path).pixels[:, 8:-8, 8:-8].mean((1, 2)).tolist()
    np.testing.assert_allclose([red, green, blue], srgb(np.array([6000, 1500, 1500]) / WHITE), atol=2 / 255)


@needs_libraw
@pytest.mark.parametrize(("orientation", "where"), [(1, (0, 0)), (3, (-1, -1)), (6, (0, -1)), (8, (-1, 0))])
def test_orientation_is_applied_once(tmp_path, orientation, where):
    light = flat(0.05, 0.05, 0.05).copy()
    light[:32, :32] = 0.8
    picture = read_picture(dng(tmp_path / "a.dng", light, orientation=orientation))
    assert picture.size == ((WIDTH, HEIGHT) if orientation in (6, 8) else (HEIGHT, WIDTH))
    rows, columns = ((slice(0, 24), slice(-24, None))[place] for place in where)
    bright = picture.pixels.mean(0) > 0.5
    assert bright[rows, columns].float().mean() > 0.95
    assert int(bright.sum()) < 34 * 34
    exif = Image.Exif()
    exif.load(picture.exif)
    assert 274 not in exif
    assert exif[272] == "Camera"


@needs_libraw
def test_every_way_of_reading_develops(tmp_path):
    light = np.random.default_rng(0).random((HEIGHT, WIDTH, 3)) * 0.5
    path = dng(tmp_path / "a.dng", light)
    whole = read_picture(path)
    assert np.array_equal(picture_of(path.read_bytes(), "a.dng").pixels, whole.pixels)
    header = read_header(path, max_pixels=10**6)
    assert header.size == whole.size
    large = read_large(path, tmp_path / "tiles", header.size, max_pixels=10**6)
    np.testing.assert_allclose(large.pixels.whole(header.size)[0], whole.pixels, atol=1e-6)
    assert np.array_equal(find_style(path).picture[0], whole.pixels)
    assert not made_here(path)
    assert list_pictures(tmp_path) == [path]
    assert contents(tmp_path).files == [path]
    assert FrameFolder(tmp_path).info.size == whole.size
    with pytest.raises(PictureError, match=r"more than the limit of 0\.01 megapixels"):
        read_picture(path, max_pixels=10_000)


@needs_libraw
def test_files_without_a_version_of_dng_and_with_another_suffix_are_developed_too(tmp_path):
    light = flat(0.3, 0.3, 0.3)
    for path in (
        dng(tmp_path / "a.nef", light, version=False),
        dng(tmp_path / "a.tif", light),
        dng(tmp_path / "b.tif", light, preview=False),
    ):
        assert read_picture(path).size == (HEIGHT, WIDTH)


@needs_libraw
def test_what_exif_says_of_the_cameras_own_pictures_changes_no_colours(tmp_path):
    path = dng(tmp_path / "a.dng", flat(0.2, 0.6, 0.1))
    data = bytearray(path.read_bytes())
    # An exposure directory that says Adobe RGB, put behind the file and named in place of the maker's name.
    exposure = struct.pack("<H", 1) + struct.pack("<HHIHH", 0xA001, 3, 1, 2, 0) + bytes(4)
    entries = struct.unpack_from("<I", data, 4)[0]
    for number in range(struct.unpack_from("<H", data, entries)[0]):
        at = entries + 2 + 12 * number
        if struct.unpack_from("<H", data, at)[0] == 50778:
            struct.pack_into("<HHII", data, at, 0x8769, 4, 1, len(data))
    path.write_bytes(bytes(data) + exposure)
    picture = read_picture(path)
    exif = Image.Exif()
    exif.load(picture.exif)
    assert exif.get_ifd(0x8769)[0xA001] == 2
    np.testing.assert_allclose(picture.pixels[:, 8:-8, 8:-8].mean((1, 2)), srgb(np.array([0.2, 0.6, 0.1])), atol=1.5 / 255)


@needs_libraw
@pytest.mark.parametrize("suffix", ["dng", "nef", "tif"])
def test_what_cannot_be_developed_is_one_message_and_never_the_preview(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    tifffile.imwrite(path, np.zeros((24, 32, 3), np.uint8), photometric="rgb", subfiletype=1, metadata=None,
                     extratags=[(50706, "B", 4, (1, 4, 0, 0), True)])  # fmt: skip
    with pytest.raises(
        PictureError, match=rf"a\.{suffix} is a camera raw file that LibRaw [\d.]+ cannot develop \(.*\); save it as TIFF or DNG"
    ):
        read_picture(path)


@needs_libraw
def test_a_file_that_is_cut_off_is_refused(tmp_path):
    path = dng(tmp_path / "a.dng", np.random.default_rng(0).random((HEIGHT, WIDTH, 3)))
    data = path.read_bytes()
    for kept in (len(data) // 2, len(data) - 500, 60):
        path.write_bytes(data[:kept])
        with pytest.raises(PictureError):
            read_picture(path)


def test_without_libraw_one_message_says_what_is_missing(tmp_path, monkeypatch):
    path = dng(tmp_path / "a.dng", flat(0.3, 0.3, 0.3))
    monkeypatch.setattr(camera_raw, "has_libraw", lambda: False)
    monkeypatch.setattr(opening, "has_libraw", lambda: False)
    for read in (lambda: read_picture(path), lambda: picture_of(path.read_bytes(), "a.dng"), lambda: find_style(path)):
        with pytest.raises(PictureError, match=r"a\.dng is a camera raw file, which needs one more package .*pip install 'impasto\[raw\]'"):
            read()
    found = contents(tmp_path)
    assert not found.files
    assert "1 .dng (pip install 'impasto[raw]' reads them)" in found.left_out
    assert list_pictures(tmp_path) == []


STARTS = {
    "RAF": b"FUJIFILMCCD-RAW 0201", "X3F": b"FOVb\2\0\2\0" + bytes(16), "RW2": b"IIU\0\x18\0\0\0" + bytes(16),
    "ORF": b"IIRO\x08\0\0\0" + bytes(16),
    "ORF of a compact": b"IIRS\x08\0\0\0" + bytes(16), "MRW": b"\0MRM\0\0\0\0" + bytes(16), "CR3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
    "CRW": b"II\x1a\0\0\0HEAPCCDR\2\0", "CR2": b"II*\0\x10\0\0\0CR\2\0\0\0\0\0" + bytes(16),
}  # fmt: skip


@pytest.mark.parametrize("kind", STARTS)
def test_raw_files_are_told_by_their_beginning(kind):
    assert is_camera_raw(io.BytesIO(STARTS[kind]))
    assert opening.may_be_raw(STARTS[kind][:16])


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("photometric", [32803, 34892])
def test_raw_files_are_told_by_what_their_directories_say(tmp_path, photometric, byteorder, bigtiff):
    path = tmp_path / "a.tif"
    values = np.zeros((8, 8) if photometric == 32803 else (8, 8, 3), np.uint16)
    with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder=byteorder) as file:
        file.write(np.zeros((4, 4, 3), np.uint8), photometric="rgb", subfiletype=1, subifds=2, metadata=None)
        file.write(np.zeros((6, 6), np.uint8), photometric="minisblack", subfiletype=1, metadata=None)
        file.write(values, photometric=photometric, metadata=None)
    with path.open("rb") as stream:
        assert is_camera_raw(stream)


def test_other_files_are_no_raw_files(tmp_path):
    values = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    path = tmp_path / "a.tif"
    version = [(50706, "B", 4, (1, 4, 0, 0), True)]  # ExifTool copies it with everything else from the raw file to what was made of it
    for options in ({}, {"extratags": version}, {"bigtiff": True}, {"byteorder": ">"}, {"compression": "deflate"}):
        tifffile.imwrite(path, values, photometric="rgb", metadata=None, **options)
        with path.open("rb") as stream:
            assert not is_camera_raw(stream, "a.tif")
        assert np.array_equal(np.rint(read_picture(path).pixels.permute(1, 2, 0).numpy() * 255), values)
    with tifffile.TiffWriter(path) as file:  # with a small version before it, as image managers write them
        file.write(values[::4, ::4].copy(), photometric="rgb", subfiletype=1, metadata=None)
        file.write(values, photometric="rgb", metadata=None)
    assert read_picture(path).size == (24, 32)
    for start in (b"", b"II*\0", b"II*\0\x08\0\0\0", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"II*\0\xff\xff\xff\xff" + bytes(20)):
        assert not is_camera_raw(io.BytesIO(start))
