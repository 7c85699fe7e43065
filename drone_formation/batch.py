"""The arrays of a batch of swarms, and the compiled code that works on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np

from . import observation
from .disturbances import Disturbances
from .sim import layout, step
from .sim._jit import COMPILED, as_records, telling_of_compilation
from .threads import Threads
from .trajectories import Trajectory

#: What the simulator has been compiled for in this process.
_compiled_for: set[tuple[bool, ...]] = set()


@contextmanager
def _compiling(*kind: bool) -> Iterator[None]:
    """Around a call that may be the first of its kind, and so may compile."""
    if kind in _compiled_for or not COMPILED:
        yield
        return
    with telling_of_compilation("simulator"):
        yield
    _compiled_for.add(kind)


class Batch:
    """S swarms of N drones as rows of blocks; see ``sim``.

    Args:
        num_swarms, num_drones: S and N.
        neighbours: how many are observed.
        num_rings: of a race; 0 where there is none.
        num_threads: that share the swarms.
        disturbances: what acts on the drones besides themselves.
    """

    def __init__(
        self, num_swarms: int, num_drones: int, neighbours: int, num_rings: int,
        num_threads: int, disturbances: Disturbances,
    ) -> None:  # fmt: skip
        S, N = num_swarms, num_drones
        self.num_swarms, self.num_drones, self.neighbours = S, N, neighbours
        self.blocks_per_swarm = -(-N // layout.LANES)
        self.blocks = np.zeros((S * self.blocks_per_swarm, layout.ROWS, layout.LANES), np.float32)
        self.settings = np.zeros(S, layout.SETTINGS)
        self.episodes = np.zeros(S, layout.EPISODE)
        self.rings = np.zeros((S, max(num_rings, 1), 6), np.float32)
        self.air = np.repeat(disturbances.as_record()[None], S) if disturbances else None
        self.observations = np.zeros((S, N, observation.observation_size(neighbours)), np.float32)
        self.final_observations = np.zeros_like(self.observations)
        self.rewards = np.zeros((S, N), np.float32)
        self.mean_rewards = np.zeros(S)
        self.crashed = np.zeros((S, N), np.bool_)
        self.truncated = np.zeros(S, np.bool_)
        self._orders = np.zeros((S, self.blocks_per_swarm * layout.LANES), np.int32)
        self._threads = Threads(num_threads - 1)
        self._num_threads = num_threads
        self._no_actions = np.zeros(0, np.float32)
        self.set_capacity(0, 0)

    def set_capacity(self, harmonics: int, knots: int) -> None:
        """Make room for trajectories of such sizes; forgets those there were."""
        blocks, lanes = len(self.blocks), layout.LANES
        self.frequencies = np.zeros((self.num_swarms, harmonics))
        self.harmonics = np.zeros((blocks * harmonics, 6, lanes), np.float32)
        self.knots = np.zeros((blocks * knots, 6, lanes), np.float32)
        self._bind()

    def _bind(self) -> None:
        """Tie the arrays together for the compiled code."""
        self.world = layout.World(
            self.blocks, as_records(self.settings), as_records(self.episodes), self.frequencies,
            self.harmonics, self.knots, self.rings,
            None if self.air is None else as_records(self.air),
        )  # fmt: skip
        self.out = layout.Outputs(
            self.observations, self.final_observations, self.rewards, self.mean_rewards,
            self.crashed, self.truncated,
        )  # fmt: skip
        self._workspaces = [self._workspace() for _ in range(self._num_threads)]

    def _workspace(self) -> layout.Workspace:
        scratch = np.zeros((layout.MAX_OBSERVATION, layout.LANES), np.float32)
        waves = np.zeros((self.frequencies.shape[1], 3), np.float32)
        tiles = self.blocks_per_swarm
        if tiles <= layout.FEW_BLOCKS:
            return layout.Workspace(scratch, waves, None, True)
        tiling = (
            np.zeros((tiles, layout.TILE_ROWS, layout.LANES), np.float32),
            np.zeros((layout.BOX_ROWS, layout.MAX_TILES), np.float32),
            self._orders,
        )
        return layout.Workspace(scratch, waves, tiling, None)

    # ---- trajectories --------------------------------------------------------------------------

    def _grow(self, harmonics: int, knots: int) -> None:
        """Make room for more harmonics or knots, and keep those there are."""
        S, B = self.num_swarms, self.blocks_per_swarm
        before = self.frequencies, self.harmonics, self.knots
        had = self.frequencies.shape[1], len(self.knots) // len(self.blocks)
        if harmonics <= had[0] and knots <= had[1]:
            return
        self.set_capacity(max(harmonics, had[0]), max(knots, had[1]))
        self.frequencies[:, : had[0]] = before[0]
        for new, old, count in (
            (self.harmonics, before[1], had[0]), (self.knots, before[2], had[1]),
        ):  # fmt: skip
            shape = (S * B, -1, 6, layout.LANES)
            if count:
                new.reshape(shape)[:, :count] = old.reshape(shape)

    def set_trajectory(self, swarm: int, trajectory: Trajectory, now: bool = False) -> None:
        """Let a swarm's targets move so; times count from the episode's begin, or from ``now``."""
        rows, path = trajectory.harmonic_rows(), trajectory.path
        knots = np.zeros((0, 6, self.num_drones), np.float32) if path is None else path.rows()
        self._grow(len(rows), len(knots))
        episode = self.episodes[swarm]
        episode["harmonics"], episode["knots"] = len(rows), len(knots)
        episode["lead"] = trajectory.lead
        episode["trajectory_begin"] = episode["step"] if now else 0
        episode["knot_interval"] = 1.0 if path is None else path.interval
        episode["closed"] = path is not None and path.closed
        self.frequencies[swarm, : len(rows)] = trajectory.frequencies
        self._fill(self.harmonics, swarm, rows)
        self._fill(self.knots, swarm, knots)
        centre = np.full((3, self.blocks_per_swarm * layout.LANES), layout.PARKED, np.float32)
        centre[:, : self.num_drones] = trajectory.centre.T
        self.rows_of(swarm)[:, layout.CENTRE : layout.CENTRE + 3] = self._as_blocks(centre)

    def _fill(self, array: np.ndarray, swarm: int, rows: np.ndarray) -> None:
        """Write rows (M, 6, N) into a swarm's part of an array (S * B * M', 6, LANES)."""
        if len(rows):
            shape = (self.num_swarms, self.blocks_per_swarm, -1, 6, layout.LANES)
            padded = np.zeros((len(rows), 6, self.blocks_per_swarm * layout.LANES), np.float32)
            padded[:, :, : self.num_drones] = rows
            array.reshape(shape)[swarm, :, : len(rows)] = self._as_blocks(padded)

    def permute_targets(self, swarm: int, order: np.ndarray) -> None:
        """Give drone i what was the target of drone ``order[i]``."""
        N, shape = self.num_drones, (self.num_swarms, self.blocks_per_swarm, -1, 6, layout.LANES)
        for array in (self.harmonics, self.knots):
            if len(array):
                lanes = np.moveaxis(array.reshape(shape)[swarm], 0, 2)
                rows = lanes.reshape(*lanes.shape[:2], -1)[:, :, :N]
                self._fill(array, swarm, rows[:, :, order])
        centre = self.read(layout.CENTRE, 3)
        centre[swarm] = centre[swarm][order]
        self.write(layout.CENTRE, centre)

    def _as_blocks(self, lanes: np.ndarray) -> np.ndarray:
        """(..., B * LANES) as (B, ..., LANES)."""
        return np.moveaxis(lanes.reshape(*lanes.shape[:-1], -1, layout.LANES), -2, 0)

    # ---- rows ----------------------------------------------------------------------------------

    def rows_of(self, swarm: int) -> np.ndarray:
        """A swarm's blocks (B, ROWS, LANES), to be written to."""
        first = swarm * self.blocks_per_swarm
        return self.blocks[first : first + self.blocks_per_swarm]

    def write_lanes(self, swarm: int, lanes: np.ndarray) -> None:
        """Set all rows (ROWS, B * LANES) of a swarm."""
        self.rows_of(swarm)[...] = self._as_blocks(lanes)

    def read(self, row: int, count: int = 1) -> np.ndarray:
        """Rows of all drones: a fresh array (S, N, count)."""
        rows = self._rows(row, count)
        lanes = np.moveaxis(rows, 2, 3).reshape(self.num_swarms, -1, count)
        return lanes[:, : self.num_drones].copy()

    def write(self, row: int, values: np.ndarray) -> None:
        """The opposite of :meth:`read`."""
        count = values.shape[2]
        rows = self._rows(row, count)
        lanes = np.moveaxis(rows, 2, 3).reshape(self.num_swarms, -1, count)
        lanes[:, : self.num_drones] = values
        rows[...] = np.moveaxis(lanes.reshape(self.num_swarms, -1, layout.LANES, count), 3, 2)

    def _rows(self, row: int, count: int) -> np.ndarray:
        shape = (self.num_swarms, self.blocks_per_swarm, layout.ROWS, layout.LANES)
        return self.blocks.reshape(shape)[:, :, row : row + count]

    # ---- the compiled step ---------------------------------------------------------------------

    def advance(self, actions: np.ndarray, begin: int, end: int, what: int, thread: int = 0) -> int:
        """See ``step.advance``."""
        status: int = step.advance(
            self.world, self.neighbours, self._workspaces[thread], actions.reshape(-1), self.out,
            begin, end, what,
        )  # fmt: skip
        return status

    def begin(self, begin: int, end: int) -> None:
        """Work out targets, distances, neighbours and observations of some swarms."""
        with _compiling(self.blocks_per_swarm > layout.FEW_BLOCKS, self.air is not None):
            self.advance(self._no_actions, begin, end, step.BEGIN)

    def refresh(self, swarms: Sequence[int]) -> None:
        """Work everything out anew for swarms changed by hand in mid-episode."""
        self.episodes["visits"] = 0  # drones are no longer sorted
        for k in swarms:
            unformed, now = self.episodes["last_unformed"][k], self.episodes["step"][k]
            self.begin(k, k + 1)
            if now:  # right after a reset, that was the first entry; later, the metric goes on
                formed = self.episodes["last_unformed"][k] < 0
                self.episodes["last_unformed"][k] = unformed if formed else now

    def run(self, actions: np.ndarray, what: int) -> int:
        """What a step is to do, in every swarm, on as many threads as there are."""
        S, T = self.num_swarms, self._num_threads
        if T == 1:
            return self.advance(actions, 0, S, what)
        status = self.advance(actions, 0, S, what & step.CHECK)
        if status == step.READY:
            ranges = [(S * i // T, S * (i + 1) // T) for i in range(T)]
            self._threads.run(
                [
                    partial(self.advance, actions, *ranges[i], what & ~step.CHECK, i)
                    for i in range(T)
                ]
            )
        return status
