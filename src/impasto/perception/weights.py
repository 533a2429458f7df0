"""Files of encoder weights: reading, checking, and converting published VGG networks. Never a pickle."""

import os
import re

import torch
from torch import Tensor

from impasto.errors import WeightsError
from impasto.perception.encoder import VGG16_DEPTHS, VGG19_CHANNELS, VGG19_DEPTHS, Encoder, fold_normalisation
from impasto.storage.tensors import read_tensors

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_NAME = re.compile(r"conv([1-5])_([1-9])\.(weight|bias)")


def encoder_from_tensors(tensors: dict[str, Tensor], *, pool: str = "max", origin: str = "these weights") -> Encoder:
    """An Encoder, float32 and frozen, of the widths and depths found in conv1_1.weight, conv1_1.bias, ...

    Raises WeightsError naming `origin` if the tensors are not those of one VGG-like encoder.
    """
    foreign = [name for name in tensors if not _NAME.fullmatch(name)]
    if foreign or "conv1_1.weight" not in tensors:
        raise WeightsError(
            f"{origin} holds {repr(foreign[0]) if foreign else 'no conv1_1.weight'}; conv1_1 .. conv5_4 of a VGG encoder were expected"
        )
    depths: dict[int, int] = {}
    for name in tensors:
        block, index = (int(part) for part in _NAME.fullmatch(name).groups()[:2])  # type: ignore[union-attr]
        depths[block] = max(depths.get(block, 0), index)
    if sorted(depths) != list(range(1, len(depths) + 1)):
        raise WeightsError(f"{origin} lacks a whole block of a VGG encoder")
    blocks = range(1, len(depths) + 1)
    try:
        encoder = Encoder([len(tensors[f"conv{b}_1.weight"]) for b in blocks], [depths[b] for b in blocks], pool=pool)
        encoder.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (KeyError, RuntimeError, ValueError, TypeError, IndexError) as error:
        raise WeightsError(f"{origin} does not hold one whole VGG encoder: {str(error).splitlines()[-1].strip()}") from None
    if not all(bool(torch.isfinite(parameter).all()) for parameter in encoder.parameters()):
        raise WeightsError(f"{origin} holds values that are not finite")
    return encoder.requires_grad_(False).eval()


def read_encoder(path: str | os.PathLike[str], *, pool: str = "max") -> Encoder:
    """Read an encoder from a safetensors file with tensors conv1_1.weight (C, 3, 3, 3), conv1_1.bias (C), ...

    Weights of any precision; input RGB in [0, 1], see `Encoder`. Raises WeightsError.
    """
    return encoder_from_tensors(read_tensors(path, "encoder")[0], pool=pool, origin=str(path))


def convert_torchvision(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convolutions of torchvision's VGG-16 or VGG-19 under our names, its colour normalisation folded into conv1_1.

    tensors: `features.N.weight` and `features.N.bias`; anything else (the classifier) is dropped. The published network
    pads with zeros, ours by reflection: features differ in a border of a few positions. Raises WeightsError.
    """
    indices = sorted({int(name.split(".")[1]) for name in tensors if name.startswith("features.") and name.endswith(".weight")})
    depths = {16: VGG19_DEPTHS, 13: VGG16_DEPTHS}.get(len(indices))
    if depths is None:
        raise WeightsError(f"{len(indices)} convolutions found where VGG-16 has 13 and VGG-19 has 16")
    names = Encoder(VGG19_CHANNELS, depths).names
    converted = {}
    for name, index in zip(names, indices, strict=True):
        converted[f"conv{name}.weight"] = tensors[f"features.{index}.weight"].float().contiguous()
        converted[f"conv{name}.bias"] = tensors[f"features.{index}.bias"].float().contiguous()
    weight, bias = fold_normalisation(converted["conv1_1.weight"], converted["conv1_1.bias"], mean=IMAGENET_MEAN, std=IMAGENET_STD)
    converted["conv1_1.weight"], converted["conv1_1.bias"] = weight, bias
    encoder_from_tensors(converted, origin="the published network")
    return converted
