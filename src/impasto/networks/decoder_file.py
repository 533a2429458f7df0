"""Decoders as files, and the decoder that belongs to an encoder: its features are the only ones that it can read."""

import os
from pathlib import Path

from impasto.errors import UnavailableError, WeightsError
from impasto.files import remembered
from impasto.gradients import with_gradients
from impasto.networks.decoder import Decoder
from impasto.networks.layers import LAYERS
from impasto.perception.encoder import Encoder
from impasto.runtime.device import Place
from impasto.runtime.encoders import load_encoder
from impasto.storage.registry import bundled, locate
from impasto.storage.weights_file import check_bounds, filled, read_weights, write_weights

_TOLERANCE = 0.01


def signature(encoder: Encoder) -> list[float]:
    """Norms of the encoder's filters down to relu4_1, by which its features are recognised in any precision."""
    names = encoder.names[: encoder.layers.index(LAYERS[-1]) + 1]
    return [round(float(encoder.convolution(name).weight.detach().double().norm()), 4) for name in names]


def write_decoder(decoder: Decoder, encoder: Encoder, path: Path) -> None:
    """Write the weights in half precision, with the signature of the encoder that they invert."""
    write_weights(path, decoder, kind="decoder", settings={**decoder.settings(), "signature": signature(encoder)})


def read_decoder(path: str | os.PathLike[str]) -> tuple[Decoder, list[float]]:
    """The decoder of a file, in float32 on the CPU, and its encoder's signature. Raises WeightsError for any other file."""
    settings, tensors = read_weights(path, kind="decoder")
    try:
        belongs = [float(value) for value in settings.pop("signature")]
        check_bounds(settings)
        return filled(lambda: Decoder(**settings), tensors, path, kind="decoder"), belongs
    except (KeyError, ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        raise WeightsError(f"{path} does not say how its decoder is built: {error}") from None


def _fits(belongs: list[float], encoder: Encoder) -> bool:
    measured = signature(encoder)
    return len(measured) == len(belongs) and all(abs(a - b) <= _TOLERANCE * b for a, b in zip(measured, belongs, strict=True))


def load_decoder(encoder: Encoder, name: str | None = None) -> Decoder:
    """The decoder of an encoder: the bundled one that inverts it, or the one of a file; loaded once, and not to be changed.

    Raises UnavailableError if no bundled decoder inverts this encoder, WeightsError if the file's does not.
    """
    if name is not None:
        decoder, belongs = _load(Path(name))
        if not _fits(belongs, encoder):
            raise WeightsError(f"{name} decodes the features of the encoder {decoder.encoder!r}, not of this one")
        return decoder
    known = []
    for bundled_name in bundled("decoder"):
        decoder, belongs = _load(locate(bundled_name, "decoder"))
        if _fits(belongs, encoder):
            return decoder
        known.append(decoder.encoder)
    raise UnavailableError(
        f"no bundled decoder reads the features of this encoder, only of {', '.join(known)}; "
        "impasto train decoder makes one, which is given as --decoder FILE"
    )


@remembered(4)
@with_gradients
def _load(path: Path) -> tuple[Decoder, list[float]]:
    return read_decoder(path)


def coder(encoder: str, place: Place, decoder: str | None = None) -> tuple[Decoder, Encoder]:
    """The encoder of a name at a place, and its decoder: the bundled one, or that of a file."""
    loaded = load_encoder(encoder, place)
    return load_decoder(loaded, decoder), loaded
