"""The student without optical flow, and its teacher with it, as a method: their style files paint."""

from typing import TYPE_CHECKING

from impasto.errors import InputError
from impasto.events import Listener
from impasto.methods.declaration import Method, StyleSource, refuse_learning
from impasto.settings import Controls

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
    from impasto.networks.stylizer import network_stylizer

    files = [style.file for style in source.styles if style.file is not None]
    if len(files) < len(source.styles):
        raise InputError(
            "distillation trains a network for a long time before it paints: impasto train student PICTURE makes the style file; "
            "impasto adapt PICTURE --for video makes a steady one in a minute"
        )
    if not any(file.record.network == TEACHER for file in files):
        refuse_learning(source, controls)
        return network_stylizer(files, source.weights, place, strength=controls.strength)
    if len(files) > 1:
        raise InputError("a teacher paints one style, and several were given")
    return Teacher(from_teacher_file(files[0]), place, strength=controls.strength)


def is_student(file: "StyleFile") -> bool:
    """Whether the network of a style file paints stable films by itself."""
    return file.record.network != TEACHER


METHOD = Method(
    "distillation",
    "stable films: a student without optical flow, and its teacher with it; from style files only",
    "Chen et al., Optical Flow Distillation: Towards Efficient and Stable Video Style Transfer, ECCV 2020",
    build,
    style="file",
    films="network",
    steady=is_student,
)
