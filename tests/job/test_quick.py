"""Drafts without PyTorch: they are what the usual way paints, and whatever is not simple is left to it."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from impasto.events import silence
from impasto.job.perform import perform
from impasto.job.quick import paint_at_once
from impasto.job.request import RegionRequest, Request
from impasto.media.images import Picture, read_picture, write_picture
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import to_style_file
from impasto.settings import Controls
from impasto.storage.style_file import StyleRecord, write_style

pytest.importorskip("openvino", reason="the extra openvino is not installed")
DRAFT = Controls(quality="draft", precision="float32")


@pytest.fixture
def style(tmp_path):
    torch.manual_seed(0)
    return write_style(tmp_path / "mine.safetensors", to_style_file(StyleNetwork(8, 1, smooth=True), StyleRecord("mine", "metastyle")))


@pytest.fixture
def photo(tmp_path):
    pixels = torch.rand(3, 70, 90, generator=torch.Generator().manual_seed(1))
    alpha = torch.rand(1, 70, 90, generator=torch.Generator().manual_seed(2))
    return write_picture(Picture(pixels, alpha), tmp_path / "photo.png")


def request(photo, style, output=None, controls=DRAFT, **more):
    return Request([photo], [style], output, controls=controls, **more)


@pytest.mark.parametrize("controls", [{}, {"strength": 0.4}, {"size": 64}, {"stroke": None, "seed": 3}])
def test_it_is_what_the_usual_way_paints(photo, style, tmp_path, controls):
    controls = replace(DRAFT, **controls)
    quick = paint_at_once(request(photo, style, tmp_path / "quick.png", controls))
    (painted,) = quick.painted
    (usual,) = perform(request(photo, style, tmp_path / "usual.png", controls), silence).painted
    assert (painted.source, painted.size) == (usual.source, usual.size)
    ours, theirs = (read_picture(outcome.output) for outcome in (painted, usual))
    assert (ours.pixels - theirs.pixels).abs().max() <= 1.01 / 255
    assert torch.equal(ours.alpha, theirs.alpha)


def test_where_openvino_cannot_be_loaded_it_is_left_to_the_usual_way(photo, style, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert paint_at_once(request(photo, style, tmp_path / "quick.png")) is None
    assert not (tmp_path / "quick.png").exists()


def test_results_are_named_as_ever(photo, style, tmp_path):
    (painted,) = paint_at_once(request(photo, style, f"{tmp_path}/results/")).painted
    assert painted.output == tmp_path / "results" / "photo-mine.png"
    assert painted.output.is_file()


def test_pytorch_is_not_loaded(photo, style, tmp_path):
    words = ["impasto", "stylize", str(photo), "-s", str(style), "--quality", "draft", "-o", str(tmp_path / "painted.png")]
    code = f"import sys; sys.argv = {words!r}\nfrom impasto.cli import main\ntry: main()\nfinally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert read_picture(tmp_path / "painted.png").size == (70, 90)


def test_whatever_is_not_simple_or_wrong_is_left_to_the_usual_way(photo, style, tmp_path):
    deep, large, film = tmp_path / "deep.tiff", tmp_path / "large.png", tmp_path / "film.mp4"
    film.write_bytes(b"no film")
    import cv2

    cv2.imwrite(str(deep), np.full((64, 64, 3), 40_000, np.uint16))
    write_picture(Picture(torch.rand(3, 32, 700)), large)
    output = tmp_path / "result.png"
    for asked in (
        request(photo, style, output, replace(DRAFT, quality="fine")),
        request(photo, style, output, replace(DRAFT, keep_color="luma")),
        request(photo, style, output, replace(DRAFT, backend="torch")),
        request(photo, style, output, replace(DRAFT, precision="int8")),
        request(photo, style, output, replace(DRAFT, device="cuda")),
        request(photo, style, output, replace(DRAFT, options={"steps": 3})),
        request(photo, style, output, replace(DRAFT, quality="nonsense")),
        request(photo, photo, output),
        request(photo, "no-such-style", output),
        request(tmp_path / "missing.png", style, output),
        request(photo, style, photo),
        request(photo, style, tmp_path / "result.jpg"),  # which holds no alpha
        request(photo, style, output, regions=RegionRequest(count=3)),
        request(deep, style, output),
        request(large, style, output),
        request(film, style, output),
        Request([photo], [style, style], output, controls=DRAFT),
    ):
        before = sorted(tmp_path.iterdir())
        assert paint_at_once(asked) is None
        assert sorted(tmp_path.iterdir()) == before
