"""Mixing: a convex combination of the weights of networks adapted from the same start paints between their styles."""

from collections.abc import Sequence

import torch

from impasto.errors import InputError
from impasto.networks.style_network import StyleNetwork


def mix(networks: Sequence[StyleNetwork], weights: Sequence[float] | None = None) -> StyleNetwork:
    """w = sum a_i w_i with a_i >= 0 and sum a_i = 1 (section 4.3 of the paper); weights are brought to that sum.

    Raises InputError for networks of different shape, or weights that are not one non-negative number each.
    """
    shares = [1.0] * len(networks) if weights is None else list(weights)
    if not networks or len(shares) != len(networks) or not all(0 <= share < float("inf") for share in shares) or sum(shares) <= 0:
        raise InputError("mixing needs one or more styles with a weight of at least 0 each, not all of them 0")
    first = networks[0]
    if any((n.width, n.blocks, n.patch, n.inputs) != (first.width, first.blocks, first.patch, first.inputs) for n in networks):
        shapes = "; ".join(f"width {n.width}, {n.blocks} blocks, pixels by {n.patch}x{n.patch}" for n in networks)
        raise InputError(f"networks of different shape cannot be mixed ({shapes})")
    for name in ("outputs", "grain"):
        if any(getattr(network, name) != getattr(first, name) for network in networks):
            shown = ", ".join(str(getattr(network, name)) for network in networks)
            raise InputError(f"networks that differ in their {name} cannot be mixed ({shown})")
    mixed = first.empty_copy()
    mixed.smooth = any(network.smooth for network in networks)
    states = [network.state_dict() for network in networks]
    total = sum(shares)
    with torch.no_grad():
        for name, value in mixed.state_dict().items():
            value.copy_(sum(share / total * state[name].float().cpu() for share, state in zip(shares, states, strict=True)))
    return mixed
