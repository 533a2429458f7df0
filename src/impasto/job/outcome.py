"""What became of a job; free of heavy imports."""

from dataclasses import dataclass
from pathlib import Path

from impasto.errors import ImpastoError


@dataclass(frozen=True)
class Outcome:
    """What became of one file: where the result lies, its size (height, width) and seconds; or the error.

    remark: what was wrong with a source that was painted all the same, such as a film that is cut off, or was changed on the way.
    already: whether the result was there before, made from the same with the same settings, and nothing was painted.
    """

    source: Path
    output: Path | None = None
    size: tuple[int, int] | None = None
    seconds: float = 0.0
    error: ImpastoError | None = None
    remark: str = ""
    already: bool = False

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows: the picture, if it is one."""
        from impasto.notebook import shown_files

        return None if self.output is None else shown_files([self.output])


@dataclass(frozen=True)
class Summary:
    """All outcomes of one run, in order; interrupted if the user stopped it. left_out: sentences on what folders hold beside."""

    outcomes: list[Outcome]
    interrupted: bool = False
    left_out: tuple[str, ...] = ()

    @property
    def painted(self) -> list[Outcome]:
        """Those whose results are there, painted now or before."""
        return [outcome for outcome in self.outcomes if outcome.error is None]

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows: the first pictures that were painted, side by side."""
        from impasto.notebook import shown_files

        return shown_files([outcome.output for outcome in self.painted if outcome.output is not None])

    @property
    def failed(self) -> list[Outcome]:
        """Those that were not."""
        return [outcome for outcome in self.outcomes if outcome.error is not None]
