"""Scripts beside the package: whatever they import of it exists."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from impasto.methods.table import recipes
from impasto.storage.registry import ASSETS

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted(path for folder in ("benchmarks", "examples", "tools") for path in (ROOT / folder).glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_everything_that_a_script_imports_exists(script):
    found = 0
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "impasto":
            module = import_module(node.module)
            for name in node.names:
                assert hasattr(module, name.name) or import_module(f"{node.module}.{name.name}"), f"{script} imports {name.name}"
                found += 1
    uses = re.search(r"^\s*(from|import) impasto\b", script.read_text(), re.MULTILINE)
    assert found or uses is None or "import impasto" in script.read_text()


@pytest.fixture
def plan_of_trainings(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    yield import_module("train_all")
    sys.modules.pop("train_all")


def test_the_plan_names_trainings_options_and_files_that_exist(plan_of_trainings, tmp_path):
    (tmp_path / "style/train").mkdir(parents=True)
    for size in ("cpu", "cuda", "tiny"):
        device = "cuda" if size == "cuda" else "cpu"
        plan = plan_of_trainings.Plan(tmp_path, tmp_path / "vgg.safetensors", tmp_path, device, size == "tiny")
        for stage in plan_of_trainings.STAGES:
            if isinstance(stage, plan_of_trainings.Script):
                continue
            assert (ASSETS / stage.replaces).is_file()
            recipe = recipes()[stage.name_of_training]
            (tmp_path / f"{stage.name}.steps").write_text("100")  # as timed on a GPU
            parts = stage.parts(plan)
            assert parts[-1][0].name == Path(stage.replaces).name
            words = [*stage.options(plan), *(word for _, _, more in parts for word in more)]
            names = [word.removeprefix("--").replace("-", "_") for word in words if word.startswith("--")]
            settings = set(recipe.settings().__dataclass_fields__)
            assert set(names) <= {*recipe.takes, *settings, "device"}, stage.name


def test_the_scripts_of_the_plan_know_their_options(plan_of_trainings, tmp_path):
    (tmp_path / "style/val").mkdir(parents=True)
    words: dict[str, set[str]] = {}
    for tiny in (False, True):
        plan = plan_of_trainings.Plan(tmp_path, tmp_path / "vgg.safetensors", tmp_path, "cpu", tiny)
        scripts = (stage for stage in plan_of_trainings.STAGES if isinstance(stage, plan_of_trainings.Script))
        for script, *rest in (command for stage in scripts for command in stage.commands(plan)):
            words.setdefault(script, set()).update(word for word in rest if word.startswith("--"))
    for script, given in words.items():
        told = subprocess.run([sys.executable, ROOT / script, "--help"], capture_output=True, text=True, check=True).stdout
        assert given <= set(re.findall(r"--[a-z-]+", told)), script


def test_the_plan_refuses_what_is_worse(plan_of_trainings):
    shipped = {"share": 0.90, "content ratio": 1.5}
    assert plan_of_trainings.is_better({"share": 0.92, "content ratio": 1.52}, shipped)
    assert not plan_of_trainings.is_better({"share": 0.92, "content ratio": 1.7}, shipped)
    assert not plan_of_trainings.is_better({"share": 0.89, "content ratio": 1.2}, shipped)
    assert not plan_of_trainings.is_better(shipped, shipped)
