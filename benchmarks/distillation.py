"""What stable films cost and bring: readings of the paper, learning for video, speed, memory.

    python benchmarks/distillation.py readings --painting CANDY.jpg --photos PHOTOS --films FILMS --judge FILMS --truth SINTEL --kept FOLDER
    python benchmarks/distillation.py adaptation --paintings UNSEEN --judge FILMS --kept FOLDER
    python benchmarks/distillation.py presets --painting CANDY.jpg --films FILMS --kept FOLDER
    python benchmarks/distillation.py speed
    python benchmarks/distillation.py memory

`readings` trains the vanilla students, the teachers and every reading of the paper that FOLDER does not hold yet, each of which can be
interrupted and resumed, and judges all of them; with --only it trains those alone, so that two processes can share the work. SINTEL is a
folder laid out as MPI Sintel's. Every part writes distillation-PART.json into benchmarks/results, or --into FOLDER.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from statistics import mean, median

import torch
from rich.console import Console
from torch import Tensor

from impasto.api import adapt, stylize
from impasto.evaluation.footage import footage, moving_footage
from impasto.evaluation.report import write_report
from impasto.evaluation.stability import StabilityReport, evaluate_stability
from impasto.events import Event
from impasto.job.build import make_film_stylizer
from impasto.job.styles import find_style
from impasto.media.film_writer import FilmWriter
from impasto.media.images import list_pictures, read_picture, style_at
from impasto.media.videos import FilmInfo, FilmReader, as_bytes
from impasto.methods.declaration import StyleSource
from impasto.methods.distillation.calibration import calibrated, gradient_norms
from impasto.methods.distillation.method import STUDENT_TRAINING, TEACHER_TRAINING
from impasto.methods.distillation.networks import STUDENTS, VideoNetwork, student_network
from impasto.methods.distillation.student_training import StudentLearner
from impasto.methods.distillation.teacher import Teacher
from impasto.methods.distillation.teacher_file import from_teacher_file
from impasto.methods.distillation.training_settings import STUDENT_PRESETS, StudentTraining
from impasto.motion.flow import DenseInverseSearch
from impasto.motion.synthetic import moving_scene
from impasto.networks.style_network_file import from_style_file, load_network
from impasto.networks.stylizer import NetworkStylizer
from impasto.runtime.device import choose_place
from impasto.runtime.encoders import load_encoder, load_loss
from impasto.runtime.steadied import EachFrame, Steadied
from impasto.runtime.stylizer import Stylizer
from impasto.settings import Controls
from impasto.storage.style_file import read_style
from impasto.training.clips import Films
from impasto.training.made_pictures import made_pictures
from impasto.training.recipe import Materials, train_to_file

HERE = Path(__file__).resolve().parent
PLACE = choose_place("cpu")


def saying(name: str) -> Callable[[Event], None]:
    def say(event: Event) -> None:
        if event.step % 50 == 0 or event.step == event.total:
            values = "  ".join(f"{key} {value:.4f}" for key, value in event.values.items())
            print(f"{name}: step {event.step}/{event.total}  {event.seconds:.0f} s  {values}", flush=True)

    return say


def stylizer_of(path: Path, stabilize: str) -> Stylizer:
    return make_film_stylizer(StyleSource([find_style(path)]), Controls(stabilize=stabilize), PLACE)


def shown(report: StabilityReport, file: Path) -> None:
    report.show(Console(width=200))
    report.write(file)


def vanilla_student(kept: Path, materials: Materials, name: str, steps: int) -> Path:
    """A student that knows the style and nothing of films."""
    path = kept / f"vanilla-{name}.safetensors"
    if not path.is_file():
        changes = {"steps": 0, "terms": {}, "student": name, "vanilla_steps": steps}
        train_to_file(STUDENT_TRAINING, materials, path, changes=changes, listener=saying(path.stem))
    return path


def judged(arguments: argparse.Namespace, stylizers: dict[str, Stylizer], teacher: Path) -> None:
    """Judge them on films, on scenes of exact motion and, where it is there, on Sintel's true flow; write each as a part."""
    films, moving, truth = (arguments.into / f"distillation-readings-{part}.json" for part in ("films", "moving", "truth"))
    common = {
        "encoder": load_encoder(arguments.encoder, choose_place("cpu", "float32")),
        "painting": read_picture(arguments.painting).pixels[None],
        "settings": {"encoder": Path(arguments.encoder).stem, "steps": arguments.steps, "teacher_steps": read_style(teacher).record.steps},
        "listener": lambda event: print(f"{event.step}/{event.total} scenes, {event.seconds:.0f} s", flush=True),
    }
    shown(evaluate_stability(footage(arguments.judge), stylizers, size=512, maps=arguments.maps, **common), films)
    shown(evaluate_stability(moving_footage(arguments.still, 3, length=12), stylizers, **common), moving)
    if arguments.truth is not None:
        shown(evaluate_stability(footage(arguments.truth, rendering=arguments.rendering), stylizers, **common), truth)


