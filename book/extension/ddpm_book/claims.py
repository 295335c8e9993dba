"""Claims on the page: each as a quiet line with its equation's number, and the ledger of all.

A claim prints one line and attaches its figures to that output (`ddpm_lib.course.claims`). Here
they are read from the executed notebook, so nothing on the page or in the ledger is typed by hand.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

from ddpm_book.execution import executed_notebook
from ddpm_book.mathematics import unset, with_formulas
from ddpm_book.words import say

logger = logging.getLogger(__name__)

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Claim = dict[str, Any]  # label, kind, error, tolerance, rejects: [[name, distance]], id


def cells(document: nodes.document) -> Iterator[nodes.container]:
    """The code cells of a page."""
    for node in document.findall(nodes.container):
        if node.get("nb_element") == "cell_code":
            yield node


def collect(app: Sphinx, document: nodes.document) -> None:
    """Note the claims and the labeled equations of a page; set the claims' lines."""
    env = app.env
    env.ddpm_equations[env.docname] = {
        node["label"]: (node.source, node.line)
        for node in document.findall(nodes.math_block)
        if node.get("label")
    }
    env.ddpm_claims[env.docname] = []
    notebook = executed_notebook(app, env.docname)
    if notebook is None:
        return
    for cell in cells(document):
        outputs = notebook["cells"][cell["cell_index"]].get("outputs", [])
        claims = {
            output["data"]["text/plain"]: output["metadata"]["claim"]
            for output in outputs
            if "claim" in output.get("metadata", {})
        }
        bundles = [n for n in cell.findall(nodes.container) if n.get("nb_element") == "mime_bundle"]
        for bundle in bundles:
            claim = claims.get(bundle.astext().strip())
            if claim:
                claim["id"] = f"claim-{len(env.ddpm_claims[env.docname]) + 1}"
                env.ddpm_claims[env.docname].append(claim)
                bundle.replace_self(_line(claim, env.docname, bundle))


def _line(claim: Claim, doc: str, near: nodes.Node) -> nodes.paragraph:
    """✓ (2.7) · |got − want| = 4.1e-04 ≤ 3.0e-03 · rejects: adding standard deviations."""
    line = nodes.paragraph(classes=["claim"], ids=[claim["id"]])
    line.source, line.line = near.source, near.line
    line += [nodes.Text("✓ "), _equation(claim["label"], doc, near), nodes.Text(" ")]
    line += nodes.inline(text=size(claim), classes=["claim-size"])
    line += nodes.Text(f" · {say('rejects:')} ")
    for i, (name, _) in enumerate(claim["rejects"]):
        if unset(name):
            logger.warning(
                "the wrong version “%s” has mathematics outside of $…$", name, location=line
            )
        line += [nodes.Text("; " if i else ""), *with_formulas(name)]
    return line


def size(claim: Claim) -> str:
    """How closely the equation held, in the terms of its kind."""
    if claim["kind"] == "symbolic":
        return say("holds symbolically")
    return f"|got − want| = {number(claim['error'])} ≤ {number(claim['tolerance'])}"


def number(value: float | None) -> str:
    """Two significant digits: 0.32, or 4.1·10⁻⁴; None is what JSON has for infinity."""
    if value is None:
        return "∞"
    mantissa, exponent = f"{value:.1e}".split("e")
    if value == 0 or abs(int(exponent)) < 3:
        return f"{value:.2g}"
    return f"{mantissa}·10{str(int(exponent)).translate(SUPERSCRIPT)}"


def _equation(label: str, doc: str, near: nodes.Node) -> addnodes.pending_xref:
    """A reference that Sphinx turns into the equation's number, or warns that there is none."""
    xref = addnodes.pending_xref(
        "", nodes.literal(text=label), refdomain="math", reftype="eq", reftarget=label,
        refdoc=doc, refwarn=True,
    )  # fmt: skip
    xref.source, xref.line = near.source, near.line
    return xref


