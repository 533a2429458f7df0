"""What lies in a folder that is to be painted: photos and films, and what is left out, with the reason."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from impasto.errors import InputError
from impasto.files import in_order
from impasto.media.opening import READABLE, is_film, lacking, made_here
from impasto.media.videos import film_made_here


@dataclass(frozen=True)
class Contents:
    """The files of a folder that can be painted, in order, and a sentence on what was left out ("" if nothing was)."""

    files: list[Path]
    left_out: str = ""


def contents(folder: Path, *, beside: Collection[Path] = ()) -> Contents:
    """Photos and films of a folder. Hidden files are passed over, and so are subfolders, which is said.

    beside: files that belong to the job as something else, such as the style picture. Earlier results are recognised by what they say of
    themselves. Raises InputError if the folder cannot be read.
    """
    kept: list[Path] = []
    reasons: Counter[str] = Counter()
    beside_places = {path.resolve() for path in beside}
    try:
        entries = sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=in_order)
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror or error}") from None
    for entry in entries:
        suffix = entry.suffix.lower()
        if entry.is_dir():
            reasons["subfolder"] += 1
        elif not entry.is_file() or (suffix not in READABLE and not is_film(entry)):
            reasons[suffix or "without a suffix"] += 1
        elif extra := lacking(suffix):
            reasons[f"{suffix} (pip install 'impasto[{extra}]' reads them)"] += 1
        elif entry.resolve() in beside_places:
            reasons["style or mask"] += 1
        elif (film_made_here if is_film(entry) else made_here)(entry):
            reasons["painted by Impasto"] += 1
        else:
            kept.append(entry)
    return Contents(kept, _told(folder, reasons))


def _told(folder: Path, reasons: Counter[str]) -> str:
    count = sum(reasons.values())
    if not count:
        return ""
    parts = ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items()))
    return f"{folder}: {count} {'file' if count == 1 else 'files'} left out: {parts}"