LONG = {"length": 5, "crop": 128}
"""Of the readings: as many frames as in the paper, small ones."""
TEACHERS = {"ruder": ("metastyle", "ruder"), "alike": ("metastyle", "start"), "reconet-alike": ("reconet", "start")}
"""What a teacher begins as, and its network."""
BOTH, PLAIN = {"residual": 1.0, "rank": 0.25}, {"vanilla": 1.0, "rank": 0.25}
READINGS: dict[str, tuple[str | None, str, dict[str, object]]] = {
    "student": (None, "metastyle", {"terms": {}}),
    "student with temporal": (None, "metastyle", {"terms": {"temporal": 0.5}}),
    "Ruder's teacher": ("ruder", "metastyle", {"terms": BOTH}),
    "the same, centred": ("ruder", "metastyle", {"terms": BOTH, "residual_centred": True}),
    "the same, plain distillation": ("ruder", "metastyle", {"terms": PLAIN}),
    "one start, which is the vanilla teacher": ("alike", "metastyle", {"terms": PLAIN}),
    "one start, the blind teacher is the vanilla teacher": ("alike", "metastyle", {"terms": BOTH}),
    "the blind teacher is both vanilla networks": ("alike", "alike", {"terms": PLAIN}),
    "one start, with temporal": ("alike", "metastyle", {"terms": {**PLAIN, "temporal": 0.5}}),
    "ReCoNet": (None, "reconet", {"terms": {}}),
    "ReCoNet with temporal": (None, "reconet", {"terms": {"temporal": 0.5}}),
    "ReCoNet, one start": ("reconet-alike", "reconet", {"terms": PLAIN}),
    "Ruder's teacher, rank of the teacher": ("ruder", "metastyle", {"terms": BOTH, "rank_of": "teacher"}),
    "rank alone": (None, "metastyle", {"terms": {"rank": 0.25}}),
    "Ruder's teacher, residual alone": ("ruder", "metastyle", {"terms": {"residual": 1.0}}),
    "Ruder's teacher, plain distillation alone": ("ruder", "metastyle", {"terms": {"vanilla": 1.0}}),
    "Ruder's teacher, plain distillation, with temporal": ("ruder", "metastyle", {"terms": {**PLAIN, "temporal": 0.5}}),
}
"""Ways to read the paper: the teacher, the file that the student begins as, and what is changed.

ruder: the network of Ruder et al. alike, reconet-alike: a student with four inputs more, so that teacher and student begin as one network.
Where one network is the vanilla teacher and the vanilla student, the residual is plain distillation, and named so in the terms.
"""


