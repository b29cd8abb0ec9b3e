"""The pages in a real browser: they open, filter and compare, run nothing, fetch nothing, and everybody can read them."""

import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from building import build
from page_lab import DAYS, EVIL, fill, hostile
from playwright.sync_api import sync_playwright

import qarchive
from qarchive.store import Store

ROOT = Path(qarchive.__file__).parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip
PATHS = ("/", "/job/days/1", "/job/days/1/calibration", "/diff?job=days/1&job=days/3", "/groups", "/devices",
         "/device/generic_backend_5q", "/nowhere")  # fmt: skip

# What would run, look and be fetched, if it were in a page.
PUT = """() => {
    const picture = '<img src="http://127.0.0.1:9/x.png">';
    document.body.insertAdjacentHTML('beforeend', '<p style="color: red">x</p>' + picture);
    const script = document.createElement('script');
    script.textContent = 'window.ran = 1';
    document.body.append(script);
}"""


# How bars and the bars of error over them are painted; the texts of drawings in pixels as they are seen; the titles of figures.
PAINTED = """() => ['.histogram rect', '.histogram path[fill=none]'].map((each, i) =>
    getComputedStyle(document.querySelector(each))[i ? 'stroke' : 'fill'])"""
SIZES = """() => [...document.querySelectorAll('svg text')].map(text => parseFloat(getComputedStyle(text).fontSize)
    * text.ownerSVGElement.getBoundingClientRect().width / text.ownerSVGElement.viewBox.baseVal.width)"""
TITLES = "[...document.querySelectorAll('figcaption')].map(each => each.firstChild.textContent)"
LENGTHEN = """document.querySelector('main').insertAdjacentHTML('beforeend',
    '<details class="long"><summary>Data</summary><p>of many lines</p></details>')"""


@pytest.fixture(scope="module")
def browser():
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.fail("these tests need a browser: on Debian and Ubuntu `apt-get install chromium` brings it", pytrace=False)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        yield running
        running.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with fill(tmp_path_factory.mktemp("lab") / "lab") as archive:
        yield archive


@pytest.fixture(scope="module")
def served(lab):
    """The address of a server over it."""
    with serving(lab.path) as url:
        yield url


