"""A texture, enlarged with the detail of a sharp picture of the same material (Puy and Perez 2019, section 4.5)."""

from dataclasses import replace
from pathlib import Path

from impasto.errors import InputError
from impasto.job.build import make_stylizer
from impasto.job.request import PathLike
from impasto.job.style_paths import files_of
from impasto.media.image_writer import check_writable
from impasto.media.images import filled_pixels, read_picture, resize, write_picture
from impasto.media.style_images import read_style_image
from impasto.methods.declaration import Style, StyleSource
from impasto.methods.solver.method import METHOD as SOLVER
from impasto.methods.solver.solver import Solver
from impasto.methods.solver.texture import SCALES_OF_TEXTURES, enlarge, luminance
from impasto.runtime.device import choose_place
from impasto.runtime.outputs import Outputs
from impasto.settings import Controls


def enlarge_file(texture: PathLike, reference: PathLike, output: PathLike | None, factor: int, guided: bool, controls: Controls) -> Path:
    """From files to a file."""
    controls = replace(controls, method=SOLVER.name)
    outputs = Outputs([texture, reference, *files_of(controls)])
    target = outputs.only(f"{Path(texture).stem}-x{factor}.png") if output is None else outputs.asked(output)
    check_writable(target, inputs=(texture, reference))
    limit = controls.max_megapixels * 1_000_000
    small, sharp = read_picture(texture, max_pixels=limit), read_style_image(reference, max_pixels=limit)
    check_writable(target, size=(small.size[0] * factor, small.size[1] * factor))
    short = min(sharp.shape[-2:])
    if short < 32:
        raise InputError(f"{reference} has {sharp.shape[-1]}x{sharp.shape[-2]} pixels, too few to show detail")
    grey = luminance(sharp[None]).expand(-1, 3, -1, -1)
    controls = replace(
        controls,
        options={"scales": SCALES_OF_TEXTURES, "grain": 0.0, **(controls.options or {})},
        style_size=controls.style_size or short,
    )
    place = choose_place(controls.device, controls.precision)
    stylizer = make_stylizer(StyleSource([Style("reference", grey)]), controls, place)
    assert isinstance(stylizer, Solver)
    pixels = enlarge(stylizer, filled_pixels(small)[None], factor=factor, guided=guided)[0].cpu()
    alpha = None if small.alpha is None else resize(small.alpha, (pixels.shape[-2], pixels.shape[-1]))
    return write_picture(replace(small, pixels=pixels, alpha=alpha), target)
