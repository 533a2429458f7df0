"""What is kept of images that are sent: camera raw files are developed, and hidden colours are not shown."""

import asyncio

import numpy as np
import pytest
from PIL import Image

from impasto.media.camera_raw import has_libraw
from impasto.studio.shelf import Shelf


def sent(shelf, path):
    async def parts():
        yield path.read_bytes()

    return asyncio.run(shelf.take(path.name, parts()))


def test_hidden_colours_are_not_in_what_drafts_are_painted_from(tmp_path):
    shelf, views = Shelf(tmp_path / "shelf", most=10, max_megapixels=10), []
    seen = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    alpha = np.zeros((60, 80), np.uint8)
    alpha[10:50, 20:60] = 255
    for color in ((0, 255, 0), (255, 0, 255)):
        values = seen.copy()
        values[alpha == 0] = color
        Image.fromarray(np.dstack([values, alpha])).save(tmp_path / "cut.png")
        views.append(np.asarray(Image.open(shelf.view(sent(shelf, tmp_path / "cut.png").id))))
    assert np.array_equal(views[0], views[1])
    assert np.array_equal(views[0][..., 3], alpha)
    assert np.array_equal(views[0][alpha > 0][:, :3], seen[alpha > 0])


@pytest.mark.skipif(not has_libraw(), reason="rawpy is not installed")
def test_camera_raw_files_are_taken_at_full_size(tmp_path):
    tifffile = pytest.importorskip("tifffile", reason="tifffile writes the raw file of this test")
    path = tmp_path / "camera.nef"
    pattern = [(33421, "H", 2, (2, 2), True), (33422, "B", 4, (0, 1, 1, 2), True)]
    with tifffile.TiffWriter(path) as file:
        file.write(np.zeros((24, 32, 3), np.uint8), photometric="rgb", subfiletype=1, subifds=1, metadata=None,
                   extratags=[(271, "s", 0, "NIKON CORPORATION", True), (272, "s", 0, "NIKON TEST", True)])  # fmt: skip
        file.write(np.full((96, 128), 9000, np.uint16), photometric=32803, metadata=None, extratags=pattern)
    kept = sent(Shelf(tmp_path / "shelf", most=10, max_megapixels=10), path)
    assert (kept.width, kept.height) == (128, 96)
