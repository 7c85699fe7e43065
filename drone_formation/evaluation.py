"""Evaluation: the metrics of a pilot on a task over many episodes.

``Swarms.metrics`` defines the metrics, and ``perf_bound`` the best possible ``perf``; here are only
their statistics.
"""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from . import validation
from .perf_bound import perf_bound
from .pilots.library import as_pilot
from .registration import resolve_task
from .swarms import Swarms
from .tasks import Task

#: Episode k of an evaluation uses seed ``FIRST_SEED + k``; training keeps below.
FIRST_SEED = 1_000_000
#: How many times episodes are drawn anew for the confidence intervals.
RESAMPLES = 2000

#: What is reported, in this order, with units; after it come the returns of users' own terms.
UNITS = {
    "perf": "",
    "perf_bound": "",
    "perf_ratio": "",
    "formation_error": "m",
    "on_target": "share",
    "within_half_metre": "share",
    "time_to_form": "s",
    "formed": "share of episodes",
    "collisions": "per drone-minute",
    "collision_rate": "share of drone-steps",
    "crashes": "per drone-episode",
    "faults": "per drone-episode",
    "min_separation": "m",
    "rings_per_minute": "per drone",
    "episode_return": "",
    "length": "steps",
}


class Statistic(NamedTuple):
    """A metric over episodes: its mean (``time_to_form``: median) and 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` found.

    Attributes:
        task, pilot: names.
        episodes, seed, num_drones, max_steps: how it was run.
        per_episode: each metric's values, (episodes,).  ``perf_bound`` and ``perf_ratio`` are
            missing where no bound is known.
        options: further arguments of ``Swarms``.
    """

    task: str
    pilot: str
    episodes: int
    seed: int
    num_drones: int
    max_steps: int
    per_episode: dict[str, np.ndarray]
    options: dict[str, Any] = field(default_factory=dict)

    def statistic(self, metric: str) -> Statistic | None:
        """One metric over the episodes; None where it is unavailable.

        The interval is a percentile bootstrap over episodes (Efron, 1979) with fixed randomness.
        """
        values = self.per_episode.get(metric)
        if values is None or np.isnan(values).any():
            return None
        if metric == "perf_ratio":
            # a ratio of means, not the mean of ratios
            above, below = self.per_episode["perf"], self.per_episode["perf_bound"]
            value = above.mean() / below.mean()
        middle = np.median if metric == "time_to_form" else np.mean
        rng = np.random.default_rng(0)
        drawn = rng.integers(len(values), size=(RESAMPLES, len(values)))
        if metric == "perf_ratio":
            resampled = above[drawn].mean(axis=1) / below[drawn].mean(axis=1)
        else:
            value, resampled = middle(values), middle(values[drawn], axis=1)
        low, high = np.quantile(resampled, [0.025, 0.975], method="inverted_cdf")
        return Statistic(float(value), float(low), float(high))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics in order: those of ``UNITS``, then ``return_<name>`` of terms."""
        return (*UNITS, *(name for name in self.per_episode if name not in UNITS))

    def statistics(self) -> dict[str, Statistic | None]:
        """Every metric."""
        return {metric: self.statistic(metric) for metric in self.metrics}

    def _about(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "pilot": self.pilot,
            "episodes": self.episodes,
            "seed": self.seed,
            "num_drones": self.num_drones,
            "max_steps": self.max_steps,
        }

    def as_dict(self) -> dict[str, Any]:
        """Plain values: how it was run, each metric's value, and the ``confidence`` intervals.

        What is unavailable or infinite is None (a median ``time_to_form`` of None with ``formed``
        below one half: most episodes never formed).
        """
        statistics = self.statistics()
        return {
            **self._about(),
            **{m: None if s is None else _finite(s.value) for m, s in statistics.items()},
            "confidence": {
                m: None if s is None else [_finite(s.low), _finite(s.high)]
                for m, s in statistics.items()
            },
            "options": {name: _plain(value) for name, value in self.options.items()},
        }

    def as_json(self) -> str:
        """:meth:`as_dict` as one JSON object."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False)

    def as_csv(self) -> str:
        """A header and one line per episode."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        metrics = [metric for metric in self.metrics if metric in self.per_episode]
        writer.writerow(["task", "pilot", "episode", "seed", *metrics])
        for k in range(self.episodes):
            row = [float(self.per_episode[metric][k]) for metric in metrics]
            writer.writerow([self.task, self.pilot, k, self.seed + k, *row])
        return text.getvalue()

    def as_table(self) -> str:
        """The metrics as text for people."""
        width = max(map(len, self.metrics))
        lines = [
            f"{self.task}, flown by {self.pilot}: {self.episodes} episodes of {self.num_drones} "
            f"drones and {self.max_steps} steps, seeds from {self.seed}",
            f"{'':{width}} {'mean':>10}   {'95 % confidence':^21}",
        ]
        for metric, statistic in self.statistics().items():
            if statistic is None:
                lines.append(f"{metric:{width}} {'-':>10}")
                continue
            value, low, high = (_short(number) for number in statistic)
            unit = UNITS.get(metric, "") + (" (median)" if metric == "time_to_form" else "")
            lines.append(f"{metric:{width}} {value:>10}   {low:>9} … {high:<9} {unit}".rstrip())
        return "\n".join(lines)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _short(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.1f}"


def _plain(value: Any) -> Any:
    """An option as JSON can hold it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value if isinstance(value, (bool, int, float, str, type(None))) else repr(value)


