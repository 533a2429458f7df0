"""Stops at any line: what is resumed equals what was never stopped, to the bit, and nothing half-written stays behind."""

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from impasto.events import Event
from impasto.interrupts import between_steps
from impasto.job.engine import run
from impasto.job.plan import plan
from impasto.media.animations import AnimationReader
from impasto.media.film_writer import FilmWriter
from impasto.media.images import read_picture
from impasto.media.videos import FilmReader
from impasto.methods.distillation.networks import VideoNetwork
from impasto.methods.distillation.student_training import train_student
from impasto.methods.distillation.teacher_training import train_teacher
from impasto.methods.distillation.training_settings import StudentTraining, TeacherTraining
from impasto.methods.johnson.training import train_johnson
from impasto.methods.johnson.training_settings import JohnsonTraining
from impasto.methods.metastyle.adaptation import adapt
from impasto.methods.metastyle.meta_training import meta_train
from impasto.methods.metastyle.settings import Adaptation
from impasto.methods.metastyle.training_settings import MetaTraining
from impasto.methods.semantic.training import train_decoder
from impasto.methods.semantic.training_settings import DecoderTraining
from impasto.methods.solver.training import train_solver
from impasto.methods.solver.training_settings import SolverTraining
from impasto.networks.style_network import StyleNetwork
from impasto.perception.loss import PerceptualLoss
from impasto.runtime.device import Place
from impasto.settings import Controls
from impasto.training import loop
from impasto.training.clips import MovingPictures
from impasto.training.data import PictureFolder, Pictures
from impasto.training.encoder import train_encoder
from impasto.training.encoder_settings import EncoderTraining
from impasto.training.settings import FittingSettings
from tests.conftest import random_encoder, scene
from tests.films import make_film
from tests.media.test_animations import animation

CPU = Place(torch.device("cpu"), torch.float32)


class Stop:
    """Raises KeyboardInterrupt at the n-th line of our own code that is reached, as an impatient user does."""

    def __init__(self, after):
        self.left = after
        self.owner = threading.get_ident()

    def __call__(self, frame, event, argument):
        if "/impasto/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self

    def __enter__(self):
        sys.settrace(self)
        return self

    def __exit__(self, *error):
        sys.settrace(None)


def lines_of(work):
    """How many lines of our code a piece of work takes."""
    counter = Stop(10**9)
    with counter:
        result = work()
    return 10**9 - counter.left, result


def pictures(count=4):
    generator = torch.Generator().manual_seed(0)
    return Pictures([torch.rand(3, 80, 96, generator=generator) for _ in range(count)])


def impasto_loss(encoder, preset="feedforward"):
    return PerceptualLoss(encoder, preset)


def adaptation(checkpoint, parameters="all"):
    torch.manual_seed(0)
    start, loss = StyleNetwork(4, 1), impasto_loss(random_encoder(4, 6, 8, 8))
    settings = Adaptation(FittingSettings(steps=4, crop=64, parameters=parameters), style_size=40)
    network, _ = adapt(start, loss, [torch.rand(1, 3, 40, 40)], settings, contents=pictures(), place=CPU, checkpoint=checkpoint)
    return network.state_dict()


def johnson(checkpoint):
    settings = JohnsonTraining(steps=4, batch=1, final_rate=0.1, crop=64, style_size=40, width=4)
    loss = impasto_loss(random_encoder(4, 6, 8, 8))
    style = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(1))
    return train_johnson(loss, [style], pictures(), settings, place=CPU, checkpoint=checkpoint)[0].state_dict()


def meta(checkpoint, order="second"):
    settings = MetaTraining(steps=4, crop=32, style_size=32, width=4, batch=1, styles=2, warmup=0, kept=3, inner_rate=0.05, order=order)
    loss = impasto_loss(random_encoder(4, 6, 8, 8))
    return meta_train(loss, pictures(), pictures(), settings, place=CPU, checkpoint=checkpoint).state_dict()


