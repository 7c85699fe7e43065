"""The house's limits: small modules, functions and signatures, and rows by name."""

from __future__ import annotations

import runpy
from pathlib import Path

SIZES = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "sizes.py"))


def test_modules_functions_and_signatures_are_small() -> None:
    assert not SIZES["offenders"](), "split it, or say why right above it: see benchmarks/sizes.py"


def test_rows_have_names() -> None:
    assert not list(SIZES["bare_rows"]())


def test_offenders_are_found(tmp_path: Path) -> None:
    (tmp_path / "sim").mkdir()
    many = ", ".join(f"a{i}" for i in range(9))
    reason = "# Arguments: nine are needed\n"
    lines = "\n".join(["def long():", *["    pass"] * 60, f"def wide({many}):", "    pass", ""])
    module = tmp_path / "sim" / "module.py"
    module.write_text(
        lines + f"block[3, 0] = block[ROW, 1] + wind[0]\n{reason}def w({many}): ...\n"
    )
    assert SIZES["offenders"](tmp_path) == [
        "sim/module.py:1 long: 61 lines", "sim/module.py:62 wide: 9 arguments"
    ]  # fmt: skip
    assert list(SIZES["bare_rows"](tmp_path)) == ["sim/module.py:64 block[3, 0]"]
    some = ", ".join(f"a{i}" for i in range(6))
    module.write_text(f"def every({some}, /, b, *c, d, **e): ...\n")
    assert SIZES["offenders"](tmp_path) == ["sim/module.py:1 every: 10 arguments"]
    module.write_text("\n" * 401)
    assert SIZES["offenders"](tmp_path) == ["sim/module.py: 401 lines, of 400"]
