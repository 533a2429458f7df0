"""Scripts beside the package: whatever they import of it exists."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

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
