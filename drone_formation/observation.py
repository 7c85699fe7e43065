"""The observation: one table of named slices that makes the Box, the docs and the tests.

Every entry is a float32 in [-1, 1] and every vector is in the drone's own body frame, so the
problem looks the same wherever a drone is and whichever way it faces.  ``squash(v, c)`` stands for
``v / (c + |v|)``: it keeps the direction, is linear well below c and saturates well above.

``conflict_0`` and ``conflict_1`` spare a policy the arithmetic of closing speeds.  Every other drone
of the swarm, near or far, is led on along its present velocity, as one is oneself, for up to 1.5 s.
Where it will pass within 1.5 collision distances, that is bad to the degree of ``1 - time / 1.5 s``
times a share, which is 1 where they would collide and falls to 0 at 1.5 collision distances; less
than 0.01 counts as nothing, and touching now as 1.  The two worst are shown (of several that touch,
the nearest): in which direction each will pass, and its velocity relative to one's own, both times
this degree.  That of the worst is the reward's ``conflict``.  Whom one will meet in a second is
seldom among one's nearest now.

In a race with a timetable the target is the drone's place on the course, and ``relative_velocity``
is relative to the place's velocity plus 0.2 s times its acceleration: a drone must lean before a
bend, and nothing else here foretells one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: Lengths at which the offset to the target is squashed, m.
OFFSET_SCALES = (10.0, 1.0, 0.1)
#: Speed at which velocities are squashed, m/s.
VELOCITY_SCALE = 5.0
#: Rate at which body rates are squashed, rad/s.
RATE_SCALE = 5.0
#: Length at which a neighbour's nearness is one half, m.
NEIGHBOUR_SCALE = 2.0
#: How many neighbours may be observed at most.
MAX_NEIGHBOURS = 8
#: Where the rotors are, seen from the middle: x and y in the body frame.
_ARMS = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])
#: What takes x and y in the body frame to those of a quadrotor that looks the same: nothing, half
#: a turn, and reflections in the planes midway between its arms, which swap rotors that spin in
#: opposite directions, as a mirror must.
_SYMMETRIES = (
    np.array([(1, 0), (0, 1)]),
    np.array([(-1, 0), (0, -1)]),
    np.array([(0, 1), (1, 0)]),
    np.array([(0, -1), (-1, 0)]),
)


class Slice(NamedTuple):
    """One named part of the observation."""

    name: str
    start: int
    size: int
    meaning: str

    @property
    def columns(self) -> slice:
        """Where it stands in an observation's last axis."""
        return slice(self.start, self.start + self.size)


_SELF = (
    ("target_offset_far", 3, "offset to the target, squash(offset, 10 m)"),
    ("target_offset_mid", 3, "offset to the target, squash(offset, 1 m)"),
    ("target_offset_near", 3, "offset to the target, squash(offset, 0.1 m)"),
    ("relative_velocity", 3, "velocity relative to the target's, squash(velocity, 5 m/s)"),
    ("velocity", 3, "velocity, squash(velocity, 5 m/s)"),
    ("body_rates", 3, "body rates, squash(rates, 5 rad/s)"),
    ("up", 3, "the world's up direction, a unit vector"),
    ("rotors", 4, "the action that would hold each rotor at its present speed"),
    *(
        row
        for i, which in enumerate(("worst", "second worst"))
        for row in (
            (f"conflict_{i}", 3, f"direction in which the {which} threat will pass, times how bad"),
            (f"conflict_{i}_velocity", 3, "its velocity relative to one's own, times how bad"),
        )
    ),
)
_NEIGHBOUR = (
    ("offset", 3, "offset to neighbour {i}: its direction times 2 m / (2 m + distance)"),
    ("velocity", 3, "velocity of neighbour {i} relative to one's own, squash(velocity, 5 m/s)"),
)


def observation_table(neighbours: int = 2) -> tuple[Slice, ...]:
    """The observation's slices, in order, for a number of observed neighbours (nearest first).

    Where there are fewer other drones than observed neighbours, the slots left over are zero.
    """
    rows = list(_SELF) + [
        (f"neighbour_{i}_{name}", size, meaning.format(i=i))
        for i in range(neighbours)
        for name, size, meaning in _NEIGHBOUR
    ]
    table, start = [], 0
    for name, size, meaning in rows:
        table.append(Slice(name, start, size, meaning))
        start += size
    return tuple(table)


def observation_size(neighbours: int = 2) -> int:
    """Length of one drone's observation."""
    last = observation_table(neighbours)[-1]
    return last.start + last.size


def symmetries(neighbours: int = 2) -> list[tuple[np.ndarray, np.ndarray]]:
    """What a drone's images observe, and what they do: itself, turned by half, and two reflections.

    A quadrotor cannot be told from these, but from its reflections only where its inertia is the
    same about x and y.  Where it observes ``o`` and should do ``a``, an image observes
    ``o @ observation`` and should do ``a @ action``.

    Returns:
        Four pairs (observation, action) of matrices, (D, D) and (4, 4), float32: permutations
        with signs, each its own inverse.
    """
    images = []
    for axes in _SYMMETRIES:
        vector = np.eye(3)
        vector[:2, :2] = axes
        rotors = (_ARMS @ axes @ _ARMS.T == 1).astype(np.float32)
        # Rates of rotation are axial vectors: a mirror reverses their sense besides.
        parts = {"body_rates": np.linalg.det(axes) * vector, "rotors": rotors}
        observation = np.zeros((observation_size(neighbours),) * 2, np.float32)
        for row in observation_table(neighbours):
            observation[row.columns, row.columns] = parts.get(row.name, vector)
        images.append((observation, rotors))
    return images