def readings(arguments: argparse.Namespace) -> None:
    """Every way of reading the paper with the same seed, steps and frames; what FOLDER holds is not trained again.

    Those that --only names are trained, with the teachers that they need, and not judged: so two processes share the work.
    """
    kept: Path = arguments.kept
    kept.mkdir(parents=True, exist_ok=True)
    materials = Materials(arguments.painting, [arguments.photos], film=[arguments.films])
    vanilla_steps = {"metastyle": min(1000, arguments.steps), "reconet": arguments.steps}

    def made(name: str) -> Path:
        """The file of a vanilla student or of a teacher."""
        if name in vanilla_steps:
            return vanilla_student(kept, materials, name, vanilla_steps[name])
        start, network = TEACHERS[name]
        file = kept / f"teacher-{name}.safetensors"
        if not file.is_file():
            given, changes = replace(materials, start=str(made(start))), {"network": network, "crop": 160, "steps": arguments.steps}
            train_to_file(TEACHER_TRAINING, given, file, changes=changes, listener=saying(name))
        return file

    students: dict[str, Stylizer] = {}
    for number, (name, (teacher, start, changes)) in enumerate(READINGS.items()):
        if arguments.only and str(number) not in arguments.only:
            continue
        file = kept / f"reading-{number}.safetensors"
        if not file.is_file():
            given = replace(materials, teacher=teacher and str(made(teacher)), start=str(made(start)))
            train_to_file(STUDENT_TRAINING, given, file, changes={**LONG, "steps": arguments.steps, **changes}, listener=saying(name))
        students[name] = stylizer_of(file, "student")
    if arguments.only:
        return
    stylizers = {f"vanilla {name}": stylizer_of(made(name), "none") for name in vanilla_steps} | students
    stylizers["vanilla metastyle, held by flow"] = stylizer_of(made("metastyle"), "flow")
    for name in TEACHERS:
        stylizers |= {f"teacher {name}, blind": stylizer_of(made(name), "none"), f"teacher {name}": stylizer_of(made(name), "flow")}
    judged(arguments, stylizers, made("alike"))


def adaptation(arguments: argparse.Namespace) -> None:
    """Plain adaptation, with the grain and without, and that for video as it paints films; paintings and films that neither has seen."""
    kept: Path = arguments.kept
    kept.mkdir(parents=True, exist_ok=True)
    scenes = footage(arguments.judge)
    judge, found = load_encoder(arguments.encoder, choose_place("cpu", "float32")), {}
    for painting in list_pictures(arguments.paintings):
        if arguments.only and painting.stem not in arguments.only:
            continue
        seconds: dict[str, float] = {}
        for purpose, options in (("plain", {}), ("video", {"film": True})):
            file = kept / f"{painting.stem}-{purpose}.safetensors"
            if not file.is_file():
                adapt(painting, file, controls=Controls(options=options))
            seconds[purpose] = read_style(file).record.settings["curve"][-1][1]
        files = {purpose: kept / f"{painting.stem}-{purpose}.safetensors" for purpose in seconds}
        network = from_style_file(read_style(files["plain"]))
        stylizers = {
            "plain": stylizer_of(files["plain"], "none"),
            "plain, without grain": NetworkStylizer(network, PLACE, grain=False),
            "video": stylizer_of(files["video"], "student"),
        }
        report = evaluate_stability(
            scenes,
            stylizers,
            size=448,
            encoder=judge,
            painting=read_picture(painting).pixels[None],
            maps=arguments.maps and arguments.maps / painting.stem,
        )
        means = {
            purpose: {key: mean(getattr(row, key) for row in report.of(purpose)) for key in ("e_stab", "relative", "style", "content")}
            for purpose in stylizers
        }
        changes = {
            way: {key: value / means["plain"][key] - 1 for key, value in figures.items()}
            for way, figures in means.items()
            if way != "plain"
        }
        found[painting.stem] = {"means": means, "changes": changes, "seconds": seconds}
        for way, change in changes.items():
            print(painting.stem, way, {key: f"{value:+.0%}" for key, value in change.items()}, seconds, flush=True)
    average = {
        way: {key: mean(row["changes"][way][key] for row in found.values()) for key in ("e_stab", "relative", "style", "content")}
        for way in ("plain, without grain", "video")
    }
    for way, change in average.items():
        print("mean", way, {key: f"{value:+.1%}" for key, value in change.items()})
    write_report(
        arguments.into / "distillation-adaptation.json", {"encoder": Path(arguments.encoder).stem, "mean": average, "paintings": found}
    )


