"""Train the networks that Impasto ships, in an order in which each serves the next: resumable, measured, refused where it is worse.

    python tools/train_all.py --data FOLDER --vgg VGG19.safetensors                     # what is not done, stage after stage
    python tools/train_all.py --data FOLDER --vgg … --only encoder --minutes 60         # one stage, as long as there is time
    python tools/train_all.py --data FOLDER --vgg … --tiny --runs /tmp/tiny             # all of it with tiny settings, to try the plan
    python tools/train_all.py --data FOLDER --vgg … --pack PACKED                       # the data as small files, for another machine
    python tools/train_all.py --data PACKED/data --vgg PACKED/vgg19.safetensors --device cuda --unmeasured --only encoder     # there

FOLDER has content/train, style/train and more folders of style/, video/train; content/val, style/val, video/val and reference.json, the
pairs to measure with; style/bundled, the paintings of the bundled styles as tools/bundle_styles.py names them. Everything is kept in
--runs, `runs` by default: the networks, named as in the package, their checkpoints, STAGE.log with the curves, STAGE.measured.json. A
stage that is stopped, by its time or by Ctrl-C, is resumed by the same command.

A stage that is done is measured in a copy of the package that has its network in the place of the one that ships, beside the package as
it is, by the same command on the same machine; contact sheets lie beside. A network that is worse is named NAME.refused.safetensors, and
nothing is trained with it. Nothing is copied into the package itself: that is for somebody who has looked at the pictures.

Some stages train many networks for one question or for all styles: `ablation`, `readings`, `styles`. Their own scripts do that, with such
a copy of the package that has every network accepted so far; the styles are written into it, styles-package. They are left out with
--device cuda.

On a processor every other stage has its number of steps. On a GPU it has minutes: a few steps are timed first, and as many are taken as
fit. They are made for three runs of nine minutes: the encoder; start and solver; the decoder. With --unmeasured a stage is only trained,
and measured where the same command is given without it.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from PIL import Image

from impasto.storage.registry import ASSETS, read_record, write_record

ROOT = Path(__file__).resolve().parent.parent
IMPASTO = [sys.executable, "-m", "impasto"]
PACKED_SIDE, PACKED_QUALITY = 208, 55
"""Shorter side in pixels and quality of the pictures that are packed: 3,388 of them and VGG-19 in half precision are 53 MiB."""
PROBED = (8, 40)
"""Steps of the two runs by which a step is timed."""


@dataclass(frozen=True)
class Plan:
    """Where everything lies, and how large everything is."""

    data: Path
    vgg: Path
    runs: Path
    device: str
    tiny: bool
    unmeasured: bool = False

    @property
    def photos(self) -> list[str]:
        """Options for the photos to learn on."""
        return ["--content", str(self.data / "content/train")]

    @property
    def paintings(self) -> list[str]:
        """Options for the paintings to learn on: all folders of them but those to measure with."""
        folders = sorted(folder for folder in (self.data / "style").iterdir() if folder.is_dir() and folder.name not in ("val", "bundled"))
        return [word for folder in folders for word in ("--style", str(folder))]

    @property
    def encoder(self) -> list[str]:
        """Options for the encoder of later stages: the one that was trained, unless it was refused."""
        trained = self.runs / "compact.safetensors"
        return ["--encoder", str(trained)] if trained.is_file() else []

    @property
    def held_out(self) -> list[str]:
        """Five paintings that nothing has learned from; fewer to try the plan."""
        return [str(path) for path in sorted((self.data / "style/val").iterdir())[::4][: 1 if self.tiny else 5]]

    def measured(self, stage: str) -> Path:
        """What was measured of a stage that is done."""
        return self.runs / f"{stage}.measured.json"


@dataclass(frozen=True)
class Figure:
    """Something that is measured. slack: by how much a network may be worse in it, and must be better in one of them to be accepted."""

    higher: bool
    slack: float

    def better_by(self, trained: float, shipped: float) -> float:
        """How much better, in slacks: below -1 it is too much worse, above 1 it counts as better."""
        return (trained - shipped) * (1 if self.higher else -1) / self.slack


def is_better(trained: Mapping[str, float], shipped: Mapping[str, float]) -> bool:
    """Whether a network is better in one figure, and no more than a slack worse in any."""
    gains = [FIGURES[name].better_by(value, shipped[name]) for name, value in trained.items() if name in shipped]
    return min(gains) >= -1 and max(gains) > 1


FIGURES = {
    "share": Figure(True, 0.005),
    "content ratio": Figure(False, 0.05),
    "spearman": Figure(True, 0.003),
    "times faster": Figure(True, 0.8),
    "regularity": Figure(False, 0.01),
}


@dataclass(frozen=True)
class Stage:
    """A network: how it is trained, and how it is measured.

    replaces: the file of the package that it stands for. train: options of its command, from the plan. steps: on a processor. minutes: on a
    GPU. sizes: more options for a processor, for a GPU, and to try it. measure: the command that measures a network, from a plan, a package
    that has it and a file for JSON. figures: what that comes to. judged: share of the steps that are taken with the loss of VGG-19, at the
    end; the others with that of the encoder.
    """

    name: str
    replaces: str
    train: Callable[[Plan], list[str]]
    steps: int
    minutes: float
    sizes: Mapping[str, Sequence[str]]
    measure: Callable[[Plan, Path, Path], list[str]]
    figures: Callable[[Any], dict[str, float]]
    judged: float = 0.0

    def target(self, plan: Plan) -> Path:
        """The network, under the name that it has in the package: others say by this name what they belong to."""
        return plan.runs / Path(self.replaces).name

    def parts(self, plan: Plan) -> list[tuple[Path, int, list[str]]]:
        """What is trained one after the other: the file, its steps and options; the second part begins with what the first made."""
        target, steps = self.target(plan), steps_of(plan, self)
        later = round(self.judged * steps)
        if not later:
            return [(target, steps, [])]
        first = target.with_name(f"{target.stem}-first.safetensors")
        again = ["--start", str(first), "--loss-encoder", str(plan.vgg), "--learning-rate", "5e-4"]
        return [(first, steps - later, ["--final-rate", "0.25"]), (target, later, again)]

    def options(self, plan: Plan) -> list[str]:
        """Of its command, without the number of steps."""
        size = "tiny" if plan.tiny else "cuda" if plan.device.startswith("cuda") else "cpu"
        return [self.name_of_training, *self.train(plan), *self.sizes[size], "--device", plan.device]

    @property
    def name_of_training(self) -> str:
        """As `impasto train` knows it."""
        return {"start": "metastyle"}.get(self.name, self.name)


def _encoder_measured(plan: Plan, package: Path, found: Path) -> list[str]:
    words = [sys.executable, str(ROOT / "benchmarks/compact_encoder.py"), str(package / "impasto/assets/encoders/compact.safetensors")]
    words += ["--vgg", str(plan.vgg), "--content", str(plan.data / "content/val"), "--style", str(plan.data / "style/val")]
    words += ["--pairs", str(plan.data / "reference.json"), "--json", str(found), "--keep", str(found.with_suffix(""))]
    return [*words, *(["--limit", "1"] if plan.tiny else [])]


def _encoder_figures(found: Any) -> dict[str, float]:
    row = found["rows"][0]
    return {
        "share": mean(row["shares"]),
        "content ratio": mean(row["content_ratios"]),
        "spearman": row["spearman"],
        "times faster": row["times_faster"],
    }


def _pairs_measured(*methods: str) -> Callable[[Plan, Path, Path], list[str]]:
    """The yardstick of the benchmarks on the pairs, with a contact sheet."""

    def measure(plan: Plan, package: Path, found: Path) -> list[str]:
        words = [*IMPASTO, "evaluate", "fidelity", "--pairs", str(plan.data / "reference.json"), "--encoder", str(plan.vgg)]
        words += [word for method in methods for word in ("--method", method)]
        words += ["--json", str(found), "--sheet", str(found.with_suffix(".png")), "--device", plan.device]
        return [*words, *(["--limit", "1", "--steps", "2"] if plan.tiny else [])]

    return measure


def _pairs_figures(method: str) -> Callable[[Any], dict[str, float]]:
    def figures(found: Any) -> dict[str, float]:
        rows = [row for row in found["rows"] if row["method"] == method]
        regular = [row["figures"]["regularity"] for row in rows if row["figures"]["regularity"] is not None]
        known = {"share": mean(row["share"] for row in rows), "content ratio": mean(row["content_ratio"] for row in rows)}
        return known | ({"regularity": mean(regular)} if regular else {})

    return figures


@dataclass(frozen=True)
class Script:
    """A stage that our own scripts run, which keep what they have done. commands: the scripts with their options, from the plan."""

    name: str
    commands: Callable[[Plan], list[list[str]]]


def _ablation(plan: Plan) -> list[list[str]]:
    words = ["benchmarks/metastyle.py", "ablation", *plan.photos, "--style", str(plan.data / "style/train")]
    words += ["--photos", str(plan.data / "content/val"), "--paintings", *plan.held_out, "--encoder", str(plan.vgg)]
    words += ["--keep", str(plan.runs / "ablation"), "--into", str(plan.runs / "ablation")]
    return [[*words, *("--outer 2 --width 4 --crop 64 --count 1" if plan.tiny else "--outer 2000 --width 16").split()]]


def _readings(plan: Plan) -> list[list[str]]:
    words = ["benchmarks/distillation.py", "readings", "--painting", str(plan.data / "style/val/candy.jpg")]
    words += ["--photos", str(plan.data / "content/train"), "--films", str(plan.data / "video/train")]
    words += ["--still", str(plan.data / "content/val"), "--judge", str(plan.data / "video/val"), "--kept", str(plan.runs / "readings")]
    words += ["--into", str(plan.runs / "readings")]
    return [[*words, *("--steps 2 --only 0" if plan.tiny else "--steps 2000").split()]]


def _styles(plan: Plan) -> list[list[str]]:
    """All styles for photos and films, then what the small networks begin with, then the small networks."""
    photos, start = ["--photos", str(plan.data / "content/train")], str(plan.runs / "live-start.checkpoint")
    bundle = ["tools/bundle_styles.py", *photos, "--paintings", str(plan.data / "style/bundled")]
    names = sorted(path.stem for path in (ASSETS / "styles").glob("*.json") if not path.stem.endswith("-live"))[: 1 if plan.tiny else None]

    def tiny(*options: str) -> list[str]:
        return [word for option in options for word in (option, "2")] if plan.tiny else []

    return [
        [*bundle, *names, *tiny("--steps", "--film-steps")],
        ["tools/live_start.py", *photos, "--checkpoint", start, *tiny("--steps")],
        [*bundle, "--live", *names, *tiny("--live-steps")],
    ]


WIDE_DECODER = ["--hidden", "48,64,128", "--depths", "2,2,4"]
"""The way from relu4_1 to relu3_1 longer, and all of it wider, than that of the encoder."""

STAGES: list[Stage | Script] = [
    Stage(
        "encoder",
        "encoders/compact.safetensors",
        lambda plan: [*plan.photos, *plan.paintings, "--teacher", str(plan.vgg)],
        5200,
        8.0,
        {
            "cpu": [],
            "cuda": ["--batch", "32", "--wide-batch", "10", "--pool", "400"],
            "tiny": ["--batch", "2", "--crop", "64", "--wide-crop", "64", "--channels", "4,6,8,8,8", "--paint-steps", "2"],
        },
        _encoder_measured,
        _encoder_figures,
    ),
    Stage(
        "start",
        "networks/metastyle.safetensors",
        lambda plan: [*plan.photos, *plan.paintings, *plan.encoder],
        10_000,
        5.0,
        {
            "cpu": ["--loss", "strokes", "--crop", "192", "--kept", "1991"],
            "cuda": ["--loss", "strokes", "--crop", "256", "--kept", "1991", "--styles", "16"],
            "tiny": ["--crop", "64", "--style-size", "64", "--kept", "4"],
        },
        _pairs_measured("metastyle"),
        _pairs_figures("metastyle"),
    ),
    Script("ablation", _ablation),
    Stage(
        "solver",
        "solvers/solver.safetensors",
        lambda plan: [*plan.photos, *plan.paintings, *plan.encoder],
        20_000,
        2.8,
        {"cpu": [], "cuda": ["--batch", "16"], "tiny": ["--batch", "1", "--crop", "64", "--style-size", "64", "--width", "4"]},
        _pairs_measured("solver", "solver@fine"),
        _pairs_figures("solver"),
        judged=0.3,
    ),
    Stage(
        "decoder",
        "decoders/compact-decoder.safetensors",
        lambda plan: [*plan.photos, *plan.paintings, *plan.encoder],
        12_000,
        2.6,
        {"cpu": WIDE_DECODER, "cuda": [*WIDE_DECODER, "--batch", "16"], "tiny": ["--batch", "1", "--crop", "64"]},
        _pairs_measured("semantic"),
        _pairs_figures("semantic"),
        judged=0.2,
    ),
    Script("readings", _readings),
    Script("styles", _styles),
]


def run(plan: Plan, stage: Stage | Script, minutes: float) -> bool:
    """Train one stage for at most so long; whether the next may begin."""
    return _run_scripts(plan, stage, minutes) if isinstance(stage, Script) else _run_training(plan, stage, minutes)


def _run_scripts(plan: Plan, stage: Script, minutes: float) -> bool:
    """With the networks that were accepted so far, on a processor. They keep what they have done, so each is simply run."""
    end, done = time.monotonic() + 60 * minutes, plan.runs / f"{stage.name}.done"
    if done.is_file() or plan.device != "cpu":
        return True
    package = _with_accepted(plan, stage)
    for words in stage.commands(plan):
        script = [sys.executable, str(ROOT / words[0]), *words[1:]]
        if not _logged(plan, stage.name, script, (end - time.monotonic()) / 60, package):
            return False
    done.touch()
    return True


def _run_training(plan: Plan, stage: Stage, minutes: float) -> bool:
    end, target = time.monotonic() + 60 * minutes, stage.target(plan)
    if plan.measured(stage.name).is_file():
        return True
    if not target.is_file():
        for output, steps, more in stage.parts(plan):
            words = [*IMPASTO, "train", *stage.options(plan), *more, "--steps", str(steps), "--output", str(output)]
            if not output.is_file() and not _logged(plan, stage.name, words, (end - time.monotonic()) / 60, ROOT / "src"):
                return False
    if not plan.unmeasured:
        _measure(plan, stage, target)
    return True


def steps_of(plan: Plan, stage: Stage) -> int:
    """Steps of a stage: as written on a processor, as many as fit its minutes on a GPU. They are kept, so that it can be resumed."""
    if plan.tiny:
        return 4
    if not plan.device.startswith("cuda"):
        return stage.steps
    known = plan.runs / f"{stage.name}.steps"
    if not known.is_file():
        seconds = []
        for steps in PROBED:
            probe = plan.runs / f"{stage.name}-probe.safetensors"
            began = time.monotonic()
            subprocess.run([*IMPASTO, "train", *stage.options(plan), "--steps", str(steps), "--output", str(probe)], check=True)
            seconds.append(time.monotonic() - began)
            for file in plan.runs.glob(f"{stage.name}-probe.*"):
                file.unlink()
        fast, slow = seconds
        a_step = max(1e-4, (slow - fast) / (PROBED[1] - PROBED[0]))
        known.write_text(str(max(PROBED[1], round((60 * stage.minutes - slow) / a_step))))
        print(f"{stage.name}: {1000 * a_step:.1f} ms a step, {known.read_text()} steps", flush=True)
    return int(known.read_text())


def _logged(plan: Plan, name: str, words: list[str], minutes: float, package: Path) -> bool:
    """Run a command for at most so long, with its output in the log of the stage; whether it came to its end."""
    print(f"{name}: {' '.join(words)}", flush=True)
    known = plan.runs / f"{name}.log"
    with known.open("a") as log:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(package), str(ROOT / "benchmarks")])}
        process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, env=environment)
        if not _ended(process, minutes):
            print(f"{name}: stopped after {minutes:g} minutes; the same command resumes it", flush=True)
            return False
    if process.returncode != 0:
        sys.exit(f"{name}: the training failed; {known} says why")
    return True


def _ended(process: "subprocess.Popen[bytes]", minutes: float) -> bool:
    """Wait for a training; when the time is over, or the user stops it, let it keep its checkpoint. Whether it came to its end."""
    end = time.monotonic() + 60 * minutes
    try:
        while process.poll() is None and time.monotonic() < end:
            time.sleep(1)
        if process.poll() is not None:
            return True
    except KeyboardInterrupt:
        pass
    process.send_signal(signal.SIGTERM)
    process.wait()
    return False


def _measure(plan: Plan, stage: Stage, target: Path) -> None:
    """Measure the network and what ships, and refuse the network if it is worse."""
    results: dict[str, Any] = {}
    for name, package in (("shipped", ROOT / "src"), ("trained", _with_accepted(plan, stage))):
        found = plan.runs / f"{stage.name}-{name}.json"
        if not found.is_file():
            paths = os.pathsep.join([str(package), str(ROOT / "benchmarks")])
            subprocess.run(stage.measure(plan, package, found), check=True, env=os.environ | {"PYTHONPATH": paths})
        results[name] = stage.figures(json.loads(found.read_text()))
    results["accepted"] = is_better(results["trained"], results["shipped"])
    if not results["accepted"]:
        target.rename(target.with_name(f"{target.stem}.refused.safetensors"))
    plan.measured(stage.name).write_text(json.dumps(results, indent=1) + "\n")
    print(f"{stage.name}: {json.dumps(results)}", flush=True)


def _with_accepted(plan: Plan, stage: Stage | Script) -> Path:
    """A folder with a copy of the package that has the networks accepted so far, this one too, in the place of what ships."""
    folder = plan.runs / f"{stage.name}-package"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "src/impasto", folder / "impasto", ignore=shutil.ignore_patterns("__pycache__"))
    for one in STAGES[: STAGES.index(stage) + 1]:
        if isinstance(one, Script):
            continue
        trained, asset = one.target(plan), folder / "impasto/assets" / one.replaces
        if trained.is_file():
            shutil.copyfile(trained, asset)
            write_record(read_record(asset.with_suffix(".json")), asset.parent)
    return folder


def pack(plan: Plan, folder: Path) -> None:
    """The pictures as small WebP files, what is measured with as it is, and VGG-19: 60 MiB for a machine that cannot fetch anything."""
    for part in ("content", "style"):
        for source in sorted(path for path in (plan.data / part).rglob("*") if path.is_file()):
            target = folder / "data" / source.relative_to(plan.data)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                picture = Image.open(source).convert("RGB")
            except OSError:
                continue
            if "val" in source.relative_to(plan.data).parts:
                shutil.copyfile(source, target)
                continue
            scale = PACKED_SIDE / min(picture.size)
            smaller = picture.resize([round(side * scale) for side in picture.size], Image.Resampling.LANCZOS) if scale < 1 else picture
            smaller.save(target.with_suffix(".webp"), quality=PACKED_QUALITY, method=6)
    shutil.copyfile(plan.data / "reference.json", folder / "data/reference.json")
    shutil.copyfile(plan.vgg, folder / "vgg19.safetensors")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 2**20:.1f} MiB")


def main() -> None:
    """Train what is not done yet, or pack the data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vgg", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="+", choices=[stage.name for stage in STAGES])
    parser.add_argument("--minutes", type=float, default=float("inf"), help="for everything; what is not done is resumed another time")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--unmeasured", action="store_true", help="train alone")
    parser.add_argument("--pack", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    plan = Plan(options.data, options.vgg, options.runs, options.device, options.tiny, options.unmeasured)
    if options.pack is not None:
        pack(plan, options.pack)
        return
    options.runs.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * options.minutes
    for stage in STAGES:
        if (options.only is None or stage.name in options.only) and not run(plan, stage, (end - time.monotonic()) / 60):
            return


if __name__ == "__main__":
    main()
