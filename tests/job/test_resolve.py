"""Every decision of a job, as a table: nothing is opened, and nothing is built."""

import pytest

from impasto.errors import InputError
from impasto.job.resolve import StyleFact, resolve
from impasto.methods.table import methods
from impasto.settings import Controls

PICTURE = StyleFact("sea")
LEARNED, STEADY = StyleFact("dusk", "metastyle"), StyleFact("steady", "metastyle", steady=True)
STUDENT, TEACHER = StyleFact("pupil", "distillation", steady=True), StyleFact("master", "distillation")
KEPT, BARE = StyleFact("kept", "gatys"), StyleFact("old", "metastyle", finishable=False)


@pytest.mark.parametrize(
    ("styles", "kind", "asked", "method"),
    [
        ([PICTURE], "pictures", {}, "semantic"),
        ([PICTURE], "regions", {}, "semantic"),
        ([PICTURE], "shares", {}, "solver"),
        ([PICTURE], "pictures", {"method": "gatys"}, "gatys"),
        ([LEARNED], "pictures", {}, "metastyle"),
        ([LEARNED, PICTURE], "pictures", {}, "metastyle"),
        ([STUDENT], "pictures", {}, "distillation"),
        ([KEPT], "pictures", {}, "gatys"),
        ([PICTURE], "pictures", {"options": {"steps": 3}}, "metastyle"),
        ([PICTURE], "pictures", {"options": {"passes": 3}}, "solver"),
        ([PICTURE], "pictures", {"options": {"iterations": 3}}, "gatys"),
        ([PICTURE], "pictures", {"options": {"smoothness": 3.0}}, "doodle"),
        ([PICTURE], "regions", {"options": {"iterations": 3}}, "gatys"),
        ([PICTURE], "pictures", {"options": {"detail": 0.3}}, "semantic"),
    ],
)
def test_the_method(styles, kind, asked, method):
    decision = resolve(Controls(**asked), styles, methods(), kind=kind)
    assert decision.method.name == decision.controls.method == method


@pytest.mark.parametrize(
    ("style", "asked", "film", "options"),
    [
        (PICTURE, {}, "alone", {"film": True}),
        (PICTURE, {"stabilize": "none"}, "frames", None),
        (PICTURE, {"stabilize": "flow"}, "flow", None),
        (LEARNED, {}, "flow", None),
        (STEADY, {}, "alone", {"film": True}),
        (STEADY, {"stabilize": "flow"}, "flow", {"film": True}),
        (STEADY, {"stabilize": "none"}, "frames", {"film": True}),
        (STUDENT, {}, "alone", None),
        (TEACHER, {}, "flow", None),
        (TEACHER, {"stabilize": "none"}, "frames", None),
        (PICTURE, {"method": "solver"}, "flow", None),
        (PICTURE, {"method": "solver", "stabilize": "none"}, "alone", {"consistency": 0.0}),
        (PICTURE, {"method": "semantic"}, "frames", None),
        (PICTURE, {"method": "semantic", "stabilize": "flow"}, "flow", None),
    ],
)
def test_how_films_are_stabilised(style, asked, film, options):
    decision = resolve(Controls(**asked), [style], methods(), moving=True)
    assert decision.film == film
    assert (decision.controls.options or None) == options
    assert not resolve(Controls(method=asked.get("method", "auto")), [style], methods()).controls.options


@pytest.mark.parametrize(
    ("style", "asked", "moving", "backend"),
    [
        (LEARNED, {}, False, "torch"),
        (LEARNED, {}, True, "auto"),
        (LEARNED, {"precision": "int8"}, False, "auto"),
        (LEARNED, {"backend": "onnx"}, False, "onnx"),
        (PICTURE, {"method": "solver"}, False, "torch"),
    ],
)
def test_another_engine_is_tried_by_itself_only_where_many_pictures_are_painted(style, asked, moving, backend):
    assert resolve(Controls(**asked), [style], methods(), moving=moving).controls.backend == backend


