"""Training of a decoder as an inverse of the encoder (Lu et al. 2017, section 3.3), and as a painter at several layers.

A decoder has to read features that no picture has. Each step shows it five kinds:

    content, style   features of photos and of paintings, where the picture is known
    swapped          features of photos made of patches of paintings (Chen and Schmidt 2016)
    transformed      features of photos brought to the statistics of paintings, by any of the transforms
    painted          the same at relu4_1, relu3_1 and relu2_1 on the way down; the loss is that of painting

The first four are judged by encoding the picture again: |f(g(F)) - F|^2 / |F|^2.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.errors import InputError
from impasto.events import Listener, silence
from impasto.methods.semantic.cascade import Cascade, styled
from impasto.methods.semantic.training_settings import DecoderTraining
from impasto.networks.decoder import Decoder, decode, initialise
from impasto.networks.decoder_file import read_decoder, write_decoder
from impasto.networks.layers import LAYERS
from impasto.networks.style_network import noise
from impasto.perception.encoder import Encoder
from impasto.perception.loss import PerceptualLoss, content_distance, total_variation
from impasto.perception.patch_swap import patch_swap
from impasto.perception.statistics import accumulating
from impasto.perception.transform import TRANSFORMS, statistics, transform
from impasto.runtime.device import Place
from impasto.runtime.encoders import load_encoder, load_loss
from impasto.storage.tensors import checksum
from impasto.training.collection import pictures_of
from impasto.training.data import Pictures, jitter_color
from impasto.training.loop import own_generator, share_of_rate, train
from impasto.training.made_pictures import gradients
from impasto.training.recipe import Materials, Work, Writer
from impasto.training.results import write_record_beside
from impasto.training.schedules import linear

PAPER = "Lu et al., Decoder Network over Lightweight Reconstructed Feature for Fast Semantic Style Transfer, ICCV 2017"

CELL = 8
"""Side, in pixels, of the squares whose mean colours are compared."""


class DecoderLearner:
    """A decoder and its losses for a batch of photos and paintings."""

    def __init__(self, decoder: Decoder, encoder: Encoder, loss: PerceptualLoss, settings: DecoderTraining, dtype: torch.dtype):
        self.decoder, self.encoder, self.loss, self.settings, self.dtype = decoder, encoder, loss, settings, dtype

    def gradient(self, contents: Tensor, styles: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Add the gradient of all losses to the decoder; the unweighted ones come back. contents, styles: (B, 3, H, W) each."""
        weights = {name: value.to(self.dtype) for name, value in self.decoder.named_parameters()}
        with torch.no_grad():
            found = self.encoder(torch.cat([contents, styles]), LAYERS)
        total, values = self._inversion(weights, contents, styles, found, generator)
        if self.settings.painting:
            painted, more = self._painting(weights, contents, styles, found, generator)
            total, values = total + self.settings.painting * painted, values | more
        total.backward()  # type: ignore[no-untyped-call]
        return {"loss": total.detach()} | values

    def _inversion(
        self, weights: dict[str, Tensor], contents: Tensor, styles: Tensor, found: dict[str, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Losses of features of one layer, drawn from those of the settings."""
        settings = self.settings
        layer = settings.layers[int(torch.randint(len(settings.layers), (), generator=generator))]
        known = found[layer]
        content, style = known.chunk(2)
        kinds, shares = [known], [1.0]
        if settings.swapped:
            kinds.append(patch_swap(content, style))
            shares.append(settings.swapped)
        if settings.transformed:
            kind = TRANSFORMS[int(torch.randint(len(TRANSFORMS), (), generator=generator))]
            strength = 0.5 + 0.5 * float(torch.rand((), generator=generator))
            with torch.no_grad():
                kinds.append(transform(content, statistics(style), kind=kind, strength=strength).clamp_min(0))
            shares.append(settings.transformed)
        inside: dict[str, Tensor] = {}

        def between(name: str, features: Tensor) -> Tensor:
            inside[name] = features[: len(known)]
            return features.relu()

        target = torch.cat(kinds)
        pictures = decode(self.decoder, weights, target, layer, between)
        errors = content_distance(self.encoder(pictures, [layer])[layer], target, normaliser="energy")
        parts = torch.split(errors, [len(kind) for kind in kinds])
        total = torch.stack([share * part.mean() for share, part in zip(shares, parts, strict=True)]).sum()
        true = torch.cat([contents, styles])
        missed = pictures[: len(true)] - true
        difference, colours = missed.square().mean(), F.avg_pool2d(missed, CELL).square().mean()
        inner = torch.stack([rectified_distance(value, found[name]) for name, value in inside.items()]).mean()
        total = (
            total
            + settings.pixels * difference
            + settings.colours * colours
            + settings.inner * inner
            + settings.tv_weight * total_variation(pictures, kind="l2sum").mean()
        )
        names = ("known", "swapped" if settings.swapped else "transformed", "transformed")
        values = {f"{name} {layer}": part.detach().mean() for name, part in zip(names, parts, strict=False)}
        pixels = {f"pixels {layer}": difference.detach(), f"colours {layer}": colours.detach()}
        return total, values | pixels | {f"inner {layer}": inner.detach()}

    def _painting(
        self, weights: dict[str, Tensor], contents: Tensor, styles: Tensor, found: dict[str, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of painting each photo in the style of its painting, at several layers on one way down."""
        features = {layer: value.chunk(2) for layer, value in found.items()}
        if self.settings.grain:
            deviation = self.settings.grain * torch.rand(len(contents), 1, 1, 1, generator=generator)
            grain = (deviation * noise((len(contents), 1, *contents.shape[2:]), generator, smooth=True)).to(contents)
            with torch.no_grad():
                grained = self.encoder(contents + grain, LAYERS)
            features = {layer: (grained[layer], value[1]) for layer, value in features.items()}
        kind = ("ost", "adain")[int(torch.randint(2, (), generator=generator))]
        detail = self.settings.detail * float(torch.rand((), generator=generator))
        cascade = Cascade(LAYERS[1:], kind=kind, detail=detail)
        style = styled({layer: value[1] for layer, value in features.items()}, cascade)
        picture = cascade({layer: value[0] for layer, value in features.items()}, style, lambda *way: decode(self.decoder, weights, *way))
        wanted = self.loss.style_target([styles])
        terms = self.loss(picture, self.loss.content_target(contents), wanted)
        values = {"style": terms.all_style.detach()}
        return terms.total, values | {"content": terms.content.detach()}


def rectified_distance(found: Tensor, target: Tensor) -> Tensor:
    """Mean squared distance of ReLU(given) to features that are never negative, relative to their energy: a scalar.

    Where the target is above 0, what is given counts even below 0: a ReLU that never opens would otherwise never learn to.
    """
    found, target = accumulating(found), accumulating(target)
    difference = torch.where(target > 0, found - target, found.relu())
    return difference.square().mean() / target.square().mean().clamp_min(1e-12)


def train_decoder(
    loss: PerceptualLoss,
    encoder: Encoder,
    contents: Pictures,
    paintings: Pictures,
    settings: DecoderTraining,
    *,
    place: Place,
    encoder_name: str = "",
    start: Decoder | None = None,
    checkpoint: Path | None = None,
    listener: Listener = silence,
) -> Decoder:
    """Train a decoder, in float32, computed in the place's precision.

    encoder: whose features it decodes; loss: of painting; both at that place. start: weights to begin with. checkpoint: see
    `impasto.training.loop.train`. Raises InputError if the checkpoint belongs to other settings or the loss becomes NaN or infinite.
    """
    torch.manual_seed(settings.seed)
    generator = own_generator(settings.seed)
    decoder = start
    if decoder is None:
        decoder = Decoder(encoder.channels, settings.depths or encoder.depths, hidden=settings.hidden, encoder=encoder_name)
        decoder.to(place.device)
        seen = contents.draw(8, settings.crop, torch.Generator().manual_seed(settings.seed), zoom=settings.zoom).to(place.device)
        initialise(decoder, encoder(seen, LAYERS), seen)
    decoder.to(place.device, torch.float32).to(memory_format=torch.channels_last).requires_grad_(True)  # type: ignore[call-overload]
    learner = DecoderLearner(decoder, encoder, loss, settings, place.dtype)

    def gradient(step: int) -> Mapping[str, Tensor]:
        photos = contents.draw(settings.batch, settings.crop, generator, zoom=settings.zoom)
        painted = paintings.draw(settings.batch, settings.crop, generator, zoom=settings.zoom)
        if settings.jitter:
            photos, painted = (jitter_color(part, generator, amount=settings.jitter) for part in (photos, painted))
        if settings.gradients:
            for index in torch.nonzero(torch.rand(len(photos), generator=generator) < settings.gradients).flatten().tolist():
                photos[index] = gradients(settings.crop, generator)
        photos, painted = (part.to(place.device).contiguous(memory_format=torch.channels_last) for part in (photos, painted))
        return learner.gradient(photos, painted, generator)

    share = share_of_rate if settings.balanced else lambda parameter: 1.0
    groups = [{"params": [parameter], "lr": settings.learning_rate * share(parameter)} for parameter in decoder.parameters()]
    train(
        settings,
        gradient,
        rate=lambda step: linear(step, settings.steps, final=settings.final_rate, warmup=settings.warmup),
        networks={"decoder": decoder},
        optimiser=torch.optim.Adam(groups, fused=True),
        generator=generator,
        data={"contents": contents.digest, "paintings": paintings.digest, "encoder": checksum(encoder.state_dict())},
        reads=[contents, paintings],
        checkpoint=checkpoint,
        start_share=settings.start_share,
        listener=listener,
    )
    return decoder


def run(materials: Materials, settings: DecoderTraining, work: Work) -> Writer:
    """From folders to a file with the registry's record beside it. Raises InputError or WeightsError."""
    name, judge = materials.encoder, materials.loss_encoder or materials.encoder
    photos, styles = pictures_of(materials.content, settings.seed), pictures_of(materials.style, settings.seed)
    encoder = load_encoder(name, work.place)
    missing = [layer for layer in LAYERS if layer not in encoder.layers]
    if missing:
        raise InputError(f"a decoder goes down from {LAYERS[-1]}, and the encoder {name} has no {missing[0]}")
    decoder = train_decoder(
        load_loss(judge, settings.loss, work.place),
        encoder,
        photos,
        styles,
        settings,
        place=work.place,
        encoder_name=Path(name).stem,
        start=None if materials.start is None else read_decoder(Path(materials.start))[0],
        checkpoint=work.checkpoint,
        listener=work.listener,
    )

    def write() -> None:
        write_decoder(decoder, encoder, work.output)
        title = f"decoder of {Path(name).stem} from relu4_1, relu3_1 and relu2_1"
        seen = f"{photos.described('photographs')} and {styles.described('paintings')}"
        judged = f"loss of painting with {Path(judge).stem}"
        source = f"{settings.steps} steps of {settings.batch} photos and paintings on {seen}, {judged}, {work.spent}"
        write_record_beside(work.output, "decoder", title, source, PAPER)

    return write
