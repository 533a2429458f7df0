"""The API of the studio: the whole way of a photo, a film, a painting to learn, regions, and what is said when something is wrong."""

import io
import json
import re
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from impasto.media.videos import FilmReader
from tests.conftest import scene
from tests.films import make_film
from tests.studio.conftest import as_file, ended, keep, sentence, studio


def painted(answer):
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def asked(photo, style="dusk", **more):
    return {"photo": photo, "styles": [{"style": style}], **more}


def test_a_draft_comes_at_once(client):
    photo = keep(client)
    picture = painted(client.post("/api/stylize", json=asked(photo, quality="draft")))
    assert picture.size == (96, 64)
    other = painted(client.post("/api/stylize", json=asked(photo, quality="draft", strength=0.0)))
    assert picture.tobytes() != other.tobytes()
    assert painted(client.post("/api/stylize", json=asked(photo, quality="draft", format="jpg"))).format == "JPEG"


def test_a_draft_is_what_the_library_paints(client, tmp_path):
    import impasto

    scene(96, 64).save(tmp_path / "photo.png")
    impasto.stylize(tmp_path / "photo.png", "dusk", output=tmp_path / "out.png", controls=impasto.Controls(quality="draft", size=512))
    draft = painted(client.post("/api/stylize", json=asked(keep(client), quality="draft")))
    assert draft.tobytes() == Image.open(tmp_path / "out.png").tobytes()


def test_a_fine_picture_is_a_job(client):
    answer = client.post("/api/stylize", json=asked(keep(client, name="my photo.png"), size=64))
    assert answer.status_code == 202
    job = answer.json()
    assert job["state"] in ("queued", "running")
    assert job["lane"] == "soon"
    job = ended(client, job["id"])
    assert job["state"] == "done", job
    assert job["files"] == ["my photo-dusk.png"]
    assert job["previews"] > 0
    assert client.get(f"/api/jobs/{job['id']}/preview").headers["content-type"] == "image/jpeg"
    assert painted(client.get(f"/api/jobs/{job['id']}/files/0")).size == (64, 43)
    kept = client.get(f"/api/jobs/{job['id']}/files/0", params={"download": True})
    assert kept.headers["content-disposition"].startswith("attachment")
    said = client.get(f"/api/jobs/{job['id']}/events").text
    assert said.startswith("event: job")
    assert json.loads(said.split("data: ")[1].split("\n")[0])["state"] == "done"
    assert client.delete(f"/api/jobs/{job['id']}").status_code == 204
    assert "no such job" in sentence(client.get(f"/api/jobs/{job['id']}"), 404)
    assert not (client.home / "home/studio/jobs" / job["id"]).exists()


def test_several_styles_and_masks(client):
    mask = Image.new("L", (96, 64), 0)
    mask.paste(255, (0, 0, 48, 64))
    photo, where = keep(client), keep(client, mask, "where.png")
    styles = [{"style": "dusk", "weight": 0.3}, {"style": "woodcut", "weight": 0.7}]
    mixed = painted(client.post("/api/stylize", json={"photo": photo, "styles": styles, "quality": "draft"}))
    alone = painted(client.post("/api/stylize", json=asked(photo, quality="draft")))
    assert mixed.tobytes() != alone.tobytes()
    picture = keep(client, scene(80, 64).rotate(90, expand=True), "painting.png")
    styles = [{"style": f"picture:{picture}"}, {"style": f"picture:{keep(client, scene(64, 64).rotate(180), 'other.png')}"}]
    answer = client.post("/api/stylize", json={"photo": photo, "styles": styles, "masks": [where], "quality": "draft"})
    assert painted(answer).size == (96, 64)


