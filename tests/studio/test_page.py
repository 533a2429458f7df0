"""The page in a real browser: the whole way of a newcomer, errors as sentences, nobody left out, nothing sent elsewhere.

With IMPASTO_SCREENSHOTS=FOLDER the pictures of docs/studio.md are made on the way.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the studio needs its extra")
from PIL import Image

from impasto.media.videos import FilmReader
from tests.conftest import scene
from tests.films import make_pan
from tests.studio.test_guard import png_of

sync_api = pytest.importorskip("playwright.sync_api", reason="the page is tested with Playwright")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.long,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(BROWSER is None, reason="the page is tested with Chromium, which is not installed (apt-get install chromium)"),
]
SCREENSHOTS = os.environ.get("IMPASTO_SCREENSHOTS")
PATIENCE = 90_000
"""Milliseconds: a picture may wait for other tests."""
sync_api.expect.set_options(timeout=30_000)


class Program:
    """`impasto studio`, as a user runs it."""

    def __init__(self, home):
        self.home, self.port, self.process = home, 0, None

    def start(self):
        words = [sys.executable, "-m", "impasto", "studio", "--no-browser", "--port", str(self.port), "--folder", str(self.home / "films")]
        own = os.environ | {"IMPASTO_HOME": str(self.home / "home"), "IMPASTO_CACHE": str(self.home / "cache"), "COLUMNS": "200"}
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=own)
        line = self.process.stdout.readline()
        self.port = int(re.search(r":(\d+)/", line)[1])
        return f"http://127.0.0.1:{self.port}/"

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    home = tmp_path_factory.mktemp("page")
    (home / "films/holiday").mkdir(parents=True)
    make_pan(home / "films/holiday/clip.mp4", np.array(_photograph("chelsea")))
    _photograph("chelsea").save(home / "photo.jpg", quality=92)
    _photograph("coffee").resize((300, 300)).save(home / "painting.png")
    (home / "notes.jpg").write_text("words")
    (home / "huge.png").write_bytes(png_of(60_000, 60_000))
    found = Program(home)
    found.address = found.start()
    yield found
    found.stop()


def _photograph(name):
    """A photograph that may be shown; something drawn where there is none."""
    try:
        from skimage import data

        return Image.fromarray(getattr(data, name)())
    except Exception:
        return scene(451, 300)


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser, program):
    """The page, ready; what it asks for, and what goes wrong in it, is noted."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.asked, page.wrong = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.goto(program.address)
    page.locator("body[data-ready=yes]").wait_for()
    yield page
    elsewhere = [url for url in page.asked if not url.startswith((program.address, "blob:", "data:"))]
    context.close()
    assert not elsewhere
    assert not page.wrong


def choose_photo(page, program, name="photo.jpg"):
    page.set_input_files("#photo-file", program.home / name)
    page.locator("#view").wait_for()


def choose_style(page, title, panel="photo"):
    page.locator(f'#{panel}-gallery .tile[title^="{title}"]').first.click()


def shoot(page, name, **more):
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"studio-{name}.png", **more)


