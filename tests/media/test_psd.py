import struct

import numpy as np
import pytest

from impasto.errors import PictureError
from impasto.media.images import picture_of, read_picture
from tests import profiles as icc

RNG = np.random.default_rng(3)
HEIGHT, WIDTH = 30, 41
COLORS = np.where(np.arange(WIDTH)[None, :, None] < 20, 0.4, RNG.random((HEIGHT, WIDTH, 4)))
"""Values (30, 41, 4) in [0, 1], with runs."""


def packed(row):
    """A row in PackBits: its runs, and what lies between."""
    out, at = b"", 0
    while at < len(row):
        run = 1
        while at + run < len(row) and run < 128 and row[at + run] == row[at]:
            run += 1
        out += bytes([257 - run if run > 1 else 0]) + row[at : at + 1]
        at += run
    return out


def photoshop(planes, mode, bits, *, rle=False, large=False, layers=0, resources=b"", table=b"", blocks=b""):
    """A Photoshop file of planes (C, rows, bytes of a row). layers: how many, negative if the first extra channel is transparency."""
    wide, count = ("Q" if large else "I"), len(planes)
    out = b"8BPS" + struct.pack(">H6xHIIHH", 2 if large else 1, count, HEIGHT, WIDTH, bits, mode)
    out += struct.pack(">I", len(table)) + table + struct.pack(">I", len(resources)) + resources
    info = struct.pack(">h", layers) if layers else b""
    for _ in range(abs(layers)):  # layers without pixels
        info += struct.pack(">IIIIH", 0, 0, 0, 0, 0) + b"8BIMnorm" + bytes([255, 0, 0, 0]) + struct.pack(">I", 12) + bytes(8) + b"\x01L\0\0"
    info += bytes(len(info) % 2)
    section = struct.pack(f">{wide}", len(info)) + info + struct.pack(">I", 0) + blocks
    out += struct.pack(f">{wide}", len(section)) + section
    if not rle:
        return out + struct.pack(">H", 0) + planes.tobytes()
    rows = [packed(row.tobytes()) for plane in planes for row in plane]
    return out + struct.pack(">H", 1) + b"".join(struct.pack(">I" if large else ">H", len(row)) for row in rows) + b"".join(rows)


def planes_of(values, bits):
    kind = {8: np.uint8, 16: ">u2", 32: ">f4"}[bits]
    stored = values if bits == 32 else (values * (2**bits - 1)).round()
    return np.ascontiguousarray(np.moveaxis(stored, -1, 0).astype(kind)).view(np.uint8).reshape(values.shape[2], HEIGHT, -1)


def resource(number, data):
    return b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + bytes(len(data) % 2)


def read(tmp_path, data, suffix="psd"):
    (tmp_path / f"a.{suffix}").write_bytes(data)
    picture = read_picture(tmp_path / f"a.{suffix}")
    assert np.array_equal(picture_of(data, "a").pixels, picture.pixels)
    return picture, picture.pixels.permute(1, 2, 0).numpy()


@pytest.mark.parametrize("layers", [0, 2])
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("rle", [False, True])
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_the_merged_image_is_read_in_every_depth(tmp_path, bits, rle, large, layers):
    values = COLORS[..., :3]
    picture, made = read(tmp_path, photoshop(planes_of(values, bits), 3, bits, rle=rle, large=large, layers=layers))
    expected = icc.encoded(values) if bits == 32 else values  # floats are linear
    assert np.abs(made - expected).max() * 255 < (0.6 if bits == 8 else 0.1)
    assert picture.bits == (8 if bits == 8 else 16)
    assert picture.alpha is None
    assert picture.messages == ()


