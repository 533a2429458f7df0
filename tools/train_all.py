"""Train the networks that Impasto ships, in an order in which each serves the next: resumable, measured, refused where it is worse.

    python tools/train_all.py --data FOLDER --vgg VGG19.safetensors                     # what is not done, stage after stage
    python tools/train_all.py --data FOLDER --vgg … --only encoder --minutes 60         # one stage, as long as there is time
    python tools/train_all.py --data FOLDER --vgg … --tiny --runs /tmp/tiny             # all of it with tiny settings, to try the plan
    python tools/train_all.py --data FOLDER --vgg … --device cuda                       # the same for one GPU of a data centre

FOLDER has content/train, style/train and more folders of style/, and content/val and style/val to measure with. Everything is kept in
--runs, `runs` by default: STAGE.safetensors, its checkpoint, STAGE.log with the terms, STAGE.json with what was measured. A stage that is
stopped, by its time or by Ctrl-C, is resumed by the same command. A stage that is done is measured beside what ships, by the same command
on the same machine; a network that is worse is named STAGE.refused.safetensors. Nothing is copied into the package: that is for somebody
who has looked at the pictures.
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
IMPASTO = [sys.executable, "-m", "impasto"]


@dataclass(frozen=True)
class Plan:
    """Where everything lies, and how large everything is."""

    data: Path
    vgg: Path
    runs: Path
    device: str
    tiny: bool

    @property
    def photos(self) -> list[str]:
        """Options for the photos to learn on."""
        return ["--content", str(self.data / "content/train")]

    @property
    def paintings(self) -> list[str]:
        """Options for the paintings to learn on: all folders of them but those to measure with."""
        folders = sorted(folder for folder in (self.data / "style").iterdir() if folder.is_dir() and folder.name != "val")
        return [word for folder in folders for word in ("--style", str(folder))]


@dataclass(frozen=True)
class Stage:
    """A network: how it is trained, and how it is measured.

    train: options of its command, from the plan.
    sizes: more of them for a processor, for a GPU, and to try it.
    measure: the command that measures a network, from the plan, its file and a file for JSON.
    score: what is better when it is higher, from that JSON.
    notes: more of it.
    """

    name: str
    shipped: str
    train: Callable[[Plan], list[str]]
    sizes: Mapping[str, Sequence[str]]
    measure: Callable[[Plan, str, Path], list[str]]
    score: Callable[[Any], float]
    notes: Callable[[Any], dict[str, float]] = field(default=lambda found: {})


def _measure_encoder(plan: Plan, network: str, found: Path) -> list[str]:
    words = [sys.executable, str(ROOT / "benchmarks/compact_encoder.py"), network, "--vgg", str(plan.vgg), "--json", str(found)]
    words += [
        "--content",
        str(plan.data / "content/val"),
        "--style",
        str(plan.data / "style/val"),
        "--pairs",
        str(plan.data / "reference.json"),
    ]
    return [*words, *(["--limit", "1"] if plan.tiny else [])]


STAGES = [
    Stage(
        "encoder",
        "compact",
        lambda plan: ["encoder", *plan.photos, *plan.paintings, "--teacher", str(plan.vgg)],
        {
            "cpu": ["--steps", "7500"],
            "cuda": ["--steps", "20000", "--batch", "16", "--wide-batch", "5"],
            "tiny": ["--steps", "4", "--batch", "1", "--crop", "64", "--wide-crop", "64", "--channels", "4,6,8,8,8", "--paint-steps", "2"],
        },
        _measure_encoder,
        lambda found: mean(found["rows"][0]["shares"]),
        lambda found: {"content ratio": mean(found["rows"][0]["content_ratios"]), "spearman": found["rows"][0]["spearman"]},
    ),
]


def run(plan: Plan, stage: Stage, minutes: float) -> bool:
    """Train one stage for at most so long; whether it is done."""
    target = plan.runs / f"{stage.name}.safetensors"
    if (plan.runs / f"{stage.name}.json").is_file():
        return True
    if not target.is_file():
        size = "tiny" if plan.tiny else "cuda" if plan.device.startswith("cuda") else "cpu"
        words = [*IMPASTO, "train", *stage.train(plan), *stage.sizes[size], "--output", str(target), "--device", plan.device]
        print(f"{stage.name}: {' '.join(words[3:])}", flush=True)
        with (plan.runs / f"{stage.name}.log").open("a") as log:
            process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)
            if not _ended(process, minutes):
                print(f"{stage.name}: stopped after {minutes:g} minutes; the same command resumes it", flush=True)
                return False
        if process.returncode != 0:
            sys.exit(f"{stage.name}: the training failed; {plan.runs / f'{stage.name}.log'} says why")
    return _measured(plan, stage, target)


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


def _measured(plan: Plan, stage: Stage, target: Path) -> bool:
    """Measure the network and what ships, and refuse the network if it is worse."""
    scores: dict[str, Any] = {}
    for name, network in (("shipped", stage.shipped), ("trained", str(target))):
        found = plan.runs / f"{stage.name}-{name}.json"
        if not found.is_file():
            subprocess.run(stage.measure(plan, network, found), check=True)
        known = json.loads(found.read_text())
        scores[name] = {"score": stage.score(known), **stage.notes(known)}
    scores["accepted"] = scores["trained"]["score"] >= scores["shipped"]["score"]
    if not scores["accepted"]:
        target.rename(target.with_name(f"{stage.name}.refused.safetensors"))
    (plan.runs / f"{stage.name}.json").write_text(json.dumps(scores, indent=1) + "\n")
    print(f"{stage.name}: {json.dumps(scores)}", flush=True)
    return True


def main() -> None:
    """Train what is not done yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vgg", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", choices=[stage.name for stage in STAGES])
    parser.add_argument("--minutes", type=float, default=float("inf"), help="for everything; what is not done is resumed another time")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    plan = Plan(options.data, options.vgg, options.runs, options.device, options.tiny)
    end = time.monotonic() + 60 * options.minutes
    for stage in STAGES:
        if options.only in (None, stage.name) and not run(plan, stage, (end - time.monotonic()) / 60):
            return


if __name__ == "__main__":
    main()