def presets(arguments: argparse.Namespace) -> None:
    """Gradients of the terms at the vanilla student, and the weights that the calibration makes of them, beside the published ones."""
    teacher = from_teacher_file(read_style(arguments.kept / "teacher-ruder.safetensors"))
    student = from_style_file(read_style(arguments.kept / "vanilla-metastyle.safetensors"))
    films, table = Films([arguments.films]), {}
    for name, loss_name in (("feedforward", "feedforward"), ("published", "reconet")):
        fractions = {"residual": 1.0, "temporal": 0.5, "rank": 0.25}
        settings = StudentTraining(length=5, terms=fractions)
        loss = load_loss(arguments.encoder, loss_name, PLACE)
        style = loss.style_target([style_at(read_picture(arguments.painting).pixels[None], settings.style_size)])
        learner = StudentLearner(student, teacher, loss, style, settings, PLACE)
        generator = torch.Generator().manual_seed(0)
        norms = [gradient_norms(*learner.terms(films.draw(5, 256, generator))) for _ in range(4)]
        means = {term: mean(each[term] for each in norms) for term in norms[0]}
        table[name] = {"gradients": means, "calibrated": calibrated(means, fractions)}
        print(name, table[name])
    published = dict(STUDENT_PRESETS["published"].weights) | {"temporal": 1e6}
    write_report(arguments.into / "distillation-presets.json", {"losses": table, "published": published})


