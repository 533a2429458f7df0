"""Broken files of every kind that Impasto reads: nothing but sentences may come of them, in bounded memory and time.

    python benchmarks/fuzz.py --minutes 20 --json benchmarks/results/fuzz.json

Whole files are made first, of every format; each case takes one and cuts, flips, splices, repeats or inflates it, and hands it to the
library. Counted are: tracebacks, sentences that only the boundary around each file could give (the reason was not known where it arose),
files that are left half-written, memory above the limit, and cases that take too long. A case is repeated by its seed: --only SEED.
"""

import argparse
import contextlib
import faulthandler
import io
import json
import multiprocessing
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from impasto.errors import ImpastoError
from impasto.evaluation.fidelity import read_pairs
from impasto.evaluation.report import write_report
from impasto.job.build import make_stylizer
from impasto.job.engine import run
from impasto.job.plan import plan
from impasto.job.styles import find_style
from impasto.media.images import picture_of, read_picture
from impasto.media.large_files import read_header, read_large
from impasto.media.masks import load_shares, read_labels
from impasto.methods.declaration import Style, StyleSource
from impasto.methods.solver.network import SolverNetwork
from impasto.methods.solver.solver_file import read_solver, write_solver
from impasto.motion.flow_files import read_flow
from impasto.networks.decoder import Decoder
from impasto.networks.decoder_file import read_decoder, write_decoder
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import load_network, to_style_file
from impasto.perception.encoder import Encoder
from impasto.perception.weights import read_encoder
from impasto.runtime.device import Place
from impasto.settings import Controls
from impasto.storage.registry import read_record
from impasto.storage.style_file import StyleFile, StyleRecord, write_style
from impasto.training.checkpoint import load_checkpoint, save_checkpoint
from tests.films import make_film
from tests.media.test_scene_linear import exr

MEGAPIXELS = 4
MEMORY = 1_500_000_000
"""Bytes that the process may grow by; a picture of the largest size that is taken here needs 48 MB."""
SECONDS = 20
CPU = Place(torch.device("cpu"), torch.float32)


