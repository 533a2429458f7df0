import json
import sys

import pytest
import torch
from rich.console import Console

from impasto.errors import InputError
from impasto.evaluation.fidelity import (
    PAINTING,
    PHOTO,
    FidelityReport,
    Figures,
    Judge,
    Pair,
    Row,
    all_pairs,
    evaluate,
    load_at,
    read_pairs,
    share,
)
from impasto.media.images import Picture, read_picture, write_picture
from impasto.perception.weights import read_encoder
from tests.conftest import SHARED, random_encoder


def test_agrees_with_the_independent_judge_on_the_same_pictures(vgg19_file, shared_data, tmp_path):
    sys.path.insert(0, str(SHARED / "tools"))
    import judge as independent

    encoder = read_encoder(vgg19_file)
    row = json.loads((shared_data / "reference.json").read_text())[1]
    content_file, style_file = shared_data / row["content"], shared_data / row["style"]
    content, style = load_at(content_file, 256), load_at(style_file, 256)
    result = (
        0.6 * content + 0.4 * content.roll(7, -1) + 0.03 * torch.randn(content.shape, generator=torch.Generator().manual_seed(0))
    ).clamp(0, 1)
    write_picture(Picture(result[0]), tmp_path / "r.png")
    ours = Judge(encoder, content, style)(result)
    their_content, their_style = independent.load(content_file, 256), independent.load(style_file, 256)
    theirs = independent.Judge(their_content, their_style).report(independent.load(tmp_path / "r.png", 256, like=their_content))
    for layer, value in ours.style.items():
        assert value == pytest.approx(theirs[layer], abs=1e-3)
    assert ours.content == pytest.approx(theirs["content"], abs=1e-3)
    assert ours.total == pytest.approx(theirs["total"], abs=1e-3)
    assert Judge(encoder, content, style)(content).total == pytest.approx(row["photo"]["total"], abs=1e-3)


def test_all_figures_of_many_methods_are_readable_in_a_narrow_window():
    style = {f"relu{block}_1": 0.1234 for block in (1, 2, 3, 4)}
    methods = [PHOTO, PAINTING, "semantic@draft", "semantic@fine", "solver@draft", "metastyle:vgg19@best"]
    rows = [Row(method, pair, Figures(style, 0.4, 0.2, 0.3), 0.9123, 1.234, 5.6) for method in methods for pair in ("one", "two")]
    console = Console(record=True, width=80)
    FidelityReport(rows).show(console)
    shown = console.export_text()
    assert "…" not in shown
    assert all(method in shown for method in methods)
    assert shown.count("0.912 ± 0.000") == shown.count("1.234 ± 0.000") == len(methods)
    assert max(map(len, shown.splitlines())) <= 80


def test_the_photo_has_share_zero_and_the_optimum_one():
    photo, best = Figures({}, 0.0, 0.8), Figures({}, 0.4, 0.1)
    assert share(photo, photo, best) == 0
    assert share(photo, best, best) == 1
    assert share(photo, Figures({}, 0.4, 0.45), best) == pytest.approx(0.5)


def test_every_pair_meets_every_method(tmp_path, photo, painting):
    encoder = random_encoder(4, 4, 4, 4)
    (tmp_path / "c").mkdir()
    (tmp_path / "s").mkdir()
    photo.rename(tmp_path / "c/a.png")
    painting.rename(tmp_path / "s/b.png")
    pairs = all_pairs(tmp_path / "c", tmp_path / "s")
    makers = {
        "nothing": lambda style: lambda image, masks=None: image,
        "flat": lambda style: lambda image, masks=None: image * 0 + style.mean(),
    }
    report = evaluate(
        pairs, encoder, makers, optimum=lambda style: lambda image, masks=None: image * 0.5 + 0.25, size=64, keep=tmp_path / "kept",
        sheet=tmp_path / "sheet.png",
    )  # fmt: skip
    assert [row.method for row in report.rows] == ["optimum", PHOTO, PAINTING, "nothing", "flat"]
    assert report.of(PHOTO)[0].figures == report.of("nothing")[0].figures
    assert report.of(PHOTO)[0].share == 0
    (painting_itself,) = report.of(PAINTING)
    assert painting_itself.figures.style["relu1_1"] < 0.001 < report.of("flat")[0].figures.style["relu1_1"]
    assert painting_itself.figures.half > 0
    height, width = read_picture(tmp_path / "sheet.png").size
    assert height == 256
    assert width > 4 * 128
    assert report.of("nothing")[0].share == pytest.approx(0, abs=1e-6)
    assert report.of("nothing")[0].figures.content == pytest.approx(0, abs=1e-6)
    assert report.of("optimum")[0].share == 1
    assert (tmp_path / "kept/flat/a__b.png").exists()
    report.write(tmp_path / "r.json")
    assert len(json.loads((tmp_path / "r.json").read_text())["rows"]) == 5


def test_pairs_with_known_figures_are_not_optimised_again(tmp_path, photo, painting):
    known = {"relu1_1": 0.1, "content": 0.5, "total": 0.2}
    (tmp_path / "pairs.json").write_text(
        json.dumps([{"content": photo.name, "style": painting.name, "photo": known | {"total": 0.9}, "gatys": known}])
    )
    (pair,) = read_pairs(tmp_path / "pairs.json")
    assert pair.optimum == Figures({"relu1_1": 0.1}, 0.5, 0.2)

    def never(style):
        raise AssertionError("the optimum is known")

    report = evaluate([pair], random_encoder(4, 4, 4, 4), {"same": lambda style: lambda image, masks=None: image}, optimum=never, size=64)
    assert [row.method for row in report.rows] == [PHOTO, PAINTING, "same"]


def test_pictures_are_brought_to_their_shorter_side(tmp_path, photo):
    assert load_at(photo, 36).shape == (1, 3, 36, 48)
    assert load_at(photo, 256).shape[-2] == 256
    assert Pair(photo, tmp_path / "x.jpg").name == "photo__x"


def test_files_that_are_no_pairs(tmp_path, photo):
    for content in ("[1, 2]", "{}x", '[{"content": "a"}]'):
        (tmp_path / "p.json").write_text(content)
        with pytest.raises(InputError, match="is not a JSON list of pairs"):
            read_pairs(tmp_path / "p.json")
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="have to hold pictures"):
        all_pairs(tmp_path / "none", tmp_path)
