"""Packages import only from layers below their own, and a method never imports another one."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import impasto

ROOT = Path(impasto.__file__).parent
LAYERS = [
    {"errors", "gradients", "names"},
    {"files", "events"},
    {"interrupts", "settings", "media", "motion", "storage"},
    {"perception", "notebook"},
    {"runtime"},
    {"networks"},
    {"backends"},
    {"training"},
    {"methods.declaration"},
    {"methods.*", "evaluation"},
    {"methods.table"},
    {"job"},
    {"api"},
    {"studio"},
    {"cli"},
]
LAYER = {package: number for number, packages in enumerate(LAYERS) for package in packages}


def package_of(parts):
    """The package of a module; each folder of a method is one of its own."""
    return ".".join(parts[:2]) if parts[0] == "methods" and len(parts) > 1 else parts[0]


def layer_of(package):
    return LAYER[package if package in LAYER else "methods.*" if package.startswith("methods.") else package]


def imports():
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] in ("__init__", "__main__"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "impasto":
                target = node.module.split(".")[1:]
                for found in [target] if target else [[alias.name] for alias in node.names]:
                    if found != ["__version__"]:
                        yield path.relative_to(ROOT), package_of(parts), package_of(found)


def test_packages_import_from_lower_layers_alone():
    found = list(imports())
    assert len(found) > 50
    for path, package, target in found:
        fine = layer_of(target) < layer_of(package) or target == package
        assert fine, f"{path} in {package} imports {target}, which is not below it"


def test_what_the_command_line_reads_of_methods_is_free_of_heavy_imports():
    """Declarations and settings are read for every --help; torch alone takes a second."""
    code = (
        "import sys; from impasto.methods.table import methods; methods(); print([m for m in ('torch', 'av', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_only_media_opens_and_writes_pictures():
    for path in ROOT.rglob("*.py"):
        text = path.read_text()
        if path.parent.name != "media":
            assert "from PIL" not in text, path
            assert "import PIL" not in text, path
            assert "import av" not in text, path


def test_nothing_is_ever_unpickled():
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "load"):
                assert any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords), path
            assert not (isinstance(node, ast.Import) and any(a.name in ("pickle", "dill", "joblib") for a in node.names)), path


def test_no_method_is_asked_for_by_its_name_outside_its_folder():
    """What a method can do is in its declaration; the functions of `api` that are of one method take its declaration itself."""
    from impasto.methods.table import methods

    names = set(methods())
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).parts
        if parts[0] in ("methods", "perception"):  # losses have names of papers too
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                words = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)}
                assert not words & names, f"{path}:{node.lineno} compares with {', '.join(words & names)}"


def test_tensors_are_read_and_written_in_one_place():
    for path in ROOT.rglob("*.py"):
        if path.name != "tensors.py":
            assert not re.search(r"^\s*(from|import) safetensors", path.read_text(), re.MULTILINE), path


def test_files_of_the_command_line_are_short():
    for path in (ROOT / "cli").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 200, path
