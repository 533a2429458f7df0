"""What programs that paint over the API rely on: sizes, choices, selections, depths, names in messages, and a stop within a second."""

import base64
import io
import time

import cv2
import numpy as np
import psutil
import pytest
from PIL import Image, ImageDraw

import impasto
from tests.conftest import scene
from tests.studio.conftest import as_file, ended, keep, sentence
from tests.studio.test_api import asked, painted


def ellipse(size):
    """A selection with hard edges, as bytes of a PNG, and its values in [0, 1]."""
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).ellipse((size[0] // 4, size[1] // 4, size[0] * 3 // 4, size[1] * 3 // 4), fill=255)
    return as_file(mask), np.asarray(mask) / 255


def levels(picture):
    """A picture in grey levels of 255."""
    return np.asarray(picture.convert("RGB")).astype(int)


def pixels_of_job(client, body):
    job = ended(client, client.post("/api/jobs/photo", json=body).json()["id"])
    assert job["state"] == "done", job
    return client.get(f"/api/jobs/{job['id']}/files/0").content


# Sizes.


@pytest.mark.parametrize(("size", "expected"), [(0, (700, 420)), (None, (512, 307)), (600, (600, 360)), (1024, (700, 420))])
def test_a_draft_has_the_size_that_is_asked_for(client, size, expected):
    answer = client.post("/api/stylize", json=asked(keep(client, scene(700, 420)), quality="draft", size=size))
    assert painted(answer).size == expected


def test_a_draft_of_all_pixels_of_a_large_photo_is_a_job(client):
    photo = keep(client, scene(1300, 900))
    answer = client.post("/api/stylize", json=asked(photo, quality="draft", size=0))
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/jobs/{answer.json()['id']}"
    job = ended(client, answer.json()["id"])
    assert job["size"] == [900, 1300]
    assert painted(client.get(f"/api/jobs/{job['id']}/files/0")).size == (1300, 900)


@pytest.mark.parametrize("size", [0, 300])
def test_drafts_and_jobs_are_what_the_command_line_paints(client, tmp_path, size):
    photo = scene(1030, 640)  # larger than the copy that the page shows
    photo.save(tmp_path / "photo.png")
    controls = impasto.Controls(quality="draft", size=size)
    impasto.stylize(tmp_path / "photo.png", "dusk", output=tmp_path / "out.png", controls=controls)
    expected = levels(Image.open(tmp_path / "out.png"))
    body = asked(keep(client, photo), quality="draft", size=size)
    assert abs(levels(Image.open(io.BytesIO(pixels_of_job(client, body)))) - expected).max() <= 1
    if size:
        assert abs(levels(painted(client.post("/api/stylize", json=body))) - expected).max() <= 1


# Depths.


@pytest.mark.parametrize(("kind", "bits"), [("png", 16), ("tif", 16), ("jpg", 8), ("webp", 8)])
@pytest.mark.parametrize("whole", [False, True])
def test_sixteen_bits_come_back_where_the_format_holds_them(client, kind, bits, whole):
    across, down = np.meshgrid(np.linspace(0, 1, 96), np.linspace(0.2, 0.8, 64))
    photo = np.stack([across, down, 1 - across], -1)
    sent = cv2.imencode(".png", (photo[:, :, ::-1] * 65535).round().astype(np.uint16))[1].tobytes()
    key = client.post("/api/pictures?name=deep.png", content=sent).json()["id"]
    mask = np.zeros((64, 96), np.uint8)
    mask[:, 48:] = 255
    selection = {} if whole else {"selection": keep(client, Image.fromarray(mask), "mask.png")}
    body = asked(key, quality="draft", size=0, format=kind, **selection)
    answer = client.post("/api/stylize", json=body)
    assert answer.status_code == 200, answer.text
    made = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) for data in (answer.content, pixels_of_job(client, body))]
    for picture in made:
        assert picture.dtype == (np.uint16 if bits == 16 else np.uint8)
        assert picture.shape == (64, 96, 3)
        if bits == 16:
            assert len(np.unique(picture)) > 1000, "not eight bits in sixteen"
            if not whole:
                off = abs(picture[:, :48, ::-1] / 65535 - photo[:, :48])
                assert off.max() < 2 / 65535, "outside of the selection the photo stays to its last bit"


# Choices.


@pytest.mark.parametrize(
    ("control", "value", "words"),
    [("quality", "finest", "did you mean fine? there are auto, draft, fine, best"), ("stabilize", "always", "auto, none, student, flow"),
     ("keep_color", "lumma", "did you mean luma?"), ("method", "magic", "there is no method 'magic'")],
)  # fmt: skip
@pytest.mark.parametrize("address", ["stylize", "jobs/photo", "command"])
def test_a_choice_that_there_is_not_is_refused_at_once(client, address, control, value, words):
    before = len(client.get("/api/jobs").json())
    body = asked(keep(client), **{control: value})
    assert words in sentence(client.post(f"/api/{address}", json=body), 422)
    assert len(client.get("/api/jobs").json()) == before, "nothing was queued"