def scene_frames(count: int, size: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    pictures = made_pictures(3, max(size), generator)
    chosen = [pictures.picture(index).float() / 255 for index in range(3)]
    return list(moving_scene(chosen, size, count, generator).frames)


def per_frame(paint: Callable[[], object], *, repeats: int = 5) -> float:
    paint()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        paint()
        times.append(time.perf_counter() - started)
    return median(times)


def write_film(path: Path, frames: list[Tensor], count: int) -> None:
    """The frames there and back again until there are enough."""
    size, rate = (frames[0].shape[-2], frames[0].shape[-1]), Fraction(25)
    writer = FilmWriter(path, None, FilmInfo(size, rate, 1 / rate, count, count / 25), size, "benchmark", piece=500)
    pictures = [as_bytes(frame) for frame in frames]
    circle = pictures + pictures[-2:0:-1]
    for number in range(count):
        writer.write(circle[number % len(circle)], number)
    writer.finish()


def speed(arguments: argparse.Namespace) -> None:
    """Frames per second at 640x320, bare networks first, then with their flow, then a film from file to file."""
    frames = scene_frames(24, (320, 640))
    bare: dict[str, float] = {}
    painter = NetworkStylizer(load_network("metastyle"), PLACE)
    for name in STUDENTS:
        student = NetworkStylizer(student_network(name), PLACE)
        bare[f"student {name}"] = per_frame(lambda student=student: student(frames[0][None]))  # type: ignore[misc]
    bare["metastyle, each frame"] = per_frame(lambda: painter(frames[0][None]))
    teacher = Teacher(VideoNetwork(), PLACE)
    bare["teacher's network alone"] = per_frame(lambda: EachFrame(teacher)(frames[0][None]))
    search = DenseInverseSearch()
    both_ways = per_frame(lambda: (search(frames[0], frames[1]), search(frames[1], frames[0])))

    def streamed(stylizer: Stylizer) -> float:
        started = time.perf_counter()
        count = sum(1 for _ in stylizer.stream(iter(frames)))  # type: ignore[attr-defined]
        return (time.perf_counter() - started) / count

    with_flow = {"teacher with flow": streamed(teacher), "metastyle held by flow": streamed(Steadied(painter, PLACE))}
    rows = {name: {"seconds": seconds, "fps": 1 / seconds} for name, seconds in (bare | with_flow).items()}
    share = {name: both_ways / seconds for name, seconds in with_flow.items()}
    with tempfile.TemporaryDirectory() as folder:
        source, count = Path(folder) / "film.mp4", 150
        write_film(source, frames, count)
        started = time.perf_counter()
        summary = stylize(source, "dusk", output=Path(folder) / "out.mp4", controls=Controls(size=640, stabilize="none"))
        film = (time.perf_counter() - started) / count
        assert summary.painted
        painted = [frame.pixels for frame in FilmReader(source)]
        dusk = stylizer_of(Path("dusk"), "none")
        started = time.perf_counter()
        for frame in painted:
            dusk(frame[None])
        network = (time.perf_counter() - started) / count
    for name, row in rows.items():
        print(f"{name:28s} {row['fps']:6.2f} fps  {row['seconds'] * 1000:7.1f} ms")
    print("flow both ways", f"{both_ways * 1000:.1f} ms, share of the whole", {name: f"{value:.0%}" for name, value in share.items()})
    print(f"film from file to file {1 / film:.2f} fps, network alone {1 / network:.2f} fps: {network / film:.0%}")
    content = {
        "size": "640x320",
        "rows": rows,
        "flow_seconds": both_ways,
        "flow_share": share,
        "film_fps": 1 / film,
        "network_fps": 1 / network,
    }
    write_report(arguments.into / "distillation-speed.json", content)


MEASURED = """
import resource, sys, time, impasto
started = time.monotonic()
summary = impasto.stylize(sys.argv[1], "dusk", output=sys.argv[2], controls=impasto.Controls(stabilize=sys.argv[3]))
assert summary.painted, summary.failed
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.monotonic() - started)
"""


def memory(arguments: argparse.Namespace) -> None:
    """Peak memory of painting ten seconds and ten minutes of film, with flow two minutes, each in a process of its own."""
    found: dict[str, dict[str, float]] = {}
    frames = scene_frames(50, (64, 96))
    with tempfile.TemporaryDirectory() as folder:
        for name, count, ways in (("10 seconds", 250, ("none", "flow")), ("2 minutes", 3000, ("flow",)), ("10 minutes", 15_000, ("none",))):
            source = Path(folder) / f"{count}.mp4"
            write_film(source, frames, count)
            for way in ways:
                command = [sys.executable, "-c", MEASURED, str(source), str(Path(folder) / f"{count}-{way}.mp4"), way]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                peak, seconds = map(float, done.stdout.split())
                found[f"{name}, {way}"] = {"frames": count, "peak_MB": peak, "seconds": seconds}
                print(f"{name}, {way}: {peak:.0f} MB, {seconds:.0f} s", flush=True)
    write_report(arguments.into / "distillation-memory.json", {"size": "96x64", "films": found})


PARTS = {"readings": readings, "adaptation": adaptation, "presets": presets, "speed": speed, "memory": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    for name in ("painting", "paintings", "photos", "films", "judge", "still", "truth", "kept", "maps"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--into", type=Path, default=HERE / "results", help="folder for what is measured")
    parser.add_argument("--rendering", default="final")
    parser.add_argument("--encoder", default="compact")
    parser.add_argument("--steps", type=int, default=250, help="of a reading; 2000 for readings that count")
    parser.add_argument("--only", nargs="*", help="stems of the paintings, or numbers of the readings, that are taken")
    arguments = parser.parse_args()
    if arguments.part == "readings" and arguments.still is None:
        arguments.still = arguments.photos
    PARTS[arguments.part](arguments)


if __name__ == "__main__":
    main()