def evaluate(
    pilot: Any,
    task: str | Task,
    episodes: int = 50,
    num_drones: int | None = None,
    seed: int = FIRST_SEED,
    max_steps: int = 1024,
    num_swarms_at_once: int = 16,
    **options: Any,
) -> Evaluation:
    """Fly a task for a number of episodes and report the metrics.

    Args:
        pilot: what flies: one of ours, or anything that ``as_pilot`` takes, such as a function of
            observations (S, N, D) or the name of a policy.
        task: an id ("DroneFlag-v0"), a name ("flag"), "package.module:attribute" or a ``Task``.
        episodes: how many; episode k is seeded with ``seed + k``, so the numbers do not depend on
            how many are flown at once.
        num_drones: N; None for 64, or for the number of ``points`` of a formation of your own.
        seed: of the first episode.
        max_steps: control steps per episode.
        num_swarms_at_once: how many episodes are flown side by side.
        options: further arguments of ``Swarms``: ``assignment``, ``randomization``, ...

    Raises:
        ValueError, TypeError: an argument is not allowed; the message names it.
    """
    flier, task = as_pilot(pilot), resolve_task(task)
    episodes = validation.integer("episodes", episodes, 1)
    at_once = validation.integer("num_swarms_at_once", num_swarms_at_once, 1)
    seed = validation.integer("seed", seed, 0)
    parts: list[dict[str, np.ndarray]] = []
    for first in range(0, episodes, at_once):
        count = min(at_once, episodes - first)
        swarms = Swarms(task, count, num_drones, seed=seed + first, max_steps=max_steps, **options)
        swarms.reset()
        bound = perf_bound(swarms)
        for _ in range(swarms.max_steps):
            swarms.step(flier.act(swarms))
        metrics = swarms.metrics()
        metrics["formed"] = np.isfinite(metrics["time_to_form"]).astype(float)
        metrics["perf_bound"] = bound
        metrics["perf_ratio"] = metrics["perf"] / bound
        parts.append(metrics)
    per_episode = {metric: np.concatenate([part[metric] for part in parts]) for metric in parts[0]}
    if np.isnan(per_episode["perf_bound"]).any():
        del per_episode["perf_bound"], per_episode["perf_ratio"]
    return Evaluation(
        task.name, flier.name, episodes, seed, swarms.num_drones, swarms.max_steps, per_episode,
        options,
    )  # fmt: skip
