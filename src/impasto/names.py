"""Names that come out of files, hubs and archives: they are names, never paths, and are checked before anything is done with them."""

import re

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
LONGEST_NAME, MOST_BYTES = 100, 200
"""Of names, in characters and bytes: file systems take 255 bytes, suffix included."""
_LONGEST_SUFFIX = 11


def is_plain_name(name: object) -> bool:
    """Whether something is a name that can be a file's on every system: no folder, no leading dot, nothing unprintable."""
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or name != name.strip():
        return False
    if len(name.encode("utf-8", "replace")) > MOST_BYTES:
        return False
    return not (_FORBIDDEN.search(name) or name.startswith(".") or not name.isprintable())


def as_plain_name(name: str) -> str:
    """A name made plain: what cannot stand in a file's name becomes a dash, and one that is too long is cut in front of its suffix; "style"
    if nothing is left.
    """
    shown = "".join(part if part.isprintable() else "-" for part in _FORBIDDEN.sub("-", name))
    shown = shown.strip().lstrip(".-")
    if len(shown) > LONGEST_NAME or len(shown.encode("utf-8", "replace")) > MOST_BYTES:
        stem, dot, suffix = shown.rpartition(".")
        ending = f".{suffix}" if dot and len(suffix) <= _LONGEST_SUFFIX and suffix.isascii() else ""
        cut = (stem if ending else shown)[: LONGEST_NAME - len(ending)].encode("utf-8", "replace")
        shown = cut[: MOST_BYTES - len(ending)].decode("utf-8", "ignore").strip() + ending
    return shown or "style"