def test_other_kinds(tmp_path):
    grey = COLORS[..., :1]
    assert np.abs(read(tmp_path, photoshop(planes_of(grey, 16), 1, 16))[1] - grey).max() < 1e-4
    assert np.abs(read(tmp_path, photoshop(planes_of(grey, 8), 8, 8, table=b"a duotone's inks"))[1] - grey).max() < 0.003  # duotone
    picture, made = read(tmp_path, photoshop(planes_of(COLORS, 8), 4, 8, rle=True))  # stored as 255 is no ink
    stored = (COLORS * 255).round() / 255
    assert np.abs(made - stored[..., :3] * stored[..., 3:]).max() < 0.003
    assert "CMYK without a colour profile" in picture.messages[0]
    table = RNG.integers(0, 256, (3, 256)).astype(np.uint8)
    index = RNG.integers(0, 256, (1, HEIGHT, WIDTH)).astype(np.uint8)
    assert np.abs(read(tmp_path, photoshop(index, 2, 8, table=table.tobytes()))[1] * 255 - table.T[index[0]]).max() < 0.01
    bits = RNG.integers(0, 2, (HEIGHT, WIDTH)).astype(np.uint8)
    assert np.array_equal(read(tmp_path, photoshop(np.packbits(bits, axis=1)[None], 0, 1))[1][..., 0], 1 - bits)


@pytest.mark.parametrize("bits", [8, 16])
def test_lab_is_converted(tmp_path, bits):
    colors = COLORS[..., :3]
    light = icc.decoded(colors) @ icc.adapted(icc.xyz_of(icc.SRGB)).T / icc.D50
    roots = np.where(light > (6 / 29) ** 3, np.cbrt(light), light * (29 / 6) ** 2 / 3 + 4 / 29)
    lab = np.stack([116 * roots[..., 1] - 16, 500 * (roots[..., 0] - roots[..., 1]), 200 * (roots[..., 1] - roots[..., 2])], -1)
    stored = np.stack([lab[..., 0] / 100, (lab[..., 1] + 128) / 255, (lab[..., 2] + 128) / 255], -1)
    if bits == 16:
        stored[..., 1:] = (lab[..., 1:] + 128) * 256 / 65535
    made = read(tmp_path, photoshop(planes_of(stored, bits), 9, bits))[1]
    assert np.abs(made - colors).max() * 255 < (12 if bits == 8 else 0.3)
    assert np.abs(made - colors).mean() * 255 < (1 if bits == 8 else 0.05)


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_transparency_is_kept_and_the_white_below_it_taken_away(tmp_path, bits):
    colors, alpha = COLORS[..., :3], 0.3 + 0.7 * COLORS[..., 3:]
    on_white = colors * alpha + (1 - alpha)
    planes = planes_of(np.dstack([on_white, alpha]), bits)
    block = b"8BIM" + (b"Mt16" if bits == 16 else b"Mt32") + struct.pack(">I", 0)
    picture, made = read(tmp_path, photoshop(planes, 3, bits, layers=-1 if bits == 8 else 0, blocks=b"" if bits == 8 else block))
    assert np.abs(picture.alpha[0].numpy() - alpha[..., 0]).max() < 0.003
    expected = icc.encoded(colors) if bits == 32 else colors
    assert np.abs(made - expected).max() * 255 < (3 if bits == 8 else 0.2)


def test_a_selection_is_no_transparency(tmp_path):
    picture, made = read(tmp_path, photoshop(planes_of(COLORS, 8), 3, 8, layers=1))
    assert picture.alpha is None
    assert np.abs(made - COLORS[..., :3]).max() < 0.003


def test_the_profile_is_used(tmp_path):
    profile = icc.of_matrix(icc.ADOBE, icc.gamma(563 / 256))
    made = read(tmp_path, photoshop(planes_of(COLORS[..., :3], 16), 3, 16, resources=resource(1005, bytes(15)) + resource(1039, profile)))[
        1
    ]
    assert np.abs(made - icc.shown(COLORS[..., :3], icc.ADOBE, lambda v: v ** (563 / 256))).max() * 255 < 0.2


@pytest.mark.parametrize("there", [0, 1])
def test_layers_without_a_merged_image_are_refused(tmp_path, there):
    version = resource(1057, struct.pack(">IB", 1, there) + bytes(12))
    data = photoshop(planes_of(COLORS[..., :3], 8), 3, 8, layers=2, resources=version)
    if there:
        read(tmp_path, data)
        return
    with pytest.raises(PictureError, match="holds layers and no merged image; save it again with the option 'Maximize compatibility'"):
        read(tmp_path, data)


@pytest.mark.parametrize("rle", [False, True])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_what_is_cut_off_is_refused(tmp_path, rle, kept):
    data = photoshop(planes_of(COLORS[..., :3], 8), 3, 8, rle=rle)
    with pytest.raises(PictureError, match=r"damaged|not a picture"):
        read(tmp_path, data[: int(len(data) * kept)])
