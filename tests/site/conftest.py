"""A browser for the page tests: the system's Chromium, driven by Playwright."""

import functools
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from bare_page import EXPLORABLES

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",  # there is none inside a container
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # the network is off
]


@pytest.fixture(scope="session")
def browser():
    """One for each process. While it runs, nothing else there can use asyncio."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser: install one of {', '.join(NAMES)}, or set CHROMIUM to its path")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser) -> Iterator[Callable]:
    """new_page(width=360, **options of a browser context): a page that must stay free of trouble.

    Trouble is an error in the console, a request that fails, and a request to another host.
    """
    contexts, trouble = [], []

    def request(request):
        host = urlsplit(request.url).hostname
        if host not in (None, "127.0.0.1"):
            trouble.append(f"asks another host: {request.url}")

    def response(response):
        if response.status >= 400:
            trouble.append(f"status {response.status}: {response.url}")

    def console(message):
        if message.type == "error":
            trouble.append(f"console: {message.text}")

    def new_page(width: int = 1280, height: int = 900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(60_000)  # only a failure waits for so long
        contexts.append(context)
        page = context.new_page()
        page.on("request", request)
        page.on("requestfailed", lambda request: trouble.append(f"failed: {request.url}"))
        page.on("response", response)
        page.on("console", console)
        page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
        page.trouble = trouble  # for a test that plants some
        return page

    yield new_page
    for context in contexts:
        context.close()
    assert not trouble


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], str]]:
    """serve(folder): the address under which the folder is served on this machine."""
    servers = []

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            pass

    def serve(folder: Path) -> str:
        server = ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def modules(browser, serve):
    """js(name, expression, input): what the expression says of module m, imported as it is."""
    page = browser.new_page()
    page.goto(f"{serve(EXPLORABLES)}/explorables.css")

    def js(name, expression, argument=None):
        return page.evaluate(
            f"async (input) => {{ const m = await import('/{name}.js'); return {expression}; }}",
            argument,
        )

    yield js
    page.close()
