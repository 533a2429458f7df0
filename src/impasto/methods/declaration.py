"""What a method says of itself, as data: nothing else in the package asks for a method by its name."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from impasto.errors import InputError, StyleError, option
from impasto.events import Listener
from impasto.settings import Controls, hints_of
from impasto.training.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from impasto.runtime.device import Place
    from impasto.runtime.stylizer import Stylizer
    from impasto.storage.style_file import StyleFile


@dataclass(frozen=True)
class Style:
    """One style: a picture (1, 3, h, w) in [0, 1], or the style file that a method made of one.

    method: the one that its style file is for, which may hold the picture; None for a picture.
    """

    name: str
    picture: "Tensor | None" = None
    file: "StyleFile | None" = None
    method: str | None = None

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows: the picture, or what the network of a style file makes of a scene."""
        from impasto.notebook import shown

        if self.picture is not None:
            return shown(self.picture[0])
        from impasto.training.samples import sample

        try:
            return None if self.file is None else shown(sample(self.file))
        except StyleError:
            return None


@dataclass(frozen=True)
class StyleSource:
    """What a stylizer is made from: styles with weights and, for regions, masks (1, K, h, w) of their pictures."""

    styles: Sequence[Style]
    weights: Sequence[float] | None = None
    masks: "Sequence[Tensor] | None" = None

    @property
    def name(self) -> str:
        """The names of all styles, for the name of a result."""
        return "-".join(dict.fromkeys(style.name for style in self.styles))

    @property
    def identity(self) -> str:
        """A checksum of everything that makes the style."""
        from impasto.storage.tensors import checksum

        tensors = {f"picture {n}": style.picture for n, style in enumerate(self.styles) if style.picture is not None}
        tensors |= {f"mask {n}": mask for n, mask in enumerate(self.masks or ())}
        for number, style in enumerate(self.styles):
            tensors |= {f"file {number} {name}": value for name, value in (style.file.tensors if style.file else {}).items()}
        return f"{checksum(tensors)} {list(self.weights or ())}"

    @property
    def pictures(self) -> "list[Tensor]":
        """The style pictures. Raises StyleError for a style whose picture is not at hand."""
        for style in self.styles:
            if style.picture is None:
                raise StyleError(f"the style {style.name!r} is a trained network without its picture, which this method needs")
        return [style.picture for style in self.styles if style.picture is not None]


def refuse_learning(source: StyleSource, controls: Controls, *, painting: Collection[str] = ()) -> None:
    """What says how a picture is learned would be without effect on style files. Raises InputError.

    painting: options that say how files are painted with.
    """
    without_effect = [name for name in controls.options or {} if name not in painting]
    without_effect += ["style_size"] * (controls.style_size is not None) + ["encoder"] * (controls.encoder != Controls.encoder)
    if without_effect:
        raise InputError(f"{option(without_effect[0])} says how a picture is learned, and {source.name} is learned already")


Builder = Callable[[StyleSource, Controls, "Place", Listener], "Stylizer"]


@dataclass(frozen=True)
class Option:
    """An option of a method that no settings dataclass has: a file, or a preset that its builder takes apart. kind: its type."""

    kind: Any
    help: str


@dataclass(frozen=True)
class Method:
    """A method: what it is, what can be turned, what it takes, how it treats films, and what builds its stylizer.

    name, title, paper: as `impasto styles` and the documentation show them.
    build: the stylizer of styles, controls, a place and a listener; it imports what is heavy when it is called.
    settings: dataclasses of `impasto.settings.Settings`; their fields are its options, but for those that all methods share.
    more: further options by name.
    style: "picture": it paints in the style of any picture; "file": it needs a style file that was trained before.
    keeps_picture: its style files hold the picture itself.
    masks: "regions" and "shares" that it can paint by: label maps of photo and styles, or a grey mask of the photo for each style.
    default_for: what "auto" means it for: "pictures" or "films" in the style of a picture, "regions", "shares", or bundled "names".
    finish: whether what it paints is finished; of methods that optimise the picture themselves it is not.
    whole: options with which it is not.
    films: "network" if its networks can learn to be stable without optical flow, "flow" if it uses optical flow by itself, else "frames".
    one_pass: whether a draft of a style file is one pass of its network and nothing else, which needs no PyTorch.
    steady: whether the network of a style file learned to paint stable films by itself.
    steadied: options with which its networks paint films that are stable without optical flow.
    without_flow: options that switch its own optical flow off.
    trainings: what trains its networks, each a command of `impasto train`.
    style_size: what the shorter side of style pictures is where nothing else is said.
    own_size: whether pictures and films are painted at their own size where none is given.
    bytes_a_pixel: what painting a photo in one piece takes for each of its pixels, in half precision.
    slow: left out where all methods are measured, unless it is named.
    """

    name: str
    title: str
    paper: str
    build: Builder
    settings: Sequence[type] = ()
    more: Mapping[str, Option] = field(default_factory=dict)
    style: Literal["picture", "file"] = "picture"
    keeps_picture: bool = False
    masks: frozenset[str] = frozenset()
    default_for: frozenset[str] = frozenset()
    finish: bool = True
    whole: frozenset[str] = frozenset()
    films: Literal["network", "flow", "frames"] = "frames"
    one_pass: bool = False
    steady: "Callable[[StyleFile], bool]" = lambda file: False
    steadied: Mapping[str, Any] = field(default_factory=dict)
    without_flow: Mapping[str, Any] = field(default_factory=dict)
    trainings: Sequence[Recipe] = ()
    style_size: str = "the photo's"
    own_size: bool = False
    bytes_a_pixel: int = 3000
    slow: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """Names of its options with their types, as in `Controls.options`."""
        hints = {name: hint for group in self.settings for name, hint in hints_of(group).items()}
        return {item.name: hints[item.name] for item in self.fields} | {name: more.kind for name, more in self.more.items()}

    @property
    def fields(self) -> "list[Field[Any]]":
        """Its settings that are options: the fields that say what they are for."""
        return [item for group in self.settings for item in fields(group) if item.metadata.get("help")]