@pytest.mark.parametrize("asked", [{"backend": "openvino"}, {"precision": "int8"}])
def test_engines_are_for_learned_networks(asked):
    with pytest.raises(InputError, match="is for learned networks, and solver paints otherwise"):
        resolve(Controls(method="solver", **asked), [PICTURE], methods())
    with pytest.raises(InputError, match="no backend 'tvm'"):
        resolve(Controls(backend="tvm"), [LEARNED], methods())


@pytest.mark.parametrize(
    ("style", "asked", "about", "quality"),
    [
        (PICTURE, {}, {}, "fine"),
        (PICTURE, {}, {"moving": True}, "draft"),
        (PICTURE, {}, {"live": True}, "draft"),
        (PICTURE, {"quality": "fine"}, {"moving": True}, "fine"),
        (PICTURE, {"quality": "best"}, {}, "best"),
        (PICTURE, {"method": "gatys"}, {}, "draft"),
        (PICTURE, {"options": {"photoreal": 50.0}}, {}, "draft"),
        (LEARNED, {}, {}, "fine"),
        (BARE, {}, {}, "draft"),
        (BARE, {"quality": "fine"}, {}, "draft"),
    ],
)
def test_how_much_work_a_picture_is(style, asked, about, quality):
    decision = resolve(Controls(**asked), [style], methods(), **about)
    assert decision.quality == quality
    assert bool(decision.remark) == (style is BARE)


def test_films_in_the_style_of_a_picture_are_painted_by_a_network():
    assert resolve(Controls(), [PICTURE], methods(), moving=True).method.name == "metastyle"
    assert resolve(Controls(), [PICTURE], methods(), moving=True, kind="shares").method.name == "solver"


@pytest.mark.parametrize(
    ("styles", "about", "asked", "sentence"),
    [
        ([PICTURE], {}, {"method": "solvr"}, "did you mean solver"),
        ([LEARNED, STUDENT], {}, {}, "need different methods"),
        ([LEARNED], {}, {"method": "gatys"}, "dusk is a trained style of metastyle; gatys needs the picture"),
        ([LEARNED], {}, {"options": {"iterations": 3}}, "--iterations belongs to --method gatys or doodle, and dusk is a trained style"),
        ([PICTURE], {}, {"options": {"iterations": 3, "passes": 2}}, "no method has all of these"),
        ([PICTURE], {}, {"options": {"iteratoins": 3}}, "did you mean iterations"),
        ([PICTURE], {}, {"options": {"size": 3, "x": 1}}, "size is a control of all methods|no method has"),
        ([PICTURE], {}, {"method": "gatys", "options": {"iterations": 0}}, "at least one iteration"),
        ([PICTURE], {"kind": "shares"}, {"method": "gatys"}, "gatys needs a mask of each style picture too; --method solver"),
        ([PICTURE], {"films": False}, {"stabilize": "flow"}, "--stabilize is for films"),
        ([PICTURE], {"films": False}, {"options": {"rate": 0.5}}, "--rate is for films"),
        ([PICTURE], {"photos": False}, {"memory": "4G"}, "--memory is for photos"),
        ([PICTURE], {"photos": False}, {"exact": True}, "--exact is for photos"),
        ([PICTURE], {}, {"quality": "good"}, "no quality 'good'; there are auto, draft, fine, best"),
        ([PICTURE], {}, {"quality": "fine", "method": "gatys"}, "gatys optimises the picture itself"),
        ([PICTURE], {}, {"quality": "best", "options": {"photoreal": 50.0}}, "--photoreal keeps the picture a photograph"),
        ([PICTURE], {}, {"stroke": 2.0, "style_size": 300}, "give one of them"),
        ([PICTURE], {}, {"stroke": 0.0}, "stroke goes from 0.05"),
        ([PICTURE], {"moving": True}, {"stabilize": "glue"}, "no way to stabilise films 'glue'"),
        ([PICTURE], {"moving": True}, {"method": "gatys", "stabilize": "student"}, "gatys has no student"),
        ([LEARNED], {"moving": True}, {"stabilize": "student"}, "has not learned to paint stable films"),
    ],
)
def test_what_cannot_be_is_said(styles, about, asked, sentence):
    with pytest.raises(InputError, match=sentence):
        resolve(Controls(**asked), styles, methods(), **about)
