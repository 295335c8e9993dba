"""Every page of the built site in a browser: in light and dark, on a desktop and on a phone."""

import os
from functools import partial
from pathlib import Path

import nbformat
import pytest
from site_checks import (
    OTHER_HOSTS,
    broken_links,
    dead_buttons,
    document_problems,
    documents,
    pages,
    visit,
)

SITE = Path(os.environ.get("SITE") or Path(__file__).parents[2] / "_build/html").resolve()
MODES = ["light 1280", "light 360", "dark 1280", "dark 360"]
CHAPTERS = [name for name in pages(SITE) if name.startswith("chapters/")]

# Without a site, one test of each kind remains to say so.
every_page = pytest.mark.parametrize("name", pages(SITE) or ["index.html"])
every_file = pytest.mark.parametrize("name", documents(SITE) or ["index.html"])
every_chapter = pytest.mark.parametrize("name", CHAPTERS or ["index.html"])


@pytest.fixture(scope="module", autouse=True)
def site() -> Path:
    if not (SITE / "index.html").is_file():
        pytest.fail(f"there is no site in {SITE}: run `make book` first")
    return SITE


@pytest.fixture(scope="module")
def address(site, serve) -> str:
    return serve(site)


def assert_none(problems, *where):
    """A failure that names the page and lists what is wrong there, one problem a line."""
    assert not problems, "\n".join([", ".join(where) + ":", *problems])


@every_page
@pytest.mark.parametrize("mode", MODES)
def test_page(new_page, address, name, mode, record_property):
    scheme, width = mode.split()
    problems, size = visit(new_page, f"{address}/{name}", scheme, int(width))
    record_property("bytes", size)  # in the report of --junit-xml
    assert_none(problems, name, scheme, f"{width} px")


@every_file
def test_links_lead_somewhere(site, name):
    assert_none(broken_links(site, name), name)


@every_page
@pytest.mark.parametrize("width", [1280, 360])
def test_buttons_do_something(new_page, address, name, width):
    page = new_page(width)
    page.goto(f"{address}/{name}", timeout=60_000)
    assert_none(dead_buttons(page), name, f"{width} px")


@every_chapter
def test_the_search_finds_a_chapter_with_the_network_off(new_page, address, name):
    page = new_page()
    page.route(OTHER_HOSTS, lambda route: route.abort())
    page.goto(f"{address}/{name}", timeout=60_000)
    title = page.locator("article h1").inner_text()
    page.keyboard.press("Control+k")
    page.locator("dialog input[type=search]").fill(max(title.split(), key=len))
    page.keyboard.press("Enter")
    result = page.locator(f"#search-results a[href*='{name}']").first
    result.wait_for()
    page.wait_for_load_state("networkidle")  # each excerpt is read from its page: let them come
    result.click()
    page.wait_for_url(f"{address}/{name}*")


@every_chapter
def test_a_chapter_opens_from_its_file(new_page, site, name):
    page = new_page()
    page.goto((site / name).as_uri(), timeout=60_000)
    assert_none(document_problems(page, "light"), name, "file://")
    assert page.locator("mjx-container").count()
    for figure in page.locator(".explorable").all():
        slider, options = figure.get_by_role("slider"), figure.locator(".ex-option")
        if slider.count():
            ends = [partial(slider.first.press, key) for key in ("Home", "End")]
        else:
            ends = [options.first.click, options.last.click]
        sentences = []
        for go in ends:
            go()
            sentences.append(figure.locator(".ex-sentence").inner_text())
        assert sentences[0] != sentences[1], f"{name}: an explorable does not answer its reader"


@every_chapter
def test_a_chapter_offers_its_notebook(new_page, address, name):
    page = new_page()
    page.goto(f"{address}/{name}", timeout=60_000)
    # By keyboard: the menu opens below a mouse that only approaches it.
    page.get_by_role("button", name="Download this page").press("Enter")
    with page.expect_download() as download:
        page.locator(".btn-download-notebook-button").click()
    assert download.value.suggested_filename == f"{Path(name).stem}.ipynb"
    nbformat.read(download.value.path(), as_version=4)
