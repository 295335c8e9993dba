"""What must hold on each page of a built site: functions that return a list of what does not."""

import gzip
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from axe_core_python.base import AXE_SCRIPT
from bs4 import BeautifulSoup, Tag

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


def visit(new_page: Callable, url: str, scheme: str, width: int) -> tuple[list[str], int]:
    """All that is wrong with a page on a light or dark screen of this width, and its bytes."""
    page = new_page(width, color_scheme=scheme)
    responses, warnings = [], []
    # Not responses.append itself: Playwright keeps a note on the function, a built-in takes none.
    page.on("response", lambda response: responses.append(response))  # noqa: PLW0108
    page.on("console", lambda message: warnings.append(f"{message.type}: {message.text}"))
    page.route(OTHER_HOSTS, lambda route: route.abort())
    page.goto(url, timeout=60_000)
    problems = document_problems(page, scheme, TAGS)
    problems += page.trouble + [text for text in warnings if re.match("warning: .*MathJax", text)]
    sizes = {r.url: _transferred(r) for r in responses if r.ok and r.url.startswith("http")}
    page.context.close()
    page.trouble.clear()  # reported above; the rest came from closing
    problems += [f"status {r.status}: {r.url}" for r in responses if r.status >= 400]
    return list(dict.fromkeys(problems + _too_heavy(sizes))), sum(sizes.values())


def document_problems(page: Any, scheme: str, tags: list[str] | None = None) -> list[str]:
    """What is wrong with an open page; with the findings of axe if tags of its rules are given."""
    if tags:
        page.evaluate(AXE_SCRIPT)
    return page.evaluate(SCRIPT, {"scheme": scheme, "tags": tags, "allowed": list(ALLOWED)})


def _transferred(response: Any) -> int:
    """The bytes of an answer on their way: every host of static sites compresses text."""
    body = response.body()
    text = COMPRESSED.match(response.headers.get("content-type", ""))
    return len(gzip.compress(body)) if text else len(body)


def _too_heavy(sizes: dict[str, int]) -> list[str]:
    """The sum and its largest parts, if they are too large."""
    if sum(sizes.values()) <= BYTES:
        return []
    largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:5]
    parts = ", ".join(f"{sizes[url]:,} {urlsplit(url).path}" for url in largest)
    return [f"transfers {sum(sizes.values()):,} bytes, more than {BYTES:,}: {parts}"]


# An answer is whatever changes in the document, a scroll, a moved focus, or window.print().
DEAD_BUTTONS = """async () => {
  const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
  const dead = [];
  let answered;
  window.print = () => (answered = true);
  const everything = { subtree: true, childList: true, attributes: true, characterData: true };
  new MutationObserver(() => (answered = true)).observe(document, everything);
  window.scrollTo(0, 500); // for the button that leads back to the top
  const seen = new Set(); // a button to copy code is like the next one
  for (const button of document.querySelectorAll("button, summary")) {
    const kind = `${button.className} ${button.ariaLabel} ${button.textContent}`;
    if (button.disabled || seen.has(kind)) continue;
    if (!button.checkVisibility({ visibilityProperty: true })) continue;
    seen.add(kind);
    document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
    document.activeElement.blur();
    await sleep(20); // until the answer to the last one is over
    const place = scrollY;
    answered = false;
    button.click();
    for (let i = 0; i < 20 && !answered; i++) {
      await sleep(10);
      answered ||= scrollY !== place || document.activeElement !== document.body;
    }
    if (!answered) dead.push(button.outerHTML.replace(/\\s+/g, " ").slice(0, 200));
  }
  return dead;
}"""


def dead_buttons(page: Any) -> list[str]:
    """The buttons of an open page that change nothing when they are pressed."""
    return [f"does nothing: {button}" for button in page.evaluate(DEAD_BUTTONS)]


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


def broken_links(site: Path, page: str) -> list[str]:
    """Links, anchors, and parts of a page that do not exist, or that another host would send."""
    return [
        f"{problem}: {str(node).partition('>')[0][:200]}> {node.get_text(' ', strip=True)[:60]}"
        for node in _parsed(site / page).find_all(True)
        for address in _addresses(node)
        if (problem := _problem(site, page, node, address))
    ]


def _addresses(node: Tag) -> list[str]:
    addresses = [node[name] for name in ("href", "src", "poster") if node.has_attr(name)]
    if node.name == "meta" and node.get("http-equiv", "").lower() == "refresh":
        addresses.append(node["content"].partition("url=")[2])
    return addresses


def _problem(site: Path, page: str, node: Tag, address: str) -> str:
    """What is wrong with one address, if anything is."""
    parts = urlsplit(address)
    if parts.scheme == "data":
        return ""
    if parts.scheme or parts.netloc:  # readers may go elsewhere, the page itself must not
        followed = node.name == "a" or node.get("rel") == ["canonical"]
        return "" if followed and parts.scheme in ("https", "http") else "asks another host"
    if not address or (address == "#" and "btn" in node.get("class", [])):
        return "leads nowhere"
    target = (site / page).parent / unquote(parts.path) if parts.path else site / page
    if not target.resolve().is_relative_to(site.resolve()):
        return "leads out of the site"
    if not target.is_file():
        return "no such file"
    anchor = unquote(parts.fragment)
    return f"no such anchor in {target.name}" if anchor not in _anchors(target) else ""


@cache
def _anchors(path: Path) -> set[str]:
    """What can stand behind the # of a link to this file; nothing there is its top."""
    if path.suffix != ".html":
        return {""}
    document = _parsed(path)
    names = {node["name"] for node in document.find_all("a", attrs={"name": True})}
    return {"", "top"} | {node["id"] for node in document.find_all(id=True)} | names


@cache
def _parsed(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")
