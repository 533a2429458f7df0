"""Cut-outs with the same visible part and other colours under their transparency are painted alike, and paint alike, in every way."""

from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

import impasto
from impasto.job import engine, large
from impasto.job.quick import paint_at_once
from impasto.job.request import Request
from impasto.media.animations import AnimationReader
from impasto.media.videos import FilmReader

HIDDEN = {"green": (0, 255, 0), "magenta": (255, 0, 255), "black": (0, 0, 0)}
HEIGHT, WIDTH = 64, 96
y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
DISC = (np.clip((24 - np.hypot(y - 30, x - 50)) / 3, 0, 1) * 255).astype(np.uint8)
SEEN = DISC > 0


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))


def scene(shift=0, size=(HEIGHT, WIDTH)):
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    waves = [np.sin((columns + shift) / 5), np.cos((rows + columns + shift) / 9), np.sin(rows / 7 - shift / 5)]
    return np.rint((np.stack(waves, -1) * 0.5 + 0.5) * 255).astype(np.uint8)


def cut_out(color, shift=0):
    """(H, W, 4) bytes."""
    colors = scene(shift)
    colors[~SEEN] = color
    return np.dstack([colors, DISC])


def stills(folder):
    """A cut-out for every hidden colour."""
    folder.mkdir(exist_ok=True)
    for name, color in HIDDEN.items():
        path = folder / f"{name}.png"
        Image.fromarray(cut_out(color)).save(path)
        yield path


def same(results, alpha=DISC):
    """Images (H, W, 4) are the same to 1 of 255, and have this alpha."""
    first = results[0].astype(int)
    for result in results:
        assert np.array_equal(result[..., 3], alpha)
        assert np.abs(result.astype(int) - first).max() <= 1, "what is hidden is a painting too, and no other one"


def pixels_of(summary):
    (outcome,) = summary.painted
    return np.asarray(Image.open(outcome.output).convert("RGBA"))


def painted(tmp_path, *, photo=None, style=None, **controls):
    """What becomes of every cut-out in a style, or of a photo in the style of every cut-out; without both of each in its own."""
    regions = controls.pop("regions", None)
    return [
        pixels_of(
            impasto.stylize(
                photo or path,
                style or path,
                output=tmp_path / f"{path.stem}-out.png",
                regions=regions,
                controls=impasto.Controls(**controls),
            )
        )
        for path in stills(tmp_path / "in")
    ]


@pytest.mark.parametrize("more", [{}, {"keep_color": "luma"}, {"keep_color": "coral"}, {"size": 80}], ids=str)
@pytest.mark.parametrize("quality", ["draft", "fine"])
def test_photos(tmp_path, quality, more):
    results = painted(tmp_path, style="dusk", quality=quality, **more)
    same(results, results[0][..., 3] if "size" in more else DISC)


def test_photos_in_the_fast_way(tmp_path):
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    controls = impasto.Controls(quality="draft", precision="float32")
    results = [
        pixels_of(paint_at_once(Request([path], ["dusk"], tmp_path / f"{path.stem}-out.png", controls=controls)))
        for path in stills(tmp_path / "in")
    ]
    same(results)
    usual = pixels_of(impasto.stylize(tmp_path / "in/green.png", "dusk", output=tmp_path / "usual.png", controls=controls))
    assert np.abs(usual.astype(int) - results[0]).max() <= 1


def test_photos_by_tiles(tmp_path, monkeypatch):
    cut = large.Plan(HEIGHT * WIDTH / 4, 48, False)
    monkeypatch.setattr(
        engine, "cut", lambda job, controls, count: large.Cut(large.read_header(job.source, max_pixels=10**6), (HEIGHT, WIDTH), cut)
    )
    same(painted(tmp_path, style="dusk", quality="draft", keep_color="luma"))


def test_results_without_alpha_lie_on_the_background(tmp_path):
    for path in stills(tmp_path / "in"):
        out = tmp_path / f"{path.stem}.jpg"
        impasto.stylize(path, "dusk", output=out, controls=impasto.Controls(quality="draft", background="#ff0000"))
        assert np.abs(np.asarray(Image.open(out)).astype(int)[:3, :3] - [255, 0, 0]).max() < 10


@pytest.mark.parametrize("method", ["gatys", "adain", "semantic", "solver", "patch-swap"])
def test_styles_of_every_method(tmp_path, method):
    photo = tmp_path / "photo.png"
    Image.fromarray(scene(3)).save(photo)
    controls = {"quality": "auto", "options": {"iterations": 2}} if method == "gatys" else {"quality": "draft"}
    same(painted(tmp_path, photo=photo, method=method, **controls), np.full((HEIGHT, WIDTH), 255))


def test_cut_outs_refined_in_the_style_of_themselves(tmp_path):
    same(painted(tmp_path, quality="fine"))


def test_regions(tmp_path):
    style = tmp_path / "style.png"
    Image.fromarray(scene(40)).save(style)
    same(painted(tmp_path, style=style, regions="auto:2", quality="draft"))


def test_a_rectangle_as_style_is_what_the_part_by_itself_is(tmp_path):
    photo, part = tmp_path / "photo.png", scene()[10:50, 20:80]
    Image.fromarray(scene(3)).save(photo)
    Image.fromarray(part).save(tmp_path / "part.png")
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[10:50, 20:80] = 255
    colors = scene()
    colors[alpha == 0] = (0, 255, 0)
    Image.fromarray(np.dstack([colors, alpha])).save(tmp_path / "cut.png")
    controls = impasto.Controls(quality="fine")
    part, cut = (
        pixels_of(impasto.stylize(photo, tmp_path / f"{name}.png", output=tmp_path / f"{name}-out.png", controls=controls))
        for name in ("part", "cut")
    )
    assert np.array_equal(part, cut)


