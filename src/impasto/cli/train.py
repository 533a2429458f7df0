"""`impasto train`: the networks that Impasto ships, and the baselines; a command for each recipe."""

import inspect
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from impasto.cli.app import train_app
from impasto.cli.choices import Choice, choice_of, with_parameters
from impasto.cli.console import console, every, resumable
from impasto.cli.options import DEFAULT, Device, Precision, chosen, rarely
from impasto.methods.table import recipes
from impasto.settings import hints_of, typed
from impasto.training.recipe import Materials, Recipe, train_to_file

RESUMED = "Under torchrun on several devices. Interrupted, run the same command to resume it."
FIRST = ("steps", "batch", "crop", "seed")
"""Settings that everyone needs; the others are in a panel of their own."""


def settings_of(recipe: Recipe) -> list[Choice]:
    """The settings of a recipe as options, with the recommended values as defaults in their help."""
    usual = recipe.settings()
    hints = hints_of(type(usual))
    found = []
    for item in fields(usual):
        if item.metadata.get("help") and item.metadata["shown"]:
            choice, default = choice_of(item, hints[item.name]), getattr(usual, item.name)
            found.append(choice if default is None else replace(choice, help=f"{choice.help} (default: {typed(default)})"))
    return sorted(found, key=lambda choice: FIRST.index(choice.name) if choice.name in FIRST else len(FIRST))


def material_options(recipe: Recipe) -> list[inspect.Parameter]:
    """What a recipe reads, as an argument and options."""
    kinds, found = hints_of(Materials), []
    for name, material in recipe.takes.items():
        if name == "painting":
            annotation: Any = Annotated[Path, typer.Argument(help=material.help, show_default=False)]
        else:
            default = recipe.default(name)
            help = material.help if default is None else f"{material.help} (default: {default})"
            kind = str if kinds[name] in (str, str | None) else list[Path]
            annotation = Annotated[kind if material.required else kind | None, typer.Option(help=help, show_default=False)]
        default_value = inspect.Parameter.empty if material.required else None
        found.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default_value))
    return found


def frame_options(recipe: Recipe) -> list[inspect.Parameter]:
    """What all trainings have: output, preset, device, precision, and how often there is a line of the log."""
    first = next(iter(recipe.presets))
    where = f"Where the result goes. (default: {recipe.output.format(painting='PAINTING')}.safetensors)"
    found: dict[str, tuple[Any, Any]] = {"output": (Annotated[Path | None, typer.Option("--output", "-o", help=where)], None)}
    if len(recipe.presets) > 1:
        found["preset"] = (Annotated[str, typer.Option(help=f"Settings to begin with: {', '.join(recipe.presets)}.")], first)
    found["device"] = (Device, DEFAULT.device)
    found["precision"] = (Precision, DEFAULT.precision)
    found["log_every"] = (Annotated[int, rarely("Steps between lines of the log.", min=1)], recipe.log_every)
    keyword = inspect.Parameter.KEYWORD_ONLY
    return [inspect.Parameter(name, keyword, default=default, annotation=kind) for name, (kind, default) in found.items()]


def command(recipe: Recipe) -> Callable[..., None]:
    """The command that runs a recipe."""
    choices = settings_of(recipe)

    def run(log_every: int, **typed: Any) -> None:
        changes = chosen({choice.name: choice.value(typed.pop(choice.name)) for choice in choices})
        materials = Materials(**chosen({name: typed.pop(name) for name in recipe.takes}))
        with resumable("training") as watch:
            written = train_to_file(recipe, materials, changes=changes, listener=every(watch, log_every), **typed)
        if written is not None:
            console.print(f"{written}  {written.stat().st_size / 1e6:.2f} MB", soft_wrap=True)

    settings = [choice.parameter(None if choice.name in FIRST else "Settings") for choice in choices]
    return with_parameters(run, [*material_options(recipe), *frame_options(recipe), *settings])


for recipe in recipes().values():
    train_app.command(recipe.name, help=f"{recipe.help} {RESUMED}")(command(recipe))
