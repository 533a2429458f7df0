"""Train the weights that networks for live films begin with, and write them to src/impasto/assets/networks.

    python tools/live_start.py --photos FOLDER --steps 2500

One small network learns to paint as all bundled styles do, each with scales and shifts of its own (Dumoulin et al. 2017, A learned
representation for artistic style): half of the time a photo, half of the time a frame of a moving scene, brought near what the
style's large network paints of it. Stopped, it is resumed the next time.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from impasto.cli.console import watching
from impasto.job.styles import find_style
from impasto.methods.metastyle.live import LIVE
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import network_of, pack
from impasto.runtime.device import choose_place, settle
from impasto.storage.registry import ASSETS, Record, bundled, write_record
from impasto.storage.tensors import write_tensors
from impasto.training.clips import MovingPictures
from impasto.training.data import PictureFolder
from impasto.training.loop import train
from impasto.training.schedules import cosine
from impasto.training.settings import FittingSettings

TOGETHER = 4
"""Styles of a step, each with one picture."""


def trained(options: argparse.Namespace, styles: list[str]) -> StyleNetwork:
    """The network with the mean of what it learned for the styles."""
    torch.manual_seed(0)
    place, generator = choose_place(), torch.Generator().manual_seed(0)
    teachers = []
    for style in styles:
        file = find_style(style).file
        assert file is not None
        teachers.append(settle(network_of(file), place).requires_grad_(False))
    network = StyleNetwork(**LIVE).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rows = nn.Parameter(network.affine().detach().expand(len(styles), -1).clone())
    photos = PictureFolder([options.photos])
    moving = MovingPictures(photos)
    settings = FittingSettings(steps=options.steps, crop=160, batch=TOGETHER, learning_rate=2e-3)

    def gradient(step: int) -> dict[str, float]:
        network.level()
        drawn = photos.draw(TOGETHER, settings.crop, generator, zoom=(0.6, 1.6))
        if step % 2:
            drawn = torch.cat([moving.draw(1, settings.crop, generator).frames for _ in range(TOGETHER)])
            drawn = (drawn + 0.02 * torch.randn(drawn.shape, generator=generator)).clamp(0, 1)
        drawn = drawn.contiguous(memory_format=torch.channels_last)
        chosen = torch.randperm(len(styles), generator=generator)[:TOGETHER].tolist()
        with torch.no_grad():
            wanted = torch.cat([teachers[style](photo[None]).float() for style, photo in zip(chosen, drawn, strict=True)])
        painted: Tensor = network(drawn, rows[chosen])
        loss = (painted - wanted).abs().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return {"loss": loss.item()}

    shared = [value for name, value in network.named_parameters() if "norm" not in name]
    with watching("training") as watch:
        train(
            settings,
            gradient,
            rate=lambda step: cosine(step, settings.steps, final=0.05, warmup=100),
            networks={"network": network, "rows": nn.ParameterList([rows])},
            optimiser=torch.optim.Adam([{"params": shared}, {"params": [rows], "lr": 5e-3}], lr=settings.learning_rate),
            generator=generator,
            data={"contents": photos.digest},
            checkpoint=options.checkpoint,
            listener=watch,
        )
    network.load_affine(rows.detach().mean(0))
    network.level()
    return network


def main() -> None:
    """Train it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--checkpoint", type=Path, default=Path("out") / "live-start.checkpoint")
    options = parser.parse_args()
    styles = [name for name in bundled("style") if not name.endswith("-live")]
    options.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    path = ASSETS / "networks" / "live.safetensors"
    write_tensors(path, pack(trained(options, styles)), "network")
    source = f"{options.steps} steps of {TOGETHER} pictures as {len(styles)} bundled styles paint them"
    title = "what networks for live films begin with"
    paper = "Dumoulin, Shlens and Kudlur, A Learned Representation for Artistic Style, ICLR 2017"
    write_record(Record("live", "network", path.name, "Apache-2.0", title, source, paper), path.parent)


if __name__ == "__main__":
    main()
