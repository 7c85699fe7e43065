"""The observation: one table of named slices that makes the Box, the docs and the tests.

Every entry is a float32 in [-1, 1] and every vector is in the drone's own body frame, so the
problem looks the same wherever a drone is and whichever way it faces.  ``squash(v, c)`` stands for
``v / (c + |v|)``: it keeps the direction, is linear well below c and saturates well above.

``conflict_0`` and ``conflict_1`` spare a policy the arithmetic of closing speeds.  Every other
drone of the swarm, near or far, is led on along its present velocity, as the drone itself is, for
up to 1.5 s.  Where it will pass within 1.5 collision distances, that is a conflict of the degree
``1 - time / 1.5 s`` times a share, which is 1 where they would collide and falls to 0 at 1.5
collision distances; less than 0.01 counts as nothing, and touching now as 1.  The two worst are
shown (of several that touch, the nearest): in which direction each will pass, and its velocity
relative to the drone's, both times the degree.  That of the worst is the reward's ``conflict``.  A
drone that will pass in a second is seldom among the nearest now.

In a paced race the target is the drone's place on the course, and ``relative_velocity``
is relative to the place's velocity plus 0.2 s times its acceleration: a drone must lean before a
bend, and nothing else here foretells one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .control import ACTION_SLICES

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


#: How a slice changes under a quadrotor's symmetries: a vector in the body frame; the same for
#: rates of rotation, whose sense a mirror reverses besides; a number; a number for each rotor.
KINDS = ("polar", "axial", "scalar", "rotors")


class Slice(NamedTuple):
    """One named part of an observation or an action."""

    name: str
    start: int
    size: int
    kind: str
    meaning: str

    @property
    def columns(self) -> slice:
        """Where it stands in the last axis."""
        return slice(self.start, self.start + self.size)


#: Name, size, kind and meaning of what a drone observes of itself and of its conflicts.
_SELF = (
    ("target_offset_far", 3, "polar", "offset to the target, squash(offset, 10 m)"),
    ("target_offset_mid", 3, "polar", "offset to the target, squash(offset, 1 m)"),
    ("target_offset_near", 3, "polar", "offset to the target, squash(offset, 0.1 m)"),
    ("relative_velocity", 3, "polar", "velocity relative to the target's, squash(velocity, 5 m/s)"),
    ("velocity", 3, "polar", "velocity, squash(velocity, 5 m/s)"),
    ("body_rates", 3, "axial", "body rates, squash(rates, 5 rad/s)"),
    ("up", 3, "polar", "the world's up direction, a unit vector"),
    ("rotors", 4, "rotors", "the motor action that would hold each rotor at its present speed"),
    ("conflict_0", 3, "polar", "direction in which the worst conflict will pass, times its degree"),
    ("conflict_0_velocity", 3, "polar", "its velocity relative to the drone's, times its degree"),
    ("conflict_1", 3, "polar", "the second worst conflict, likewise"),
    ("conflict_1_velocity", 3, "polar", "likewise"),
)
#: The same of each neighbour, nearest first.
_NEIGHBOUR = (
    ("offset", 3, "polar", "offset to neighbour {i}: its direction times 2 m / (2 m + distance)"),
    ("velocity", 3, "polar", "neighbour {i}'s relative velocity, squash(velocity, 5 m/s)"),
)


def numbered(rows: Iterable[tuple[str, int, str, str]]) -> tuple[Slice, ...]:
    """Slices one after the other, from (name, size, kind, meaning) each."""
    table, start = [], 0
    for name, size, kind, meaning in rows:
        table.append(Slice(name, start, size, kind, meaning))
        start += size
    return tuple(table)


def observation_table(neighbours: int = 4, extra: Iterable[Slice] = ()) -> tuple[Slice, ...]:
    """The observation's slices, in order.

    Args:
        neighbours: how many are observed, nearest first.  Where there are fewer other drones, the
            slots left over are zero.
        extra: slices of the user's own, which come last; where they start does not matter.
    """
    of_neighbours = [
        (f"neighbour_{i}_{name}", size, kind, meaning.format(i=i))
        for i in range(neighbours)
        for name, size, kind, meaning in _NEIGHBOUR
    ]
    own = [(part.name, part.size, part.kind, part.meaning) for part in extra]
    return numbered([*_SELF, *of_neighbours, *own])


def size_of(table: Sequence[Slice]) -> int:
    """How many numbers a table's slices take."""
    return table[-1].start + table[-1].size


def observation_size(neighbours: int = 4, extra: Iterable[Slice] = ()) -> int:
    """Length of one drone's observation."""
    return size_of(observation_table(neighbours, extra))


def symmetries(
    neighbours: int = 4, extra: Iterable[Slice] = (), control: str = "motor"
) -> list[tuple[np.ndarray, np.ndarray]]:
    """What a drone's images observe, and what they do: itself, turned by half, and two reflections.

    A quadrotor cannot be told from these, but from its reflections only where its inertia is the
    same about x and y.  Where it observes ``o`` and should do ``a``, an image observes
    ``o @ observation`` and should do ``a @ action``.

    Returns:
        Four pairs (observation, action) of matrices, (D, D) and (4, 4), float32: permutations
        with signs, each its own inverse.
    """
    tables = observation_table(neighbours, extra), numbered(ACTION_SLICES[control])
    images = []
    for axes in _SYMMETRIES:
        vector = np.eye(3)
        vector[:2, :2] = axes
        by_kind = {
            "polar": vector,
            "axial": np.linalg.det(axes) * vector,
            "rotors": (_ARMS @ axes @ _ARMS.T == 1).astype(float),
        }
        matrices = []
        for table in tables:
            matrix = np.eye(size_of(table), dtype=np.float32)
            for row in table:
                if row.kind in by_kind:
                    matrix[row.columns, row.columns] = by_kind[row.kind]
            matrices.append(matrix)
        images.append((matrices[0], matrices[1]))
    return images
