"""How large the package's modules, functions and signatures are, and whether rows are named.

python benchmarks/sizes.py

`tests/test_sizes.py` holds the package to the limits.  A function may pass one for a reason that
stands in a comment right above it, which begins with "# Large because" or "# Arguments:".
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1] / "drone_formation"
MODULE_LINES, FUNCTION_LINES, ARGUMENTS = 400, 60, 8
#: Arrays in ``sim/`` whose first axis is no row: small records, and entries by number.
NO_ROWS = {
    "arena",  # x, y, z
    "offset_scales",  # far, mid, near
    "shape",  # of any array
    "tiling",  # tiles, boxes, orders
    "wind",  # x, y, z
}
#: Modules that handle no rows, but what numba and LLVM hand over.
NO_ARRAYS = {"_jit.py", "simd.py"}


class Function(NamedTuple):
    """A function of the package."""

    place: str
    name: str
    lines: int
    arguments: int
    reason: str  #: the comment above it, if that is one of those above


def modules(package: Path = PACKAGE) -> dict[str, int]:
    """Lines of each module."""
    return {
        str(path.relative_to(package)): len(path.read_text(encoding="utf-8").splitlines())
        for path in sorted(package.rglob("*.py"))
    }


def functions(package: Path = PACKAGE) -> Iterator[Function]:
    """Every function and method; the docstring counts, ``self`` does not."""
    for path in sorted(package.rglob("*.py")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in ast.walk(ast.parse("\n".join(lines))):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            every = node.args
            given = [every.vararg, every.kwarg, *every.kwonlyargs]
            positional = [*every.posonlyargs, *every.args]
            count = sum(argument is not None for argument in (*positional, *given))
            count -= bool(positional) and positional[0].arg in ("self", "cls")
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            yield Function(
                f"{path.relative_to(package)}:{node.lineno}", node.name, length, count,
                _reason(lines[: first - 1]),
            )  # fmt: skip


def _reason(above: list[str]) -> str:
    """The comment right above, where it is a reason."""
    comment: list[str] = []
    while above and above[-1].strip().startswith("#"):
        comment.insert(0, above.pop().strip("# "))
    text = " ".join(comment)
    return text if text.startswith(("Large because", "Arguments:")) else ""


def bare_rows(package: Path = PACKAGE) -> Iterator[str]:
    """Every subscript in ``sim/`` whose first index is a number, but for ``NO_ROWS``."""
    for path in sorted((package / "sim").glob("*.py")):
        if path.name in NO_ARRAYS:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Subscript) or not isinstance(
                node.ctx, ast.Load | ast.Store
            ):
                continue
            index = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
            if isinstance(index, ast.BinOp):
                index = index.left
            name = node.value.attr if isinstance(node.value, ast.Attribute) else None
            name = node.value.id if isinstance(node.value, ast.Name) else name
            number = isinstance(index, ast.Constant) and isinstance(index.value, int)
            if number and name is not None and name not in NO_ROWS:
                yield f"sim/{path.name}:{node.lineno} {ast.unparse(node)}"


def offenders(package: Path = PACKAGE) -> list[str]:
    """What passes a limit without a reason."""
    found = [
        f"{name}: {lines} lines, of {MODULE_LINES}"
        for name, lines in modules(package).items()
        if lines > MODULE_LINES
    ]
    for function in functions(package):
        if function.reason:
            continue
        if function.lines > FUNCTION_LINES:
            found.append(f"{function.place} {function.name}: {function.lines} lines")
        if function.arguments > ARGUMENTS:
            found.append(f"{function.place} {function.name}: {function.arguments} arguments")
    return found


def main() -> int:
    """Print it all; 1 where something passes a limit without a reason."""
    sizes, all_functions = modules(), list(functions())
    print(f"{sum(sizes.values()):,} lines in {len(sizes)} modules; the largest:")
    for name in sorted(sizes, key=sizes.get, reverse=True)[:5]:  # type: ignore[arg-type]
        print(f"  {sizes[name]:4} {name}")
    print("largest functions, lines:")
    for function in sorted(all_functions, key=lambda f: f.lines, reverse=True)[:5]:
        print(f"  {function.lines:4} {function.place} {function.name}  {function.reason}")
    print("largest signatures, arguments:")
    for function in sorted(all_functions, key=lambda f: f.arguments, reverse=True)[:8]:
        print(f"  {function.arguments:4} {function.place} {function.name}  {function.reason}")
    rows, found = list(bare_rows()), offenders()
    print(f"subscripts by a bare row number in sim/: {len(rows)}", *rows, sep="\n  ")
    print("beyond a limit without a reason:", *(found or ["none"]), sep="\n  ")
    return int(bool(rows or found))


if __name__ == "__main__":
    sys.exit(main())
