"""Photos that do not fit into memory in one piece, from file to file: formats, bounds, and what is said when no way fits."""

import psutil
import pytest
import torch
from PIL import Image, ImageCms

import impasto
from impasto.errors import InputError, PictureError
from impasto.job import large
from impasto.job.engine import run
from impasto.job.plan import Job
from impasto.media.images import read_picture
from impasto.runtime.device import Place
from impasto.settings import Controls
from tests.conftest import scene

CPU = Place(torch.device("cpu"), torch.float32)


def lighter(image, *, masks=None):
    return image + 0.1


@pytest.fixture
def tight(monkeypatch):
    """Memory for some megabytes beside what this process has."""

    def bound(megabytes):
        monkeypatch.setattr(large, "memory_of", lambda asked: psutil.Process().memory_info().rss + large.BESIDE + int(megabytes * 2**20))

    bound(200)
    return bound


def paint(source, output, stylizer=lighter, **controls):
    return run(stylizer, [Job(source, output)], Controls(**({"size": 0} | controls)), CPU, bytes_a_pixel=5000)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp"])
def test_by_tiles_a_photo_becomes_what_it_becomes_in_one_piece(tmp_path, tight, suffix):
    source = tmp_path / f"in{suffix}"
    scene(700, 520).save(source)
    (outcome,) = paint(source, tmp_path / "tiles.png").painted
    assert outcome.size == (520, 700)
    assert "then enlarged with the photo's detail (--memory)" in outcome.remark
    found, seen = read_picture(tmp_path / "tiles.png").pixels, read_picture(source).pixels
    assert (found - (seen + 0.1).clamp(0, 1)).abs().mean() < 4 / 255
    assert sorted(path.name for path in tmp_path.iterdir()) == [source.name, "tiles.png"]


def test_orientation_alpha_metadata_and_profile_are_carried_through(tmp_path, tight):
    image = scene(640, 480)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(tmp_path / "in.png", exif=exif, icc_profile=profile)
    (outcome,) = paint(tmp_path / "in.png", tmp_path / "out.png", keep_metadata=True).painted
    before, after = read_picture(tmp_path / "in.png"), read_picture(tmp_path / "out.png")
    assert outcome.size == before.size == after.size == (640, 480)
    assert torch.equal(before.alpha, after.alpha)
    assert (after.pixels - (before.pixels + 0.1).clamp(0, 1)).abs().mean() < 4 / 255
    with Image.open(tmp_path / "out.png") as written:
        assert written.getexif()[0x010F] == "Camera"
        assert written.getexif().get(0x0112, 1) == 1
    paint(tmp_path / "in.png", tmp_path / "out.jpg", background="black")
    flat = read_picture(tmp_path / "out.jpg")
    assert flat.alpha is None
    assert (flat.pixels - before.alpha * (before.pixels + 0.1).clamp(0, 1)).abs().mean() < 6 / 255
    with Image.open(tmp_path / "out.jpg") as written:
        assert written.getexif()[0x0131].startswith("Impasto")
        assert 0x010F not in written.getexif()


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "I;16", "LA"])
def test_every_kind_of_pixels(tmp_path, tight, mode):
    image, source = scene(640, 480), tmp_path / ("in.tif" if mode in ("CMYK", "I;16") else "in.png")
    deep = Image.fromarray((torch.rand(480, 640) * 65535).to(torch.uint16).numpy())
    (deep if mode == "I;16" else image.convert(mode)).save(source)
    assert not paint(source, tmp_path / "out.png").failed
    found, seen = read_picture(tmp_path / "out.png").pixels, read_picture(source).pixels
    assert (found - (seen + 0.1).clamp(0, 1)).abs().mean() < 0.02


def test_photos_are_brought_to_the_size_that_is_asked_for(tmp_path, tight):
    scene(1400, 1040).save(tmp_path / "in.jpg")
    (outcome,) = paint(tmp_path / "in.jpg", tmp_path / "out.png", size=700).painted
    assert outcome.size == (520, 700)
    whole = read_picture(tmp_path / "in.jpg").pixels[None]
    shrunk = torch.nn.functional.interpolate(whole, size=(520, 700), mode="bicubic", antialias=True)[0]
    assert (read_picture(tmp_path / "out.png").pixels - (shrunk + 0.1).clamp(0, 1)).abs().mean() < 4 / 255


