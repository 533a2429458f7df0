"""One file, one answer: every way of reading gives the pixels that a formula says, for every layout, depth and orientation."""

import asyncio
import struct
import zlib

import numpy as np
import pytest
import pyvips
import tifffile
import torch
from PIL import Image

from impasto.errors import PictureError
from impasto.job.styles import find_style
from impasto.media.images import picture_of, read_picture
from impasto.media.large_files import read_header, read_large
from impasto.media.stills import read_still
from impasto.studio.shelf import Shelf
from tests import profiles as icc

HEIGHT, WIDTH = 37, 53
ORIENTATIONS = range(1, 9)
LIMIT = 1_000_000

y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
SMOOTH = np.stack([x / (WIDTH - 1), y / (HEIGHT - 1), (x + 2 * y) / (WIDTH + 2 * HEIGHT)], -1)
"""Colours in [0, 1] that no turn or mirror leaves as they are."""
NOISE = np.random.default_rng(0).random((HEIGHT, WIDTH, 3))
ALPHA = (0.2 + 0.8 * x / WIDTH) * (y > 3)
"""Transparent above, and nowhere so dark below that eight bits hold no colours."""


def turned(values, orientation):
    """What EXIF says of how rows and columns stand, by NumPy's own turns."""
    return {
        1: lambda v: v, 2: np.fliplr, 3: lambda v: np.rot90(v, 2), 4: np.flipud, 5: lambda v: v.swapaxes(0, 1),
        6: lambda v: np.rot90(v, -1), 7: lambda v: np.rot90(v, 2).swapaxes(0, 1), 8: np.rot90,
    }[orientation](values)  # fmt: skip


def to8(values):
    return np.round(values * 255).astype(np.uint8)


def to16(values):
    return np.round(values * 65535).astype(np.uint16)


def srgb(light):
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055)


def grey(values):
    return np.repeat(values[..., :1], 3, -1)


def ways(path, folder):
    """What each way of reading makes of a file: colours (H, W, 3) and alpha (H, W), and how far it may be from the first."""
    whole = read_picture(path, max_pixels=LIMIT)
    yield "whole", whole, 0.0
    yield "bytes", picture_of(path.read_bytes(), path.name), 0.0
    still = read_still(path, max_pixels=LIMIT)
    assert (still is None) == (whole.bits == 16)
    if still is not None:
        assert torch.equal(torch.from_numpy(np.array(still.pixels)).permute(2, 0, 1) / 255, whole.pixels)
        assert (still.alpha is None) == (whole.alpha is None)
    header = read_header(path, max_pixels=LIMIT)
    assert header.size == whole.size
    assert header.bits == whole.bits
    large = read_large(path, folder, header.size, max_pixels=LIMIT)
    alpha = None if large.alpha is None else large.alpha.whole(header.size)[0]
    yield "tiles", type(whole)(large.pixels.whole(header.size)[0], alpha), 1e-6
    yield "style", type(whole)(find_style(path, cropped=False).picture[0], whole.alpha), 1e-6


def check(path, colors, alpha=None, *, orientation=1, error=0.51 / 255, bits=None, opaque=None):
    """Every way of reading gives these colours and this alpha; where nothing can be seen colours do not count."""
    expected = turned(colors, orientation)
    first = None
    for name, picture, apart in ways(path, path.parent / f"{path.name}.tiles"):
        found = picture.pixels.permute(1, 2, 0).numpy()
        assert found.shape == expected.shape, name
        assert (picture.alpha is None) == (alpha is None), name
        seen = np.ones(expected.shape[:2], bool)
        if alpha is not None:
            there = turned(alpha, orientation)
            seen = there > 0
            np.testing.assert_allclose(picture.alpha[0].numpy(), there, atol=error if opaque is None else opaque, err_msg=name)
        np.testing.assert_allclose(found[seen], expected[seen], atol=error, err_msg=name)
        if first is None:
            first = found
            if bits is not None:
                assert picture.bits == bits
        same = seen if name == "style" else np.ones_like(seen)  # what hides in a style is made of what can be seen
        np.testing.assert_allclose(found[same], first[same], atol=apart, err_msg=name)


# Formats, turned


def with_exif(suffix, **options):
    def write(path, orientation):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(to8(SMOOTH)).save(path.with_suffix(f".{suffix}"), exif=exif.tobytes(), **options)
        return path.with_suffix(f".{suffix}")

    return write


def png16(path, orientation):
    """Sixteen bits of colour, EXIF before the pixels."""
    return png_file(path.with_suffix(".png"), to16(SMOOTH), orientation=orientation)


