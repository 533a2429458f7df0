"""Training of the compact encoder: a narrow VGG-19 that makes the same judgements as the wide one.

The narrow network is trained for what it is used for. Five terms, each free of units, on photographs, paintings and
pictures that the narrow network itself has painted so far, at two sizes in turn:

    features    what a linear map of its features misses of VGG-19's, relative to their variance
    gram        the same for the Gram matrices, relative to their norm
    distance    squared difference of the logarithms of the style distances between all pictures of a batch
    content     the same for the content distances from the judged pictures to their photos
    gradient    1 - cosine between the gradients of both networks' style and content loss with respect to the picture

Pictures that optimisation has painted are where a narrow network is blind: it is what it believes to be the style.
They are painted during the training with the network as it then is and kept in a pool.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.events import Listener, silence
from impasto.perception.encoder import Encoder
from impasto.perception.loss import PerceptualLoss, content_distance, style_distance
from impasto.perception.statistics import gram
from impasto.runtime.device import Place
from impasto.runtime.encoders import load_encoder
from impasto.storage.tensors import checksum
from impasto.training.collection import pictures_of
from impasto.training.compression import compress, least_squares
from impasto.training.data import Pictures, jitter_color
from impasto.training.encoder_settings import EncoderTraining
from impasto.training.loop import train
from impasto.training.recipe import Materials, Work, Writer
from impasto.training.results import write_half, write_record_beside
from impasto.training.schedules import cosine

TAUGHT = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1")
STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
CONTENT = ("relu4_1", "relu4_2")


class Readouts(nn.Module):
    """One linear map per taught layer from narrow to wide features; needed in training only."""

    def __init__(self, student: Encoder, teacher: Encoder):
        blocks = {layer: int(layer[4]) - 1 for layer in TAUGHT}
        super().__init__()
        for layer, block in blocks.items():
            self.add_module(layer, nn.Conv2d(student.channels[block], teacher.channels[block], 1))

    def __getitem__(self, layer: str) -> nn.Conv2d:
        readout = self.get_submodule(layer)
        assert isinstance(readout, nn.Conv2d)
        return readout

    def gram(self, layer: str, features: Tensor, matrix: Tensor) -> Tensor:
        """Gram matrix of the read-out features, from the narrow ones and their own Gram matrix: never computed wide."""
        weight, bias = self[layer].weight[:, :, 0, 0], self[layer].bias
        assert bias is not None
        mixed = (features.float().mean((2, 3)) @ weight.T)[:, :, None] * bias
        return weight @ matrix @ weight.T + mixed + mixed.transpose(1, 2) + bias[:, None] * bias

    @torch.no_grad()
    def fit(self, narrow: dict[str, Tensor], wide: dict[str, Tensor], *, samples: int = 60_000) -> None:
        """Solve every map by least squares."""
        for layer in TAUGHT:
            readout = self[layer]
            assert readout.bias is not None
            inputs, targets = (f[layer].permute(0, 2, 3, 1).flatten(0, 2) for f in (narrow, wide))
            every = max(1, len(inputs) // samples)
            inputs, targets = inputs[::every].float(), targets[::every].float()
            weight, bias = least_squares(inputs, targets)
            readout.weight.copy_(weight[:, :, None, None])
            readout.bias.copy_(bias)


def gram_matrices(features: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gram matrices of the four style layers."""
    return {layer: gram(features[layer]) for layer in STYLE}


def pair_distances(grams: dict[str, Tensor]) -> Tensor:
    """Relative style distance of every picture of a batch to every other: (layers, B, B), row to column."""
    distances = []
    for g in grams.values():
        flat = g.flatten(1)
        product = flat @ flat.T
        energy = product.diagonal()
        distances.append((energy[:, None] + energy[None] - 2 * product).clamp_min(0) / energy[None])
    return torch.stack(distances)


