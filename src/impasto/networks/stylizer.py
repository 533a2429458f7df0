"""The stylizer: an adapted network that paints any picture in one pass."""

from collections.abc import Sequence

import torch
from torch import Tensor

from impasto.errors import InputError
from impasto.networks.mixing import mix
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import network_of
from impasto.runtime.device import Place, settle
from impasto.settings import check_strength
from impasto.storage.style_file import StyleFile


class NetworkStylizer:
    """Paint photos (B, 3, H, W), RGB in [0, 1], with an adapted network; same size out.

    strength: 0 is the photo, 1 what the network paints; between them every pixel moves evenly from one to the other.
    affine: (B, P) scales and shifts, one row for each picture of a batch: as many styles in one pass, on one network.
    """

    def __init__(self, network: StyleNetwork, place: Place, *, strength: float = 1.0, affine: Tensor | None = None):
        check_strength(strength)
        self.network, self.place, self.strength = settle(network, place).requires_grad_(False), place, strength
        self._grains: dict[tuple[int, int], Tensor] = {}
        self.affine = None if affine is None else affine.to(place.device, place.dtype)

    @torch.inference_mode()
    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Paint; regions are not for this method."""
        if masks is not None:
            raise InputError("metastyle paints whole pictures; for regions choose --method solver")
        if self.strength == 0:
            return image.clone()
        photo = image.to(self.place.device).contiguous(memory_format=torch.channels_last)
        painted = self.network(photo + self._grain(photo), self.affine).float().clamp(0, 1)
        return torch.lerp(photo.float(), painted, self.strength) if self.strength < 1 else painted

    def _grain(self, photo: Tensor) -> Tensor:
        """The grain of this size, always the same, so that frames of a film and the same photo twice are painted alike."""
        size = (photo.shape[-2], photo.shape[-1])
        if size not in self._grains:
            self._grains.clear()
            flat = torch.zeros(1, 1, *size)
            self._grains[size] = self.network.grained(flat, torch.Generator().manual_seed(0)).to(photo)
        return self._grains[size]


def network_stylizer(files: Sequence[StyleFile], weights: Sequence[float] | None, place: Place, *, strength: float) -> NetworkStylizer:
    """The stylizer of one style file, or of a mixture of several. Raises StyleError or InputError."""
    networks = [network_of(file) for file in files]
    return NetworkStylizer(mix(networks, weights) if len(networks) > 1 else networks[0], place, strength=strength)
