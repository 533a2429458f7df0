"""What notebooks show: styles, results, progress; the example runs."""

import io
from pathlib import Path

import pytest
import torch
from PIL import Image

import impasto
from impasto.events import Event
from impasto.job.outcome import Outcome, Summary
from tests.conftest import scene

EXAMPLE = Path(__file__).parent.parent / "examples/notebook.ipynb"


def picture(data):
    return Image.open(io.BytesIO(data))


def test_styles_show_themselves(tmp_path):
    scene(900, 600).save(tmp_path / "painting.png")
    assert picture(impasto.open_style(tmp_path / "painting.png")._repr_png_()).size == (640, 427)
    learned = picture(impasto.open_style("dusk")._repr_png_())
    assert learned.size == (256, 256)
    assert learned.tobytes() != picture(impasto.open_style("woodcut")._repr_png_()).tobytes()


def test_results_show_themselves(tmp_path):
    for number in range(2):
        scene(96, 64).save(tmp_path / f"{number}.png")
    outcomes = [Outcome(tmp_path / "x.png", tmp_path / f"{number}.png") for number in range(2)]
    assert picture(outcomes[0]._repr_png_()).size == (96, 64)
    assert picture(Summary(outcomes)._repr_png_()).size == (192, 64)
    (tmp_path / "film.mp4").write_bytes(b"x")
    assert Outcome(tmp_path / "x", tmp_path / "film.mp4")._repr_png_() is None
    assert Summary([Outcome(tmp_path / "x", error=impasto.InputError("no"))])._repr_png_() is None


def test_progress_shows_a_bar_and_the_picture():
    progress = impasto.Progress("<b>painting</b>")
    progress(Event(1, 4, 2.0, {"loss": 0.5}, torch.rand(3, 20, 30)))
    page = progress.page(Event(2, 4, 2.0, {"loss": 0.25}))
    assert '<progress max="4" value="2">' in page
    assert "2 of 4, 2 s, 2 s left, loss 0.2500" in page
    assert "data:image/png;base64," in page
    assert "<b>" not in page, "names are never markup"


@pytest.mark.long
def test_the_example_runs(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="notebooks are run with nbclient and ipykernel")
    pytest.importorskip("ipykernel", reason="notebooks are run with nbclient and ipykernel")
    pytest.importorskip("skimage", reason="the example shows a photograph of scikit-image")
    import nbformat

    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))  # what was learned before shows no bar

    notebook = nbformat.read(EXAMPLE, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "results are not part of the repository"
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert len([data for data in outputs if "image/png" in data]) >= 6
    assert len([data for data in outputs if "<progress" in data.get("text/html", "")]) == 2
    assert (tmp_path / "painted/photo-painting-starry-night.png").is_file()
