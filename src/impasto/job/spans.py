"""Stretches of a film, for several machines: of about the same length, and each begins with a shot where one begins near."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from impasto.job.moving import MovingPicture
from impasto.media.film_writer import PIECE, slot_of
from impasto.media.videos import FilmInfo
from impasto.motion.cuts import Cuts

SEARCH = 5
"""Seconds before and after an even border in which a cut is looked for."""

LEAST = 2 * PIECE
"""Frames of a stretch at the least, on average."""


@dataclass(frozen=True)
class Span:
    """Frames from the time `begin` on and before `end`, in units of the film's time base; None for its beginning and its end."""

    begin: int | None = None
    end: int | None = None

    def length(self, info: FilmInfo) -> int:
        """About how many frames it has, 0 if that is unknown."""
        if not info.length:
            return 0
        begin = info.start if self.begin is None else self.begin
        end = info.start + info.length / (info.rate * info.time_base) if self.end is None else self.end
        return max(0, round((end - begin) * info.time_base * info.rate))


def stretch_of(film: MovingPicture, number: int, count: int, *, shots: bool = False) -> tuple[Span, int] | None:
    """One of the stretches that a film is cut into, and how many there are; None if there are fewer than its number.

    count: how many are wanted; short films have fewer. shots: all of them begin with shots, and there are no more of them than shots. The
    same film always gives the same ones.
    """
    info = film.info
    count = max(1, min(count, info.length // LEAST))
    share = info.length / (info.rate * info.time_base * count)

    def border(index: int) -> int | None:
        """Where stretch number `index` ends and the next begins; None for the ends of the film."""
        if not 0 < index < count:
            return None
        even = info.start + share * index
        cut = _nearest_cut(film, even, share / 2 if shots else min(share * 2 / 5, SEARCH / info.time_base))
        return cut if cut is not None or shots else _piece_near(info, even)

    if not shots:
        return (Span(border(number - 1), border(number)), count) if number <= count else None
    cuts = dict.fromkeys(cut for index in range(1, count) if (cut := border(index)) is not None)
    borders = [None, *cuts, None]
    return (Span(*borders[number - 1 : number + 1]), len(borders) - 1) if number < len(borders) else None


def _nearest_cut(film: MovingPicture, even: Fraction, reach: Fraction) -> int | None:
    """The time of the cut that is nearest to another time, if one is within reach."""
    cuts = Cuts()
    found = [frame.time for frame in film.span(round(even - reach), round(even + reach)) if cuts(frame.bytes)]
    return min(found, key=lambda time: abs(time - even), default=None)


def _piece_near(info: FilmInfo, even: Fraction) -> int:
    """The nearest time at which a piece of the result begins."""
    slot = slot_of(round(even), info)
    begins = [ceil((number * PIECE - Fraction(1, 2)) / (info.rate * info.time_base)) for number in (slot, slot + 1)]
    return min(begins, key=lambda time: abs(time - even))
