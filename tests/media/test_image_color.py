import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from impasto.media.image_color import LINEAR, color_of, color_of_profile
from impasto.media.images import read_picture
from impasto.media.opening import opened
from tests import profiles as icc

X = Path("x.png")
RNG = np.random.default_rng(7)
COLORS = np.concatenate([RNG.random((30, 40, 3)), np.linspace(0, 1, 120).repeat(3).reshape(3, 40, 3), RNG.random((7, 40, 3)) * 0.06])
"""Values (40, 40, 3) in [0, 1]: any, greys, dark ones."""
BARS = np.array(
    [[180, 180, 180], [180, 180, 16], [16, 180, 180], [16, 180, 16], [180, 16, 180], [180, 16, 16], [16, 16, 180], [64, 128, 200]]
)

CURVES = {
    "gamma 2.2": (icc.gamma(563 / 256), lambda v: v ** (563 / 256)),
    "linear": (icc.LINEAR, lambda v: v),
    "gamma 1.8": (icc.parametric(0, 1.8), lambda v: v**1.8),
    "sRGB": (icc.SRGB_CURVE, icc.decoded),
    "table": (icc.table(lambda v: v**2.4, 4096), lambda v: v**2.4),
    "BT.709": (
        icc.parametric(4, 1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081, 0, 0),
        lambda v: np.where(v < 0.081, v / 4.5, ((v + 0.099) / 1.099) ** (1 / 0.45)),
    ),
    "lifted": (icc.parametric(1, 2.0, 1.25, -0.25), lambda v: np.where(v < 0.2, 0, (1.25 * v - 0.25).clip(0) ** 2)),
}


def stored(values, kind):
    full = {"uint8": 255, "uint16": 65535}.get(kind)
    return values.astype(np.float32) if full is None else (values * full).round().astype(kind)


def of(values):
    """What values in an array stand for, in [0, 1]."""
    return values / np.iinfo(values.dtype).max if values.dtype.kind == "u" else values.astype(np.float64)


def close(made, expected, within):
    """`made`, of bytes or floats, is what a formula says, to so many of 255."""
    assert made.dtype == (np.uint8 if made.max() > 1 else np.float32)
    assert np.abs(of(made) - expected).max() * 255 <= within + (0.5 if made.dtype == np.uint8 else 0)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("version", [2, 4])
@pytest.mark.parametrize("primaries", [icc.ADOBE, icc.P3, icc.BT2020, icc.SRGB], ids=["Adobe", "P3", "BT.2020", "sRGB"])
@pytest.mark.parametrize("curve", ["gamma 2.2", "linear", "gamma 1.8", "table", "lifted"])
def test_profiles_of_rgb_in_every_depth(curve, primaries, version, kind):
    element, formula = CURVES[curve]
    color = color_of_profile(icc.of_matrix(primaries, element, version=version), 3, X)
    values = stored(COLORS, kind)
    assert color.messages == ()
    close(color.to_srgb(values), icc.shown(of(values), primaries, formula), 0.7 if kind == "uint8" else 0.3)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("version", [2, 4])
@pytest.mark.parametrize("curve", CURVES)
def test_profiles_of_grey_in_every_depth(curve, version, kind):
    element, formula = CURVES[curve]
    color = color_of_profile(icc.of_grey(element, version=version), 1, X)
    values = stored(np.linspace(0, 1, 1024).reshape(32, 32, 1), kind)
    expected = np.repeat(icc.encoded(formula(of(values)).clip(0, 1)), 3, 2)
    close(color.to_srgb(values), expected, 0.1)


