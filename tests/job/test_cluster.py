"""A job on two machines: the same files, whatever is lost on the way, with or without a disk that both see."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from impasto.errors import InputError
from impasto.events import Event, silence
from impasto.job.cluster import Failure, Task, connected
from impasto.job.perform import perform
from impasto.job.request import Request
from impasto.media.videos import FilmReader
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import to_style_file
from impasto.settings import Controls
from impasto.storage.style_file import StyleRecord, read_style, write_style
from tests.cli.runner import impasto_command
from tests.cli.test_cli import said
from tests.conftest import scene
from tests.films import make_film, make_shots

pytest.importorskip("ray", reason="the extra cluster is not installed")
pytestmark = [
    pytest.mark.xdist_group("ray"),
    pytest.mark.long,
    pytest.mark.skipif(os.name == "nt", reason="Windows has no signals for one process"),
]

SHOTS = (250, 240, 260)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def address():
    """A cluster of two nodes of one core each."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100_000_000, "memory": 6 << 30}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    cluster.add_node(**node)
    yield cluster.address
    cluster.shutdown()


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Photos, films and a style."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    write_style(tmp_path / "mine.safetensors", to_style_file(StyleNetwork(4, 1), StyleRecord("mine", "metastyle")))
    (tmp_path / "in").mkdir()
    for number in range(11):
        scene(64 + number, 48).rotate(number).save(tmp_path / f"in/{number}.png")
    make_film(tmp_path / "in/short.mp4", count=30)
    make_shots(tmp_path / "in/long.mp4", SHOTS)
    return tmp_path


def paint(output, *, cluster=None, listener=silence, inputs=("in",), **controls):
    controls = Controls(size=0, quality="draft", stabilize="none", backend="torch", precision="float32", **controls)
    return perform(Request(list(inputs), ["mine.safetensors"], output, cluster=cluster, controls=controls), listener)


class Film:
    """Equal to another one of the same frames, as near as its encoder writes them: on a busy machine, rarely, in another quality. Frames
    of another shot are farther apart, and one that is lost or comes twice has another time.
    """

    def __init__(self, path):
        self.frames = list(FilmReader(path))

    def __eq__(self, other):
        pairs = list(zip(self.frames, other.frames, strict=False))
        same = len(self.frames) == len(other.frames) and all(one.time == two.time for one, two in pairs)
        apart = [round(float(np.abs(one.bytes.astype(float) - two.bytes).mean()), 2) for one, two in pairs]
        print(f"{len(self.frames)} and {len(other.frames)} frames, same times: {same}, at most {max(apart)} apart")
        return same and max(apart) < 12

    __hash__ = None


