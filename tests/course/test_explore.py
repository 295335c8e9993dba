"""The Python half of the interactive figures: what one call writes into the output of a cell."""

import base64
import io
import json
import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from ddpm_lib.course import explore, scripts
from ddpm_lib.course.explore import explorable

FOLDER = scripts.folder()


def figure(size=3.0):
    fig, ax = plt.subplots(figsize=(size, 2))
    ax.plot([0, 1])
    return fig


def forward(**changes):
    digits = torch.arange(640).remainder(256).to(torch.uint8).reshape(10, 1, 8, 8)
    arguments = {
        "data": {"T": 1000, "beta_1": 1e-4, "beta_T": 0.02, "digits": digits},
        "still": figure(),
    }
    return explorable("forward", **(arguments | changes))


def test_the_same_call_gives_the_same_output():
    assert forward()._repr_html_() == forward()._repr_html_()


def test_other_content_gets_another_key():
    def key(**changes):
        return re.search(r'data-explorable="(.+?)"', forward(**changes)._repr_html_())[1]

    assert len({key(), key(data={"T": 1000}), key(still=figure(4.0))}) == 3


def test_the_output_is_html_and_a_short_text():
    output = forward()
    assert not hasattr(output, "_repr_mimebundle_")
    assert repr(output) == "Explorable(name='forward')"


def test_the_still_has_an_alt_text_and_its_size():
    source = forward()._repr_html_()
    image = re.search(r"<img [^>]*>", source)[0]
    assert 'alt="an interactive figure"' in image
    png = base64.b64decode(re.search(r"base64,([^\"]+)", image)[1])
    pixels = plt.imread(io.BytesIO(png)).shape
    width, height = (int(re.search(rf'{side}="(\d+)"', image)[1]) for side in ("width", "height"))
    assert (height, width) == (pixels[0] // 2, pixels[1] // 2)
    assert "interactive where JavaScript runs" in source


def test_the_figure_is_not_shown_a_second_time():
    still = figure()
    forward(still=still)
    assert still.number not in plt.get_fignums()


def test_the_output_is_light():
    """A bound for the page: script, style and data together, and the still."""
    source = forward()._repr_html_()
    still = re.search(r"base64,([^\"]+)", source)[1]
    assert len(source.encode()) - len(still) <= 60_000


def test_a_heavy_still_is_refused():
    fig, ax = plt.subplots(figsize=(12, 8))
    ax.imshow(np.random.default_rng(0).random((300, 300)))
    with pytest.raises(ValueError, match=r"still picture has [\d,]+ bytes, more than 60,000"):
        forward(still=fig)


def test_bytes_are_packed():
    packed = explore._packed(torch.tensor([[0, 1], [2, 255]], dtype=torch.uint8))
    assert packed == {"shape": (2, 2), "base64": base64.b64encode(bytes([0, 1, 2, 255])).decode()}
    strided = np.arange(6, dtype=np.uint8).reshape(2, 3).T
    assert base64.b64decode(explore._packed(strided)["base64"]) == bytes([0, 3, 1, 4, 2, 5])


@pytest.mark.parametrize("value", [torch.zeros(3), np.zeros(3), {1, 2}])
def test_other_data_is_refused(value):
    with pytest.raises(TypeError, match="JSON and uint8 tensors"):
        forward(data={"digits": value})


def test_a_number_that_json_lacks_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        forward(data={"T": float("nan")})


def test_no_text_in_the_data_ends_the_script():
    text = "</script><script>alert(1)</script><!--"
    source = forward(data={"text": text})._repr_html_()
    assert source.count("</script") == 1
    values = re.search(r'^mount\("\S+", forward, (.*)\);$', source, re.M)[1]
    assert json.loads(values) == {"text": text}


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"no explorable is named 'foward'; there are: .*forward"):
        explorable("foward", {}, still=figure())
    for part in ("core", "schedules"):
        with pytest.raises(ValueError, match=f"'{part}'"):
            explorable(part, {}, still=figure())


