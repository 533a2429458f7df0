"""The studio: how long people wait, and whether it holds for a thousand requests.

    python benchmarks/studio.py times --photo PHOTO --painting PICTURE
    python benchmarks/studio.py soak

`times`: from a photo of 12 megapixels that is dropped to its first draft, from a turned knob to its draft, and to the finished picture, at
512 px. `soak`: requests of ten kinds, eight at once, while a painting is learned: errors, memory, threads, and what is left on the disk.
Writes benchmarks/results/studio-PART.json.
"""

import argparse
import io
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
from PIL import Image
from skimage import data

from impasto.evaluation.report import write_report

RESULTS = Path(__file__).resolve().parent / "results"
STYLE = "starry-night"


class Studio:
    """A running studio, and calls to it."""

    def __init__(self, address: str, process: "subprocess.Popen[str]"):
        self.address, self.process = address, psutil.Process(process.pid)

    def call(self, path: str, body: object = None, method: str | None = None) -> bytes:
        """What it answers; bodies are JSON, or bytes as they are."""
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {} if isinstance(body, bytes) or body is None else {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.address}api/{path}", sent, headers, method=method)
        with urllib.request.urlopen(request, timeout=300) as answer:
            found: bytes = answer.read()
            return found

    def keep(self, picture: bytes, name: str = "photo.jpg") -> str:
        """A picture on the shelf."""
        key: str = json.loads(self.call(f"pictures?name={name}", picture))["id"]
        return key

    def draft(self, photo: str, style: str, size: int = 512, **more: object) -> bytes:
        """A draft."""
        body = {"photo": photo, "styles": [{"style": style}], "quality": "draft", "size": size, "format": "jpg", "preview": True, **more}
        return self.call("stylize", body)

    def ended(self, key: str) -> dict[str, object]:
        """A job when it has ended."""
        while True:
            job: dict[str, object] = json.loads(self.call(f"jobs/{key}"))
            if job["state"] in ("done", "failed", "cancelled"):
                return job
            time.sleep(0.05)


@contextmanager
def running(home: Path) -> Iterator[Studio]:
    """A studio in a home of its own."""
    environment = os.environ | {
        "IMPASTO_HOME": str(home / "home"),
        "IMPASTO_CACHE": str(home / "cache"),
        "COLUMNS": "200",
        "TMPDIR": str(home),
    }
    words = [sys.executable, "-m", "impasto", "studio", "--no-browser", "--port", "0", "--folder", str(home)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    found = re.search(r"http://\S+", process.stdout.readline())
    assert found is not None
    time.sleep(12)  # both processes load what they need
    try:
        yield Studio(found[0], process)
    finally:
        process.terminate()
        process.wait(60)


def jpeg(picture: Image.Image, quality: int = 92) -> bytes:
    """A picture as a file."""
    file = io.BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=quality)
    return file.getvalue()


def times(arguments: argparse.Namespace, home: Path) -> dict[str, object]:
    """What people wait for."""
    large = jpeg(Image.open(arguments.photo).convert("RGB").resize((4000, 3000)))
    found: dict[str, object] = {"photo": "4000x3000", "megabytes": len(large) / 1e6}
    with running(home) as studio:
        first = []
        for _ in range(10):
            began = time.monotonic()
            photo = studio.keep(large)
            studio.draft(photo, STYLE)
            first.append(time.monotonic() - began)
        found["first draft, seconds"] = {"median": statistics.median(first), "highest": max(first)}
        painting = f"picture:{studio.keep(Path(arguments.painting).read_bytes(), 'painting.jpg')}"
        for name, style in ((STYLE, STYLE), ("a painting that was not learned", painting)):
            studio.draft(photo, style)
            turned = []
            for step in range(10):
                began = time.monotonic()
                studio.draft(photo, style, strength=0.5 + step / 20)
                turned.append(time.monotonic() - began)
            fine = []
            for _ in range(3):
                began = time.monotonic()
                job = json.loads(studio.call("jobs/photo", {"photo": photo, "styles": [{"style": style}], "size": 512}))
                assert studio.ended(job["id"])["state"] == "done"
                fine.append(time.monotonic() - began)
            found[name] = {
                "a turned knob, seconds": {"median": statistics.median(turned), "highest": max(turned)},
                "finished, seconds": {"median": statistics.median(fine), "highest": max(fine)},
            }
        body = {"painting": painting.removeprefix("picture:"), "name": "long", "steps": 5000}
        learning = json.loads(studio.call("jobs/learn", body))["id"]
        while json.loads(studio.call(f"jobs/{learning}"))["step"] < 3:
            time.sleep(0.2)
        beside = []
        for step in range(10):
            began = time.monotonic()
            studio.draft(photo, STYLE, strength=0.5 + step / 20)
            beside.append(time.monotonic() - began)
            time.sleep(0.5)
        found["a turned knob while a painting is learned, seconds"] = {"median": statistics.median(beside), "highest": max(beside)}
        studio.call(f"jobs/{learning}/cancel", {})
        studio.ended(learning)
    return found


