"""The demo's page, as a browser without a network shows it."""

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import sync_playwright

from breakhis_lib.evaluation import records
from tests.conftest import cache_in
from tests.site import MISSING_PICTURES, VIEWS, launched, needs_browser
from tests.test_cli import COMMAND, breakhis

DROP = """([name, bytes]) => {
    const dropped = new DataTransfer();
    dropped.items.add(new File([new Uint8Array(bytes)], name));
    document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: dropped, bubbles: true, cancelable: true}));
}"""


@pytest.fixture(scope="module")
def address(slides, weights_file, tmp_path_factory):
    """The address of a demo that was started as a user does, for a record of two magnifications."""
    folder = tmp_path_factory.mktemp("demo")
    with cache_in(folder, weights_file):
        options = ["--size", "96", "--epochs", "1", "--seeds", "0", "--protocols", "slide"]
        assert breakhis("run", "--data", slides, *options, "--results", folder / "record").returncode == 0
        command = [COMMAND, "demo", "--no-browser", "--results", folder / "record"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        yield re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert "Traceback" not in process.stderr.read()


@pytest.fixture(params=VIEWS)
def page(address, request):
    """The demo in a browser that loads from nowhere else; what it asks of others is a failure."""
    width, scheme = VIEWS[request.param]
    with sync_playwright() as playwright:
        chromium = launched(playwright)
        page = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        yield page
        chromium.close()
    assert all(url.startswith((address, "data:")) for url in asked), asked


@needs_browser
@pytest.mark.weights
def test_an_image_that_is_dropped_gets_its_probabilities_and_its_map(page, slides):
    assert records.CAUTION in page.content() and "simulated slides" in page.content()
    image = next(slides.rglob("*-200-001.png"))
    page.evaluate(DROP, [image.name, list(image.read_bytes())])
    page.wait_for_selector("#answer img", timeout=60_000)
    shares = page.locator("#answer td").all_inner_texts()
    assert sum(map(float, shares)) == pytest.approx(1, abs=2e-4)
    shown = page.inner_text("main")
    assert image.name in shown and "x200 by slide" in shown and records.CAUTION in shown
    assert page.evaluate(MISSING_PICTURES) == []
    assert page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth") <= 1
    barriers = Axe().run(page).response["violations"]
    assert [barrier["id"] for barrier in barriers] == []


@needs_browser
@pytest.mark.weights
def test_what_cannot_be_answered_gets_a_clear_message(page, tmp_path):
    (tmp_path / "<b>notes.txt").write_text("no image", encoding="utf-8")
    Image.effect_noise((90, 90), 50).convert("RGB").save(tmp_path / "mine.png")

    def told(name, magnification=""):
        page.select_option("#magnification", magnification)
        page.set_input_files("#image", tmp_path / name)
        page.click("button")
        page.wait_for_load_state()
        return page.inner_text("#answer")

    assert "<b>notes.txt is not a PNG, JPEG or TIFF image" in told("<b>notes.txt")
    assert "choose one of 40, 200" in told("mine.png")
    assert "x40 by slide" in told("mine.png", "40")


@pytest.mark.weights
def test_the_page_is_not_served_under_another_sites_name(address):
    asked = urllib.request.Request(address, headers={"Host": "elsewhere.example"})
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(asked)
    assert "simulated" in urllib.request.urlopen(address).read().decode()
    assert "zero bytes" in urllib.request.urlopen(address, b"").read().decode(), "a form without a file"


def test_without_its_library_the_demo_says_what_to_install(tmp_path):
    code = "import sys; sys.modules['tornado'] = None; from breakhis_lib import cli; cli.main()"
    done = subprocess.run([sys.executable, "-c", code, "demo"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "pip install 'breakhis-lib[demo]'" in done.stderr
    assert "Traceback" not in done.stderr
    done = subprocess.run([COMMAND, "demo", "--results", "no"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and "breakhis run" in done.stderr