def inks(values):
    """A press of the simplest kind."""
    return (1 - values[..., :3]) * (1 - values[..., 3:])


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(("channels", "formula"), [(3, lambda v: v[..., [1, 2, 0]] ** 1.5), (4, inks)], ids=["RGB", "CMYK"])
def test_profiles_of_tables_in_every_depth(channels, formula, kind):
    color = color_of_profile(icc.of_tables(channels, formula, 17), channels, X)
    values = stored(RNG.random((30, 30, channels)), kind)
    close(color.to_srgb(values), formula(of(values)), 3.0)  # tables are interpolated
    assert np.abs(of(color.to_srgb(values)) - formula(of(values))).mean() * 255 < 0.4


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_bytes_are_what_littlecms_makes_of_them(channels):
    profile = {1: icc.of_grey(icc.gamma(2.2)), 3: icc.of_matrix(icc.ADOBE, icc.gamma(2.2)), 4: icc.of_tables(4, inks)}[channels]
    values = RNG.integers(0, 256, (50, 50, channels)).astype(np.uint8)
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[channels]
    image = Image.frombytes(mode, (50, 50), values.tobytes())
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    expected = np.asarray(ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")).astype(int)
    assert np.abs(color_of_profile(profile, channels, X).to_srgb(values) - expected).max() <= 2


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["ICC", "table", "grey", "P3", "PQ", "HLG"]), st.sampled_from(["uint8", "float32"]), st.integers(1, 39))
def test_strips_are_what_the_whole_is(tmp_path_factory, way, kind, cut):
    color = {
        "ICC": lambda: color_of_profile(icc.of_matrix(icc.ADOBE, icc.gamma(2.2)), 3, X),
        "table": lambda: color_of_profile(icc.of_tables(3, lambda v: v**1.5), 3, X),
        "grey": lambda: color_of_profile(icc.of_grey(icc.gamma(1.8)), 1, X),
        "P3": lambda: stated(tmp_path_factory.mktemp("a"), [cicp(12, 13)]),
        "PQ": lambda: stated(tmp_path_factory.mktemp("a"), [cicp(9, 16)]),
        "HLG": lambda: stated(tmp_path_factory.mktemp("a"), [cicp(9, 18)]),
    }[way]()
    values = stored(COLORS[..., :1] if way == "grey" else COLORS, kind)
    whole = color.to_srgb(values)
    assert np.array_equal(np.concatenate([color.to_srgb(values[:cut]), color.to_srgb(values[cut:])]), whole)


@pytest.mark.parametrize(("profile", "channels", "said"), [
    (b"no profile", 3, r"x\.png has a damaged colour profile; its colours are taken for sRGB"),
    (icc.of_matrix(icc.ADOBE, icc.gamma(2.2))[:300], 3, "a damaged colour profile"),
    (icc.of_grey(icc.gamma(2.2)), 3, "a colour profile for GRAY and pixels of RGB; its colours are taken for sRGB"),
    (icc.of_tables(4, inks), 3, "a colour profile for CMYK and pixels of RGB"),
    (icc.of_matrix(icc.ADOBE, icc.gamma(2.2)), 1, "a colour profile for RGB and pixels of GRAY"),
    (icc.of_matrix(icc.ADOBE, icc.gamma(2.2)), 4, "a colour profile for RGB and pixels of CMYK; .* approximate"),
    (None, 4, "CMYK without a colour profile; its colours are approximate"),
])  # fmt: skip
def test_profiles_that_cannot_be_used_are_said(profile, channels, said):
    import re

    color = color_of_profile(profile, channels, X)
    assert len(color.messages) == 1
    assert re.search(said, color.messages[0])
    values = stored(RNG.random((5, 5, channels)), "uint16")
    plain = inks(of(values)) if channels == 4 else np.repeat(of(values), 3 // channels, 2)
    assert np.allclose(color.to_srgb(values), plain, atol=1e-4)


@pytest.mark.parametrize(
    "profile", [None, icc.of_matrix(icc.SRGB, icc.SRGB_CURVE, version=4), icc.of_matrix(icc.SRGB, icc.table(icc.decoded))]
)
def test_srgb_needs_nothing(profile):
    color = color_of_profile(profile, 3, X)
    assert color.is_srgb
    assert color.messages == ()
    values = stored(COLORS, "uint8")
    assert np.array_equal(color.to_srgb(values), values)
    assert color_of_profile(profile, 1, X).messages == ()


def test_a_profile_of_rgb_that_leaves_greys_needs_no_word_on_grey_pixels():
    assert color_of_profile(icc.of_matrix(icc.P3, icc.SRGB_CURVE, version=4), 1, X).messages == ()


def test_floats_of_linear_light_are_exact_up_to_white():
    values = np.concatenate([COLORS, COLORS * 3])
    assert np.allclose(LINEAR.to_srgb(values.astype(np.float32)), icc.encoded(values.clip(0, 1)), atol=1e-6)
    wide = color_of_profile(icc.of_matrix(icc.P3, icc.LINEAR), 3, X)
    assert np.allclose(wide.to_srgb(values.astype(np.float32)), icc.shown(values, icc.P3, lambda v: v), atol=1e-3)


# ---- what files state


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def cicp(primaries, transfer, full=1):
    return chunk(b"cICP", bytes([primaries, transfer, 0, full]))


def iccp(profile):
    return chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))


