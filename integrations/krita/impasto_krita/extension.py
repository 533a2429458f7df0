"""The entry of the menu, its dialogs, and the work in the background."""

import os
import threading
from pathlib import Path

from krita import Extension, Krita
from PyQt5.QtCore import QEventLoop, Qt, QTimer
from PyQt5.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QFormLayout, QLabel, QLineEdit, QMessageBox, QProgressDialog

from .client import ADDRESS, QUALITIES, Stopped, Studio, StudioError
from .pixels import add_layer, area_of, as_png, from_png, seen

GROUP = "impasto"
"""Where Krita keeps the settings of this plug-in."""


class Impasto(Extension):
    """Tools > Scripts > Paint in a style, and the settings of the studio."""

    def setup(self):
        """Nothing to prepare."""

    def createActions(self, window):  # noqa: N802
        """The entries of the menu."""
        window.createAction("impasto_paint", "Paint in a style (Impasto)…", "tools/scripts").triggered.connect(self.paint)
        window.createAction("impasto_settings", "Studio of Impasto…", "tools/scripts").triggered.connect(self.settings)

    def paint(self):
        """Paint the image that is open, or what is selected of it."""
        document = Krita.instance().activeDocument()
        if document is None:
            tell("Open an image first.")
            return
        try:
            studio = self.studio()
            styles = in_background("Asking the studio for its styles", lambda report, stopped: studio.styles())
            chosen = choose(styles, self.read("style", ""), self.read("quality", QUALITIES[0]), document.selection() is not None)
            if chosen is None:
                return
            style, quality = chosen
            self.write(style=style, quality=quality)
            area, share = area_of(document)
            pixels, name = seen(document, area), Path(document.fileName()).name or "krita.png"

            def work(report, stopped):
                report("Preparing the image", 0, 0)
                painted = studio.paint(as_png(pixels, area), name, style, quality, report, stopped)
                return from_png(painted, area, share)

            add_layer(document, f"Impasto: {style}", in_background("Painting", work), area)
        except Stopped:
            return
        except StudioError as error:
            if tell(str(error), settings=True):
                self.settings()

    def settings(self):
        """Ask where the studio is, and keep it."""
        dialog = QDialog(parent())
        dialog.setObjectName("impasto_settings")
        dialog.setWindowTitle("Studio of Impasto")
        studio, form = self.studio(), QFormLayout(dialog)
        address, token = QLineEdit(studio.address), QLineEdit(studio.token)
        address.setMinimumWidth(320)
        token.setEchoMode(QLineEdit.Password)
        form.addRow(QLabel("impasto studio prints its address, and the token if it needs one."))
        form.addRow("Address", address)
        form.addRow("Token", token)
        if _agreed(dialog, form):
            self.write(address=address.text(), token=token.text())

    def studio(self):
        """The studio of the settings, or of the environment."""
        address = self.read("address", os.environ.get("IMPASTO_STUDIO", ADDRESS))
        return Studio(address or ADDRESS, self.read("token", os.environ.get("IMPASTO_TOKEN", "")))

    def read(self, name, default):
        """A setting."""
        return Krita.instance().readSetting(GROUP, name, default)

    def write(self, **settings):
        """Keep settings."""
        for name, value in settings.items():
            Krita.instance().writeSetting(GROUP, name, value)


def choose(styles, style, quality, selected):
    """The style's name and the quality; None if the user does not want to.

    styles: names by titles. selected: whether there is a selection.
    """
    dialog = QDialog(parent())
    dialog.setObjectName("impasto_choose")
    dialog.setWindowTitle("Paint in a style")
    form, titles, qualities = QFormLayout(dialog), QComboBox(), QComboBox()
    titles.addItems(styles)
    titles.setCurrentIndex(max(0, [*styles.values()].index(style) if style in styles.values() else 0))
    qualities.addItems(QUALITIES)
    qualities.setCurrentIndex(max(0, QUALITIES.index(quality) if quality in QUALITIES else 0))
    form.addRow("Style", titles)
    form.addRow("Quality", qualities)
    form.addRow(QLabel("Only the selection is painted." if selected else "The whole image is painted."))
    form.addRow(QLabel("A draft takes seconds. Fine takes a minute and more for large images."))
    return (styles[titles.currentText()], qualities.currentText()) if _agreed(dialog, form) else None


def _agreed(dialog, form):
    buttons = QDialogButtonBox(QDialogButtonBox.Ok | QDialogButtonBox.Cancel)
    buttons.accepted.connect(dialog.accept)
    buttons.rejected.connect(dialog.reject)
    form.addRow(buttons)
    agreed = dialog.exec_() == QDialog.Accepted
    dialog.deleteLater()
    return agreed


def in_background(title, work):
    """What `work(report, stopped)` gives, in a thread, while a dialog shows how far it is and takes a cancel. Raises what it raises."""
    dialog = QProgressDialog(title, "Cancel", 0, 0, parent())
    dialog.setObjectName("impasto_progress")
    dialog.setWindowTitle("Impasto")
    dialog.setWindowModality(Qt.ApplicationModal)
    dialog.setAutoClose(False)
    dialog.setAutoReset(False)
    dialog.setMinimumDuration(500)
    told, ended, stop, loop = [(title, 0, 0)], [], threading.Event(), QEventLoop()

    def run():
        try:
            ended.append((work(lambda *step: told.append(step), stop.is_set), None))
        except BaseException as error:
            ended.append((None, error))

    def look():
        if ended or stop.is_set():
            loop.quit()
            return
        text, step, total = told[-1]
        del told[:-1]
        dialog.setLabelText(text)
        dialog.setMaximum(total)
        dialog.setValue(min(step, total))

    def cancel():
        stop.set()
        loop.quit()

    dialog.canceled.connect(cancel)
    timer = QTimer(dialog)
    timer.timeout.connect(look)
    timer.start(100)
    threading.Thread(target=run, daemon=True).start()
    loop.exec_()
    timer.stop()
    dialog.canceled.disconnect(cancel)
    dialog.close()
    dialog.deleteLater()
    if stop.is_set():  # the thread tells the studio, and ends by itself
        raise Stopped
    result, error = ended[0]
    if error is not None:
        raise (
            error
            if isinstance(error, (StudioError, Stopped))
            else StudioError(f"It could not be painted ({type(error).__name__}: {error}).")
        )
    return result


def tell(text, settings=False):
    """Show a message. settings: offer them. True if the user wants them."""
    box = QMessageBox(QMessageBox.Warning, "Impasto", text, QMessageBox.Close, parent())
    button = box.addButton("Settings…", QMessageBox.ActionRole) if settings else None
    box.exec_()
    box.deleteLater()
    return button is not None and box.clickedButton() is button


def parent():
    """Krita's window."""
    window = Krita.instance().activeWindow()
    return window.qwindow() if window is not None else None
