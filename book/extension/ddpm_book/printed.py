"""What a chapter prints of the library's source: there, comments and docstrings are output."""

import ast
from collections.abc import Iterator

from ddpm_lib.sources import PACKAGE, imports, module_files


def printed(source: str) -> list[str]:
    """The texts that inspect.getsource gives to the code of a chapter, as far as it is not its own.

    Its argument is an imported name, with dots or without, or the variable of a loop over such.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []  # running it will report that, with the line
    bound = _bound(tree)
    own = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    texts = []
    for node in _arguments(tree):
        first, *rest = ast.unparse(node).split(".")
        if first in bound:
            texts.append(_text(".".join([bound[first], *rest])))
        elif first not in own:
            raise ValueError(
                f"inspect.getsource({ast.unparse(node)}): cannot tell which source this is, "
                "and so not when to print it anew; name what is imported or defined here"
            )
    return texts


def _bound(tree: ast.AST) -> dict[str, str]:
    """What imported names stand for; `import a.b` binds a."""
    return {name: name if whole.startswith(f"{name}.") else whole for name, whole in imports(tree)}


def _arguments(tree: ast.AST) -> Iterator[ast.expr]:
    """What getsource is called with; for the variable of a loop, what the loop goes over."""
    found: dict[ast.Call, list[ast.expr]] = {}
    for node in ast.walk(tree):  # a loop comes before what is in it
        for call in _calls(node):
            found.setdefault(call, call.args)
        if isinstance(node, ast.For) and isinstance(node.iter, ast.Tuple):
            for call in _calls(*ast.walk(node)):
                if ast.unparse(call.args[0]) == ast.unparse(node.target):
                    found[call] = node.iter.elts
    for arguments in found.values():
        yield from arguments


def _calls(*nodes: ast.AST) -> list[ast.Call]:
    calls = (node for node in nodes if isinstance(node, ast.Call))
    return [call for call in calls if ast.unparse(call.func).split(".")[-1] == "getsource"]


def _text(name: str) -> str:
    """The source of a module, or of what it defines or imports; of other packages none."""
    files = module_files(name)
    if not files:
        return ""
    module = files[-1].relative_to(PACKAGE.parent).with_suffix("").parts
    depth = len(module) - (module[-1] == "__init__")
    return _within(files[-1].read_text("utf-8"), name.split(".")[depth:])


def _within(text: str, names: list[str]) -> str:
    """The lines of a class or function, or of a method of a class: all lines, if it has no name."""
    body = ast.parse(text)
    bound = _bound(body)
    node: ast.AST = body
    for i, name in enumerate(names):
        found = [
            child
            for child in ast.iter_child_nodes(node)
            if isinstance(child, ast.FunctionDef | ast.ClassDef) and child.name == name
        ]
        if not found:
            return _text(".".join([bound[name], *names[i + 1 :]])) if name in bound else text
        node = found[-1]
    if not isinstance(node, ast.FunctionDef | ast.ClassDef):
        return text
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
