"""What the bundled styles are worth: near the painting and the photo on photos that they did not learn from, and stable in films.

    python benchmarks/bundled.py --photos FOLDER --films FOLDER --paintings FOLDER --encoder VGG19.safetensors [OPTIONS] [STYLE ...]

Every style paints the photos at 256 px as drafts, judged by the yardstick, and the films at 448 px as it learned films. Paintings that are
not ours are NAME.jpg in their folder. Writes benchmarks/results/bundled.json; with --live, which takes the small networks of the styles,
bundled-live.json.
"""

import argparse
from pathlib import Path
from statistics import mean

from rich.console import Console
from rich.table import Table

from impasto.evaluation.fidelity import Judge, load_at
from impasto.evaluation.footage import footage
from impasto.evaluation.report import write_report
from impasto.evaluation.stability import evaluate_stability
from impasto.job.build import make_film_stylizer, make_stylizer
from impasto.job.styles import gather_styles
from impasto.media.images import list_pictures, read_picture
from impasto.runtime.device import choose_place
from impasto.runtime.encoders import load_encoder
from impasto.settings import Controls
from impasto.storage.registry import bundled, locate

RESULTS = Path(__file__).resolve().parent / "results"
PLACE = choose_place("cpu")


def main() -> None:
    """Measure the styles that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--films", type=Path, required=True)
    parser.add_argument("--paintings", type=Path, required=True)
    parser.add_argument("--encoder", required=True, help="VGG-19, which judges")
    parser.add_argument("--limit", type=int, help="at most so many photos, and as many films")
    parser.add_argument("--live", action="store_true", help="the small networks for live films")
    parser.add_argument("styles", nargs="*", metavar="STYLE")
    options = parser.parse_args()

    judging = load_encoder(options.encoder, choose_place("cpu", "float32"))
    photos = [load_at(path, 256) for path in list_pictures(options.photos)[: options.limit]]
    scenes, rows, ending = footage(options.films)[: options.limit], [], "-live" * options.live
    for name in options.styles or [name for name in bundled("style") if not name.endswith("-live")]:
        path = locate(name, "painting") if name in bundled("painting") else options.paintings / f"{name}.jpg"
        painting, source = read_picture(path).pixels[None], gather_styles([name + ending], None, Controls())
        draft = make_stylizer(source, Controls(quality="draft"), PLACE)
        found = [Judge(judging, photo, load_at(path, 256))(draft(photo)) for photo in photos]
        films = {name: make_film_stylizer(source, Controls(), PLACE)}
        stable = evaluate_stability(scenes, films, size=448, encoder=judging, painting=painting).of(name)
        rows.append(
            {
                "style": name,
                "photos": {"style": mean(mean(one.style.values()) for one in found), "half": mean(one.half or 0.0 for one in found)}
                | {"content": mean(one.content for one in found)},
                "films": {key: mean(getattr(one, key) for one in stable) for key in ("e_stab", "relative", "style", "content")},
            }
        )
        print(rows[-1], flush=True)
    table = Table("style", *(f"{part}: {key}" for part in ("photos", "films") for key in rows[0][part]))
    for row in rows:
        table.add_row(row["style"], *(f"{value:.4f}" for part in ("photos", "films") for value in row[part].values()))
    Console(width=160).print(table)
    report = {"encoder": Path(options.encoder).stem, "photos": len(photos), "films": [scene.name for scene in scenes], "rows": rows}
    write_report(RESULTS / f"bundled{ending}.json", report)


if __name__ == "__main__":
    main()
