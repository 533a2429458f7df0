"""Jobs outlive pages and programs, are stopped when asked, take turns, and tell of themselves."""

import json
import threading
import time
from dataclasses import replace

import psutil
import pytest

pytest.importorskip("fastapi", reason="the studio needs its extra")

from impasto.errors import InputError
from impasto.studio import painter
from impasto.studio.jobs import LONG, SOON, BusyError, Jobs
from tests.studio import works


def make(job, folder):
    """The work that a job asks for."""
    name, *arguments = job.asked["work"]
    if name == "count":
        arguments = [str(folder / "count"), *arguments]
    return getattr(works, name), tuple(arguments)


def close(job, made):
    return replace(job, note=made)


@pytest.fixture
def jobs(tmp_path):
    told = []
    found = Jobs(tmp_path / "jobs", {"test": (make, close)}, most=4, on_change=lambda owner, key: told.append((owner, key)))
    found.told = told
    found.start()
    yield found
    found.close()


def add(jobs, *work, owner="me", lane=LONG):
    return jobs.add(owner, "test", "a test", {"work": work}, lane=lane).id


def wait(jobs, key, *states, owner="me", seconds=30):
    end = time.monotonic() + seconds
    while (job := jobs.find(owner, key)).state not in states:
        assert time.monotonic() < end, job
        time.sleep(0.01)
    return job


def test_a_job_is_done_and_tells_of_its_steps(jobs):
    key = add(jobs, "count", 5, 0.15)
    job = wait(jobs, key, "done")
    assert job.note == "0 to 5"
    assert (job.step, job.total) == (5, 5)
    assert job.curve[0] == (1, 1.0)
    assert job.seconds > 0.6
    assert ("me", key) in jobs.told


def test_a_job_that_fails_says_why(jobs):
    assert wait(jobs, add(jobs, "fail"), "failed").error == "that is not a picture"
    assert wait(jobs, add(jobs, "stumble"), "failed").error == "something went wrong (RuntimeError: boom)"


def test_a_process_that_dies_costs_its_job_alone(jobs):
    assert "memory" in wait(jobs, add(jobs, "die"), "failed").error
    assert wait(jobs, add(jobs, "count", 1, 0), "done").note == "0 to 1"


def test_a_job_is_paused_and_resumed(jobs):
    key = add(jobs, "count", 40, 0.02)
    while jobs.find("me", key).step < 3:
        time.sleep(0.01)
    jobs.pause("me", key)
    job = wait(jobs, key, "paused")
    assert 0 < job.step < 40
    jobs.resume("me", key)
    done = wait(jobs, key, "done")
    assert done.note == f"{int(done.note.split()[0])} to 40"
    assert int(done.note.split()[0]) >= job.step
    assert done.seconds > job.seconds
    with pytest.raises(InputError, match="done cannot be resumed"):
        jobs.resume("me", key)


def test_a_job_is_cancelled_at_work_and_before(jobs):
    first, second = add(jobs, "count", 1000, 0.02), add(jobs, "count", 1, 0)
    wait(jobs, first, "running")
    assert jobs.cancel("me", second).state == "cancelled"
    jobs.cancel("me", first)
    wait(jobs, first, "cancelled")
    assert jobs.find("me", second).state == "cancelled"
    jobs.remove("me", second)
    with pytest.raises(InputError, match="no such job"):
        jobs.find("me", second)
    assert not jobs.folder(second).exists()


def test_work_that_does_not_stop_is_ended(jobs, monkeypatch):
    monkeypatch.setattr(painter, "_PATIENCE", 0.3)
    key = add(jobs, "deaf")
    wait(jobs, key, "running")
    jobs.cancel("me", key)
    wait(jobs, key, "cancelled", seconds=15)
    wait(jobs, add(jobs, "count", 1, 0), "done")


def test_jobs_survive_the_program(tmp_path):
    first = Jobs(tmp_path / "jobs", {"test": (make, close)}, most=4)
    first.start()
    key, waiting = add(first, "count", 60, 0.02), add(first, "count", 2, 0)
    while first.find("me", key).step < 3:
        time.sleep(0.01)
    first.close()
    second = Jobs(tmp_path / "jobs", {"test": (make, close)}, most=4)
    second.start()
    done = wait(second, key, "done")
    assert int(done.note.split()[0]) >= 3, "it was begun anew instead of resumed"
    assert wait(second, waiting, "done").note == "0 to 2"
    second.close()
    third = Jobs(tmp_path / "jobs", {"test": (make, close)}, most=4)
    third.start()
    assert third.find("me", key).state == "done"
    third.close()


