"""The ground-truth state of a batch of swarms: what can be read at any time, in SI units."""

from __future__ import annotations

import numpy as np

from .batch import Batch
from .metrics import episode_metrics
from .sim import layout
from .tasks import RING_RADIUS, RING_SPEED


class GroundTruth:
    """Fresh arrays in the world frame; NaN for drones that are gone (``crash="terminate"``)."""

    _batch: Batch
    max_steps: int

    def _read(self, row: int, count: int = 1) -> np.ndarray:
        return self._batch.read(row, count)

    def _read_state(self, row: int, count: int) -> np.ndarray:
        return np.where(self.active[..., None], self._read(row, count), np.float32(np.nan))

    @property
    def position(self) -> np.ndarray:
        """(S, N, 3), m."""
        return self._read_state(layout.POSITION, 3)

    @property
    def velocity(self) -> np.ndarray:
        """(S, N, 3), m/s."""
        return self._read_state(layout.VELOCITY, 3)

    @property
    def attitude(self) -> np.ndarray:
        """(S, N, 4), unit quaternions w x y z, body to world."""
        return self._read_state(layout.ATTITUDE, 4)

    @property
    def body_rates(self) -> np.ndarray:
        """(S, N, 3), rad/s, body frame."""
        return self._read_state(layout.BODY_RATES, 3)

    @property
    def rotor_speeds(self) -> np.ndarray:
        """(S, N, 4), rad/s."""
        return self._read_state(layout.ROTOR_SPEEDS, 4)

    @property
    def target_position(self) -> np.ndarray:
        """(S, N, 3), m; also of drones that are gone."""
        return self._read(layout.TARGET_POSITION, 3)

    @property
    def target_velocity(self) -> np.ndarray:
        """(S, N, 3), m/s; for a race ring, the velocity at which it wants to be passed.

        In a paced race, the place's velocity plus 0.2 s times its acceleration.
        """
        return self._read(layout.TARGET_VELOCITY, 3)

    @property
    def airframes(self) -> np.ndarray:
        """(S, N, 14), each drone's parameters, columns as ``airframe.PARAMETERS``."""
        return self._read(layout.AIRFRAME, layout.ACTION - layout.AIRFRAME)

    @property
    def actions(self) -> np.ndarray:
        """(S, N, 4), the latest actions, clipped to [-1, 1]; zeros after a reset."""
        return self._read(layout.ACTION, 4)

    @property
    def distance(self) -> np.ndarray:
        """(S, N), distance to the target, m."""
        return self._read_state(layout.DISTANCE, 1)[..., 0]

    @property
    def nearest_distance(self) -> np.ndarray:
        """(S, N), distance to the nearest other drone, m; beyond 1e14 where there is none."""
        return self._read_state(layout.NEAREST_DISTANCE, 1)[..., 0]

    @property
    def active(self) -> np.ndarray:
        """(S, N) bool: False for drones that crashed for good."""
        return self._read(layout.ACTIVE)[..., 0] > 0

    @property
    def colliding(self) -> np.ndarray:
        """(S, N) bool: came nearer to another drone than the collision distance in this step."""
        return self._read(layout.COLLIDING)[..., 0] > 0

    @property
    def faults(self) -> np.ndarray:
        """(S, N) int: numerical blow-ups of each drone in this episode, contained as crashes."""
        return self._read(layout.FAULTS)[..., 0].astype(int)

    @property
    def ring_index(self) -> np.ndarray:
        """(S, N) int: the race ring each drone flies to."""
        return self._read(layout.RING)[..., 0].astype(int)

    def rings(self, swarm: int = 0) -> np.ndarray:
        """(R, 7): centre, unit normal and radius of each race ring of a swarm, m."""
        batch = self._batch
        rings = batch.rings[swarm, : batch.episodes["num_rings"][swarm]].astype(float)
        rings[:, 3:] /= RING_SPEED
        return np.column_stack([rings, np.full(len(rings), RING_RADIUS)])

    @property
    def steps(self) -> np.ndarray:
        """(S,) int: control steps since each swarm's reset."""
        return self._batch.episodes["step"].copy()

    @property
    def time(self) -> np.ndarray:
        """(S,) seconds since each swarm's reset."""
        return self.steps * self._batch.settings["control_step"]

    def metrics(self) -> dict[str, np.ndarray]:
        """Each swarm's metrics over its episode so far, arrays (S,): see ``metrics``."""
        return episode_metrics(self._batch, self.max_steps)