def assert_nobody_is_left_out(page):
    """No serious fault for people with screen readers, keyboards, or weak eyes."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="accessibility is tested with axe-core")
    found = axe.Axe().run(page).response["violations"]
    serious = [
        (fault["id"], [node["html"][:100] for node in fault["nodes"]]) for fault in found if fault["impact"] in ("serious", "critical")
    ]
    assert not serious


def test_a_photo_from_draft_to_download(page, program):
    assert_nobody_is_left_out(page)
    choose_photo(page, program)
    choose_style(page, "The Starry Night")
    page.locator("body[data-drafted]").wait_for()
    assert page.locator("#after").evaluate("picture => picture.naturalWidth") in (451, 512)
    page.locator("body[data-finished]").wait_for()
    assert re.match(r"Finished, \d+x\d+ px", page.inner_text("#photo-status"))
    page.locator("#compare").evaluate("slider => { slider.value = 45; slider.dispatchEvent(new Event('input')); }")
    page.wait_for_timeout(400)
    shoot(page, "photo")
    assert_nobody_is_left_out(page)
    with page.expect_download() as kept:
        page.click("#photo-download")
    assert kept.value.suggested_filename == "photo-starry-night.png"
    assert max(Image.open(kept.value.path()).size) in (451, 512)
    page.click("#photo-command")
    page.locator("#photo-copied").wait_for()
    assert page.inner_text("#photo-copied code") == "impasto stylize photo.jpg --style starry-night"
    assert "style=starry-night" in page.evaluate("location.hash")


def test_a_change_begins_anew_and_a_link_shares_it(page, program, browser):
    choose_photo(page, program)
    choose_style(page, "Red sun")
    page.locator("body[data-drafted]").wait_for()
    first = page.get_attribute("#after", "src")
    page.locator("#setting-photo-strength").evaluate("slider => { slider.value = 0.5; slider.dispatchEvent(new Event('input')); }")
    sync_api.expect(page.locator("#after")).not_to_have_attribute("src", first)
    page.locator("#photo-cancel").wait_for()
    page.click("#photo-cancel")
    sync_api.expect(page.locator("#photo-status")).to_contain_text("Cancelled")
    other = browser.new_page()
    other.goto(page.url)
    other.locator("body[data-ready=yes]").wait_for()
    assert other.locator('.tile[aria-pressed="true"] >> nth=0').get_attribute("title").startswith("Red sun")
    assert other.input_value("#setting-photo-strength") == "0.5"
    other.close()


def test_a_change_and_cancel_at_once_end_cancelled(page, program):
    choose_photo(page, program)
    choose_style(page, "Red sun")
    page.locator("#photo-cancel").wait_for()
    page.evaluate("""() => {
        document.querySelector("#setting-photo-strength").dispatchEvent(new Event("input"));
        document.querySelector("#photo-cancel").click();
    }""")
    page.wait_for_timeout(400)
    sync_api.expect(page.locator("#photo-status")).to_contain_text("Cancelled", timeout=1)


def test_styles_are_mixed(page, program):
    choose_photo(page, program)
    page.locator("#photo-gallery input[type=checkbox]").check()
    choose_style(page, "Dusk")
    choose_style(page, "The Kiss")
    sync_api.expect(page.locator("#photo-gallery .weights input")).to_have_count(2)
    page.locator("body[data-drafted]").wait_for()
    page.click("#photo-command")
    sync_api.expect(page.locator("#photo-copied code")).to_contain_text("--style dusk --style kiss")


def test_the_settings_of_a_method_come_from_it(page, program):
    page.locator("#photo-controls summary").click()
    page.select_option("#photo-controls details select >> nth=0", "solver")
    sync_api.expect(page.locator("#setting-photo-passes")).to_have_count(1)
    choose_photo(page, program)
    page.set_input_files("#photo-gallery input[type=file]", program.home / "painting.png")
    page.locator("#setting-photo-grain").fill("0.5")
    page.locator("#setting-photo-grain").blur()
    page.locator("body[data-drafted]").wait_for()
    page.click("#photo-command")
    sync_api.expect(page.locator("#photo-copied code")).to_contain_text("--method solver --grain 0.5")


def drag(page, element, places):
    box = page.locator(element).bounding_box()
    (left, top), *others = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in places]
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in others:
        page.mouse.move(x, y, steps=8)
    page.mouse.up()


def test_styles_go_where_they_are_painted(page, program):
    choose_photo(page, program)
    page.set_input_files("#photo-gallery input[type=file]", program.home / "painting.png")
    page.locator("body[data-drafted]").wait_for()
    page.locator("#masks summary").click()
    page.locator("input[name=mask][value=shares]").check()
    page.locator("#masks").get_by_role("button", name="Paint with these places").click()
    sync_api.expect(page.locator("#photo-error")).to_have_text("Nothing is marked on the photo yet.")
    page.locator("#photo h2").first.scroll_into_view_if_needed()
    page.evaluate("window.scrollTo(0, 0)")
    drag(page, "#brush", [(0.2, 0.3), (0.8, 0.3), (0.8, 0.4), (0.2, 0.4)])
    shoot(page, "places")
    before = page.evaluate("document.body.dataset.drafted")
    page.locator("#mask-apply").click()
    sync_api.expect(page.locator("body")).not_to_have_attribute("data-drafted", before)
    assert page.locator("#photo-error").is_hidden()
    page.locator("body[data-finished]").wait_for()
    assert_nobody_is_left_out(page)


def test_regions_are_found_and_corrected(page, program):
    choose_photo(page, program)
    page.set_input_files("#photo-gallery input[type=file]", program.home / "painting.png")
    page.locator("#masks summary").click()
    page.locator("input[name=mask][value=regions]").check()
    page.locator("#region-find").click()  # waits until the painting has arrived, as a person has to
    page.locator("#region-status", has_text="Regions are found").wait_for()
    page.locator("body[data-finished]").wait_for()  # what painting says is said elsewhere
    sync_api.expect(page.locator("#region-status")).to_contain_text("Regions are found")
    shoot(page, "regions", full_page=True)
    before = page.evaluate("document.body.dataset.drafted || ''")
    page.locator("#mask-apply").click()
    sync_api.expect(page.locator("body")).not_to_have_attribute("data-drafted", before)
    assert page.locator("#photo-error").is_hidden()


def test_a_film_is_shown_then_painted(page, program):
    page.click("#tab-film")
    page.get_by_role("button", name="holiday/").click()
    page.get_by_role("button", name="clip.mp4").click()
    choose_style(page, "The Great Wave", "film")
    page.click("#film-preview")
    page.locator("#film-frames img >> nth=2").wait_for()
    page.click("#film-paint")
    card = page.locator("#film-jobs .job").first
    card.get_by_text("finished").wait_for()
    sync_api.expect(card).to_contain_text("It is clip-great-wave.mp4")
    shoot(page, "film")
    assert_nobody_is_left_out(page)
    assert len(list(FilmReader(program.home / "films/holiday/clip-great-wave.mp4"))) == 40
    with page.expect_download() as kept:
        card.get_by_role("button", name="Download").click()
    assert kept.value.suggested_filename == "clip-great-wave.mp4"


def test_a_painting_is_learned(page, program):
    page.click("#tab-learn")
    page.set_input_files("#learn-file", program.home / "painting.png")
    page.locator("#learn-view").wait_for()
    page.fill("#learn-name", "mine")
    page.fill("#learn-steps", "20")
    page.click("#learn-form button.primary")
    card = page.locator("#learn-jobs .job").first
    card.get_by_text("finished").wait_for()
    sync_api.expect(card.locator("svg")).to_have_count(1)
    page.locator("#library strong", has_text="mine").wait_for()
    shoot(page, "learn")
    assert_nobody_is_left_out(page)
    page.get_by_role("button", name="Rename mine").click()
    page.get_by_label("New name of mine").fill("ours")
    page.locator("#library form:not([hidden]) button").click()
    page.locator("#library strong", has_text="ours").wait_for()
    page.click("#tab-photo")
    sync_api.expect(page.locator('#photo-gallery .tile[title="ours"]')).to_have_count(1)
    page.click("#tab-learn")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete ours").click()
    sync_api.expect(page.locator("#library strong")).to_have_count(0)
    page.fill("#learn-name", "dusk")
    page.click("#learn-form button.primary")
    sync_api.expect(page.locator("#learn-error")).to_have_text("There is a style 'dusk' already.")


def test_a_large_picture_is_a_job_that_survives(page, program, browser):
    choose_photo(page, program)
    choose_style(page, "Dusk")
    page.locator("body[data-finished]").wait_for()
    page.select_option("#photo-size", "0")
    page.locator("#setting-photo-quality").select_option("best")
    page.click("#photo-large")
    page.click("#tab-jobs")
    page.locator("#all-jobs .job").filter(has_text="Picture: photo.jpg").first.wait_for()
    page.close()
    other = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    other.set_default_timeout(PATIENCE)
    other.goto(program.address)
    other.click("#tab-jobs")
    card = other.locator("#all-jobs .job").filter(has_text="Picture: photo.jpg").first
    card.get_by_text("finished").wait_for(timeout=3 * PATIENCE)  # one core of a slow machine takes a minute or two
    shoot(other, "jobs")
    assert_nobody_is_left_out(other)
    card.get_by_role("button", name="Remove").click()
    sync_api.expect(other.locator("#all-jobs .job").filter(has_text="Picture: photo.jpg")).to_have_count(0)
    other.context.close()


def test_jobs_are_paused_resumed_and_cancelled(page, program):
    page.click("#tab-learn")
    page.set_input_files("#learn-file", program.home / "painting.png")
    page.locator("#learn-view").wait_for()
    page.fill("#learn-name", "slow")
    page.fill("#learn-steps", "5000")
    page.click("#learn-form button.primary")
    page.click("#tab-jobs")
    card = page.locator("#all-jobs .job").filter(has_text="Learning: slow").first
    card.get_by_text("of 5000").wait_for()
    sync_api.expect(page.locator("#job-count")).to_have_text("1")
    card.get_by_role("button", name="Pause").click()
    card.get_by_text("paused").wait_for()
    card.get_by_role("button", name="Resume").click()
    card.get_by_text("of 5000").wait_for()
    card.get_by_role("button", name="Cancel").click()
    card.get_by_text("cancelled").wait_for()
    card.get_by_role("button", name="Remove").click()
    sync_api.expect(card).to_have_count(0)
    sync_api.expect(page.locator("#job-count")).to_be_hidden()


@pytest.mark.parametrize(("name", "said"), [("notes.jpg", "is not a picture"), ("huge.png", "more than the limit of 100 megapixels")])
def test_bad_photos_are_answered_with_a_sentence(page, program, name, said):
    page.set_input_files("#photo-file", program.home / name)
    sync_api.expect(page.locator("#photo-error")).to_contain_text(said)
    sync_api.expect(page.locator("#photo-error")).to_contain_text(name)
    choose_photo(page, program)
    assert page.locator("#photo-error").is_hidden(), "the next photo takes the sentence away"


def test_everything_is_reached_by_keys(page, program):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("#tab-photo").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#film").is_visible()
    assert page.evaluate("document.activeElement.id") == "tab-film"
    page.keyboard.press("Home")
    assert page.locator("#photo").is_visible()
    choose_photo(page, program)
    page.locator('#photo-gallery .tile[title^="Dusk"]').focus()
    page.keyboard.press("Enter")
    page.locator("body[data-drafted]").wait_for()
    assert page.evaluate("document.activeElement.title").startswith("Dusk"), "the focus stays where it was"
    page.locator("#compare").focus()
    page.keyboard.press("ArrowRight")
    assert page.input_value("#compare") == "1"


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_it_fits_a_phone(browser, program, scheme):
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page.set_default_timeout(PATIENCE)
    page.goto(program.address)
    page.locator("body[data-ready=yes]").wait_for()
    choose_photo(page, program)
    choose_style(page, "Dusk")
    page.locator("body[data-drafted]").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    if scheme == "dark":
        shoot(page, "phone")
    assert_nobody_is_left_out(page)
    for tab in ("film", "learn", "jobs"):
        page.click(f"#tab-{tab}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, tab
        assert_nobody_is_left_out(page)
    page.close()


def test_the_studio_goes_and_comes_back(browser, program):
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(program.address)
    page.locator("body[data-ready=yes]").wait_for()
    program.stop()
    page.locator("#offline").wait_for()
    page.set_input_files("#photo-file", program.home / "photo.jpg")
    sync_api.expect(page.locator("#photo-error")).to_contain_text("does not answer")
    program.start()
    page.locator("#offline").wait_for(state="hidden")
    choose_photo(page, program)
    choose_style(page, "Dusk")
    page.locator("body[data-drafted]").wait_for()
    page.close()


def test_a_token_opens_the_page(browser, tmp_path):
    own = os.environ | {"IMPASTO_HOME": str(tmp_path), "IMPASTO_TOKEN": "a-token-that-is-long-enough", "COLUMNS": "200"}
    words = [sys.executable, "-m", "impasto", "studio", "--no-browser", "--port", "0", "--folder", str(tmp_path)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=own)
    try:
        address = re.search(r"(http\S+)\?token=(\S+)", process.stdout.readline())[1]
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        page.fill("input[name=token]", "wrong")
        page.click("button")
        page.get_by_text("That is not the token").wait_for()
        assert_nobody_is_left_out(page)
        page.fill("input[name=token]", "a-token-that-is-long-enough")
        page.click("button")
        page.locator("body[data-ready=yes]").wait_for()
        assert "token" not in page.url
        context.close()
    finally:
        process.terminate()
        process.wait(30)
