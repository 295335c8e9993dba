"""Each check of the pages sees the defect that it is for, planted in a small site."""

import base64
import gzip
import random

import pytest
from site_checks import broken_links, dead_buttons, documents, pages, visit

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Small</title>
<link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<script>document.documentElement.dataset.theme =
  matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";</script>
<style>body {{ background: white; color: black }} .box {{ overflow-x: auto }}</style>
</head><body><main class="box"><article><h1>Small</h1>{}</article></main></body></html>"""

SOUND = """<p id="here">Text, <code>$$</code> in code, <a href="page.html#here">a link</a>,
<span class="math"><mjx-container>x</mjx-container></span></p>
<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" alt="A picture of one pixel">
<div class="box" tabindex="0"><div style="width: 3000px">wide, but scrolls by itself</div></div>
<button type="button" onclick="this.textContent += '!'">Answers</button>"""

WIDE = '<div style="width: 3000px">too wide</div>'
PALE = '<p style="color: #aaa">pale</p>'

# Defect: what the report must say.
IN_THE_BROWSER = {
    '<script src="https://example.org/x.js"></script>': "asks another host: https://example.org",
    '<script>console.error("broken")</script>': "console: broken",
    '<script>console.warn("MathJax: no such font")</script>': "warning: MathJax: no such font",
    "<script>missing()</script>": "error: missing is not defined",
    '<script src="missing.js"></script>': "status 404",
    '<script src="heavy.js"></script>': "transfers 2,6",
    '<span class="math">x</span>': 'mathematics is not rendered: <span class="math">',
    "<mjx-merror>x</mjx-merror>": "MathJax reports an error: <mjx-merror>",
    '<mjx-mtext style="color: red;">\\foo</mjx-mtext>': "unknown TeX command: <mjx-mtext",
    "<p>as $$x$$ shows</p>": 'markup is left in the text: "as $$x$$ shows"',
    "<p>as \\(x\\) shows</p>": 'markup is left in the text: "as \\(x\\) shows"',
    "<p>as $x_0$ shows</p>": 'markup is left in the text: "as $x_0$ shows"',
    "<p>by {eq}`eq:jump`</p>": "markup is left in the text",
    WIDE: "scrolls sideways at 1280 px: <div style",
    f"</article></main>{WIDE}": "scrolls sideways at 1280 px: <div style",
    '<img src="data:,">': "has no real alternative text: <img",
    '<img src="data:," alt="">': "has no real alternative text: <img",
    '<img src="data:," alt="4b17b76ddaec66ae482a0396cb1a904c">': "has no real alternative text",
    '<img src="data:," alt="figure one.png">': "has no real alternative text: <img",
    '<figure class="explorable"><div class="ex-still"></div></figure>': "did not start: <div",
    PALE: 'axe color-contrast (Elements must have sufficient color contrast): p:nth-child(6): <p',
    '<p role="nonsense">x</p>': "axe aria-roles",
    f"<details><summary>More</summary>{PALE}</details>": "axe color-contrast",
    '<p class="highlight"><span>def</span> <span style="color: #aaa">def</span></p>': "axe color",
    "<button type='button'></button>": "axe button-name",
    "<script>document.documentElement.dataset.theme = 'dark'</script>": "does not follow",
}  # fmt: skip

IN_THE_FILE = {
    '<a href="missing.html">x</a>': "no such file: <a",
    '<a href="page.html#missing">x</a>': "no such anchor in page.html: <a",
    '<a href="#missing">x</a>': "no such anchor in page.html: <a",
    '<a href="_sources/missing.ipynb">x</a>': "no such file: <a",
    '<a href="data.js#L3">x</a>': "no such anchor in data.js: <a",
    '<a href="../../outside.html">x</a>': "leads out of the site: <a",
    '<a href="/page.html">x</a>': "leads out of the site: <a",
    '<a href="">x</a>': "leads nowhere: <a",
    '<a class="btn" href="#">x</a>': "leads nowhere: <a",
    '<a href="javascript:void(0)">x</a>': "asks another host: <a",
    '<img src="missing.png" alt="A missing picture">': "no such file: <img",
    '<link rel="preconnect" href="https://example.org">': "asks another host: <link",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    noise = base64.b64encode(random.Random(0).randbytes(2_600_000)).decode()
    (folder / "heavy.js").write_text(f"// {noise}")  # which no host can compress to less than that
    return folder


@pytest.fixture(scope="module")
def address(site, serve):
    return f"{serve(site)}/page.html"


@pytest.fixture
def plant(site):
    """plant(html): write page.html, with this after its sound content."""
    return lambda html: (site / "page.html").write_text(PAGE.format(SOUND + html))


@pytest.mark.parametrize("mode", ["light 1280", "light 360", "dark 1280", "dark 360"])
def test_a_sound_page_passes(new_page, address, site, plant, mode):
    scheme, width = mode.split()
    plant("")
    compressed = len(gzip.compress((site / "page.html").read_bytes()))
    assert visit(new_page, address, scheme, int(width)) == ([], compressed)


@pytest.mark.parametrize("defect", IN_THE_BROWSER)
def test_a_defect_is_seen_in_the_browser(new_page, address, plant, defect):
    plant(defect)
    problems, _ = visit(new_page, address, "light", 1280)
    assert any(IN_THE_BROWSER[defect] in problem for problem in problems), problems


@pytest.mark.parametrize("defect", ["", *IN_THE_FILE])
def test_a_defect_is_seen_in_the_file(tmp_path, defect):
    (tmp_path / "page.html").write_text(PAGE.format(SOUND + defect))
    (tmp_path / "data.js").touch()
    problems = broken_links(tmp_path, "page.html")
    assert len(problems) == (defect != "")
    assert all(problem.startswith(IN_THE_FILE[defect]) for problem in problems), problems


def test_a_button_that_does_nothing_is_seen(new_page, address, plant):
    plant("<button>Dead</button>")
    page = new_page()
    page.goto(address)
    assert dead_buttons(page) == ["does nothing: <button>Dead</button>"]


def test_every_file_is_found_but_redirects_are_no_pages(tmp_path):
    for name in ("page.html", "_static/theme.html", "deep/er/page.html"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(PAGE.format(""))
    redirect = '<meta http-equiv="Refresh" content="0; url=missing.html" />'
    (tmp_path / "index.html").write_text(redirect)
    assert documents(tmp_path) == ["deep/er/page.html", "index.html", "page.html"]
    assert pages(tmp_path) == ["deep/er/page.html", "page.html"]
    assert broken_links(tmp_path, "index.html")[0].startswith("no such file: <meta")
