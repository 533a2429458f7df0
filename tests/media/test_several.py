import struct

import numpy as np
import pytest
import tifffile
import torch

from impasto.errors import PictureError
from impasto.media.images import picture_of, read_picture
from tests import profiles as icc
from tests.conftest import scene


def values_of(width, height):
    return np.asarray(scene(width, height).convert("RGB"))


def is_read_as(path, values):
    """The file is this image, from the disk and from memory; gives what is said."""
    picture = read_picture(path)
    assert torch.equal(picture.pixels, torch.from_numpy(values.copy()).permute(2, 0, 1) / 255)
    assert torch.equal(picture_of(path.read_bytes(), path.name).pixels, picture.pixels)
    return picture.messages


MAIN, SMALL, MASK = {"subfiletype": 0}, {"subfiletype": 1}, {"subfiletype": 4}


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("pages", [
    [((96, 64), MAIN), ((24, 16), SMALL)],
    [((24, 16), SMALL), ((96, 64), MAIN)],
    [((96, 64), MAIN), ((48, 32), SMALL), ((24, 16), SMALL)],
    [((96, 64), MAIN), ((90, 60), SMALL)],
    [((96, 64), MAIN), ((96, 64), MASK)],
    [((24, 16), {"subfiletype": 3}), ((96, 64), {"subfiletype": 2})],
])  # fmt: skip
def test_what_tiff_calls_a_smaller_version_or_a_mask_is_passed_over(tmp_path, pages, bigtiff):
    with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=bigtiff) as writer:
        for size, kind in pages:
            if kind is MASK:
                writer.write(np.ones(size[::-1], bool), photometric=4, metadata=None, **kind)
            else:
                writer.write(values_of(*size), photometric="rgb", metadata=None, **kind)
    assert is_read_as(tmp_path / "a.tif", values_of(96, 64)) == ()


@pytest.mark.parametrize("small", [[(48, 32)], [(48, 32), (24, 16)], [(48, 32), (24, 16), (12, 8)], [(20, 15)]])
def test_overviews_that_do_not_say_what_they_are_are_told_by_their_size(tmp_path, small):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for size in [(96, 64), *small]:
            writer.write(values_of(*size), photometric="rgb", metadata=None)
    assert is_read_as(tmp_path / "a.tif", values_of(96, 64)) == (
        f"{tmp_path / 'a.tif'} holds {len(small) + 1} images; the largest is taken",
    )


