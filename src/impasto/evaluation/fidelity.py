"""How faithful a method is to the style, and how much of the photo it keeps, relative to what optimisation reaches.

    style_l = |G(result) - G(style)|^2 / |G(style)|^2        at relu1_1 .. relu4_1
    content = mean (F(result) - F(photo))^2 / mean F(photo)^2   at relu4_2
    total   = mean of style_l + 0.05 content                 (the loss preset "yardstick" without its penalties)
    half    = mean of style_l with picture and painting at half their size: it sees strokes twice as large
    share   = (total(photo) - total(result)) / (total(photo) - total(optimum))
    ratio   = content(result) / content(optimum)
    lpips   = how different result and photo look to people, see `evaluation.lpips`

The optimum is 150 iterations of L-BFGS on the picture itself, from the photo. A share near 1 at a ratio far above 1 has
been bought with the photo. Everything is compared as 8-bit pictures, the photo's and the painting's shorter side alike.
"""

import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor

from impasto.errors import InputError
from impasto.evaluation.each import Each, in_order
from impasto.evaluation.lpips import Lpips
from impasto.evaluation.regularity import regularity
from impasto.evaluation.report import spread, tables, write_report
from impasto.events import Listener, silence
from impasto.media.images import Picture, filled_pixels, list_pictures, read_picture, rescale, resize, write_picture
from impasto.names import as_plain_name
from impasto.perception.encoder import Encoder
from impasto.perception.loss import PerceptualLoss
from impasto.runtime.stylizer import Stylizer

_LEAST = 1e-7
"""Losses below this are rounding."""

PHOTO, PAINTING = "photo unchanged", "painting itself"

Maker = Callable[[Tensor], Stylizer]
"""Makes a stylizer from a style picture (1, 3, h, w)."""


@dataclass(frozen=True)
class Figures:
    """Losses of one picture: per style layer, content, and total; of the style at half the size, how regular its texture is, and LPIPS.

    half, regularity and lpips are None where they are not known.
    """

    style: dict[str, float]
    content: float
    total: float
    half: float | None = None
    regularity: float | None = None
    lpips: float | None = None


@dataclass(frozen=True)
class Pair:
    """A photo and a painting, and what is known of them already: figures of the photo itself and of the optimum."""

    content: Path
    style: Path
    photo: Figures | None = None
    optimum: Figures | None = None

    @property
    def name(self) -> str:
        """CONTENT__STYLE, the stem of result files."""
        return f"{self.content.stem}__{self.style.stem}"


@dataclass(frozen=True)
class Row:
    """One result: a method on a pair."""

    method: str
    pair: str
    figures: Figures
    share: float
    content_ratio: float
    seconds: float


class Judge:
    """Figures of pictures for one photo and one painting, both (1, 3, H, W) in [0, 1]; with LPIPS if it is given."""

    def __init__(self, encoder: Encoder, content: Tensor, style: Tensor, lpips: Lpips | None = None):
        self.loss = PerceptualLoss(encoder, "yardstick")
        self.content, self.style = self.loss.content_target(content), self.loss.style_target([style])
        self.photo, self.half = content, self.loss.style_target([_halved(style)])
        self.lpips = lpips

    @torch.no_grad()
    def __call__(self, picture: Tensor) -> Figures:
        """Figures of (1, 3, H, W), rounded to 8 bits as it would be written."""
        picture = picture.mul(255).round().div(255)
        terms = self.loss(picture, self.content, self.style)
        style = {layer: value.item() for layer, value in terms.style.items()}
        content = terms.content.item()
        small = _halved(picture)
        half = statistics.mean(value.item() for value in self.loss(small, self.loss.content_target(small), self.half).style.values())
        total = statistics.mean(style.values()) + self.loss.settings.content_weight * content
        apart = None if self.lpips is None else self.lpips(picture, self.photo)
        return Figures(style, content, total, half, regularity(picture, self.photo), apart)


