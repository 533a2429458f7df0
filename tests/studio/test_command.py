"""What is copied as a command is, word for word, what the command line takes for the same request."""

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("fastapi", reason="the studio needs its extra")

import impasto.cli.stylize as stylize
from impasto.cli import loaded
from impasto.job.outcome import Summary
from impasto.settings import Controls
from impasto.storage.library import Library
from impasto.studio import asked
from impasto.studio.folders import Folders
from impasto.studio.shelf import Kept

CASES = {
    "plain": {},
    "shared controls": {
        "size": 700,
        "strength": 0.35,
        "stroke": 1.75,
        "keep_color": "coral",
        "quality": "best",
        "seed": 7,
        "keep_metadata": True,
    },
    "options": {"method": "gatys", "options": {"iterations": 30, "levels": 2}},
    "numbers": {"method": "solver", "options": {"scales": [1, 1, 0.5, 0, 0]}},
    "switches": {"method": "semantic", "options": {}},
    "mixture": {"styles": [{"style": "dusk", "weight": 0.25}, {"style": "woodcut", "weight": 0.75}]},
    "regions": {"regions": 5},
}


class Shelf:
    """A shelf that has everything."""

    def file(self, key):
        return Path(f"{key}.png")

    view = file

    def find(self, key):
        return Kept(key, f"{key}.png")


@pytest.mark.parametrize("name", CASES)
def test_the_command_asks_for_the_same(name, monkeypatch, tmp_path):
    body = {"photo": "photo", "styles": [{"style": "dusk"}], **CASES[name]}
    wanted = asked.PaintAsked.model_validate(body)
    place = asked.Place(Shelf(), Library(tmp_path), Folders([]))
    command = asked.command(wanted, place, max_megapixels=Controls.max_megapixels)
    seen = []
    monkeypatch.setattr(stylize, "_performed", lambda request: seen.append(request) or Summary([]))
    monkeypatch.setattr("impasto.job.quick.paint_at_once", lambda request: None)
    done = CliRunner().invoke(loaded(["stylize"]), shlex.split(command)[1:], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    controls = asked.controls_of(wanted, max_megapixels=Controls.max_megapixels)
    expected = asked.photo_request(wanted, place, None, controls)
    (request,) = seen
    assert request.controls == expected.controls
    assert [str(style) for style in request.styles] == [str(style) for style in expected.styles]
    assert request.weights == expected.weights
    assert request.regions == expected.regions
    assert [str(path) for path in request.inputs] == [str(path) for path in expected.inputs]


def test_every_setting_that_is_offered_can_be_typed(monkeypatch, tmp_path):
    """Each option of each method, at a value that is not its usual one, comes through the command line as it was asked for."""
    place = asked.Place(Shelf(), Library(tmp_path), Folders([]))
    seen = []
    monkeypatch.setattr(stylize, "_performed", lambda request: seen.append(request) or Summary([]))
    monkeypatch.setattr("impasto.job.quick.paint_at_once", lambda request: None)
    program, tried = loaded(["stylize"]), 0
    for method in asked.offered():
        for option in method["options"]:
            value = other(option)
            wanted = asked.PaintAsked(photo="photo", styles=[{"style": "dusk"}], method=method["name"], options={option["name"]: value})
            command = asked.command(wanted, place, max_megapixels=Controls.max_megapixels)
            done = CliRunner().invoke(program, shlex.split(command)[1:], catch_exceptions=False)
            assert done.exit_code == 0, f"{command}: {done.output}"
            assert seen.pop().controls.options == asked.controls_of(wanted, max_megapixels=100).options, command
            tried += 1
    assert tried > 30


def other(option):
    """A value of an option that is not its usual one."""
    if option["flag"] is not None:
        return option["flag"]
    if option["kind"] == "switch":
        return not option["default"]
    if option["kind"] == "choice":
        return next(choice for choice in option["choices"] if choice != option["default"])
    if option["kind"] == "numbers":
        return [number + 1 for number in option["default"] or [1, 2]]
    return 3 if option["kind"] == "integer" else 0.625