def loss_gradient(
    pictures: Tensor,
    features: dict[str, Tensor],
    grams: dict[str, Tensor],
    contents: dict[str, Tensor],
    styles: dict[str, Tensor],
    *,
    content_share: float,
    keep_graph: bool,
) -> Tensor:
    """Gradient of the mean relative style distance + content_share * mean content distance, for each picture: (B, 3, H, W).

    features and grams are those of the pictures, contents the features of their photos, styles the Gram matrices of
    their paintings.
    """
    style = [style_distance(grams[layer], styles[layer], reduction="relative") for layer in STYLE]
    content = [content_distance(features[layer], contents[layer], normaliser="energy") for layer in CONTENT]
    loss = torch.stack(style).mean(0) + content_share * torch.stack(content).mean(0)
    (gradient,) = torch.autograd.grad(loss.sum(), pictures, create_graph=keep_graph, retain_graph=True)
    return gradient


def log_distance_error(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of log distances over all pairs of different pictures; distances below 1e-4 count as 1e-4."""
    apart = ~torch.eye(student.shape[-1], dtype=torch.bool)
    return _log_error(student[:, apart], teacher[:, apart])


def content_distances(features: dict[str, Tensor], contents: dict[str, Tensor]) -> Tensor:
    """Content distance of every judged picture to its photo at each layer of CONTENT: (layers, B)."""
    return torch.stack([content_distance(features[layer], contents[layer], normaliser="energy") for layer in CONTENT])


def _log_error(student: Tensor, teacher: Tensor) -> Tensor:
    return (student.clamp_min(1e-4).log() - teacher.clamp_min(1e-4).log()).square().mean()


class PaintedPools:
    """A pool for each size of crops. It is a memory of the loop."""

    def __init__(self, size: int, crops: Sequence[int]):
        self.pools = {crop: PaintedPool(size, crop) for crop in crops}

    def state(self) -> dict[int, Tensor]:
        """For a checkpoint."""
        return {crop: pool.state() for crop, pool in self.pools.items()}

    def load(self, state: dict[int, Tensor]) -> None:
        """Out of a checkpoint."""
        for crop, entries in state.items():
            self.pools[crop].load(entries)


class PaintedPool:
    """Pictures that the network in training has painted so far, each with its photo and its painting.

    One tensor (N, 3, 3, crop, crop) of bytes: for every entry the painted picture, the photo, the painting.
    """

    def __init__(self, size: int, crop: int):
        self.size = size
        self.entries = torch.empty(0, 3, 3, crop, crop, dtype=torch.uint8)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Random painted pictures, their photos and their paintings, (count, 3, crop, crop) each."""
        index = torch.randint(len(self.entries), (count,), generator=generator)
        painted, photos, paintings = self.entries[index].float().div(255).unbind(1)
        return painted, photos, paintings

    def add(self, painted: Tensor, photos: Tensor, paintings: Tensor) -> None:
        """Put new pictures in; the oldest leave when the pool is full."""
        entries = torch.stack([painted, photos, paintings], 1).mul(255).round().byte()
        self.entries = torch.cat([self.entries, entries])[-self.size :]

    def state(self) -> Tensor:
        """For a checkpoint."""
        return self.entries.clone()

    def load(self, state: Tensor) -> None:
        """Out of a checkpoint."""
        self.entries = state


def paint(encoder: Encoder, contents: Tensor, styles: Tensor, start: Tensor, *, steps: int) -> Tensor:
    """Optimise a batch of pictures from `start` towards one style each, quickly (Adam on the pixels).

    (B, 3, H, W) in [0, 1] in and out, on the CPU; the work is done where the encoder is.
    """
    device = encoder.convolution("1_1").weight.device
    contents, styles, start = contents.to(device), styles.to(device), start.to(device)
    loss = PerceptualLoss(encoder, "impasto")
    content = loss.content_target(contents)
    target = loss.style_target([styles])
    pixels = start.clone(memory_format=torch.channels_last).requires_grad_(True)
    optimiser = torch.optim.Adam([pixels], lr=0.03)
    for _ in range(steps):
        optimiser.zero_grad()
        torch.autograd.backward(loss(pixels, content, target).total * len(pixels))
        optimiser.step()
    return pixels.detach().clamp(0, 1).contiguous().cpu()


def train_encoder(
    teacher: Encoder,
    contents: Sequence[Path],
    styles: Sequence[Path],
    *,
    settings: EncoderTraining | None = None,
    checkpoint: Path | None = None,
    device: str | torch.device = "cpu",
    listener: Listener = silence,
) -> tuple[Encoder, dict[str, object]]:
    """Distil `teacher` into a narrow encoder on folders of photographs and of paintings.

    checkpoint: see `impasto.training.loop.train`. Networks run in bfloat16 on the device. Reports the four terms at every step. Returns the
    encoder, on the CPU, and the record of how it was made.
    """
    settings = settings or EncoderTraining()
    photos, paintings = pictures_of(list(contents), settings.seed), pictures_of(list(styles), settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    torch.manual_seed(settings.seed)
    student = Encoder(settings.channels)
    readouts = Readouts(student, teacher)
    networks = nn.ModuleDict({"student": student, "readouts": readouts})
    taught_by = checksum(teacher.state_dict())
    crops = torch.cat([photos.draw(64, settings.crop, generator), paintings.draw(64, settings.crop, generator)])
    compress(teacher, student, crops)
    with torch.no_grad():
        readouts.fit(student(crops, TAUGHT), teacher(crops, TAUGHT))
    teacher = teacher.requires_grad_(False).to(device, torch.bfloat16).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    networks.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    sizes = [(settings.crop, settings.batch), *([(settings.wide_crop, settings.wide_batch)] if settings.wide_batch else [])]
    pools = PaintedPools(settings.pool, [crop for crop, _ in sizes])
    started = time.monotonic()

    def gradient(step: int) -> dict[str, float]:
        crop, count = sizes[step % len(sizes)]
        pool = pools.pools[crop]
        if step // len(sizes) % settings.paint_every == 0 or not len(pool.entries):
            _refresh(pool, student, photos, paintings, crop, count, settings, generator)
        return _gradient(teacher, student, readouts, _batch(photos, paintings, pool, crop, count, settings, generator), settings)

    train(
        settings,
        gradient,
        rate=lambda step: cosine(step, settings.steps, final=0.01, warmup=settings.warmup),
        networks={"encoder": networks},
        optimiser=torch.optim.Adam(networks.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99)),
        generator=generator,
        data={"contents": photos.digest, "paintings": paintings.digest, "teacher": taught_by},
        memory=pools,
        reads=[photos, paintings],
        checkpoint=checkpoint,
        listener=listener,
    )
    record = {
        "trained_on": f"{photos.described('photographs')}, {paintings.described('paintings')}",
        "settings": asdict(settings),
        "seconds": round(time.monotonic() - started),
    }
    return student.requires_grad_(False).cpu(), record


def _refresh(
    pool: PaintedPool,
    student: Encoder,
    photos: Pictures,
    paintings: Pictures,
    crop: int,
    count: int,
    settings: EncoderTraining,
    generator: torch.Generator,
) -> None:
    """Paint a new batch with the student as it is now: new pictures, or older ones of the pool painted further."""
    half = Encoder(student.channels, student.depths).requires_grad_(False)
    half.load_state_dict(student.state_dict())
    half = half.to(student.convolution("1_1").weight.device, torch.bfloat16).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    contents = start = photos.draw(count, crop, generator)
    styles = paintings.draw(count, crop, generator)
    if len(pool.entries) >= pool.size // 2 and torch.rand((), generator=generator) < 0.5:
        start, contents, styles = pool.draw(count, generator)
    pool.add(paint(half, contents, styles, start, steps=settings.paint_steps), contents, styles)


def _batch(
    photos: Pictures,
    paintings: Pictures,
    pool: PaintedPool,
    crop: int,
    count: int,
    settings: EncoderTraining,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Judged pictures and, in the same order, the photos and the paintings that they are judged against.

    Half are photos, recoloured and noisy, judged against themselves and any painting; half are of the pool, judged
    against the photo and the painting that they came from. (2 count, 3, H, W) each.
    """
    painted, their_photos, their_paintings = pool.draw(count, generator)
    photo = photos.draw(count, crop, generator)
    amount = settings.noise * torch.rand(count, 1, 1, 1, generator=generator)
    noisy = jitter_color(photo, generator) + amount * torch.randn(photo.shape, generator=generator)
    fresh = jitter_color(paintings.draw(count, crop, generator), generator)
    batch = torch.cat([noisy.clamp(0, 1), painted]), torch.cat([photo, their_photos]), torch.cat([fresh, their_paintings])
    judged, contents, styles = (part.contiguous(memory_format=torch.channels_last) for part in batch)
    return judged, contents, styles


def _gradient(
    teacher: Encoder,
    student: Encoder,
    readouts: Readouts,
    batch: tuple[Tensor, Tensor, Tensor],
    settings: EncoderTraining,
) -> dict[str, float]:
    """The gradient on one batch of judged pictures, their photos and their paintings; returns the terms."""
    device = student.convolution("1_1").weight.device
    judged, photos, paintings = (part.to(device) for part in batch)
    judged = judged.clone().requires_grad_(True)

    wide, rest = teacher(judged, TAUGHT), teacher(paintings, TAUGHT)
    wide_judged, wide_others = gram_matrices(wide), gram_matrices(rest)
    wide_kept = teacher(photos, CONTENT)
    wide_contents = content_distances(wide, wide_kept).detach()
    wide_gradient = loss_gradient(judged, wide, wide_judged, wide_kept, wide_others, content_share=settings.content_share, keep_graph=False)
    wide = {layer: torch.cat([wide[layer].detach(), rest[layer]]) for layer in TAUGHT}
    wide_grams = {layer: torch.cat([wide_judged[layer].detach(), wide_others[layer]]) for layer in STYLE}

    with torch.autocast(device.type, torch.bfloat16):
        narrow, rest, kept = student(judged, TAUGHT), student(paintings, TAUGHT), student(photos, CONTENT)
    narrow_judged, narrow_others = gram_matrices(narrow), gram_matrices(rest)
    gradient = loss_gradient(judged, narrow, narrow_judged, kept, narrow_others, content_share=settings.content_share, keep_graph=True)
    contents = content_distances(narrow, kept)
    narrow = {layer: torch.cat([narrow[layer], rest[layer]]) for layer in TAUGHT}
    narrow_grams = {layer: torch.cat([narrow_judged[layer], narrow_others[layer]]) for layer in STYLE}

    features, grams = [], []
    for layer in TAUGHT:
        stride = max(1, 8 >> int(layer[4]))  # neighbouring positions of the first layers say nearly the same
        truth = wide[layer][..., ::stride, ::stride].float()
        variance = (truth - truth.mean((0, 2, 3), keepdim=True)).square().mean()
        features.append((readouts[layer](narrow[layer][..., ::stride, ::stride].float()) - truth).square().mean() / variance)
        if layer in STYLE:
            guess = readouts.gram(layer, narrow[layer], narrow_grams[layer])
            grams.append(style_distance(guess, wide_grams[layer], reduction="relative").mean())
    terms = {
        "features": torch.stack(features).mean(),
        "gram": torch.stack(grams).mean(),
        "distance": log_distance_error(pair_distances(narrow_grams), pair_distances(wide_grams)),
        "content": _log_error(contents, wide_contents),
        "gradient": 1 - F.cosine_similarity(gradient.flatten(1), wide_gradient.flatten(1)).mean(),
    }
    loss = sum(getattr(settings, f"{name}_weight") * term for name, term in terms.items())
    assert isinstance(loss, Tensor)
    torch.autograd.backward(loss)
    return {"loss": loss.item(), **{name: term.item() for name, term in terms.items()}}


def run(materials: Materials, settings: EncoderTraining, work: Work) -> Writer:
    """From folders and a teacher to a file in half precision with the registry's record beside it. Raises InputError or WeightsError."""
    assert materials.teacher is not None
    teacher = load_encoder(materials.teacher, Place(torch.device("cpu"), torch.float32))
    student, made = train_encoder(
        teacher,
        materials.content,
        materials.style,
        settings=settings,
        checkpoint=work.checkpoint,
        device=work.place.device,
        listener=work.listener,
    )

    def write() -> None:
        write_half(student, work.output, "encoder")
        title = f"VGG-19 with {'/'.join(map(str, settings.channels))} channels instead of 64/128/256/512/512"
        taught = f"distilled from {Path(str(materials.teacher)).stem} on {made['trained_on']}"
        write_record_beside(work.output, "encoder", title, f"{taught}, {settings.steps} steps, {made['seconds']} s")

    return write
