"""The docs say nothing that the repository cannot keep: files and commands that they name exist."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from impasto.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_exist(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_exist(page):
    text = page.read_text(encoding="utf-8")
    for words in re.findall(r"^\s*impasto ((?:train |evaluate )?[a-z]+)([^\n#]*)", text, re.MULTILINE):
        result = CliRunner().invoke(app, [*words[0].split(), "--help"], env={"COLUMNS": "300"})
        assert result.exit_code == 0, words
        for option in re.findall(r"--[a-z-]+", words[1]):
            assert option in result.output, f"{page.name}: impasto {words[0]} has no {option}"
