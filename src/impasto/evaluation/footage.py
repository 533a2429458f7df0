"""Footage that films are judged on: films with estimated flow, the layout of MPI Sintel with true flow, and scenes made of stills."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from impasto.errors import InputError
from impasto.files import in_order
from impasto.media.frames import FrameFolder
from impasto.media.images import list_pictures, read_picture
from impasto.media.opening import is_film
from impasto.media.videos import FilmReader
from impasto.motion.flow_files import read_flow
from impasto.motion.synthetic import Scene, moving_scene
from impasto.training.data import PictureFolder

Truth = Callable[[int], tuple[Tensor, Tensor] | None]
"""From the number of a frame to its true flow to the next, (2, H, W), and where it can be traced, (1, H, W); None where it is not known."""


@dataclass(frozen=True)
class Footage:
    """A film to judge on: its name, a way to read its frames (3, H, W) from the start, and the true flow if it is known."""

    name: str
    frames: Callable[[], Iterator[Tensor]]
    truth: Truth | None = None


def footage(path: Path, *, rendering: str = "final") -> list[Footage]:
    """What lies at a place: a film, a folder of frames, a folder of several of either, or MPI Sintel's layout.

    Sintel's: RENDERING/SCENE/*.png, flow/SCENE/*.flo, and occlusions/SCENE/*.png, invalid/SCENE/*.png, or beside the flow as
    *_occlusion.png and *_invalid.png. Raises InputError.
    """
    if is_film(path):
        reader = FilmReader(path)
        return [Footage(path.stem, lambda: (frame.pixels for frame in reader))]
    if not path.is_dir():
        raise InputError(f"{path} is no film and no folder of frames")
    if (path / "flow").is_dir() and (path / rendering).is_dir():
        scenes = sorted((entry for entry in (path / rendering).iterdir() if (path / "flow" / entry.name).is_dir()), key=in_order)
        if not scenes:
            raise InputError(f"no scene in {path / rendering} has flow in {path / 'flow'}")
        return [_with_truth(path, scene) for scene in scenes]
    if list_pictures(path):
        folder = FrameFolder(path)
        return [Footage(path.name, lambda: (frame.pixels for frame in folder))]
    inner = sorted((entry for entry in path.iterdir() if entry.is_dir() or is_film(entry)), key=in_order)
    if not inner:
        raise InputError(f"there is no film and no frame in {path}")
    return [found for entry in inner for found in footage(entry, rendering=rendering)]


def _with_truth(root: Path, scene: Path) -> Footage:
    """A scene of Sintel; its occlusion maps leave out what leaves the picture, which warping adds."""
    folder = FrameFolder(scene)
    stems = [file.stem for file in folder.files]

    def truth(number: int) -> tuple[Tensor, Tensor] | None:
        file = root / "flow" / scene.name / f"{stems[number]}.flo"
        if not file.is_file():
            return None
        flow, traced = read_flow(file, size=folder.info.size)
        for folder_name, suffix in (("occlusions", "occlusion"), ("invalid", "invalid")):
            for mask in (root / folder_name / scene.name / f"{stems[number]}.png", file.with_name(f"{file.stem}_{suffix}.png")):
                if mask.is_file():
                    pixels = read_picture(mask).pixels[:1]
                    if pixels.shape != traced.shape:
                        wrong, right = (f"{shape[-1]}x{shape[-2]}" for shape in (pixels.shape, traced.shape))
                        raise InputError(f"{mask} has {wrong} pixels and the frames {right}")
                    traced = traced * (pixels < 0.5)
        return flow, traced

    return Footage(scene.name, lambda: (frame.pixels for frame in folder), truth)


def moving_footage(pictures: Path, count: int, *, size: tuple[int, int] = (288, 384), length: int = 20, seed: int = 0) -> list[Footage]:
    """Scenes made of the stills of a folder, whose flow is exact; the same for the same seed."""
    stills = PictureFolder([pictures])
    made = []
    for number in range(count):
        generator = torch.Generator().manual_seed(seed + number)
        chosen = stills.draw(3, max(size), generator, zoom=(0.8, 1.2))
        made.append(_of_scene(f"moving_{number}", moving_scene(list(chosen), size, length, generator)))
    return made


def _of_scene(name: str, scene: Scene) -> Footage:
    last = len(scene.frames) - 1
    return Footage(name, lambda: iter(scene.frames), lambda t: (scene.flow(t, t + 1), scene.traced(t, t + 1)) if t < last else None)
