"""A page that paints in the browser: small networks as ONNX files, and everything that they need, in a folder for any static server."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from impasto.errors import InputError, StyleError
from impasto.events import Event, Listener
from impasto.files import check_folder, sha256_of
from impasto.job.export import export_network
from impasto.job.request import PathLike
from impasto.job.styles import find_style
from impasto.job.web_engine import fetched_engine
from impasto.media.images import Picture, write_picture
from impasto.methods.declaration import Style
from impasto.storage.registry import ASSETS, bundled
from impasto.training.samples import sample

PAGE = ASSETS / "web"
VENDOR = "vendor"
"""The folder of onnxruntime-web inside the page."""
_NOT_HELD = {"README.txt", "_headers", "sw.js", f"{VENDOR}/NOTICE.txt"}
"""Files of the page that no browser needs."""


def export_page(folder: PathLike, styles: Sequence[PathLike], listener: Listener) -> Path:
    """Write the page. styles: learned ones; all bundled small networks if there is none.

    listener: is told of the megabytes of onnxruntime-web, which is fetched once, and of each style.
    Raises InputError for a folder that holds something else, StyleError for what is not learned, UnavailableError without onnxruntime-web.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or (any(target.iterdir()) and not (target / "styles.json").is_file())):
        raise InputError(f"{target} holds something else already: give a new folder for the page")
    check_folder(target / "index.html")
    names = list(styles) or [name for name in bundled("style") if name.endswith("-live")]
    found = [find_style(name) for name in names]
    shown = [describe(style) for style in found]
    if len({style.name for style in found}) < len(found):
        raise InputError("two styles have the same name")
    engine = fetched_engine(listener)
    shutil.copytree(PAGE, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(VENDOR))
    for part in (VENDOR, "models", "pictures"):  # of an earlier page
        shutil.rmtree(target / part, ignore_errors=True)
    shutil.copytree(engine, target / VENDOR)
    for number, (name, style, facts) in enumerate(zip(names, found, shown, strict=True)):
        model = export_model(name, target / facts["model"])
        facts["model"] = f"models/{style.name}-{sha256_of(model)[:12]}.onnx"  # browsers keep it: another network has another address
        model.rename(target / facts["model"])
        assert style.file is not None
        write_picture(Picture(sample(style.file)), target / facts["picture"])
        listener(Event(number + 1, len(found), 0.0))
    (target / "styles.json").write_text(json.dumps(shown, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    _mark(target)
    return target


def export_model(style: PathLike, output: Path) -> Path:
    """Write what the page paints with: strength is an input; a grain would stand still in films. Raises ImpastoError."""
    return export_network(style, output, inputs=("strength",), grain=False)


def describe(style: Style) -> dict[str, str]:
    """What the page knows of a style. Raises StyleError for a picture."""
    if style.file is None:
        raise StyleError(f"{style.name} is a picture, and a network is exported: impasto adapt PICTURE --for live makes one of it")
    record = bundled("style").get(style.name)
    return {
        "name": style.name,
        "title": (record.title if record else style.name).removesuffix(", for live films"),
        "by": record.source if record else style.file.record.source,
        "licence": style.file.record.licence,
        "model": f"models/{style.name}.onnx",
        "picture": f"pictures/{style.name}.jpg",
    }


def _mark(page: Path) -> None:
    """Tell the page's service worker which files there are, and the version that they make: it holds them for use offline."""
    files = sorted(path.relative_to(page).as_posix() for path in page.rglob("*") if path.is_file())
    held = [name for name in files if name not in _NOT_HELD]
    version = hashlib.sha256("".join(f"{name} {sha256_of(page / name)}\n" for name in files).encode()).hexdigest()[:16]
    for name, begin, value in (("sw.js", "const FILES = ", json.dumps(held)), ("sw.js", "const VERSION = ", json.dumps(version))):
        _put(page / name, f"{begin}null;", f"{begin}{value};")
    _put(page / "index.html", '<html lang="en">', f'<html lang="en" data-version="{version}">')


def _put(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    if old not in text:
        raise RuntimeError(f"{path.name} has no {old}")
    path.write_text(text.replace(old, new), encoding="utf-8")
