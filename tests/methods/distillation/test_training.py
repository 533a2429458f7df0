"""Teacher and student learn what they are meant to, go on where they stopped, and say what is missing."""

import copy
from dataclasses import replace

import pytest
import torch

from impasto.errors import InputError
from impasto.methods.distillation.calibration import calibrated, gradient_norms
from impasto.methods.distillation.student_training import StudentLearner, rate_at, train_student
from impasto.methods.distillation.teacher_training import TeacherLearner, train_teacher
from impasto.methods.distillation.training_settings import STUDENT_PRESETS, StudentTraining, TeacherTraining
from impasto.motion.temporal import temporal_loss
from tests.methods.distillation.conftest import CPU

QUICK = StudentTraining(steps=3, length=3, crop=64)
TAUGHT = TeacherTraining(steps=6, crop=64, unroll=((0.0, 1), (0.5, 2)))


def drawn(moving, length=3, seed=5):
    return moving.draw(length, 64, torch.Generator().manual_seed(seed))


@torch.no_grad()
def apart(student, clip):
    return float(temporal_loss(student(clip.frames), clip.backward, clip.backward_traced))


def test_calibrated_weights_give_each_term_its_share_of_the_gradient(student, teacher, loss, style, moving):
    settings = replace(QUICK, terms={"residual": 1.0, "rank": 0.25, "temporal": 0.5, "vanilla": 2.0, "output": 0.1, "feature": 0.1})
    terms, painted = StudentLearner(student, teacher, loss, style, settings, CPU).terms(drawn(moving))
    assert set(terms) == {"perceptual", "residual", "rank", "temporal", "vanilla", "output", "feature"}
    norms = gradient_norms(terms, painted)
    weights = calibrated(norms, settings.terms)
    for name in ("residual", "rank", "temporal", "vanilla", "output"):
        (gradient,) = torch.autograd.grad(weights[name] * terms[name], painted, retain_graph=True)
        assert float(gradient.square().mean().sqrt()) == pytest.approx(settings.terms[name] * norms["perceptual"], rel=1e-3)
    assert weights["feature"] == 0  # the feature map lies before the picture: no gradient to calibrate by


def test_a_student_becomes_steadier(student, loss, style, moving):
    settings = replace(QUICK, steps=25, terms={"temporal": 10.0}, learning_rate=3e-3)
    clip = drawn(moving, seed=77)
    before = apart(student, clip)
    weights = train_student(student, None, loss, style, moving, settings, place=CPU)
    assert weights["temporal"] > 0
    assert apart(student, clip) < 0.8 * before


def test_a_student_goes_on_where_it_stopped(student, teacher, loss, style, moving, tmp_path):
    whole, parts = copy.deepcopy(student), copy.deepcopy(student)
    train_student(whole, teacher, loss, style, moving, QUICK, place=CPU)
    checkpoint = tmp_path / "student.checkpoint"

    def stop(event):
        if event.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_student(parts, teacher, loss, style, moving, QUICK, place=CPU, checkpoint=checkpoint, listener=stop)
    again = copy.deepcopy(student)
    train_student(again, teacher, loss, style, moving, QUICK, place=CPU, checkpoint=checkpoint)
    torch.testing.assert_close(again.last.weight, whole.last.weight, atol=1e-5, rtol=0)
    with pytest.raises(InputError, match="other settings"):
        train_student(again, teacher, loss, style, moving, replace(QUICK, length=2), place=CPU, checkpoint=checkpoint)


def test_the_vanilla_student_is_not_moved_by_the_residual_alone_when_the_teacher_is_blind(student, teacher, loss, style, moving):
    """A teacher that does not look at the frame before has no residual, and so nothing to teach."""
    with torch.no_grad():
        teacher.down[0].convolution.weight[:, 3:].zero_()
    settings = replace(QUICK, terms={"residual": 1.0})
    terms, _ = StudentLearner(student, teacher, loss, style, settings, CPU).terms(drawn(moving))
    assert terms["residual"].item() < 1e-8


def test_the_frames_of_a_teacher_hang_together(teacher, loss, style, moving):
    terms, _ = TeacherLearner(teacher, loss, style, CPU).terms(drawn(moving))
    assert set(terms) == {"perceptual", "temporal"}
    terms, _ = TeacherLearner(teacher, loss, style, CPU).terms(drawn(moving, length=1))
    assert set(terms) == {"perceptual"}


def test_a_teacher_learns_to_look_at_the_frame_before(teacher, loss, style, moving, pictures, tmp_path):
    with torch.no_grad():
        teacher.down[0].convolution.weight[:, 3:].zero_()
    seen = []
    weight = train_teacher(
        teacher,
        loss,
        style,
        None,
        moving,
        pictures,
        replace(TAUGHT, still=0.0),
        place=CPU,
        checkpoint=tmp_path / "teacher.checkpoint",
        listener=seen.append,
    )
    assert weight > 0
    assert [event.step for event in seen] == [1, 2, 3, 4, 5, 6]
    assert teacher.down[0].convolution.weight[:, 3:].abs().max() > 0


def test_more_frames_come_before_late_in_a_training():
    settings = TeacherTraining(steps=100)
    assert [settings.frames_before(step) for step in (0, 54, 56, 66, 68, 99)] == [1, 1, 2, 2, 4, 4]


def test_the_published_rate_falls_in_steps_to_a_tenth():
    settings = STUDENT_PRESETS["published"]
    assert rate_at(settings, 0) == 1
    assert rate_at(settings, 500) == pytest.approx(1 / 1.2)
    assert rate_at(settings, 19_999) == 0.1
    assert rate_at(QUICK, 0) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"terms": {"flow": 1.0}}, "no term 'flow'"),
        ({"rank_mode": "schatten"}, "no rank mode 'schatten'"),
        ({"rank_of": "flow"}, "no rank of 'flow'"),
        ({"length": 1}, "length is a number from 2 on"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        replace(QUICK, **changes)


def test_without_a_teacher_its_terms_are_refused(student, loss, style, moving):
    with pytest.raises(InputError, match="need a teacher"):
        train_student(student, None, loss, style, moving, QUICK, place=CPU)
    with pytest.raises(InputError, match="what moves"):
        replace(TAUGHT, film=0.0, moving=0.0)
