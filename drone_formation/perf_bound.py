"""The best possible ``perf``: an upper bound that no pilot can beat."""

from __future__ import annotations

import numpy as np

from .airframe import CONTROL_STEP, PARAMETERS
from .swarms import Swarms

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
