"""A teacher as a style file, and back; students are style files of the network that the fast methods share."""

from dataclasses import replace

from impasto.errors import StyleError
from impasto.methods.distillation.method import TEACHER
from impasto.methods.distillation.networks import VideoNetwork
from impasto.networks.shape import built
from impasto.networks.style_network_file import pack, unpack
from impasto.storage.style_file import StyleFile, StyleRecord


def to_teacher_file(network: VideoNetwork, record: StyleRecord) -> StyleFile:
    """A style file of a teacher."""
    settings = dict(record.settings) | {"blocks": network.blocks}
    return StyleFile(replace(record, network=TEACHER, width=float(network.width), settings=settings), pack(network))


def from_teacher_file(style: StyleFile) -> VideoNetwork:
    """The teacher of a style file, in float32 on the CPU. Raises StyleError for any other style file."""
    record, origin = style.record, f"the style {style.record.name!r}"
    if record.method != "distillation" or record.network != TEACHER:
        raise StyleError(f"{origin} is no teacher: it is for {record.method!r} with the network {record.network!r}")
    width, blocks, _ = built(record)
    return unpack(style.tensors, lambda: VideoNetwork(width, blocks), origin)