# Selections.


@pytest.mark.parametrize("sent", ["inline", "upload"])
def test_only_the_selection_is_painted(client, sent):
    photo = scene(160, 120)
    mask, share = ellipse((160, 120))
    selection = f"data:image/png;base64,{base64.b64encode(mask).decode()}"
    if sent == "upload":
        selection = client.post("/api/pictures?name=mask.png", content=mask).json()["id"]
    key = keep(client, photo)
    whole = levels(painted(client.post("/api/stylize", json=asked(key, quality="draft", size=0))))
    part = levels(painted(client.post("/api/stylize", json=asked(key, quality="draft", size=0, selection=selection))))
    expected = levels(photo) + share[:, :, None] * (whole - levels(photo))
    assert abs(part - expected).max() <= 1
    assert abs(whole - levels(photo))[share > 0].mean() > 10, "something was painted"
    job = levels(Image.open(io.BytesIO(pixels_of_job(client, asked(key, quality="draft", size=0, selection=selection)))))
    assert abs(job - part).max() <= 1


def test_soft_edges_of_a_selection_stay_soft(client):
    photo, ramp = scene(128, 64), np.tile(np.linspace(0, 255, 128).round().astype(np.uint8), (64, 1))
    key = keep(client, photo)
    selection = keep(client, Image.fromarray(ramp), "ramp.png")
    whole = levels(painted(client.post("/api/stylize", json=asked(key, quality="draft", size=0))))
    part = levels(painted(client.post("/api/stylize", json=asked(key, quality="draft", size=0, selection=selection))))
    expected = levels(photo) + ramp[:, :, None] / 255 * (whole - levels(photo))
    assert abs(part - expected).max() <= 1


WRONG_SELECTIONS = {
    "another shape": (lambda client: keep(client, scene(64, 200), "mask.png"), "mask.png has 64x200 pixels"),
    "no base64": (lambda client: "data:image/png;base64,!!", "data:image/png;base64"),
    "another kind": (lambda client: "data:image/webp;base64,AAAA", "data:image/png;base64"),
    "no picture": (lambda client: "data:image/png;base64," + base64.b64encode(b"words").decode(), "selection.png is not a picture"),
}


@pytest.mark.parametrize("name", WRONG_SELECTIONS)
def test_a_wrong_selection_is_refused(client, name):
    make, words = WRONG_SELECTIONS[name]
    body = asked(keep(client), quality="draft", selection=make(client))
    assert words in sentence(client.post("/api/stylize", json=body), 422)


def test_a_selection_has_no_command_line(client):
    body = asked(keep(client), selection=keep(client, scene(96, 64), "mask.png"))
    assert "the command line has none" in sentence(client.post("/api/command", json=body), 422)


# Names in messages.


@pytest.mark.parametrize("preview", [False, True])
def test_messages_call_a_photo_as_it_was_sent(client, preview):
    key = keep(client, scene(400, 5), "my strip.png")
    said = sentence(client.post("/api/stylize", json=asked(key, quality="draft", preview=preview)), 422)
    assert said.startswith("my strip.png")
    job = ended(client, client.post("/api/jobs/photo", json=asked(key, quality="draft")).json()["id"])
    assert job["state"] == "failed"
    assert job["error"].startswith("my strip.png")


# A stop.


def test_a_large_draft_is_cancelled_within_a_second(client):
    photo = keep(client, scene(2600, 2000))
    job = client.post("/api/jobs/photo", json=asked(photo, quality="draft", size=0)).json()["id"]
    end = time.monotonic() + 60
    while client.get(f"/api/jobs/{job}").json()["state"] != "running" and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(0.5)
    began = time.monotonic()
    client.post(f"/api/jobs/{job}/cancel")
    found = ended(client, job)
    assert found["state"] == "cancelled", found
    assert time.monotonic() - began < 1.5, "seconds; one is promised, and tests run beside others"
    again = ended(client, client.post("/api/jobs/photo", json=asked(keep(client), quality="draft")).json()["id"])
    assert again["state"] == "done", "the next one is painted"


def test_ten_images_take_no_more_memory(client):
    """Of the studio's process and those that paint for it."""
    taken = []
    for number in range(14):
        photo = keep(client, scene(700, 500 + 4 * (number % 2)))
        body = asked(photo, quality="draft", size=0)
        assert client.post("/api/stylize", json=body).status_code == 200
        job = ended(client, client.post("/api/jobs/photo", json=body).json()["id"])
        assert job["state"] == "done", job
        client.delete(f"/api/jobs/{job['id']}")
        client.delete(f"/api/pictures/{photo}")
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
        taken.append(sum(process.memory_info().rss for process in processes if process.is_running()))
    assert np.median(taken[-5:]) - np.median(taken[2:7]) < 80e6, [round(value / 1e6) for value in taken]
