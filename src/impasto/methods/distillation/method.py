"""The student without optical flow, and its teacher with it, as a method: their style files paint."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from impasto.errors import InputError
from impasto.events import Listener
from impasto.methods.declaration import Method, StyleSource, refuse_learning
from impasto.methods.distillation.training_settings import STUDENT_PRESETS, TEACHER_PRESETS, StudentTraining, TeacherTraining
from impasto.settings import AUTO, INT8, Controls
from impasto.training.recipe import ENCODER, FILMS, LICENCE, PAINTING, PHOTOS, Material, Materials, Recipe

if TYPE_CHECKING:
    from impasto.runtime.device import Place
    from impasto.runtime.stylizer import Stylizer
    from impasto.storage.style_file import StyleFile

TEACHER = "video"
"""Name of the teacher's network in style files."""


def build(source: StyleSource, controls: Controls, place: "Place", listener: Listener) -> "Stylizer":
    """The stylizer of students, or of one teacher. Raises InputError for pictures."""
    from impasto.methods.distillation.teacher import Teacher
    from impasto.methods.distillation.teacher_file import from_teacher_file
    from impasto.training.learned import learned_stylizer

    files = [style.file for style in source.styles if style.file is not None]
    if len(files) < len(source.styles):
        raise InputError(
            "distillation trains a network for a long time before it paints: impasto train student PICTURE makes the style file; "
            "impasto adapt PICTURE --for video makes a steady one in a minute"
        )
    if not any(file.record.network == TEACHER for file in files):
        refuse_learning(source, controls)
        return learned_stylizer(files, source.weights, controls, place, stroke=controls.strokes)
    if len(files) > 1:
        raise InputError("a teacher paints one style, and several were given")
    if controls.backend not in (AUTO, "torch") or controls.precision == INT8:
        raise InputError("a teacher paints with optical flow and the frame before, by PyTorch alone: leave --backend and int8 out")
    return Teacher(from_teacher_file(files[0]), place, strength=controls.strength)


def is_student(file: "StyleFile") -> bool:
    """Whether the network of a style file paints stable films by itself."""
    return file.record.network != TEACHER


def check_teacher(materials: Materials, settings: TeacherTraining) -> None:
    """A teacher needs photos. Raises InputError."""
    if not materials.content:
        raise InputError("a teacher needs photos too: stills teach it to begin from nothing")


def check_student(materials: Materials, settings: StudentTraining) -> None:
    """Terms need a teacher, and a style that is not known needs photos to be learned on. Raises InputError."""
    if settings.taught and materials.teacher is None:
        raise InputError(f"the terms {', '.join(settings.used)} need a teacher: impasto train teacher makes one")
    if materials.start is None and not materials.content:
        raise InputError("without a style file to start from, the student learns the style on photos first: give some")


def terms_and_weights(changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Terms or weights that are given stand for all of them."""
    if not {"terms", "weights"} & set(changes):
        return changes
    return {"terms": {}, "weights": {}, **changes}


TEACHER_TRAINING = Recipe(
    "teacher",
    "Train a video network that uses optical flow (Ruder et al. 2018).",
    TEACHER_PRESETS,
    {
        "painting": PAINTING,
        "content": PHOTOS,
        "film": FILMS,
        "start": Material("A style file that paints it already, or a teacher. (default: one is trained first)"),
        "licence": LICENCE,
        "encoder": ENCODER,
    },
    "impasto.methods.distillation.training:run_teacher",
    "{painting}-teacher",
    check=check_teacher,
)

STUDENT_TRAINING = Recipe(
    "student",
    "Train a network whose films are stable without optical flow.",
    STUDENT_PRESETS,
    {
        "painting": PAINTING,
        "film": FILMS,
        "content": Material("Folder of photographs, moved; repeatable."),
        "teacher": Material("Its style file."),
        "start": Material("A style file that paints it already, made stable. (default: one is trained first)"),
        "licence": LICENCE,
        "encoder": ENCODER,
    },
    "impasto.methods.distillation.training:run_student",
    "{painting}-student",
    check=check_student,
    mends=terms_and_weights,
)

METHOD = Method(
    "distillation",
    "stable films: a student without optical flow, and its teacher with it; from style files only",
    "Chen et al., Optical Flow Distillation: Towards Efficient and Stable Video Style Transfer, ECCV 2020",
    build,
    style="file",
    films="network",
    one_pass=True,
    steady=is_student,
    trainings=(TEACHER_TRAINING, STUDENT_TRAINING),
    bytes_a_pixel=850,
)