def soak(arguments: argparse.Namespace, home: Path) -> dict[str, object]:
    """A thousand requests of ten kinds, eight at once."""
    Image.fromarray(data.coffee()).save(home / "coffee.png")
    photo, chooser = jpeg(Image.fromarray(data.chelsea())), random.Random(0)
    (home / "clips").mkdir()
    with running(home) as studio:
        kept = studio.keep(photo)
        painting = studio.keep((home / "coffee.png").read_bytes(), "coffee.png")
        learning = json.loads(studio.call("jobs/learn", {"painting": painting, "name": "long", "steps": 10_000}))["id"]
        paint = {"photo": kept, "styles": [{"style": STYLE}]}

        def come_and_go() -> None:
            studio.call(f"pictures/{studio.keep(photo)}", method="DELETE")

        def finished() -> None:
            key = json.loads(studio.call("jobs/photo", paint | {"size": 96}))["id"]
            studio.ended(key)
            studio.call(f"jobs/{key}", method="DELETE")

        kinds = {
            "styles": lambda: studio.call("styles"),
            "a style's picture": lambda: studio.call(f"styles/{chooser.choice(['kiss', 'scream', 'parasol'])}/picture"),
            "methods": lambda: studio.call("methods"),
            "a picture that comes and goes": come_and_go,
            "a picture": lambda: studio.call(f"pictures/{kept}"),
            "a draft": lambda: studio.draft(kept, STYLE, 256, strength=chooser.choice([0.4, 0.7, 1.0])),
            "a draft in another style": lambda: studio.draft(kept, chooser.choice(["dusk", "woodcut", "kiss", "scream", "parasol"]), 192),
            "a command": lambda: studio.call("command", paint),
            "a folder": lambda: studio.call("folders/0"),
            "a finished picture": finished,
        }
        answers: Counter[str] = Counter()
        memory: dict[int, float] = {}
        threads: dict[int, int] = {}
        files: dict[int, int] = {}
        lock, done = threading.Lock(), 0

        def one(number: int) -> None:
            nonlocal done
            kind = [*kinds][number % len(kinds)]
            for _ in range(100):
                try:
                    kinds[kind]()
                    answer = f"{kind}: fine"
                except urllib.error.HTTPError as error:
                    answer = f"{kind}: busy" if error.code == 503 else f"{kind}: {error.code} {error.read()[:100]!r}"
                except Exception as error:
                    answer = f"{kind}: {error!r}"
                with lock:
                    answers[answer] += 1
                if not answer.endswith("busy"):
                    break
                time.sleep(0.3)
            with lock:
                done += 1
                if done in (200, 600, arguments.count):
                    memory[done] = studio.process.memory_info().rss / 2**20
                    threads[done] = studio.process.num_threads()
                    files[done] = studio.process.num_fds()

        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(one, range(arguments.count)))
        seconds = time.monotonic() - began
        learned = json.loads(studio.call(f"jobs/{learning}"))
        studio.call(f"jobs/{learning}/cancel", {})
        studio.ended(learning)
        studio.call(f"jobs/{learning}", method="DELETE")
        left = [path.name for path in (home / "home/studio/jobs").iterdir()]
        left += [path.name for path in (home / "home/studio/pictures/local").iterdir() if path.name not in (kept, painting)]
        left += [path.name for path in home.glob("impasto-*")]
    return {
        "requests": arguments.count, "seconds": seconds, "answers": dict(sorted(answers.items())), "memory, MB": memory, "threads": threads,
        "open files": files, "left on the disk": left, "steps that were learned meanwhile": learned["step"],
    }  # fmt: skip


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["times", "soak"])
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--painting", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {"times": times, "soak": soak}[arguments.part](arguments, Path(folder))
    write_report(RESULTS / f"studio-{arguments.part}.json", found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
