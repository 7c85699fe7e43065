"""What tests of the simulator share: drones put anywhere, and its numbers worked out anew."""

from __future__ import annotations

from typing import Any

import numpy as np

from drone_formation import Swarms
from drone_formation.observation import (
    NEIGHBOUR_SCALE,
    OFFSET_SCALES,
    RATE_SCALE,
    VELOCITY_SCALE,
    observation_table,
)
from drone_formation.sim import layout


def placed(positions: Any, neighbours: int = 2, task: str = "hover", **options: Any) -> Swarms:
    """Swarms of one whose drones stand at the given positions (N, 3), freshly observed."""
    swarms = Swarms(task, 1, len(positions), seed=0, neighbours=neighbours, **options)
    swarms.reset()
    put(swarms, layout.POSITION, positions)
    put(swarms, layout.PREVIOUS_POSITION, positions)
    return swarms


def put(swarms: Swarms, row: int, values: Any) -> None:
    """Overwrite rows of a single swarm with values (N, k), wherever they may be."""
    swarms._batch.write(row, np.asarray(values, np.float32)[None])


def hover(swarms: Swarms) -> np.ndarray:
    """Actions that do nothing."""
    return np.zeros((swarms.num_swarms, swarms.num_drones, 4), np.float32)


def conflict_columns() -> slice:
    """Where both conflicts stand in an observation."""
    columns = [part.columns for part in observation_table(0) if part.name.startswith("conflict")]
    return slice(columns[0].start, columns[-1].stop)


def nearest_by_hand(positions: Any, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact in float32, ties by index, -1 where there are no more; and squared distances."""
    p = np.asarray(positions, np.float32)
    gaps = p[:, None, :] - p[None, :, :]
    squared = (gaps.astype(float) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    order = np.argsort(squared, axis=1, kind="stable")[:, :neighbours]
    real = np.take_along_axis(squared, order, axis=1) < np.inf
    found = np.full((len(p), neighbours), -1)
    found[:, : order.shape[1]] = np.where(real, order, -1)
    return found, squared


def squash(v: np.ndarray, scale: float) -> np.ndarray:
    """As the observation squashes vectors."""
    return v / (scale + np.linalg.norm(v, axis=-1, keepdims=True))


def rotation(q: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3), body to world, of quaternions w x y z."""
    w, x, y, z = np.moveaxis(q, -1, 0)
    return np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
            np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
            np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
        ],
        -2,
    )


def conflicts(swarms: Swarms) -> np.ndarray:
    """Each drone's two worst conflicts ahead, (S, N, 2, 6), world frame, as documented.

    The direction in which the other passes and its squashed velocity, both times how bad it is.
    """
    position, velocity = swarms.position.astype(float), swarms.velocity.astype(float)
    offset = position[:, None] - position[:, :, None]
    drift = velocity[:, None] - velocity[:, :, None]
    closing, swept = -(offset * drift).sum(axis=-1), (drift * drift).sum(axis=-1)
    time = np.clip(closing / (swept + 1e-9), 0, 1.5)
    gap = np.linalg.norm(offset, axis=-1)
    time[gap < swarms.collision_distance] = 0
    miss = offset + time[..., None] * drift
    length = np.linalg.norm(miss, axis=-1)
    nearness = np.clip(3 - 2 * length / swarms.collision_distance, 0, 1)
    there = ~np.eye(swarms.num_drones, dtype=bool)
    conflict = np.where(there, nearness * (1 - time / 1.5), 0)
    conflict[~(conflict >= 0.01)] = 0  # drones that are gone are NaN
    seen = np.concatenate(
        [miss / (length[..., None] + 1e-9), squash(drift, VELOCITY_SCALE)], axis=-1
    )
    worst = np.lexsort((gap, -conflict), axis=-1)[..., :2]
    if swarms.num_drones == 1:
        worst = np.repeat(worst, 2, axis=-1)
    shown = np.where(conflict[..., None] > 0, conflict[..., None] * seen, 0)
    return np.take_along_axis(shown, worst[..., None], axis=2)


def observed_by_hand(swarms: Swarms) -> np.ndarray:
    """The observation, written anew from its table and the state, in double precision."""
    position, velocity = swarms.position.astype(float), swarms.velocity.astype(float)
    into_body = np.swapaxes(rotation(swarms.attitude.astype(float)), -1, -2)

    def body(v: np.ndarray) -> np.ndarray:
        return np.einsum("...ij,...j->...i", into_body, v)

    offset = body(swarms.target_position - position)
    parts = [squash(offset, scale) for scale in OFFSET_SCALES]
    parts.append(squash(body(velocity - swarms.target_velocity), VELOCITY_SCALE))
    parts.append(squash(body(velocity), VELOCITY_SCALE))
    parts.append(squash(swarms.body_rates.astype(float), RATE_SCALE))
    parts.append(into_body[..., 2])
    hover, top = swarms.airframes[..., 13:14], swarms.airframes[..., 10:11]
    excess = swarms.rotor_speeds - hover
    parts.append(np.where(excess > 0, excess / (top - hover), excess / hover))
    for threat in np.moveaxis(conflicts(swarms), 2, 0):
        parts += [body(threat[..., :3]), body(threat[..., 3:])]
    own = len(parts)
    for s in range(swarms.num_swarms):
        nearest, _ = nearest_by_hand(position[s], swarms.neighbours)
        for slot in range(swarms.neighbours):
            if s == 0:
                parts += [np.zeros_like(position), np.zeros_like(position)]
            other, there = nearest[:, slot], nearest[:, slot : slot + 1] >= 0
            to = np.einsum("nij,nj->ni", into_body[s], position[s, other] - position[s])
            gap = np.linalg.norm(to, axis=-1, keepdims=True)
            nearness = NEIGHBOUR_SCALE / (NEIGHBOUR_SCALE + gap) / np.maximum(gap, 1e-9)
            drift = np.einsum("nij,nj->ni", into_body[s], velocity[s, other] - velocity[s])
            parts[own + 2 * slot][s] = np.where(there, to * nearness, 0)
            parts[own + 1 + 2 * slot][s] = np.where(there, squash(drift, VELOCITY_SCALE), 0)
    return np.concatenate(parts, axis=-1)
