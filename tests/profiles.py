"""ICC profiles made from formulas, in float64: curves and a matrix, or tables, of versions 2 and 4."""

import struct

import numpy as np

D65, D50 = np.array([0.3127, 0.3290]), np.array([0.9642, 1.0, 0.8249])
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
BT2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def xyz_of(primaries, white=D65):
    """Linear RGB to XYZ, its white at Y = 1."""
    points = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    target = np.array([white[0] / white[1], 1, (1 - white[0] - white[1]) / white[1]])
    return points * np.linalg.solve(points, target)


def adapted(matrix, white=D50):
    """The same with another white."""
    before, after = BRADFORD @ matrix.sum(1), BRADFORD @ white
    return np.linalg.inv(BRADFORD) @ np.diag(after / before) @ BRADFORD @ matrix


def encoded(light):
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055)


def decoded(coded):
    return np.where(coded <= 0.04045, coded / 12.92, ((np.maximum(coded, 0) + 0.055) / 1.055) ** 2.4)


def shown(values, primaries, curve):
    """What values of such primaries and such a curve are in sRGB, clipped."""
    to_srgb = np.linalg.inv(xyz_of(SRGB)) @ xyz_of(primaries)
    return encoded((curve(values) @ to_srgb.T).clip(0, 1))


def gamma(exponent):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(exponent * 256))


LINEAR = b"curv" + bytes(4) + struct.pack(">I", 0)


def table(curve, count=1024):
    entries = (curve(np.linspace(0, 1, count)) * 65535).round().astype(">u2")
    return b"curv" + bytes(4) + struct.pack(">I", count) + entries.tobytes()


def parametric(kind, *numbers):
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)


SRGB_CURVE = parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def profile(tags, *, space=b"RGB ", pcs=b"XYZ ", kind=b"mntr", version=2, intent=0):
    """A profile of these tags, and the ones that every profile has."""
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 2) + b"t\0" + bytes(79),
        b"wtpt": xyz(D50),
        b"cprt": b"text" + bytes(4) + b"none\0",
    } | tags
    head = (
        struct.pack(">I", 0) + b"test" + bytes([version, 0x10 if version == 2 else 0x40, 0, 0]) + kind + space + pcs + bytes(12) + b"acsp"
    )
    head += bytes(24) + struct.pack(">I", intent) + struct.pack(">iii", *(round(v * 65536) for v in D50)) + bytes(48)
    at, entries, data = 132 + 12 * len(tags), b"", b""
    for name, body in tags.items():
        entries += struct.pack(">4sII", name, at + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    whole = head[:128] + struct.pack(">I", len(tags)) + entries + data
    return struct.pack(">I", len(whole)) + whole[4:]


def xyz(values):
    return b"XYZ " + bytes(4) + struct.pack(">iii", *(round(float(value) * 65536) for value in values))


def of_matrix(primaries, curve, *, version=2):
    """A profile of RGB: the same curve for every channel, and a matrix."""
    columns = adapted(xyz_of(primaries)).T
    colorants = {name: xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)}
    return profile(colorants | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve), version=version)


def of_grey(curve, *, version=2):
    return profile({b"kTRC": curve}, space=b"GRAY", version=version)


def of_tables(channels, to_srgb, steps=6):
    """A profile of tables to CIELAB. to_srgb: what values (n, channels) in [0, 1] look like."""
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, steps)] * channels, indexing="ij"), -1).reshape(-1, channels)
    light = decoded(to_srgb(grid)) @ adapted(xyz_of(SRGB)).T / D50
    roots = np.where(light > (6 / 29) ** 3, np.cbrt(light), light * (29 / 6) ** 2 / 3 + 4 / 29)
    lab = np.stack([116 * roots[:, 1] - 16, 500 * (roots[:, 0] - roots[:, 1]), 200 * (roots[:, 1] - roots[:, 2])], -1)
    stored = np.stack([lab[:, 0] / 100 * 0xFF00, (lab[:, 1] + 128) * 256, (lab[:, 2] + 128) * 256], -1).round().clip(0, 65535)
    straight = struct.pack(">HH", 0, 65535)
    element = b"mft2" + bytes(4) + bytes([channels, 3, steps, 0]) + struct.pack(">9i", *(65536, 0, 0, 0, 65536, 0, 0, 0, 65536))
    element += struct.pack(">HH", 2, 2) + straight * channels + stored.astype(">u2").tobytes() + straight * 3
    space = {3: b"RGB ", 4: b"CMYK"}[channels]
    return profile({b"A2B0": element}, space=space, pcs=b"Lab ", kind=b"prtr" if channels == 4 else b"scnr")
