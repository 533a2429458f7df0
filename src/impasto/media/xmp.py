"""XMP (ISO 16684-1): what of a packet is still true of an image that was painted anew, and its division where a JPEG takes 64 kB."""

import hashlib
from collections.abc import Iterator
from xml.dom import minidom
from xml.dom.minidom import Attr, Document, Element

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMLNS = "http://www.w3.org/2000/xmlns/"
_NOTE = "http://ns.adobe.com/xmp/note/"
_EXIF, _TIFF = "http://ns.adobe.com/exif/1.0/", "http://ns.adobe.com/tiff/1.0/"
_PANORAMA = "http://ns.google.com/photos/1.0/panorama/"
_REGIONS, _DIMENSIONS = "http://www.metadataworkinggroup.com/schemas/regions/", "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
_ANY = "*"

_OF_PIXELS: dict[str, frozenset[str]] = {
    _TIFF: frozenset(
        {"Orientation", "ImageWidth", "ImageLength", "BitsPerSample", "Compression", "PhotometricInterpretation", "SamplesPerPixel",
         "PlanarConfiguration", "YCbCrSubSampling", "YCbCrPositioning", "YCbCrCoefficients", "TransferFunction", "WhitePoint",
         "PrimaryChromaticities", "ReferenceBlackWhite", "XResolution", "YResolution", "ResolutionUnit", "Software", "NativeDigest"}
    ),
    _EXIF: frozenset({"ComponentsConfiguration", "CompressedBitsPerPixel", "Gamma", "NativeDigest"}),
    "http://cipa.jp/exif/1.0/": frozenset({"Gamma"}),
    "http://ns.adobe.com/xap/1.0/": frozenset({"Thumbnails"}),
    "http://ns.adobe.com/photoshop/1.0/": frozenset({"ICCProfile", "ColorMode"}),
    _NOTE: frozenset({"HasExtendedXMP"}),
    **dict.fromkeys(
        ("http://ns.adobe.com/camera-raw-settings/1.0/", "http://ns.google.com/photos/1.0/image/", "http://ns.google.com/photos/1.0/depthmap/",
         "http://ns.google.com/photos/1.0/audio/", "http://ns.google.com/photos/1.0/camera/", "http://ns.google.com/photos/1.0/container/",
         "http://ns.google.com/photos/dd/1.0/device/", "http://ns.adobe.com/hdr-gain-map/1.0/", "http://ns.apple.com/HDRGainMap/1.0/",
         "http://ns.apple.com/pixeldatainfo/1.0/"),
        frozenset({_ANY}),
    ),
}  # fmt: skip
"""Properties by namespace that describe how pixels are stored, or lie beside them in the file: previews, depth, gain maps, short videos,
and what a raw developer is still to do to them."""
_OF_PLACES: dict[str, frozenset[str]] = dict.fromkeys(
    (_REGIONS, "http://ns.microsoft.com/photo/1.2/", "http://ns.acdsee.com/regions/"), frozenset({_ANY})
)
"""Properties that name places in an image, as faces, which lie elsewhere after it was turned."""
_ACROSS = frozenset({"FullPanoWidthPixels", "CroppedAreaLeftPixels", "LargestValidInteriorRectLeft", "LargestValidInteriorRectWidth"})
_DOWN = frozenset({"FullPanoHeightPixels", "CroppedAreaTopPixels", "LargestValidInteriorRectTop", "LargestValidInteriorRectHeight"})

Size = tuple[int, int]


def still_true(packet: bytes, extension: bytes | None, *, before: Size, after: Size, turned: bool) -> bytes | None:
    """A packet, its extension taken in, as it is true of the same image painted at another size; None if nothing is left.

    before, after: height and width. turned: whether the orientation of its file was applied. Raises ValueError for what is no XMP.
    """
    document = _parsed(packet)
    if extension:
        _taken_in(document, _parsed(extension))
    gone = _OF_PIXELS | (_OF_PLACES if turned else {})
    for owner, item in list(_properties(document)):
        names = gone.get(item.namespaceURI or "", frozenset())
        if _ANY in names or item.localName in names:
            _removed(owner, item)
    stated = {(item.namespaceURI, item.localName): _value(item) for _, item in _properties(document)}
    cropped = [stated.get((_PANORAMA, f"CroppedAreaImage{side}Pixels"), "") for side in ("Height", "Width")]
    own = tuple(int(text) if text.isdecimal() and int(text) else side for text, side in zip(cropped, before, strict=True))
    for owner, item in list(_properties(document)):
        _brought(owner, item, (own[0], own[1]), after)
    left = any(True for _ in _properties(document))
    return _serialised(document) if left else None


def divided(packet: bytes, most: int) -> tuple[bytes, bytes | None]:
    """A packet of `most` bytes at the most, and what of it has to be stored apart: its largest properties. Raises ValueError."""
    if len(packet) <= most:
        return packet, None
    main, apart = _parsed(packet), _parsed(packet)
    pairs = list(zip(list(_properties(main)), list(_properties(apart)), strict=True))
    pairs.sort(key=lambda pair: -len(_text(pair[0][1])))
    moved = 0
    while moved < len(pairs):
        _removed(*pairs[moved][0])
        moved += 1
        if len(_serialised(main)) + 120 <= most:
            break
    for _, there in pairs[moved:]:
        _removed(*there)
    extension = _serialised(apart)
    description = next(_descriptions(main))
    description.setAttributeNS(_XMLNS, "xmlns:xmpNote", _NOTE)
    name = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper()
    description.setAttributeNS(_NOTE, "xmpNote:HasExtendedXMP", name)
    return _serialised(main), extension