def test_regions_are_found_and_painted(client):
    photo, style = keep(client), keep(client, scene(80, 64).rotate(180), "painting.png")
    styles = [{"style": f"picture:{style}"}]
    answer = client.post("/api/regions", json={"photo": photo, "styles": styles, "count": 3})
    assert answer.status_code == 202, answer.text
    job = ended(client, answer.json()["id"])
    assert job["state"] == "done", job
    maps = [painted(client.get(f"/api/jobs/{job['id']}/files/{number}")) for number in range(2)]
    assert maps[0].size == (96, 64)
    assert 2 <= len(maps[0].getcolors()) <= 3
    keys = [keep(client, each, "regions.png") for each in maps]
    body = {"photo": photo, "styles": styles, "masks": keys[:1], "style_masks": keys[1:], "quality": "draft"}
    assert painted(client.post("/api/stylize", json=body)).size == (96, 64)


def test_a_film_is_painted_beside_itself(client):
    assert client.get("/api/folders").json() == ["films"]
    assert [entry["name"] for entry in client.get("/api/folders/0").json()] == ["holiday"]
    (entry,) = client.get("/api/folders/0", params={"path": "holiday"}).json()
    assert entry["path"] == "holiday/clip.mp4"
    body = {"folder": 0, "path": entry["path"], "styles": [{"style": "dusk"}]}
    frames = ended(client, client.post("/api/jobs/frames", json=body).json()["id"])
    assert frames["state"] == "done", frames
    assert len(frames["files"]) == 6
    assert painted(client.get(f"/api/jobs/{frames['id']}/files/1")).size == (64, 48)
    job = ended(client, client.post("/api/jobs/film", json=body).json()["id"])
    assert job["state"] == "done", job
    assert job["files"] == ["clip-dusk.mp4"]
    assert job["previews"] == 1
    assert (client.home / "films/holiday/clip-dusk.mp4").is_file()
    assert client.get(f"/api/jobs/{job['id']}/files/0").headers["content-type"] == "video/mp4"
    again = ended(client, client.post("/api/jobs/film", json=body).json()["id"])
    assert again["files"] == ["clip-dusk-2.mp4"], "no film is ever painted over"


def test_a_small_film_can_be_sent(client):
    data = (client.home / "films/holiday/clip.mp4").read_bytes()
    kept = client.post("/api/films", params={"name": "mine.mp4"}, content=data).json()
    job = ended(client, client.post("/api/jobs/film", json={"film": kept["id"], "styles": [{"style": "dusk"}]}).json()["id"])
    assert job["state"] == "done", job
    assert client.get(f"/api/jobs/{job['id']}/files/0", params={"download": True}).content[4:8] == b"ftyp"
    assert "is a film" in sentence(client.post("/api/stylize", json=asked(kept["id"], quality="draft")), 422)


def test_a_painting_is_learned_kept_renamed_and_deleted(client):
    painting = keep(client, scene(80, 64).rotate(90, expand=True), "painting.png")
    job = ended(client, client.post("/api/jobs/learn", json={"painting": painting, "name": "mine", "steps": 6}).json()["id"])
    assert job["state"] == "done", job
    assert job["previews"] > 0
    assert [step for step, _ in job["curve"]][-1] == 6
    mine = next(style for style in client.get("/api/styles").json() if style["own"])
    assert mine["name"] == "mine"
    assert mine["by"] == "painting.png"
    assert painted(client.get("/api/styles/mine/picture")).size[1] == 80
    photo = keep(client)
    assert painted(client.post("/api/stylize", json=asked(photo, "mine", quality="draft"))).size == (96, 64)
    assert "already" in sentence(client.post("/api/jobs/learn", json={"painting": painting, "name": "mine"}), 422)
    assert "already" in sentence(client.patch("/api/styles/mine", json={"name": "dusk"}), 422)
    assert client.patch("/api/styles/mine", json={"name": "yours"}).json() == {"name": "yours"}
    data = client.get("/api/styles/yours/file").content
    assert client.delete("/api/styles/yours").status_code == 204
    assert "no style" in sentence(client.get("/api/styles/yours/picture"), 422)
    assert client.post("/api/styles", params={"name": "sent"}, content=data).json() == {"name": "sent"}
    assert client.get("/api/styles/sent/picture").headers["content-type"] == "image/jpeg", "a sample is painted where no picture came along"
    assert "no style" in sentence(client.delete("/api/styles/dusk"), 422), "bundled styles stay"