def gama(value):
    return chunk(b"gAMA", struct.pack(">I", value))


def chrm(primaries, white=(0.3127, 0.3290)):
    return chunk(b"cHRM", b"".join(struct.pack(">II", round(u * 100_000), round(v * 100_000)) for u, v in (white, *primaries)))


SRGB_CHUNK = chunk(b"sRGB", b"\0")


def png_with(path, chunks, values=None, mode=None):
    """A PNG of 16 bits, or of what `values` are, with chunks between its header and its pixels."""
    buffer = io.BytesIO()
    if values is None or values.dtype == np.uint8:
        Image.fromarray(np.zeros((4, 4, 3), np.uint8) if values is None else values, mode).save(buffer, "PNG")
        made = buffer.getvalue()
    else:
        import cv2

        made = cv2.imencode(".png", values[..., ::-1] if values.ndim == 3 else values)[1].tobytes()
    path.write_bytes(made[:33] + b"".join(chunks) + made[33:])
    return path


def stated(folder, chunks):
    path = png_with(folder / "a.png", chunks)
    with opened(path) as image:
        return color_of(image, path)


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
@pytest.mark.parametrize(("chunks", "primaries", "curve"), [
    ([gama(100_000)], icc.SRGB, lambda v: v),
    ([gama(55_556)], icc.SRGB, lambda v: v**1.8),
    ([gama(45_455)], icc.SRGB, icc.decoded),
    ([gama(45_455), chrm(icc.SRGB)], icc.SRGB, icc.decoded),
    ([gama(45_455), chrm(icc.P3)], icc.P3, icc.decoded),
    ([chrm(icc.ADOBE)], icc.ADOBE, icc.decoded),
    ([gama(100_000), chrm(icc.BT2020)], icc.BT2020, lambda v: v),
    ([SRGB_CHUNK, gama(100_000)], icc.SRGB, icc.decoded),
    ([iccp(icc.of_matrix(icc.ADOBE, icc.gamma(563 / 256))), gama(100_000)], icc.ADOBE, lambda v: v ** (563 / 256)),
    ([iccp(icc.of_matrix(icc.ADOBE, icc.gamma(563 / 256))), SRGB_CHUNK], icc.ADOBE, lambda v: v ** (563 / 256)),
    ([iccp(icc.of_matrix(icc.ADOBE, icc.gamma(2.2))), cicp(12, 13)], icc.P3, icc.decoded),
    ([gama(100_000), cicp(12, 13)], icc.P3, icc.decoded),
    ([cicp(9, 8)], icc.BT2020, lambda v: v),
    ([cicp(1, 4)], icc.SRGB, lambda v: v**2.2),
    ([cicp(1, 13)], icc.SRGB, icc.decoded),
    ([cicp(1, 1)], icc.SRGB, icc.decoded),
], ids=[str(number) for number in range(16)])  # fmt: skip
def test_png_says_it_by_its_chunks(tmp_path, chunks, primaries, curve, kind):
    values = stored(COLORS, kind)
    picture = read_picture(png_with(tmp_path / "a.png", chunks, values))
    assert picture.messages == ()
    made = picture.pixels.permute(1, 2, 0).numpy()
    assert np.abs(made - icc.shown(of(values), primaries, curve)).max() * 255 <= (1.2 if kind == "uint8" else 0.3)


@pytest.mark.parametrize("transfer", [1, 6, 14, 15])
def test_values_of_cameras_are_shown_as_they_are_with_the_primaries_of_a_screen(tmp_path, transfer):
    to_2020 = np.linalg.inv(icc.xyz_of(icc.BT2020)) @ icc.xyz_of(icc.SRGB)
    values = ((BARS / 255) ** 2.4 @ to_2020.T) ** (1 / 2.4)  # the light of a screen, BT.1886
    path = png_with(tmp_path / "a.png", [cicp(9, transfer)], stored(values[None], "uint16"))
    assert np.abs(read_picture(path).pixels.permute(1, 2, 0).numpy()[0] * 255 - BARS).max() < 0.5
    greys = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2)
    path = png_with(tmp_path / "greys.png", [cicp(9, transfer)], greys)
    assert np.array_equal((read_picture(path).pixels.permute(1, 2, 0).numpy() * 255).round(), greys)
    path = png_with(tmp_path / "b.png", [cicp(1, transfer)], stored(BARS[None] / 255, "uint8"))
    assert np.array_equal((read_picture(path).pixels.permute(1, 2, 0).numpy()[0] * 255).round(), BARS)


