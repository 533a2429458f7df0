"""Methods are data: their settings, options and help come from one declaration, and a stranger's method is as good as ours."""

import os
import subprocess
import sys
from dataclasses import fields

import pytest

import impasto
from impasto.errors import InputError
from impasto.job.resolve import default_method
from impasto.media.images import read_picture
from impasto.methods import table
from impasto.methods.table import find_method, methods
from impasto.settings import Settings, check_value, choices_of, hints_of

TINY = """
from dataclasses import dataclass
from impasto.methods.declaration import Method
from impasto.settings import Settings, setting

@dataclass(frozen=True)
class TinySettings(Settings):
    amount: float = setting(0.5, "How much of the mean colour of the painting.", low=0, high=1)

def build(source, controls, place, listener):
    settings = TinySettings(**(controls.options or {}))
    color = source.pictures[0].mean((2, 3), keepdim=True)
    return lambda image, *, masks=None: image.lerp(color.expand_as(image), settings.amount)

METHOD = Method("tiny", "the mean colour of the painting", "nobody, 2026", build, [TinySettings])
"""


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """A package as pip installs it, with a method and two broken ones; its folder, which is on the path of this process too."""
    place = tmp_path / "site"
    (place / "tiny-0.1.dist-info").mkdir(parents=True)
    (place / "tiny_method.py").write_text(TINY)
    (place / "tiny-0.1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 0.1\n")
    (place / "tiny-0.1.dist-info/entry_points.txt").write_text(
        "[impasto.methods]\ntiny = tiny_method:METHOD\nbroken = tiny_method:NOTHING\nother = tiny_method:TinySettings\n"
    )
    monkeypatch.syspath_prepend(place)
    forget()
    yield place
    forget()
    sys.modules.pop("tiny_method", None)


def forget():
    table.methods.cache_clear()
    table._others.cache_clear()


def painted(photo, painting, output, **controls):
    (outcome,) = impasto.stylize(photo, painting, output=output, controls=impasto.Controls(**controls)).outcomes
    assert outcome.error is None, outcome.error
    return read_picture(output).pixels


def test_a_method_of_another_package_paints_and_has_its_options_and_its_line(stranger, photo, painting, tmp_path):
    plain, full, chosen = (
        painted(photo, painting, tmp_path / f"{name}.png", **controls)
        for name, controls in (
            ("plain", {"method": "tiny", "quality": "draft", "options": {"amount": 0.0}}),
            ("full", {"method": "tiny", "quality": "draft", "options": {"amount": 1.0}}),
            ("chosen", {"quality": "draft", "options": {"amount": 1.0}}),  # an option that only one method has chooses it
        )
    )
    assert (plain - read_picture(photo).pixels).abs().max() < 0.01
    assert full.flatten(1).std(1).max() < 0.01
    assert (full - chosen).abs().max() == 0
    with pytest.raises(InputError, match="amount goes from 0 to 1, not 2"):
        painted(photo, painting, tmp_path / "wrong.png", options={"amount": 2.0})

    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(stranger), *sys.path]), "COLUMNS": "200"}
    run = lambda *words: subprocess.run(  # noqa: E731
        [sys.executable, "-m", "impasto", *words], capture_output=True, text=True, check=True, env=environment
    )
    assert "--amount" in run("stylize", "--help").stdout
    styles = run("styles")
    assert "the mean colour of the painting" in styles.stdout
    assert "the method 'broken' of tiny_method:NOTHING cannot be loaded" in " ".join(styles.stderr.split())


def test_a_broken_method_of_another_package_is_a_sentence_and_disturbs_nobody(stranger, photo, tmp_path):
    painted(photo, "dusk", tmp_path / "out.png")
    with pytest.raises(InputError, match="the method 'broken' of tiny_method:NOTHING cannot be loaded"):
        painted(photo, "dusk", tmp_path / "out.png", method="broken")
    with pytest.raises(InputError, match="is no method by the name 'other'"):
        painted(photo, "dusk", tmp_path / "out.png", method="other")


@pytest.mark.parametrize("method", methods().values(), ids=lambda method: method.name)
def test_declarations_are_whole(method):
    assert method.title
    assert method.paper
    for group in method.settings:
        assert issubclass(group, Settings)
        for item in fields(group):
            if item.metadata.get("help"):
                check_value(item, hints_of(group)[item.name], item.default)
                assert item.metadata["help"].endswith((".", "%")), item.name
    for name, kind in method.options.items():
        assert name.isidentifier()
        for choice in choices_of(kind):
            assert isinstance(choice, str)


def test_every_kind_of_request_has_one_default():
    for kind in ("pictures", "regions", "shares"):
        assert [method.name for method in methods().values() if kind in method.default_for] == [default_method(kind, methods())]
    with pytest.raises(InputError, match="did you mean solver"):
        find_method("solvr")
