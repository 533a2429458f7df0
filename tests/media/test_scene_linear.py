"""Radiance's HDR and OpenEXR: linear light of any range, brought to the range of a screen by one curve."""

import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from impasto.errors import PictureError
from impasto.media.frames import FrameFolder
from impasto.media.images import list_pictures, picture_of, read_picture
from impasto.media.large_files import read_large
from tests import profiles as icc

LIGHT = np.random.default_rng(0).random((20, 34, 3)).astype(np.float32) * np.float32(0.8)


def exr(path, light, pixels="gbrpf32le"):
    """An OpenEXR by FFmpeg."""
    codec = av.CodecContext.create("exr", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = light.shape[1], light.shape[0], pixels, Fraction(1)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(light, np.float32), format=pixels)
    frame.pts = 0
    path.write_bytes(b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)]))
    return path


def with_chromaticities(path, points):
    """The same file with a statement of its primaries."""
    data, body = path.read_bytes(), struct.pack("<8f", *np.array(points).ravel())
    added = b"chromaticities\0chromaticities\0" + struct.pack("<i", len(body)) + body
    at = data.index(b"channels\0chlist\0")
    head, rest = data[:at], data[at:]
    # Offsets of the rows count from the beginning of the file.
    place = at
    while data[place] != 0:
        second = data.index(b"\0", data.index(b"\0", place) + 1) + 1
        place = second + 4 + struct.unpack("<i", data[second : second + 4])[0]
    table = place + 1
    first = struct.unpack("<Q", data[table : table + 8])[0]
    count = (first - table) // 8
    offsets = [each + len(added) for each in struct.unpack(f"<{count}Q", data[table : table + 8 * count])]
    rest = data[at:table] + struct.pack(f"<{count}Q", *offsets) + data[table + 8 * count :]
    path.write_bytes(head + added + rest)
    return path


def pixels(path):
    return read_picture(path).pixels.permute(1, 2, 0).numpy()


def test_what_is_below_white_is_exact(tmp_path):
    picture = read_picture(exr(tmp_path / "a.exr", LIGHT))
    np.testing.assert_allclose(picture.pixels.permute(1, 2, 0).numpy(), icc.encoded(LIGHT), atol=1e-4)
    assert picture.bits == 16
    assert picture.alpha is None
    assert "is linear light and is brought to the range of ordinary screens" in picture.messages[0]


def test_alpha_of_openexr_becomes_straight(tmp_path):
    alpha = np.linspace(0.3, 1, 34, dtype=np.float32)[None].repeat(20, 0)
    picture = read_picture(exr(tmp_path / "a.exr", np.dstack([LIGHT * alpha[..., None], alpha]), "gbrapf32le"))
    np.testing.assert_allclose(picture.pixels.permute(1, 2, 0).numpy(), icc.encoded(LIGHT), atol=1e-4)
    np.testing.assert_allclose(picture.alpha[0].numpy(), alpha, atol=1e-4)


def test_primaries_that_openexr_states(tmp_path):
    path = with_chromaticities(exr(tmp_path / "a.exr", LIGHT), [*icc.BT2020, icc.D65])
    light = LIGHT @ (np.linalg.inv(icc.xyz_of(icc.SRGB)) @ icc.xyz_of(icc.BT2020)).T
    inside = ((light > 0.001) & (light < 0.84)).all(-1)
    assert inside.mean() > 0.2
    np.testing.assert_allclose(pixels(path)[inside], icc.encoded(light)[inside], atol=2e-3)


def test_radiance(tmp_path):
    """Its numbers have eight bits and a shared exponent: half a step of 1 / 128 of the largest channel."""
    assert cv2.imwrite(str(tmp_path / "a.hdr"), LIGHT[..., ::-1])
    stored = cv2.imread(str(tmp_path / "a.hdr"), cv2.IMREAD_UNCHANGED)[..., ::-1]
    assert np.abs(stored - LIGHT).max() < 1 / 128
    np.testing.assert_allclose(pixels(tmp_path / "a.hdr"), icc.encoded(stored), atol=1e-4)


@pytest.mark.parametrize("kind", ["exr", "hdr"])
def test_every_way_of_reading_gives_the_same(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    light = LIGHT * 5
    if kind == "exr":
        exr(path, light)
    else:
        assert cv2.imwrite(str(path), light[..., ::-1])
    whole = read_picture(path)
    large = read_large(path, tmp_path / "tiles", whole.size, max_pixels=10_000).pixels.whole(whole.size)[0]
    assert (large - whole.pixels).abs().max() < 1e-6
    assert (picture_of(path.read_bytes(), path.name).pixels - whole.pixels).abs().max() == 0
    assert list_pictures(tmp_path) == [path]


def test_lighter_stays_lighter_and_a_fade_stays_a_fade(tmp_path):
    for number, gain in enumerate((4, 1, 0.25, 0.01)):
        exr(tmp_path / f"{number}.exr", LIGHT * np.float32(gain))
    ramp = np.linspace(0, 30, 640, dtype=np.float32).reshape(20, 32, 1).repeat(3, 2)
    (tmp_path / "ramp").mkdir()
    shown = pixels(exr(tmp_path / "ramp" / "a.exr", ramp)).reshape(-1, 3)
    assert (np.diff(shown[:, 0]) > 0).all()
    assert shown.max() < 1
    means = [frame.bytes.mean() for frame in FrameFolder(tmp_path)]
    assert means == sorted(means, reverse=True)
    assert abs(means[3] - 255 * icc.encoded(LIGHT * 0.01).mean()) < 1


@pytest.mark.parametrize("kind", ["exr", "hdr"])
def test_what_is_cut_off_is_refused(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    if kind == "exr":
        exr(path, LIGHT)
    else:
        assert cv2.imwrite(str(path), LIGHT[..., ::-1])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(PictureError, match="damaged or cut off"):
        read_picture(path)
