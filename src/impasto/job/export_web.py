"""A page that paints in the browser: small networks as ONNX files, and everything that they need, in a folder for any static server."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from impasto.errors import InputError, StyleError, UnavailableError
from impasto.events import Event, Listener
from impasto.files import check_folder
from impasto.job.export import export_network
from impasto.job.request import PathLike
from impasto.job.styles import find_style
from impasto.media.images import Picture, write_picture
from impasto.methods.declaration import Style
from impasto.storage.registry import ASSETS, bundled
from impasto.training.samples import sample

PAGE = ASSETS / "web"
VENDOR = "vendor"
"""The folder of onnxruntime-web inside the page."""


def export_page(folder: PathLike, styles: Sequence[PathLike], listener: Listener) -> Path:
    """Write the page. styles: learned ones; all bundled small networks if there is none. listener: is told of each style.

    Raises InputError for a folder that holds something else, StyleError for what is not learned, UnavailableError without onnxruntime-web.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or (any(target.iterdir()) and not (target / "styles.json").is_file())):
        raise InputError(f"{target} holds something else already: give a new folder for the page")
    check_folder(target / "index.html")
    check_engine()
    names = list(styles) or [name for name in bundled("style") if name.endswith("-live")]
    found = [find_style(name) for name in names]
    shown = [describe(style) for style in found]
    if len({style.name for style in found}) < len(found):
        raise InputError("two styles have the same name")
    shutil.copytree(PAGE, target, dirs_exist_ok=True)
    for number, (name, style, facts) in enumerate(zip(names, found, shown, strict=True)):
        export_model(name, target / facts["model"])
        assert style.file is not None
        write_picture(Picture(sample(style.file)), target / facts["picture"])
        listener(Event(number + 1, len(found), 0.0))
    (target / "styles.json").write_text(json.dumps(shown, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return target


def check_engine() -> None:
    """Raises UnavailableError if there is no onnxruntime-web."""
    if not any((PAGE / VENDOR).glob("*.wasm")):
        raise UnavailableError("the page runs on onnxruntime-web, which is not here: `make web` fetches it once, by npm")


def export_model(style: PathLike, output: Path) -> None:
    """Write what the page paints with: strength is an input; a grain would stand still in films. Raises ImpastoError."""
    export_network(style, output, inputs=("strength",), grain=False)


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
