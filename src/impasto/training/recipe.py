"""From folders to a file, once for all trainings: settings, output, processes, place, checkpoint, a file that appears whole.

A `Recipe` says what a training is: `impasto train` makes a command of it. Free of heavy imports until something is trained.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from impasto.errors import InputError, option, unknown
from impasto.events import Listener, silence
from impasto.files import check_folder
from impasto.runtime.outputs import Outputs

if TYPE_CHECKING:
    from impasto.runtime.device import Place

Writer = Callable[[], object]
"""Writes the result of a training and its record."""


@dataclass(frozen=True)
class Materials:
    """What a training reads.

    painting: the style picture.
    content: folders of photographs.
    style: folders of paintings.
    film: films, folders of frames, or folders of either.
    start: weights to begin with, a file or a name; None for random ones.
    teacher: the network to learn from, a file or a name.
    encoder: the network that sees, a name or a file.
    loss_encoder: whose features the loss is taken in; None for the encoder.
    licence: of the painting, for the record.
    """

    painting: Path | None = None
    content: Sequence[Path] = ()
    style: Sequence[Path] = ()
    film: Sequence[Path] = ()
    start: str | None = None
    teacher: str | None = None
    encoder: str = "compact"
    loss_encoder: str | None = None
    licence: str = "not stated"

    @property
    def files(self) -> list[str]:
        """The files that are read whole: none of them may be the output."""
        return [str(path) for path in (self.painting, self.start, self.teacher, self.encoder, self.loss_encoder) if path is not None]


@dataclass(frozen=True)
class Material:
    """One of the materials as a recipe takes it. default: what it is where none is given, if not as in `Materials`."""

    help: str
    required: bool = False
    default: str | None = None


PHOTOS = Material("Folder of photographs; repeatable.", required=True)
PAINTINGS = Material("Folder of paintings; repeatable.", required=True)
PAINTING = Material("The style picture.", required=True)
FILMS = Material("A film, a folder of frames, or a folder of either; repeatable.")
ENCODER = Material("Network that sees: compact, vgg19, or a safetensors file.")
JUDGE = Material("Whose features the loss is taken in. (default: the encoder)")
LICENCE = Material("Licence of the painting, for the record.")


@dataclass(frozen=True)
class Work:
    """What a training works with: the file it makes, its place, and when it began or was resumed."""

    output: Path
    place: "Place"
    began: float
    listener: Listener

    @property
    def checkpoint(self) -> Path:
        """Where its checkpoint lies while it lasts."""
        return self.output.with_suffix(".checkpoint")

    @property
    def spent(self) -> str:
        """How long it took, and how many processes took part, for the record."""
        from impasto.training.processes import workers

        return f"{round(time.monotonic() - self.began)} s since it was last resumed, {workers()} process(es)"


def _nothing(materials: Materials, settings: Any) -> None:
    """Every combination is possible."""


@dataclass(frozen=True)
class Recipe:
    """A training, as `impasto train NAME` runs it.

    name, help: of the command.
    presets: settings by the name of a preset, the first one recommended.
    takes: the fields of `Materials` that it reads.
    run: "module:function" from materials, settings and work to a `Writer`; imported when it is called.
    output: the name of the file, in which {painting} stands for that of the style picture.
    check: raises InputError for materials and settings that do not go together.
    mends: settings that follow from those that are changed.
    log_every: steps between lines of the log.
    """

    name: str
    help: str
    presets: Mapping[str, Any]
    takes: Mapping[str, Material]
    run: str
    output: str
    check: Callable[[Materials, Any], None] = _nothing
    mends: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda changes: changes
    log_every: int = 50

    def default(self, material: str) -> str | None:
        """What one of its materials is where none is given: a name, or None."""
        usual = self.takes[material].default or getattr(Materials, material)
        return usual if isinstance(usual, str) else None

    def settings(self, preset: str | None = None, changes: Mapping[str, Any] | None = None) -> Any:
        """A preset's settings, the recommended ones by default, with changes by name. Raises InputError."""
        name = next(iter(self.presets)) if preset is None else preset
        if name not in self.presets:
            raise InputError(unknown("preset", name, self.presets))
        foreign = set(changes or {}) - {item.name for item in fields(self.presets[name])}
        if foreign:
            raise InputError(unknown("setting", min(foreign), [item.name for item in fields(self.presets[name])]))
        return replace(self.presets[name], **self.mends(changes or {}))


def train_to_file(
    recipe: Recipe,
    materials: Materials,
    output: Path | None = None,
    *,
    preset: str | None = None,
    changes: Mapping[str, Any] | None = None,
    device: str = "auto",
    precision: str = "auto",
    listener: Listener = silence,
) -> Path | None:
    """Run a training; its result goes to `output`, its checkpoint lies beside it while the training lasts.

    output: ends in .safetensors; by default the recipe's name for it, in the current folder.
    preset, changes: the settings, see `Recipe.settings`.
    Under torchrun every process calls this; the first one writes, and None comes back from the others.
    Raises ImpastoError for what cannot be used, before anything is trained.
    """
    from impasto.gradients import with_gradients
    from impasto.runtime.device import choose_place
    from impasto.training.processes import joined, rank

    settings = recipe.settings(preset, changes)
    usual = {name: recipe.default(name) for name in recipe.takes if recipe.default(name) and not getattr(materials, name)}
    materials = replace(materials, **usual)  # type: ignore[arg-type]
    for name, material in recipe.takes.items():
        if material.required and not getattr(materials, name):
            raise InputError(f"{recipe.name} is trained with {option(name)}: {material.help}")
    if getattr(settings, "start_share", 0) and not materials.start:
        raise InputError("start_share is of the weights that a training begins with: name them with --start")
    recipe.check(materials, settings)
    target = output or Path(recipe.output.format(painting=materials.painting and materials.painting.stem) + ".safetensors")
    _check_output(target, materials.files)
    with joined(device) as device_here:
        work = Work(target, choose_place(device_here, precision), time.monotonic(), listener)
        run: Callable[[Materials, Any, Work], Writer] = with_gradients(resolve_name(recipe.run))
        write = run(materials, settings, work)
        if rank() > 0:
            return None
        write()
        work.checkpoint.unlink(missing_ok=True)
        return target


def _check_output(output: Path, inputs: Sequence[str]) -> None:
    """Say before a training whether its weights can be written, and are none of the files that it reads. Raises InputError."""
    if output.suffix != ".safetensors":
        raise InputError(f"cannot write {output}: the name of a file of weights ends in .safetensors")
    if output.is_dir():
        raise InputError(f"cannot write {output}: it is a folder")
    Outputs(inputs).asked(output)
    check_folder(output)