def test_overviews_in_directories_below_are_passed_over(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(values_of(96, 64), photometric="rgb", metadata=None, subifds=1)
        writer.write(values_of(48, 32), photometric="rgb", metadata=None, subfiletype=1)
    assert is_read_as(tmp_path / "a.tif", values_of(96, 64)) == ()


def test_pyramids_of_libvips_are_read_at_full_size(tmp_path):
    import pyvips

    values = values_of(400, 300)
    pyvips.Image.new_from_array(values).tiffsave(str(tmp_path / "a.tif"), pyramid=True, tile=True, tile_width=64, tile_height=64)
    assert is_read_as(tmp_path / "a.tif", values) == ()


def test_the_profile_of_a_thumbnail_is_not_that_of_the_image(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        profile = icc.of_matrix(icc.ADOBE, icc.gamma(2.2))
        writer.write(values_of(24, 16), photometric="rgb", metadata=None, subfiletype=1, iccprofile=profile)
        writer.write(values_of(96, 64), photometric="rgb", metadata=None)
    assert is_read_as(tmp_path / "a.tif", values_of(96, 64)) == ()


@pytest.mark.parametrize("sizes", [[(96, 64), (96, 64)], [(96, 64), (64, 96), (80, 80)], [(96, 64), (24, 16), (96, 64)]])
def test_pages_of_which_none_is_the_main_one_are_refused(tmp_path, sizes):
    with tifffile.TiffWriter(tmp_path / "scan.tif") as writer:
        for size in sizes:
            writer.write(values_of(*size), photometric="rgb", metadata=None)
    pages = len([size for size in sizes if size != (24, 16)])
    with pytest.raises(PictureError, match=rf"scan\.tif holds {pages} pages, and one image was expected; save one page .*'scan\.tif\[0\]'"):
        read_picture(tmp_path / "scan.tif")


def test_the_limit_of_size_holds_for_the_page_that_is_taken(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(values_of(24, 16), photometric="rgb", metadata=None, subfiletype=1)
        writer.write(values_of(96, 64), photometric="rgb", metadata=None)
    with pytest.raises(PictureError, match="96x64 pixels, more than the limit"):
        read_picture(tmp_path / "a.tif", max_pixels=1000)


@pytest.mark.parametrize("primary", [0, 1, 2])
def test_the_primary_image_of_a_heif_is_taken_and_the_others_are_said(tmp_path, primary):
    pillow_heif = pytest.importorskip("pillow_heif")
    images = [scene(96, 64).convert("RGB").rotate(90 * number) for number in range(3)]
    file = pillow_heif.from_pillow(images[0])
    for image in images[1:]:
        file.add_from_pillow(image)
    file.save(tmp_path / "burst.heic", quality=95, primary_index=primary)
    picture = read_picture(tmp_path / "burst.heic")
    expected = torch.from_numpy(np.asarray(images[primary]).copy()).permute(2, 0, 1) / 255
    assert (picture.pixels - expected).abs().mean() * 255 < 8
    assert picture.messages == (f"{tmp_path / 'burst.heic'} holds 3 images; the main one is taken",)


def test_the_first_image_of_an_mpo_is_taken(tmp_path):
    first = scene(96, 64).convert("RGB")
    first.save(tmp_path / "a.mpo", save_all=True, append_images=[first.rotate(180)], quality=95)
    picture = read_picture(tmp_path / "a.mpo")
    assert (picture.pixels - torch.from_numpy(np.asarray(first).copy()).permute(2, 0, 1) / 255).abs().mean() * 255 < 4


@pytest.mark.parametrize("suffix", ["ico", "icns"])
def test_the_largest_icon_is_taken(tmp_path, suffix):
    image = scene(256, 256).convert("RGBA")
    image.save(tmp_path / f"a.{suffix}", **({"sizes": [(16, 16), (256, 256), (32, 32)]} if suffix == "ico" else {}))
    assert read_picture(tmp_path / f"a.{suffix}").size == ((256, 256) if suffix == "ico" else (1024, 1024))


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "avif"])
def test_an_animation_of_one_frame_is_an_image(tmp_path, suffix):
    scene(96, 64).convert("RGB").save(tmp_path / f"a.{suffix}", save_all=True)
    picture = read_picture(tmp_path / f"a.{suffix}")
    assert picture.size == (64, 96)
    assert picture.messages == ()


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "avif"])
def test_an_animation_is_no_image(tmp_path, suffix):
    scene(96, 64).convert("RGB").save(tmp_path / f"a.{suffix}", save_all=True, append_images=[scene(96, 64).convert("RGB").rotate(90)])
    with pytest.raises(PictureError, match="holds 2 frames, and one image was expected"):
        read_picture(tmp_path / f"a.{suffix}")


def test_directories_that_go_round_come_to_an_end(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", values_of(96, 64), photometric="rgb", metadata=None, byteorder="<")
    made = bytearray((tmp_path / "a.tif").read_bytes())
    first = struct.unpack("<I", made[4:8])[0]
    end = first + 2 + 12 * struct.unpack("<H", made[first : first + 2])[0]
    made[end : end + 4] = struct.pack("<I", first)
    (tmp_path / "a.tif").write_bytes(made)
    with pytest.raises(PictureError, match=r"a\.tif is damaged"):
        read_picture(tmp_path / "a.tif")
