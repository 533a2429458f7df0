"""The registry against a hub on this machine: the same protocol, a file of ours behind it."""

import hashlib
import json
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import torch
from safetensors.torch import save

from impasto.errors import UnavailableError
from impasto.files import sha256_of
from impasto.perception.weights import convert_torchvision, read_encoder
from impasto.runtime.device import choose_place
from impasto.runtime.encoders import load_encoder
from impasto.storage import registry
from impasto.storage.registry import ASSETS, bundled, cache_folder, fetchable, is_cached, locate, read_record, write_record
from tests.perception.test_weights import published

NARROW = {name: tensor[: max(1, len(tensor) // 16)] for name, tensor in published((2, 2, 4, 4, 4)).items()}
NARROW = {k: (v[:, : max(3, v.shape[1] // 16)].contiguous() if v.ndim == 4 and v.shape[1] > 3 else v) for k, v in NARROW.items()}

WEB = ASSETS / "web"
"""The page of `impasto export --web`, which is no weight."""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path / "cache"


class Asked(list):
    """What the server was asked, and the checksum that it announces."""

    announced = ""


@pytest.fixture
def hub(monkeypatch):
    """A server that answers as the public hub does for one file."""
    pytest.importorskip("huggingface_hub", reason="the hub's client is an extra")
    body, asked = save(NARROW), Asked()
    asked.announced = hashlib.sha256(body).hexdigest()

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer(send_body=False)

        def do_GET(self):
            self.answer(send_body=True)

        def answer(self, *, send_body):
            asked.append((self.command, self.path))
            known = self.path == "/timm/vgg19.tv_in1k/resolve/main/model.safetensors"
            self.send_response(200 if known else 404)
            if known:
                self.send_header("X-Repo-Commit", "0" * 40)
                self.send_header("ETag", f'"{asked.announced}"')
            self.send_header("Content-Length", str(len(body) if known else 0))
            self.end_headers()
            if known and send_body:
                self.wfile.write(body)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield asked
    server.shutdown()
    server.server_close()


def test_fetched_once_converted_verified_and_cached(cache, hub):
    record = fetchable("encoder")["vgg19"]
    assert not is_cached(record)
    path = locate("vgg19", "encoder", convert=convert_torchvision)
    assert path == cache / "vgg19.safetensors"
    assert is_cached(record)
    note = read_record(cache / "vgg19.json")
    assert (note.sha256, note.size) == (sha256_of(path), path.stat().st_size)
    encoder = read_encoder(path)
    assert encoder.channels == (4, 8, 16, 32, 32)
    assert torch.equal(encoder.conv1_2.weight, NARROW["features.2.weight"])
    assert not list((cache / "downloads").glob("*.safetensors")), "the published file is not kept twice"
    asked = len(hub)
    assert locate("vgg19", "encoder", convert=convert_torchvision) == path
    assert len(hub) == asked, "the second time nothing is asked"


def test_load_encoder_goes_through_the_registry(cache, hub):
    assert load_encoder("vgg19", choose_place("cpu", "float32")).channels == (4, 8, 16, 32, 32)


def test_a_damaged_cache_is_fetched_again(cache, hub):
    path = locate("vgg19", "encoder", convert=convert_torchvision)
    path.write_bytes(path.read_bytes()[:-50])
    assert not is_cached(fetchable("encoder")["vgg19"])
    assert read_encoder(locate("vgg19", "encoder", convert=convert_torchvision)).depths == (2, 2, 4, 4, 4)


def test_a_record_pins_the_file_whatever_the_hub_says(cache, hub, monkeypatch):
    """A hub that was broken into announces the checksum of what it sends."""
    known = fetchable("encoder")["vgg19"]
    monkeypatch.setattr(registry, "FETCHABLE", (replace(known, pin="1" * 64),))
    with pytest.raises(UnavailableError, match="is not the file that is pinned"):
        locate("vgg19", "encoder", convert=convert_torchvision)
    assert not list(cache.rglob("*.safetensors"))
    monkeypatch.setattr(registry, "FETCHABLE", (replace(known, pin=hub.announced),))
    assert locate("vgg19", "encoder", convert=convert_torchvision).is_file()


def test_the_first_fetch_pins_the_file_for_the_next(cache, hub):
    path = locate("vgg19", "encoder", convert=convert_torchvision)
    assert read_record(cache / "vgg19.json").pin == hub.announced
    note = json.loads((cache / "vgg19.json").read_text())
    (cache / "vgg19.json").write_text(json.dumps(note | {"pin": "2" * 64}))
    path.unlink()
    with pytest.raises(UnavailableError, match="is not the file that is pinned"):
        locate("vgg19", "encoder", convert=convert_torchvision)


def test_names_in_records_are_names(tmp_path):
    """A record beside a file, or in a cache, never says to write or read elsewhere."""
    for field in ("name", "file"):
        for wrong in ("../x", "/etc/passwd", "a/b", "", ".hidden", "a\n"):
            record = {"name": "a", "kind": "style", "file": "a.safetensors", "licence": "CC0"} | {field: wrong}
            (tmp_path / "r.json").write_text(json.dumps(record))
            with pytest.raises(ValueError, match="no name of a file"):
                read_record(tmp_path / "r.json")


def test_what_differs_from_the_announced_checksum_is_refused(cache, hub):
    hub.announced = "0" * 64
    with pytest.raises(UnavailableError):
        locate("vgg19", "encoder", convert=convert_torchvision)
    assert not list(cache.rglob("*.safetensors"))


def test_without_network_and_cache_it_says_so_soon(cache, monkeypatch):
    pytest.importorskip("huggingface_hub", reason="the hub's client is an extra")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(UnavailableError, match=r"neither bundled nor cached and could not be fetched .*--encoder FILE"):
        locate("vgg19", "encoder")
    assert time.monotonic() - started < 15
    assert not (cache / "vgg19.safetensors").exists()


def test_a_silent_network_does_not_hang(cache, monkeypatch):
    pytest.importorskip("huggingface_hub", reason="the hub's client is an extra")
    import socket

    silent = socket.create_server(("127.0.0.1", 0), backlog=8)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
    monkeypatch.setattr(registry, "NETWORK_TIMEOUT", 0.5)
    started = time.monotonic()
    with pytest.raises(UnavailableError, match="could not be fetched"):
        locate("vgg19", "encoder")
    assert time.monotonic() - started < 15
    silent.close()


def test_offline_mode_is_respected(cache, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UnavailableError, match="HF_HUB_OFFLINE forbids"):
        locate("vgg16", "encoder")


def test_unknown_names_list_what_there_is(cache):
    with pytest.raises(UnavailableError, match=r"there is no encoder 'vgg99'; did you mean vgg19. there are .*vgg19"):
        locate("vgg99", "encoder")


def test_the_cache_can_be_put_anywhere(cache):
    assert cache_folder() == cache


def test_every_bundled_asset_is_what_its_record_says():
    records = [record for kind in ("encoder", "network", "solver", "decoder", "painting", "style") for record in bundled(kind).values()]
    assert len(bundled("style")) >= 11
    assert set(bundled("painting")) <= set(bundled("style"))
    assert "compact" in bundled("encoder")
    assert "metastyle" in bundled("network")
    assert "solver" in bundled("solver")
    assert "compact-decoder" in bundled("decoder")
    assert sum(record.size for kind in ("network", "style") for record in bundled(kind).values()) <= 30e6
    assert sum(record.size for record in bundled("solver").values()) <= 25e6
    assert sum(record.size for record in bundled("decoder").values()) <= 12e6
    for record in records:
        file = ASSETS / f"{record.kind}s" / record.file
        assert sha256_of(file) == record.sha256, record.name
        assert file.stat().st_size == record.size
        assert record.title
        assert record.licence
        assert record.source
    files = {p for p in ASSETS.rglob("*") if p.is_file() and p.suffix != ".json" and p.parent not in (WEB, WEB / "vendor")}
    assert files == {ASSETS / f"{r.kind}s" / r.file for r in records}, "every asset has a record"


def test_records_survive_the_round_trip(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"abc")
    record = registry.Record("x", "style", "x.bin", "CC0", "Title", "Käthe, 1900")
    write_record(record, tmp_path)
    again = read_record(tmp_path / "x.json")
    assert again.source == "Käthe, 1900"
    assert again.size == 3
    (tmp_path / "x.json").write_text(json.dumps(json.loads((tmp_path / "x.json").read_text()) | {"later": 1}))
    assert read_record(tmp_path / "x.json") == again
