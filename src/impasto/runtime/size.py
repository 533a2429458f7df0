"""The size that a picture or a film is painted at."""

from itertools import count

from impasto.errors import PictureError
from impasto.media.stills import fit_within

LEAST_SIDE = 32
"""Pictures with a shorter side below this, after fitting to the size, are refused."""

LEAST_LEVEL = 128
"""What the shorter side of a pyramid's coarsest level is at least, in pixels, where nothing else is said."""


def usual_size(asked: int | None, usual: int) -> int:
    """The longer side that was asked for, 0 for any, or the usual one."""
    return usual if asked is None else asked


def working_size(size: tuple[int, int], longest: int, origin: str = "the picture") -> tuple[int, int]:
    """Height and width that a picture is painted at: fitted to `longest` if it is larger. Raises PictureError if too thin."""
    fitted = fit_within(size, longest) if longest and max(size) > longest else size
    if min(fitted) < LEAST_SIDE:
        shrunk = "" if fitted == size else f", {fitted[1]}x{fitted[0]} at a size of {longest}"
        raise PictureError(
            f"{origin} has {size[1]}x{size[0]} pixels{shrunk}; at least {LEAST_SIDE} on each side are needed to paint{_way_out(size)}"
        )
    return fitted


def _way_out(size: tuple[int, int]) -> str:
    """Which size works, if one does."""
    if min(size) < LEAST_SIDE:
        return ""
    needed = next(longest for longest in count(max(size) * (LEAST_SIDE - 1) // min(size)) if min(fit_within(size, longest)) >= LEAST_SIDE)
    return f": --size {needed} works, and so does every larger one"


def pyramid(size: tuple[int, int], levels: int, *, least: int = LEAST_LEVEL) -> list[tuple[int, int]]:
    """Sizes (height, width) from coarse to fine, halving; those whose shorter side is below `least` are left out."""
    sizes = [(round(size[0] / 2**k), round(size[1] / 2**k)) for k in range(levels)]
    return [s for s in reversed(sizes) if min(s) >= least or s == sizes[0]]