def png_late(path, orientation):
    """EXIF behind the pixels."""
    return png_file(path.with_suffix(".png"), to8(SMOOTH), orientation=orientation, late=True)


def tiff_file(values, **options):
    def write(path, orientation):
        tags = [(274, "H", 1, orientation, True)]
        tifffile.imwrite(path.with_suffix(".tif"), values, metadata=None, extratags=tags, **{"photometric": "rgb"} | options)
        return path.with_suffix(".tif")

    return write


TURNED = {
    "jpeg": (with_exif("jpg", quality=100, subsampling=0), 5 / 255),
    "progressive": (with_exif("jpg", quality=100, subsampling=0, progressive=True), 5 / 255),
    "png": (with_exif("png"), 0.51 / 255),
    "png16": (png16, 0.51 / 65535),
    "png-late": (png_late, 0.51 / 255),
    "webp": (with_exif("webp", lossless=True), 0.51 / 255),
    "avif": (with_exif("avif", quality=100, subsampling="4:4:4"), 4 / 255),
    "heic": (with_exif("heic", quality=100, chroma=444), 4 / 255),
    "tiff8": (tiff_file(to8(SMOOTH)), 0.51 / 255),
    "tiff16": (tiff_file(to16(SMOOTH)), 0.51 / 65535),
    "tiff-planar": (tiff_file(np.moveaxis(to16(SMOOTH), -1, 0), planarconfig="separate"), 0.51 / 65535),
    "tiff-tiles": (tiff_file(to8(SMOOTH), tile=(16, 32), compression="deflate"), 0.51 / 255),
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", TURNED)
def test_every_format_is_turned_upright(tmp_path, kind, orientation):
    if kind == "heic":
        pytest.importorskip("pillow_heif", reason="HEIF is an extra").register_heif_opener()
    write, error = TURNED[kind]
    check(write(tmp_path / "a", orientation), SMOOTH, orientation=orientation, error=error)


@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32])
def test_grey_tiff_is_turned_upright_and_its_zero_is_what_it_says(tmp_path, kind, photometric, orientation):
    full = np.iinfo(kind).max
    values = np.round(NOISE[..., 0] * full).astype(kind)
    stored = values if photometric == "minisblack" else full - values
    path = tiff_file(stored, photometric=photometric)(tmp_path / "a", orientation)
    check(path, grey(NOISE), orientation=orientation, error=0.51 / min(full, 65535))


# Layouts


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_file(path, values, *, orientation=1, late=False, chunks=b"", bits=None, palette=None):
    """A PNG made of its chunks. values: (H, W) or (H, W, C) of uint8 or uint16, or numbers below 2**bits."""
    channels = 1 if values.ndim == 2 else values.shape[2]
    color = 3 if palette is not None else {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    depth = bits or values.dtype.itemsize * 8
    if depth < 8:
        parts = (values[..., None] >> np.arange(depth - 1, -1, -1)) & 1
        rows = [np.packbits(row.astype(np.uint8)).tobytes() for row in parts.reshape(len(values), -1)]
    else:
        rows = [row.astype(f">u{depth // 8}").tobytes() for row in values]
    exif = chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + struct.pack(">HHI", orientation, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", values.shape[1], len(values), depth, color, 0, 0, 0))
    data += b"" if late else exif
    data += b"" if palette is None else chunk(b"PLTE", palette.tobytes())
    data += chunks + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))) + (exif if late else b"") + chunk(b"IEND", b"")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_grey_png_of_every_depth(tmp_path, bits):
    values = np.round(NOISE[..., 0] * ((1 << bits) - 1)).astype(np.uint16)
    path = png_file(tmp_path / "a.png", values, bits=bits, orientation=6)
    check(path, grey((values / ((1 << bits) - 1))[..., None]), orientation=6, error=1e-6, bits=16 if bits == 16 else 8)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [2, 4])