def test_png_of_grey_is_converted_too(tmp_path):
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    made = read_picture(png_with(tmp_path / "a.png", [gama(100_000)], values)).pixels.permute(1, 2, 0).numpy()
    assert np.abs(made - icc.encoded(values / 255)[..., None]).max() * 255 <= 0.51


def test_png_of_video_range_is_stretched(tmp_path):
    values = (16 + COLORS * 219).round().astype(np.uint8)
    made = read_picture(png_with(tmp_path / "a.png", [cicp(1, 13, full=0)], values)).pixels.permute(1, 2, 0).numpy()
    assert np.abs(made - (values - 16.0) / 219).max() * 255 <= 0.6


def pq_of(bars):
    light = icc.decoded(bars / 255) @ (np.linalg.inv(icc.xyz_of(icc.BT2020)) @ icc.xyz_of(icc.SRGB)).T
    power = (light.clip(0) * 203 / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg_of(bars):
    to_2020 = np.linalg.inv(icc.xyz_of(icc.BT2020)) @ icc.xyz_of(icc.SRGB)
    light = (icc.decoded(bars / 255) @ to_2020.T).clip(0) * 203 / 1000
    luminance = light @ icc.xyz_of(icc.BT2020)[1]
    scene = light * (luminance ** (1 / 1.2 - 1))[..., None]
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(12 * np.maximum(scene, 1 / 12) - 0.28466892) + 0.55991073)


@pytest.mark.parametrize(("transfer", "name", "code"), [(16, "PQ", pq_of), (18, "HLG", hlg_of)])
def test_hdr_comes_back_at_reference_white_and_is_said(tmp_path, transfer, name, code):
    values = (code(BARS[None]) * 65535).round().astype(np.uint16)
    picture = read_picture(png_with(tmp_path / "a.png", [cicp(9, transfer)], values))
    assert picture.messages == (f"{tmp_path / 'a.png'} is HDR ({name}) and is brought to the range of ordinary screens",)
    assert np.abs(picture.pixels.permute(1, 2, 0).numpy()[0] * 255 - BARS).max() < 1


def test_brighter_hdr_stays_brighter(tmp_path):
    nits = np.array([100, 203, 400, 1000, 4000])
    power = (nits / 10_000) ** (2610 / 16384)
    codes = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    values = np.repeat((codes * 65535).round().astype(np.uint16)[None, :, None], 3, 2)
    greys = read_picture(png_with(tmp_path / "a.png", [cicp(9, 16)], values)).pixels[0, 0].numpy() * 255
    assert (np.diff(greys) > 0.2).all()
    assert greys[1] > 245
    assert greys.max() <= 255


def test_profiles_that_hold_numbers_of_hdr_are_hdr():
    cicp_tag = b"cicp" + bytes(4) + bytes([9, 16, 0, 1])
    columns = icc.adapted(icc.xyz_of(icc.BT2020)).T
    tags = {name: icc.xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)}
    profile = icc.profile(tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), icc.gamma(2.4)) | {b"cicp": cicp_tag}, version=4)
    color = color_of_profile(profile, 3, X)
    assert "HDR (PQ)" in color.messages[0]
    assert np.abs(color.to_srgb(pq_of(BARS[None]).astype(np.float32))[0] * 255 - BARS).max() < 1


def test_numbers_that_are_not_known_are_said(tmp_path):
    color = stated(tmp_path, [cicp(77, 99)])
    assert [message.split(" by ")[0] for message in color.messages] == [
        f"{tmp_path / 'a.png'} states its primaries", f"{tmp_path / 'a.png'} states its transfer function",
    ]  # fmt: skip
    assert color.is_srgb
    assert "primaries that span no colours" in stated(tmp_path, [chrm(((0.3, 0.3),) * 3)]).messages[0]
    assert stated(tmp_path, [cicp(2, 2)]).messages == ()


def wide_bars(code):
    """The bars (32, 256, 3) in other primaries and another curve."""
    return np.repeat(np.repeat(code(BARS)[None], 32, 0), 32, 1)