def test_a_program_that_was_killed_leaves_its_job_to_the_next(tmp_path):
    folder = tmp_path / "jobs" / ("a" * 32)
    folder.mkdir(parents=True)
    jobs = Jobs(tmp_path / "jobs", {"test": (make, close)}, most=4)
    job = replace(_job(jobs, tmp_path), id="a" * 32, state="running")
    (folder / "job.json").write_text(json.dumps(job.__dict__))
    (tmp_path / "jobs/broken").mkdir()
    (tmp_path / "jobs/broken/job.json").write_text("{")
    jobs.start()
    assert wait(jobs, "a" * 32, "done").note == "0 to 1"
    jobs.close()


def _job(jobs, tmp_path):
    return jobs._jobs[add(jobs, "count", 1, 0)]


def test_owners_see_their_own_jobs_alone(jobs):
    key = add(jobs, "count", 1, 0)
    for act in (jobs.find, jobs.cancel, jobs.pause, jobs.resume, jobs.remove):
        with pytest.raises(InputError, match="no such job"):
            act("somebody else", key)
    assert jobs.all("somebody else") == []
    assert [job.id for job in jobs.all("me")] == [key]


def test_owners_take_turns(jobs):
    blocking = add(jobs, "count", 20, 0.02, owner="greedy")
    wait(jobs, blocking, "running", owner="greedy")
    greedy = [add(jobs, "count", 1, 0, owner="greedy") for _ in range(3)]
    modest = add(jobs, "count", 1, 0, owner="modest")
    ended = wait(jobs, modest, "done", owner="modest").ended
    last = wait(jobs, greedy[-1], "done", owner="greedy").ended
    assert ended < last, "who asked for one job waited for all of somebody else's"


def test_there_is_an_end_to_what_may_wait(jobs):
    keys = [add(jobs, "count", 1000, 0.02) for _ in range(4)]
    with pytest.raises(BusyError, match="4 jobs of yours"):
        add(jobs, "count", 1, 0)
    add(jobs, "count", 1, 0, owner="somebody else")
    for key in keys:
        jobs.cancel("me", key)


def test_long_work_sleeps_while_somebody_waits(jobs):
    long = add(jobs, "count", 10_000, 0.005)
    while jobs.find("me", long).step < 3:
        time.sleep(0.01)
    soon = add(jobs, "count", 10, 0.1, lane=SOON)
    wait(jobs, soon, "running")
    process = psutil.Process(jobs._painters[LONG]._process.pid)
    time.sleep(0.3)
    assert process.status() == psutil.STATUS_STOPPED
    assert jobs.find("me", soon).state == "running"
    wait(jobs, soon, "done")
    time.sleep(0.2)
    assert process.status() != psutil.STATUS_STOPPED
    before = jobs.find("me", long).step
    with jobs.quiet():
        time.sleep(0.2)
        assert process.status() == psutil.STATUS_STOPPED
    time.sleep(0.3)
    assert jobs.find("me", long).step > before
    jobs.cancel("me", long)
    wait(jobs, long, "cancelled")


def test_long_work_goes_on_under_load(jobs, monkeypatch):
    monkeypatch.setattr(painter, "_LONGEST_SLEEP", 0.5)
    monkeypatch.setattr(painter, "_LEAST_AWAKE", 0.5)
    long = add(jobs, "count", 10_000, 0.005)
    while jobs.find("me", long).step < 3:
        time.sleep(0.01)
    before, end, step = jobs.find("me", long).step, time.monotonic() + 3, threading.Event()

    def ask():
        while time.monotonic() < end:
            with jobs.quiet():
                step.wait(0.05)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert jobs.find("me", long).step > before + 20, "somebody always waited, and the job never worked"
    jobs.cancel("me", long)
    wait(jobs, long, "cancelled")


def test_old_jobs_are_forgotten(jobs):
    key = add(jobs, "count", 1, 0)
    wait(jobs, key, "done")
    jobs.clean(1)
    assert jobs.find("me", key)
    time.sleep(0.05)
    jobs.clean(0)
    assert jobs.all("me") == []


def test_nothing_is_left_when_the_studio_ends(tmp_path):
    before = {thread.name for thread in threading.enumerate()}
    jobs = Jobs(tmp_path / "jobs", {"test": (make, close)}, most=4)
    jobs.start()
    wait(jobs, add(jobs, "count", 1, 0), "done")
    process = jobs._painters[LONG]._process
    jobs.close()
    assert not process.is_alive()
    assert {thread.name for thread in threading.enumerate()} <= before
