"""What every test needs: no display, and third parties' import-time warnings out of the way."""

from __future__ import annotations

import contextlib
import os
import warnings
from pathlib import Path

import pytest

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("SDL_AUDIODRIVER", "dummy")

# Some of these warn about themselves while they are imported; here, warnings are errors.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pettingzoo.test  # noqa: F401

    with contextlib.suppress(ImportError):
        import stable_baselines3  # noqa: F401
        import supersuit  # noqa: F401


def pytest_configure(config: pytest.Config) -> None:
    """Interpreted, the simulator's scalars are NumPy's, which warn where machine code does not.

    Its random numbers overflow by design, and what blows up is looked at afterwards.
    """
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        said = "(overflow|invalid value|divide by zero) encountered in scalar"
        config.addinivalue_line(
            "filterwarnings", rf"ignore:{said}:RuntimeWarning:drone_formation\.sim\."
        )


#: Modules that read files of the repository which no wheel has; see ``tests/installed.py``.
REPOSITORY = {
    "test_docs.py", "test_examples.py", "test_fuzz.py", "test_gallery.py", "test_memory.py",
    "test_packaging.py", "test_recipes.py", "test_sizes.py",
}  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the repository."""
    for item in items:
        if Path(item.path).name in REPOSITORY:
            item.add_marker("repository")
