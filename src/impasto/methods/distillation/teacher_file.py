"""A teacher as a style file, and back; students are style files of the network that the fast methods share."""

from dataclasses import asdict, replace

from impasto.errors import StyleError
from impasto.methods.distillation.method import TEACHER
from impasto.methods.distillation.networks import SightedNetwork, TeacherNetwork, VideoNetwork
from impasto.networks.shape import built, shape_of
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import pack, unpack
from impasto.storage.style_file import StyleFile, StyleRecord

LIKE_ITS_STUDENT = "like_its_student"
"""What is true in the record of a teacher that is a student with four inputs more."""


def to_teacher_file(network: TeacherNetwork, record: StyleRecord) -> StyleFile:
    """A style file of a teacher."""
    settings = dict(record.settings) | {"blocks": network.blocks}
    if isinstance(network, SightedNetwork):
        settings |= {name: value for name, value in asdict(network.shape).items() if name != "width"} | {LIKE_ITS_STUDENT: True}
    return StyleFile(replace(record, network=TEACHER, width=float(network.width), settings=settings), pack(network))


def from_teacher_file(style: StyleFile) -> TeacherNetwork:
    """The teacher of a style file, in float32 on the CPU. Raises StyleError for any other style file."""
    record, origin = style.record, f"the style {style.record.name!r}"
    if record.method != "distillation" or record.network != TEACHER:
        raise StyleError(f"{origin} is no teacher: it is for {record.method!r} with the network {record.network!r}")
    if record.settings.get(LIKE_ITS_STUDENT) is True:
        shape = shape_of(record)
        return unpack(style.tensors, lambda: SightedNetwork(StyleNetwork(**asdict(shape))), origin)
    width, blocks, _ = built(record)
    return unpack(style.tensors, lambda: VideoNetwork(width, blocks), origin)
