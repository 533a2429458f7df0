"""What the plug-in asks and shows."""

import threading

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")
from client import ADDRESS, QUALITIES, Stopped, Studio, StudioError  # noqa: E402
from gi.repository import GimpUi, GLib, Gtk  # noqa: E402


def ask(config):
    """Let the user choose the style and the quality, and the studio, until its styles are known. False if the user does not want to."""
    GimpUi.init("impasto")
    while True:
        found, said = {}, ""
        try:
            found = Studio(config.get_property("address") or ADDRESS, config.get_property("token")).styles()
        except StudioError as error:
            said = str(error)
        dialog = Gtk.Dialog(title="Paint in a style")
        dialog.add_buttons("_Cancel", Gtk.ResponseType.CANCEL, "_Paint" if found else "_Try again", Gtk.ResponseType.OK)
        dialog.set_default_response(Gtk.ResponseType.OK)
        grid = Gtk.Grid(row_spacing=6, column_spacing=12, border_width=12)
        dialog.get_content_area().add(grid)
        if said:
            grid.attach(Gtk.Label(label=said, wrap=True, max_width_chars=60, xalign=0), 0, 0, 2, 1)
        styles, qualities = Gtk.ComboBoxText(), Gtk.ComboBoxText()
        for title, name in found.items():
            styles.append(name, title)
        for name in QUALITIES:
            qualities.append(name, name)
        styles.set_active_id(config.get_property("style")) or styles.set_active(0)
        qualities.set_active_id(config.get_property("quality")) or qualities.set_active(0)
        address, token = Gtk.Entry(text=config.get_property("address"), width_chars=36), Gtk.Entry(text=config.get_property("token"))
        token.set_visibility(False)
        rows = [("Style", styles), ("Quality", qualities)] if found else []
        for number, (text, widget) in enumerate([*rows, ("Studio", address), ("Token", token)], 1):
            grid.attach(Gtk.Label(label=text, xalign=0), 0, number, 1, 1)
            grid.attach(widget, 1, number, 1, 1)
        dialog.show_all()
        agreed = dialog.run() == Gtk.ResponseType.OK
        config.set_property("address", address.get_text())
        config.set_property("token", token.get_text())
        if found:
            config.set_property("style", styles.get_active_id())
            config.set_property("quality", qualities.get_active_id())
        dialog.destroy()
        if found or not agreed:
            return agreed


def in_background(work):
    """What `work(report, stopped)` gives, in a thread, while a dialog shows how far it is and takes a cancel. Raises what it raises."""
    dialog, told, ended, stop = Gtk.Dialog(title="Impasto"), [("Painting", 0, 0)], [], threading.Event()
    dialog.add_button("_Cancel", Gtk.ResponseType.CANCEL)
    bar = Gtk.ProgressBar(show_text=True, margin=12, width_request=320)
    dialog.get_content_area().add(bar)

    def run():
        try:
            ended.append((work(lambda *step: told.append(step), stop.is_set), None))
        except BaseException as error:
            ended.append((None, error))

    def look():
        if ended:
            dialog.response(Gtk.ResponseType.OK)
            return False
        text, step, total = told[-1]
        bar.set_text(text)
        bar.set_fraction(step / total) if total else bar.pulse()
        return True

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    GLib.timeout_add(100, look)
    dialog.show_all()
    answer = dialog.run()
    dialog.destroy()
    while Gtk.events_pending():
        Gtk.main_iteration()
    if answer != Gtk.ResponseType.OK:
        stop.set()
        thread.join(5)  # it tells the studio to stop; this process ends after it
        raise Stopped
    result, error = ended[0]
    if error is not None:
        raise error
    return result
