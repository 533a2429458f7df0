"""A plug-in of Krita: the picture, painted by a running studio, becomes a new layer."""

import json
import os
from urllib.parse import quote
from urllib.request import Request, urlopen

from krita import Extension, Krita
from PyQt5.QtCore import QBuffer, QByteArray, QIODevice
from PyQt5.QtGui import QImage
from PyQt5.QtWidgets import QInputDialog

STUDIO = os.environ.get("IMPASTO_STUDIO", "http://127.0.0.1:8600")


def call(path, body, kind="application/json"):
    """What the studio answers to a request with a body."""
    headers = {"content-type": kind} | ({"authorization": f"Bearer {token}"} if (token := os.environ.get("IMPASTO_TOKEN")) else {})
    with urlopen(Request(f"{STUDIO}/api/{path}", body, headers), timeout=120) as answer:
        return answer.read()


def painted(picture, name, style):
    """A picture's file as PNG, painted as a draft at its own size up to 1024 px."""
    kept = json.loads(call(f"pictures?name={quote(name)}", picture, "image/png"))
    return call("stylize", json.dumps({"photo": kept["id"], "styles": [{"style": style}], "quality": "draft", "size": 1024}).encode())


class Impasto(Extension):
    """Tools > Scripts > Paint in a style."""

    def setup(self):
        """Nothing to prepare."""

    def createActions(self, window):  # noqa: N802
        """The entry of the menu."""
        window.createAction("impasto_paint", "Paint in a style (Impasto)", "tools/scripts").triggered.connect(self.paint)

    def paint(self):
        """Paint the picture that is open."""
        document = Krita.instance().activeDocument()
        styles = [style["name"] for style in json.loads(urlopen(f"{STUDIO}/api/styles", timeout=10).read())]
        style, chosen = QInputDialog.getItem(None, "Impasto", "Style", styles, 0, False)
        if document is None or not chosen:
            return
        width, height, buffer = document.width(), document.height(), QBuffer(data := QByteArray())
        buffer.open(QIODevice.WriteOnly)
        QImage(document.pixelData(0, 0, width, height), width, height, QImage.Format_ARGB32).save(buffer, "PNG")
        result = QImage.fromData(painted(bytes(data), "krita.png", style)).scaled(width, height).convertToFormat(QImage.Format_ARGB32)
        layer = document.createNode(f"Impasto: {style}", "paintlayer")
        layer.setPixelData(QByteArray(result.bits().asstring(result.byteCount())), 0, 0, width, height)
        document.rootNode().addChildNode(layer, None)
        document.refreshProjection()


Krita.instance().addExtension(Impasto(Krita.instance()))
