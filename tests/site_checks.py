"""What must hold on each page of a built site: functions that return a list of what does not."""

import gzip
import re
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from axe_core_python.base import AXE_SCRIPT

SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
OTHER_HOSTS = re.compile(r"^(https?|wss?)://(?!127\.0\.0\.1[:/])")
BYTES = 2_500_000  # what a page may transfer
COMPRESSED = re.compile(r"text/|application/(java|ecma)script|application/json|image/svg")

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Axe's rule and the elements that may break it, with the reason.
ALLOWED = {
    ("region", ".sidebar-primary-item:has(> .navbar-brand)"): (
        "the theme puts the book's name above the landmark of its table of contents"
    ),
    ("aria-roles", ".citation[role='doc-biblioentry']"): (
        "docutils marks up a bibliography with this role, which ARIA has deprecated since"
    ),
    ("aria-allowed-role", ".citation[role='doc-biblioentry']"): "the same",
    ("aria-required-children", ".citation-list[role='list']"): (
        "the same: its children would have to be list items"
    ),
    ("duplicate-id", "#exercise-content, #solution-content"): (
        "sphinx-exercise gives these ids to every exercise and solution; nothing refers to them"
    ),
}

# ------------------------------------------------------------------------------------ in a browser

MODES = [("light", 1280), ("dark", 1280), ("dark", 360), ("light", 360)]  # one change at a time
# What a reader with other colors may find. All else can differ only where other elements are seen,
# as on a phone: so every rule runs once for each width.
OF_COLOR = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
ALL = {"type": "tag", "values": TAGS}


def visit(new_page: Callable, url: str) -> tuple[Any, list[str], int]:
    """An open page, all that is wrong with it in one mode or another, and the bytes it took."""
    page = new_page(1280, color_scheme="light")
    responses = []
    # Not responses.append itself: Playwright keeps a note on the function, a built-in takes none.
    page.on("response", lambda response: responses.append(response))  # noqa: PLW0108
    page.goto(url, timeout=60_000)
    problems = content_problems(page)
    sizes = {r.url: _transferred(r) for r in responses if r.ok and r.url.startswith("http")}
    found: dict[str, list[str]] = {}  # and the modes in which it was found
    for mode in MODES:
        for problem in layout_problems(page, *mode):
            found.setdefault(problem, []).append("{} {}".format(*mode))
    page.evaluate("siteChecks.simplify()")
    for scheme, width in reversed(MODES):
        show(page, scheme, width)
        page.evaluate("siteChecks.sleep(350)")  # the theme gives what scrolls a tab stop after 300
        for problem in accessibility_problems(page, ALL if scheme == "light" else OF_COLOR):
            found.setdefault(problem, []).append(f"{scheme} {width}")
    problems += [f"{', '.join(modes)}: {problem}" for problem, modes in found.items()]
    return page, list(dict.fromkeys(problems + _too_heavy(sizes))), sum(sizes.values())


def content_problems(page: Any) -> list[str]:
    """What is wrong with an open page on every screen."""
    page.evaluate(SCRIPT)
    return page.evaluate("siteChecks.content()")


def layout_problems(page: Any, scheme: str, width: int) -> list[str]:
    """What is wrong with its looks on a light or dark screen of this width."""
    show(page, scheme, width)
    return page.evaluate("(scheme) => siteChecks.layout(scheme)", scheme)


def accessibility_problems(page: Any, rules: dict) -> list[str]:
    """What axe finds by some of its rules, as the page is shown now."""
    if page.evaluate("!window.axe"):
        page.evaluate(AXE_SCRIPT)
    rules = rules | {"allowed": list(ALLOWED)}
    return page.evaluate("(rules) => siteChecks.accessibility(rules)", rules)


