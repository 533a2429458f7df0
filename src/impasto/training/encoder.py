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

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.errors import InputError
from impasto.events import Listener, silence
from impasto.perception.encoder import Encoder
from impasto.perception.loss import PerceptualLoss, content_distance, style_distance
from impasto.perception.statistics import gram
from impasto.perception.weights import read_encoder
from impasto.runtime.device import Place, settle
from impasto.runtime.encoders import load_encoder
from impasto.storage.tensors import checksum
from impasto.training.collection import pictures_of
from impasto.training.compression import TAUGHT, compress, least_squares
from impasto.training.data import Pictures, jitter_color
from impasto.training.encoder_settings import EncoderTraining
from impasto.training.loop import train
from impasto.training.recipe import Materials, Work, Writer
from impasto.training.results import write_half, write_record_beside
from impasto.training.schedules import cosine

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


@dataclass(frozen=True)
class Answer:
    """What the teacher says about one lesson: a judged picture, its photo, and the painting that it is compared with.

    features: of the judged picture and of the painting, layer -> (2, C, h, w), every few positions of the first layers, in bfloat16.
    grams: of both, layer -> (2, C, C). contents: (layers of CONTENT, 1). gradient: (1, 3, H, W).
    """

    features: dict[str, Tensor]
    grams: dict[str, Tensor]
    contents: Tensor
    gradient: Tensor


def answer(teacher: Encoder, judged: Tensor, photo: Tensor, painting: Tensor, *, content_share: float) -> Answer:
    """The teacher's answer for one lesson of pictures, (1, 3, H, W) each, where the teacher is."""
    judged = judged.clone().requires_grad_(True)
    own, other, kept = teacher(judged, TAUGHT), teacher(painting, TAUGHT), teacher(photo, CONTENT)
    grams, others = gram_matrices(own), gram_matrices(other)
    contents = content_distances(own, kept).detach()
    gradient = loss_gradient(judged, own, grams, kept, others, content_share=content_share, keep_graph=False)
    return Answer(
        {layer: torch.cat([thinned(own[layer].detach(), layer), thinned(other[layer], layer)]).bfloat16() for layer in TAUGHT},
        {layer: torch.cat([grams[layer].detach(), others[layer]]) for layer in STYLE},
        contents,
        gradient,
    )


def thinned(features: Tensor, layer: str) -> Tensor:
    """Every few positions of a layer: neighbours of the first layers say nearly the same."""
    stride = max(1, 8 >> int(layer[4]))
    return features[..., ::stride, ::stride]