def _halved(picture: Tensor) -> Tensor:
    return rescale(picture, (max(32, picture.shape[-2] // 2), max(32, picture.shape[-1] // 2)))


def load_at(path: Path, short_side: int, *, like: tuple[int, int] | None = None) -> Tensor:
    """A picture as (1, 3, H, W) with the given shorter side, no side below 32; or of the size `like`."""
    pixels = filled_pixels(read_picture(path))
    scale = short_side / min(pixels.shape[-2:])
    height, width = (max(32, round(edge * scale)) for edge in pixels.shape[-2:])
    return resize(pixels, like or (height, width))[None]


def all_pairs(contents: Path, styles: Path) -> list[Pair]:
    """Every photo of one folder with every painting of another. Raises InputError if one is empty."""
    pairs = [Pair(content, style) for content in list_pictures(contents) for style in list_pictures(styles)]
    if not pairs:
        raise InputError(f"{contents} and {styles} have to hold pictures, both of them")
    return pairs


def read_pairs(path: Path) -> list[Pair]:
    """Pairs with known figures from a JSON list of {content, style, photo, gatys}; paths are relative to the file.

    Raises InputError if the file is no such list.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [
            Pair(path.parent / row["content"], path.parent / row["style"], _figures(row.get("photo")), _figures(row.get("gatys")))
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not a JSON list of pairs with content and style ({type(error).__name__})") from None


def _figures(row: dict[str, float] | None) -> Figures | None:
    if row is None:
        return None
    return Figures({key: value for key, value in row.items() if key.startswith("relu")}, row["content"], row["total"])


@dataclass(frozen=True)
class FidelityReport:
    """All rows of one evaluation."""

    rows: list[Row]
    settings: dict[str, Any] = field(default_factory=dict)

    def of(self, method: str) -> list[Row]:
        """The rows of one method."""
        return [row for row in self.rows if row.method == method]

    def show(self, console: Console) -> None:
        """Print a column per method, as many beside one another as fit: means and standard deviations over the pairs."""
        layers = list(self.rows[0].figures.style) if self.rows else []
        figures: dict[str, Callable[[Row], float | None]] = {
            "share": lambda row: row.share,
            "content ratio": lambda row: row.content_ratio,
            "content": lambda row: row.figures.content,
            **{layer: partial(_style_error, layer) for layer in layers},
            "total": lambda row: row.figures.total,
            "style at half": lambda row: row.figures.half,
            "regularity": lambda row: row.figures.regularity,
            "LPIPS": lambda row: row.figures.lpips,
            "seconds": lambda row: row.seconds,
        }
        methods = list(dict.fromkeys(row.method for row in self.rows))
        lines = {"pairs": [str(len(self.of(method))) for method in methods]}
        for name, figure in figures.items():
            lines[name] = [_known([figure(row) for row in self.of(method)]) for method in methods]
        for table in tables("", methods, lines, console.width):
            console.print(table)

    def write(self, path: Path) -> None:
        """Write all rows as JSON."""
        write_report(path, {"settings": self.settings, "rows": [asdict(row) for row in self.rows]})


def evaluate(
    pairs: Iterable[Pair],
    encoder: Encoder,
    makers: Mapping[str, Maker],
    *,
    optimum: Maker,
    size: int = 256,
    keep: Path | None = None,
    sheet: Path | None = None,
    lpips: Lpips | None = None,
    settings: dict[str, Any] | None = None,
    each: Each = in_order,
    listener: Listener = silence,
) -> FidelityReport:
    """Paint every pair with every method and judge it with `encoder` (VGG-19, at its place, float32).

    optimum makes the stylizer that stands for a share of 1 where a pair does not bring its figures. size: shorter side
    in pixels. keep: folder for METHOD/CONTENT__STYLE.png. sheet: file for all pictures beside one another, a pair a row: photo,
    painting, and the methods in order. lpips: to be measured too. The rows PHOTO and PAINTING say what nothing and everything of the style
    would be.
    each: what goes through the pairs.
    """
    todo = list(pairs)
    same = [pair for pair in todo if pair.content.exists() and pair.style.exists() and pair.content.samefile(pair.style)]
    if same:
        raise InputError(f"{same[0].content} is the photo and the painting of one pair: there is nothing to paint")
    names = distinct([pair.name for pair in todo])
    rows: list[Row] = []
    shown: list[list[Tensor]] = []
    judged = partial(_judged, encoder, makers, optimum, size, keep, sheet is not None, lpips)
    for of_pair, pictures in each(judged, list(zip(todo, names, strict=True)), listener):
        rows += of_pair
        if sheet is not None:
            shown.append(pictures)
            write_picture(Picture(contact_sheet(shown)), sheet)
    return FidelityReport(rows, settings or {})


def _judged(
    encoder: Encoder,
    makers: Mapping[str, Maker],
    optimum: Maker,
    size: int,
    keep: Path | None,
    wants_pictures: bool,
    lpips: Lpips | None,
    pair: Pair,
    named: str,
) -> tuple[list[Row], list[Tensor]]:
    """The rows of one pair, and if they are wanted photo, painting and the methods' pictures."""
    rows: list[Row] = []
    device = next(encoder.parameters()).device
    content, style = load_at(pair.content, size).to(device), load_at(pair.style, size).to(device)
    judge = Judge(encoder, content, style, lpips)
    unchanged = judge(content)
    photo = pair.photo or unchanged
    best = pair.optimum
    if best is None:
        painted, seconds = _timed(optimum(style), content)
        best = judge(painted)
        rows.append(Row("optimum", named, best, 1.0, 1.0, seconds))
        _keep(painted, keep, "optimum", named)
    itself = judge(rescale(style, (content.shape[-2], content.shape[-1])))
    for name, figures in ((PHOTO, unchanged), (PAINTING, itself)):
        rows.append(Row(name, named, figures, share(photo, figures, best), figures.content / max(best.content, _LEAST), 0.0))
    pictures = [content, style]
    for name, maker in makers.items():
        painted, seconds = _timed(maker(style), content)
        judged = judge(painted)
        rows.append(Row(name, named, judged, share(photo, judged, best), judged.content / max(best.content, _LEAST), seconds))
        _keep(painted, keep, name, named)
        pictures.append(painted)
    return rows, pictures if wants_pictures else []


def contact_sheet(rows: Sequence[Sequence[Tensor]], *, height: int = 256) -> Tensor:
    """Pictures (1, 3, h, w) in rows of one height, white where a row is shorter than others: (3, H, W)."""
    strips = []
    for row in rows:
        fitted = [rescale(picture.cpu(), (height, max(1, round(picture.shape[-1] * height / picture.shape[-2])))) for picture in row]
        strips.append(torch.cat(fitted, 3)[0].clamp(0, 1))
    widest = max(strip.shape[-1] for strip in strips)
    return torch.cat([F.pad(strip, (0, widest - strip.shape[-1]), value=1.0) for strip in strips], 1)


def _style_error(layer: str, row: Row) -> float:
    return row.figures.style[layer]


def _known(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return spread(known) if known else "-"


def share(photo: Figures, result: Figures, optimum: Figures) -> float:
    """Part of the loss reduction that a result reaches: 0 for the photo, 1 for the optimum.

    Where the optimum is as good as the photo, as for two copies of one picture, everything that is as good reaches all of it.
    """
    reduction = photo.total - optimum.total
    if abs(reduction) < _LEAST:
        return float(result.total <= photo.total + _LEAST)
    return (photo.total - result.total) / reduction


def distinct(names: Sequence[str]) -> list[str]:
    """Names, those that came before with a number."""
    seen: Counter[str] = Counter()
    made = []
    for name in names:
        seen[name] += 1
        made.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return made


def _timed(stylizer: Stylizer, content: Tensor) -> tuple[Tensor, float]:
    started = time.perf_counter()
    painted = stylizer(content)
    return painted.float(), time.perf_counter() - started


def _keep(painted: Tensor, folder: Path | None, method: str, name: str) -> None:
    if folder is not None:
        write_picture(Picture(painted[0].cpu()), folder / as_plain_name(method) / f"{name}.png")
