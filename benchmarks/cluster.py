"""A cluster of two nodes of one core on this machine: against one process, what tasks cost, and what is lost when something dies.

    python benchmarks/cluster.py speed --photos FOLDER --clips FOLDER

A film of --seconds is made of the clips, folders of frames, one after the other. `losses` kills a worker, and a driver. Writes
benchmarks/results/cluster-PART.json.
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import psutil
from ray.cluster_utils import Cluster

from impasto.evaluation.report import write_report
from impasto.events import silence
from impasto.job.cluster import Task, connected
from impasto.media.film_writer import FilmWriter
from impasto.media.frames import RATE, FrameFolder
from impasto.media.images import list_pictures
from impasto.media.videos import FilmInfo

RESULTS = Path(__file__).resolve().parent / "results"
STYLE = "starry-night-live"


def long_film(clips: Path, target: Path, seconds: float, size: tuple[int, int]) -> None:
    """A film of clips one after the other, as often as needed."""
    import cv2

    folders = cycle(sorted(folder for folder in clips.iterdir() if folder.is_dir()))
    frames = islice((frame for folder in folders for frame in FrameFolder(folder)), round(seconds * RATE))
    writer = FilmWriter(target, None, FilmInfo(size, RATE, 1 / RATE, round(seconds * RATE), seconds), size, "benchmark")
    for number, frame in enumerate(frames):
        writer.write(cv2.resize(frame.bytes[..., :3], (size[1], size[0]), interpolation=cv2.INTER_AREA), number)
    writer.finish()


def command(inputs: list[Path], output: Path, *more: str) -> list[str]:
    """What is timed."""
    words = [str(path) for path in inputs]
    return [
        sys.executable,
        "-m",
        "impasto",
        "stylize",
        *words,
        "-s",
        STYLE,
        "--quality",
        "draft",
        "--size",
        "512",
        "-o",
        f"{output}/",
        *more,
    ]


def timed(words: list[str], threads: int) -> float:
    """Seconds of a command."""
    began = time.monotonic()
    subprocess.run(words, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": str(threads)})
    return time.monotonic() - began


def digests(folder: Path) -> dict[str, str]:
    """What lies there."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


def workers() -> list[psutil.Process]:
    """Processes of the cluster that carry out a task now."""
    return [process for process in psutil.process_iter(["cmdline"]) if "ray::_carried_out" in " ".join(process.info["cmdline"] or [])]


def speed(address: str, inputs: list[Path], root: Path) -> dict[str, object]:
    """One process and two nodes, and what tasks cost."""
    found: dict[str, object] = {}
    parts = {"film": inputs[:1], "photos": inputs[1:], "both": inputs}
    for name, some in parts.items():
        found[f"one process, {name}"] = timed(command(some, root / f"one-{name}"), 2)
    with connected(address) as machines:
        for task in ("first", "second"):
            began = time.monotonic()
            list(machines.run(_imported, [Task(())], silence))
            found[f"seconds of the {task} task"] = time.monotonic() - began
        began = time.monotonic()
        list(machines.run(_nothing, [Task(()) for _ in range(300)], silence))
        found["milliseconds a task"] = (time.monotonic() - began) / 300 * 1000
    for name, some in parts.items():
        found[f"two nodes, {name}"] = timed(command(some, root / f"two-{name}", "--cluster", address), 1)
    one, two = digests(root / "one-both"), digests(root / "two-both")
    found["files of the same bytes as from one process"] = sum(one.get(name) == value for name, value in two.items()) / len(two)
    return found


def losses(address: str, inputs: list[Path], root: Path) -> dict[str, object]:
    """A worker that is killed, and a driver."""
    found: dict[str, object] = {}

    def begun(name: str) -> "subprocess.Popen[bytes]":
        words = command(inputs, root / name, "--cluster", address)
        return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    began = time.monotonic()
    begun("whole").wait()
    found["seconds of the whole"] = time.monotonic() - began
    whole = digests(root / "whole")

    began, driver = time.monotonic(), begun("lost")
    while not (busy := workers()) or time.monotonic() - began < found["seconds of the whole"] / 2:  # type: ignore[operator]
        time.sleep(0.1)
    busy[0].kill()
    driver.wait()
    found["a worker killed in the middle: seconds"] = time.monotonic() - began
    found["a worker killed in the middle: the same bytes"] = digests(root / "lost") == whole

    began, driver = time.monotonic(), begun("died")
    parts = root / f"died/.{inputs[0].stem}-{STYLE}.mp4.cluster"
    while driver.poll() is None and len(list(parts.glob(f"{inputs[0].stem}-*.part-*"))) < 3:
        time.sleep(0.1)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    found["the driver killed: after seconds"] = time.monotonic() - began
    done = {path: path.stat().st_mtime_ns for path in parts.glob(f"{inputs[0].stem}-*.part-*")}
    found["the driver killed: parts of the film done by then"] = len(done)
    again, second = time.monotonic(), begun("died")
    twice: set[Path] = set()
    while second.poll() is None:
        twice |= {path for path, known in done.items() if path.exists() and path.stat().st_mtime_ns != known}
        time.sleep(0.05)
    found["the driver killed: seconds of the second"] = time.monotonic() - again
    found["the driver killed: parts painted twice"] = len(twice)
    found["the driver killed: the same bytes"] = digests(root / "died") == whole
    return found


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["speed", "losses"])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--count", type=int, default=200)
    arguments = parser.parse_args()
    node = {"num_cpus": 1, "object_store_memory": 300_000_000}
    found: dict[str, object] = {"style": STYLE, "seconds of film": arguments.seconds, "photos": arguments.count}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        long_film(arguments.clips, root / "film.mp4", arguments.seconds, (320, 640))
        inputs = [root / "film.mp4", *list_pictures(arguments.photos)[: arguments.count]]
        cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        cluster.add_node(**node)
        found |= {"speed": speed, "losses": losses}[arguments.part](cluster.address, inputs, root)
        cluster.shutdown()
    write_report(RESULTS / f"cluster-{arguments.part}.json", found)
    for name, value in found.items():
        print(f"{name}: {value}")


def _imported() -> str:
    """A task that loads what painting needs."""
    import torch

    return str(torch.__version__)


def _nothing() -> None:
    """The shortest task there is."""


if __name__ == "__main__":
    main()
