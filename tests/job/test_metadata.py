"""What results say of themselves: the same in every way of painting, and nothing that fails after the work."""

import io

import psutil
import pytest
import torch
from PIL import ExifTags, Image

from impasto.errors import PictureError
from impasto.job import large
from impasto.job.engine import run
from impasto.job.plan import Job
from impasto.job.quick import paint_at_once
from impasto.job.request import Request
from impasto.media.exif import read_directories
from impasto.media.images import read_picture
from impasto.media.opening import made_here
from impasto.runtime.device import Place
from impasto.settings import Controls
from tests.conftest import scene

CPU = Place(torch.device("cpu"), torch.float32)
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>'
)


def lighter(image, *, masks=None):
    return image + 0.1


def photo(path, size=(700, 520), note=b""):
    """A photo of 240 dpi with a date and a rating, painted by another program."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Software] = "Maker", "Camera 1.0"
    exposure = exif.get_ifd(ExifTags.IFD.Exif)
    exposure[ExifTags.Base.DateTimeOriginal], exposure[ExifTags.Base.ColorSpace] = "2021:07:04 12:20:30", 65535
    if note:
        exposure[ExifTags.Base.MakerNote] = note
    scene(*size).save(path, exif=exif.tobytes(), xmp=XMP, dpi=(240, 240), **({"quality": 95} if path.suffix == ".jpg" else {}))
    return path


def in_one_piece(source, output, monkeypatch, **controls):
    return run(lighter, [Job(source, output)], Controls(size=0, **controls), CPU)


def by_tiles(source, output, monkeypatch, **controls):
    monkeypatch.setattr(large, "memory_of", lambda asked: psutil.Process().memory_info().rss + large.BESIDE + 200 * 2**20)
    summary = run(lighter, [Job(source, output)], Controls(size=0, **controls), CPU, bytes_a_pixel=5000)
    assert "enlarged with the photo's detail" in "".join(outcome.remark for outcome in summary.painted)
    return summary


def at_once(source, output, monkeypatch, **controls):
    pytest.importorskip("openvino")
    summary = paint_at_once(Request([source], ["composition-vii-live"], output, controls=Controls(quality="draft", size=0, **controls)))
    assert summary is not None
    return summary


WAYS = {in_one_piece: (700, 520), by_tiles: (700, 520), at_once: (400, 300)}
"""With a size of photos that are painted so, width and height."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("keep", [True, False])
def test_results_say_the_same_in_every_way(tmp_path, monkeypatch, way, suffix, keep):
    (outcome,) = way(photo(tmp_path / "in.jpg", WAYS[way]), tmp_path / f"out{suffix}", monkeypatch, keep_metadata=keep).painted
    found = read_picture(outcome.output).metadata
    assert made_here(outcome.output)
    assert found.density == (240.0, 240.0)
    assert (found.xmp is not None and b'Rating="4"' in found.xmp) == keep
    exif = read_directories(io.BytesIO(found.exif)) if found.exif else None
    assert (exif is not None and ExifTags.Base.DateTimeOriginal in exif.exposure) == keep
    if keep:
        assert exif.exposure[ExifTags.Base.ColorSpace].numbers() == [1]
        assert exif.exposure[ExifTags.Base.ExifImageWidth].numbers() == [WAYS[way][0]]


@pytest.mark.parametrize("way", WAYS)
def test_what_does_not_fit_is_left_out_and_said(tmp_path, monkeypatch, way):
    source = photo(tmp_path / "in.png", WAYS[way], note=bytes(100_000))
    (outcome,) = way(source, tmp_path / "out.jpg", monkeypatch, keep_metadata=True).painted
    assert "the maker note of the EXIF block is left out: too large for JPEG" in outcome.remark
    assert read_picture(outcome.output).size == WAYS[way][::-1]


@pytest.mark.parametrize("way", [in_one_piece, by_tiles])
def test_sides_that_do_not_fit_are_refused_before_anything_is_painted(tmp_path, monkeypatch, way):
    image = Image.new("RGB", (16_400, 40), "teal")
    image.save(tmp_path / "in.png")
    monkeypatch.setattr(large, "memory_of", lambda asked: psutil.Process().memory_info().rss + large.BESIDE + 200 * 2**20)

    def never(image, *, masks=None):
        raise AssertionError("painted")

    bytes_a_pixel = 5000 if way is by_tiles else 0
    (outcome,) = run(never, [Job(tmp_path / "in.png", tmp_path / "out.webp")], Controls(size=0), CPU, bytes_a_pixel=bytes_a_pixel).failed
    assert isinstance(outcome.error, PictureError)
    assert "16400x40 pixels, and a side of this format has 16383 at the most" in str(outcome.error)


def test_another_size_keeps_the_density(tmp_path, monkeypatch):
    run(lighter, [Job(photo(tmp_path / "in.jpg"), tmp_path / "out.png")], Controls(size=350, keep_metadata=True), CPU)
    found = read_picture(tmp_path / "out.png").metadata
    assert (found.size, found.density) == ((260, 350), (240.0, 240.0))
    assert read_directories(io.BytesIO(found.exif)).exposure[ExifTags.Base.ExifImageWidth].numbers() == [350]


@pytest.mark.parametrize("way", [in_one_piece, by_tiles])
def test_sixteen_bits_in_and_out(tmp_path, monkeypatch, way):
    tifffile = pytest.importorskip("tifffile")
    import numpy as np

    values = np.random.default_rng(1).integers(0, 50_000, (520, 700, 3)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "in.tif", values, photometric="rgb")
    (outcome,) = way(tmp_path / "in.tif", tmp_path / "out.tif", monkeypatch).painted
    found = tifffile.imread(outcome.output)
    assert found.dtype == np.uint16
    assert len(np.unique(found)) > 10_000
    if way is in_one_piece:
        assert np.abs(found.astype(int) - np.rint(values + 6553.5)).max() <= 1