def solver(checkpoint, horizon="step"):
    encoder = random_encoder(4, 4, 6, 6, 6)
    settings = SolverTraining(steps=4, width=2, batch=1, crop=32, style_size=32, passes=3, horizon=horizon, warmup=1)
    loss = PerceptualLoss(encoder, settings.loss)
    return train_solver(loss, encoder, pictures(), pictures(), settings, place=CPU, checkpoint=checkpoint).state_dict()


def decoder(checkpoint):
    encoder = random_encoder(4, 4, 6, 6, 6)
    settings = DecoderTraining(steps=4, batch=1, crop=64, zoom=(1.0, 1.1), warmup=1)
    return train_decoder(
        PerceptualLoss(encoder, settings.loss), encoder, pictures(), pictures(), settings, place=CPU, checkpoint=checkpoint
    ).state_dict()


def teacher(checkpoint):
    torch.manual_seed(0)
    network, loss = VideoNetwork(4, 1), impasto_loss(random_encoder(4, 6, 8, 8))
    style = loss.style_target([torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(1))])
    settings = TeacherTraining(steps=4, crop=64, unroll=((0.0, 1),))
    train_teacher(network, loss, style, None, MovingPictures(pictures()), pictures(), settings, place=CPU, checkpoint=checkpoint)
    return network.state_dict()


def student(checkpoint):
    torch.manual_seed(0)
    network, loss = StyleNetwork(4, 1, grain=0.0), impasto_loss(random_encoder(4, 6, 8, 8))
    style = loss.style_target([torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(1))])
    settings = StudentTraining(steps=4, length=2, crop=64, terms={"temporal": 0.5})
    train_student(network, None, loss, style, MovingPictures(pictures()), settings, place=CPU, checkpoint=checkpoint)
    return network.state_dict()


def encoder_of(folder):
    def work(checkpoint):
        settings = EncoderTraining(channels=(2, 3, 4, 4, 4), steps=4, batch=1, crop=64, pool=4, paint_every=2, paint_steps=2)
        return train_encoder(random_encoder(4, 4, 6, 6, 6), [folder], [folder], settings=settings, checkpoint=checkpoint)[0].state_dict()

    return work