def test_png_with_alpha(tmp_path, depth, channels):
    scaled = to8 if depth == 8 else to16
    values = scaled(np.dstack([NOISE[..., : channels - 1], ALPHA]))
    colors = NOISE if channels == 4 else grey(NOISE)
    check(png_file(tmp_path / "a.png", values, orientation=8), colors, ALPHA, orientation=8, error=0.51 / (255 if depth == 8 else 65535))


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_colour_of_a_png_that_stands_for_nothing(tmp_path, depth, channels):
    values = (to8 if depth == 8 else to16)(NOISE[..., :channels])
    values[5:9, 5:20] = values[5, 5]
    named = chunk(b"tRNS", struct.pack(f">{channels}H", *values[5, 5]))
    alpha = 1.0 - (values == values[5, 5]).all(-1)
    stored = values[..., 0] if channels == 1 else values
    colors = values / np.iinfo(values.dtype).max
    check(png_file(tmp_path / "a.png", stored, chunks=named, orientation=5), np.broadcast_to(colors, (HEIGHT, WIDTH, 3)), alpha,
          orientation=5, error=1e-6)  # fmt: skip


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes_of_png(tmp_path, bits, transparent):
    palette = np.random.default_rng(1).integers(0, 256, (1 << bits, 3), dtype=np.uint8)
    values = np.random.default_rng(2).integers(0, 1 << bits, (HEIGHT, WIDTH))
    opacity = np.full(1 << bits, 255, np.uint8)
    opacity[:2] = 0, 100
    chunks = chunk(b"tRNS", opacity[:2].tobytes()) if transparent else b""
    path = png_file(tmp_path / "a.png", values, bits=bits, palette=palette, chunks=chunks, orientation=7)
    alpha = (opacity[values] / 255) if transparent else None
    # tRNS comes after PLTE: the chunks are put there.
    check(path, palette[values] / 255, alpha, orientation=7, error=1e-6)


@pytest.mark.parametrize("chunks", [b"", chunk(b"sBIT", b"\x0a\x0a\x0a"), chunk(b"sBIT", b"\x0c\x0c\x0c")])
def test_png_of_sixteen_bits_is_as_bright_as_it_says_whatever_its_largest_value(tmp_path, chunks):
    """PNG scales samples to all of 8 or 16 bits; sBIT says how many of them counted, and changes no value."""
    for gain in (1, 0.06, 0.015):
        check(png_file(tmp_path / "a.png", to16(NOISE * gain), chunks=chunks), NOISE * gain, error=0.51 / 65535, bits=16)


def test_interlaced_png(tmp_path):
    image = pyvips.Image.new_from_array(to16(NOISE)).copy(interpretation="rgb16")
    image.pngsave(str(tmp_path / "a.png"), interlace=True, bitdepth=16)
    check(tmp_path / "a.png", NOISE, error=0.51 / 65535)


PRE = NOISE * ALPHA[..., None]
RGBA = np.dstack([NOISE, ALPHA])
TIFFS = {
    "strips": (to16(NOISE), {"rowsperstrip": 5}),
    "big-endian": (to16(NOISE), {"byteorder": ">"}),
    "bigtiff": (to16(NOISE), {"bigtiff": True, "byteorder": ">"}),
    "tiles": (to16(NOISE), {"tile": (16, 16)}),
    "deflate": (to16(NOISE), {"compression": "deflate", "rowsperstrip": 9}),
    "predictor": (to16(NOISE), {"compression": "deflate", "predictor": True}),
    "lzma": (to16(NOISE), {"compression": "lzma", "rowsperstrip": 9}),
    "lzma-tiles": (to16(NOISE), {"compression": "lzma", "tile": (16, 32)}),
    "lzma-predictor": (to16(NOISE), {"compression": "lzma", "predictor": True, "tile": (16, 32)}),
    "lzma-big-endian": (to16(NOISE), {"compression": "lzma", "predictor": True, "byteorder": ">", "bigtiff": True}),
    "planar": (np.moveaxis(to16(NOISE), -1, 0), {"planarconfig": "separate"}),
    "planar-8": (np.moveaxis(to8(NOISE), -1, 0), {"planarconfig": "separate", "rowsperstrip": 8}),
    "planar-tiles": (np.moveaxis(to16(NOISE), -1, 0), {"planarconfig": "separate", "tile": (16, 32)}),
    "planar-tiles-deflate": (
        np.moveaxis(to16(NOISE), -1, 0),
        {"planarconfig": "separate", "tile": (16, 32), "compression": "deflate", "predictor": True, "byteorder": ">"},
    ),
    "planar-tiles-8": (np.moveaxis(to8(NOISE), -1, 0), {"planarconfig": "separate", "tile": (16, 32)}),
    "32 bits": (np.round(NOISE * (2**32 - 1)).astype(np.uint32), {}),
    "signed": (np.round(NOISE * 32767).astype(np.int16), {}),
    "more channels": (np.dstack([to16(NOISE), to16(NOISE[..., :2])]), {"extrasamples": ["unspecified", "unspecified"]}),
}  # fmt: skip


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("layout", TIFFS)
def test_tiff_of_every_layout(tmp_path, layout, orientation):
    values, options = TIFFS[layout]
    path = tiff_file(values, **options)(tmp_path / "a", orientation)
    check(path, NOISE, orientation=orientation, error=0.51 / {1: 255, 2: 32767}.get(values.dtype.itemsize, 65535))