class Lessons:
    """Triples of pictures of one kind and size, the newest ones, each with the teacher's answer once it has been asked for.

    The teacher is most of the work of a step, and its answer stays the same: a lesson is used several times. entries is one tensor of
    bytes (N, 3, 3, crop, crop): the judged picture, the photo, the painting.
    """

    def __init__(self, size: int, crop: int):
        self.size = size
        self.entries = torch.empty(0, 3, 3, crop, crop, dtype=torch.uint8)
        self.answers: list[Answer | None] = []

    def draw(self, count: int, generator: torch.Generator) -> list[int]:
        """Random ones."""
        return torch.randint(len(self.entries), (count,), generator=generator).tolist()

    def pictures(self, chosen: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Their judged pictures, photos and paintings, (N, 3, crop, crop) each."""
        judged, photos, paintings = self.entries[chosen].float().div(255).unbind(1)
        return judged, photos, paintings

    def answer(self, index: int, ask: Callable[[Tensor, Tensor, Tensor], Answer]) -> Answer:
        """What the teacher says about one of them; it is asked once, and about each alone, so that a resumed training hears the same."""
        known = self.answers[index] or ask(*self.pictures([index]))
        self.answers[index] = known
        return known

    def add(self, judged: Tensor, photos: Tensor, paintings: Tensor) -> None:
        """Put new ones in; the oldest leave when it is full."""
        entries = torch.stack([judged, photos, paintings], 1).mul(255).round().byte()
        self.entries = torch.cat([self.entries, entries])[-self.size :]
        self.answers = [*self.answers, *[None] * len(entries)][-self.size :]

    def state(self) -> Tensor:
        """For a checkpoint: the pictures."""
        return self.entries.clone()

    def load(self, state: Tensor) -> None:
        """Out of a checkpoint."""
        self.entries, self.answers = state, [None] * len(state)


class AllLessons:
    """Fresh and painted lessons of every size. It is a memory of the loop."""

    def __init__(self, size: int, crops: Sequence[int]):
        self.of = {(kind, crop): Lessons(size, crop) for kind in ("fresh", "painted") for crop in crops}

    def state(self) -> dict[tuple[str, int], Tensor]:
        """For a checkpoint."""
        return {key: lessons.state() for key, lessons in self.of.items()}

    def load(self, state: dict[tuple[str, int], Tensor]) -> None:
        """Out of a checkpoint."""
        for key, entries in state.items():
            self.of[key].load(entries)


def paint(encoder: Encoder, contents: Tensor, styles: Tensor, start: Tensor, *, steps: int, content_weight: float) -> Tensor:
    """Optimise a batch of pictures from `start` towards one style each, by L-BFGS on the yardstick's loss, as the encoder will be used.

    (B, 3, H, W) in [0, 1] in and out, on the CPU; the work is done where the encoder is.
    """
    device = encoder.convolution("1_1").weight.device
    contents, styles, start = contents.to(device), styles.to(device), start.to(device)
    loss = PerceptualLoss(encoder, "yardstick").with_weights(content_weight=content_weight)
    content = loss.content_target(contents)
    target = loss.style_target([styles])
    pixels = start.clone(memory_format=torch.contiguous_format).requires_grad_(True)
    optimiser = torch.optim.LBFGS([pixels], max_iter=steps, history_size=20, line_search_fn="strong_wolfe", tolerance_change=0)

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = loss(pixels.contiguous(memory_format=torch.channels_last), content, target).total
        torch.autograd.backward(value)
        return value

    if steps:
        optimiser.step(closure)  # type: ignore[no-untyped-call]
    return pixels.detach().clamp(0, 1).contiguous().cpu()


def train_encoder(
    teacher: Encoder,
    contents: Sequence[Path],
    styles: Sequence[Path],
    *,
    settings: EncoderTraining | None = None,
    start: Encoder | None = None,
    place: Place | None = None,
    checkpoint: Path | None = None,
    listener: Listener = silence,
) -> tuple[Encoder, dict[str, object]]:
    """Distil `teacher` into a narrow encoder on folders of photographs and of paintings.

    start: a narrow encoder to train further instead of a linear projection of the teacher.
    place: device and precision of the networks; the CPU in float32 by default. Weights, statistics and losses stay in float32.
    checkpoint: see `impasto.training.loop.train`.
    Reports the five terms at every step. Returns the encoder, on the CPU, and the record of how it was made. Raises InputError for a start
    of another width.
    """
    settings, place = settings or EncoderTraining(), place or Place(torch.device("cpu"), torch.float32)
    photos, paintings = pictures_of(list(contents), settings.seed), pictures_of(list(styles), settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    torch.manual_seed(settings.seed)
    if start is not None and start.channels != settings.channels:
        raise InputError(f"the encoder to begin with has channels {start.channels}, and the settings say {settings.channels}")
    if start is not None and start.depths != settings.depths:
        raise InputError(f"the encoder to begin with has {start.depths} convolutions per block, and the settings say {settings.depths}")
    if len(teacher.depths) < 5 or any(own > full for own, full in zip(settings.depths, teacher.depths, strict=True)):
        raise InputError(f"the teacher has {teacher.depths} convolutions per block, too few for {settings.depths}")
    student = Encoder(settings.channels, settings.depths) if start is None else start.requires_grad_(True)
    readouts = Readouts(student, teacher)
    networks = nn.ModuleDict({"student": student, "readouts": readouts})
    taught_by = checksum(teacher.state_dict())
    crops = torch.cat([photos.draw(64, settings.crop, generator), paintings.draw(64, settings.crop, generator)])
    if start is None:
        compress(teacher, student, crops)
    with torch.no_grad():
        readouts.fit(student(crops, TAUGHT), teacher(crops, TAUGHT))
    teacher = settle(teacher.requires_grad_(False), place)
    settle(networks, Place(place.device, torch.float32))
    sizes = [(settings.crop, settings.batch), *([(settings.wide_crop, settings.wide_batch)] if settings.wide_batch else [])]
    shares = {crop: max(1, round(settings.fresh_share * count)) for crop, count in sizes}
    lessons = AllLessons(settings.pool, [crop for crop, _ in sizes])
    started = time.monotonic()

    def ask(judged: Tensor, photo: Tensor, painting: Tensor) -> Answer:
        pictures = (part.to(place.device, memory_format=torch.channels_last) for part in (judged, photo, painting))
        return answer(teacher, *pictures, content_share=settings.content_share)

    def gradient(step: int) -> dict[str, float]:
        crop, count = sizes[step % len(sizes)]
        turn, fresh, painted = step // len(sizes), lessons.of["fresh", crop], lessons.of["painted", crop]
        if turn % settings.fresh_every == 0:
            fresh.add(*_fresh(photos, paintings, crop, shares[crop], settings, generator))
        if turn % settings.paint_every == 0:
            _refresh(painted, student, place, photos, paintings, crop, max(1, count // 2), settings, generator)
        pictures, answers = [], []
        for kind, part in ((fresh, shares[crop]), (painted, max(1, count - shares[crop]))):
            chosen = kind.draw(part, generator)
            pictures.append(kind.pictures(chosen))
            answers += [kind.answer(index, ask) for index in chosen]
        return _gradient(student, readouts, place, [torch.cat(parts) for parts in zip(*pictures, strict=True)], answers, settings)

    train(
        settings,
        gradient,
        rate=lambda step: cosine(step, settings.steps, final=0.01, warmup=settings.warmup),
        networks={"encoder": networks},
        optimiser=torch.optim.Adam(networks.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99)),
        generator=generator,
        data={"contents": photos.digest, "paintings": paintings.digest, "teacher": taught_by},
        memory=lessons,
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


def _fresh(
    photos: Pictures, paintings: Pictures, crop: int, count: int, settings: EncoderTraining, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Photos, recoloured and noisy, judged against themselves and any painting: three times (count, 3, crop, crop)."""
    photo = photos.draw(count, crop, generator)
    amount = settings.noise * torch.rand(count, 1, 1, 1, generator=generator)
    noisy = jitter_color(photo, generator) + amount * torch.randn(photo.shape, generator=generator)
    return noisy.clamp(0, 1), photo, jitter_color(paintings.draw(count, crop, generator), generator)


def _refresh(
    painted: Lessons,
    student: Encoder,
    place: Place,
    photos: Pictures,
    paintings: Pictures,
    crop: int,
    count: int,
    settings: EncoderTraining,
    generator: torch.Generator,
) -> None:
    """Paint new lessons with the student as it is now: new pictures, or older ones painted further."""
    still = Encoder(student.channels, student.depths).requires_grad_(False)
    still.load_state_dict(student.state_dict())
    still = settle(still, place)
    contents = start = photos.draw(count, crop, generator)
    styles = paintings.draw(count, crop, generator)
    if len(painted.entries) >= painted.size // 2 and torch.rand((), generator=generator) < 0.5:
        start, contents, styles = painted.pictures(painted.draw(count, generator))
    low, high = (math.log(weight) for weight in settings.paint_content)
    weight = math.exp(low + (high - low) * torch.rand((), generator=generator).item())
    painted.add(paint(still, contents, styles, start, steps=settings.paint_steps, content_weight=weight), contents, styles)


def _gradient(
    student: Encoder, readouts: Readouts, place: Place, pictures: Sequence[Tensor], answers: Sequence[Answer], settings: EncoderTraining
) -> dict[str, float]:
    """The gradient on judged pictures, their photos and their paintings, with the teacher's answers; returns the terms."""
    judged, photos, paintings = (part.to(place.device).contiguous(memory_format=torch.channels_last) for part in pictures)
    judged = judged.clone().requires_grad_(True)
    with torch.autocast(place.device.type, place.dtype, enabled=place.dtype != torch.float32):
        own, others, kept = student(judged, TAUGHT), student(paintings, TAUGHT), student(photos, CONTENT)
    grams, other_grams = gram_matrices(own), gram_matrices(others)
    gradient = loss_gradient(judged, own, grams, kept, other_grams, content_share=settings.content_share, keep_graph=True)
    contents = content_distances(own, kept)
    narrow = {layer: torch.cat([own[layer], others[layer]]) for layer in TAUGHT}
    narrow_grams = {layer: torch.cat([grams[layer], other_grams[layer]]) for layer in STYLE}
    wide_grams = {layer: torch.cat([said.grams[layer][part : part + 1] for part in (0, 1) for said in answers]) for layer in STYLE}

    features, gram_errors = [], []
    for layer in TAUGHT:
        truth = torch.cat([said.features[layer][part : part + 1] for part in (0, 1) for said in answers]).float()
        variance = (truth - truth.mean((0, 2, 3), keepdim=True)).square().mean()
        features.append((readouts[layer](thinned(narrow[layer], layer).float()) - truth).square().mean() / variance)
        if layer in STYLE:
            guess = readouts.gram(layer, narrow[layer], narrow_grams[layer])
            gram_errors.append(style_distance(guess, wide_grams[layer], reduction="relative").mean())
    truth = torch.cat([said.gradient for said in answers])
    terms = {
        "features": torch.stack(features).mean(),
        "gram": torch.stack(gram_errors).mean(),
        "distance": log_distance_error(pair_distances(narrow_grams), pair_distances(wide_grams)),
        "content": _log_error(contents, torch.cat([said.contents for said in answers], 1)),
        "gradient": 1 - F.cosine_similarity(gradient.flatten(1), truth.flatten(1)).mean(),
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
        start=None if materials.start is None else read_encoder(Path(materials.start)),
        place=work.place,
        checkpoint=work.checkpoint,
        listener=work.listener,
    )

    def write() -> None:
        write_half(student, work.output, "encoder")
        widths, depths = ("/".join(map(str, each)) for each in (settings.channels, settings.depths))
        title = f"VGG-19 with {widths} channels in {depths} convolutions instead of 64/128/256/512/512 in 2/2/4/4/1"
        begun = "" if materials.start is None else f"begun from {Path(materials.start).stem}, "
        taught = f"{begun}distilled from {Path(str(materials.teacher)).stem} on {made['trained_on']}"
        write_record_beside(work.output, "encoder", title, f"{taught}, {settings.steps} steps, {made['seconds']} s")

    return write
