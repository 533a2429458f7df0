"""LUTs as a method."""

from typing import TYPE_CHECKING

from impasto.errors import InputError
from impasto.events import Listener
from impasto.methods.declaration import Method, StyleSource
from impasto.settings import Controls

if TYPE_CHECKING:
    from impasto.runtime.device import Place
    from impasto.runtime.stylizer import Stylizer


def build(source: StyleSource, controls: Controls, place: "Place", listener: Listener) -> "Stylizer":
    """The stylizer of a .cube file."""
    from impasto.methods.lut.color_lut import color_lut_of

    if len(source.styles) > 1:
        raise InputError("LUTs are not mixed: give one of them, with --strength for less of it")
    (file,) = (style.file for style in source.styles)
    if file is None:
        raise InputError(f"{source.name} is no LUT: impasto lut PHOTO --style {source.name} makes one")
    return color_lut_of(file, controls.strength)


METHOD = Method(
    "lut",
    "a table of colours, the colours of a photograph for videos of any length; the files of grading programs",
    "Adobe, Cube LUT Specification 1.0, 2013",
    build,
    style="file",
    finish=False,
    own_size=True,
    bytes_a_pixel=120,
)