def test_what_fits_is_painted_in_one_piece(tmp_path):
    seen = []
    scene(700, 520).save(tmp_path / "in.png")
    paint(tmp_path / "in.png", tmp_path / "out.png", lambda image, masks=None: seen.append(image.shape) or image)
    assert seen == [(1, 3, 520, 700)]


def test_a_photo_that_no_way_fits_is_refused_before_work_begins(tmp_path, tight):
    scene(700, 520).save(tmp_path / "in.png")
    tight(1)
    (outcome,) = paint(tmp_path / "in.png", tmp_path / "out.png").failed
    assert "in.png needs at least" in str(outcome.error)
    assert "(--memory)" in str(outcome.error)
    tight(40)
    Image.new("RGB", (5000, 4000)).save(tmp_path / "big.bmp")
    (outcome,) = paint(tmp_path / "big.bmp", tmp_path / "out.png").failed
    assert "big.bmp needs at least" in str(outcome.error)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big.bmp", "in.png"]


@pytest.mark.parametrize("asked", ["4X", "much", "-3G", "0", "", "4 GG"])
def test_memory_is_a_number_with_a_unit(asked):
    with pytest.raises(InputError, match="--memory is a number with K, M, G or T"):
        large.memory_of(asked)


def test_units_of_memory():
    assert large.memory_of("4G") == 4 * 2**30 == large.memory_of("4 GiB") == large.memory_of("4gb")
    assert large.memory_of("1.5M") == 1.5 * 2**20
    assert large.memory_of("2000000") == 2_000_000
    assert large.memory_of(None) > psutil.Process().memory_info().rss


def test_a_photo_that_is_cut_off_is_a_sentence_and_leaves_nothing(tmp_path, tight):
    scene(900, 700).save(tmp_path / "whole.png")
    (tmp_path / "in.png").write_bytes((tmp_path / "whole.png").read_bytes()[:20_000])
    (outcome,) = paint(tmp_path / "in.png", tmp_path / "out.png").failed
    assert isinstance(outcome.error, PictureError)
    assert "in.png is damaged or cut off" in str(outcome.error)
    assert not (tmp_path / "out.png").exists()


def test_stopped_it_is_resumed_by_the_same_command_and_begun_anew_by_another(tmp_path, tight):
    scene(700, 520).save(tmp_path / "in.png")
    paint(tmp_path / "in.png", tmp_path / "whole.png")
    seen, count = [], [0]

    def slow(image, *, masks=None):
        seen.append(image.shape)
        return lighter(image)

    def impatient(event):
        count[0] += 1
        if count[0] == 3:
            raise KeyboardInterrupt

    job = Job(tmp_path / "in.png", tmp_path / "out.png")
    settings = {"bytes_a_pixel": 5000, "identity": "a style"}
    assert run(slow, [job], Controls(size=0), CPU, listener=impatient, **settings).interrupted
    assert not (tmp_path / "out.png").exists()
    assert run(slow, [job], Controls(size=0), CPU, **settings).painted
    assert len(seen) == 1
    assert torch.equal(read_picture(tmp_path / "out.png").pixels, read_picture(tmp_path / "whole.png").pixels)
    count[0] = 0
    assert run(slow, [job], Controls(size=0), CPU, listener=impatient, **settings).interrupted
    assert run(slow, [job], Controls(size=0, seed=1), CPU, **settings).painted
    assert len(seen) == 3
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_a_full_disk_is_a_sentence(tmp_path, tight, monkeypatch):
    scene(700, 520).save(tmp_path / "in.png")

    def full(self, box, pixels):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("impasto.media.canvas.Canvas.write", full)
    (outcome,) = paint(tmp_path / "in.png", tmp_path / "out.png").failed
    assert "No space left on device" in str(outcome.error)
    assert not (tmp_path / "out.png").exists()


def test_a_bound_that_is_no_number_is_a_sentence_also_for_the_quickest_way(tmp_path):
    scene(96, 72).save(tmp_path / "in.png")
    summary = impasto.stylize(tmp_path / "in.png", "dusk", output=tmp_path / "out.png", controls=Controls(quality="draft", memory="much"))
    assert "--memory is a number" in str(summary.failed[0].error)


def test_exact_statistics_are_for_networks_that_paint_drafts(tmp_path, tight):
    scene(700, 520).save(tmp_path / "in.png")
    (outcome,) = paint(tmp_path / "in.png", tmp_path / "out.png", exact=True).failed
    assert "--exact is for what learned networks paint as drafts" in str(outcome.error)
