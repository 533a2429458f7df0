"""One network per style, trained from scratch on photographs (Johnson, Alahi and Fei-Fei 2016): the baseline of the fast methods.

The network is the one that the fast methods share, with instance norm (Ulyanov et al. 2016), so that it differs from an adapted network in
nothing but where its weights began and how long they were trained.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from impasto import __version__
from impasto.events import Listener, silence
from impasto.media.images import read_picture, style_at
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import fingerprint, to_style_file
from impasto.perception.loss import PerceptualLoss
from impasto.runtime.device import Place
from impasto.runtime.encoders import load_loss
from impasto.storage.style_file import StyleRecord, write_style
from impasto.training.data import PictureFolder, Pictures
from impasto.training.fitting import Curve, fit_network
from impasto.training.recipe import Work, Writer, check_output, train_to_file
from impasto.training.settings import FittingSettings


@dataclass(frozen=True)
class JohnsonTraining:
    """Settings; the published training is 40,000 steps of 4 photos at 256 pixels with Adam at 1e-3."""

    training: FittingSettings = field(default_factory=lambda: FittingSettings(steps=40_000, batch=4, final_rate=1.0, zoom=(1.0, 2.0)))
    style_size: int = 256
    width: int = 32


def train_johnson(
    loss: PerceptualLoss,
    paintings: Sequence[Tensor],
    contents: Pictures,
    settings: JohnsonTraining | None = None,
    *,
    place: Place,
    start: StyleNetwork | None = None,
    checkpoint: Path | None = None,
    listener: Listener = silence,
) -> tuple[StyleNetwork, Curve]:
    """Train a network for paintings (1, 3, h, w) as one style on contents, from random weights or from a copy of `start`.

    loss: over an encoder at the place. checkpoint: see `impasto.training.loop.train`. Returns the network in
    float32 on the CPU and the curve of its loss.
    """
    settings = settings or JohnsonTraining()
    torch.manual_seed(settings.training.seed)
    network = StyleNetwork(settings.width) if start is None else start.empty_copy()
    if start is not None:
        network.load_state_dict(start.state_dict())
    target = loss.style_target([style_at(painting.to(place.device), settings.style_size) for painting in paintings])
    data = {"contents": contents.digest}
    curve = fit_network(
        network, loss, target, contents, settings.training, place=place, data=data, checkpoint=checkpoint, listener=listener
    )
    return network.cpu(), curve


def train_johnson_file(
    painting: Path,
    photos: Sequence[Path],
    output: Path,
    settings: JohnsonTraining,
    *,
    preset: str = "feedforward",
    start: StyleNetwork | None = None,
    encoder: str = "compact",
    device: str = "auto",
    precision: str = "auto",
    listener: Listener = silence,
) -> Path | None:
    """`train_johnson` from a picture and folders of photos to a style file; the checkpoint lies beside it while it lasts.

    Raises ImpastoError for a picture, folder, output or preset that cannot be used.
    """
    check_output(output, [encoder])

    def run(work: Work) -> Writer:
        contents, picture = PictureFolder(photos), read_picture(painting).pixels[None]
        loss = load_loss(encoder, preset, work.place)
        network, curve = train_johnson(
            loss, [picture], contents, settings, place=work.place, start=start, checkpoint=work.checkpoint, listener=listener
        )

        def write() -> None:
            record = StyleRecord(
                painting.stem,
                "johnson",
                encoder=Path(encoder).stem,
                steps=settings.training.steps,
                loss=curve.last(),
                source=painting.name,
                settings={
                    "training": asdict(settings),
                    "start": "random" if start is None else fingerprint(start),
                    "curve": curve.thinned(),
                    "contents": contents.told("photos"),
                },
                impasto_version=__version__,
            )
            write_style(output, to_style_file(network, record))

        return write

    return train_to_file(output, run, device=device, precision=precision)
