"""Semantic transfer from the command line: masks choose it, regions are found, shown and told; and what masks are refused."""

import pytest
import torch
from PIL import Image

from impasto.media.images import Picture, read_picture, write_picture
from impasto.media.videos import FilmReader
from tests.cli.runner import impasto_command
from tests.cli.test_cli import assert_sentence, said
from tests.films import make_film
from tests.media.test_masks import halves


@pytest.fixture
def run(photo, painting, tmp_path):
    def run(*words, to="out.png"):
        return impasto_command("stylize", photo, "--style", painting, *words, "-o", tmp_path / to)

    return run


@pytest.fixture
def masks(tmp_path):
    return ["--mask", halves(tmp_path / "m.png", "red", "blue"), "--style-mask", halves(tmp_path / "s.jpg", "blue", "red", quality=80)]


def pixels(tmp_path, name="out.png"):
    return read_picture(tmp_path / name).pixels


def test_masks_choose_it_and_the_report_says_what_matched(run, masks, tmp_path):
    result = run(*masks)
    assert result.returncode == 0, said(result)
    assert "50% of the photo, painted" in said(result)
    by_name = run(*masks, "--method", "semantic", to="named.png")
    assert by_name.returncode == 0, said(by_name)
    assert torch.equal(pixels(tmp_path), pixels(tmp_path, "named.png"))
    plain = run("--method", "semantic", to="plain.png")
    assert plain.returncode == 0, said(plain)
    assert (pixels(tmp_path) - pixels(tmp_path, "plain.png")).abs().mean() > 1e-3


def test_its_controls(run, masks, tmp_path):
    results = {}
    ways = (
        ["--transform", "mean"], ["--transform", "wct"], ["--layers", "relu3_1"], ["--detail", "1"], ["--strength", "0.4"], ["--hard"],
        ["--method", "patch-swap"], ["--style-size", "32"], ["--method", "doodle", "--iterations", "2", "--levels", "1"],
    )  # fmt: skip
    for words in ([], *ways):
        result = run(*masks, *words)
        assert result.returncode == 0, said(result)
        results[" ".join(words)] = pixels(tmp_path)
    plain = results.pop("")
    for words, other in results.items():
        assert (other - plain).abs().mean() > 1e-4, words


def test_regions_are_found_told_and_shown(run, tmp_path):
    result = run("--regions", "auto:3", "--show-regions")
    assert result.returncode == 0, said(result)
    assert "region 1:" in said(result)
    assert "of painting" in said(result)
    shown = pixels(tmp_path, "out-regions.png")
    assert shown.shape[-2] == 72
    assert shown.shape[-1] > 96 + 40


def test_every_photo_of_a_folder_has_regions_of_its_own(photo, painting, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.png").write_bytes(photo.read_bytes())
    (folder / "b.png").write_bytes(painting.read_bytes())
    (folder / "c.png").write_text("no picture")
    result = impasto_command("stylize", folder, "-s", painting, "--regions", "auto:2", "--show-regions", "-o", tmp_path / "out")
    assert_sentence(result, 1, "1 of 3 files could not be painted")
    assert said(result).count("region 1:") == 2
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"a-painting.png", "a-painting-regions.png", "b-painting.png", "b-painting-regions.png"}


def test_one_style_picture_for_each_label(photo, painting, tmp_path):
    mask = halves(tmp_path / "m.png", "red", "blue")
    own = []
    for color in ("red", "blue"):
        Image.new("RGB", (20, 20), color).save(tmp_path / f"{color}.png")
        own += ["--style-mask", tmp_path / f"{color}.png"]
    out = tmp_path / "out.png"
    result = impasto_command("stylize", photo, "-s", painting, "-s", "dusk", "--mask", mask, *own, "-o", out)
    assert result.returncode == 0, said(result)
    swapped = impasto_command("stylize", photo, "-s", "dusk", "-s", painting, "--mask", mask, *own, "-o", tmp_path / "swapped.png")
    assert swapped.returncode == 0, said(swapped)
    assert (pixels(tmp_path) - pixels(tmp_path, "swapped.png")).abs().mean() > 1e-2


def test_a_film_with_masks_of_its_frames(painting, masks, tmp_path):
    film = make_film(tmp_path / "film.mp4", count=4)
    result = impasto_command("stylize", film, "--style", painting, *masks, "--show-regions", "-o", tmp_path / "out.mp4")
    assert result.returncode == 0, said(result)
    assert len(list(FilmReader(tmp_path / "out.mp4"))) == 4
    assert (tmp_path / "out-regions.png").exists()
    assert_sentence(impasto_command("stylize", film, "-s", painting, "--regions", "auto", cwd=tmp_path), 2, "a film needs masks")


def test_a_label_in_one_picture_only_is_told_and_kept(run, photo, tmp_path):
    mask, style_mask = halves(tmp_path / "m.png", "red", "blue"), halves(tmp_path / "s.png", "blue", "green")
    result = run("--mask", mask, "--style-mask", style_mask)
    assert result.returncode == 0, said(result)
    assert "#ff0000: 50% of the photo, not in the style mask, kept as it is" in said(result)
    assert "only in the style mask, unused" in said(result)
    painted, own = pixels(tmp_path), read_picture(photo).pixels
    kept, changed = ((painted - own)[..., part].abs().mean() for part in (slice(0, 24), slice(72, 96)))
    assert kept < changed