ALPHAS = {
    "straight-8": (to8(RGBA), "unassalpha"), "straight-16": (to16(RGBA), "unassalpha"),
    "associated-8": (to8(np.dstack([PRE, ALPHA])), "assocalpha"), "associated-16": (to16(np.dstack([PRE, ALPHA])), "assocalpha"),
}  # fmt: skip


@pytest.mark.parametrize("orientation", [1, 5])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("kind", ALPHAS)
def test_alpha_of_tiff_becomes_straight(tmp_path, kind, planar, orientation):
    values, stated = ALPHAS[kind]
    options = {"planarconfig": "separate"} if planar else {}
    path = tiff_file(np.moveaxis(values, -1, 0) if planar else values, extrasamples=[stated], **options)(tmp_path / "a", orientation)
    rounding = 0.51 / np.iinfo(values.dtype).max
    check(path, NOISE, ALPHA, orientation=orientation, error=rounding * (12 if stated == "assocalpha" else 1), opaque=rounding)


@pytest.mark.parametrize("stated", ["unassalpha", "assocalpha"])
def test_grey_with_alpha(tmp_path, stated):
    values = to16(np.dstack([(PRE if stated == "assocalpha" else NOISE)[..., 0], ALPHA]))
    path = tiff_file(values, photometric="minisblack", extrasamples=[stated], planarconfig="contig")(tmp_path / "a", 3)
    check(path, grey(NOISE), ALPHA, orientation=3, error=4 / 65535)


def test_a_channel_that_is_said_to_be_something_else_is_no_alpha(tmp_path):
    """ExtraSamples 0: a mask of Photoshop, which takes nothing away from the picture."""
    check(tiff_file(to8(RGBA), extrasamples=["unspecified"])(tmp_path / "a", 1), NOISE)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("layout", ["rgb", "grey", "zero is white", "planar", "tiles", "lzma"])
def test_floats_are_linear_light(tmp_path, kind, layout):
    light = np.round(NOISE * 2048) / 2048
    options = {"planarconfig": "separate"} if layout == "planar" else {"tile": (16, 32)} if layout == "tiles" else {}
    if layout == "lzma":
        options = {"compression": "lzma", "byteorder": ">"}
    values, colors = light.astype(kind), light
    if layout in ("grey", "zero is white"):
        values, colors = values[..., 0] if layout == "grey" else 1 - values[..., 0], grey(light)
        options = {"photometric": "minisblack" if layout == "grey" else "miniswhite"}
    elif layout == "planar":
        values = np.moveaxis(values, -1, 0)
    path = tiff_file(values, **options)(tmp_path / "a", 8)
    check(path, srgb(colors), orientation=8, error=2e-3 if kind == np.float16 else 1e-4, bits=16)


def test_the_floating_point_predictor(tmp_path):
    light = NOISE.astype(np.float32)
    image = pyvips.Image.new_from_array(light).copy(interpretation="scrgb")
    for compression in ("lzw", "deflate"):
        for tile in (False, True):
            image.tiffsave(str(tmp_path / "a.tif"), compression=compression, predictor="float", tile=tile, tile_width=16, tile_height=16)
            check(tmp_path / "a.tif", srgb(NOISE), error=1e-4)


def test_the_floating_point_predictor_of_what_libvips_does_not_undo(tmp_path):
    """Differences of bytes, the high ones of a row first (Adobe's TIFF note 3), under LZMA."""
    light = NOISE.astype(np.float32)
    high_first = light.astype(">f4").view(np.uint8).reshape(HEIGHT, WIDTH * 3, 4).transpose(0, 2, 1).reshape(HEIGHT, -1, 3)
    stored = np.diff(high_first, axis=1, prepend=np.uint8(0)).reshape(HEIGHT, -1)
    path = tiff_file(light, compression="lzma", rowsperstrip=HEIGHT)(tmp_path / "a", 1)
    import lzma

    data = bytearray(path.read_bytes())
    packed, at = lzma.compress(stored.tobytes()), len(data) + len(data) % 2
    data += bytes(at - len(data)) + packed
    (first,) = struct.unpack("<I", data[4:8])
    (count,) = struct.unpack("<H", data[first : first + 2])
    entries = [bytearray(data[first + 2 + 12 * k : first + 14 + 12 * k]) for k in range(count)]
    for entry in entries:
        tag = struct.unpack("<H", entry[:2])[0]
        if tag in (273, 279):
            entry[2:] = struct.pack("<HII", 4, 1, at if tag == 273 else len(packed))
    entries.append(bytearray(struct.pack("<HHIHH", 317, 3, 1, 3, 0)))
    entries.sort(key=lambda entry: struct.unpack("<H", entry[:2])[0])
    place = len(data) + len(data) % 2
    data += bytes(place - len(data)) + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    data[4:8] = struct.pack("<I", place)
    path.write_bytes(data)
    check(path, srgb(NOISE), error=1e-4)


