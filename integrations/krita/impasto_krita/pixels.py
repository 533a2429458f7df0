"""From a document of any colour model and depth to a PNG file in sRGB, and back to a layer in the document's own colours."""

from PyQt5.QtCore import QBuffer, QByteArray, QIODevice, QRect
from PyQt5.QtGui import QImage

from .client import StudioError

SRGB = ("RGBA", "U8", "sRGB-elle-V2-srgbtrc.icc")
"""The colour space that pixels are exchanged in: blue, green, red, alpha of 8 bits each, as QImage has them."""


def area_of(document):
    """The rectangle that is painted, and how much of each of its pixels is selected, as bytes.

    It is the image, and None; or of a selection what lies inside of the image. Raises StudioError if nothing does.
    """
    image, selection = QRect(0, 0, document.width(), document.height()), document.selection()
    if selection is None:
        return image, None
    area = QRect(selection.x(), selection.y(), selection.width(), selection.height()) & image
    if area.isEmpty():
        raise StudioError("The selection lies outside of the image. Select a part of the image, or nothing.")
    return area, bytes(selection.pixelData(area.x(), area.y(), area.width(), area.height()))


def seen(document, area):
    """What is seen of a rectangle, in sRGB, as bytes. The document stays as it is. Raises StudioError."""
    space = (document.colorModel(), document.colorDepth(), document.colorProfile())
    copy = document if space == SRGB else document.clone()
    try:
        if copy is not document and not copy.setColorSpace(*SRGB):
            raise StudioError("Krita cannot convert this image to sRGB. Convert it with Image > Convert Image Color Space.")
        copy.refreshProjection()
        copy.waitForDone()
        pixels = bytes(copy.pixelData(area.x(), area.y(), area.width(), area.height()))
    finally:
        if copy is not document:
            copy.close()
    if len(pixels) != area.width() * area.height() * 4:
        raise StudioError("Krita gave no pixels of this image in sRGB. Convert it with Image > Convert Image Color Space.")
    return pixels


def as_png(pixels, area):
    """What is seen, as a PNG file; for any thread."""
    image = QImage(pixels, area.width(), area.height(), area.width() * 4, QImage.Format_ARGB32)
    buffer = QBuffer(data := QByteArray())
    buffer.open(QIODevice.WriteOnly)
    image.save(buffer, "PNG", 90)  # 90 of 100 is little compression: it goes to this machine, most often
    return bytes(data)


def from_png(painted, area, share):
    """A PNG file as the bytes of a layer, seen inside of the selection alone; for any thread. Raises StudioError."""
    image = QImage.fromData(painted).convertToFormat(QImage.Format_ARGB32)
    if (image.width(), image.height()) != (area.width(), area.height()):
        raise StudioError(f"The studio gave {image.width()}x{image.height()} pixels, and {area.width()}x{area.height()} were expected.")
    pixels = bytearray(image.constBits().asstring(image.sizeInBytes()))
    if share is not None:
        pixels[3::4] = bytes((alpha * inside + 127) // 255 for alpha, inside in zip(pixels[3::4], share, strict=True))
    return bytes(pixels)


def add_layer(document, name, pixels, area):
    """Put the bytes on a new layer above all others, in the document's own colour space."""
    layer = document.createNode(name, "paintlayer")
    space = (document.colorModel(), document.colorDepth(), document.colorProfile())
    if space != SRGB:
        layer.setColorSpace(*SRGB)
    layer.setPixelData(QByteArray(pixels), area.x(), area.y(), area.width(), area.height())
    if space != SRGB:
        layer.setColorSpace(*space)
    document.rootNode().addChildNode(layer, None)
    document.setActiveNode(layer)
    document.refreshProjection()
