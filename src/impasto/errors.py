"""The errors that Impasto raises on purpose: each is one clear sentence for the person at the keyboard."""


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


class UnavailableError(ImpastoError):
    """Something that has to be fetched is neither bundled nor cached, and the network did not give it."""