def test_missing_files_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(scripts, "FOLDERS", (tmp_path / "a", tmp_path / "b"))
    with pytest.raises(FileNotFoundError, match=r"neither in .*a nor in .*b: install ddpm_lib"):
        forward()


def test_the_installed_files_come_first(monkeypatch, tmp_path):
    monkeypatch.setattr(scripts, "FOLDERS", (tmp_path, FOLDER))
    assert scripts.folder() == tmp_path


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.js")), ids=lambda path: path.name)
def test_modules_become_classic_scripts(path):
    script = explore._classic(path.stem, path.read_text())
    assert not re.search(r"^\s*(import|export)\b", script, re.M)
    assert set(re.findall(r"^export (?:function|const) (\w+)", path.read_text(), re.M)) <= set(
        re.findall(r"^(?:function|const) (\w+)", script, re.M)
    )


@pytest.mark.parametrize(
    "line",
    [
        'import { a } from "https://example.org/other.js";',
        'import {\n  a,\n} from "./core.js";',
        'import * as core from "./core.js";',
        "export default function f() {}",
        "export { f };",
        "const end = '</script>';",
    ],
)
def test_what_no_classic_script_can_hold_is_named(line):
    with pytest.raises(ValueError, match=r"mine\.js: .* cannot stand in a classic script"):
        explore._classic("mine", f"const first = 1;\n{line}\n")


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """modules(name=source, ...): the only modules there are."""

    def write(**sources):
        for name, source in sources.items():
            (tmp_path / f"{name}.js").write_text(source)

    (tmp_path / "explorables.css").write_text("/* for all */\n")
    monkeypatch.setattr(scripts, "FOLDERS", (tmp_path,))
    return write


def test_a_module_brings_its_style_with_it(modules, tmp_path):
    modules(
        base="export const zero = 0;\n",
        mine='import { zero } from "./base.js";\nexport function mine() {}\n',
        other="export function other() {}\n",
    )
    for name in ("base", "mine", "other"):
        (tmp_path / f"{name}.css").write_text(f"/* for {name} */\n")
    _, style = explore._script_and_style("mine")
    assert style == "/* for all */\n\n/* for base */\n\n/* for mine */\n"


def test_imports_come_before_their_use_and_once(modules):
    modules(
        base="export const zero = 0;\n",
        tables='import { zero } from "./base.js";\nexport const one = zero + 1;\n',
        mine='import { zero } from "./base.js";\nimport { one } from "./tables.js";\n'
        "export function mine() {}\n",
    )
    want = "const zero = 0;\n\nconst one = zero + 1;\n\nfunction mine() {}\n"
    assert explore._script_and_style("mine") == (want, "/* for all */\n")


def test_two_functions_of_one_name_are_refused(modules):
    modules(
        base="export function zero() {}\nfunction helper() {}\n",
        mine='import { zero } from "./base.js";\nexport function mine() {}\nfunction helper() {}\n',
    )
    with pytest.raises(ValueError, match="base, mine are joined, but more than one defines helper"):
        explore._script_and_style("mine")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.css")), ids=lambda path: path.stem)
def test_the_style_touches_nothing_but_explorables(path):
    style = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
    style = re.sub(r"@container [^{]+\{((?:[^{}]*\{[^{}]*\})*)\s*\}", r"\1", style)
    selectors = [s.strip() for rule in re.findall(r"([^{}]+)\{", style) for s in _split(rule)]
    assert selectors
    page = r"(html|body)\[[^]]+\] (\.bd-content .*:has\(> div)?"
    assert all(re.match(rf"({page})?\.explorable\b", s) for s in selectors), selectors
    assert "url(" not in style and "prefers-color-scheme" not in style


def _split(rule):
    """The selectors of a rule; the commas inside :is(...) do not separate."""
    return re.split(r",(?![^(]*\))", rule)
