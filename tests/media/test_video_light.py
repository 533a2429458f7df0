"""HDR, wide colours and linear light in videos look as they do in photos: the formulas of ITU-R BT.2100, BT.2020 and SMPTE EG 432."""

from fractions import Fraction

import av
import numpy as np
import pytest

from impasto.media import light
from impasto.media.video_light import ToScreen
from impasto.media.videos import FilmReader
from tests.media.test_film_sources import hlg, pq

COLORS = np.array(
    [[16] * 3, [64] * 3, [128] * 3, [180] * 3, [235] * 3, [180, 32, 32], [32, 180, 32], [32, 32, 180], [200, 80, 40], [180, 180, 64]]
)
LUMA = {9: (0.2627, 0.0593), 1: (0.2126, 0.0722)}


def light_of(colors, primaries):
    """Linear light of sRGB colours (N, 3) in other primaries; white is 1."""
    decoded = light.srgb_decoded(colors / 255)
    return np.maximum(decoded @ np.linalg.inv(light.to_srgb_matrix(light.PRIMARIES[primaries])).T, 0)


def as_hlg(linear):
    """The inverse of BT.2100's system for a screen of 1000 nits, on which white has 203."""
    shown = linear * 203 / 1000
    brightness = np.maximum(shown @ light.to_xyz(light.PRIMARIES[9])[1], 1e-9)[:, None]
    return hlg(shown * brightness ** (-0.2 / 1.2))


def stored(path, codes, *, matrix, primaries, transfer, full=False, pix_fmt="yuv444p10le"):
    """A video of two frames with patches of codes (N, 3) in [0, 1]."""
    red, blue = LUMA[matrix]
    luma = codes @ (red, 1 - red - blue, blue)
    chroma = [(codes[:, channel] - luma) / (2 * (1 - weight)) for channel, weight in ((2, blue), (0, red))]
    low, luma_range, chroma_range = (0, 1023, 1023) if full else (64, 876, 896)
    planes = [low + luma_range * luma, *(512 + chroma_range * values for values in chroma)]
    with av.open(str(path), "w") as film:
        stream = film.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32 * len(codes), 32, pix_fmt
        tags = {"colorspace": matrix, "color_primaries": primaries, "color_trc": transfer, "color_range": 2 if full else 1}
        for number in range(2):
            frame = av.VideoFrame(stream.width, 32, pix_fmt)
            for index, plane in enumerate(frame.planes):
                values = np.frombuffer(plane, np.uint16).reshape(plane.height, plane.line_size // 2)
                values[:, : plane.width] = 1023 if index == 3 else np.repeat(planes[index].round().clip(0, 1023), 32).astype(np.uint16)
            for name, value in tags.items():
                setattr(stream.codec_context, name, value)
                setattr(frame, name, value)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    return path


def seen(path):
    return next(iter(FilmReader(path))).bytes[16, 16::32].astype(int)


@pytest.mark.parametrize("full", [False, True], ids=["video range", "full range"])
@pytest.mark.parametrize(("transfer", "coded"), [(16, lambda linear: pq(203 * linear)), (18, as_hlg)], ids=["PQ", "HLG"])
def test_hdr_up_to_white_keeps_its_colours(tmp_path, transfer, coded, full):
    """What an ordinary screen can show stays, white being 203 nits (BT.2408): within what 10 bits hold."""
    source = stored(tmp_path / "in.mkv", coded(light_of(COLORS, 9)), matrix=9, primaries=9, transfer=transfer, full=full)
    assert np.abs(seen(source) - COLORS).max() <= 5
    assert np.abs(seen(source)[:5] - COLORS[:5]).max() <= 2, "greys"
    assert "is HDR" in FilmReader(source).remarks[0]


@pytest.mark.parametrize("transfer", [16, 18, 14, 13, 8, 17])
@pytest.mark.parametrize("primaries", [9, 12, 11, 1])
def test_frames_get_the_colours_that_photos_get(transfer, primaries):
    """`light.py`'s functions in float64, on random values."""
    codes = np.random.default_rng(transfer).integers(0, 65536, (50, 40, 3), dtype=np.uint16)
    linear = light.TRANSFERS[transfer](codes / 65535)
    if transfer == 18:
        linear = light.hlg_shown(linear, light.to_xyz(light.PRIMARIES[primaries])[1])
    linear = light.mixed(linear, light.to_srgb_matrix(light.PRIMARIES[primaries]))
    camera = transfer == 14
    shown = (light.tone_mapped(linear) if transfer in (16, 18) else linear).clip(0, 1)
    expected = (light.bt1886_encoded if camera else light.srgb_encoded)(shown) * 255
    assert np.abs(ToScreen(primaries, transfer)(codes) - expected).max() <= 0.6


def test_bt2020_of_ordinary_range_keeps_its_saturation(tmp_path):
    color = np.array([[200, 80, 40], [128, 128, 128], [255, 255, 255]])
    linear = light.bt1886_decoded(color / 255) @ np.linalg.inv(light.to_srgb_matrix(light.PRIMARIES[9])).T
    source = stored(tmp_path / "in.mkv", light.bt1886_encoded(linear), matrix=9, primaries=9, transfer=14)
    assert np.abs(seen(source) - color).max() <= 2
    assert "wide colours of BT.2020" in FilmReader(source).remarks[0]


def test_display_p3_and_linear_light_become_srgb(tmp_path):
    p3 = stored(tmp_path / "p3.mkv", light.srgb_encoded(light_of(COLORS, 12)), matrix=1, primaries=12, transfer=13)
    assert np.abs(seen(p3) - COLORS).max() <= 2
    assert "Display P3" in FilmReader(p3).remarks[0]
    bright = COLORS[2:5]
    linear = stored(tmp_path / "linear.mkv", light.srgb_decoded(bright / 255), matrix=1, primaries=1, transfer=8)
    assert np.abs(seen(linear) - bright).max() <= 2
    assert "linear light" in FilmReader(linear).remarks[0]


def test_what_is_brighter_than_white_stays_below_it_and_in_order(tmp_path):
    nits = np.array([100, 203, 400, 1000, 4000])
    source = stored(tmp_path / "in.mkv", np.repeat(pq(nits)[:, None], 3, 1), matrix=9, primaries=9, transfer=16)
    greys = seen(source)[:, 1]
    assert (np.diff(greys) >= 0).all()
    assert greys[1] == pytest.approx(246, abs=1)
    assert greys[-1] <= 255


def test_transparency_of_hdr_stays(tmp_path):
    codes = np.repeat(pq(np.array([10, 203]))[:, None], 3, 1)
    source = stored(tmp_path / "in.mkv", codes, matrix=9, primaries=9, transfer=16, pix_fmt="yuva444p10le")
    frame = next(iter(FilmReader(source)))
    assert frame.bytes.shape == (32, 64, 4)
    assert frame.bytes[..., 3].min() == 255
