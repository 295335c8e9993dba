"""Interactive figures: one line in a chapter, the same figure on the site, in JupyterLab, in Colab.

An explorable is a plain JavaScript module in book/explorables/, together with its data. The output
of a cell carries all that it needs, script and style included, and a still picture that remains
where no script runs. Caption and alternative text stand in the cell's header, as those of any other
figure do: a word there is no reason to run a chapter again.
"""

import base64
import hashlib
import io
import json
import re
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from ddpm_lib.course import scripts

STILL_BYTES = 60_000  # a page has several, and telephones read them too
ALT = "an interactive figure"  # in a notebook; a page has the words of the cell's header


@dataclass(frozen=True)
class Explorable:
    """An interactive figure, as HTML that needs nothing but itself."""

    name: str
    source: str = field(repr=False)

    def _repr_html_(self) -> str:
        return self.source


def explorable(name: str, data: Mapping[str, Any], *, still: Figure) -> Explorable:
    """The interactive figure `name` about `data`, or its still picture where no script runs.

    data: what the module asks for, its tensors in uint8
    """
    script, style = _script_and_style(name)
    # "<" becomes an escape, so that no text in the data can end the script.
    values = json.dumps(data, default=_packed, allow_nan=False).replace("<", "\\u003c")
    picture = _picture(still)
    # The script finds its figure by a key that follows from the content: the book caches outputs
    # and compares them, so nothing in them may be random.
    content = "\n".join([script, style, values, picture])
    key = f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    source = f"""<style>
{style}</style>
<div class="explorable" data-explorable="{key}">
<div class="ex-still">{picture}<p>This figure is interactive where JavaScript runs.</p></div>
</div>
<script>
(() => {{
"use strict";
{script}
mount("{key}", {name}, {values});
}})();
</script>"""
    return Explorable(name, source)


def _script_and_style(name: str) -> tuple[str, str]:
    """One explorable with all that it imports, joined to be the body of one function; its style."""
    texts = {path: path.read_text(encoding="utf-8") for path in scripts.files(name)}
    sources = {path.stem: text for path, text in texts.items() if path.suffix == ".js"}
    if f"export function {name}(" not in sources.get(name, ""):
        raise ValueError(f"no explorable is named {name!r}; there are: {', '.join(_names())}")
    script = "\n".join(_classic(module, source) for module, source in sources.items())
    # In one scope a second function of a name would quietly take the place of the first.
    first_words = Counter(re.findall(r"^(?:function|const) (\w+)", script, flags=re.M))
    twice = [word for word, count in first_words.items() if count > 1]
    if twice:
        raise ValueError(
            f"{', '.join(sources)} are joined, but more than one defines {', '.join(twice)}"
        )
    return script, "\n".join(text for path, text in texts.items() if path.suffix == ".css")


def _names() -> list[str]:
    """All explorables, which are the modules that export a function of their own name."""
    modules = scripts.folder().glob("*.js")
    return sorted(m.stem for m in modules if f"export function {m.stem}(" in m.read_text("utf-8"))


def _classic(module: str, source: str) -> str:
    """A module's source without its imports and without the word export."""
    source = re.sub(scripts.IMPORT, "", source, flags=re.M)
    source = re.sub(r"^export (?=function |const )", "", source, flags=re.M)
    left = re.search(r"^\s*(import|export)\b.*|</script", source, flags=re.M | re.I)
    if left:
        raise ValueError(
            f"{module}.js: {left[0].strip()!r} cannot stand in a classic script: import from "
            '"./module.js", in one line, and export functions and constants only'
        )
    return source


def _packed(value: object) -> dict[str, Any]:
    """What core.js unpacks: bytes are a quarter of their decimal digits."""
    array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
        kind = getattr(value, "dtype", type(value).__name__)
        raise TypeError(
            f"data is JSON and uint8 tensors, got {kind}: try .tolist() for few numbers"
        )
    return {"shape": array.shape, "base64": base64.b64encode(array.tobytes()).decode()}


def _picture(figure: Figure) -> str:
    """The figure as an <img> that carries its PNG, at half its pixels: sharp on dense screens."""
    buffer = io.BytesIO()
    figure.savefig(
        buffer,
        format="png",
        dpi=200,
        bbox_inches="tight",
        facecolor="white",
        metadata={"Software": None},  # else the output would change with matplotlib's version
    )
    plt.close(figure)  # else a notebook would show it once more, below the output
    png = buffer.getvalue()
    if len(png) > STILL_BYTES:
        raise ValueError(
            f"the still picture has {len(png):,} bytes, more than {STILL_BYTES:,}: make it smaller"
        )
    width, height = struct.unpack(">II", png[16:24])  # in every PNG's header
    return (
        f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}" '
        f'width="{width // 2}" height="{height // 2}" alt="{ALT}">'
    )