def digests(folder):
    """What lies there: pictures by their bytes, films by their frames."""
    return {path.name: Film(path) if path.suffix == ".mp4" else hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_a_cluster_paints_what_one_process_paints(world, address):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        here = paint("here/")
    finally:
        torch.set_num_threads(threads)
    seen = []
    there = paint("there/", cluster=address, listener=seen.append)
    assert not [*here.failed, *there.failed]
    assert [(each.source, each.output.name, each.size) for each in there.painted] == [
        (each.source, each.output.name, each.size) for each in here.painted
    ]
    assert len(here.painted) == 13
    assert digests(world / "here") == digests(world / "there")
    assert [event.step for event in seen] == sorted(event.step for event in seen)
    assert seen[-1].step == seen[-1].total


def test_machines_that_see_no_common_disk_get_bytes_and_give_bytes(world, address, monkeypatch):
    from impasto.job import cluster_painting

    paint("here/", cluster=address)
    look = cluster_painting.Seen
    monkeypatch.setattr(cluster_painting, "Seen", lambda token, secret, contents, memory: look(token, "another", contents, memory))
    assert not paint("there/", cluster=address).failed
    assert digests(world / "here") == digests(world / "there")


def test_a_lost_process_is_begun_again_and_one_that_is_always_lost_is_said(tmp_path, address):
    def lost_once(mark):
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return "done"

    def lost():
        os.kill(os.getpid(), signal.SIGKILL)

    def wrong():
        raise RuntimeError("the reason")

    with connected(address) as cluster:
        assert dict(cluster.run(lost_once, [Task((tmp_path / "mark",))], silence)) == {0: "done"}
        (found,) = dict(cluster.run(lost, [Task(())], silence)).values()
        assert isinstance(found, Failure)
        assert "its process was lost 4 times" in str(found.error)
        (found,) = dict(cluster.run(wrong, [Task(())], silence)).values()
        assert "the reason" in str(found.error)
        assert "Traceback" in found.log


def test_longest_first(address):
    def when():
        return time.monotonic()

    with connected(address) as cluster:
        times = dict(cluster.run(when, [Task((), weight=weight) for weight in (*range(1, 20), 40)], silence))
    assert min(times, key=times.get) in (19, 18)


def test_what_cannot_be_painted_is_said_and_the_rest_is_painted(world, address):
    (world / "in/3.png").write_bytes(b"no picture")
    (world / "in/long.mp4").write_bytes(b"no film")
    summary = paint("out/", cluster=address)
    assert sorted(outcome.source.name for outcome in summary.failed) == ["3.png", "long.mp4"]
    assert len(summary.painted) == 11
    (world / "in/3.png").write_bytes((world / "in/4.png").read_bytes())
    before = {path: path.stat().st_mtime_ns for path in (world / "out").glob("*.png")}
    again = paint("out/", cluster=address)
    assert [outcome.source.name for outcome in again.failed] == ["long.mp4"]
    assert sum(outcome.remark == "was painted already" for outcome in again.painted) == 11
    assert all(path.stat().st_mtime_ns == known for path, known in before.items()), "nothing is painted twice"


def test_a_network_that_a_machine_does_not_see_is_named(world, address, monkeypatch):
    from impasto.job import cluster_task

    def gone(prepared):
        raise InputError("/x/decoder.safetensors is not there on node7: put it on a disk that all machines share")

    with connected(address) as cluster:
        (found,) = dict(cluster.run(gone, [Task((None,))], silence)).values()
    assert found.error.exit_code == 2
    assert "decoder.safetensors is not there on node7" in str(found.error)
    prepared = type("Prepared", (), {})()
    prepared.request = Request([], [], controls=Controls(options={"decoder": "/x/decoder.safetensors"}))
    with pytest.raises(InputError, match=r"/x/decoder.safetensors is not there on .*: put it on a disk"):
        cluster_task._check_beside(prepared)


def test_a_job_that_is_stopped_keeps_what_is_done(world, address):
    def stop(event: Event):
        if event.step > 0.3 * event.total:
            raise KeyboardInterrupt

    paint("whole/", cluster=address)
    assert paint("out/", cluster=address, listener=stop).interrupted
    assert not paint("out/", cluster=address).failed
    assert digests(world / "out") == digests(world / "whole")


def test_the_driver_dies_and_another_goes_on_to_the_same_bytes(world, address):
    paint("whole/", cluster=address)
    code = f"from tests.job.test_cluster import paint; paint('out/', cluster={address!r})"
    with subprocess.Popen([sys.executable, "-c", code], cwd=world, env={**os.environ, "PYTHONPATH": str(ROOT)}) as driver:
        parts = world / "out/.long-mine.mp4.cluster"
        while driver.poll() is None and not list(parts.glob("long-mine.part-*.mp4")):
            time.sleep(0.02)
        driver.send_signal(signal.SIGKILL)
    done = {path: path.stat().st_mtime_ns for path in parts.glob("long-mine.part-*.mp4")}
    assert done, "it died in the middle"
    touched = []

    def watch(event):
        touched.extend(path for path, known in done.items() if path.exists() and path.stat().st_mtime_ns != known)

    assert not paint("out/", cluster=address, listener=watch).failed
    assert not touched, "a part that was there is not painted again"
    assert digests(world / "out") == digests(world / "whole")


@pytest.mark.parametrize("kind", ["closed", "silent", "wrong", "no port"])
def test_an_address_that_does_not_answer_is_said_within_ten_seconds(world, kind):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        if kind == "closed":
            silent.close()
        asked = {"wrong": "there", "no port": "127.0.0.1:"}.get(kind, f"127.0.0.1:{port}")
        began = time.monotonic()
        with pytest.raises(InputError, match="nothing answers" if kind in ("closed", "silent") else "the address of a cluster is auto"):
            paint("out/", cluster=asked)
        assert time.monotonic() - began < 10


JOIN = """
import sys
from impasto.job.cluster import connected
try:
    with connected(sys.argv[1]) as cluster:
        print(f"joined {cluster.machines.nodes}")
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""


def test_a_cluster_with_a_token_is_joined_and_one_whose_token_is_missing_is_told_apart(tmp_path):
    """As Ray begins one where `--cluster auto` has left a token before."""
    homes = {name: tmp_path / name for name in ("right", "none", "wrong")}
    for name, token in (("right", "a" * 64), ("wrong", "b" * 64)):
        (homes[name] / ".ray").mkdir(parents=True)
        (homes[name] / ".ray/auth_token").write_text(token)
    homes["none"].mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    short = tempfile.mkdtemp()  # names of sockets have 107 bytes
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {"RAY_USAGE_STATS_ENABLED": "0"}
    options = ["--num-cpus=1", "--include-dashboard=false", "--object-store-memory=100000000", f"--temp-dir={short}"]
    words = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", f"--port={port}", *options, "--block"]
    head = subprocess.Popen(words, env=plain | {"HOME": str(homes["right"])}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def joined(name):
        environment = plain | {"HOME": str(homes[name]), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(
            [sys.executable, "-c", JOIN, f"127.0.0.1:{port}"], capture_output=True, text=True, env=environment, timeout=100
        )
        return done.stdout.strip()

    try:
        assert head.stdout is not None
        told = ""
        for line in head.stdout:
            told += line
            if "block forever" in line:
                break
        if "Token authentication is enabled" not in told:
            pytest.skip("this version of Ray has no tokens by itself")
        assert joined("right") == "joined 1"
        for name in ("none", "wrong"):
            assert joined(name).startswith(f"InputError: the cluster at 127.0.0.1:{port} answers, but asks for a token")
    finally:
        head.terminate()
        head.communicate(timeout=60)
        shutil.rmtree(short, ignore_errors=True)


def test_paintings_are_learned_on_a_cluster(world, address):
    done = impasto_command("adapt", "in/1.png", "in/2.png", "in/short.mp4", "--steps", "0", "-o", "styles/", "--cluster", address)
    assert done.returncode == 1, said(done)
    assert "short.safetensors: " in done.stderr
    assert "1 of 3 paintings could not be learned" in done.stderr
    for name in ("1", "2"):
        assert read_style(world / f"styles/{name}.safetensors").record.name == name
    assert sorted(path.name for path in (world / "styles").iterdir()) == ["1.safetensors", "2.safetensors"]


def test_measurements_on_a_cluster_are_those_of_one_process(world, address):
    for number, more in enumerate(([], ["--cluster", address])):
        measured = ["--content", "photos", "--style", "paintings", "--encoder", "compact", "--method", "adain", "--iterations", "2"]
        for folder, names in (("photos", ("1", "2")), ("paintings", ("3",))):
            (world / folder).mkdir(exist_ok=True)
            for name in names:
                scene(96, 80).rotate(int(name)).save(world / folder / f"{name}.png")
        done = impasto_command(
            "evaluate", "fidelity", *measured, "--size", "64", "--json", f"f{number}.json", "--sheet", f"f{number}.png", *more
        )
        assert done.returncode == 0, said(done)
        done = impasto_command("evaluate", "stability", "in/short.mp4", "-s", "mine.safetensors@none", "--json", f"s{number}.json", *more)
        assert done.returncode == 0, said(done)
    for kind in "fs":
        one, other = (json.loads((world / f"{kind}{number}.json").read_text())["rows"] for number in (0, 1))
        assert len(one) == len(other) > 0
        for here, there in zip(one, other, strict=True):
            assert here.keys() == there.keys()
            assert here["method"] == there["method"]
            figure = "share" if kind == "f" else "e_stab"
            assert here[figure] == pytest.approx(there[figure], rel=0.02, abs=1e-3)
    assert (world / "f1.png").is_file()
