"""One network per style, trained from scratch on photographs (Johnson, Alahi and Fei-Fei 2016): the baseline of the fast methods.

The network is the one that the fast methods share, with instance norm (Ulyanov et al. 2016), so that it differs from an adapted network in
nothing but where its weights began and how long they were trained.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from impasto import __version__
from impasto.events import Listener, silence
from impasto.media.images import style_at
from impasto.media.style_images import read_style_image
from impasto.methods.johnson.training_settings import JohnsonTraining
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import fingerprint, load_network, to_style_file
from impasto.perception.autocorrelation import texture_term
from impasto.perception.loss import PerceptualLoss
from impasto.runtime.device import Place
from impasto.runtime.encoders import load_loss, measured_style
from impasto.storage.style_file import StyleRecord, write_style
from impasto.training.collection import pictures_of
from impasto.training.data import Pictures
from impasto.training.fitting import Curve, fit_network
from impasto.training.recipe import Materials, Work, Writer


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
    torch.manual_seed(settings.seed)
    network = StyleNetwork(settings.width) if start is None else start.empty_copy()
    if start is not None:
        network.load_state_dict(start.state_dict())
    sized = [style_at(painting.to(place.device), settings.style_size) for painting in paintings]
    data = {"contents": contents.digest}
    curve = fit_network(
        network,
        loss,
        loss.style_target(sized),
        contents,
        settings,
        place=place,
        texture=texture_term(sized),
        data=data,
        checkpoint=checkpoint,
        listener=listener,
    )
    return network.cpu(), curve


def run(materials: Materials, settings: JohnsonTraining, work: Work) -> Writer:
    """From a picture and folders of photos to a style file. Raises ImpastoError for what cannot be used."""
    assert materials.painting is not None
    name, contents, picture = (
        materials.painting.stem,
        pictures_of(materials.content, settings.seed),
        read_style_image(materials.painting)[None],
    )
    start = None if materials.start in (None, "random") else load_network(materials.start)
    loss = load_loss(materials.encoder, settings.loss, work.place)
    network, curve = train_johnson(
        loss, [picture], contents, settings, place=work.place, start=start, checkpoint=work.checkpoint, listener=work.listener
    )

    def write() -> None:
        record = StyleRecord(
            name,
            "johnson",
            encoder=Path(materials.encoder).stem,
            steps=settings.steps,
            loss=curve.last(),
            licence=materials.licence,
            source=Path(str(materials.painting)).name,
            settings={
                "training": asdict(settings),
                "start": "random" if start is None else fingerprint(start),
                "curve": curve.thinned(),
                "contents": contents.described("photos"),
            },
            impasto_version=__version__,
        )
        write_style(work.output, replace(to_style_file(network, record), statistics=measured_style([picture])))

    return write
