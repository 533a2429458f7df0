"""From a painting, films and photos to the style files of a teacher and of a student."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed

from impasto import __version__
from impasto.errors import InputError
from impasto.events import Listener, silence
from impasto.media.images import read_picture, style_at
from impasto.methods.distillation.method import TEACHER
from impasto.methods.distillation.networks import VideoNetwork, student_network, take_over
from impasto.methods.distillation.student_training import STUDENT_PRESETS, StudentTraining, train_student
from impasto.methods.distillation.teacher_file import from_teacher_file, to_teacher_file
from impasto.methods.distillation.teacher_training import TeacherTraining, train_teacher
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import from_style_file, load_network, to_style_file
from impasto.perception.loss import PerceptualLoss, StyleTarget
from impasto.runtime.device import Place
from impasto.runtime.encoders import load_loss
from impasto.storage.style_file import StyleRecord, checksum, read_style, write_style
from impasto.training.clips import Clips, Films, Mixed, MovingPictures
from impasto.training.data import PictureFolder
from impasto.training.fitting import fit_network
from impasto.training.processes import rank, workers
from impasto.training.recipe import Work, Writer, settings_of, train_to_file
from impasto.training.settings import FittingSettings

METASTYLE = "metastyle"
"""Name of the bundled network that styles are learned from."""
VANILLA = FittingSettings(steps=1000, batch=2, zoom=(0.8, 1.6))
"""How a network is taught the style where none is given that knows it."""
TEACHER_PRESETS = {
    "recommended": TeacherTraining(),
    "published": TeacherTraining(
        steps=90_000,
        loss="ruder",
        final_rate=1.0,
        balanced=False,
        unroll=((0.0, 1), (5 / 9, 2), (2 / 3, 4)),
        temporal_weight=100.0 * 255**2 / 0.4,
    ),
}


def _target(painting: Path, encoder: str, preset: str, style_size: int, place: Place) -> tuple[PerceptualLoss, StyleTarget]:
    loss = load_loss(encoder, preset, place)
    return loss, loss.style_target([style_at(read_picture(painting).pixels[None].to(place.device), style_size)])


def _painter(path: Path) -> StyleNetwork:
    """The network of a style file that paints in one pass, without its grain: a grain stands still on the screen while the film moves."""
    network = from_style_file(read_style(path), load_network(METASTYLE))
    network.grain = 0.0
    return network


def _taught(
    student: str,
    painting: Path,
    loss: PerceptualLoss,
    style: StyleTarget,
    photos: PictureFolder,
    output: Path,
    *,
    steps: int,
    encoder: str,
    place: Place,
    listener: Listener,
) -> StyleNetwork:
    """A student of this size, taught the style on photos and kept beside the output, so that it is not taught twice.

    What it is made of is in the name of its file, so that another painting, size or folder never starts from it.
    """
    made_of = [checksum(style.statistics), student, steps, asdict(VANILLA), photos.digest, checksum(loss.encoder.state_dict())]
    digest = hashlib.sha256(repr(made_of).encode()).hexdigest()[:8]
    path = output.with_suffix(f".vanilla-{digest}.safetensors")
    if rank() == 0 and not path.is_file():
        network = student_network(student)
        if student == METASTYLE:
            network.load_state_dict(load_network(METASTYLE).state_dict())
        checkpoint = path.with_suffix(".checkpoint")
        settings = replace(VANILLA, steps=steps)
        data = {"contents": photos.digest}
        curve = fit_network(network, loss, style, photos, settings, place=place, data=data, checkpoint=checkpoint, listener=listener)
        record = StyleRecord(
            painting.stem,
            "johnson",
            encoder=Path(encoder).stem,
            steps=steps,
            loss=curve.last(),
            source=painting.name,
            settings={"training": asdict(settings), "contents": photos.told("photos")},
            impasto_version=__version__,
        )
        write_style(path, to_style_file(network.cpu(), record))
        checkpoint.unlink(missing_ok=True)
    if workers() > 1:
        torch.distributed.barrier()
    return _painter(path)


def _moving(films: Sequence[Path], photos: PictureFolder | None) -> tuple[Films | None, MovingPictures | None]:
    if not films and photos is None:
        raise InputError("there is nothing to learn motion from: give films, or photos that can be moved")
    return (Films(films) if films else None), (None if photos is None else MovingPictures(photos))


def train_teacher_file(
    painting: Path,
    content: Sequence[Path],
    films: Sequence[Path],
    output: Path,
    *,
    preset: str = "recommended",
    changes: Mapping[str, Any] | None = None,
    start: Path | None = None,
    vanilla_steps: int = VANILLA.steps,
    encoder: str = "compact",
    device: str = "auto",
    precision: str = "auto",
    licence: str = "not stated",
    listener: Listener = silence,
) -> Path | None:
    """Train a teacher for a painting on photos and films; the checkpoint lies beside the output while it lasts.

    start: a style file that paints the painting already, or a teacher; without it a network is taught the style first, in
    `vanilla_steps`, and kept beside the output. changes: settings of `TeacherTraining`, by name. Under torchrun every process calls this,
    and None comes back from all but the first.
    """
    settings = settings_of(TEACHER_PRESETS, preset, changes, output, [start, encoder])
    if not content:
        raise InputError("a teacher needs photos too: stills teach it to begin from nothing")

    def run(work: Work) -> Writer:
        place, photos = work.place, PictureFolder(content)
        found, moving = _moving(films, photos)
        assert moving is not None
        loss, style = _target(painting, encoder, settings.loss, settings.style_size, place)
        torch.manual_seed(settings.seed)
        network = VideoNetwork()
        given = None if start is None else read_style(start)
        if given is not None and given.record.network == TEACHER:
            take_over(network, from_teacher_file(given))
        else:
            if start is not None:
                known = _painter(start)
            else:
                known = _taught(
                    METASTYLE,
                    painting,
                    loss,
                    style,
                    photos,
                    output,
                    steps=vanilla_steps,
                    encoder=encoder,
                    place=place,
                    listener=listener,
                )
            take_over(network, known)
        weight = train_teacher(
            network, loss, style, found, moving, photos, settings, place=place, checkpoint=work.checkpoint, listener=listener
        )

        def write() -> None:
            record = _record(painting, encoder, settings, {"temporal": weight}, licence, found, photos)
            write_style(output, to_teacher_file(network.cpu(), record))

        return write

    return train_to_file(output, run, device=device, precision=precision)


def train_student_file(
    painting: Path,
    content: Sequence[Path],
    films: Sequence[Path],
    output: Path,
    *,
    student: str | None = None,
    teacher: Path | None = None,
    start: Path | None = None,
    vanilla_steps: int = VANILLA.steps,
    preset: str = "recommended",
    changes: Mapping[str, Any] | None = None,
    encoder: str = "compact",
    device: str = "auto",
    precision: str = "auto",
    licence: str = "not stated",
    listener: Listener = silence,
) -> Path | None:
    """Train a student for a painting on films, on scenes made of photos, or on both; the checkpoint lies beside the output while it lasts.

    student: a size of ReCoNet, or "metastyle", that of the start by default. start: a style file, the vanilla student; without it one is
    trained first on the photos, in `vanilla_steps`, and kept beside the output. teacher: its style file. changes: settings of
    `StudentTraining`, by name. Under torchrun as `train_teacher_file`.
    """
    settings: StudentTraining = settings_of(STUDENT_PRESETS, preset, changes, output, [start, teacher, encoder])
    if settings.taught and teacher is None:
        raise InputError(f"the terms {', '.join(settings.terms)} need a teacher: impasto train teacher makes one")
    if start is None and not content:
        raise InputError("without a style file to start from, the student learns the style on photos first: give some")

    def run(work: Work) -> Writer:
        place, photos = work.place, PictureFolder(content) if content else None
        found, moving = _moving(films, photos)
        clips: Clips = Mixed([found, moving], [3.0, 1.0]) if found is not None and moving is not None else found or moving  # type: ignore[assignment]
        loss, style = _target(painting, encoder, settings.loss, settings.style_size, place)
        if start is not None:
            network = _painter(start)
            _check_size(network, student, start)
        else:
            assert photos is not None
            torch.manual_seed(settings.seed)
            network = _taught(
                student or METASTYLE,
                painting,
                loss,
                style,
                photos,
                output,
                steps=vanilla_steps,
                encoder=encoder,
                place=place,
                listener=listener,
            )
        taught_by = None if teacher is None else from_teacher_file(read_style(teacher))
        weights = train_student(
            network, taught_by, loss, style, clips, settings, place=place, checkpoint=work.checkpoint, listener=listener
        )

        def write() -> None:
            record = _record(painting, encoder, settings, weights, licence, found, photos)
            write_style(output, to_style_file(network.cpu(), record))

        return write

    return train_to_file(output, run, device=device, precision=precision)


def _check_size(network: StyleNetwork, student: str | None, start: Path) -> None:
    """The network that is started from has the size that was asked for. Raises InputError."""
    if student is None:
        return
    wanted = student_network(student)
    if (wanted.width, wanted.blocks) != (network.width, network.blocks):
        own, other = (f"width {one.width} and {one.blocks} blocks" for one in (network, wanted))
        raise InputError(f"{start} holds a network of {own}, and {student} has {other}; leave --student out, or start from another")


def _record(
    painting: Path,
    encoder: str,
    settings: TeacherTraining | StudentTraining,
    weights: Mapping[str, float],
    licence: str,
    films: Films | None,
    photos: PictureFolder | None,
) -> StyleRecord:
    left_out = f" ({films.broken} left out: they cannot be read)" if films is not None and films.broken else ""
    seen = "no photos" if photos is None else photos.told("photos")
    contents = f"{0 if films is None else len(films)} films{left_out}, {seen}"
    return StyleRecord(
        painting.stem,
        "distillation",
        encoder=Path(encoder).stem,
        steps=settings.steps,
        licence=licence,
        source=painting.name,
        settings={"training": asdict(settings), "weights": dict(weights), "contents": contents},
        impasto_version=__version__,
    )
