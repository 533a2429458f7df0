"""A plug-in of Krita that drives it for tests: it opens images, chooses the entry of the menu, answers dialogs, and notes what it finds.

What to do is in the JSON file that $IMPASTO_PROBE names; what was found is written beside it, as FILE.found.
"""

import json
import os
import resource
import time
import traceback
from pathlib import Path

from krita import Extension, InfoObject, Krita, Selection
from PyQt5.QtCore import QEventLoop, QTimer
from PyQt5.QtWidgets import QApplication, QComboBox, QDialog, QDialogButtonBox, QLabel, QMessageBox, QProgressDialog, QPushButton

SRGB = ("RGBA", "U8", "sRGB-elle-V2-srgbtrc.icc")
PATH = os.environ["IMPASTO_PROBE"]


def wait(seconds):
    loop = QEventLoop()
    QTimer.singleShot(int(seconds * 1000), loop.quit)
    loop.exec_()


def memory():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class Case:
    """One image, painted."""

    def __init__(self, wanted):
        self.wanted = wanted
        self.found = {"messages": [], "labels": [], "longest": 0.0, "seen": []}
        self.cancelled = None
        self.beat = None

    def document(self):
        document = Krita.instance().openDocument(self.wanted["file"])
        assert (document.colorModel(), document.colorDepth(), document.colorProfile()) == SRGB
        space = tuple(self.wanted.get("space", SRGB))
        if space != SRGB:
            assert document.setColorSpace(*space), space
        document.waitForDone()
        if self.wanted.get("selection"):
            selection = Selection()
            selection.select(*self.wanted["selection"], 255)
            if self.wanted.get("feather"):
                selection.feather(self.wanted["feather"])
            document.setSelection(selection)
        return document

    def answer(self):
        """Answer the dialog that is open; called all the time, so that a frozen window is noticed."""
        now = time.monotonic()
        self.found["longest"] = max(self.found["longest"], 0 if self.beat is None else now - self.beat)
        self.beat = now
        dialog = QApplication.activeModalWidget()
        if dialog is None:
            return
        name = dialog.objectName() or type(dialog).__name__
        shots = self.wanted.get("shots")
        if shots and name not in self.found["seen"] and (name != "impasto_progress" or dialog.maximum() > 1):
            self.found["seen"].append(name)
            QApplication.processEvents()
            QApplication.primaryScreen().grabWindow(0).save(f"{shots}-{name}.png")
        if isinstance(dialog, QProgressDialog):
            self.found["labels"].append([dialog.labelText(), dialog.value(), dialog.maximum()])
            if self.wanted.get("cancel") is not None and dialog.labelText().startswith("Painting") and self.cancelled is None:
                if self.since is None:
                    self.since = now
                if now - self.since >= self.wanted["cancel"]:
                    self.cancelled = time.monotonic()
                    dialog.findChild(QPushButton).click()
        elif isinstance(dialog, QMessageBox):
            self.found["messages"].append(dialog.text())
            dialog.button(QMessageBox.Close).click()
        elif isinstance(dialog, QDialog) and name == "impasto_choose":
            titles, qualities = dialog.findChildren(QComboBox)
            titles.setCurrentIndex(next(n for n in range(titles.count()) if titles.itemText(n).endswith(f"({self.wanted['style']})")))
            qualities.setCurrentText(self.wanted.get("quality", "draft"))
            self.found["labels"] += [[label.text(), 0, 0] for label in dialog.findChildren(QLabel)]
            dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.Ok).click()

    def run(self):
        if self.wanted.get("convert"):
            document = self.document()
            self.save(document, hide=None, path=self.wanted["out"])
            document.close()
            return self.found
        for name, value in self.wanted.get("settings", {}).items():
            Krita.instance().writeSetting("impasto", name, value)
        document = self.document()
        Krita.instance().activeWindow().addView(document)
        Krita.instance().setActiveDocument(document)
        wait(0.3)
        before = len(document.rootNode().childNodes())
        self.since, began = None, time.monotonic()
        timer = QTimer()
        timer.timeout.connect(self.answer)
        timer.start(20)
        Krita.instance().action("impasto_paint").trigger()
        timer.stop()
        self.found["seconds"] = time.monotonic() - began
        self.found["stopped"] = None if self.cancelled is None else time.monotonic() - self.cancelled
        nodes = document.rootNode().childNodes()
        self.found["layers"] = [node.name() for node in nodes[before:]]
        for _ in range(self.wanted.get("repeat", 0)):
            document.rootNode().childNodes()[-1].remove()
            timer.start(20)
            Krita.instance().action("impasto_paint").trigger()
            timer.stop()
            wait(0.5)
            self.found.setdefault("memories", []).append(memory())
        nodes = document.rootNode().childNodes()
        if self.wanted.get("shots"):
            wait(self.wanted.get("shown_after", 1))
            QApplication.primaryScreen().grabWindow(0).save(f"{self.wanted['shots']}-result.png")
        if len(nodes) > before:
            layer = nodes[-1]
            self.found["space"] = [layer.colorModel(), layer.colorDepth(), layer.colorProfile()]
            self.found["layer_bounds"] = [layer.bounds().x(), layer.bounds().y(), layer.bounds().width(), layer.bounds().height()]
            self.save(document, hide=layer, path=self.wanted["out"] + ".before.png")
            self.save(document, hide=None if not self.wanted.get("alone") else nodes[0], path=self.wanted["out"])
        document.setModified(False)
        document.close()
        wait(0.2)
        self.found["memory"] = memory()
        return self.found

    def save(self, document, hide, path):
        """What is seen of a document, as Krita itself writes it as PNG of 8 bits in sRGB."""
        if hide is not None:
            hide.setVisible(False)
        document.refreshProjection()
        document.waitForDone()
        options = InfoObject()
        for name, value in {"alpha": True, "compression": 3, "forceSRGB": True, "saveSRGBProfile": True, "indexed": False}.items():
            options.setProperty(name, value)
        document.setBatchmode(True)
        if (document.colorModel(), document.colorDepth(), document.colorProfile()) != SRGB:
            document = document.clone()
            document.setBatchmode(True)
            document.setColorSpace(*SRGB)
            document.refreshProjection()
            document.waitForDone()
        assert document.exportImage(path, options), path
        if hide is not None:
            hide.setVisible(True)


class Probe(Extension):
    def setup(self):
        QTimer.singleShot(1500, self.begin)

    def createActions(self, window):  # noqa: N802
        pass

    def begin(self):
        if Krita.instance().activeWindow() is None:
            QTimer.singleShot(500, self.begin)
            return
        cases = json.loads(Path(PATH).read_text())
        found = []
        for wanted in cases:
            try:
                found.append(Case(wanted).run())
            except BaseException:
                found.append({"error": traceback.format_exc()})
            Path(f"{PATH}.part").write_text(json.dumps(found, indent=1))
        Path(f"{PATH}.part").replace(f"{PATH}.found")
        os._exit(0)


Krita.instance().addExtension(Probe(Krita.instance()))
