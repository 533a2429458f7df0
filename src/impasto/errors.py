"""The errors that Impasto raises on purpose: each is one clear sentence for the person at the keyboard."""

import difflib
from collections.abc import Iterable


class ImpastoError(Exception):
    """Something went wrong that the message explains. The command line exits with 1."""

    exit_code = 1


class InputError(ImpastoError):
    """What was given cannot be used: a missing file, a wrong format, an impossible setting. Exit code 2."""

    exit_code = 2


class PictureError(InputError):
    """A file that should be a picture is not one, or cannot be read or written as one."""


class WeightsError(InputError):
    """A file of weights is foreign, truncated, of another network, or refused because it is a pickle."""


class StyleError(InputError):
    """A style is unknown, or its file is not what a style file should be."""


class ReplaceError(StyleError):
    """A style file is there already that holds another painting, or one that was learned with other settings."""


class UnavailableError(ImpastoError):
    """Something that has to be fetched is neither bundled nor cached, and the network did not give it."""


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """The sentence about a name that there is not, with the one that was probably meant."""
    names = list(known)
    near = difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"there is no {kind} {name!r}; {hint}there {'are' if len(names) != 1 else 'is'} {', '.join(names)}"


_SPELLED = {"soft": "--hard"}


def option(name: str) -> str:
    """A setting as it is typed on the command line: --content-weight for content_weight."""
    return _SPELLED.get(name, f"--{name.replace('_', '-')}")