def unclaimed(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of each labeled equation that is neither a definition nor claimed."""
    claimed = {claim["label"] for claims in env.ddpm_claims.values() for claim in claims}
    for equations in env.ddpm_equations.values():
        for label, location in equations.items():
            if not label.startswith("def:") and label not in claimed:
                logger.warning(
                    "the equation %s has no claim: check it in a cell with "
                    "claim(%r, ...), or label it def:... if it is a definition",
                    label, label, location=f"{location[0]}:{location[1]}",
                )  # fmt: skip


class ledger(nodes.Element):
    """Where the ledger stands."""


class Ledger(SphinxDirective):
    """```{claims-ledger}```: every labeled equation of the book, with its claims."""

    def run(self) -> list[nodes.Node]:
        self.env.ddpm_ledgers.add(self.env.docname)
        return [ledger()]


class WriteLedger(SphinxPostTransform):
    """Fill the ledger once all pages are read; before references are resolved (priority 10)."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        for node in list(self.document.findall(ledger)):
            node.replace_self([_summary(self.env), *self._chapters()])

    def _chapters(self) -> Iterator[nodes.Node]:
        for doc, equations in sorted(self.env.ddpm_equations.items()):
            if not equations:
                continue
            section = nodes.section(ids=[nodes.make_id(doc)])
            chapter = ".".join(map(str, self.env.titles[doc].get("secnumber") or ()))
            title = f"{chapter} {self.env.titles[doc].astext()}".strip()
            section += nodes.title(text=title)
            section += self._table(doc, equations)
            yield section

    def _table(self, doc: str, equations: dict[str, Any]) -> nodes.Node:
        table = nodes.table(classes=["claims-ledger"])
        group = nodes.tgroup(cols=4)
        table += group
        group += [nodes.colspec(colwidth=width) for width in (12, 16, 28, 44)]
        head, body = nodes.thead(), nodes.tbody()
        group += [head, body]
        titles = say("Equation"), say("Kind"), say("Check"), say("Rejects, and how far off")
        head += _row(*map(nodes.Text, titles))
        for label in equations:
            claims = [c for c in self.env.ddpm_claims[doc] if c["label"] == label]
            for claim in claims:
                body += self._claim_row(doc, label, claim)
            if not claims:
                here = self.env.docname
                body += _row(_equation(label, here, self.document), nodes.Text(say("definition")))
        return table

    def _claim_row(self, doc: str, label: str, claim: Claim) -> nodes.row:
        here = self.env.docname
        kind = {
            "exact": say("exact"),
            "symbolic": say("symbolic"),
            "Monte Carlo": say("Monte Carlo"),
        }[claim["kind"]]
        check = nodes.inline(text=size(claim))
        link = make_refnode(self.app.builder, here, doc, claim["id"], check)
        wrong = nodes.bullet_list()
        for name, apart in claim["rejects"]:
            off = "" if claim["kind"] == "symbolic" else f": {number(apart)}"
            item = nodes.paragraph("", "", *with_formulas(name), nodes.Text(off))
            wrong += nodes.list_item("", item)
        return _row(_equation(label, here, self.document), nodes.Text(kind), link, wrong)


def _row(*contents: nodes.Node) -> nodes.row:
    row = nodes.row()
    for content in [*contents, *[nodes.Text("")] * (4 - len(contents))]:
        block = isinstance(content, nodes.bullet_list)
        row += nodes.entry("", content if block else nodes.paragraph("", "", content))
    return row


def _summary(env: BuildEnvironment) -> nodes.paragraph:
    claims = [claim for claims in env.ddpm_claims.values() for claim in claims]
    labels = [label for equations in env.ddpm_equations.values() for label in equations]
    kinds = Counter(claim["kind"] for claim in claims)
    text = say(
        "{equations} labeled equations, {definitions} of them definitions. {claims} claims: "
        "{exact} exact, {symbolic} symbolic, {random} Monte Carlo. Together they reject {wrong} "
        "wrong versions.",
        equations=str(len(labels)),
        definitions=str(sum(label.startswith("def:") for label in labels)),
        claims=str(len(claims)),
        exact=str(kinds["exact"]),
        symbolic=str(kinds["symbolic"]),
        random=str(kinds["Monte Carlo"]),
        wrong=str(sum(len(claim["rejects"]) for claim in claims)),
    )
    return nodes.paragraph(text=text)


def prepare(app: Sphinx) -> None:
    for name, empty in (("ddpm_claims", {}), ("ddpm_equations", {}), ("ddpm_ledgers", set())):
        if not hasattr(app.env, name):
            setattr(app.env, name, empty)


def purge(app: Sphinx, env: BuildEnvironment, doc: str) -> None:
    for store in (env.ddpm_claims, env.ddpm_equations):
        store.pop(doc, None)
    env.ddpm_ledgers.discard(doc)


def ledgers_to_write(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """The ledger's own source does not change when a claim does: write it every time."""
    return sorted(env.ddpm_ledgers)