def test_masks_of_one_label_are_no_mask(run, tmp_path):
    for name in ("m.png", "s.png"):
        Image.new("RGB", (20, 20), "red").save(tmp_path / name)
    result = run("--mask", tmp_path / "m.png", "--style-mask", tmp_path / "s.png", "--quality", "draft")
    assert result.returncode == 0, said(result)
    assert "100% of the photo, painted" in said(result)
    plain = run("--method", "semantic", "--quality", "draft", to="plain.png")
    assert plain.returncode == 0, said(plain)
    assert (pixels(tmp_path) - pixels(tmp_path, "plain.png")).abs().max() < 0.02


def test_what_is_transparent_in_masks_is_a_region(run, tmp_path):
    """A cut-out, as editors write it, divides a picture as two colours do."""
    given = []
    for name, size in (("m.png", (96, 72)), ("s.png", (64, 80))):
        cut = Image.new("RGBA", size, "red")
        cut.paste((255, 0, 0, 0), (0, 0, size[0] // 2, size[1]))
        cut.save(tmp_path / name)
        given.append(tmp_path / name)
    clear = run("--mask", given[0], "--style-mask", given[1])
    assert clear.returncode == 0, said(clear)
    assert "transparent: 50% of the photo, painted" in said(clear)
    same = [halves(tmp_path / f"{file.stem}2.png", "blue", "red") for file in given]
    opaque = run("--mask", same[0], "--style-mask", same[1], to="opaque.png")
    assert opaque.returncode == 0, said(opaque)
    assert (pixels(tmp_path) - pixels(tmp_path, "opaque.png")).abs().max() < 0.02


def test_a_region_of_one_pixel_is_left_alone(run, tmp_path):
    for name in ("m.png", "s.png"):
        image = Image.new("RGB", (96, 72), "red")
        image.putpixel((40, 30), (0, 0, 255))
        image.save(tmp_path / name)
    result = run("--mask", tmp_path / "m.png", "--style-mask", tmp_path / "s.png")
    assert result.returncode == 0, said(result)
    assert "#ff0000" in said(result)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--regions", "four"], "regions are auto:4"),
        (["--regions", "auto:1"], "2 to 16 regions"),
        (["--regions", "auto:40"], "2 to 16 regions"),
        (["--show-regions"], "no regions to show"),
        (["--transform", "gram"], "there are mean, adain, adain_lambda, wct, ost"),
        (["--layers", "relu5_1"], "relu1_1, relu2_1, relu3_1, relu4_1, not at relu5_1"),
        (["--method", "semantic", "--strength", "2"], "strength goes from 0, the photo, to 1"),
        (["--method", "semantic", "--decoder", "nothing.safetensors"], "nothing.safetensors does not exist"),
        (["--method", "patch-swap", "--transform", "ost"], "--transform belongs to --method semantic, not to patch-swap"),
        (["--method", "patch-swap", "-s", "dusk"], "one style picture"),
        (["--method", "doodle", "-s", "dusk"], "one style picture"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(run, words, sentence):
    assert_sentence(run(*words), 2, sentence)


def test_a_learned_style_has_no_regions(photo):
    result = impasto_command("stylize", photo, "-s", "starry-night", "--regions", "auto:3")
    assert_sentence(result, 2, "starry-night is a trained style of metastyle; semantic needs the picture that it was learned from")


def test_masks_that_cannot_be_used_are_said(run, masks, tmp_path):
    assert_sentence(run(*masks, "--regions", "auto:3"), 2, "not both")
    assert_sentence(run(*masks[2:]), 2, "need a mask of the photo too")
    levels = torch.arange(5).float() / 4
    colors = torch.cartesian_prod(levels, levels, levels).T.reshape(3, 5, 25)
    write_picture(Picture(colors.repeat_interleave(10, 1).repeat_interleave(10, 2)), tmp_path / "many.png")
    assert_sentence(run("--mask", tmp_path / "many.png", *masks[2:]), 2, "more than 64 different colours")
    for name, color in (("m.png", "red"), ("s.png", "green")):
        Image.new("RGB", (20, 20), color).save(tmp_path / name)
    assert_sentence(run("--mask", tmp_path / "m.png", "--style-mask", tmp_path / "s.png"), 2, "share no label")


def test_training_a_decoder_makes_a_file_that_paints(photo, painting, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(photo.read_bytes())
    folders = ["train", "decoder", "--content", tmp_path / "photos", "--style", tmp_path / "photos"]
    result = impasto_command(*folders, "--steps", "2", "--batch", "1", "--crop", "64", "-o", tmp_path / "mine.safetensors")
    assert result.returncode == 0, said(result)
    told = said(impasto_command("info", tmp_path / "mine.safetensors"))
    assert "decoder" in told
    assert "parameters" in told
    out = tmp_path / "o.png"
    painted = impasto_command("stylize", photo, "-s", painting, "--decoder", tmp_path / "mine.safetensors", "-o", out)
    assert painted.returncode == 0, said(painted)
    assert_sentence(impasto_command(*folders, "--hidden", "a,b"), 2, "--hidden takes numbers")
