"""Evaluation: the metrics of a pilot on a task over many episodes, and the best possible ``perf``.

``Swarms.metrics`` defines the metrics; here are only their statistics, and :func:`perf_bound`.
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
from .airframe import CONTROL_STEP, PARAMETERS
from .pilots import Pilot
from .swarms import Swarms

#: Episode k of an evaluation uses seed ``FIRST_SEED + k``; training keeps below.
FIRST_SEED = 1_000_000
#: How many times episodes are drawn anew for the confidence intervals.
RESAMPLES = 2000

#: What is reported, in this order, with units.
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

    def statistics(self) -> dict[str, Statistic | None]:
        """Every metric of ``UNITS``."""
        return {metric: self.statistic(metric) for metric in UNITS}

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
        metrics = [metric for metric in UNITS if metric in self.per_episode]
        writer.writerow(["task", "pilot", "episode", "seed", *metrics])
        for k in range(self.episodes):
            row = [float(self.per_episode[metric][k]) for metric in metrics]
            writer.writerow([self.task, self.pilot, k, self.seed + k, *row])
        return text.getvalue()

    def as_table(self) -> str:
        """The metrics as text for people."""
        lines = [
            f"{self.task}, flown by {self.pilot}: {self.episodes} episodes of {self.num_drones} "
            f"drones and {self.max_steps} steps, seeds from {self.seed}",
            f"{'':18} {'mean':>10}   {'95 % confidence':^21}",
        ]
        for metric, statistic in self.statistics().items():
            if statistic is None:
                lines.append(f"{metric:18} {'-':>10}")
                continue
            value, low, high = (_short(number) for number in statistic)
            unit = UNITS[metric] + (" (median)" if metric == "time_to_form" else "")
            lines.append(f"{metric:18} {value:>10}   {low:>9} … {high:<9} {unit}".rstrip())
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
    pilot: Pilot,
    task: str,
    episodes: int = 50,
    num_drones: int | None = None,
    seed: int = FIRST_SEED,
    max_steps: int = 1024,
    num_swarms_at_once: int = 16,
    **options: Any,
) -> Evaluation:
    """Fly a task for a number of episodes and report the metrics.

    Args:
        pilot: who flies.
        task: name of the task.
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
            swarms.step(pilot.act(swarms))
        metrics = swarms.metrics()
        metrics["formed"] = np.isfinite(metrics["time_to_form"]).astype(float)
        metrics["perf_bound"] = bound
        metrics["perf_ratio"] = metrics["perf"] / bound
        parts.append(metrics)
    per_episode = {metric: np.concatenate([part[metric] for part in parts]) for metric in UNITS}
    if np.isnan(per_episode["perf_bound"]).any():
        del per_episode["perf_bound"], per_episode["perf_ratio"]
    return Evaluation(
        task, getattr(pilot, "name", type(pilot).__name__), episodes, seed, swarms.num_drones,
        swarms.max_steps, per_episode, options,
    )  # fmt: skip


# ---- the best possible perf --------------------------------------------------------------------

#: How the weights of the bound are shaped: when their sign turns, in shortest arrival times.
_TURNS = np.array([
    (first, first + second, first + second + third)
    for first in np.linspace(0.85, 1.0, 7)
    for second in np.linspace(0.10, 0.45, 8)
    for third in (0.0, 0.03, 0.06, 0.10)
])  # fmt: skip


