"""Each check of the pages sees the defect that it is for, planted in a small site."""

import base64
import gzip
import random

import pytest
from bare_page import document, misfits, problems_on_screens
from site_checks import (
    broken_links,
    content_problems,
    dead_buttons,
    documents,
    layout_problems,
    pages,
    visit,
)

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Small</title>
<link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<script>const dark = matchMedia("(prefers-color-scheme: dark)");
(dark.onchange = () => document.documentElement.dataset.theme = dark.matches ? "dark" : "light")();
</script>
<style>body {{ background: white; color: black }} a {{ color: inherit }}
[data-theme="dark"] body {{ background: black; color: white }}
.box {{ overflow-x: auto }} .slow {{ transition: color 1000s }}
.katex-base {{ display: inline-block }}
.phone {{ display: none }} @media (max-width: 400px) {{ .phone {{ display: block }} }}
</style></head><body><main class="box"><article><h1>Small</h1>{}</article></main></body></html>"""

# As KaTeX writes it, with the width that letters would give it.
FORMULA = """<span class="katex"><span class="katex-mathml"><math><mi>x</mi></math></span>
<span class="katex-html"><span class="katex-base">
<span class="katex-strut" style="height: 1em; vertical-align: -0.25em"></span>
<span style="display: inline-block; width: {}"></span></span></span></span>"""

SOUND = f"""<p id="here">Text, <code>$$</code> in code, <a href="page.html#here">a link</a>,
<span class="math">{FORMULA.format("2em")}</span></p>
<p class="slow">Text that takes its time</p>
<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" alt="A picture of one pixel">
<div class="box" tabindex="0"><div style="width: 3000px">wide, but scrolls by itself</div></div>
<button type="button" onclick="this.textContent += '!'">Answers</button>"""

WIDE = '<div style="width: 3000px">too wide</div>'


def on(condition, style):
    """A style that holds in one mode only."""
    return f"<style>{condition.replace('{}', style)}</style>"


# Defect: what the report must say, and begin with for a defect that is seen in some modes only.
# All stand on one page. Their colors differ, since one text of each look is enough for a report.
TOGETHER = {
    '<script src="https://example.org/x.js"></script>': "asks another host: https://example.org",
    '<script>console.error("broken")</script>': "console: broken",
    "<script>missing()</script>": "error: missing is not defined",
    '<script src="missing.js"></script>': "status 404: ",
    '<script src="heavy.js"></script>': "transfers 2,6",
    '<span class="math">x</span>': 'mathematics is not set: <span class="math"></span> x',
    '<span class="katex-error">y</span>': "KaTeX reports an error: <span",
    "<p>as $$x$$ shows</p>": 'markup is left in the text: "as $$x$$ shows"',
    "<p>as \\(x\\) shows</p>": 'markup is left in the text: "as \\(x\\) shows"',
    "<p>as $x_0$ shows</p>": 'markup is left in the text: "as $x_0$ shows"',
    "<p>by {eq}`eq:jump`</p>": 'markup is left in the text: "by {eq}`eq:jump`"',
    '<img src="data:,">': 'has no real alternative text: <img src="data:,">',
    '<img alt="">': 'has no real alternative text: <img alt="">',
    '<img alt="4b17b76ddaec66ae482a0396cb1a904c">': "has no real alternative text: <img alt=\"4b17",
    '<img alt="figure one.png">': 'has no real alternative text: <img alt="figure one.png">',
    '<figure class="explorable"><div class="ex-still"></div></figure>': "did not start: <div",
    '<p role="nonsense">x</p>': "light 360, light 1280: axe aria-roles",
    "<button type='button'></button>": "light 360, light 1280: axe button-name",
    '<button type="button" class="phone one"></button>': "light 360: axe button-name",
    '<p style="color: #a0a0a0">pale</p>': "light 360, light 1280: axe color-contrast",
    '<details><summary>More</summary><p style="color: #a0a0a1">words</p></details>': (
        "light 360, light 1280: axe color-contrast"
    ),
    '<p class="highlight"><span>def</span> <span style="color: #a0a0a2">def</span></p>': (
        "light 360, light 1280: axe color-contrast"
    ),
    on('[data-theme="dark"] .a {}', "{ color: #404040 }") + '<p class="a">words</p>': (
        "dark 360, dark 1280: axe color-contrast"
    ),
    on('[data-theme="dark"] .b {}', "{ color: #404041 }") + '<p class="b phone">words</p>': (
        "dark 360: axe color-contrast"
    ),
    on('[data-theme="light"] .c {}', "{ color: #a0a0a3 }") + '<p class="c phone">words</p>': (
        "light 360: axe color-contrast"
    ),
    on('[data-theme="dark"] .d {}', "{ color: #404042 }") + '<p class="d slow">words</p>': (
        "dark 360, dark 1280: axe color-contrast"
    ),
    '<div class="box"><div class="wide" style="width: 600px">x</div></div>': (
        "light 360: axe scrollable-region-focusable"
    ),
    f'<div class="math box">{FORMULA.format("50em")}</div>': (
        "light 360: axe scrollable-region-focusable"
    ),
    '<div style="width: 500px">x</div>': "dark 360, light 360: scrolls sideways at 360 px",
}  # fmt: skip

# What would hide others, or be hidden by them.
ALONE = {
    WIDE: "scrolls sideways at 1280 px: <div style",
    f"</article></main>{WIDE}": "scrolls sideways at 1280 px: <div style",
    on('[data-theme="dark"] .a {}', "{ width: 3000px }") + '<div class="a">x</div>': (
        "dark 1280: scrolls sideways at 1280 px: <div"
    ),
    "<script>document.documentElement.dataset.theme = 'dark'</script>": (
        "light 1280: does not follow the system to light"
    ),
    "<script>dark.onchange = null</script>": (
        "dark 1280, dark 360: does not follow the system to dark"
    ),
}

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


def test_a_sound_page_passes(new_page, address, site, plant):
    plant("")
    compressed = len(gzip.compress((site / "page.html").read_bytes()))
    page, problems, size = visit(new_page, address)
    assert (problems + page.trouble + dead_buttons(page, 360), size) == ([], compressed)


def planted(new_page, address, plant, defect):
    plant(defect)
    page, problems, _ = visit(new_page, address)
    problems += page.trouble
    page.trouble.clear()
    return problems


def test_all_defects_are_seen_side_by_side(new_page, address, plant):
    """Each by a report of its own, which is crossed out for the next one."""
    problems = planted(new_page, address, plant, "".join(TOGETHER))
    for defect, message in TOGETHER.items():
        report = next((problem for problem in problems if message in problem), None)
        assert report, "\n".join([f"nothing says “{message}” of {defect}:", *problems])
        problems.remove(report)


@pytest.mark.parametrize("defect", ALONE)
def test_a_defect_is_seen_alone(new_page, address, plant, defect):
    problems = planted(new_page, address, plant, defect)
    assert any(ALONE[defect] in problem for problem in problems), problems


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_page_that_begins_in_the_dark(new_page, address, plant, theme):
    plant(f"<script>document.documentElement.dataset.theme = '{theme}'</script>")
    page = new_page(360, color_scheme="dark")
    page.goto(address)
    problems = content_problems(page) + layout_problems(page, "dark", 360)
    assert len(problems) == (theme == "light")
    assert all("does not follow the system to dark" in problem for problem in problems)


@pytest.mark.parametrize("defect", ["", *IN_THE_FILE])
def test_a_defect_is_seen_in_the_file(tmp_path, defect):
    (tmp_path / "page.html").write_text(PAGE.format(SOUND + defect))
    (tmp_path / "data.js").touch()
    problems = broken_links(tmp_path, "page.html")
    assert len(problems) == (defect != "")
    assert all(problem.startswith(IN_THE_FILE[defect]) for problem in problems), problems


def test_a_button_that_does_nothing_is_seen(new_page, address, plant):
    """Everywhere or on a phone alone, but only where it is shown."""
    answers = "innerWidth === 360 || this.append('!')"
    plant(
        "<button>Dead</button>"
        f'<button onclick="{answers}">Small</button><button class="phone">Hidden</button>'
    )
    page, *_ = visit(new_page, address)
    name = "360 px: does nothing: <button{}></button> {}"
    assert dead_buttons(page, 360) == [
        name.format("", "Dead"),
        name.format(f' onclick="{answers}"', "Small"),
        name.format(' class="phone"', "Hidden"),
    ]
    assert dead_buttons(page, 1280) == ["1280 px: does nothing: <button></button> Dead"]


def test_every_file_is_found_but_redirects_are_no_pages(tmp_path):
    for name in ("page.html", "_static/theme.html", "deep/er/page.html"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(PAGE.format(""))
    redirect = '<meta http-equiv="Refresh" content="0; url=missing.html" />'
    (tmp_path / "index.html").write_text(redirect)
    assert documents(tmp_path) == ["deep/er/page.html", "index.html", "page.html"]
    assert pages(tmp_path) == ["deep/er/page.html", "page.html"]
    assert broken_links(tmp_path, "index.html")[0].startswith("no such file: <meta")


def test_what_does_not_fit_in_an_explorable_is_seen(new_page):
    """Too small, beyond the edge of the stage or of the page, on a phone only, pale in the dark."""
    page = new_page()
    stage = """<style>button { width: 60px; height: 60px } .wide { width: 350px; height: 60px }
    [data-theme="dark"] .pale { color: #404040 }</style>
    <p class="pale">words</p><div class="ex-stage">%s</div>"""
    page.set_content(document(stage % "<button>Fits</button>"))
    [pale] = problems_on_screens(page)
    assert pale.startswith("dark: axe color-contrast") and "words" in pale
    page.set_content(
        document(
            stage % '<button class="wide">Wide</button><button style="width: 43px">Small</button>'
        )
    )
    assert misfits(page) == [
        "1280 px: too small to touch: button.null Small",
        "360 px: beyond the edge: button.wide Wide",
        "360 px: too small to touch: button.null Small",
        "320 px: the page scrolls sideways",
        "320 px: beyond the edge: button.wide Wide",
        "320 px: too small to touch: button.null Small",
    ]