@contextmanager
def serving(path):
    command = [sys.executable, "-m", "qarchive", "--archive", str(path), "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        try:
            yield process.stdout.readline().strip().rstrip("/")
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def written(lab, tmp_path_factory):
    """The address of a file: pages of the hostile job, of the jobs on the device, and of one of these."""
    folder = tmp_path_factory.mktemp("pages")
    for name, words in (("evil", ("latest",)), ("days", ("days",)), ("day", ("days/1",))):
        command = [
            sys.executable,
            "-m",
            "qarchive",
            "--archive",
            str(lab.path),
            "report",
            *words,
            "-o",
            str(folder / f"{name}.html"),
        ]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder.as_uri()


class Seen:
    """A page in a window of its own, with all that the browser asked for, said and refused meanwhile."""

    def __init__(self, browser, url, **options):
        self.window = browser.new_context(**options)
        self.page = self.window.new_page()
        self.requests, self.said, self.dialogs = [], [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        self.answer = self.page.goto(url)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.window.close()

    def kept_to_itself(self):
        """Nothing ran, nothing was refused, and nothing was asked for but the page."""
        quiet = [text for text in self.said if "status of 404" not in text]  # which is what /nowhere is
        return (
            quiet == [] and self.dialogs == [] and {url.split("#")[0] for url in self.requests} == {self.page.url.split("#")[0]}
        )


def accessible(page):
    """What axe-core finds fault with, in words."""
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['help']}: {node['html'][:120]}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize("path", PATHS)
def test_a_live_page_opens_keeps_to_itself_and_is_accessible(browser, served, path):
    with Seen(browser, served + path) as seen:
        assert seen.answer.status == (404 if path == "/nowhere" else 200)
        assert seen.page.locator("h1").count() == 1 and seen.page.locator("h1").is_visible()
        assert accessible(seen.page) == []
        assert seen.kept_to_itself(), (seen.said, seen.requests)


@pytest.mark.parametrize("name", ["evil", "days", "day"])
def test_a_written_page_opens_from_disk_keeps_to_itself_and_is_accessible(browser, written, name):
    with Seen(browser, f"{written}/{name}.html") as seen:
        for summary in seen.page.locator("summary").all():
            summary.click()
        assert accessible(seen.page) == []
        assert seen.kept_to_itself(), (seen.said, seen.requests)


def test_dark_pages_are_accessible_too(browser, served, written):
    for url in (f"{served}/", f"{written}/day.html"):
        with Seen(browser, url, color_scheme="dark") as seen:
            colour = seen.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
            assert sum(map(int, colour.removeprefix("rgb(").rstrip(")").split(","))) < 150
            assert accessible(seen.page) == []


@pytest.mark.parametrize("path", ["/", "/job/latest", "/groups"])
def test_hostile_names_stay_text(browser, served, path):
    with Seen(browser, served + path) as seen:
        assert EVIL in seen.page.locator("main").inner_text()
        assert seen.page.locator("script, img, iframe, object").count() == 0
        assert seen.dialogs == []


def test_hostile_names_stay_text_in_a_written_page(browser, written):
    with Seen(browser, f"{written}/evil.html") as seen:
        assert EVIL in seen.page.locator("h1").inner_text() and "\\u202e" in seen.page.locator("h1").inner_text()
        assert seen.page.locator("script, img, iframe, object").count() == 0


def test_the_policy_stops_what_would_run_all_the_same(browser, served, written):
    """Were a name ever markup, it could do nothing: a script, a style and a picture that are put into the page are refused."""
    for url in (f"{served}/", f"{written}/day.html"):
        with Seen(browser, url) as seen:
            seen.page.evaluate(PUT)
            seen.page.wait_for_timeout(50)
            assert seen.page.evaluate("window.ran") is None
            assert len([text for text in seen.said if "Content Security Policy" in text]) >= 3
            assert not [url for url in seen.requests if url.endswith("x.png") and "blocked" not in "".join(seen.said).lower()]


def test_without_javascript_filters_filter_and_two_jobs_are_compared(browser, served, lab):
    with Seen(browser, f"{served}/", java_script_enabled=False) as seen:
        page = seen.page
        assert page.locator("tbody tr").count() == len(lab.jobs())
        page.get_by_label("Tag", exact=True).fill("paper")
        page.get_by_label("Status").select_option("DONE")
        page.get_by_role("button", name="Show").click()
        assert page.locator("tbody tr").count() == DAYS and "tag=paper" in page.url
        boxes = page.get_by_role("checkbox")
        boxes.nth(0).check()
        boxes.nth(2).check()
        page.get_by_role("button", name="Compare two chosen jobs").click()
        assert page.locator("h1").inner_text() == "Two jobs compared"
        page.get_by_role("link", name="Groups").click()
        page.get_by_role("link", name="days", exact=True).click()
        assert page.locator("h1").inner_text() == "Group days"
        page.get_by_role("link", name=lab.job("days/1").id[:12]).click()
        assert page.locator("h1").inner_text() == "day 0"


def test_a_search_leads_to_the_job(browser, served, lab):
    job = hostile(lab)
    with Seen(browser, f"{served}/", java_script_enabled=False) as seen:
        seen.page.get_by_role("searchbox").fill(job.id[:10])
        with seen.page.expect_navigation():
            seen.page.keyboard.press("Enter")
        assert seen.page.url == f"{served}/job/{job.id}"


def test_a_written_page_is_readable_without_javascript(browser, written):
    with Seen(browser, f"{written}/day.html", java_script_enabled=False) as seen:
        page = seen.page
        assert page.locator("svg").first.is_visible() and page.locator("svg").count() >= 2
        data = page.locator("figure details").first
        assert not data.locator("table").is_visible()
        data.locator("summary").click()
        assert data.locator("table").is_visible()


def test_the_keyboard_reaches_content_and_tables(browser, written):
    with Seen(browser, f"{written}/day.html") as seen:
        seen.page.keyboard.press("Tab")
        assert seen.page.evaluate("document.activeElement.textContent") == "Skip to the content"
        seen.page.keyboard.press("Enter")
        assert seen.page.evaluate("document.activeElement.id") == "content"


@pytest.mark.parametrize("width", [320, 1600])
def test_no_page_is_wider_than_the_window(browser, served, written, width):
    for url in (f"{served}/", f"{served}/job/latest", f"{served}/diff?job=days/1&job=latest", f"{written}/days.html"):
        with Seen(browser, url, viewport={"width": width, "height": 800}) as seen:
            assert seen.page.evaluate("document.documentElement.scrollWidth") <= width, url


def test_a_page_prints(browser, served, written, tmp_path):
    with Seen(browser, f"{served}/job/days/1", color_scheme="dark") as seen:
        seen.page.emulate_media(media="print")
        assert not seen.page.locator(".banner").is_visible() and not seen.page.locator(".contents").is_visible()
        assert seen.page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        assert seen.page.pdf(path=tmp_path / "page.pdf").startswith(b"%PDF")
        bar, whisker = seen.page.evaluate(PAINTED)
        assert bar != whisker == "rgb(0, 0, 0)"
        title, remark = seen.page.evaluate(
            "['figcaption', 'figcaption small'].map(e => getComputedStyle(document.querySelector(e)).fontSize)"
        )
        assert float(remark.removesuffix("px")) < float(title.removesuffix("px")) < 14


def test_what_is_folded_is_printed_but_for_what_is_long(browser, written, tmp_path):
    with Seen(browser, f"{written}/day.html") as seen:
        seen.page.evaluate(LENGTHEN)
        table, circuit = seen.page.locator("figure tbody").first, seen.page.get_by_text("OPENQASM 3.0")
        seen.page.locator("h2[id^=input] + details").evaluate("it => it.open = false")
        assert not table.is_visible() and not circuit.is_visible()
        seen.page.emulate_media(media="print")
        assert table.is_visible() and circuit.is_visible() and seen.page.get_by_text("other packages").is_visible()
        long = seen.page.locator("details.long")
        assert not long.locator("p").is_visible() and long.locator("summary").is_visible()
        told = long.locator("summary").evaluate("it => getComputedStyle(it, '::after').content")
        assert told == '" (long, and not printed: see the page itself)"'


@pytest.mark.parametrize("path", ["/job/days/1", "/device/generic_backend_5q"])
def test_drawings_can_be_read_and_moved_on_a_narrow_page(browser, served, path):
    with Seen(browser, served + path, viewport={"width": 400, "height": 800}) as seen:
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 400
        assert min(seen.page.evaluate(SIZES)) >= 10.5
        box = seen.page.get_by_role("group", name="Drawing: ").first
        box.focus()
        seen.page.keyboard.press("ArrowRight")
        seen.page.wait_for_function("it => it.scrollLeft > 0", arg=box.element_handle())
        assert accessible(seen.page) == []


@pytest.mark.parametrize("width", [400, 1280, 1920])
def test_the_list_shows_all_columns_whatever_names_there_are(browser, width, tmp_path):
    store = Store.create(tmp_path / "long")
    for number, name in enumerate(("x" * 400, "a name " * 60, "ghz6 fake_sherbrooke", "")):
        store.commit(build(number, names=[name], tags=["heavyhex", "paper"], backend="aer_simulator_from(fake_sherbrooke)").blobs,
                     durable=True)  # fmt: skip
    store.close()
    with serving(tmp_path / "long") as url, Seen(browser, url, viewport={"width": width, "height": 800}) as seen:
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        assert seen.page.evaluate("it => it.scrollWidth - it.clientWidth", seen.page.locator(".scroll").element_handle()) <= 0
        for text in ("ghz6 fake_sherbrooke", "#paper", "DONE", "aer:aer_simulator_from(fake_sherbrooke)"):
            box = seen.page.get_by_text(text).last.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= width
        assert accessible(seen.page) == []


def test_each_table_of_data_says_of_what(browser, written):
    with Seen(browser, f"{written}/day.html") as seen:
        names = [each.get_attribute("aria-label") for each in seen.page.locator("figure summary").all()]
        assert names == [f"Data: {each}" for each in seen.page.evaluate(TITLES)]
