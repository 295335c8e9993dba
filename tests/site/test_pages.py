"""Every page of the built site in a browser: in light and dark, on a desktop and on a phone."""

import os
from functools import partial
from pathlib import Path

import nbformat
import pytest
from site_checks import (
    broken_links,
    content_problems,
    dead_buttons,
    documents,
    layout_problems,
    pages,
    visit,
)

SITE = Path(os.environ.get("SITE") or Path(__file__).parents[2] / "_build/html").resolve()


def by_size(names: list[str]) -> list[str]:
    """The largest first: what takes longest should not begin last."""
    return sorted(names, key=lambda name: -(SITE / name).stat().st_size)


# Without a site, one test of each kind remains to say so.
PAGES = by_size(pages(SITE)) or ["index.html"]
every_page = pytest.mark.parametrize("name", PAGES)


@pytest.fixture(scope="module", autouse=True)
def site() -> Path:
    if not (SITE / "index.html").is_file():
        pytest.fail(f"there is no site in {SITE}: run `make book` first")
    return SITE


@pytest.fixture(scope="module")
def address(site, serve) -> str:
    return serve(site)


def is_chapter(name: str) -> bool:
    return name.startswith("chapters/")


def assert_none(problems, *where):
    """A failure that names the page and lists what is wrong there, one problem a line."""
    assert not problems, "\n".join([", ".join(where) + ":", *problems])


def failure(check, *arguments) -> list[str]:
    """What stopped a check, as one of several problems."""
    from playwright.sync_api import Error

    try:
        check(*arguments)
    except (Error, AssertionError) as error:
        return [f"{check.__name__}: {error}"]
    return []


@every_page
def test_page(new_page, address, name, record_property):
    """All that a reader with a browser can do, with one load: what changes the page comes last."""
    page, problems, size = visit(new_page, f"{address}/{name}")
    record_property("bytes", size)  # in the report of --junit-xml
    if is_chapter(name):
        problems += failure(offers_its_notebook, page, name)
    problems += dead_buttons(page, 360) + dead_buttons(page, 1280)
    if is_chapter(name):
        problems += failure(is_found_by_the_search, page, name)
    problems += page.trouble
    page.context.close()
    page.trouble.clear()  # reported below; the rest came from closing
    assert_none(problems, name)


def offers_its_notebook(page, name):
    # By keyboard: the menu opens below a mouse that only approaches it.
    page.get_by_role("button", name="Download this page").press("Enter")
    with page.expect_download() as download:
        page.locator(".btn-download-notebook-button").click()
    assert download.value.suggested_filename == f"{Path(name).stem}.ipynb"
    nbformat.read(download.value.path(), as_version=4)


# Each result gets its excerpt from its page, after all have been counted.
ALL_EXCERPTS = """() =>
  document.querySelector("#search-results .search-summary")?.textContent.includes("found") &&
  [...document.querySelectorAll("#search-results ul.search > li")].every((x) => x.children[1])"""


def is_found_by_the_search(page, name):
    title = page.locator("article h1").inner_text()
    page.keyboard.press("Control+k")
    page.locator("dialog input[type=search]").fill(max(title.split(), key=len))
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?*")
    page.wait_for_function(ALL_EXCERPTS)
    page.locator(f"#search-results a[href*='{name}']").first.click()
    page.wait_for_url(f"**/{name}*", wait_until="commit")


@every_page
def test_page_opens_from_its_file(new_page, site, name):
    """And begins in the dark and on a phone, where the test above comes only later."""
    page = new_page(360, color_scheme="dark")
    page.goto((site / name).as_uri(), timeout=60_000)
    problems = content_problems(page) + layout_problems(page, "dark", 360)
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
        if sentences[0] == sentences[1]:
            problems.append(f"an explorable does not answer its reader: {sentences[0]}")
    assert_none(problems, name, "file://")


def test_links_lead_somewhere(site):
    """In one test: each file is read once for its links and for those that lead to it."""
    broken = [
        f"{name}: {problem}" for name in documents(site) for problem in broken_links(site, name)
    ]
    assert_none(broken, "links")
