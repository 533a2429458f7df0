import struct

import pytest
import torch
from PIL import Image

from impasto.errors import ImpastoError, InputError, PictureError
from impasto.events import Interrupted
from impasto.job.engine import run, working_size
from impasto.job.plan import Job, plan
from impasto.media.images import read_picture
from impasto.runtime.device import Place
from impasto.settings import Controls
from tests.conftest import scene

CPU = Place(torch.device("cpu"), torch.float32)


def invert(image, *, masks=None):
    return 1 - image


def test_a_picture_is_read_painted_and_written(photo, tmp_path):
    summary = run(invert, [Job(photo, tmp_path / "out.png")], Controls(size=0), CPU)
    (outcome,) = summary.painted
    assert outcome.size == (72, 96)
    assert torch.allclose(read_picture(outcome.output).pixels, 1 - read_picture(photo).pixels, atol=1 / 255)


def test_large_photos_are_fitted_and_small_ones_left(photo, tmp_path):
    seen = []

    def look(image, *, masks=None):
        seen.append(tuple(image.shape))
        return image

    for size in (48, 512, 0):
        run(look, [Job(photo, tmp_path / "out.png")], Controls(size=size), CPU)
    assert seen == [(1, 3, 36, 48), (1, 3, 72, 96), (1, 3, 72, 96)]


def test_alpha_and_metadata_are_carried_through(tmp_path):
    image = scene(64, 48)
    image.putalpha(Image.linear_gradient("L").resize((64, 48)))
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    image.save(tmp_path / "in.png", exif=exif)
    run(invert, [Job(tmp_path / "in.png", tmp_path / "out.png")], Controls(keep_metadata=True), CPU)
    before, after = read_picture(tmp_path / "in.png"), read_picture(tmp_path / "out.png")
    assert torch.equal(after.alpha, before.alpha)
    with Image.open(tmp_path / "out.png") as written:
        assert written.getexif()[0x010F] == "Camera"


@pytest.mark.parametrize("how", ["luma", "coral"])
def test_colours_can_be_kept(photo, tmp_path, how):
    run(invert, [Job(photo, tmp_path / "plain.png")], Controls(), CPU)
    run(invert, [Job(photo, tmp_path / "kept.png")], Controls(keep_color=how), CPU)
    original = read_picture(photo).pixels.mean((1, 2))
    plain, kept = (read_picture(tmp_path / name).pixels.mean((1, 2)) for name in ("plain.png", "kept.png"))
    assert (kept - original).abs().max() < 0.5 * (plain - original).abs().max()


def test_unknown_ways_to_keep_colour_are_named(photo, tmp_path):
    with pytest.raises(InputError, match="there is no way to keep colours 'sepia'; there are luma, coral"):
        run(invert, [Job(photo, tmp_path / "o.png")], Controls(keep_color="sepia"), CPU)


def test_one_bad_file_does_not_stop_the_others(photo, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"not a picture")
    jobs = [Job(tmp_path / n, tmp_path / "out" / f"{i}.png") for i, n in enumerate(["bad.jpg", "photo.png", "missing.png", "photo.png"])]
    told = []
    summary = run(invert, jobs, Controls(), CPU, on_file=lambda index, count, source: told.append((index, count, source.name)))
    assert [outcome.error is None for outcome in summary.outcomes] == [False, True, False, True]
    assert "bad.jpg is not a picture" in str(summary.failed[0].error)
    assert [t[0] for t in told] == [0, 1, 2, 3]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["1.png", "3.png"]


def test_an_input_is_never_overwritten(photo, tmp_path):
    other = tmp_path / "other.png"
    other.write_bytes(photo.read_bytes())
    before = photo.read_bytes()
    for jobs in ([Job(photo, photo)], [Job(other, photo), Job(photo, tmp_path / "fine.png")]):
        summary = run(invert, jobs, Controls(), CPU)
        assert "is the input itself" in str(summary.failed[0].error)
        assert photo.read_bytes() == before