def packed_tiff(path, values, bits, *, photometric=2):
    """A TIFF of samples that are no whole bytes, each row beginning with a byte."""
    height, width, count = values.shape
    parts = (values.reshape(height, -1)[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    data = np.packbits(parts.astype(np.uint8).reshape(height, -1), axis=1).tobytes()
    place = 8 + 2 + 12 * 11 + 4
    tags = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, count, place if count > 2 else bits), (259, 3, 1, 1), (262, 3, 1, photometric),
        (273, 4, 1, place + 8), (274, 3, 1, 6), (277, 3, 1, count), (278, 3, 1, height), (279, 4, 1, len(data)), (284, 3, 1, 1),
    ]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    path.write_bytes(b"II*\0\x08\0\0\0" + directory + struct.pack("<4H", *[bits] * 4) + data)
    return path


@pytest.mark.parametrize("photometric", [0, 1, 2])
@pytest.mark.parametrize("bits", [2, 4, 6, 10, 12, 14])
def test_tiff_states_its_depth(tmp_path, bits, photometric):
    full = (1 << bits) - 1
    values = np.round(NOISE[..., : 3 if photometric == 2 else 1] * full).astype(np.int64)
    if bits == 6 and photometric != 2:
        pytest.skip("no program writes it")
    path = packed_tiff(tmp_path / "a.tif", full - values if photometric == 0 else values, bits, photometric=photometric)
    error = 2e-5 if bits != 6 else 4e-3
    check(path, np.broadcast_to(values / full, (HEIGHT, WIDTH, 3)), orientation=6, error=error, bits=16 if bits > 8 else 8)


@pytest.mark.parametrize("depth", [8, 16])
def test_ink(tmp_path, depth):
    ink = np.dstack([SMOOTH, 0.5 * SMOOTH[..., :1]])
    path = tiff_file((to8 if depth == 8 else to16)(ink), photometric="separated")(tmp_path / "a", 6)
    check(path, (1 - ink[..., :3]) * (1 - ink[..., 3:]), orientation=6, error=1.5 / 255)
    Image.fromarray(to8(ink), mode="CMYK").save(tmp_path / "a.jpg", quality=100)
    check(tmp_path / "a.jpg", (1 - ink[..., :3]) * (1 - ink[..., 3:]), error=4 / 255)


@pytest.mark.parametrize("compression", ["lzw", "packbits", "deflate", "none", "webp", "ccittfax4", "jpeg"])
def test_compressions_that_libtiff_knows(tmp_path, compression):
    bilevel, lossy = compression == "ccittfax4", compression == "jpeg"
    colors = SMOOTH if not bilevel else grey((NOISE[..., :1] > 0.5).astype(float))
    image = pyvips.Image.new_from_array(to8(colors[..., 0] if bilevel else colors))
    options = {"bitdepth": 1} if bilevel else {"lossless": True} if compression == "webp" else {"Q": 100} if lossy else {}
    image.tiffsave(str(tmp_path / "a.tif"), compression=compression, **options)
    check(tmp_path / "a.tif", colors, error=5 / 255 if lossy else 0.51 / 255)


@pytest.mark.parametrize("kind", ["colour", "16 bits", "floats"])
def test_zstandard(tmp_path, kind):
    """Pillow's libtiff knows it, that of libvips does not."""
    stored = {"colour": to8(NOISE), "16 bits": to16(NOISE[..., 0]), "floats": NOISE[..., 0].astype(np.float32)}[kind]
    try:
        Image.fromarray(stored).save(tmp_path / "a.tif", compression="zstd")
    except OSError:
        pytest.skip("Pillow's libtiff knows no Zstandard here")
    check(tmp_path / "a.tif", {"colour": NOISE, "16 bits": grey(NOISE), "floats": srgb(grey(NOISE))}[kind], error=0.51 / 255)


@pytest.mark.parametrize("bits", [8, 16])
def test_palettes_of_tiff(tmp_path, bits):
    colors = np.random.default_rng(1).integers(0, 65536, (3, 256), dtype=np.uint16)
    values = np.random.default_rng(2).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    options = {"compression": "lzma"} if bits == 16 else {}
    path = tiff_file(values, photometric="palette", colormap=colors, **options)(tmp_path / "a", 6)
    check(path, (colors.T[values] >> 8) / 255, orientation=6, error=1e-6)


