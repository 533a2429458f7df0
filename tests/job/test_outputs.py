"""Where results go: never onto an input, never two in one place, and what a folder holds beside is said."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from impasto.errors import InputError
from impasto.job.parts import _part_of
from impasto.job.plan import plan
from impasto.job.request import Part, Request
from impasto.media.images import Picture, write_picture
from impasto.runtime.outputs import Outputs, is_folder, names_of
from tests.conftest import scene
from tests.films import make_film


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    scene(40, 40).save(path)
    return path


def test_cameras_number_alike(tmp_path):
    sources = [picture(tmp_path / f"cam{n}" / "IMG_0001.png") for n in (1, 2)]
    assert [job.output.name for job in plan(sources, tmp_path / "out", "x").jobs] == ["cam1-IMG_0001-x.png", "cam2-IMG_0001-x.png"]


def test_names_that_differ_in_case_only_are_one_on_many_disks(tmp_path):
    sources = [picture(tmp_path / "a" / "Photo.png"), picture(tmp_path / "b" / "photo.png")]
    names = [job.output.name.lower() for job in plan(sources, tmp_path / "out", "x").jobs]
    assert len(set(names)) == 2


def test_a_result_of_one_is_never_the_other_input(tmp_path):
    """a.png painted in x would become a-x.png, which is a photo of the same job."""
    sources = [picture(tmp_path / name) for name in ("a.png", "a-x.png")]
    jobs = plan(sources, tmp_path, "x", regions=True).jobs
    outputs = [path for job in jobs for path in (job.output, job.shown)]
    assert not {path.name for path in outputs} & {"a.png", "a-x.png"}
    assert len({path.name for path in outputs}) == 4


def test_a_named_output_that_is_an_input_is_refused(tmp_path):
    photo, mask, link = picture(tmp_path / "a.png"), picture(tmp_path / "mask.png"), tmp_path / "link.png"
    link.symlink_to(photo)
    for output in (photo, mask, link, tmp_path / "." / "a.png", tmp_path / "A.PNG"):
        with pytest.raises(InputError, match="is an input itself"):
            plan([photo], output, "x", beside=[mask])


def test_folders_of_frames_never_become_their_own_output(tmp_path):
    for number in range(3):
        picture(tmp_path / "frames" / f"{number}.png")
    with pytest.raises(InputError, match="is an input itself"):
        plan([tmp_path / "frames"], tmp_path / "frames", "x", frames=True)
    twins = [tmp_path / "frames", tmp_path / "other" / "frames"]
    picture(twins[1] / "0.png")
    assert len({job.output for job in plan(twins, tmp_path / "out", "x", frames=True).jobs}) == 2


def test_results_of_earlier_runs_are_left_out_of_a_folder(tmp_path):
    picture(tmp_path / "a.png")
    make_film(tmp_path / "b.mp4", count=2)
    write_picture(Picture(torch.rand(3, 40, 40)), tmp_path / "a-dusk.png")
    write_picture(Picture(torch.rand(3, 40, 40)), tmp_path / "unrelated name.jpg")
    (tmp_path / "note.txt").write_text("words")
    (tmp_path / "inside").mkdir()
    style = picture(tmp_path / "style.png")
    planned = plan([tmp_path], tmp_path, "dusk", beside=[style])
    assert [job.source.name for job in planned.jobs] == ["a.png", "b.mp4"]
    (said,) = planned.left_out
    assert "5 files left out: 1 .txt, 2 painted by Impasto, 1 style or mask, 1 subfolder" in said
    named = plan([tmp_path / "a-dusk.png"], tmp_path, "scream")
    assert [job.source.name for job in named.jobs] == ["a-dusk.png"], "a file that is named is painted"


def test_a_slash_makes_a_folder_whatever_the_name(tmp_path):
    photo = picture(tmp_path / "a.png")
    (job,) = plan([photo], f"{tmp_path}/trip.2024/", "x").jobs
    assert job.output == tmp_path / "trip.2024" / "a-x.png"
    assert is_folder("new")
    assert not is_folder("new.png")


FILES = st.tuples(st.sampled_from(["", "a", "b", "A"]), st.sampled_from(["p", "P", "q", "p-x", "p-2"]), st.sampled_from([".png", ".jpg"]))


@given(st.lists(FILES, min_size=1, max_size=8, unique=True))
def test_any_mixture_of_names_gives_as_many_outputs(parts):
    sources = [Path("/nowhere") / folder / f"{stem}{suffix}" for folder, stem, suffix in parts]
    outputs = Outputs(sources)
    chosen = [outputs.chosen(Path("/nowhere") / f"{name}.png") for name in names_of(sources)]
    keys = [str(path).casefold() for path in chosen]
    assert len(set(keys)) == len(sources)


def test_two_results_cannot_be_asked_into_one_place(tmp_path):
    outputs = Outputs()
    outputs.asked(tmp_path / "a.png")
    with pytest.raises(InputError, match="two results"):
        outputs.asked(tmp_path / "A.png")
    assert outputs.chosen(tmp_path / "a.png").name == "a-2.png"


LONG = {"latin": "a" * 246, "chinese": "写" * 83}


@pytest.mark.parametrize("name", LONG.values(), ids=LONG)
def test_names_near_the_limit_are_shortened_and_that_is_said(tmp_path, name):
    source = picture(tmp_path / f"{name}.png")
    planned = plan([source], tmp_path / "out", "starry-night", regions=True)
    (job,) = planned.jobs
    for path in (job.output, job.shown):
        assert len(os.fsencode(path.name)) <= 255
        assert path.name.startswith(name[:30])
    assert job.output.name.endswith("-starry-night.png")
    assert any(job.output.name in said and "shortened" in said for said in planned.left_out)


def test_shortened_names_of_one_job_and_of_others_stay_distinct(tmp_path):
    sources = [picture(tmp_path / f"{'a' * 120}{number}{'a' * 125}.png") for number in range(3)]
    together = [job.output.name for job in plan(sources, tmp_path / "out", "x" * 20).jobs]
    alone = [plan([source], tmp_path / "out", "x" * 20).jobs[0].output.name for source in sources]
    assert together == alone
    assert len(set(alone)) == 3


def test_a_name_of_a_user_that_is_too_long_is_refused_before_anything_is_read(tmp_path):
    for request in (
        {"inputs": ["x" * 300 + ".png"], "styles": ["dusk"]},
        {"inputs": [tmp_path / "missing.png"], "styles": ["dusk"], "output": tmp_path / ("x" * 300 + ".png")},
        {"inputs": [tmp_path / "missing.png"], "styles": ["dusk"], "output": tmp_path / ("x" * 300) / "a.png"},
        {"inputs": [tmp_path / "missing.png"], "styles": ["x" * 300 + ".png"]},
    ):
        with pytest.raises(InputError, match="is too long"):
            Request(**request)


def test_a_part_of_a_film_with_a_long_name_is_found_again(tmp_path):
    output = tmp_path / f"{'写' * 83}.mp4"
    parts = [Part(number, 12).named(output) for number in range(1, 13)]
    assert len({path.name for path in parts}) == 12
    assert all(len(os.fsencode(path.name)) <= 255 for path in parts)
    assert [_part_of(path, output) for path in parts] == [Part(number, 12) for number in range(1, 13)]
    assert _part_of(tmp_path / f"{'写' * 10}.part-1-of-12.mp4", output) is None
