"""The same training with several seeds, one after the other."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from .. import validation
from ..registration import task_name
from .checkpoints import check_free, free_folder
from .run import train
from .session import Result


def train_seeds(
    task: str,
    seeds: Sequence[int],
    *,
    out: str | os.PathLike[str] | None = None,
    **options: Any,
) -> list[Result]:
    """Train with one seed after the other, and print a table of what came of them.

    Args:
        task: an id ("DroneFlag-v0") or a task's name ("flag").
        seeds: different integers.
        out: folder of the runs, which are called ``seed-0``, ``seed-1``, ...; None for the first
            free ``runs/<task>-<n>``.
        **options: further arguments of ``train``, but for ``seed`` and ``resume``.  Each run has
            copies of the callbacks, so that none remembers the run before.

    Returns:
        What came of each; fewer than seeds when a run was interrupted, which stops the rest.

    Raises:
        ValueError, TypeError, FileExistsError: as ``train`` does, before anything is trained.
    """
    name = task_name(task)
    for seed in seeds:
        validation.integer("seeds", seed, 0, 2**32 - 1)
    if not len(seeds) or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be different integers, one or more, got {list(seeds)}")
    for not_for_several in ("seed", "resume"):
        if options.get(not_for_several) is not None:
            raise ValueError(f"{not_for_several} cannot be given with several seeds")
    folder = free_folder(name) if out is None else Path(out)
    for seed in seeds:
        check_free(folder / f"seed-{seed}", options.get("force", False))
    results: list[Result] = []
    for seed in seeds:
        own = {**options, "callback": deepcopy(options.get("callback"))}
        results.append(train(name, seed=seed, out=folder / f"seed-{seed}", **own))
        if results[-1].interrupted:
            break
    if options.get("verbose", 1):
        print(as_table(seeds, results), flush=True)
    return results


def as_table(seeds: Sequence[int], results: Sequence[Result]) -> str:
    """A line for each seed: what came of it, or that it was not trained."""
    metrics = ("on_target", "formation_error", "collisions", "crashes")
    lines = [f"{'seed':>10} {'steps':>13} {'seconds':>8} " + " ".join(f"{m:>15}" for m in metrics)]
    for seed, result in zip(seeds, results, strict=False):
        found = result.evaluation.as_dict() if result.evaluation else {}
        values = (found.get(metric) for metric in metrics)
        figures = " ".join(f"{math.nan if v is None else v:15.4f}" for v in values)
        line = f"{seed:>10} {result.steps:>13,} {result.seconds:>8.0f} {figures}"
        lines.append(line + (f"  stopped by {result.interrupted}" if result.interrupted else ""))
    lines += [f"{seed:>10} not trained" for seed in seeds[len(results) :]]
    return "\n".join(lines).replace("nan", "  -")
