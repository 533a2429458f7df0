"""A studio as a program, for the plug-ins of other programs, and what the command line paints."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import impasto

TOKEN = "a-token-of-the-first-person"


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A studio that needs a token, as a program; its address."""
    pytest.importorskip("fastapi", reason="the studio needs its extra")
    home = tmp_path_factory.mktemp("studio")
    words = [sys.executable, "-m", "impasto", "studio", "--no-browser", "--port", "0", "--folder", str(home)]
    own = os.environ | {"IMPASTO_HOME": str(home / "home"), "COLUMNS": "200", "IMPASTO_TOKEN": TOKEN}
    program = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=own)
    yield re.search(r"(http://127\.0\.0\.1:\d+)/", program.stdout.readline())[1]
    program.terminate()
    program.wait(30)


def levels(path, mode="RGB"):
    return np.asarray(Image.open(path).convert(mode)).astype(int)


def painted(path, folder, quality="draft"):
    """What the command line makes of a file, in grey levels of 255."""
    impasto.stylize(path, "dusk", output=folder / "expected.png", controls=impasto.Controls(quality=quality, size=0))
    return levels(folder / "expected.png")
