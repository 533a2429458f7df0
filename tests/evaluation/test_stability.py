"""Stability is measured: with true flow in Sintel's layout, with estimated flow, and with nothing hidden by blur."""

import json

import pytest
import torch
from rich.console import Console

from impasto.errors import InputError
from impasto.evaluation.footage import footage, moving_footage
from impasto.evaluation.stability import INPUT, evaluate_stability, judge_scene
from impasto.media.images import Picture, read_picture, write_picture
from impasto.training.made_pictures import made_pictures
from tests.films import make_film, write_flow


class Blinking:
    """Lighter and darker in turn by `amount`."""

    def __init__(self, amount):
        self.amount, self.painted = amount, 0

    def __call__(self, image, *, masks=None):
        self.painted += 1
        return (image * 0.8 + self.amount * (self.painted % 2)).clamp(0, 1)


def wide(seed=0):
    return made_pictures(1, 192, torch.Generator().manual_seed(seed)).picture(0).float() / 255


def sintel(root, *, count=7, height=64, width=96, scene="alley", speed=3):
    """A scene in Sintel's layout: it pans by `speed` pixels a frame, and one corner is said to be occluded."""
    picture = wide()
    for number in range(1, count + 1):
        begin = speed * (count - number)
        frame = picture[:, :height, begin : begin + width]
        for rendering in ("final", "clean"):
            write_picture(Picture(frame), (root / rendering / scene / f"frame_{number:04d}.png"))
        if number < count:
            flow = torch.tensor([float(speed), 0.0]).view(2, 1, 1).expand(2, height, width).contiguous()
            write_flow(flow, root / "flow" / scene / f"frame_{number:04d}.flo")
            occluded = torch.zeros(3, height, width)
            occluded[:, :16, :16] = 1
            write_picture(Picture(occluded), root / "occlusions" / scene / f"frame_{number:04d}.png")
    return root


def test_sintels_layout_is_judged_with_its_true_flow(tmp_path):
    (scene,) = footage(sintel(tmp_path))
    rows = {row.method: row for row in judge_scene(scene, {"steady": Blinking(0.0), "blinking": Blinking(0.1)})}
    assert list(rows) == [INPUT, "steady", "blinking"]
    assert rows[INPUT].e_stab < 1e-6
    assert rows["steady"].e_stab < 0.01
    # Every channel of every place that is traced is off by 0.1: 3 * 0.1^2 over the share of traced places.
    traced = 1 - 3 / 96 - 256 / (64 * 96)
    assert rows["blinking"].e_stab == pytest.approx((3 * 0.01 * traced) ** 0.5, rel=0.05)
    assert rows["blinking"].far == pytest.approx((3 * 0.01 * (1 - 15 / 96)) ** 0.5, rel=0.1)
    assert rows["blinking"].pairs == 6


def test_the_other_rendering_and_the_other_place_of_masks(tmp_path):
    root = sintel(tmp_path)
    for mask in (root / "occlusions" / "alley").iterdir():
        mask.rename(root / "flow" / "alley" / f"{mask.stem}_occlusion.png")
    (scene,) = footage(root, rendering="clean")
    _, traced = scene.truth(0)
    assert traced[0, :16, :16].max() == 0
    assert traced.mean() == pytest.approx(1 - 256 / (64 * 96))
    assert scene.truth(6) is None


def test_flow_of_the_wrong_size_is_refused(tmp_path):
    root = sintel(tmp_path)
    write_flow(torch.zeros(2, 10, 12), root / "flow" / "alley" / "frame_0002.flo")
    (scene,) = footage(root)
    with pytest.raises(InputError, match=r"has 12x10 places and the frames 96x64"):
        judge_scene(scene, {})
    write_picture(Picture(torch.zeros(3, 9, 9)), root / "occlusions" / "alley" / "frame_0001.png")
    with pytest.raises(InputError, match=r"9x9 pixels and the frames 96x64"):
        judge_scene(scene, {})


def test_films_are_judged_with_estimated_flow(tmp_path):
    folder = tmp_path / "pan"
    for number in range(7):
        write_picture(Picture(wide()[:, :96, 2 * number : 2 * number + 128]), folder / f"{number}.png")
    (scene,) = footage(folder)
    rows = {row.method: row for row in judge_scene(scene, {"blinking": Blinking(0.1)})}
    assert rows["blinking"].e_stab > 2 * rows[INPUT].e_stab
    assert rows["blinking"].far is not None
    assert rows["blinking"].farther is None
    (film,) = footage(make_film(tmp_path / "film.mp4", count=4))
    assert film.name == "film"


def test_pairs_across_a_cut_do_not_count(tmp_path):
    folder = tmp_path / "shots"
    for number in range(6):
        picture = wide(0 if number < 3 else 5)[:, :64, :96]
        write_picture(Picture(picture if number < 3 else 1 - picture), folder / f"{number}.png")
    (row,) = judge_scene(footage(folder)[0], {})
    assert row.pairs == 4
    assert row.e_stab < 0.01


def test_a_film_of_one_frame_cannot_be_judged(tmp_path):
    write_picture(Picture(torch.rand(3, 32, 32)), tmp_path / "one" / "0.png")
    with pytest.raises(InputError, match="no two frames"):
        judge_scene(footage(tmp_path / "one")[0], {})
    with pytest.raises(InputError, match="no film and no folder"):
        footage(tmp_path / "nothing")


def test_blur_does_not_win_the_figure_by_deviation(tmp_path):
    (scene,) = footage(sintel(tmp_path))
    pale = lambda image, masks=None: 0.5 + 0.1 * (Blinking(0.0)(image) - 0.5)  # noqa: E731
    blinking = Blinking(0.1)
    faint = lambda image, masks=None: 0.5 + 0.1 * (blinking(image) - 0.5)  # noqa: E731
    rows = {row.method: row for row in judge_scene(scene, {"blinking": Blinking(0.1), "faint": faint, "pale": pale})}
    assert rows["faint"].e_stab < 0.2 * rows["blinking"].e_stab
    assert rows["faint"].relative == pytest.approx(rows["blinking"].relative, rel=0.15)


def test_scenes_made_of_photos_the_table_and_the_maps(tmp_path, photo, painting, encoder):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "photo.png").write_bytes(photo.read_bytes())
    scenes = moving_footage(tmp_path / "photos", 2, size=(64, 96), length=4)
    report = evaluate_stability(
        scenes, {"blinking": Blinking(0.1)}, encoder=encoder, painting=read_picture(painting).pixels[None], maps=tmp_path / "maps"
    )
    assert [row.scene for row in report.of("blinking")] == ["moving_0", "moving_1"]
    assert all(row.style > 0 and row.content > 0 and row.far is None for row in report.of("blinking"))
    console = Console(record=True, width=80)
    report.show(console)
    shown = console.export_text()
    assert "moving_1" in shown
    assert "…" not in shown
    report.write(tmp_path / "r.json")
    written = json.loads((tmp_path / "r.json").read_text())
    assert written["sum"]["blinking"] == pytest.approx(sum(row.e_stab for row in report.of("blinking")))
    assert read_picture(tmp_path / "maps" / "moving_0-errors.png").size == (128, 192)