def p3_of(bars):
    return icc.encoded((icc.decoded(bars / 255) @ (np.linalg.inv(icc.xyz_of(icc.P3)) @ icc.xyz_of(icc.SRGB)).T).clip(0, 1))


def pq_decoded(values):
    root = values ** (32 / 2523)
    return ((root - 3424 / 4096).clip(0) / (2413 / 128 - 2392 / 128 * root)) ** (16384 / 2610) * 10_000 / 203


NUMBERS = {13: (12, p3_of, icc.P3, icc.decoded), 16: (9, pq_of, icc.BT2020, pq_decoded)}
"""Transfer functions, with primaries, how bars are coded, and what a formula makes of codes."""


def check_bars(picture, decoded, transfer):
    """An image is what a formula makes of what was decoded, and so about the bars."""
    _, _, primaries, curve = NUMBERS[transfer]
    made = picture.pixels.permute(1, 2, 0).numpy()
    assert np.abs(made - icc.shown(decoded, primaries, curve)).max() * 255 < (0.8 if picture.bits == 8 else 0.2)
    assert np.abs(made[16, 16::32] * 255 - BARS).mean() < 5
    assert ("HDR (PQ)" in " ".join(picture.messages)) == (transfer == 16)


@pytest.mark.parametrize("transfer", NUMBERS)
def test_avif_says_it_by_numbers(tmp_path, transfer):
    primaries, code, *_ = NUMBERS[transfer]
    path = tmp_path / "a.avif"
    Image.fromarray(stored(wide_bars(code), "uint8")).save(path, quality=100, subsampling="4:4:4")
    made = path.read_bytes()
    at = made.index(b"colrnclx") + 8
    path.write_bytes(made[:at] + struct.pack(">HH", primaries, transfer) + made[at + 4 :])
    with Image.open(path) as image:
        check_bars(read_picture(path), np.asarray(image) / 255, transfer)


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("transfer", NUMBERS)
def test_heif_says_it_by_numbers_in_every_depth(tmp_path, transfer, bits):
    pillow_heif = pytest.importorskip("pillow_heif")
    primaries, code, *_ = NUMBERS[transfer]
    numbers = {"color_primaries": primaries, "transfer_characteristics": transfer, "matrix_coefficients": 6, "full_range_flag": 1}
    wide, path, before = wide_bars(code), tmp_path / "a.heic", pillow_heif.options.SAVE_HDR_TO_12_BIT
    pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
    try:
        mode, data = ("RGB", stored(wide, "uint8")) if bits == 8 else ("RGB;16", stored(wide, "uint16"))
        pillow_heif.from_bytes(mode, (256, 32), data.tobytes()).save(path, quality=100, chroma=444, save_nclx_profile=True, **numbers)
    finally:
        pillow_heif.options.SAVE_HDR_TO_12_BIT = before
    decoded = np.asarray(pillow_heif.open_heif(path, convert_hdr_to_8bit=False)[0])
    picture = read_picture(path)
    assert picture.bits == (8 if bits == 8 else 16)
    check_bars(picture, decoded / (255 if bits == 8 else (2**bits - 1) << (16 - bits)), transfer)


RULES = [(2, None, True), (0xFFFF, "R03", True), (0xFFFF, "R98", False), (1, "R98", False)]
"""EXIF's colour space and rule of interoperability, and whether they mean Adobe RGB."""


@pytest.mark.parametrize(("suffix", "space", "rule", "wide"), [
    *[(suffix, *told) for suffix in ("jpg", "webp") for told in RULES],
    ("tif", 2, None, True), ("tif", 1, None, False), ("tif", 0xFFFF, None, False),
])  # fmt: skip
def test_adobe_rgb_is_said_by_exif_alone(tmp_path, suffix, space, rule, wide):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = space
    if rule:
        exif.get_ifd(0x8769)[0xA005] = {1: rule}
    image = Image.fromarray(stored(COLORS.repeat(8, 0).repeat(8, 1), "uint8"))
    options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}.get(suffix, {})
    image.save(tmp_path / f"a.{suffix}", exif=exif.tobytes(), **options)
    with Image.open(tmp_path / f"a.{suffix}") as file:
        values = np.asarray(file.convert("RGB")) / 255
    made = read_picture(tmp_path / f"a.{suffix}").pixels.permute(1, 2, 0).numpy()
    expected = icc.shown(values, icc.ADOBE, lambda v: v ** (563 / 256)) if wide else values
    assert np.abs(made - expected).mean() * 255 < 0.5
    assert np.abs(made - expected).max() * 255 < 6  # decoders of JPEG round differently


