"""The reward: what each term means and what it weighs."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class RewardWeights:
    """Weights of the reward's terms; every weight is zero or more.  Each task has its own.

    With d the distance to the target in metres, the reward of one drone in one step is::

        + progress   * (metres gained on the target in this step)
        + approach   * 1 / (1 + d)
        + precision  * 1 / (1 + d / 0.1 m)
        + ring       * (1 when the drone passes its race ring the right way)
        - collision  * (1 when nearer to another drone than the collision distance, falling to 0
                        at 1.2 collision distances)
        - conflict   * (how near and how soon the worst conflict ahead is, from 0 to 1)
        - smoothness * (squared change of the action)
        - spin       * (squared body rates, rad²/s²)
        - crash      * (1 when the drone leaves the arena)

    ``conflict`` is the length of the observation's ``conflict_0`` (see ``observation.py``): it
    looks ahead along straight lines, as collision avoidance by velocity obstacles does (Fiorini &
    Shiller, 1998).  Drones at rest on their targets are far enough apart to cost nothing.

    ``collision`` costs before there is one, because a policy for which a miss is as good as a mile
    learns to miss by centimetres.

    ``approach`` and ``precision`` pay for being on a target, so not in a race, whose rings are to
    be passed, unless it is paced, when there are places to keep.  They act on two scales, so that
    the last centimetres pay as clearly as the last metres; ``progress`` reaches across the arena.
    The defaults were found by experiment: being on target pays more than all else that a drone is
    paid step by step, and a crash, or a step of a collision, costs what it earns in 16 steps there.

    Raises:
        ValueError: a weight is negative, beyond 1e6 or not a number.
        TypeError: a weight is not a number.
    """

    progress: float = 0.15
    approach: float = 0.5
    precision: float = 0.12
    ring: float = 5.0
    collision: float = 10.0
    conflict: float = 0.15
    smoothness: float = 0.0006
    spin: float = 0.00015
    crash: float = 10.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
                raise TypeError(f"RewardWeights: {field.name} must be a number, got {value!r}")
            if not 0 <= value <= 1e6:  # false for a NaN, too
                raise ValueError(
                    f"RewardWeights: {field.name} must be from 0 to 1e6, got {value!r}"
                )