def show(page: Any, scheme: str, width: int) -> None:
    """Change the screen under an open page."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})


def _transferred(response: Any) -> int:
    """The bytes of an answer on their way: every host of static sites compresses text."""
    body = response.body()
    text = COMPRESSED.match(response.headers.get("content-type", ""))
    return _compressed(body) if text else len(body)


@cache
def _compressed(body: bytes) -> int:
    return len(gzip.compress(body))


def _too_heavy(sizes: dict[str, int]) -> list[str]:
    """The sum and its largest parts, if they are too large."""
    if sum(sizes.values()) <= BYTES:
        return []
    largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:5]
    parts = ", ".join(f"{sizes[url]:,} {urlsplit(url).path}" for url in largest)
    return [f"transfers {sum(sizes.values()):,} bytes, more than {BYTES:,}: {parts}"]


def dead_buttons(page: Any, width: int) -> list[str]:
    """The buttons of a visited page that change nothing when they are pressed."""
    show(page, "light", width)
    return [f"{width} px: {problem}" for problem in page.evaluate("siteChecks.deadButtons()")]


# ------------------------------------------------------------------------------- in the files alone


def documents(site: Path) -> list[str]:
    """Every HTML file of a site, but no parts of the theme."""
    found = (path.relative_to(site) for path in sorted(site.rglob("*.html")))
    return [path.as_posix() for path in found if path.parts[0] != "_static"]


def pages(site: Path) -> list[str]:
    """Every page of a site: the files that do not merely send a reader to another one."""
    redirect = re.compile(r"<meta http-equiv=\"?refresh", re.IGNORECASE)
    return [
        name for name in documents(site) if not redirect.search((site / name).read_text("utf-8"))
    ]


class Element(NamedTuple):
    tag: str
    attributes: dict[str, str]
    source: str  # as it stands in the file, with its line


def broken_links(site: Path, page: str) -> list[str]:
    """Links, anchors, and parts of a page that do not exist, or that another host would send."""
    return [
        f"{problem}: {element.source}"
        for element in _elements((site / page).resolve())
        for address in _addresses(element)
        if (problem := _problem(site, page, element, address))
    ]


def _addresses(element: Element) -> list[str]:
    attributes = element.attributes
    addresses = [attributes[name] for name in ("href", "src", "poster") if name in attributes]
    if element.tag == "meta" and attributes.get("http-equiv", "").lower() == "refresh":
        addresses.append(attributes["content"].partition("url=")[2])
    return addresses


def _problem(site: Path, page: str, element: Element, address: str) -> str:
    """What is wrong with one address, if anything is."""
    parts = urlsplit(address)
    attributes = element.attributes
    if parts.scheme == "data":
        return ""
    if parts.scheme or parts.netloc:  # readers may go elsewhere, the page itself must not
        followed = element.tag == "a" or attributes.get("rel") == "canonical"
        return "" if followed and parts.scheme in ("https", "http") else "asks another host"
    if not address or (address == "#" and "btn" in attributes.get("class", "").split()):
        return "leads nowhere"
    target = (site / page).parent / unquote(parts.path) if parts.path else site / page
    if not target.resolve().is_relative_to(site.resolve()):
        return "leads out of the site"
    if not target.is_file():
        return "no such file"
    anchor = unquote(parts.fragment)
    return f"no such anchor in {target.name}" if anchor not in _anchors(target.resolve()) else ""


@cache
def _anchors(path: Path) -> set[str]:
    """What can stand behind the # of a link to this file; nothing there is its top."""
    if path.suffix != ".html":
        return {""}
    found = _elements(path)
    names = {
        attributes["name"] for tag, attributes, _ in found if tag == "a" and "name" in attributes
    }
    return (
        {"", "top"} | {attributes["id"] for _, attributes, _ in found if "id" in attributes} | names
    )


@cache
def _elements(path: Path) -> list[Element]:
    """All that can link or be linked to; a tree of everything would take ten times as long."""
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            attributes = {name: value or "" for name, value in attrs}
            if attributes.keys() & {"href", "src", "poster", "id", "name", "http-equiv"}:
                source = re.sub(r"\s+", " ", self.get_starttag_text())[:200]
                found.append(Element(tag, attributes, f"{source} in line {self.getpos()[0]}"))

    Reader().feed(path.read_text("utf-8"))
    return found
