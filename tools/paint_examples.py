"""Paint the three example styles that come with the package: dusk, rose window, woodcut.

    python tools/paint_examples.py [FOLDER]

They are drawn from numbers alone (a fixed seed, noise, and a palette each), so that the demo and the tests need no
picture of anybody else. By default they go to src/impasto/assets/paintings with their records.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage
from scipy.spatial import cKDTree

from impasto.storage.registry import ASSETS, Record, write_record

SIZE = 768
FINE = 2 * SIZE
"""Everything is drawn at twice the size and shrunk."""


def noise(shape: tuple[int, int], cell: float, rng: np.random.Generator, octaves: int = 3) -> np.ndarray:
    """Smooth noise around 0 with about unit deviation; the largest blobs are `cell` pixels wide."""
    total = np.zeros(shape)
    for octave in range(octaves):
        size = max(2.0, cell / 2**octave)
        grid = rng.standard_normal((int(shape[0] / size) + 4, int(shape[1] / size) + 4))
        large = ndimage.zoom(grid, size, order=3)[int(size) : int(size) + shape[0], int(size) : int(size) + shape[1]]
        total += large / 1.8**octave
    return (total - total.mean()) / total.std()


def blend(position: np.ndarray, palette: list[str]) -> np.ndarray:
    """Colours along a palette of hexadecimal codes; position in [0, 1], any shape -> the shape with 3 channels in 0..1."""
    codes = np.array([[int(code[i : i + 2], 16) for i in (0, 2, 4)] for code in palette]) / 255
    place = np.clip(position, 0, 1) * (len(codes) - 1)
    return np.stack([np.interp(place, np.arange(len(codes)), codes[:, channel]) for channel in range(3)], -1)


def to_image(pixels: np.ndarray) -> Image.Image:
    """An array (H, W, 3) in 0..1 as a picture of the final size."""
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8)).resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def dusk(rng: np.random.Generator) -> Image.Image:
    """Thick oil strokes along a whirling field: a low sun over water and hills, relief lit from the upper left."""
    y, x = np.mgrid[0:FINE, 0:FINE] / FINE
    field = noise((FINE, FINE), FINE / 2.2, rng, 3)
    ridge = 0.60 + 0.05 * np.sin(5 * x + 1) + 0.03 * noise((1, FINE), FINE / 6, rng, 3)
    sun = np.hypot(x - 0.66, y - 0.42)
    sky = blend(
        0.95 - y * 1.25 + 0.10 * field - 0.75 * np.exp(-sun / 0.16), ["fbd267", "f2933a", "d2493b", "8a2f5e", "3f3c88", "1d4f91", "143261"]
    )
    land = blend((y - ridge) * 2.2 + 0.12 * field, ["2b1d45", "21506b", "1f7f7a", "58a06a", "c2b155", "2e4a52"])
    scene = np.where((y > ridge)[..., None], land, sky)
    scene[sun < 0.075] = blend(np.clip(sun[sun < 0.075] / 0.075, 0, 1), ["fffbe0", "ffe9a0", "fbd267"])

    # Strokes follow the level lines of a potential: whirls around the sun and some centres of the noise.
    potential = 1.3 * field + 3.0 * np.exp(-((sun / 0.22) ** 2)) + 2.0 * y
    down, across = np.gradient(ndimage.gaussian_filter(potential, 12))
    angle = np.arctan2(across, -down) + np.where(y > ridge, 0.12 * np.sin(9 * x), 0)

    canvas = Image.fromarray((np.clip(scene * 0.55, 0, 1) * 255).astype(np.uint8))
    height = Image.new("L", (FINE, FINE), 60)
    paint, relief = ImageDraw.Draw(canvas), ImageDraw.Draw(height)
    for width, count, steps in ((46, 1500, 9), (28, 4200, 9), (16, 9000, 8), (9, 5000, 7)):
        starts = rng.uniform(-2 * width, FINE + 2 * width, (count, 2))
        detail = ndimage.gaussian_gradient_magnitude(scene.mean(-1), width / 3)
        for start in starts:
            row, column = np.clip(start.astype(int), 0, FINE - 1)
            if width < 16 and detail[row, column] < np.median(detail) * 1.3:
                continue
            color = scene[row, column] * rng.normal(1, 0.10) + rng.normal(0, 0.025, 3)
            track = []
            py, px = start
            for _ in range(steps):
                track.append((px, py))
                a = angle[int(np.clip(py, 0, FINE - 1)), int(np.clip(px, 0, FINE - 1))]
                px, py = px + np.cos(a) * width * 0.55, py + np.sin(a) * width * 0.55
            a0 = np.arctan2(track[-1][1] - track[0][1], track[-1][0] - track[0][0])
            bristles = max(4, width // 4)
            for bristle in range(bristles):
                offset = (bristle / (bristles - 1) - 0.5) * width
                shift = (-np.sin(a0) * offset, np.cos(a0) * offset)
                cut = rng.integers(0, 3), len(track) - rng.integers(0, 3)
                line = [(p + shift[0], q + shift[1]) for p, q in track[cut[0] : cut[1]]]
                tone = np.clip(color * rng.normal(1, 0.07), 0, 1)
                thick = int(width / bristles * 1.7) + 1
                paint.line(line, fill=tuple(int(c * 255) for c in tone), width=thick, joint="curve")
                relief.line(line, fill=int(np.clip(rng.normal(128, 45), 0, 255)), width=thick, joint="curve")
    pixels = np.asarray(canvas) / 255
    bumps = ndimage.gaussian_filter(np.asarray(height).astype(float) / 255, 1.6)
    light = ndimage.sobel(bumps, 0) + ndimage.sobel(bumps, 1)
    return to_image(pixels * (1 - 0.16 * np.clip(light, -2.2, 2.2)[..., None]) + 0.02)


def rose_window(rng: np.random.Generator) -> Image.Image:
    """Stained glass: petals of jewel colours around a centre, uneven glass lit from behind, dark lead between."""
    points, hues = [], []
    centre = np.array([0.47, 0.53]) * FINE
    for ring in range(15):
        radius = FINE * (0.035 + 0.058 * ring**1.06)
        number = 6 + 5 * ring
        for k in range(number):
            turn = 2 * np.pi * (k + 0.5 * (ring % 2)) / number + 0.035 * ring
            wobble = rng.normal(0, FINE * 0.0065 * (1 + ring * 0.14), 2)
            points.append(centre + radius * np.array([np.cos(turn), np.sin(turn)]) + wobble)
            petal = 0.5 + 0.5 * np.cos(6 * turn - 0.62 * ring)
            hues.append(0.62 * petal + 0.38 * (ring % 5) / 4 + rng.normal(0, 0.09))
    y, x = np.mgrid[0:FINE, 0:FINE]
    warp = 9.0
    places = np.stack([x + warp * noise((FINE, FINE), 130, rng, 2), y + warp * noise((FINE, FINE), 130, rng, 2)], -1)
    distance, nearest = cKDTree(np.array(points)).query(places.reshape(-1, 2), k=2, workers=-1)
    distance, nearest = distance.reshape(FINE, FINE, 2), nearest.reshape(FINE, FINE, 2)[..., 0]
    palette = ["0b1f6b", "1546b8", "1f8fd6", "19a8a0", "1c8b4a", "a6c13a", "f5c83c", "ef8a22", "d9341f", "a3123a", "6a1a78"]
    color = blend(np.array(hues)[nearest], palette)
    piece = rng.normal(0, 0.11, len(points))[nearest]
    streaks = 0.08 * noise((FINE, FINE), 46, rng, 3) + 0.05 * noise((FINE, FINE), 12, rng, 2)
    edge = distance[..., 1] - distance[..., 0]
    glow = np.clip(edge / 60, 0, 1) ** 0.6
    halo = np.exp(-((np.hypot(x - centre[0], y - centre[1]) / (0.55 * FINE)) ** 2))
    glass = color * (0.50 + 0.42 * glow + 0.28 * halo + streaks + piece)[..., None] + 0.16 * (glow**3 * halo)[..., None]
    bubbles = ndimage.gaussian_filter((rng.random((FINE, FINE)) > 0.9996).astype(float), 1.8) * 6
    glass = glass + bubbles[..., None] * 0.25
    thickness = 8.5 + 2.0 * noise((FINE, FINE), 90, rng, 2)
    lead = np.clip((thickness - edge) / 3 + 0.5, 0, 1)
    bead = np.clip(1 - edge / thickness, 0, 1)
    metal = np.array([0.07, 0.065, 0.075]) + 0.16 * (bead**4)[..., None]
    return to_image(glass * (1 - lead[..., None]) + metal * lead[..., None])


def woodcut(rng: np.random.Generator) -> Image.Image:
    """Carved lines that swell with the shade: a red sun over hills and sea, three inks on warm paper."""
    y, x = np.mgrid[0:FINE, 0:FINE] / FINE
    paper = (
        np.array([0.945, 0.895, 0.79]) * (1 + 0.018 * noise((FINE, FINE), 9, rng, 2) + 0.02 * noise((FINE, FINE), 300, rng, 2))[..., None]
    )
    ink = np.array([0.085, 0.105, 0.175])
    layers = [(0.47, 0.11, 2.3, 0.4), (0.58, 0.09, 3.1, 2.2), (0.70, 0.06, 2.2, 4.0)]
    horizon = 0.80
    tone = 0.10 + 0.42 * np.clip(0.55 - y, 0, 1) ** 0.8
    phase = 46 * (y + 0.025 * np.sin(7 * x + 3 * y) + 0.012 * noise((FINE, FINE), 420, rng, 2))
    block = np.zeros((FINE, FINE), int)
    contour = np.zeros((FINE, FINE), bool)
    for number, (base, rise, turns, start) in enumerate(layers, 1):
        profile = base - rise * (np.sin(turns * np.pi * x + start) + 0.35 * np.sin(2.7 * turns * np.pi * x + 2 * start)) * 0.7
        profile = profile - 0.012 * noise((1, FINE), 60, rng, 3)
        inside = y > profile
        block[inside] = number
        depth = (y - profile)[inside]
        slope = np.gradient(profile, axis=1)[inside] * FINE
        tone[inside] = 0.30 + 0.13 * number - 0.9 * slope * 0.30 + 0.25 * np.sin(18 * x[inside] + 9 * depth)
        phase[inside] = (30 + 7 * number) * (
            x[inside] * 0.85 + depth * (1.5 + 1.2 * np.sin(3 * x[inside] + number)) + 0.02 * np.sin(40 * depth)
        )
        contour |= np.abs(y - profile) < 0.0042
    sea = y > horizon
    block[sea] = 4
    swell = y + 0.014 * np.sin(26 * x + 60 * y) * (y - horizon + 0.12) * 4 + 0.008 * noise((FINE, FINE), 160, rng, 2)
    phase[sea] = (58 * swell)[sea]
    tone[sea] = (0.55 + 0.35 * np.sin(11 * x + 34 * y + 2 * noise((FINE, FINE), 200, rng, 2)))[sea]
    contour |= np.abs(y - horizon) < 0.0035
    sun = np.hypot(x - 0.30, y - 0.25)
    disc = (sun < 0.135) & (block == 0)
    wash = {1: (0.66, 0.77, 0.74), 2: (0.42, 0.62, 0.62), 3: (0.86, 0.70, 0.42), 4: (0.28, 0.47, 0.60)}
    pixels = paper * blend(np.clip(y / 0.6, 0, 1), ["9fbcc4", "e3d3b0", "f6d9a8", "f2b98c"]) ** 0.55
    for number, color in wash.items():
        pixels[block == number] = paper[block == number] * np.array(color) ** 0.9
    pixels[disc] = paper[disc] * np.array([0.86, 0.22, 0.15])
    ring = (np.abs(sun - 0.150) < 0.003) & (block == 0)
    grain = 0.10 * noise((FINE, FINE), 26, rng, 3)
    wave = 0.5 + 0.5 * np.cos(2 * np.pi * phase)
    carved = wave < np.clip(tone + grain, 0.0, 0.86) * 0.86
    carved &= ~(disc & (wave > 0.12))
    rough = ndimage.gaussian_filter((carved | contour | ring).astype(float), 1.3) + 0.045 * noise((FINE, FINE), 7, rng, 2)
    line = np.clip((rough - 0.5) * 5 + 0.5, 0, 1)
    worn = np.clip(0.94 + 0.05 * noise((FINE, FINE), 11, rng, 2), 0.75, 1)
    cover = (line * worn)[..., None]
    picture = to_image(pixels * (1 - cover) + ink * cover)
    return picture.filter(ImageFilter.UnsharpMask(1.2, 40, 2))


EXAMPLES = {
    "dusk": (dusk, 7, "Dusk, thick strokes of oil"),
    "rose-window": (rose_window, 3, "Rose window, stained glass"),
    "woodcut": (woodcut, 11, "Red sun, woodcut in three inks"),
}


def main() -> None:
    """Paint all three and write their records."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ASSETS / "paintings"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (painter, seed, title) in EXAMPLES.items():
        painter(np.random.default_rng(seed)).save(folder / f"{name}.jpg", quality=90, subsampling=0)
        write_record(
            Record(name, "painting", f"{name}.jpg", "Apache-2.0", title, "the Impasto project, 2026, tools/paint_examples.py"), folder
        )
        print(folder / f"{name}.jpg", (folder / f"{name}.jpg").stat().st_size // 1024, "KiB")


if __name__ == "__main__":
    main()