def test_tiff_says_it_by_its_tags(tmp_path):
    values = stored(COLORS, "uint8")
    white, points = (0.3127, 0.3290), np.array(icc.P3).ravel()

    def rational(numbers):
        return tuple(part for number in numbers for part in (round(number * 10_000), 10_000))

    linear = tuple((np.arange(256) * 257).tolist())
    tags = [(301, "H", 256, linear, True), (318, "2I", 2, rational(white), True), (319, "2I", 6, rational(points), True)]
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", metadata=None, extratags=tags)
    made = read_picture(tmp_path / "a.tif").pixels.permute(1, 2, 0).numpy()
    assert np.abs(made - icc.shown(of(values), icc.P3, lambda v: v)).max() * 255 < 0.6


@pytest.mark.parametrize("tag", [
    (319, "2I", 6, (0, 0) * 6, True), (319, "2I", 6, (5, 0) * 6, True), (318, "2I", 2, (0, 1, 0, 1), True),
    (319, "B", 6, bytes(6), True),
])  # fmt: skip
def test_tags_without_sense_cost_no_image(tmp_path, tag):
    values = stored(COLORS, "uint8")
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", metadata=None, extratags=[tag])
    assert np.array_equal((read_picture(tmp_path / "a.tif").pixels.permute(1, 2, 0).numpy() * 255).round(), values)


@pytest.mark.parametrize(
    "curve", [icc.parametric(0, -3.0), icc.parametric(1, 2.0, 0.0, 0.0), icc.parametric(3, 30000, 2, -3, 9, 0.5), icc.gamma(0)]
)
def test_curves_without_sense_give_an_image(curve):
    color = color_of_profile(icc.of_matrix(icc.ADOBE, curve, version=4), 3, X)
    for kind in ("uint8", "uint16"):
        made = of(color.to_srgb(stored(COLORS, kind)))
        assert np.isfinite(made).all()
        assert made.min() >= 0
        assert made.max() <= 1


def test_jpeg_2000_says_it_by_its_profile(tmp_path):
    values = stored(COLORS.repeat(2, 0).repeat(2, 1), "uint8")
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "JPEG2000", irreversible=False)
    made, profile = buffer.getvalue(), icc.of_matrix(icc.ADOBE, icc.gamma(563 / 256))
    header, colr = made.index(b"jp2h") - 4, made.index(b"colr") - 4
    size = struct.unpack(">I", made[colr : colr + 4])[0]
    box = struct.pack(">I", 11 + len(profile)) + b"colr" + bytes([2, 0, 0]) + profile
    length = struct.unpack(">I", made[header : header + 4])[0] + len(box) - size
    (tmp_path / "a.jp2").write_bytes(made[:header] + struct.pack(">I", length) + made[header + 4 : colr] + box + made[colr + size :])
    shown = read_picture(tmp_path / "a.jp2").pixels.permute(1, 2, 0).numpy()
    assert np.abs(shown - icc.shown(of(values), icc.ADOBE, lambda v: v ** (563 / 256))).max() * 255 < 1.2


def test_bitmaps_say_it_by_their_profile(tmp_path):
    values = stored(COLORS, "uint8")
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "BMP")
    pixels, profile = buffer.getvalue()[54:], icc.of_matrix(icc.ADOBE, icc.gamma(563 / 256))
    header = struct.pack("<IiiHHIIiiII", 124, 40, 40, 1, 24, 0, len(pixels), 2835, 2835, 0, 0) + bytes(16) + b"DEBM" + bytes(48)
    header += struct.pack("<IIII", 4, 124 + len(pixels), len(profile), 0)
    file = b"BM" + struct.pack("<IHHI", 138 + len(pixels) + len(profile), 0, 0, 138) + header + pixels + profile
    (tmp_path / "a.bmp").write_bytes(file)
    shown = read_picture(tmp_path / "a.bmp").pixels.permute(1, 2, 0).numpy()
    assert np.abs(shown - icc.shown(of(values), icc.ADOBE, lambda v: v ** (563 / 256))).max() * 255 < 1.2


def test_no_torch_is_needed():
    code = "import sys; import impasto.media.image_color; print('torch' in sys.modules, 'pyvips' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == ["False", "False"]
