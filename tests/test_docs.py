"""The docs say nothing that the repository cannot keep: files and commands that they name exist."""

import re
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from impasto.cli import loaded

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@lru_cache
def help_of(command):
    result = CliRunner().invoke(loaded([]), [*command.split(), "--help"], env={"COLUMNS": "300"})
    assert result.exit_code == 0, command
    return result.output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_exist(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_exist(page):
    text = page.read_text(encoding="utf-8")
    lines = re.findall(r"^\s*impasto ((?:train |evaluate )?[a-z]+)([^\n#]*)", text, re.MULTILINE)
    for words in [*lines, *re.findall(r"`impasto ((?:train |evaluate )?[a-z]+)([^`]*)`", text)]:
        told = help_of(words[0])
        for option in re.findall(r"--[a-z-]+", words[1]):
            assert option in told, f"{page.name}: impasto {words[0]} has no {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_that_are_named_exist(page):
    """`folder/module.py` is one of the package, of the tests, or of the repository."""
    places = (ROOT, ROOT / "src/impasto")
    for name in re.findall(r"`([a-z_0-9/]+/\w+\.py)`", page.read_text(encoding="utf-8")):
        assert any((place / name).is_file() for place in places), f"{page.name} names {name}"


def test_the_example_of_a_method_paints():
    """The worked example of docs/architecture.md, as it stands there."""
    import torch

    from impasto.methods.declaration import Style, StyleSource
    from impasto.runtime.device import Place
    from impasto.settings import Controls

    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/architecture.md").read_text(encoding="utf-8"), re.DOTALL)
    found: dict[str, object] = {"__name__": "example"}
    exec(compile(code, "docs/architecture.md", "exec"), found)
    method, cpu = found["METHOD"], Place(torch.device("cpu"), torch.float32)
    source = StyleSource([Style("red", torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).expand(1, 3, 8, 8))])
    painted = method.build(source, Controls(options={"amount": 1.0}), cpu, lambda event: None)(torch.zeros(1, 3, 16, 16))
    assert torch.equal(painted, source.pictures[0][..., :1, :1].expand_as(painted))
    assert list(method.options) == ["amount"]


def test_the_site_is_built_and_a_dead_link_is_an_error(tmp_path):
    """`make docs`: pages and docstrings without a warning; then the same with one link to nowhere."""
    pytest.importorskip("sphinx", reason="the documentation site is an extra")
    pages = shutil.copytree(ROOT / "docs", tmp_path / "docs")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(pages), str(tmp_path / "site")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "stylize" in (tmp_path / "site/api.html").read_text(encoding="utf-8")
    with (pages / "gatys.md").open("a", encoding="utf-8") as page:
        page.write("\n[nowhere](nowhere.md)\n")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "nowhere" in done.stderr
