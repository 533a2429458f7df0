"""Drives GIMP for tests: run by its batch interpreter for Python. What to do is in the JSON file that $IMPASTO_PROBE names."""

import json
import os
import traceback
from pathlib import Path

from gi.repository import Gimp, Gio

PATH = os.environ["IMPASTO_PROBE"]


def memory():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def write(image, path):
    copy = image.duplicate()
    Gimp.Selection.none(copy)
    copy.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE)
    if copy.get_base_type() != Gimp.ImageBaseType.RGB:
        copy.convert_rgb()
    copy.convert_color_profile(Gimp.ColorProfile.new_rgb_srgb(), Gimp.ColorRenderingIntent.RELATIVE_COLORIMETRIC, True)
    if copy.get_precision() != Gimp.Precision.U8_NON_LINEAR:
        copy.convert_precision(Gimp.Precision.U8_NON_LINEAR)
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, copy, Gio.File.new_for_path(path), None)
    copy.delete()


def case(wanted):
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(wanted["file"]))
    if wanted.get("grey"):
        image.convert_grayscale()
    if wanted.get("indexed"):
        image.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 64, False, False, "")
    if wanted.get("precision"):
        image.convert_precision(getattr(Gimp.Precision, wanted["precision"]))
    if wanted.get("selection"):
        image.select_rectangle(Gimp.ChannelOps.REPLACE, *wanted["selection"])
        Gimp.Selection.feather(image, wanted.get("feather", 0))
    write(image, wanted["out"] + ".before.png")
    found = {"layers": [], "memories": []}
    before = image.get_layers()
    for _ in range(1 + wanted.get("repeat", 0)):
        for layer in image.get_layers():
            if layer not in before:
                image.remove_layer(layer)
        procedure = Gimp.get_pdb().lookup_procedure("impasto-paint")
        config = procedure.create_config()
        config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
        config.set_property("image", image)
        for name in ("style", "quality", "address", "token"):
            if name in wanted:
                config.set_property(name, wanted[name])
        answer = procedure.run(config)
        found["status"] = answer.index(0).value_nick
        found["said"] = "" if answer.index(0) == Gimp.PDBStatusType.SUCCESS else Gimp.get_pdb().get_last_error()
        found["memories"].append(memory())
    found["layers"] = [[layer.get_name(), *layer.get_offsets()[1:], layer.get_width(), layer.get_height()] for layer in image.get_layers()]
    found["precision"] = image.get_precision().value_nick
    if wanted.get("alone"):
        image.get_layers()[-1].set_visible(False)
    write(image, wanted["out"])
    image.delete()
    return found


def main():
    cases = json.loads(Path(PATH).read_text())
    found = []
    for wanted in cases:
        try:
            found.append(case(wanted))
        except BaseException:
            found.append({"error": traceback.format_exc()})
    Path(f"{PATH}.found").write_text(json.dumps(found, indent=1))


main()
