"""Drones and targets put elsewhere by hand, right after a reset or in the middle of an episode."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import placing, validation
from .ground_truth import GroundTruth
from .planner import Planner, assign
from .trajectories import Trajectory


class ByHand(GroundTruth):
    """The part of ``Swarms`` that changes a flight from outside."""

    num_swarms: int
    num_drones: int
    substeps: int
    assignment: str
    arena: np.ndarray
    colours: np.ndarray
    observations: np.ndarray
    _planner: Planner

    @abstractmethod
    def _write_settings(self) -> None: ...

    @abstractmethod
    def _append_terms(self, rows: np.ndarray) -> None: ...

    def place(
        self,
        position: Any = None,
        velocity: Any = None,
        attitude: Any = None,
        body_rates: Any = None,
        rotor_speeds: Any = None,
        *,
        airframes: Any = None,
        arena: Any = None,
    ) -> np.ndarray:
        """Put the drones where you want them: right after a reset, or in the middle of an episode.

        What is None stays as it is, and so do targets, clocks and metrics; but a task of holding a
        place takes the new one for its target, and ``assignment="optimal"`` assigns the slots anew.
        Nothing is paid or counted for the way there.  Drones that are gone stay gone, and what is
        given for them is not looked at.

        Args:
            position: (S, N, 3), inside the arena.  All in the units and frames of the attributes
                of the same names.
            velocity: (S, N, 3), up to 50 m/s along each axis.
            attitude: (S, N, 4), unit quaternions.
            body_rates: (S, N, 3), up to 50 rad/s about each axis.
            rotor_speeds: (S, N, 4), from 0 to the top speed of each drone's rotors.
            airframes: (S, N, 14), the drones' own parameters, until the next reset.
            arena: (3,) half extents, m, that the arena is to have at least.  It grows and never
                shrinks; like the constructor's arguments, it is no part of ``get_state``.

        Returns:
            The observations (S, N, D), the simulator's own buffer.

        Raises:
            TypeError, ValueError: something is no number, of another shape or not allowed; then
                nothing has changed.
            RuntimeError: ``reset`` has not been called.
        """
        self._check_started("place()")
        given = placing.Given(position, velocity, attitude, body_rates, rotor_speeds)
        extents = placing.check_arena(self.arena, arena)
        rows = placing.check(self._batch, given, airframes, extents, self.substeps)
        if arena is not None:
            self.arena = extents
            self._write_settings()
        placing.write(self._batch, rows)
        if position is not None:
            self._assign(range(self.num_swarms))
        return self._look_again(range(self.num_swarms))

    def set_targets(
        self,
        targets: Any,
        *,
        which: Sequence[int] | np.ndarray | None = None,
        colours: Any = None,
    ) -> np.ndarray:
        """Give the drones new targets, in the middle of an episode; nothing is paid for the change.

        Args:
            targets: places (N, 3) where to stay, m, or a ``Trajectory`` of N slots whose times
                count from now.  ``assignment="optimal"`` assigns its slots anew.
            which: indices of the swarms that get them; None for all.
            colours: (N, 3) uint8, of the slots; None for those there are.

        Returns:
            The observations (S, N, D), the simulator's own buffer.

        Raises:
            TypeError, ValueError: they are of another shape, not finite, outside the arena, or
                nearer to each other than 1.5 collision distances; then nothing has changed.
            RuntimeError: ``reset`` has not been called.
        """
        self._check_started("set_targets()")
        swarms = range(self.num_swarms) if which is None else [int(k) for k in which]
        if not isinstance(targets, Trajectory):
            targets = Trajectory.still(validation.points("targets", targets))
        self._planner.check_targets("targets", targets, self.arena)
        if colours is not None:
            colours = validation.colours("colours", colours, self.num_drones)
        for k in swarms:
            if self._batch.episodes["num_rings"][k]:
                raise ValueError(f"targets of a race are its rings: swarm {k} races")
        for k in swarms:
            self._batch.set_trajectory(k, targets, now=True)
            self._batch.episodes["holds"][k] = False
            if colours is not None:
                self.colours[k] = colours
        self._assign(swarms)
        return self._look_again(swarms)

    def _check_started(self, call: str) -> None:
        if not self._batch.episodes["started"].all():
            raise RuntimeError(f"call reset() before {call}")

    def _assign(self, swarms: Sequence[int]) -> None:
        """Give the slots to the drones anew, from where they are, where that is asked for."""
        if self.assignment != "optimal":
            return
        self._batch.begin(0, self.num_swarms)  # where the targets are now
        for k in swarms:
            episode = self._batch.episodes[k]
            if not (episode["num_rings"] or episode["holds"]):
                places = np.where(
                    self.active[k][:, None], self.position[k], self.target_position[k]
                )
                order = assign(places, self.target_position[k])
                self._batch.permute_targets(k, order)
                self.colours[k] = self.colours[k][order]

    def _look_again(self, swarms: Sequence[int]) -> np.ndarray:
        """Observations after a change by hand."""
        self._batch.refresh(swarms)
        self._append_terms(self.observations)
        return self.observations
