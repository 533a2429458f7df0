import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from impasto.errors import InputError, PictureError
from impasto.media.image_writer import check_writable
from impasto.media.images import Picture, list_pictures, read_picture, resize, write_picture
from impasto.media.stills import fit_within
from tests.conftest import scene


def test_reads_what_it_wrote_to_the_bit(tmp_path):
    pixels = torch.randint(0, 256, (3, 17, 31)).float() / 255
    write_picture(Picture(pixels), tmp_path / "a.png")
    assert torch.equal(read_picture(tmp_path / "a.png").pixels, pixels)


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "tif", "bmp"])
def test_writes_every_format_it_names(tmp_path, suffix):
    original = read_picture(_saved(tmp_path, scene(64, 48)))
    write_picture(original, tmp_path / f"out.{suffix}")
    assert (read_picture(tmp_path / f"out.{suffix}").pixels - original.pixels).abs().mean() < 0.03


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_then_gone(tmp_path, orientation):
    upright = scene(64, 48)
    undo = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Camera"
    stored = upright if undo is None else upright.transpose(undo)
    stored.save(tmp_path / "a.png", exif=exif)
    picture = read_picture(tmp_path / "a.png")
    assert torch.equal(picture.pixels, _tensor(upright))
    write_picture(picture, tmp_path / "b.png", exif=True)
    with Image.open(tmp_path / "b.png") as kept:
        assert kept.getexif().get(0x010F) == "Camera"
        assert kept.getexif().get(0x0112) is None
    write_picture(picture, tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as plain:
        assert not plain.getexif()


def test_a_profile_is_converted_to_srgb(tmp_path):
    image = scene(32, 32)
    image.save(tmp_path / "srgb.png", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    assert (read_picture(tmp_path / "srgb.png").pixels - _tensor(image)).abs().max() <= 1.5 / 255
    lab = ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB")
    lab.save(tmp_path / "lab.tif")
    assert (read_picture(tmp_path / "lab.tif").pixels - _tensor(image)).abs().mean() < 0.03


def test_a_broken_profile_is_ignored(tmp_path):
    scene(32, 32).save(tmp_path / "a.png", icc_profile=b"no profile at all")
    assert torch.equal(read_picture(tmp_path / "a.png").pixels, _tensor(scene(32, 32)))


def test_sixteen_bits_are_not_cut_to_eight(tmp_path):
    values = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    pixels = read_picture(tmp_path / "deep.png").pixels
    assert pixels.shape == (3, 64, 64)
    assert np.allclose(pixels[0].numpy(), values / 65535, atol=1e-6)
    assert len(pixels[0].unique()) > 4000


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "RGBA", "LA", "YCbCr"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    image = scene(40, 30).convert("L").convert("LA") if mode == "LA" else scene(40, 30).convert(mode)
    suffix = "tif" if mode in ("CMYK", "YCbCr") else "png"
    image.save(tmp_path / f"a.{suffix}")
    picture = read_picture(tmp_path / f"a.{suffix}")
    assert picture.pixels.shape == (3, 30, 40)
    assert (picture.pixels - _tensor(image.convert("RGB"))).abs().mean() < 0.01
    assert (picture.alpha is not None) == mode.endswith("A")


def test_alpha_is_carried_through_and_laid_on_white_where_there_is_none(tmp_path):
    image = scene(40, 30)
    image.putalpha(Image.linear_gradient("L").resize((40, 30)))
    image.save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    write_picture(picture, tmp_path / "b.png")
    again = read_picture(tmp_path / "b.png")
    assert torch.equal(again.alpha, picture.alpha)
    assert torch.equal(again.pixels, picture.pixels)
    clear = Picture(torch.zeros(3, 8, 8), torch.zeros(1, 8, 8))
    write_picture(clear, tmp_path / "c.bmp")
    assert read_picture(tmp_path / "c.bmp").pixels.min() == 1


def test_transparent_palette_has_alpha(tmp_path):
    image = scene(20, 20).quantize(8)
    image.save(tmp_path / "a.png", transparency=0)
    assert read_picture(tmp_path / "a.png").alpha is not None


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("missing.jpg", None, "does not exist"),
        ("empty.jpg", b"", "is an empty file"),
        ("text.jpg", b"Dear diary, this is no picture.\n" * 9, "is not a picture"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_sentence(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PictureError, match=sentence):
        read_picture(tmp_path / name)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_truncated_picture_is_refused(tmp_path, kind):
    buffer = io.BytesIO()
    scene(200, 150).save(buffer, kind)
    path = tmp_path / "cut.jpg"
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    with pytest.raises(PictureError, match=r"cut\.jpg is damaged or cut off"):
        read_picture(path)


def test_a_folder_is_not_a_picture(tmp_path):
    with pytest.raises(PictureError, match="is a folder"):
        read_picture(tmp_path)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_animated_files_are_refused(tmp_path, suffix):
    frames = [scene(32, 32), scene(32, 32).rotate(90), scene(32, 32).rotate(180)]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(PictureError, match=r"holds 3 (frames|pages), and one image was expected"):
        read_picture(tmp_path / f"a.{suffix}")


def test_the_size_limit_is_explicit_and_can_be_raised(tmp_path):
    path = tmp_path / "large.png"
    Image.new("1", (20000, 20000)).save(path)
    with pytest.raises(PictureError, match=r"20000x20000 pixels, more than the limit of 100 megapixels; .*--max-megapixels 400"):
        read_picture(path)
    Image.new("L", (3000, 1000)).save(path)
    with pytest.raises(PictureError, match="more than the limit"):
        read_picture(path, max_pixels=2_999_999)
    assert read_picture(path, max_pixels=3_000_000).size == (1000, 3000)


@settings(max_examples=25, deadline=None)
@given(width=st.integers(1, 40), height=st.integers(1, 40))
def test_any_size_survives_the_round_trip(tmp_path_factory, width, height):
    path = tmp_path_factory.mktemp("sizes") / "a.png"
    pixels = torch.rand(3, height, width).mul(255).round() / 255
    write_picture(Picture(pixels), path)
    assert torch.equal(read_picture(path).pixels, pixels)


def test_writing_leaves_nothing_half_written(tmp_path, monkeypatch):
    def broken(self, *args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", broken)
    with pytest.raises(PictureError, match="No space left"):
        write_picture(Picture(torch.rand(3, 8, 8)), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_an_older_result_stays_whole_when_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    write_picture(Picture(torch.zeros(3, 8, 8)), path)
    before = path.read_bytes()
    monkeypatch.setattr(
        Image.Image, "save", lambda self, file, **options: Path(file).write_bytes(b"half") and (_ for _ in ()).throw(OSError())
    )
    with pytest.raises(PictureError):
        write_picture(Picture(torch.ones(3, 8, 8)), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_outputs_that_cannot_be_written_are_named_before_any_work(tmp_path, photo):
    with pytest.raises(PictureError, match=r"the name has to end in \.png"):
        check_writable(tmp_path / "a.docx")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(PictureError, match="is a folder"):
        check_writable(tmp_path / "folder.png")
    with pytest.raises(InputError, match="not a folder that can be written to"):
        check_writable(photo / "inside.png")
    with pytest.raises(PictureError, match="is the input itself"):
        check_writable(photo, inputs=(photo,))
    link = tmp_path / "link.png"
    os.link(photo, link)
    with pytest.raises(PictureError, match="is the input itself"):
        check_writable(link, inputs=(photo,))
    check_writable(tmp_path / "new" / "deep" / "a.png")


def test_folders_list_pictures_only(tmp_path, photo):
    (tmp_path / "notes.txt").write_text("no")
    (tmp_path / ".hidden.png").write_bytes(photo.read_bytes())
    assert list_pictures(tmp_path) == [photo]
    with pytest.raises(PictureError):
        list_pictures(photo)


def test_resize_keeps_range_and_constants():
    assert torch.allclose(resize(torch.full((3, 10, 12), 0.3), (23, 7)), torch.tensor(0.3), atol=1 / 255)
    sharp = (torch.rand(3, 16, 16) > 0.5).float()
    assert resize(sharp, (40, 40)).min() >= 0
    assert resize(sharp, (40, 40)).max() <= 1
    assert fit_within((100, 400), 200) == (50, 200)
    assert fit_within((1, 5000), 500) == (1, 500)


def _saved(folder, image):
    image.save(folder / "saved.png")
    return folder / "saved.png"


def _tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
