"""Put what pages of `impasto export --web` run on into the package's assets, so that a wheel that is built afterwards holds it.

    python tools/vendor_web.py

Without it the command fetches the same files into the cache when it is used first. They are not part of the repository.
"""

import sys

from impasto.errors import UnavailableError
from impasto.events import silence
from impasto.job.web_engine import BUNDLED, fetched_engine

if __name__ == "__main__":
    try:
        print(fetched_engine(silence, BUNDLED))
    except UnavailableError as error:
        sys.exit(str(error))
