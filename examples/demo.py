"""Paint a real photograph in one of the bundled styles: what `make demo` shows."""

import sys
import time
from pathlib import Path

from skimage import data, io

import impasto

SIZE = 640
STYLE = "rose-window"


def main() -> None:
    """Write the photograph and the painted picture to the folder `out`."""
    folder = Path("out")
    folder.mkdir(exist_ok=True)
    photo = folder / "chelsea.png"
    io.imsave(photo, data.chelsea())
    started = time.monotonic()
    summary = impasto.stylize(photo, STYLE, output=folder / f"chelsea-{STYLE}.png", controls=impasto.Controls(size=SIZE), listener=show)
    print(file=sys.stderr)
    for outcome in summary.failed:
        sys.exit(str(outcome.error))
    for outcome in summary.painted:
        print(f"painted {outcome.output.resolve()} from {photo} in {time.monotonic() - started:.1f} s")


def show(event: impasto.Event) -> None:
    """Say how far it is, on one line, where there is a terminal."""
    if sys.stderr.isatty():
        print(f"\r{event.step}/{event.total} steps, {event.seconds:.0f} s ", end="", file=sys.stderr)


if __name__ == "__main__":
    main()
