"""MyST Markdown as the plain Markdown that Jupyter and Colab show.

Directives, roles, targets and equation labels exist only on the site, so each is rewritten to what
a plain notebook can show. One that has no plain form stops the build: a reader would see raw
markup. What is what says MyST's own parser; the rest of the source stays as it stands.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser
from sphinx.errors import ExtensionError

from ddpm_book.words import say

Resolve = Callable[[str, str], str]  # (role, target) -> what the site shows for it

ADMONITIONS = ("note", "tip", "warning", "important", "hint")


def plain(source: str, resolve: Resolve) -> str:
    """The same text without what only the site understands."""
    lines, blocks = source.splitlines(), []
    for tokens in _blocks(_parser().parse(source)):
        first = tokens[0]
        start, end = first.map
        if first.type in ("fence", "colon_fence") and first.info.startswith("{"):
            name, _, title = first.info[1:].partition("}")
            if name == "solution-start":  # goes on to the end of the cell, and is folded
                rest = "\n".join(lines[end:])
                blocks.append(_directive(name, title.strip(), rest, resolve))
                break
            blocks.append(_directive(name, title.strip(), first.content, resolve))
        else:
            blocks.append(_block("\n".join(lines[start:end]).rstrip(), tokens, resolve))
    return "\n\n".join(block for block in blocks if block)


@cache
def _parser() -> MarkdownIt:
    extensions = {"dollarmath", "colon_fence", "deflist", "attrs_inline"}  # as in _config.yml
    return create_md_parser(MdParserConfig(enable_extensions=extensions), RendererHTML)


def _blocks(tokens: list[Token]) -> Iterator[list[Token]]:
    """The tokens of each block that stands in no other."""
    block: list[Token] = []
    for token in tokens:
        if token.level == 0 and token.nesting >= 0 and token.map:
            if block:
                yield block
            block = []
        block.append(token)
    if block:
        yield block


def _block(text: str, tokens: list[Token], resolve: Resolve) -> str:
    for token in tokens:
        if token.type == "myst_target":
            return ""
        if token.type == "math_block_label":
            text = _numbered(text, token.info, resolve("number", token.info))
        if token.type in ("fence", "colon_fence") and token.info.startswith("{"):
            raise ExtensionError(
                f"the directive {token.info} stands inside a list or a quotation, where it has no "
                "plain form for a notebook: let it begin its line"
            )
        for part in token.children or []:
            if part.type == "myst_role":
                role = f"{{{part.meta['name']}}}`{part.content}`"
                text = text.replace(role, resolve(part.meta["name"], part.content))
            href = str(part.attrs.get("href", "")) if part.type == "link_open" else ""
            if href and not href.startswith(("https://", "http://", "mailto:")):
                link = rf"\[([^\]]+)\]\({re.escape(href)}\)"
                text = re.sub(link, r"\1", text)
    return text


def _numbered(text: str, label: str, number: str) -> str:
    """The formula's label, behind its end, becomes a tag in it, in a line of its own."""
    before, last = re.split(rf"\$\$ *\({re.escape(label)}\)", text, maxsplit=1)
    *lines, line = before.split("\n")
    indent = line if not line.strip() else ""
    lines += [line] if line.strip() else []
    return "\n".join([*lines, f"{indent}\\tag{{{number}}}", f"{indent}$$"]) + last


def _directive(name: str, title: str, content: str, resolve: Resolve) -> str:
    options, body = _options(content)
    title, text = plain(title, resolve), ""
    if name != "solution-end":
        text = plain(body, resolve)
    if name in (*ADMONITIONS, "admonition"):
        title = title or say(name.capitalize())
        folded = "dropdown" in options.get("class", "")
        return _folded(title, text) if folded else _quoted(title, text)
    if name == "dropdown":
        return _folded(title, text)
    if name == "exercise":
        number = resolve("exercise", options["label"])
        if title:
            return _quoted(say("Exercise {number} ({title})", number=number, title=title), text)
        return _quoted(say("Exercise {number}", number=number), text)
    if name in ("solution", "solution-start"):
        number = resolve("exercise", title)
        return _folded(say("Solution to exercise {number}", number=number), text)
    if name == "solution-end":
        return ""
    raise ExtensionError(
        f"the directive {{{name}}} has no plain form for a notebook: see ddpm_book/plain.py"
    )


def _options(content: str) -> tuple[dict[str, str], str]:
    """The lines `:name: value` at the head of a directive's content, and the rest."""
    options, lines = {}, content.splitlines()
    while lines and (match := re.match(r":([\w-]+): *(.*)$", lines[0])):
        options[match[1]] = match[2]
        lines = lines[1:]
    return options, "\n".join(lines)


def _quoted(title: str, text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in [f"**{title}.**", "", *text.splitlines()])


def _folded(title: str, text: str) -> str:
    return f"<details>\n<summary>{title}</summary>\n\n{text}\n\n</details>"
