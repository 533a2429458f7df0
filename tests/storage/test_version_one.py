"""Files that version one wrote are still read: one of each kind, with the metadata that it gave them."""

import json

import torch
from safetensors.torch import save_file

from impasto.job.styles import find_style
from impasto.methods.solver.network import SolverNetwork
from impasto.methods.solver.solver_file import read_solver
from impasto.networks.decoder import Decoder
from impasto.networks.decoder_file import read_decoder
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import from_style_file, pack, read_network
from impasto.perception.weights import read_encoder
from impasto.storage.style_file import read_style
from impasto.storage.tensors import checksum
from tests.conftest import random_encoder


def halves(network):
    return {name: value.half().contiguous() for name, value in network.state_dict().items()}


def style(path, tensors, **record):
    fields = {
        "name": "old", "method": "metastyle", "network": "", "width": 0.0, "encoder": "compact", "steps": 3, "loss": 0.5,
        "licence": "public domain", "source": "old.jpg", "settings": {}, "impasto_version": "0.1.0", "format_version": 1,
    } | record  # fmt: skip
    save_file(tensors, path, metadata={"impasto": json.dumps({**fields, "checksum": checksum(tensors)})})


def test_a_learned_style(tmp_path):
    network = StyleNetwork(4, 1)
    style(tmp_path / "a.safetensors", pack(network), network="transformer", width=4.0, settings={"blocks": 1, "inputs": "centred"})
    again = read_style(tmp_path / "a.safetensors")
    assert (again.record.name, again.record.width, again.record.licence, again.record.steps) == ("old", 4, "public domain", 3)
    assert torch.allclose(from_style_file(again).last.weight, network.last.weight, atol=0.01)


def test_a_style_that_holds_its_picture(tmp_path):
    picture = torch.randint(256, (1, 3, 9, 12), dtype=torch.uint8)
    style(tmp_path / "p.safetensors", {"picture": picture}, method="gatys")
    assert torch.equal(find_style(tmp_path / "p.safetensors").picture, picture / 255)


def test_networks_without_a_block_and_with_one_of_their_kind(tmp_path):
    encoder, network = random_encoder(4, 6, 8, 8), StyleNetwork(4)
    save_file(halves(encoder), tmp_path / "encoder.safetensors")
    save_file(halves(network), tmp_path / "network.safetensors")
    assert read_encoder(tmp_path / "encoder.safetensors").channels == (4, 6, 8, 8)
    assert read_network(tmp_path / "network.safetensors").width == 4
    solver, decoder = SolverNetwork(1, 2, (4, 6, 8, 8, 8)), Decoder((4, 6, 8, 8), (2, 2, 4, 4), hidden=None, encoder="small")
    save_file(halves(solver), tmp_path / "solver.safetensors", metadata={"impasto-solver": json.dumps(solver.settings())})
    written = json.dumps({**decoder.settings(), "signature": [1.0]})
    save_file(halves(decoder), tmp_path / "decoder.safetensors", metadata={"impasto-decoder": written})
    assert read_solver(tmp_path / "solver.safetensors").width == 2
    assert read_decoder(tmp_path / "decoder.safetensors")[1] == [1.0]