def scene(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x * 255 // width, y * 255 // height, (x * y) % 256], -1).astype(np.uint8))


def pictures(folder: Path) -> Iterator[Path]:
    """One of every format and kind of pixels that Pillow and OpenCV write here."""
    image = scene(64, 48)
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", 6
    alpha = image.convert("RGBA")
    alpha.putalpha(120)
    kinds = {
        "rgb.png": image, "rgba.png": alpha, "palette.png": image.quantize(8),
        "grey.png": image.convert("L"), "la.png": image.convert("LA"),
        "rgb.jpg": image, "cmyk.jpg": image.convert("CMYK"), "rgb.webp": image, "rgba.webp": alpha, "rgb.tif": image, "rgb.bmp": image,
        "rgb.gif": image.quantize(16), "rgb.ppm": image, "rgb.jp2": image, "rgb.tga": image,
        "rgb.avif": image, "one.png": image.convert("1"),
    }  # fmt: skip
    for name, picture in kinds.items():
        with contextlib.suppress(OSError, KeyError, ValueError):
            picture.save(folder / name, **({"exif": exif} if name.endswith((".jpg", ".webp", "rgb.png", ".tif")) else {}))
            yield folder / name
    frames = [image.rotate(20 * number) for number in range(4)]
    for suffix in ("gif", "webp", "png"):
        frames[0].save(folder / f"moving.{suffix}", save_all=True, append_images=frames[1:], duration=50)
        yield folder / f"moving.{suffix}"
    values = np.array(image)
    for name, data in (
        ("deep.png", values.astype(np.uint16) * 257), ("deep.tif", values.astype(np.uint16) * 16),
        ("float.tif", values.astype(np.float32) / 255),
        ("grey16.png", values[..., 0].astype(np.uint16) * 257), ("hdr.tif", values.astype(np.float32)),
    ):  # fmt: skip
        cv2.imwrite(str(folder / name), data)
        yield folder / name
    (folder / "deep.ppm").write_bytes(b"P6 64 48\n4095\n" + (values.astype(">u2") * 16).tobytes())
    yield folder / "deep.ppm"
    cv2.imwrite(str(folder / "deep.jp2"), values.astype(np.uint16) * 257)
    yield folder / "deep.jp2"
    cv2.imwrite(str(folder / "scene.hdr"), values.astype(np.float32) / 64)
    yield folder / "scene.hdr"
    yield exr(folder / "scene.exr", values.astype(np.float32) / 64)
    yield from _tiffs(folder, values)
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.from_pillow(image).save(folder / "phone.heic", exif=exif.tobytes())
        yield folder / "phone.heic"
        deep = pillow_heif.from_bytes(mode="RGB;16", size=image.size, data=(values.astype(np.uint16) * 257).tobytes())
        deep.save(folder / "deep.heic")
        yield folder / "deep.heic"


def _tiffs(folder: Path, values: np.ndarray) -> Iterator[Path]:
    """TIFF of the layouts that other libraries read, and of those that are read by their bytes."""
    wide, planes = values.astype(np.uint16) * 257, np.moveaxis(values.astype(np.uint16) * 257, -1, 0)
    alpha = np.dstack([wide // 2, wide[..., :1] // 2 + 32768])
    options: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
        "tiles": (wide, {"tile": (16, 16), "compression": "deflate", "predictor": True}),
        "associated": (alpha, {"extrasamples": ["assocalpha"]}),
        "planar": (planes, {"planarconfig": "separate"}), "planar-tiles": (planes, {"planarconfig": "separate", "tile": (16, 16)}),
        "lzma": (wide, {"compression": "lzma", "predictor": True}), "half": (values.astype(np.float16) / 255, {}),
        "big": (wide, {"bigtiff": True, "byteorder": ">"}), "double": (values / 255, {}),
    }  # fmt: skip
    for name, (stored, option) in options.items():
        tifffile.imwrite(folder / f"{name}.tif", stored, photometric="rgb", metadata=None, extratags=[(274, "H", 1, 6, True)], **option)
        yield folder / f"{name}.tif"


def films(folder: Path) -> Iterator[Path]:
    """Every container, with sound and without."""
    for name, options in (
        ("a.mp4", {}), ("b.mkv", {"codec": "pcm_s16le"}), ("c.mov", {"variable": True}), ("d.avi", {"sound": False}), ("e.ts", {}),
        ("f.mp4", {"turned": 90}), ("g.mp4", {"front": True}),
    ):  # fmt: skip
        with contextlib.suppress(Exception):
            yield make_film(folder / name, count=8, **options)


def masks(folder: Path) -> Iterator[Path]:
    """Index masks of 8 and 16 bits, palettes, colours, cut-outs."""
    index = np.repeat(np.arange(4, dtype=np.uint8), 16)[None].repeat(48, 0)
    Image.fromarray(index).save(folder / "index.png")
    Image.fromarray(index.astype(np.uint16) * 300).save(folder / "index16.png")
    palette = Image.fromarray(index)
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    palette.save(folder / "palette.png")
    palette.convert("RGB").save(folder / "colors.jpg")
    cut = palette.convert("RGBA")
    cut.putalpha(Image.fromarray((index > 1).astype(np.uint8) * 255))
    cut.save(folder / "cut.png")
    yield from sorted(folder.iterdir())


def weights(folder: Path) -> Iterator[Path]:
    """Style files of every sort, encoders, networks, solvers, decoders, checkpoints."""
    torch.manual_seed(0)
    record = StyleRecord("fuzz", "metastyle", settings={"adaptation": {"film": True}})
    yield write_style(folder / "style-network.safetensors", to_style_file(StyleNetwork(4, 1), record))
    picture = torch.randint(0, 255, (1, 3, 40, 40)).byte()
    yield write_style(folder / "style-picture.safetensors", StyleFile(StyleRecord("fuzz", "gatys"), {"picture": picture}))
    from safetensors.torch import save_file

    encoder = Encoder((4, 4, 4, 4, 4)).requires_grad_(False)
    save_file({name: value.contiguous() for name, value in encoder.state_dict().items()}, folder / "encoder.safetensors")
    save_file({name: value.contiguous() for name, value in StyleNetwork(4).state_dict().items()}, folder / "network.safetensors")
    write_solver(SolverNetwork(1, 4, encoder.channels), folder / "solver.safetensors")
    write_decoder(Decoder(encoder.channels, encoder.depths), encoder, folder / "decoder.safetensors")
    save_checkpoint(folder / "training.checkpoint", {"step": 3, "networks": {"a": {"w": torch.rand(4)}}})
    yield from sorted(path for path in folder.iterdir() if not path.name.startswith("style-"))


def others(folder: Path) -> Iterator[Path]:
    """Flow, records, lists of pairs."""
    (folder / "a.flo").write_bytes(struct.pack("<fii", 202021.25, 16, 12) + np.zeros((12, 16, 2), np.float32).tobytes())
    (folder / "record.json").write_text(json.dumps({"name": "a", "kind": "style", "file": "a.safetensors", "licence": "CC0", "size": 3}))
    (folder / "pairs.json").write_text(
        json.dumps([{"content": "a.png", "style": "b.png", "photo": {"relu1_1": 1, "content": 0, "total": 1}}])
    )
    yield from sorted(folder.iterdir())


KINDS: dict[str, Callable[[Path], Iterator[Path]]] = {
    "picture": pictures,
    "film": films,
    "mask": masks,
    "weights": weights,
    "other": others,
}


def mutated(data: bytes, other: bytes, chance: random.Random) -> tuple[bytes, str]:
    """A file with some damage, and what was done to it."""
    damaged = bytearray(data)
    how = chance.choice(["cut", "flip", "burst", "splice", "repeat", "drop", "inflate", "text", "header"])
    if how == "cut":
        damaged = damaged[: chance.randrange(len(damaged))]
    elif how == "flip":
        for _ in range(chance.choice([1, 2, 8, 64])):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    elif how == "burst":
        at = chance.randrange(len(damaged))
        damaged[at : at + chance.choice([1, 4, 16, 256])] = chance.randbytes(chance.choice([1, 4, 16, 256]))
    elif how == "splice":
        damaged = damaged[: chance.randrange(len(damaged))] + other[chance.randrange(len(other)) :]
    elif how == "repeat":
        at, length = chance.randrange(len(damaged)), chance.choice([4, 64, 1024])
        damaged[at:at] = damaged[at : at + length] * chance.choice([1, 2, 40])
    elif how == "drop":
        at = chance.randrange(len(damaged))
        del damaged[at : at + chance.choice([1, 4, 64, 1024])]
    elif how == "inflate":  # sizes and counts become huge, nought or negative
        at = chance.randrange(max(1, len(damaged) - 8))
        value = chance.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x10000, 0xFFFF])
        damaged[at : at + 4] = struct.pack(chance.choice(["<I", ">I"]), value)
    elif how == "text":  # numbers and names within records
        for old, new in chance.sample(_WORDS, 3):
            damaged = damaged.replace(old, new)
    else:
        at = chance.randrange(min(64, len(damaged)))
        damaged[at] = chance.randrange(256)
    return bytes(damaged), how