def test_an_interrupt_writes_the_picture_so_far_and_ends(photo, tmp_path):
    def stopped(image, *, masks=None):
        raise Interrupted(torch.full((1, 3, 18, 24), 0.25))

    summary = run(stopped, [Job(photo, tmp_path / "a.png"), Job(photo, tmp_path / "b.png")], Controls(), CPU)
    assert summary.interrupted
    assert len(summary.outcomes) == 1
    assert read_picture(tmp_path / "a.png").size == (72, 96)
    assert not (tmp_path / "b.png").exists()


def test_an_interrupt_with_nothing_to_show_leaves_nothing(photo, tmp_path):
    def stopped(image, *, masks=None):
        raise KeyboardInterrupt

    summary = run(stopped, [Job(photo, tmp_path / "a.png")], Controls(), CPU)
    assert summary.interrupted
    assert not (tmp_path / "a.png").exists()


def test_want_of_memory_is_a_sentence(photo, tmp_path):
    def greedy(image, *, masks=None):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    summary = run(greedy, [Job(photo, tmp_path / "a.png")], Controls(), CPU)
    assert "a smaller --size needs less" in str(summary.failed[0].error)


@pytest.mark.parametrize("mistake", [RuntimeError("shapes do not match"), ZeroDivisionError(), struct.error("unpack"), AssertionError()])
def test_whatever_happens_with_one_file_is_the_error_of_that_file(photo, tmp_path, mistake):
    """The others are painted; what it was stays with the error for whoever looks for it."""
    calls = []

    def wrong(image, *, masks=None):
        calls.append(1)
        if len(calls) == 1:
            raise mistake
        return image

    summary = run(wrong, [Job(photo, tmp_path / name) for name in ("a.png", "b.png")], Controls(), CPU)
    (failed,), (painted,) = summary.failed, summary.painted
    assert "photo.png could not be painted" in str(failed.error)
    assert type(mistake).__name__ in str(failed.error)
    assert failed.error.__cause__ is mistake
    assert failed.error.exit_code == 1
    assert painted.output == tmp_path / "b.png"


@pytest.mark.parametrize("size", [(1, 1), (5000, 1), (1, 5000), (20, 400)])
def test_pictures_too_thin_to_paint_are_refused(tmp_path, size):
    Image.new("RGB", size).save(tmp_path / "thin.png")
    summary = run(invert, [Job(tmp_path / "thin.png", tmp_path / "o.png")], Controls(), CPU)
    (outcome,) = summary.failed
    assert isinstance(outcome.error, PictureError)
    assert f"{size[0]}x{size[1]} pixels" in str(outcome.error)
    assert not (tmp_path / "o.png").exists()


def test_working_size():
    assert working_size((3000, 4000), 512) == (384, 512)
    assert working_size((3000, 4000), 0) == (3000, 4000)
    with pytest.raises(PictureError, match="512x13 at a size of 512"):
        working_size((100, 4000), 512)


def test_results_are_named_after_photo_and_style(tmp_path, photo):
    assert plan([photo], None, "dusk").jobs[0].output.name == "photo-dusk.png"
    assert plan([photo], tmp_path / "x.jpg", "dusk").jobs[0].output == tmp_path / "x.jpg"
    assert plan([photo], tmp_path / "new", "dusk").jobs[0].output == tmp_path / "new" / "photo-dusk.png"


def test_equal_names_do_not_overwrite_each_other(tmp_path, photo):
    (tmp_path / "photo.jpg").write_bytes(b"")
    outputs = [job.output.name for job in plan([tmp_path], tmp_path / "out", "dusk").jobs]
    assert outputs == ["photo-jpg-dusk.png", "photo-png-dusk.png"]


def test_plans_that_cannot_be(tmp_path, photo):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="nothing to paint in"):
        plan([tmp_path / "empty"], None, "dusk")
    with pytest.raises(InputError, match="give a folder"):
        plan([photo, photo], tmp_path / "one.png", "dusk")
    with pytest.raises(InputError, match="no photo"):
        plan([], None, "dusk")
    assert issubclass(PictureError, ImpastoError)
