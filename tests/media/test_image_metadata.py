"""Metadata of still images: what is kept in which format, whole and by strips, what is not true of a result, and what does not fit."""

import io
import json
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from impasto.media.canvas import Box, Canvas
from impasto.media.exif import Directories, block_of, read_directories, text
from impasto.media.image_containers import PHOTOSHOP, Blocks, iptc_resource, png_chunks, put_in, resources
from impasto.media.image_metadata import ImageMetadata, fitted
from impasto.media.image_writer import encode
from impasto.media.images import Picture, read_picture, write_result
from impasto.media.large_files import LargePicture, write_large
from impasto.media.opening import made_here
from impasto.media.stills import Still
from tests.conftest import scene

EXIFTOOL = shutil.which("exiftool")
KINDS = ["jpg", "png", "webp", "tif"]
IPTC = b"\x1c\x02\x74\x00\x0d(c) 2021 Test"
XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" xmp:Rating="5" tiff:Orientation="6"
 exif:ColorSpace="65535" GPano:FullPanoWidthPixels="800" GPano:CroppedAreaLeftPixels="200">
<exif:PixelXDimension>400</exif:PixelXDimension><GPano:CroppedAreaImageWidthPixels>400</GPano:CroppedAreaImageWidthPixels>
<xmp:Thumbnails><rdf:Alt><rdf:li>AAAA</rdf:li></rdf:Alt></xmp:Thumbnails>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def photo(size=(400, 300), orientation=1):
    """A photo as a camera writes it: exposure, place, note of the maker, 300 dpi, orientation, and Adobe RGB as its colour space."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Software] = "Maker", orientation, "Camera 1.0"
    exif[ExifTags.Base.XResolution] = exif[ExifTags.Base.YResolution] = 300.0
    exif[ExifTags.Base.ResolutionUnit] = 2
    exposure = exif.get_ifd(ExifTags.IFD.Exif)
    exposure[ExifTags.Base.DateTimeOriginal] = "2021:07:04 12:20:30"
    exposure[ExifTags.Base.MakerNote] = bytes(range(256)) * 4
    exposure[ExifTags.Base.ColorSpace], exposure[ExifTags.Base.ExifImageWidth] = 65535, size[0]
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    return scene(*size), exif.tobytes()[6:]


def sent(tmp_path, kind, **more):
    """That photo with IPTC and XMP in a file."""
    image, exif = photo(**more)
    path, whole = tmp_path / f"in.{kind}", io.BytesIO()
    image.save(whole, "TIFF" if kind == "tif" else kind.replace("jpg", "jpeg"))
    with path.open("wb+") as target:
        name = {"jpg": "JPEG", "tif": "TIFF"}.get(kind, kind.upper())
        put_in(whole, target, name, Blocks((300.0, 300.0), read_directories(io.BytesIO(exif)), XMP.encode(), None, IPTC))
    return path


def by_strips(folder, picture, path):
    """A picture as it is written from canvases."""
    canvas = Canvas(folder / f"{path.suffix[1:]}.raw", picture.size, deep=picture.bits > 8)
    canvas.write(Box(0, 0, *picture.size), picture.pixels[None])
    return write_large(LargePicture(canvas, None, picture.metadata, picture.bits), path, exif=True, background="white")


def said(path):
    """What ExifTool reads in a file."""
    return json.loads(subprocess.run([EXIFTOOL, "-j", "-n", "-G1", path], capture_output=True, check=True).stdout)[0]


@pytest.mark.parametrize("way", ["whole", "strips"])
@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("of", KINDS)
def test_metadata_go_from_every_format_into_every_other(tmp_path, of, to, way):
    picture, path = read_picture(sent(tmp_path, of)), tmp_path / f"out.{to}"
    messages = write_result(picture, path, exif=True) if way == "whole" else by_strips(tmp_path, picture, path)
    assert messages == (("WebP has no place for IPTC, which is left out",) if to == "webp" and of != "webp" else ())
    assert made_here(path)
    found = read_picture(path).metadata
    assert found.density == (300.0, 300.0)
    assert found.iptc == (None if "webp" in (of, to) else IPTC)
    assert b'Rating="5"' in found.xmp
    exif = read_directories(io.BytesIO(found.exif))
    assert exif.image[ExifTags.Base.Make].data == b"Maker\0"
    assert exif.exposure[ExifTags.Base.DateTimeOriginal].data == b"2021:07:04 12:20:30\0"
    assert exif.exposure[ExifTags.Base.MakerNote].data == bytes(range(256)) * 4
    assert exif.place[ExifTags.GPS.GPSLatitudeRef].data == b"N\0"


@pytest.mark.skipif(EXIFTOOL is None, reason="exiftool is not installed")
@pytest.mark.parametrize("to", KINDS)
def test_exiftool_reads_the_same(tmp_path, to):
    path = tmp_path / f"out.{to}"
    write_result(read_picture(sent(tmp_path, "jpg")), path, exif=True)
    found = said(path)
    assert (found["IFD0:XResolution"], found["IFD0:Software"], found["XMP-xmp:Rating"]) == (300, "Impasto", 5)
    assert (found["ExifIFD:ColorSpace"], found["ExifIFD:ExifImageWidth"]) == (1, 400)
    assert found["ExifIFD:DateTimeOriginal"] == "2021:07:04 12:20:30"
    assert found.get("IPTC:CopyrightNotice") == (None if to == "webp" else "(c) 2021 Test")
    assert "ExifTool:Error" not in found


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("kind", [*KINDS, "bmp"])
def test_the_density_is_kept_always(tmp_path, kind, keep):
    picture, path = read_picture(sent(tmp_path, "jpg")), tmp_path / f"out.{kind}"
    write_result(picture, path, exif=keep)
    assert read_picture(path).metadata.density == pytest.approx((300, 300), abs=0.1 if kind == "bmp" else 1e-9)
    assert (read_picture(path).metadata.xmp is not None) == (keep and kind != "bmp")


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_without_a_density_gets_none(tmp_path, kind):
    scene(40, 30).save(tmp_path / "in.png")
    picture, path = read_picture(tmp_path / "in.png"), tmp_path / f"out.{kind}"
    write_result(picture, path)
    by_strips(tmp_path, picture, tmp_path / f"strips.{kind}")
    assert read_picture(path).metadata.density is None
    assert read_picture(tmp_path / f"strips.{kind}").metadata.density is None


def test_densities_in_centimetres_and_of_turned_photos(tmp_path):
    image = scene(40, 30)
    image.save(tmp_path / "cm.tif", resolution_unit=3, x_resolution=118.11, y_resolution=59.055)
    assert read_picture(tmp_path / "cm.tif").metadata.density == (300.0, 150.0)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image.save(tmp_path / "turned.jpg", exif=exif, dpi=(300, 150))
    found = read_picture(tmp_path / "turned.jpg").metadata
    assert (found.density, found.size, found.turned) == ((150.0, 300.0), (40, 30), True)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_describes_the_pixels_of_the_source_is_copied(tmp_path, kind):
    """The result has another size and is upright, sRGB, and without the thumbnail."""
    picture = read_picture(sent(tmp_path, "jpg", orientation=6))
    assert picture.size == (400, 300)
    smaller = Picture(torch.rand(3, 150, 200), metadata=picture.metadata)
    write_result(smaller, tmp_path / f"out.{kind}", exif=True)
    found = read_picture(tmp_path / f"out.{kind}").metadata
    exif = read_directories(io.BytesIO(found.exif))
    assert exif.exposure[ExifTags.Base.ColorSpace].numbers() == [1]
    assert exif.exposure[ExifTags.Base.ExifImageWidth].numbers() == [200]
    assert exif.exposure[ExifTags.Base.ExifImageHeight].numbers() == [150]
    assert ExifTags.Base.Orientation not in exif.image
    assert b"Orientation" not in found.xmp
    assert b"Thumbnails" not in found.xmp
    assert b'ColorSpace="1"' in found.xmp
    assert b"<exif:PixelXDimension>200<" in found.xmp
    assert b'FullPanoWidthPixels="400"' in found.xmp
    assert b'CroppedAreaLeftPixels="100"' in found.xmp
    assert b"<GPano:CroppedAreaImageWidthPixels>200<" in found.xmp


def test_structural_tags_of_a_tiff_are_not_copied(tmp_path):
    Image.fromarray(np.uint16(np.arange(64 * 48).reshape(48, 64))).save(tmp_path / "in.tif", compression="tiff_lzw", dpi=(200, 200))
    picture = read_picture(tmp_path / "in.tif")
    assert picture.metadata.exif is None
    assert picture.metadata.density == (200.0, 200.0)
    write_result(picture, tmp_path / "out.jpg", exif=True)
    with Image.open(tmp_path / "out.jpg") as written:
        tags = set(written.getexif())
    assert tags <= {ExifTags.Base.Software, ExifTags.Base.XResolution, ExifTags.Base.YResolution, ExifTags.Base.ResolutionUnit}


def test_a_note_too_long_for_a_jpeg_is_left_out_alone(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = bytes(100_000)
    picture = Picture(torch.rand(3, 30, 40), metadata=ImageMetadata((30, 40), None, exif.tobytes()))
    (message,) = write_result(picture, tmp_path / "out.jpg", exif=True)
    assert message == "the maker note of the EXIF block is left out: too large for JPEG"
    assert write_result(picture, tmp_path / "out.png", exif=True) == ()
    with Image.open(tmp_path / "out.jpg") as written:
        assert written.getexif()[ExifTags.Base.Make] == "Maker"
    with Image.open(tmp_path / "out.png") as written:
        assert len(written.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote]) == 100_000


def test_a_note_stays_at_its_place_because_its_numbers_count_from_the_beginning(tmp_path):
    _, block = photo()
    before = read_directories(io.BytesIO(block))
    picture = Picture(torch.rand(3, 30, 40), metadata=ImageMetadata((30, 40), None, block))
    write_result(picture, tmp_path / "out.jpg", exif=True)
    after = read_directories(io.BytesIO(read_picture(tmp_path / "out.jpg").metadata.exif))
    assert after.note_at == before.note_at
    assert after.order == before.order


def test_iptc_and_xmp_beyond_one_segment_are_divided_and_joined(tmp_path):
    iptc = b"\x1c\x02\x78\x84\x00" + (100_000).to_bytes(4, "big") + b"x" * 100_000
    long_text = "y" * 150_000
    xmp = XMP.replace('xmp:Rating="5"', f'xmp:Rating="5" xmp:Label="{long_text}"').encode()
    picture = Picture(torch.rand(3, 30, 40), metadata=ImageMetadata((30, 40), None, None, iptc, xmp))
    assert write_result(picture, tmp_path / "out.jpg", exif=True) == ()
    found = read_picture(tmp_path / "out.jpg").metadata
    assert found.iptc == iptc
    assert b"HasExtendedXMP" in found.xmp
    assert len(found.xmp) < 65_503
    assert long_text.encode() in found.extension
    write_result(Picture(picture.pixels, metadata=found), tmp_path / "again.png", exif=True)
    whole = read_picture(tmp_path / "again.png").metadata
    assert long_text.encode() in whole.xmp
    assert b'Rating="5"' in whole.xmp
    assert b"HasExtendedXMP" not in whole.xmp


@pytest.mark.skipif(EXIFTOOL is None, reason="exiftool is not installed")
def test_exiftool_joins_what_was_divided(tmp_path):
    xmp = XMP.replace('xmp:Rating="5"', f'xmp:Rating="5" xmp:Label="{"y" * 150_000}"').encode()
    picture = Picture(torch.rand(3, 30, 40), metadata=ImageMetadata((30, 40), None, None, None, xmp))
    write_result(picture, tmp_path / "out.jpg", exif=True)
    found = said(tmp_path / "out.jpg")
    assert len(found["XMP-xmp:Label"]) == 150_000
    assert found["XMP-xmp:Rating"] == 5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["exif", "xmp"])
def test_damaged_metadata_are_left_out_and_the_picture_is_written(tmp_path, kind, what):
    broken = {"exif": {"exif": b"II*\0\xff\xff"}, "xmp": {"xmp": b"<x:xmpmeta><broken"}}[what]
    picture = Picture(torch.rand(3, 30, 40), metadata=ImageMetadata((30, 40), (72.0, 72.0), **broken))
    messages = write_result(picture, tmp_path / f"out.{kind}", exif=True)
    assert read_picture(tmp_path / f"out.{kind}").size == (30, 40)
    assert made_here(tmp_path / f"out.{kind}")
    assert messages == (("its EXIF block is damaged and is left out",) if what == "exif" else ("its XMP is damaged and is left out",))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
def test_whatever_is_said_fits(kind):
    """No metadata make a writer fail: sizes around every limit."""
    for length in (0, 10, 65_000, 65_600, 200_000, 3_000_000):
        exif = block_of(Directories(image={0x010E: text("d" * (length + 8))}))
        xmp = XMP.replace('xmp:Rating="5"', f'xmp:Rating="5" xmp:Label="{"z" * length}"').encode()
        metadata = ImageMetadata((30, 40), (300.0, 300.0), exif, b"\x1c\x02" + bytes(length), xmp)
        still = Still(np.zeros((30, 40, 3), np.uint8), metadata=metadata)
        with Image.open(io.BytesIO(encode(still, kind, exif=True))) as written:
            written.load()
            assert written.size == (40, 30)


def test_a_writer_that_fails_at_metadata_writes_the_picture_without(tmp_path, monkeypatch):
    from impasto.media import image_containers

    def broken():
        raise ValueError("no")

    monkeypatch.setattr(image_containers, "block_of", lambda directories: broken() if directories.place else block_of(directories))
    picture = read_picture(sent_plain(tmp_path))
    (message,) = write_result(picture, tmp_path / "out.jpg", exif=True)
    assert message.startswith("its metadata could not be written and are left out")
    assert read_picture(tmp_path / "out.jpg").size == (300, 400)
    assert made_here(tmp_path / "out.jpg")


def sent_plain(tmp_path):
    image, exif = photo()
    image.save(tmp_path / "in.jpg", exif=b"Exif\0\0" + exif)
    return tmp_path / "in.jpg"


def test_profiles_in_texts_of_png_as_imagemagick_writes_them(tmp_path):
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    data = iptc_resource(IPTC)
    texts.add_text("Raw profile type 8bim", f"\n8bim\n{len(data):8d}\n{data.hex()}\n", zip=True)
    scene(40, 30).save(tmp_path / "in.png", pnginfo=texts)
    assert read_picture(tmp_path / "in.png").metadata.iptc == IPTC


def test_exif_behind_the_pixels_of_a_png_is_read(tmp_path):
    _, exif = photo()
    scene(40, 30).save(tmp_path / "in.png", exif=exif)
    data = (tmp_path / "in.png").read_bytes()
    chunks = []
    for kind, length in png_chunks(stream := io.BytesIO(data)):
        chunks.append((kind, data[stream.tell() - 8 : stream.tell() + length + 4]))
    chunks.sort(key=lambda chunk: (chunk[0] == b"IEND", chunk[0] == b"eXIf"))
    (tmp_path / "moved.png").write_bytes(data[:8] + b"".join(body for _, body in chunks))
    assert read_picture(tmp_path / "moved.png").metadata == read_picture(tmp_path / "in.png").metadata
    assert read_picture(tmp_path / "moved.png").metadata.exif is not None


@pytest.mark.parametrize("place", ["words", "resources"])
def test_iptc_of_a_tiff_is_read_in_swapped_words_and_in_image_resources(tmp_path, place):
    tifffile = pytest.importorskip("tifffile")
    words = np.frombuffer(IPTC + bytes(-len(IPTC) % 4), ">u4").astype("<u4").tolist()
    resource = iptc_resource(IPTC)
    tag = {"words": (33723, 4, len(words), words, True), "resources": (34377, 1, len(resource), resource, True)}[place]
    tifffile.imwrite(tmp_path / "in.tif", np.zeros((30, 40, 3), np.uint8), photometric="rgb", metadata=None, extratags=[tag])
    assert read_picture(tmp_path / "in.tif").metadata.iptc.rstrip(b"\0") == IPTC


def test_resources_that_are_damaged_end_there():
    good = iptc_resource(IPTC)
    assert resources(good + b"8BIM\x04\x05") == {0x0404: IPTC}
    assert resources(b"8BIM" + struct.pack(">HHI", 1, 0, 10**6)) == {}


def test_segments_of_iptc_are_joined_before_they_are_read(tmp_path):
    iptc = b"\x1c\x02\x78\x84\x00" + (70_000).to_bytes(4, "big") + b"x" * 70_000
    blocks, _ = fitted(ImageMetadata((30, 40), iptc=iptc), "JPEG", (30, 40), keep=True)
    assert blocks.iptc == iptc
    data = encode(Still(np.zeros((30, 40, 3), np.uint8), metadata=ImageMetadata((30, 40), iptc=iptc)), "JPEG", exif=True)
    assert data.count(PHOTOSHOP) == 2


@pytest.mark.skipif(EXIFTOOL is None, reason="exiftool is not installed")
def test_a_large_tiff_of_libvips_keeps_its_pixels_and_tags(tmp_path):
    picture = Picture(torch.rand(3, 300, 400), metadata=read_picture(sent(tmp_path, "jpg")).metadata)
    by_strips(tmp_path, picture, tmp_path / "out.tif")
    tifffile = pytest.importorskip("tifffile")
    assert np.array_equal(tifffile.imread(tmp_path / "out.tif"), picture.pixels.mul(255).round().byte().permute(1, 2, 0).numpy())
    found = said(Path(tmp_path / "out.tif"))
    assert (found["IFD0:XResolution"], found["IFD0:ResolutionUnit"], found["XMP-xmp:Rating"]) == (300, 2, 5)
