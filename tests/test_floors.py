"""The house keeps its floors: a module imports only from floors below its own, or from its own room."""

import ast
from pathlib import Path

import impasto

ROOT = Path(impasto.__file__).parent
FLOORS = [
    {"errors", "names"},
    {"files", "events"},
    {"interrupts", "settings", "media", "perception", "motion", "styles", "networks"},
    {"runtime"},
    {"training"},
    {"metastyle", "solver", "semantic", "distillation", "reference", "evaluation"},
    {"methods"},
    {"regions"},
    {"api"},
    {"cli", "app"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def imports():
    for path in ROOT.rglob("*.py"):
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if room in ("__init__", "__main__"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "impasto":
                parts = node.module.split(".")[1:]
                for target in [parts[0]] if parts else [alias.name for alias in node.names]:
                    yield path.relative_to(ROOT), room, target


def test_every_room_stands_on_lower_floors():
    found = list(imports())
    assert len(found) > 50
    for path, room, target in found:
        if target == "__version__":
            continue
        assert room in FLOOR, f"{room} has no floor"
        assert target in FLOOR, f"{target} has no floor"
        fine = FLOOR[target] < FLOOR[room] or target == room
        # Within the two lowest floors rooms hold nothing of each other but the plain words of `settings` and `events`.
        assert fine, f"{path} on floor {FLOOR[room]} imports {target} from floor {FLOOR[target]}"


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