def test_lab(tmp_path):
    from PIL import ImageCms

    lab = ImageCms.profileToProfile(
        Image.fromarray(to8(0.25 + SMOOTH / 2)), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    lab.save(tmp_path / "a.tif")
    check(tmp_path / "a.tif", 0.25 + SMOOTH / 2, error=8 / 255)


@pytest.mark.parametrize("maxval", [1, 100, 255, 1000, 1023, 4095, 65535])
@pytest.mark.parametrize("magic", ["P2", "P3", "P5", "P6"])
def test_pnm_states_what_white_is(tmp_path, magic, maxval):
    values = np.round(NOISE[..., : 3 if magic in ("P3", "P6") else 1] * maxval).astype(int)
    plain = " ".join(map(str, values.flatten())).encode()
    data = plain if magic in ("P2", "P3") else values.astype(">u2" if maxval > 255 else "u1").tobytes()
    path = tmp_path / "a.ppm"
    path.write_bytes(f"{magic} {WIDTH} {HEIGHT}\n{maxval}\n".encode() + data)
    error = 1e-5 if maxval > 255 else 0.51 / 255
    check(path, np.broadcast_to(values / maxval, (HEIGHT, WIDTH, 3)), error=error, bits=16 if maxval > 255 else 8)


def jpeg2000(path, values, bits):
    """Lossless JPEG 2000 of a depth below 16: the level is moved, and what the header says of the depth is set."""
    moved = (values + 32768 - (1 << (bits - 1))).astype(np.uint16)
    if values.shape[2] == 1:
        Image.fromarray(moved[..., 0]).save(path, irreversible=False)
    else:
        cv2 = pytest.importorskip("cv2")
        order = [2, 1, 0] if values.shape[2] == 3 else [2, 1, 0, 3]
        assert cv2.imwrite(str(path), np.ascontiguousarray(moved[..., order]), [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])
    data = bytearray(path.read_bytes())
    data[data.index(b"ihdr") + 14] = bits - 1
    at = data.index(b"\xff\x4f\xff\x51")
    for number in range(values.shape[2]):
        assert data[at + 42 + 3 * number] == 15
        data[at + 42 + 3 * number] = bits - 1
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_jpeg_2000_states_its_depth(tmp_path, bits, channels):
    full = (1 << bits) - 1
    values = np.round(NOISE[..., :channels] * full).astype(np.int64)
    path = jpeg2000(tmp_path / "a.jp2", values, bits)
    check(path, np.broadcast_to(values / full, (HEIGHT, WIDTH, 3)), error=1e-6, bits=16)


def test_jpeg_2000_with_alpha_of_sixteen_bits(tmp_path):
    check(jpeg2000(tmp_path / "a.jp2", to16(RGBA).astype(np.int64), 16), NOISE, ALPHA, error=1e-5, bits=16)


@pytest.mark.parametrize("bits", [10, 12])
def test_heif_states_its_depth(tmp_path, bits, monkeypatch):
    heif = pytest.importorskip("pillow_heif", reason="HEIF is an extra")
    monkeypatch.setattr(heif.options, "SAVE_HDR_TO_12_BIT", bits == 12)
    image = heif.from_bytes(mode="RGB;16", size=(WIDTH, HEIGHT), data=to16(SMOOTH).tobytes())
    image.save(tmp_path / "a.heic", quality=100, chroma=444)
    check(tmp_path / "a.heic", SMOOTH, error=8 / 1023, bits=16)
    assert read_picture(tmp_path / "a.heic").pixels.max() > 1020 / 1023


def test_avif_of_ten_bits(tmp_path):
    """libvips writes it, Pillow reads eight bits of it: there have to be more shades than these."""
    ramp = np.repeat(np.linspace(0, 1, 512)[None, :, None], 64, 0).repeat(3, 2)
    image = pyvips.Image.new_from_array(to16(ramp)).copy(interpretation="rgb16")
    try:
        image.heifsave(str(tmp_path / "a.avif"), compression="av1", bitdepth=10, Q=100, subsample_mode="off")
    except pyvips.Error:
        pytest.skip("libvips writes no AVIF here")
    check(tmp_path / "a.avif", ramp, error=6 / 1023, bits=16)
    assert len(read_picture(tmp_path / "a.avif").pixels[0].unique()) > 400


WRITTEN = {
    "bmp": ("RGB", "L", "P", "1"), "gif": ("P", "L"), "tga": ("RGB", "RGBA", "L", "P"), "jp2": ("RGB", "RGBA", "L", "LA"),
    "webp": ("RGBA",), "png": ("1", "LA", "P"), "jpg": ("L",), "avif": ("L", "RGBA"),
    "tif": ("1", "P", "LA", "PA", "YCbCr"), "pbm": ("1",), "ico": ("RGBA",),
    "sgi": ("RGB",), "dds": ("RGBA",), "pcx": ("RGB",),
}  # fmt: skip


@pytest.mark.parametrize(("suffix", "mode"), [(suffix, mode) for suffix, modes in WRITTEN.items() for mode in modes])
def test_what_pillow_writes(tmp_path, suffix, mode):
    """Formats of eight bits, as Pillow itself shows them."""
    image = Image.fromarray(to8(np.dstack([SMOOTH, ALPHA]) if mode.endswith("A") else SMOOTH))
    if mode == "PA":
        image = image.convert("RGB").quantize(64).convert("PA")
    elif mode in ("LA", "P"):
        image = image.convert("L").convert("LA") if mode == "LA" else image.quantize(64)
    image = image.convert(mode)
    options = (
        {"sizes": [(WIDTH, HEIGHT)]}
        if suffix == "ico"
        else {"lossless": True}
        if suffix == "webp"
        else {"quality": 100}
        if suffix in ("jpg", "avif")
        else {}
    )
    image.save(tmp_path / f"a.{suffix}", **options)
    shown = image.convert("RGBA")
    alpha = np.asarray(shown.getchannel("A")) / 255 if mode.endswith("A") else None
    lossy = suffix in ("jpg", "avif") or mode == "YCbCr"
    check(tmp_path / f"a.{suffix}", np.asarray(shown.convert("RGB")) / 255, alpha, error=5 / 255 if lossy else 1e-6, bits=8)


# What goes with it


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("layout", ["rgb", "planar", "tiles", "lzma", "grey"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_profiles_are_honoured_in_every_way(tmp_path, kind, layout, orientation):
    """Wide primaries, and linear light: what 8 bits, 16 bits and floats say."""
    values = SMOOTH.astype(kind) if kind is np.float32 else (to8 if kind is np.uint8 else to16)(SMOOTH)
    options = {"planar": {"planarconfig": "separate"}, "tiles": {"tile": (16, 32)}, "lzma": {"compression": "lzma"}}.get(layout, {})
    profile, expected = icc.of_matrix(icc.ADOBE, icc.gamma(2.2)), icc.shown(SMOOTH, icc.ADOBE, lambda v: v ** (563 / 256))
    if layout == "grey":
        values, options = values[..., 0], {"photometric": "minisblack"}
        profile, expected = icc.of_grey(icc.LINEAR), srgb(grey(SMOOTH))
    stored = np.moveaxis(values, -1, 0) if layout == "planar" else values
    path = tiff_file(stored, iccprofile=profile, **options)(tmp_path / "a", orientation)
    # Half a step of 8 bits of linear light in the dark is up to 7 steps of sRGB; so it is at the edge of what sRGB holds.
    error = {np.uint8: 7, np.uint16: 0.5, np.float32: 0.5}[kind] / 255
    check(path, expected, orientation=orientation, error=error)


@pytest.mark.parametrize("profile", [True, False])
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_profiles_of_photos_of_eight_bits(tmp_path, suffix, profile):
    options = {"lossless": True} if suffix == "webp" else {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    given = {"icc_profile": icc.of_matrix(icc.ADOBE, icc.gamma(2.2))} if profile else {}
    colors = 0.4 + 0.2 * SMOOTH  # of wide primaries, and within sRGB
    Image.fromarray(to8(colors)).save(tmp_path / f"a.{suffix}", **options, **given)
    expected = icc.shown(colors, icc.ADOBE, lambda v: v ** (563 / 256)) if profile else colors
    check(tmp_path / f"a.{suffix}", expected, error=7 / 255 if suffix == "jpg" else 3 / 255)


@pytest.mark.parametrize("name", ["a[page=1].jpg", "b[1].png", "ü 測.tif", "c;d&e.webp"])
def test_names_are_names(tmp_path, name):
    """libvips takes what stands in brackets for options, where it is asked by a name."""
    options = {"lossless": True} if name.endswith("webp") else {"quality": 100, "subsampling": 0} if name.endswith("jpg") else {}
    Image.fromarray(to8(SMOOTH)).save(tmp_path / name, **options)
    check(tmp_path / name, SMOOTH, error=5 / 255)


def test_the_studio_keeps_what_is_read(tmp_path):
    shelf = Shelf(tmp_path / "shelf", most=5, max_megapixels=1)
    for name, path in (("16", png16(tmp_path / "a", 6)), ("planar", TURNED["tiff-planar"][0](tmp_path / "b", 6))):

        async def parts(path=path):
            yield path.read_bytes()

        kept = asyncio.run(shelf.take(f"{name}{path.suffix}", parts()))
        assert (kept.height, kept.width) == (WIDTH, HEIGHT)
        view = np.asarray(Image.open(shelf.view(kept.id))) / 255
        np.testing.assert_allclose(view, turned(SMOOTH, 6), atol=0.6 / 255)


@pytest.mark.parametrize("size", [(20, 31), (9, 13), (36, 53), (60, 90)])
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("scaled", [to8, to16])
def test_an_image_is_brought_to_a_size_by_tiles_as_it_is_whole(tmp_path, monkeypatch, scaled, orientation, size):
    from impasto.media import decoding, stills
    from impasto.media.images import resize

    monkeypatch.setattr(decoding, "_STRIP", 1)
    monkeypatch.setattr(stills, "_ROWS", 4)
    path = tiff_file(scaled(NOISE))(tmp_path / "a", orientation)
    size = size if orientation == 1 else size[::-1]
    whole = read_picture(path)
    by_tiles = read_large(path, tmp_path / "tiles", size, max_pixels=LIMIT).pixels.whole(size)[0]
    error = 1.01 / 255 if scaled is to8 else 2e-5
    torch.testing.assert_close(by_tiles, resize(whole.pixels, size, bits=whole.bits), atol=error, rtol=0)


def test_deep_images_are_resized_without_rounding():
    from impasto.media.images import resize

    ramp = torch.linspace(0.2, 0.2 + 40 / 255, 4096).expand(3, 8, -1).contiguous()
    assert len(resize(ramp, (4, 2048))[0].unique()) < 50
    assert len(resize(ramp, (4, 2048), bits=16)[0].unique()) > 2000


DAMAGED = {
    "strips": (tiff_file(to16(NOISE), rowsperstrip=5), "tif"), "tiles": (tiff_file(to16(NOISE), tile=(16, 16)), "tif"),
    "deflate": (tiff_file(to16(NOISE), compression="deflate"), "tif"),
    "deflate tiles": (tiff_file(to8(NOISE), compression="deflate", tile=(16, 16)), "tif"),
    "planar": (tiff_file(np.moveaxis(to16(NOISE), -1, 0), planarconfig="separate"), "tif"),
    "planar tiles": (tiff_file(np.moveaxis(to16(NOISE), -1, 0), planarconfig="separate", tile=(16, 16)), "tif"),
    "lzma": (tiff_file(to16(NOISE), compression="lzma"), "tif"), "floats": (tiff_file(NOISE), "tif"),
    "png16": (png16, "png"), "jpeg": (TURNED["jpeg"][0], "jpg"), "webp": (TURNED["webp"][0], "webp"),
    "jp2": (lambda path, turn: jpeg2000(path.with_suffix(".jp2"), to16(NOISE).astype(np.int64), 16), "jp2"),
    "ppm": (lambda path, turn: pnm16(path), "ppm"),
}  # fmt: skip


def pnm16(path):
    path.with_suffix(".ppm").write_bytes(f"P6 {WIDTH} {HEIGHT}\n65535\n".encode() + to16(NOISE).astype(">u2").tobytes())
    return path.with_suffix(".ppm")


@pytest.mark.parametrize("kind", DAMAGED)
def test_what_is_cut_off_is_refused_in_every_way(tmp_path, kind):
    path = DAMAGED[kind][0](tmp_path / "a", 1)
    if kind == "webp":
        Image.fromarray(to8(NOISE)).save(path, lossless=True)
    whole = path.read_bytes()
    for kept in (0.9, 0.6):
        path.write_bytes(whole[: int(len(whole) * kept)])
        for read in (
            lambda: read_picture(path),
            lambda: picture_of(path.read_bytes(), path.name),
            lambda: read_large(path, tmp_path / "tiles", (HEIGHT, WIDTH), max_pixels=LIMIT),
            lambda: find_style(path),
        ):
            with pytest.raises(PictureError, match=r"a\.\w+ is (damaged|not a picture)"):
                read()


def test_a_palette_of_greys_is_read(tmp_path):
    """libvips gives one channel for it."""
    values = np.arange(48 * 64, dtype=np.uint8).reshape(48, 64)
    greys = (255 - np.arange(256)) * 257
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="palette", colormap=np.stack([greys] * 3).astype(np.uint16))
    picture = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pixels.mul(255).round().byte().permute(1, 2, 0).numpy(), np.repeat(255 - values[..., None], 3, 2))