def test_what_is_wholly_transparent(tmp_path):
    nothing = tmp_path / "nothing.png"
    values = cut_out((0, 255, 0))
    values[..., 3] = 0
    Image.fromarray(values).save(nothing)
    for quality in ("draft", "fine"):
        for kept in (None, "luma", "coral"):
            controls = impasto.Controls(quality=quality, keep_color=kept)
            assert not pixels_of(impasto.stylize(nothing, "dusk", output=tmp_path / "out.png", controls=controls))[..., 3].any()
    with pytest.raises(impasto.InputError, match=r"nothing\.png is fully transparent: there is no style to see"):
        impasto.stylize(tmp_path / "nothing.png", nothing, output=tmp_path / "other.png")
    assert not (tmp_path / "other.png").exists()


# What moves.


def film(path, color):
    """Two frames in a codec that keeps alpha and every bit."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("qtrle", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "argb"
        for shift in (0, 2):
            values = np.ascontiguousarray(cut_out(color, shift)[..., [3, 0, 1, 2]])
            for packet in stream.encode(av.VideoFrame.from_ndarray(values, format="argb")):
                container.mux(packet)
        container.mux(stream.encode(None))
    return path


def animation(path, color):
    frames = [Image.fromarray(cut_out(color, shift)) for shift in (0, 2)]
    options = {"lossless": True, "exact": True} if path.suffix == ".webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, **options)
    return path


def frames_of(path):
    reader = FilmReader(path) if path.suffix == ".mov" else AnimationReader(path)
    return [frame.bytes for frame in reader]


@pytest.mark.parametrize("kind", ["film.mov", "loop.webp", "loop.png", "loop.apng"])
def test_videos_and_animations(tmp_path, kind):
    found = []
    for name, color in HIDDEN.items():
        (tmp_path / name).mkdir()
        source = (film if kind.endswith("mov") else animation)(tmp_path / name / kind, color)
        stored = frames_of(source)
        assert stored[0].shape == (HEIGHT, WIDTH, 4)
        if name == "green" and "webp" not in kind:
            assert (stored[0][0, 0, :3] == color).all(), "the source hides the colour"
        output = tmp_path / name / f"out{'.mov' if kind.endswith('mov') else '.png'}"
        summary = impasto.stylize(source, "dusk", output=output)
        assert not summary.failed, summary.failed
        found.append(frames_of(output))
    for frames in zip(*found, strict=True):
        for frame in frames:
            assert np.abs(frame.astype(int) - frames[0])[DISC > 128].max() <= (1 if not kind.endswith("mov") else 2)


def test_gif(tmp_path):
    """GIF stores one colour for all that is transparent, in its palette."""
    found = []
    for name, color in HIDDEN.items():
        colors = (scene() // 128 * 200).astype(np.uint8)
        index = (colors // 200 * [1, 2, 4]).sum(-1).astype(np.uint8)
        index[DISC < 128] = 8
        frames = []
        for shift in (0, 3):
            frame = Image.fromarray(np.roll(index, shift, 1) if shift == 0 else index.copy(), "P")
            frame.putpalette([200 * (number >> bit & 1) for number in range(8) for bit in range(3)] + list(color))
            frames.append(frame)
        frames[1].putpixel((50, 30), 7)
        path = tmp_path / f"{name}.gif"
        frames[0].save(path, save_all=True, append_images=frames[1:], transparency=8, duration=100, disposal=2, optimize=False)
        impasto.stylize(path, "dusk", output=tmp_path / f"{name}-out.png")
        found.append(frames_of(tmp_path / f"{name}-out.png"))
    for frames in zip(*found, strict=True):
        same(frames, frames[0][..., 3])


def test_folders_of_frames(tmp_path):
    found = []
    for name, color in HIDDEN.items():
        folder = tmp_path / name
        folder.mkdir()
        for shift in (0, 2):
            Image.fromarray(cut_out(color, shift)).save(folder / f"{shift}.png")
        impasto.stylize(folder, "dusk", output=tmp_path / f"{name}-out", frames=True)
        found.append([np.asarray(Image.open(tmp_path / f"{name}-out/{shift}.png")) for shift in (0, 2)])
    for frames in zip(*found, strict=True):
        same(frames)


@pytest.mark.parametrize("stabilize", ["flow", "none"])
def test_videos_that_are_stabilised(tmp_path, stabilize):
    found = []
    for name, color in HIDDEN.items():
        output = tmp_path / f"{name}.png"
        controls = impasto.Controls(stabilize=stabilize, keep_color="luma")
        impasto.stylize(animation(tmp_path / f"{name}-in.png", color), "dusk", output=output, controls=controls)
        found.append(frames_of(output))
    for frames in zip(*found, strict=True):
        same(frames)


def test_luts_made_of_cut_outs(tmp_path):
    """Only what can be seen says what becomes of colours."""
    found = []
    for path in stills(tmp_path / "in"):
        impasto.lut(
            path, "dusk", output=tmp_path / f"{path.stem}.cube", size=5, controls=impasto.Controls(quality="draft", method="metastyle")
        )
        found.append((tmp_path / f"{path.stem}.cube").read_text().splitlines()[3:])
    assert found[0] == found[1] == found[2]
