"""Methods are data: their settings, options and help come from one declaration, and a stranger's method is as good as ours."""

import os
import subprocess
import sys
from dataclasses import fields

import pytest

from impasto.errors import InputError
from impasto.job.resolve import default_method
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
def stranger(tmp_path):
    """A package as pip installs it, with a method and a broken one; runs the program where it is installed."""
    place = tmp_path / "site"
    (place / "tiny-0.1.dist-info").mkdir(parents=True)
    (place / "tiny_method.py").write_text(TINY)
    (place / "tiny-0.1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 0.1\n")
    (place / "tiny-0.1.dist-info/entry_points.txt").write_text(
        "[impasto.methods]\ntiny = tiny_method:METHOD\nbroken = tiny_method:NOTHING\nother = tiny_method:TinySettings\n"
    )

    def run(*words):
        paths = os.pathsep.join([str(place), *sys.path])
        command = [sys.executable, "-m", "impasto", *map(str, words)]
        environment = os.environ | {"PYTHONPATH": paths, "COLUMNS": "200"}
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)

    return run


def test_a_method_of_another_package_paints_and_has_its_options_and_its_line(stranger, photo, painting, tmp_path):
    from impasto.media.images import read_picture

    for amount in (0, 1):
        done = stranger("stylize", photo, "-s", painting, "--method", "tiny", "--amount", amount, "-o", f"{amount}.png")
        assert done.returncode == 0, done.stderr
    plain, painted = (read_picture(tmp_path / f"{amount}.png").pixels for amount in (0, 1))
    assert (plain - read_picture(photo).pixels).abs().max() < 0.01
    assert painted.flatten(1).std(1).max() < 0.01
    done = stranger("stylize", photo, "-s", painting, "--amount", "0.2")  # an option that only one method has chooses it
    assert done.returncode == 0, done.stderr
    wrong = stranger("stylize", photo, "-s", painting, "--amount", "2")
    assert wrong.returncode == 2
    assert "amount goes from 0 to 1, not 2" in wrong.stderr
    assert "--amount" in stranger("stylize", "--help").stdout
    assert "the mean colour of the painting" in stranger("styles").stdout


def test_a_broken_method_of_another_package_is_a_sentence_and_disturbs_nobody(stranger, photo):
    done = stranger("stylize", photo, "-s", "dusk", "-o", "out.png")
    assert done.returncode == 0, done.stderr
    done = stranger("stylize", photo, "-s", "dusk", "--method", "broken")
    assert done.returncode == 2
    assert "the method 'broken' of tiny_method:NOTHING cannot be loaded" in done.stderr
    assert "is no method by the name 'other'" in stranger("stylize", photo, "-s", "dusk", "--method", "other").stderr
    assert "broken" in stranger("styles").stderr


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
