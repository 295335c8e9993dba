"""Which files of this library Python source uses, and what they mean: to know when to run it again.

Used is what the source imports from ddpm_lib, at its top or inside a function, and what it opens by
a name that stands in the call; then what these files use, and so on. Files mean the same while only
their comments, docstrings and layout differ, wherever they lie.
"""

import ast
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent

# The files that a call of a function reads, by the literal that is its first argument.
Opened = Mapping[str, Callable[[str], Iterable[Path]]]


def used(*sources: str | Path, opened: Opened | None = None) -> set[Path]:
    """The files of ddpm_lib that source texts and files use, directly or not; files themselves too.

    opened: of functions that open files beside those of the library, as {"explorable": files}
    """
    found = {path for path in sources if isinstance(path, Path)}
    new = set(found)
    for text in sources:
        if isinstance(text, str):
            new |= _used_by(text, PACKAGE, opened or {})
    while new:
        path = new.pop()
        found.add(path)
        if path.suffix == ".py":
            new |= _used_by(path.read_text(encoding="utf-8"), path.parent, opened or {}) - found
    return found


def fingerprint(files: Iterable[Path]) -> str:
    """Changes when files are added or removed, or when one of them means something else."""
    digest = hashlib.sha256()
    for name, path in sorted((_name(path), path) for path in files):
        content = path.read_bytes()
        meaning = _meaning(content) if path.suffix == ".py" else content
        digest.update(f"{name}\n{hashlib.sha256(meaning).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Each name that the source binds by an import, and the whole name of what it stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name.split(".")[0], alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def module_files(name: str) -> list[Path]:
    """The files that `import name` runs, its own last: importing a.b.c runs a and a.b too."""
    parts = name.split(".")
    if parts[0] != PACKAGE.name:
        return []
    prefixes = [PACKAGE.parent.joinpath(*parts[:n]) for n in range(1, len(parts) + 1)]
    files = [file for p in prefixes for file in (p.with_suffix(".py"), p / "__init__.py")]
    return [file for file in files if file.is_file()]


def _used_by(source: str, folder: Path, opened: Opened) -> set[Path]:
    """What one source uses directly."""
    modules, calls = _mentions(source)
    files = {file for name in modules for file in module_files(name)}
    for function, name in calls:
        if function == "with_name":  # Path(__file__).with_name(name)
            files |= {path for path in (folder / name,) if path.is_file()}
        elif function in opened:
            files |= set(opened[function](name))
    return files


@cache
def _mentions(source: str) -> tuple[set[str], set[tuple[str, str]]]:
    """The modules that a source imports; the calls with a literal as their first argument."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return set(), set()  # running it will report that, with the line
    calls = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Name(id=function) | ast.Attribute(attr=function),
                args=[ast.Constant(str(name)), *_],
            ):
                calls.add((function, name))
    return {name for _, name in imports(tree)}, calls


def _name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else path.name


@cache
def _meaning(content: bytes) -> bytes:
    """The syntax of Python without docstrings, unless it reads them."""
    tree = ast.parse(content)
    if b"__doc__" not in content:
        tree = _WithoutDocstrings().visit(tree)
    return ast.dump(tree).encode()


class _WithoutDocstrings(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node
