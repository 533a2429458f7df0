"""The library: styles of one's own by name, for the command line and everything else."""

import pytest
from typer.testing import CliRunner

import impasto
from impasto.cli import loaded
from impasto.errors import InputError, StyleError
from impasto.storage.library import Library
from impasto.storage.registry import ASSETS
from impasto.storage.style_file import read_style
from tests.conftest import scene

DUSK = ASSETS / "styles/dusk.safetensors"


@pytest.fixture
def library(tmp_path, monkeypatch):
    monkeypatch.setenv("IMPASTO_HOME", str(tmp_path / "home"))
    return Library()


def test_styles_come_are_renamed_and_go(library):
    assert library.names() == []
    library.add(DUSK, "evening")
    assert library.names() == ["evening"]
    assert "evening" in library
    assert read_style(library.file("evening")).record.name == "evening"
    library.picture("evening").write_bytes(b"x")
    library.rename("evening", "night")
    assert library.names() == ["night"]
    assert library.picture("night").read_bytes() == b"x"
    assert read_style(library.file("night")).record.name == "night"
    library.remove("night")
    assert not [*library.folder.iterdir()]


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "dusk", "kept"])
def test_names_that_cannot_be(library, name):
    library.add(DUSK, "kept")
    with pytest.raises(InputError):
        library.add(DUSK, name)
    with pytest.raises(InputError):
        library.rename("kept", name)
    assert library.names() == ["kept"]


def test_what_is_not_there_is_said(library, tmp_path):
    for act in (library.file, library.remove, library.picture, lambda name: library.rename(name, "x")):
        with pytest.raises(StyleError, match="no style 'nothing'"):
            act("nothing")
    (tmp_path / "notes.safetensors").write_text("words")
    with pytest.raises(StyleError):
        library.add(tmp_path / "notes.safetensors", "notes")


def test_a_name_is_a_style_everywhere(library, tmp_path):
    library.add(DUSK, "evening")
    scene(64, 48).save(tmp_path / "photo.png")
    controls = impasto.Controls(quality="draft")
    summary = impasto.stylize(tmp_path / "photo.png", "evening", output=tmp_path / "painted/", controls=controls)
    assert summary.painted[0].output.name == "photo-evening.png"
    for words in (["styles"], ["info", "evening"]):
        done = CliRunner().invoke(loaded(words), words)
        assert done.exit_code == 0
    with pytest.raises(StyleError, match="did you mean evening"):
        impasto.open_style("evenin")
