"""Where styles and networks lie that a job names; free of heavy imports."""

import os
from pathlib import Path

from impasto.job.request import PathLike
from impasto.job.resolve import default_method
from impasto.methods.table import methods
from impasto.settings import AUTO, Controls
from impasto.storage.library import Library
from impasto.storage.registry import bundled, locate


def path_of_style(style: PathLike, *, method: str = AUTO) -> Path:
    """The file of a bundled name, of a name in the library, or of a path, which may not be there. Raises StyleError.

    A bundled name means its trained network, or for other methods its picture where that is bundled too.
    """
    text = os.fspath(style)
    if text in bundled("painting") and method not in (AUTO, default_method("names", methods())):
        return locate(text, "painting")
    if text in bundled("style"):
        return locate(text, "style")
    library = Library()
    return library.file(text) if text in library else Path(text)


def files_of(controls: Controls) -> list[Path]:
    """The files that the controls name: other networks."""
    options = controls.options or {}
    named = [controls.encoder, *(options[name] for name in ("decoder", "solver") if options.get(name))]
    return [Path(name) for name in named if Path(name).is_file()]