def extension_name(packet: bytes) -> str:
    """The name of the extension that a packet has, "" if it has none. Raises ValueError."""
    for _, item in _properties(_parsed(packet)):
        if (item.namespaceURI, item.localName) == (_NOTE, "HasExtendedXMP"):
            return _value(item)
    return ""


def _parsed(packet: bytes) -> Document:
    stripped = packet.strip(b"\0 \r\n\t")
    if b"<!DOCTYPE" in stripped or b"<!ENTITY" in stripped:
        raise ValueError("XMP has no document type")
    try:
        return minidom.parseString(stripped)
    except Exception as error:  # the parser has errors of its own for each kind of damage
        raise ValueError(f"no XMP ({error})") from None


def _descriptions(document: Document) -> Iterator[Element]:
    """The descriptions at the top, which hold the properties."""
    for rdf in document.getElementsByTagNameNS(_RDF, "RDF"):
        for child in rdf.childNodes:
            if isinstance(child, Element) and (child.namespaceURI, child.localName) == (_RDF, "Description"):
                yield child


def _properties(document: Document) -> Iterator[tuple[Element, Attr | Element]]:
    """All properties with the descriptions that hold them, as attributes or as elements."""
    for description in _descriptions(document):
        for attribute in list((description.attributes or {}).values()):
            if attribute.namespaceURI not in (_XMLNS, _RDF, None):
                yield description, attribute
        for child in list(description.childNodes):
            if isinstance(child, Element):
                yield description, child


def _removed(owner: Element, item: Attr | Element) -> None:
    if isinstance(item, Element):
        owner.removeChild(item)
    else:
        owner.removeAttributeNode(item)


def _value(item: Attr | Element) -> str:
    return "".join(node.data for node in item.childNodes if node.nodeType == node.TEXT_NODE) if isinstance(item, Element) else item.value


def _text(item: Attr | Element) -> str:
    return item.toxml() if isinstance(item, Element) else item.value


def _changed(item: Attr | Element, value: str) -> None:
    if isinstance(item, Element):
        for node in list(item.childNodes):
            item.removeChild(node)
        document = item.ownerDocument
        assert isinstance(document, Document)
        item.appendChild(document.createTextNode(value))
    else:
        item.value = value


def _brought(owner: Element, item: Attr | Element, before: Size, after: Size) -> None:
    """A property that counts pixels, to the new size; the colour space is sRGB."""
    space, name = item.namespaceURI or "", item.localName
    stated = {(_EXIF, "PixelXDimension"): after[1], (_EXIF, "PixelYDimension"): after[0], (_EXIF, "ColorSpace"): 1}
    stated |= {(_PANORAMA, "CroppedAreaImageWidthPixels"): after[1], (_PANORAMA, "CroppedAreaImageHeightPixels"): after[0]}
    if (space, name) in stated:
        _changed(item, str(stated[space, name]))
    elif space == _PANORAMA and name in _ACROSS | _DOWN:
        factor = after[1] / before[1] if name in _ACROSS else after[0] / before[0]
        try:
            _changed(item, str(round(float(_value(item)) * factor)))
        except ValueError:
            _removed(owner, item)
    elif space == _REGIONS and isinstance(item, Element):
        _scaled_dimensions(item, after)


def _scaled_dimensions(item: Element, after: Size) -> None:
    """The size of the image that regions are of, which are given as fractions of it."""
    for element in [item, *item.getElementsByTagName("*")]:
        if (element.namespaceURI, element.localName) == (_REGIONS, "AppliedToDimensions"):
            for inner in [element, *element.getElementsByTagName("*")]:
                for attribute in list((inner.attributes or {}).values()):
                    if attribute.namespaceURI == _DIMENSIONS and attribute.localName in ("w", "h"):
                        attribute.value = str(after[1] if attribute.localName == "w" else after[0])
                if inner.namespaceURI == _DIMENSIONS and inner.localName in ("w", "h"):
                    _changed(inner, str(after[1] if inner.localName == "w" else after[0]))


def _taken_in(document: Document, other: Document) -> None:
    """Put the descriptions of an extension into the packet that names it."""
    rdf = next(iter(document.getElementsByTagNameNS(_RDF, "RDF")), None)
    for description in list(_descriptions(other)) if rdf is not None else []:
        copy = document.importNode(description, True)
        above = description.parentNode
        while isinstance(above, Element):  # prefixes that are declared further up
            for attribute in list((above.attributes or {}).values()):
                if attribute.namespaceURI == _XMLNS and not copy.hasAttribute(attribute.name):
                    copy.setAttributeNS(_XMLNS, attribute.name, attribute.value)
            above = above.parentNode
        rdf.appendChild(copy)  # type: ignore[union-attr]


def _serialised(document: Document) -> bytes:
    root = document.documentElement
    assert root is not None
    begin = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    return f'{begin}{root.toxml()}\n<?xpacket end="w"?>'.encode()