def perf_bound(swarms: Swarms) -> np.ndarray:
    """An upper bound on each swarm's ``perf``, which no pilot can beat, (S,).

    To be called right after a reset.  NaN for swarms whose targets move (and for races): no bound
    is known there.  Each drone is on its own, and collisions, which only cost, are ignored; so are
    crashes, after which a drone is put back at random.

    **Derivation.**  A drone starts at rest, at distance d from its target, in the direction u.  Let
    s(t) be the part of its remaining way along u, so that its distance is at least |s(t)|.  The
    thrust is a vector of any direction no longer than T_max; with gravity and linear drag
    (rate k = drag / mass), the speed v = -s' along u obeys

        v' = a(t) - k v,    -(T_max/m + g u_z) <= a(t) <= T_max/m - g u_z,

    whatever the attitude and the rotors do: this is the ideal point mass.  (The simulator's clamp
    of speeds at 50 m/s only takes away what less thrust would not have built up.)  Hence, with
    f(t) = (1 - exp(-k t)) / k,  s(t) = d - integral of f(t - r) a(r) dr  from 0 to t.

    The summed distance at the control times t_i is at least sum y_i s(t_i) for *any* weights
    -1 <= y_i <= 1, and this is linear in a(.), so its least value over all a(.) is known exactly:

        sum y_i d  -  integral of max(a_max p(r), a_min p(r)) dr,
        p(r) = sum of y_i f(t_i - r) over t_i > r.

    That is the dual of the optimal control problem "least integral of the distance", whose
    solutions are bang-bang: accelerate, brake, and, as in Fuller's problem, overshoot a little.
    Every choice of weights gives a bound; good ones turn their signs about when the best
    trajectory passes the target, and the best of a small family is taken.  An ideal point mass
    that accelerates and then brakes to a stop on its target comes within 1.2 % of the summed
    distance bounded here from 12 m away, and within 4 % from 4 m; the optimum over all controls,
    which overshoots, within 0.5 % from 20 m.
    """
    offset = (swarms.target_position - swarms.position).astype(float)
    airframes = swarms.airframes.astype(float)
    column = {name: airframes[:, :, i] for i, name in enumerate(PARAMETERS)}
    strongest = 4 * column["thrust_coefficient"] * column["max_rotor_speed"] ** 2 / column["mass"]
    distance = np.linalg.norm(offset, axis=2)
    rising = column["gravity"] * offset[:, :, 2] / np.maximum(distance, 1e-9)
    least = least_summed_distance(
        distance.ravel(), (strongest - rising).ravel(), (strongest + rising).ravel(),
        (column["linear_drag"] / column["mass"]).ravel(), swarms.max_steps,
    ).reshape(distance.shape)  # fmt: skip
    diagonal = np.linalg.norm(2 * swarms.arena)
    bound = 1 - least.mean(axis=1) / (swarms.max_steps * diagonal)
    bound[np.abs(swarms.target_velocity).max(axis=(1, 2)) > 0] = np.nan
    return bound


def least_summed_distance(
    distance: np.ndarray,
    accelerating: np.ndarray,
    braking: np.ndarray,
    drag_rate: np.ndarray,
    steps: int,
) -> np.ndarray:
    """A lower bound on the sum over control steps of a point mass's distance, m: see above.

    Args:
        distance: at the start, at rest, (M,), m.
        accelerating, braking: greatest accelerations towards the target and away from it, (M,).
        drag_rate: drag / mass, (M,), 1/s.
        steps: how many control steps there are.
    """
    slowness = 1 / accelerating + 1 / braking
    arrival = np.sqrt(2 * distance * slowness)  # of the quickest rest-to-rest motion, without drag
    first, second, third = (_TURNS[:, [i]] * arrival for i in range(3))  # (candidates, M)
    counts = np.minimum(steps, np.ceil(third.max(axis=0) / CONTROL_STEP) + 1)  # of weights not 0
    count = int(counts.max())

    # y_i: the mean of a weight that is +1, then -1, then +1, then 0, over the step before t_i.
    def until(turn: np.ndarray, i: int) -> np.ndarray:
        return np.clip(turn / CONTROL_STEP - (i - 1), 0, 1)

    keep = np.exp(-drag_rate * CONTROL_STEP)
    slow = np.maximum(drag_rate, 1e-12)
    unit = np.where(drag_rate > 1e-9, -np.expm1(-drag_rate * CONTROL_STEP) / slow, CONTROL_STEP)
    weight_sum, p, gained = np.zeros((3, *first.shape))
    for i in range(count, 0, -1):  # from t_i back to t_(i - 1)
        weight_sum += 2 * until(first, i) - 2 * until(second, i) + until(third, i)
        before = keep * p + unit * weight_sum
        # The integrand is convex in p, and p is nearly straight in between: the trapezoid rule
        # errs upwards, and the last term makes up for the curvature that drag gives p.
        gained += 0.5 * CONTROL_STEP * (_gain(p, accelerating, braking)
                                        + _gain(before, accelerating, braking))  # fmt: skip
        curvature = np.where(i <= counts, drag_rate * counts, 0.0)
        gained += curvature * CONTROL_STEP**3 / 12 * np.maximum(accelerating, braking)
        p = before
    return np.maximum((weight_sum * distance - gained).max(axis=0), 0.0)


def _gain(p: np.ndarray, accelerating: np.ndarray, braking: np.ndarray) -> np.ndarray:
    return np.where(p > 0, accelerating * p, -braking * p)