TRAININGS = {
    "adaptation": adaptation,
    "affine adaptation": lambda checkpoint: adaptation(checkpoint, "affine"),
    "johnson": johnson,
    "metastyle": meta,
    "metastyle, kept": lambda checkpoint: meta(checkpoint, "kept"),
    "solver": solver,
    "solver, whole": lambda checkpoint: solver(checkpoint, "whole"),
    "decoder": decoder,
    "teacher": teacher,
    "student": student,
    "encoder": None,
}


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_that_is_stopped_at_any_line_ends_in_the_same_bits(name, tmp_path, monkeypatch):
    """Checkpoints come at every second step here; stops fall on random lines, between steps and within them."""
    ticks = iter(range(10**9))
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 2 * 5.0)
    monkeypatch.setattr(loop.time, "monotonic", lambda: 5.0 * next(ticks) / 4)
    (tmp_path / "photos").mkdir()
    for number in range(3):
        scene(100 + 20 * number, 90).rotate(10 * number).save(tmp_path / "photos" / f"{number}.png")
    work = TRAININGS[name] or encoder_of(tmp_path / "photos")
    lines, whole = lines_of(lambda: work(tmp_path / "whole.checkpoint"))
    chance, stopped = random.Random(name), 0
    for attempt in range(3):
        checkpoint = tmp_path / f"{attempt}.checkpoint"
        for _ in range(2):
            try:
                with Stop(chance.randrange(lines // 4, lines)):
                    work(checkpoint)
            except KeyboardInterrupt:
                stopped += 1
        resumed = work(checkpoint)
        assert all(torch.equal(value, resumed[key]) for key, value in whole.items())
        assert not list(tmp_path.glob("*.part"))
    assert stopped


def frames_of(path):
    reader = FilmReader(path) if path.suffix in (".mp4", ".mkv") else AnimationReader(path)
    return [frame.bytes for frame in reader]


@pytest.mark.parametrize("kind", ["film", "frames", "animation"])
def test_a_film_that_is_stopped_at_any_line_is_resumed_to_the_same_frames(kind, tmp_path, monkeypatch):
    monkeypatch.setitem(FilmWriter.__init__.__kwdefaults__, "piece", 4)
    if kind == "film":
        source, name = make_film(tmp_path / "in.mp4", count=14), "out.mp4"
    elif kind == "animation":
        source, name = animation(tmp_path / "in.gif"), "out.gif"
    else:
        source, name = tmp_path / "in", "out"
        source.mkdir()
        for number in range(9):
            scene(64, 48).rotate(5 * number).save(source / f"{number}.png")

    def paint(folder):
        jobs = plan([source], folder / name, "x", frames=kind == "frames").jobs
        return run(lambda image, masks=None: 1 - image, jobs, Controls(size=0), CPU)

    def result(folder):
        output = folder / name
        return [read_picture(path).pixels.numpy() for path in sorted(output.glob("*.png"))] if output.is_dir() else frames_of(output)

    threads = set(threading.enumerate())
    lines, _ = lines_of(lambda: paint(tmp_path / "whole"))
    whole, chance = result(tmp_path / "whole"), random.Random(kind)
    for attempt in range(6):
        folder = tmp_path / str(attempt)
        try:
            with Stop(chance.randrange(lines // 4, lines)):
                summary = paint(folder)
            assert summary.interrupted or summary.painted, summary.failed
        except KeyboardInterrupt:
            pass
        assert set(threading.enumerate()) <= threads, "no thread is left"
        summary = paint(folder)
        assert summary.painted, summary.failed
        again = result(folder)
        assert len(again) == len(whole)
        assert max(np.abs(one.astype(float) - other.astype(float)).mean() for one, other in zip(whole, again, strict=True)) < 2
        assert sorted(path.name for path in folder.iterdir()) == [name], "nothing half-written stays"


def test_a_film_that_fails_keeps_its_frames_and_closes_its_threads(tmp_path):
    source, calls, threads = make_film(tmp_path / "in.mp4", count=30), [], set(threading.enumerate())

    def failing(image, *, masks=None):
        calls.append(1)
        if len(calls) == 18:
            raise RuntimeError("the device is gone")
        return image

    jobs = plan([source], tmp_path / "out.mp4", "x").jobs
    (failed,) = run(failing, jobs, Controls(size=0), CPU).failed
    assert "the device is gone" in str(failed.error)
    assert set(threading.enumerate()) <= threads
    steps = []
    assert run(failing, jobs, Controls(size=0), CPU, listener=lambda event: steps.append(event.step)).painted
    assert steps[0] == 18, "the seventeen frames that were painted are not painted again"
    assert len(frames_of(tmp_path / "out.mp4")) == 30


def test_a_disk_that_is_full_on_the_way_costs_no_frame(tmp_path, monkeypatch):
    source = make_film(tmp_path / "in.mp4", count=30)
    monkeypatch.setitem(FilmWriter.__init__.__kwdefaults__, "piece", 6)
    written, write = [], FilmWriter.write

    def full(self, picture, time, *, cut=False, duration=0):
        if len(written) == 20:
            raise OSError(28, "No space left on device")
        written.append(time)
        write(self, picture, time, cut=cut)

    monkeypatch.setattr(FilmWriter, "write", full)
    jobs = plan([source], tmp_path / "out.mp4", "x").jobs
    (failed,) = run(lambda image, masks=None: image, jobs, Controls(size=0), CPU).failed
    assert "No space left on device" in str(failed.error)
    monkeypatch.setattr(FilmWriter, "write", write)
    steps = []
    assert run(lambda image, masks=None: image, jobs, Controls(size=0), CPU, listener=lambda event: steps.append(event.step)).painted
    assert steps[0] == 21
    assert len(frames_of(tmp_path / "out.mp4")) == 30


def test_what_a_film_was_made_with_is_part_of_what_is_resumed(tmp_path):
    """Masks as well as styles: no film is half in one and half in another."""
    source, painted = make_film(tmp_path / "in.mp4", count=12), []

    def stop(event):
        if event.step == 5:
            raise KeyboardInterrupt

    def paint(masks, listener=lambda event: painted.append(event.step)):
        jobs = plan([source], tmp_path / "out.mp4", "x").jobs
        return run(lambda image, masks=None: image, jobs, Controls(size=0), CPU, masks=masks, listener=listener)

    one, other = torch.zeros(1, 1, 48, 64), torch.ones(1, 1, 48, 64)
    assert paint(one, stop).interrupted
    assert paint(other, stop).interrupted
    paint(other)
    assert painted[0] == 6
    painted.clear()
    assert paint(one, stop).interrupted
    paint(None)
    assert painted[0] == 1


def test_frames_of_another_style_that_lay_there_are_painted_anew(tmp_path):
    """A folder that holds frames in one style, a run in another that is stopped, and resumed: all are in the other one."""
    source = tmp_path / "in"
    source.mkdir()
    for number in range(8):
        scene(40, 40).save(source / f"{number}.png")
    jobs = plan([source], tmp_path / "out", "x", frames=True).jobs

    def stop(event):
        if event.step == 3:
            raise KeyboardInterrupt

    run(lambda image, masks=None: image * 0, jobs, Controls(size=0), CPU, identity="black")
    run(lambda image, masks=None: image * 0 + 1, jobs, Controls(size=0), CPU, identity="white", listener=stop)
    run(lambda image, masks=None: image * 0 + 1, jobs, Controls(size=0), CPU, identity="white")
    assert all(read_picture(path).pixels.min() == 1 for path in (tmp_path / "out").glob("*.png"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals for one process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_wait_for_the_end_of_a_step(number):
    before, told = signal.getsignal(number), []

    def work():
        with between_steps(told.append) as steps:
            os.kill(os.getpid(), number)
            time.sleep(0.01)
            with between_steps(told.append) as inner:  # nested ones share the request
                assert inner.asked
            steps(Event(1, 2, 0.0))
            raise AssertionError("a step after a stop")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert len(told) == 1
    assert signal.getsignal(number) is before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals for one process")
def test_a_second_signal_stops_at_once():
    def work():
        with between_steps():
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)
            raise AssertionError("it went on")

    with pytest.raises(KeyboardInterrupt):
        work()


def test_other_threads_are_left_alone():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with between_steps() as steps:
            steps(Event(1, 1, 0.0))
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_the_umask_is_kept_and_never_changed(tmp_path, monkeypatch):
    from impasto.files import atomic_file

    old = os.umask(0o027)
    try:
        monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was changed"))
        with atomic_file(tmp_path / "a.txt") as temporary:
            temporary.write_text("words")
    finally:
        monkeypatch.undo()
        os.umask(old)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_photos_that_cannot_be_read_are_left_out_counted_and_draw_the_same(tmp_path):
    for number in range(6):
        scene(60 + number, 50).rotate(20 * number).save(tmp_path / f"{number}.png")
    (tmp_path / "2.png").write_text("no picture")
    one, other = PictureFolder([tmp_path]), PictureFolder([tmp_path], memory=60 * 50 * 3)
    drawn = [one.draw(8, 32, torch.Generator().manual_seed(seed)) for seed in range(4)]
    again = [other.draw(8, 32, torch.Generator().manual_seed(seed)) for seed in range(4)]
    late = PictureFolder([tmp_path]).draw(8, 32, torch.Generator().manual_seed(3))
    assert all(torch.equal(a, b) for a, b in zip(drawn, again, strict=True))
    assert torch.equal(late, drawn[3])
    assert one.described("photographs") == "6 photographs (1 of them left out: they cannot be read)"
    assert len(other._decoded) <= 2, "memory is bounded"
    for path in Path(tmp_path).glob("*.png"):
        path.write_text("nothing")
    with pytest.raises(Exception, match="can be read"):
        PictureFolder([tmp_path]).draw(1, 32, torch.Generator())