def test_every_bundled_style_has_a_picture(client):
    for style in client.get("/api/styles").json()[:3]:
        assert client.get(f"/api/styles/{style['name']}/picture").status_code == 200


def test_methods_say_what_can_be_turned(client):
    found = {method["name"]: method for method in client.get("/api/methods").json()}
    assert not found["gatys"]["draft"]
    assert found["solver"]["draft"]
    names = {option["name"] for method in found.values() for option in method["options"]}
    assert "iterations" in names
    assert not names & {"photos", "decoder", "solver", "loss_file"}, "what names a file cannot be asked for"
    for method in found.values():
        assert all(option["kind"] in ("switch", "integer", "number", "numbers", "choice") for option in method["options"])


WRONG = {
    "no photo": (asked("0" * 32, quality="draft"), 404, "not here any more"),
    "an unknown style": (asked("PHOTO", "dusky", quality="draft"), 422, "did you mean dusk"),
    "an unknown method": (asked("PHOTO", quality="draft", method="magic"), 422, "there is no method 'magic'"),
    "an option of another method": (asked("PHOTO", quality="draft", method="metastyle", options={"iterations": 3}), 422, "belongs to"),
    "an unknown option": (asked("PHOTO", quality="draft", options={"frobnicate": 3}), 422, "frobnicate"),
    "an option that names a file": (asked("PHOTO", quality="draft", options={"decoder": "/etc/passwd"}), 422, "decoder"),
    "a number that is none": (asked("PHOTO", quality="draft", strength="much"), 422, "strength"),
    "too much strength": (asked("PHOTO", quality="draft", strength=7), 422, "strength goes from 0"),
    "an unknown field": (asked("PHOTO", encoder="/etc/passwd"), 422, "encoder"),
    "another device": (asked("PHOTO", device="cuda"), 422, "device"),
    "no style": ({"photo": "PHOTO", "styles": [], "quality": "draft"}, 422, "styles"),
    "a huge size": (asked("PHOTO", size=10**6), 422, "size"),
    "a draft of what has none": (asked("PHOTO", quality="draft", method="gatys", style="x"), 422, "style"),
    "two masks for one style": (asked("PHOTO", quality="draft", masks=["PHOTO", "PHOTO"]), 422, "mask"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_requests_are_answered_with_a_sentence(client, name):
    body, status, words = WRONG[name]
    photo = keep(client)
    body = json.loads(json.dumps(body).replace("PHOTO", photo))
    assert words in sentence(client.post("/api/stylize", json=body), status)


def test_what_has_no_draft_says_so(client):
    painting = keep(client, scene(64, 64).rotate(180), "painting.png")
    body = asked(keep(client), f"picture:{painting}", quality="draft", method="gatys")
    assert "it has no drafts" in sentence(client.post("/api/stylize", json=body), 422)


def test_bad_pictures_are_answered_with_a_sentence(client):
    send = lambda data, name: client.post("/api/pictures", params={"name": name}, content=data)  # noqa: E731
    assert "notes.txt is not a picture" in sentence(send(b"words", "notes.txt"), 422)
    assert "photo.png is empty" in sentence(send(b"", "photo.png"), 422)
    assert "cut off" in sentence(send(as_file(scene(96, 64))[:900], "cut.png"), 422)
    assert "is a film" in sentence(send(b"", "film.mp4"), 422)
    assert "no film" in sentence(client.post("/api/films", params={"name": "photo.png"}, content=b"x"), 422)
    assert not [path for path in (client.home / "home/studio/pictures/local").iterdir() if path.name.startswith(".")]


def test_the_command_paints_the_same(client):
    photo = keep(client, name="it's mine.png")
    body = asked(photo, strength=0.5, size=700, keep_color="luma", options={"film": True}, method="metastyle") | {"format": "jpg"}
    body["options"] = {}
    said = client.post("/api/command", json=body).json()["command"]
    assert said == (
        "impasto stylize 'it'\"'\"'s mine.png' --style dusk --output 'it'\"'\"'s mine-dusk.jpg' "
        "--method metastyle --size 700 --strength 0.5 --keep-color luma"
    )


def test_the_api_describes_itself(client):
    described = client.get("/api/openapi.json").json()
    assert {"/api/stylize", "/api/jobs/{key}/events", "/api/styles", "/api/health"} <= set(described["paths"])
    for path, methods in described["paths"].items():
        for method, said in methods.items():
            assert said.get("description"), f"{method} {path} says nothing of itself"


def test_the_page_and_its_parts_are_served(client):
    page = client.get("/")
    assert page.status_code == 200
    for asset in ("studio.css", "main.js", "photo.js", "icon.svg"):
        assert client.get(f"/static/{asset}").status_code == 200


def test_the_live_page_is_served(client, monkeypatch):
    pytest.importorskip("onnxruntime", reason="export needs its extra")
    page = client.get("/live/")
    assert page.status_code == 200
    assert "cross-origin-embedder-policy" in page.headers
    assert client.get("/live/worker.js").status_code == 200
    monkeypatch.setattr("impasto.studio.routes.check_engine", lambda: None)
    styles = client.get("/live/styles.json").json()
    assert {"dusk-live", "scream-live"} <= {style["name"] for style in styles}
    model = client.get("/live/models/dusk-live.onnx")
    assert model.status_code == 200
    assert len(model.content) > 500_000
    assert client.get("/live/pictures/dusk-live.jpg").headers["content-type"] == "image/jpeg"
    assert "no style" in sentence(client.get("/live/models/nothing.onnx"), 422)


@pytest.mark.long
def test_a_film_is_resumed_after_a_restart(tmp_path):
    (tmp_path / "films").mkdir()
    make_film(tmp_path / "films/clip.mp4", count=600, size=(96, 128), sound=False)
    body = {"folder": 0, "path": "clip.mp4", "styles": [{"style": "dusk"}], "stabilize": "none"}
    with studio(tmp_path) as first:
        key = first.post("/api/jobs/film", json=body).json()["id"]
        end = time.monotonic() + 90
        while first.get(f"/api/jobs/{key}").json()["step"] < 60:
            assert time.monotonic() < end
            time.sleep(0.05)
    pieces = tmp_path / "films/.clip-dusk.mp4.parts"
    assert pieces.is_dir()
    done = len([*pieces.glob("*.mp4")])
    assert done > 0
    with studio(tmp_path) as second:
        job = ended(second, key)
        assert job["state"] == "done", job
        assert job["step"] == 600
    assert len(list(FilmReader(tmp_path / "films/clip-dusk.mp4"))) == 600
    assert not pieces.exists()


def test_a_film_that_is_cancelled_and_removed_leaves_nothing(tmp_path):
    (tmp_path / "films").mkdir()
    make_film(tmp_path / "films/clip.mp4", count=600, size=(96, 128), sound=False)
    with studio(tmp_path) as client:
        body = {"folder": 0, "path": "clip.mp4", "styles": [{"style": "dusk"}]}
        key = client.post("/api/jobs/film", json=body).json()["id"]
        end = time.monotonic() + 90
        while client.get(f"/api/jobs/{key}").json()["step"] < 3:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert "at work" in sentence(client.delete(f"/api/jobs/{key}"), 422)
        client.post(f"/api/jobs/{key}/cancel")
        assert ended(client, key)["state"] == "cancelled"
        assert client.delete(f"/api/jobs/{key}").status_code == 204
        assert [path.name for path in (tmp_path / "films").iterdir()] == ["clip.mp4"]


def test_the_program_of_the_documentation_runs(client, tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs/studio.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)

    def urlopen(request):
        split = urlsplit(request if isinstance(request, str) else request.full_url)
        if isinstance(request, str):
            answer = client.get(split.path)
        else:
            answer = client.post(
                f"{split.path}?{split.query}", content=request.data, headers={"content-type": request.get_header("Content-type")}
            )
        assert answer.status_code < 300, answer.text
        return io.BytesIO(answer.content)

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    monkeypatch.chdir(tmp_path)
    scene(96, 64).save("photo.jpg")
    exec(compile(program, "docs/studio.md", "exec"), {})
    assert Image.open("painted.png").size == (96, 64)