_WORDS = [
    (b'"width"', b'"wedth"'), (b"4.0", b"NaN"), (b"4.0", b"-3 "), (b"4.0", b"9e9"), (b'"fuzz"', b'"../x"'), (b"fuzz", b"[re]"),
    (b"{", b"["),
    (b"true", b"null"), (b"gatys", b"solve"), (b"metastyle", b"johnsonxx"), (b'"file"', b'"fil_"'), (b"F32", b"I64"), (b"F16", b"BF6"),
    (b"shape", b"shapf"), (b"data_offsets", b"data_offsetz"), (b"1", b"9"), (b"0", b"7"), (b"4", b"2"), (b",", b" "), (b"conv", b"con/"),
]  # fmt: skip


def same(image: torch.Tensor, *, masks: torch.Tensor | None = None) -> torch.Tensor:
    """A stylizer that changes nothing."""
    return image


def painted(path: Path, out: Path) -> list[str]:
    """What is wrong after a file was painted: the engine's own errors and what lies in the folder of results."""
    wrong = []
    try:
        jobs = plan([path], out / "results", "x").jobs
    except ImpastoError:
        return wrong
    summary = run(same, jobs, Controls(size=64, max_megapixels=MEGAPIXELS), CPU)
    for outcome in summary.outcomes:
        if outcome.error is not None and outcome.error.__cause__ is not None:
            cause = outcome.error.__cause__
            wrong.append(f"boundary: {type(cause).__name__}: {cause}")
    there = sorted(entry.name for entry in (out / "results").iterdir()) if (out / "results").is_dir() else []
    expected = sorted(outcome.output.name for outcome in summary.painted if outcome.output is not None)
    kept = [f".{job.output.name}.parts" for job in jobs]  # a film that fails keeps its frames, to be resumed
    if [name for name in there if name not in kept] != expected:
        wrong.append(f"half-written: {there} where {expected} were promised")
    return wrong


