"""The stylizer of learned networks, from their style files, on whatever engine was chosen."""

from collections.abc import Sequence

import torch
from torch import Tensor

from impasto.backends.engines import engine_for
from impasto.networks.mixing import mix
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import network_of
from impasto.networks.stylizer import NetworkStylizer
from impasto.runtime.device import Place
from impasto.settings import Controls
from impasto.storage.style_file import StyleFile
from impasto.training.data import Pictures
from impasto.training.made_pictures import made_pictures

EXAMPLES, SIDE = 24, 256
"""How many pictures, and of what side in pixels, eight bits take the ranges of features from."""


def learned_stylizer(
    files: Sequence[StyleFile],
    weights: Sequence[float] | None,
    controls: Controls,
    place: Place,
    *,
    stroke: float = 1.0,
    grain: bool = True,
) -> NetworkStylizer:
    """The stylizer of one style file, or of a mixture of several; stroke, grain: see `NetworkStylizer`.

    Raises StyleError, InputError or UnavailableError.
    """
    networks = [network_of(file) for file in files]
    network = mix(networks, weights) if len(networks) > 1 else networks[0]
    engine = engine_for(network, place, controls.backend, controls.precision, lambda: given_examples(network))
    return NetworkStylizer(
        network, place, strength=controls.strength, stroke=stroke, grain=grain, engine=None if engine is None else engine.run
    )


def examples(pictures: Pictures | None = None) -> list[Tensor]:
    """Pictures (1, 3, H, W), RGB in [0, 1], to calibrate on: crops of some, or made from nothing."""
    generator = torch.Generator().manual_seed(0)
    drawn = made_pictures(EXAMPLES, 2 * SIDE, generator) if pictures is None else pictures
    return [drawn.draw(1, SIDE, generator, zoom=(0.5, 1.8)) for _ in range(EXAMPLES)]


def given_examples(network: StyleNetwork) -> list[Tensor]:
    """What a network is given when it paints: every other picture with its grain, if it has any."""
    generator = torch.Generator().manual_seed(1)
    return [network.grained(picture, generator) if number % 2 else picture for number, picture in enumerate(examples())]
