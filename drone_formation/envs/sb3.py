"""Stable-Baselines3's ``VecEnv``: a row per drone of every swarm."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

try:
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import VecEnv
except ImportError as error:
    raise ImportError(
        'DroneVecEnv needs Stable-Baselines3; install it with: pip install "drone-formation[train]"'
    ) from error

from ..swarms import StepResult
from ..tasks import Task
from ._common import action_box, build_swarms, observation_box, swarm_metrics
from ._rendering import Painter


class DroneVecEnv(VecEnv):
    """S swarms of N drones as S·N rows that share one policy; row ``k * N + i`` is drone i of
    swarm k.

    - A drone that crashes is put back at random at once; its row is ``done``, a true terminal.
      ``info["terminal_observation"]`` is what it saw last.
    - At the horizon all rows of that swarm are ``done`` with ``info["TimeLimit.truncated"]`` (but
      for those that crash in that very step), so that training bootstraps; the swarm alone is
      then reset.  The first of its rows has ``info["swarm_metrics"]``: the episode's metrics (see
      ``Swarms.metrics``) as floats, and the task's name as ``"task"``.
    - Every done row has ``info["episode"]`` as SB3's ``Monitor`` writes it: return ``"r"``, length
      ``"l"`` since the drone's own last end, seconds ``"t"``.  No ``VecMonitor`` is needed.

    Args:
        task: an id ("DroneFlag-v0"), a task's name ("flag"), or a ``Task``.
        num_swarms: S.
        seed: of the first reset, as for ``seed()``.
        stagger: let the swarms' first episodes end one after the other, evenly over ``max_steps``,
            so that later ends never coincide.  Bootstrapping many truncated rows at once stalls
            SB3.  A shortened first episode has no ``"swarm_metrics"``.
        render_mode: "rgb_array", "human" or None; swarm 0 is drawn.
        **swarm_options: further keywords of ``drone_formation.Swarms``.

    Raises:
        ValueError: ``crash="terminate"``: rows cannot leave.
    """

    def __init__(
        self,
        task: str | Task = "flag",
        num_swarms: int = 16,
        *,
        seed: int | None = None,
        stagger: bool = False,
        render_mode: str | None = None,
        **swarm_options: Any,
    ) -> None:
        if swarm_options.get("crash", "respawn") != "respawn":
            raise ValueError(
                f"crash must be 'respawn' for DroneVecEnv, since its rows cannot leave; "
                f"got {swarm_options['crash']!r}"
            )
        self.swarms = build_swarms(task, num_swarms, swarm_options)
        self._seed: int | None = seed
        self.stagger = bool(stagger)
        self._painter = Painter(render_mode)
        self.render_mode = render_mode  # the base class asks for it
        rows = num_swarms * self.swarms.num_drones
        actions = action_box(self.swarms)
        super().__init__(rows, observation_box(self.swarms), actions)
        self._actions_shape = (rows, *actions.shape)
        self._actions: np.ndarray | None = None
        self._returns = np.zeros(rows)
        self._lengths = np.zeros(rows, np.int64)
        self._limits = np.full(num_swarms, self.swarms.max_steps)
        self._blank: list[dict[str, Any]] = [{} for _ in range(rows)]
        self._born = time.time()

    def seed(self, seed: int | None = None) -> list[int]:
        """Seed the next reset: swarm k gets ``seed + k``.

        Returns:
            Each row's seed.
        """
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        self._seed = int(seed)
        return [self._seed + row // self.swarms.num_drones for row in range(self.num_envs)]

    def reset(self) -> np.ndarray:
        """Begin new episodes in all swarms: observations (S·N, D), the caller's own."""
        self.swarms.reset(self._seed)
        self._seed = None
        self._actions = None
        self._returns[:] = 0
        self._lengths[:] = 0
        self._limits[:] = self.swarms.max_steps
        if self.stagger:
            turns = np.arange(1, self.swarms.num_swarms + 1) / self.swarms.num_swarms
            self._limits[:] = np.ceil(turns * self.swarms.max_steps)
        self.reset_infos = [{} for _ in range(self.num_envs)]
        self._reset_options()
        return self.swarms.observations.copy().reshape(self.num_envs, -1)

    def step_async(self, actions: np.ndarray) -> None:
        """Take the actions (S·N, 4) of the next step.

        Raises:
            ValueError: their shape is wrong.
        """
        actions = np.asarray(actions)
        if actions.shape != self._actions_shape:
            raise ValueError(f"actions must have shape {self._actions_shape}, got {actions.shape}")
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step: fresh observations (S·N, D), rewards (S·N,), dones (S·N,), a list of infos."""
        swarms = self.swarms
        if self._actions is None:
            raise RuntimeError("call step_async() before step_wait()")
        result = swarms.step(self._actions.reshape(swarms.num_swarms, swarms.num_drones, -1))
        self._actions = None
        rewards = result.rewards.reshape(-1).copy()
        dones = result.crashed.copy()
        self._returns += rewards
        self._lengths += 1
        if any(self._blank):  # the caller wrote into an info of all rows
            self._blank = [{} for _ in range(self.num_envs)]
        infos = list(self._blank)

        finished = np.flatnonzero(swarms.steps >= self._limits)
        if len(finished) or dones.any():
            dones[finished] = True
            self._write_infos(infos, result, dones, finished)
            if len(finished):
                self._limits[finished] = swarms.max_steps
                swarms.reset(which=finished)
        observations = swarms.observations.copy().reshape(self.num_envs, -1)
        return observations, rewards, dones.reshape(-1), infos

    def _write_infos(
        self,
        infos: list[dict[str, Any]],
        result: StepResult,
        dones: np.ndarray,
        finished: np.ndarray,
    ) -> None:
        """Fresh infos for the rows that are done; their counts start again."""
        rows = np.flatnonzero(dones)
        crashed = result.crashed.reshape(-1)
        finals = self.swarms.final_observations.reshape(self.num_envs, -1)
        terminal = result.observations.reshape(self.num_envs, -1)[rows]  # a copy
        terminal[crashed[rows]] = finals[rows[crashed[rows]]]
        elapsed = round(time.time() - self._born, 6)
        for row, last in zip(rows.tolist(), terminal, strict=True):
            infos[row] = {
                "terminal_observation": last,
                "TimeLimit.truncated": not crashed[row],
                "crashed": bool(crashed[row]),
                "episode": {
                    "r": round(float(self._returns[row]), 6),
                    "l": int(self._lengths[row]),
                    "t": elapsed,
                },
            }
        self._returns[rows] = 0
        self._lengths[rows] = 0
        whole = finished[self.swarms.steps[finished] >= self.swarms.max_steps]
        if len(whole):
            for swarm, metrics in zip(whole, swarm_metrics(self.swarms, whole), strict=True):
                infos[swarm * self.swarms.num_drones]["swarm_metrics"] = metrics

    # ---- what SB3 asks of a VecEnv -------------------------------------------------------------

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute, once per row asked for: the rows share one simulator."""
        return [getattr(self, attr_name)] * self._count(indices)

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute, which the rows share."""
        setattr(self, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method, once, as the rows share it; its result, once per row asked for."""
        result = getattr(self, method_name)(*method_args, **method_kwargs)
        return [result] * self._count(indices)

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """False, but for ``Monitor``: its records are written here."""
        return [wrapper_class is Monitor] * self._count(indices)

    def _count(self, indices: Any) -> int:
        return len(list(self._get_indices(indices)))

    def get_images(self) -> Sequence[np.ndarray | None]:
        """A picture of swarm 0, in a list of one."""
        return [self._painter.draw(self.swarms)]

    def render(self, mode: str | None = None) -> np.ndarray | None:
        """A picture of swarm 0 (H, W, 3) in "rgb_array"; a window and None in "human"."""
        if self.render_mode is None or mode not in (None, self.render_mode):
            warnings.warn(f"render_mode is {self.render_mode!r}: nothing is drawn", stacklevel=2)
            return None
        return self._painter.draw(self.swarms)

    def close(self) -> None:
        """Close the window, if one is open."""
        self._painter.close()