def read_every_way(path: Path, out: Path) -> list[str]:
    """What is wrong with an image: as for `painted`, and whole, from memory and by tiles it has to be the same, or nothing."""
    limit = MEGAPIXELS * 1_000_000

    def by_tiles() -> torch.Tensor:
        size = read_header(path, max_pixels=limit).size
        return read_large(path, out / "tiles", size, max_pixels=limit).pixels.whole(size)[0]

    readers = {
        "whole": lambda: read_picture(path, max_pixels=limit).pixels,
        "memory": lambda: picture_of(path.read_bytes(), path.name, max_pixels=limit).pixels,
        "tiles": by_tiles,
    }
    found: dict[str, torch.Tensor | None] = {}
    wrong = painted(path, out)
    for name, read in readers.items():
        try:
            found[name] = read()
        except ImpastoError as error:
            found[name] = None
            wrong += [f"several lines: {error}"] if "\n" in str(error) else []
        except Exception as error:
            wrong.append(f"traceback: {type(error).__name__}: {error}")
    first = found.get("whole")
    for name, pixels in found.items():
        if (pixels is None) != (first is None) or (
            pixels is not None and first is not None and not torch.allclose(pixels, first, atol=1e-5)
        ):
            wrong.append(f"differs: {name} is not what it is whole")
    return wrong


def loaded(path: Path, out: Path) -> list[str]:
    """A file of weights: everything that takes one."""
    readers: list[Callable[[], object]] = [
        lambda: _painted_with(find_style(path)), lambda: read_encoder(path), lambda: load_network(str(path)), lambda: read_solver(path),
        lambda: read_decoder(path), lambda: load_checkpoint(path),
    ]  # fmt: skip
    return _sentences(readers)


def _painted_with(style: Style) -> object:
    if style.file is None or style.file.record.method == "gatys":
        return None
    controls = Controls(method=style.file.record.method)
    return make_stylizer(StyleSource([style]), controls, CPU)(torch.zeros(1, 3, 32, 32))


def told(path: Path, out: Path) -> list[str]:
    """Masks, flow and records."""
    readers: list[Callable[[], object]] = []
    if path.suffix == ".flo":
        readers.append(lambda: read_flow(path))
    elif path.suffix == ".json":
        readers += [lambda: read_pairs(path)] if "pairs" in path.name else [lambda: _record(path)]
    else:
        limit = MEGAPIXELS * 1_000_000
        readers += [lambda: read_labels(path, max_pixels=limit), lambda: load_shares([path], 1, (48, 64), max_pixels=limit)]
    return _sentences(readers)


def _record(path: Path) -> object:
    try:
        return read_record(path)
    except (ValueError, TypeError, KeyError, OSError):  # what the registry takes for "not there"
        return None


def _sentences(readers: list[Callable[[], object]]) -> list[str]:
    wrong = []
    for read in readers:
        try:
            read()
        except ImpastoError as error:
            if "\n" in str(error):
                wrong.append(f"several lines: {error}")
        except Exception as error:
            wrong.append(f"traceback: {type(error).__name__}: {error}")
    return wrong


TARGETS: dict[str, Callable[[Path, Path], list[str]]] = {
    "picture": read_every_way,
    "film": painted,
    "mask": told,
    "weights": loaded,
    "other": told,
}


