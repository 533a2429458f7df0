#!/usr/bin/env python3
"""A plug-in of GIMP 3: the image, or its selection, painted by a studio of Impasto, becomes a new layer."""

import os
import sys
import tempfile
import threading
from pathlib import Path

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, Gio, GLib, GObject  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))
from client import ADDRESS, QUALITIES, Stopped, Studio, StudioError  # noqa: E402

NAME = "impasto-paint"


class Impasto(Gimp.PlugIn):
    """Filters > Artistic > Paint in a style; and the procedure `impasto-paint` for scripts."""

    def do_query_procedures(self):
        """The one procedure."""
        return [NAME]

    def do_set_i18n(self, name):
        """It speaks English alone."""
        return False

    def do_create_procedure(self, name):
        """What it takes."""
        made = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, self.run, None)
        made.set_image_types("RGB*, GRAY*")
        made.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.ALWAYS & ~Gimp.ProcedureSensitivityMask.NO_IMAGE)
        made.set_menu_label("_Paint in a style (Impasto)…")
        made.add_menu_path("<Image>/Filters/Artistic")
        made.set_documentation("Paints the image in a style, as a new layer", "It needs a running studio: impasto studio", name)
        for key, label, default in (
            ("style", "Style", "dusk"),
            ("quality", "Quality: draft or fine", QUALITIES[0]),
            ("address", "Address of the studio", os.environ.get("IMPASTO_STUDIO", ADDRESS)),
            ("token", "Token of the studio", os.environ.get("IMPASTO_TOKEN", "")),
        ):
            made.add_string_argument(key, label, label, default, GObject.ParamFlags.READWRITE)
        return made

    def run(self, procedure, mode, image, drawables, config, data):
        """Paint one image."""
        try:
            if mode == Gimp.RunMode.INTERACTIVE:
                from dialogs import ask

                if not ask(config):
                    return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
            studio = Studio(config.get_property("address") or ADDRESS, config.get_property("token"))
            paint(image, studio, config.get_property("style"), config.get_property("quality"), mode == Gimp.RunMode.INTERACTIVE)
        except Stopped:
            return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
        except StudioError as error:
            return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, GLib.Error(str(error)))
        return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)


def paint(image, studio, style, quality, interactive):
    """Put the painted image, or what is selected of it, on a new layer. Raises StudioError, and Stopped."""
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        raise StudioError("An indexed image has too few colours for a painting. Convert it with Image > Mode > RGB.")
    _, selected, left, top, right, bottom = Gimp.Selection.bounds(image)
    with tempfile.TemporaryDirectory() as folder:
        sent, got = (Gio.File.new_for_path(str(Path(folder) / name)) for name in ("sent.png", "painted.png"))
        export(image, (right - left, bottom - top, left, top), sent)
        name = (image.get_name() or "gimp").rpartition(".")[0] + ".png"
        work = lambda report, stopped: studio.paint(sent.load_contents()[1], name, style, quality, report, stopped)  # noqa: E731
        if interactive:
            from dialogs import in_background

            painted = in_background(work)
        else:
            painted = work(lambda *step: None, threading.Event().is_set)
        got.replace_contents(painted, None, False, Gio.FileCreateFlags.NONE, None)
        image.undo_group_start()
        try:
            layer = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image, got)
            layer.set_name(f"Impasto: {style}")
            image.insert_layer(layer, None, 0)
            layer.set_offsets(left, top)
            if selected:
                layer.add_mask(layer.create_mask(Gimp.AddMaskType.SELECTION))
        finally:
            image.undo_group_end()
    Gimp.displays_flush()


def export(image, area, file):
    """Write what is seen of an area (width, height, left, top) as a PNG file of 8 bits in sRGB; the image stays as it is."""
    copy = image.duplicate()
    try:
        Gimp.Selection.none(copy)
        copy.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE)
        copy.crop(*area)
        if copy.get_base_type() != Gimp.ImageBaseType.RGB:
            copy.convert_rgb()
        copy.convert_color_profile(Gimp.ColorProfile.new_rgb_srgb(), Gimp.ColorRenderingIntent.RELATIVE_COLORIMETRIC, True)
        if copy.get_precision() != Gimp.Precision.U8_NON_LINEAR:
            copy.convert_precision(Gimp.Precision.U8_NON_LINEAR)
        if not Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, copy, file, None):
            raise StudioError("GIMP could not write the image as PNG.")
    finally:
        copy.delete()


Gimp.main(Impasto.__gtype__, sys.argv)
