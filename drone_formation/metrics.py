"""The metrics of an episode: one definition, used by logs, evaluations and documents."""

from __future__ import annotations

import numpy as np

from .airframe import CONTROL_STEP
from .batch import Batch
from .sim import layout


def late_steps(max_steps: int) -> int:
    """How many steps the last fifth of an episode has."""
    return -(-max_steps // 5)


def episode_metrics(batch: Batch, max_steps: int) -> dict[str, np.ndarray]:
    """Each swarm's metrics over its episode so far, arrays (S,).

    - ``perf``: mean over drones and steps of 1 - distance / arena diagonal - colliding.
    - ``formation_error``: root mean square distance to target over the last fifth, m.
    - ``on_target``: share of drones that stay within 0.10 m through the last fifth.
    - ``within_half_metre``: the same for 0.5 m.
    - ``time_to_form``: first time from which 95 % of the drones stay within 0.25 m, s;
      infinite when never.
    - ``collisions``: encounters per drone-minute, each counted once, when it starts.
    - ``collision_rate``: share of drone-steps spent colliding.
    - ``crashes``: per drone-episode.
    - ``faults``: those of them that were numerical blow-ups, contained.
    - ``min_separation``: least distance between two drones after the first 2 s, m.
    - ``rings_per_minute``: race rings passed per drone-minute.
    - ``episode_return``, ``length``: mean over drones of the summed reward; steps.

    The last fifth counts from the episode's ``max_steps``: before it, its metrics are NaN.
    A drone that crashed for good is never on target and has no distance (NaN when all are).
    """
    steps = batch.episodes["step"]
    late = np.maximum(steps - (max_steps - late_steps(max_steps)), 0)
    elapsed = np.maximum(steps, 1)
    minutes = elapsed * CONTROL_STEP / 60
    active = batch.read(layout.ACTIVE)[..., 0] > 0
    remaining = active.sum(axis=1)
    reached = np.where(late > 0, 1.0, np.nan)

    def mean(row: int) -> np.ndarray:
        return np.asarray(batch.read(row)[..., 0].astype(float).mean(axis=1))

    squares = batch.read(layout.LATE_SQUARES)[..., 0].astype(float)
    farthest = batch.read(layout.LATE_FARTHEST)[..., 0]
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: no drone, no distance
        late_mean = np.where(active, squares, 0).sum(axis=1) / (remaining * np.maximum(late, 1))
    formed_from = batch.episodes["last_unformed"] + 1
    return {
        "perf": mean(layout.SCORE) / elapsed,
        "formation_error": np.sqrt(late_mean) * reached,
        "on_target": ((farthest < 0.10) & active).mean(axis=1) * reached,
        "within_half_metre": ((farthest < 0.5) & active).mean(axis=1) * reached,
        "time_to_form": np.where(formed_from > steps, np.inf, formed_from * CONTROL_STEP),
        "collisions": mean(layout.COLLISIONS) / minutes,
        "collision_rate": mean(layout.COLLISION_STEPS) / elapsed,
        "crashes": mean(layout.CRASHES),
        "faults": mean(layout.FAULTS),
        "min_separation": batch.read(layout.SEPARATION)[..., 0].min(axis=1).astype(float),
        "rings_per_minute": mean(layout.RINGS_PASSED) / minutes,
        "episode_return": mean(layout.EPISODE_RETURN),
        "length": steps.astype(float),
    }