@dataclass
class Findings:
    """What came of some cases."""

    cases: Counter[str] = field(default_factory=Counter)
    found: list[str] = field(default_factory=list)
    memory: int = 0


def late(number: int, frame: object) -> None:
    raise TimeoutError(f"took longer than {SECONDS} s")


def _case(seed: int, corpus: dict[str, list[Path]], folder: Path) -> tuple[str, list[str]]:
    chance = random.Random(seed)
    kind = chance.choice(["picture", "picture", "film", "mask", "weights", "weights", "other"])
    source = chance.choice(corpus[kind])
    data, how = mutated(source.read_bytes(), chance.choice(corpus[kind]).read_bytes(), chance)
    path = folder / source.name
    path.write_bytes(data)
    signal.alarm(SECONDS)
    try:
        wrong = TARGETS[kind](path, folder)
    except Exception as error:
        wrong = [f"traceback: {type(error).__name__}: {error}"]
    finally:
        signal.alarm(0)
    return kind, [f"seed {seed}, {kind} {source.name}, {how}: {one}" for one in wrong]


def fuzz(seeds: Iterator[int], until: float, report: Callable[[int, str, list[str], int], None]) -> None:
    """Cases until a time, each told to `report` with the memory of the process in bytes."""
    signal.signal(signal.SIGALRM, late)
    with tempfile.TemporaryDirectory() as own:
        corpus = {}
        for kind, make in KINDS.items():
            (Path(own) / kind).mkdir()
            corpus[kind] = list(make(Path(own) / kind))
        for seed in seeds:
            if time.monotonic() > until:
                return
            folder = Path(own) / "case"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            said = io.StringIO()
            with contextlib.redirect_stderr(said):
                kind, wrong = _case(seed, corpus, folder)
            report(seed, kind, wrong, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _worker(first: int, until: float, line: "multiprocessing.connection.Connection") -> None:
    faulthandler.enable()
    torch.set_num_threads(1)

    def numbers() -> Iterator[int]:
        seed = first
        while True:
            line.send(("begun", seed, "", [], 0))
            yield seed
            seed += 1

    fuzz(numbers(), until, lambda *told: line.send(("done", *told)))
    line.send(("end", 0, "", [], 0))


def supervised(minutes: float, first: int) -> Findings:
    """Fuzz in a process of its own, so that a crash of a decoder is found, counted and left behind."""
    findings, until, begin = Findings(), time.monotonic() + 60 * minutes, 0
    context = multiprocessing.get_context("spawn")
    while time.monotonic() < until:
        mine, theirs = context.Pipe()
        worker = context.Process(target=_worker, args=(first, until, theirs), daemon=True)
        worker.start()
        theirs.close()
        current = first
        try:
            while True:
                if not mine.poll(3 * SECONDS):
                    findings.found.append(f"seed {current}: hangs where no signal ends it")
                    worker.kill()
                    break
                what, seed, kind, wrong, memory = mine.recv()
                if what == "end":
                    return findings
                if what == "begun":
                    current = seed
                    continue
                begin = begin or memory
                findings.cases[kind] += 1
                findings.found += wrong
                if memory - begin > MEMORY and findings.memory - begin <= MEMORY:
                    findings.found.append(f"seed {seed}, {kind}: memory grew by {(memory - begin) / 1e6:.0f} MB")
                findings.memory = max(findings.memory, memory)
                for one in wrong:
                    print(one, flush=True)
        except EOFError:
            worker.join()
            findings.found.append(f"seed {current}: the process ended with {worker.exitcode}")
            print(findings.found[-1], flush=True)
        first = current + 1
    return findings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="one case, by its seed")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.only is not None:
        fuzz(iter([given.only]), time.monotonic() + 600, lambda *told: print(*told))
        return
    findings = supervised(given.minutes, given.seed)
    count, found, peak = sum(findings.cases.values()), len(findings.found), findings.memory / 1e6
    print(f"{count} cases {dict(findings.cases)}, {found} findings, {peak:.0f} MB at most")
    if given.json:
        write_report(given.json, {"minutes": given.minutes, "seed": given.seed, "cases": dict(findings.cases), "findings": findings.found})
    sys.exit(bool(findings.found))


if __name__ == "__main__":
    main()
