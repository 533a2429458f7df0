"""From a painting, films and photos to the style files of a teacher and of a student."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.distributed
from torch import Tensor

from impasto import __version__
from impasto.errors import InputError
from impasto.files import fitting
from impasto.media.images import style_at
from impasto.media.style_images import read_style_image
from impasto.methods.distillation.method import TEACHER
from impasto.methods.distillation.networks import SightedNetwork, TeacherNetwork, VideoNetwork, student_network, take_over
from impasto.methods.distillation.student_training import train_student
from impasto.methods.distillation.teacher_file import from_teacher_file, to_teacher_file
from impasto.methods.distillation.teacher_training import train_teacher
from impasto.methods.distillation.training_settings import VANILLA_STEPS, StudentTraining, TeacherTraining
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import from_style_file, load_network, to_style_file
from impasto.perception.loss import PerceptualLoss, StyleTarget
from impasto.runtime.device import Place
from impasto.runtime.encoders import load_loss, measured_style
from impasto.storage.style_file import StyleRecord, read_style, write_style
from impasto.storage.tensors import checksum
from impasto.training.clips import Clips, Films, Mixed, MovingPictures
from impasto.training.collection import pictures_of
from impasto.training.data import Pictures
from impasto.training.fitting import fit_network
from impasto.training.processes import rank, workers
from impasto.training.recipe import Materials, Work, Writer
from impasto.training.settings import FittingSettings

METASTYLE = "metastyle"
"""Name of the bundled network that styles are learned from."""
VANILLA = FittingSettings(steps=VANILLA_STEPS, batch=2, zoom=(0.8, 1.6))
"""How a network is taught the style where none is given that knows it."""


@dataclass(frozen=True)
class _Lesson:
    """What teachers and students learn from: a style with its loss, photos, films, and scenes made of the photos."""

    painting: Path
    loss: PerceptualLoss
    style: StyleTarget
    photos: Pictures | None
    films: Films | None

    @property
    def moving(self) -> MovingPictures | None:
        """Scenes made of the photos."""
        return None if self.photos is None else MovingPictures(self.photos)

    @property
    def measured(self) -> dict[str, Tensor]:
        """The statistics of the painting that style files keep."""
        return measured_style([read_style_image(self.painting)[None]])

    @property
    def contents(self) -> str:
        """How much of it there is, for the record."""
        left_out = f" ({self.films.broken} left out: they cannot be read)" if self.films is not None and self.films.broken else ""
        seen = "no photos" if self.photos is None else self.photos.described("photos")
        return f"{0 if self.films is None else len(self.films)} films{left_out}, {seen}"


def _lesson(materials: Materials, settings: TeacherTraining | StudentTraining, place: Place) -> _Lesson:
    assert materials.painting is not None
    photos = pictures_of(materials.content, settings.seed) if materials.content else None
    if not materials.film and photos is None:
        raise InputError("there is nothing to learn motion from: give films, or photos that can be moved")
    loss = load_loss(materials.encoder, settings.loss, place)
    style = loss.style_target([style_at(read_style_image(materials.painting)[None].to(place.device), settings.style_size)])
    return _Lesson(materials.painting, loss, style, photos, Films(materials.film) if materials.film else None)


def _without_grain(path: str) -> StyleNetwork:
    """The network of a style file that paints in one pass, without its grain: a grain stands still on the screen while the film moves."""
    network = from_style_file(read_style(path), load_network(METASTYLE))
    network.grain = 0.0
    return network


def _vanilla(name: str, lesson: _Lesson, steps: int, encoder: str, work: Work) -> StyleNetwork:
    """A network of a student's size that is taught the style on photos, and kept beside the output, so that it is not taught twice.

    What it is made of is in the name of its file, so that another painting, size or folder never starts from it.
    """
    assert lesson.photos is not None
    made_of = [
        checksum(lesson.style.statistics), name, steps, asdict(VANILLA), lesson.photos.digest, checksum(lesson.loss.encoder.state_dict()),
    ]  # fmt: skip
    digest = hashlib.sha256(repr(made_of).encode()).hexdigest()[:8]
    path = fitting(work.output.with_suffix(f".vanilla-{digest}.safetensors"))
    if rank() == 0 and not path.is_file():
        network = student_network(name)
        if name == METASTYLE:
            network.load_state_dict(load_network(METASTYLE).state_dict())
        checkpoint = path.with_suffix(".checkpoint")
        settings = replace(VANILLA, steps=steps)
        curve = fit_network(
            network,
            lesson.loss,
            lesson.style,
            lesson.photos,
            settings,
            place=work.place,
            data={"contents": lesson.photos.digest},
            checkpoint=checkpoint,
            listener=work.listener,
        )
        record = StyleRecord(
            lesson.painting.stem,
            "johnson",
            encoder=Path(encoder).stem,
            steps=steps,
            loss=curve.last(),
            source=lesson.painting.name,
            settings={"training": asdict(settings), "contents": lesson.photos.described("photos")},
            impasto_version=__version__,
        )
        write_style(path, replace(to_style_file(network.cpu(), record), statistics=lesson.measured))
        checkpoint.unlink(missing_ok=True)
    if workers() > 1:
        torch.distributed.barrier()
    return _without_grain(str(path))


def run_teacher(materials: Materials, settings: TeacherTraining, work: Work) -> Writer:
    """From a painting, photos and films to the style file of a teacher.

    materials.start: a style file that paints the painting already, or a teacher; without it a network is taught the style first and kept
    beside the output.
    """
    lesson = _lesson(materials, settings, work.place)
    assert lesson.photos is not None
    assert lesson.moving is not None
    torch.manual_seed(settings.seed)
    network = _teacher_from(materials.start, settings, lambda: _vanilla(METASTYLE, lesson, settings.vanilla_steps, materials.encoder, work))
    weight = train_teacher(
        network,
        lesson.loss,
        lesson.style,
        lesson.films,
        lesson.moving,
        lesson.photos,
        settings,
        place=work.place,
        checkpoint=work.checkpoint,
        listener=work.listener,
    )
    record = _record(materials, settings, {"temporal": weight}, lesson)
    return lambda: write_style(work.output, replace(to_teacher_file(network.cpu(), record), statistics=lesson.measured))


def _teacher_from(start: str | None, settings: TeacherTraining, vanilla: Callable[[], StyleNetwork]) -> TeacherNetwork:
    """The network of a teacher as it begins: a teacher that is trained further, or what paints the style already, begun blind."""
    if start is not None and read_style(start).record.network == TEACHER:
        known = from_teacher_file(read_style(start))
        if isinstance(known, SightedNetwork) == (settings.network == "start"):
            return known if isinstance(known, SightedNetwork) else take_over(VideoNetwork(), known)
        raise InputError(f"{start} is a teacher of another network than --network {settings.network}")
    begun = vanilla() if start is None else _without_grain(start)
    return SightedNetwork(begun) if settings.network == "start" else take_over(VideoNetwork(), begun)


def _student_from(start: str) -> StyleNetwork:
    """The vanilla student of a style file: the network that it holds, or a teacher with nothing before it.

    Raises InputError or StyleError.
    """
    style = read_style(start)
    if style.record.network != TEACHER:
        return _without_grain(start)
    teacher = from_teacher_file(style)
    if isinstance(teacher, SightedNetwork):
        return teacher.blind()
    raise InputError(f"{start} is a teacher of Ruder's network, which no student has; one of --network start can be a student's start")


def run_student(materials: Materials, settings: StudentTraining, work: Work) -> Writer:
    """From a painting and films, scenes made of photos, or both, to the style file of a student.

    materials.start: a style file, the vanilla student; without it one is trained first on the photos. materials.teacher: its style file.
    """
    lesson = _lesson(materials, settings, work.place)
    films, moving = lesson.films, lesson.moving
    clips: Clips = Mixed([films, moving], [3.0, 1.0]) if films is not None and moving is not None else films or moving  # type: ignore[assignment]
    if materials.start is not None:
        network = _student_from(materials.start)
        _check_size(network, settings.student, materials.start)
    else:
        torch.manual_seed(settings.seed)
        network = _vanilla(settings.student or METASTYLE, lesson, settings.vanilla_steps, materials.encoder, work)
    weights = train_student(
        network,
        None if materials.teacher is None else from_teacher_file(read_style(materials.teacher)),
        lesson.loss,
        lesson.style,
        clips,
        settings,
        place=work.place,
        checkpoint=work.checkpoint,
        listener=work.listener,
    )
    record = _record(materials, settings, weights, lesson)
    return lambda: write_style(work.output, replace(to_style_file(network.cpu(), record), statistics=lesson.measured))


def _check_size(network: StyleNetwork, student: str | None, start: str) -> None:
    """The network that is started from has the size that was asked for. Raises InputError."""
    if student is None:
        return
    wanted = student_network(student)
    if (wanted.width, wanted.blocks) != (network.width, network.blocks):
        held, other = (f"width {one.width} and {one.blocks} blocks" for one in (network, wanted))
        raise InputError(f"{start} holds a network of {held}, and {student} has {other}; leave --student out, or start from another")


def _record(
    materials: Materials, settings: TeacherTraining | StudentTraining, weights: Mapping[str, float], lesson: _Lesson
) -> StyleRecord:
    return StyleRecord(
        lesson.painting.stem,
        "distillation",
        encoder=Path(materials.encoder).stem,
        steps=settings.steps,
        licence=materials.licence,
        source=lesson.painting.name,
        settings={"training": asdict(settings), "weights": dict(weights), "contents": lesson.contents},
        impasto_version=__version__,
    )
