"""What every test needs: no display, and third parties' import-time warnings out of the way."""

from __future__ import annotations

import contextlib
import os
import warnings

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("SDL_AUDIODRIVER", "dummy")

# Some of these warn about themselves while they are imported; here, warnings are errors.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pettingzoo.test  # noqa: F401

    with contextlib.suppress(ImportError):
        import stable_baselines3  # noqa: F401
        import supersuit  # noqa: F401
