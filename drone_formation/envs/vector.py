"""Gymnasium's ``VectorEnv``: many swarms, each as one agent, stepped in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from .. import validation
from ..tasks import Task
from ._common import (
    METADATA,
    action_box,
    build_swarms,
    known_options,
    observation_box,
    swarm_metrics,
    take_alias,
)
from ._rendering import Painter


class VectorEnv(gymnasium.vector.VectorEnv):
    """S swarms: observations (S, N, D), actions (S, N, 4), rewards (S,).

    It gives what ``SyncVectorEnv`` over S ``JointEnv`` gives, infos included, without a Python loop
    over swarms: ``infos["rewards"]`` and ``infos["crashed"]`` are (S, N), and
    ``infos["swarm_metrics"]`` has the metrics of the episodes that ended.

    Args:
        task: an id ("DroneFlag-v0"), a task's name ("flag"), or a ``Task``.
        num_envs: S.
        autoreset_mode: what becomes of a swarm whose episode is over: "NextStep" (the next step
            resets it), "SameStep" (this step; the last observation is in ``infos["final_obs"]``),
            "Disabled" (reset it with ``reset(options={"reset_mask": mask})``, mask (S,) bool).
        copy: whether observations and infos are the caller's own.  If False, they are the
            simulator's buffers, overwritten by the next step.
        render_mode: "rgb_array", "human" (swarm 0) or None.
        max_episode_steps: Gymnasium's word for ``max_steps``.
        **swarm_options: further keywords of ``drone_formation.Swarms``; seeds go to ``reset``.

    Attributes:
        swarms: the simulator, for the ground-truth state (arrays shaped (S, N, ...)).
    """

    def __init__(
        self,
        task: str | Task = "flag",
        num_envs: int = 1,
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        copy: bool = True,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
        **swarm_options: Any,
    ) -> None:
        options = {**swarm_options, "max_episode_steps": max_episode_steps}
        self.num_envs = validation.integer("num_envs", num_envs, 1)
        self.swarms = build_swarms(task, num_envs, take_alias(options, "max_episode_steps"))
        if not isinstance(autoreset_mode, AutoresetMode):
            allowed = [mode.value for mode in AutoresetMode]
            autoreset_mode = AutoresetMode(
                validation.choice("autoreset_mode", autoreset_mode, allowed)
            )
        self.autoreset_mode = autoreset_mode
        self.metadata = {**METADATA, "autoreset_mode": autoreset_mode}
        self.copy = bool(copy)
        self.render_mode = render_mode
        self._painter = Painter(render_mode)
        self.single_observation_space = observation_box(self.swarms, self.swarms.num_drones)
        self.single_action_space = action_box(self.swarms, self.swarms.num_drones)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._all = np.ones(num_envs, np.bool_)
        self._over = np.zeros(num_envs, np.bool_)  # True where the latest step ended an episode
        self._quiet = True  # none ended

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin episodes.

        Args:
            seed: an integer s (swarm k gets s + k), a sequence of S integers or None, or None (the
                random streams go on).
            options: ``{"reset_mask": mask}`` resets the swarms where mask (S,) bool is True.

        Raises:
            ValueError: there is another option, or seed or mask are not allowed.
            TypeError: seed, options or mask are of a wrong type.
        """
        mask = self._mask(options)
        which = np.flatnonzero(mask)
        if seed is not None and not isinstance(seed, (Sequence, np.ndarray)):
            first = validation.integer("seed", seed, 0)
            super().reset(seed=first)
            seed = [first + k for k in range(self.num_envs)]
        if seed is not None:
            self._reseed(seed, which)
        self.swarms.reset(which=which)
        self._over = self._over & ~mask
        self._quiet = not self._over.any()
        if self.render_mode == "human":
            self.render()
        return self._observations(), {}

    def _mask(self, options: dict[str, Any] | None) -> np.ndarray:
        mask = known_options(options, "reset_mask").get("reset_mask", self._all)
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
            raise TypeError(f"options['reset_mask'] must be an array of bool, got {mask!r}")
        if mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(
                f"options['reset_mask'] must have shape ({self.num_envs},) and a True in it, "
                f"got {mask!r}"
            )
        return mask

    def _reseed(self, seeds: Sequence[int | None], which: np.ndarray) -> None:
        if len(seeds) != self.num_envs:
            raise ValueError(f"seed must hold {self.num_envs} integers, got {len(seeds)}")
        state = self.swarms.get_state()
        for k in which:
            if seeds[k] is not None:
                generator = np.random.default_rng(validation.integer("seed", seeds[k], 0))
                state["generators"][k] = generator.bit_generator.state
        self.swarms.set_state(state)

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Advance every swarm by one control step of 0.05 s; see ``Swarms.step`` for errors.

        Raises:
            RuntimeError: in mode "Disabled", an episode is over and was not reset.
        """
        swarms = self.swarms
        if not self._quiet and self.autoreset_mode is AutoresetMode.DISABLED:
            raise RuntimeError(
                f"the episodes of swarms {np.flatnonzero(self._over).tolist()} are over: reset "
                "them with reset(options={'reset_mask': mask})"
            )
        result = swarms.step(actions)
        rewards = swarms.mean_rewards.copy()
        truncated = result.truncated.copy()
        terminated: np.ndarray = np.zeros(self.num_envs, np.bool_)
        if swarms.crash == "terminate":
            terminated = np.logical_not(swarms.active.any(axis=1))
        # count_nonzero is several times faster than any()
        if self._quiet and not np.count_nonzero(terminated) + np.count_nonzero(truncated):
            infos = {
                "rewards": self._own(result.rewards),
                "_rewards": self._all.copy(),
                "crashed": self._own(result.crashed),
                "_crashed": self._all.copy(),
            }
        else:
            over, before = terminated | truncated, self._over
            for values in (rewards, terminated, truncated, over):
                values[before] = 0
            infos = self._turn_over(result.rewards, result.crashed, over, before)
            self._over, self._quiet = over, not over.any()
        if self.render_mode == "human":
            self.render()
        return self._observations(), rewards, terminated, truncated, infos

    def _turn_over(
        self, rewards: np.ndarray, crashed: np.ndarray, over: np.ndarray, before: np.ndarray
    ) -> dict[str, Any]:
        """Reset the swarms whose turn it is; infos of a step in which episodes end or begin.

        Such steps are rare, so they are put together swarm by swarm, by Gymnasium's own rules.
        """
        same_step = self.autoreset_mode is AutoresetMode.SAME_STEP
        ended = np.flatnonzero(over)
        metrics = dict(zip(ended, swarm_metrics(self.swarms, ended), strict=True))
        infos: dict[str, Any] = {}
        for k in np.flatnonzero(~before):
            info = {"rewards": rewards[k], "crashed": crashed[k]}
            if over[k]:
                info["swarm_metrics"] = metrics[k]
                if same_step:
                    last = self.swarms.observations[k].copy()
                    info = {"final_obs": last, "final_info": info}
            infos = self._add_info(infos, info, int(k))
        resets = over if same_step else before
        if resets.any():
            self.swarms.reset(which=np.flatnonzero(resets))
        if same_step:
            over[:] = False  # dealt with: nothing is left for the next step
        return infos

    def _observations(self) -> np.ndarray:
        # Where the caller resets single swarms, the next array starts from this one.
        if self.copy and self.autoreset_mode is not AutoresetMode.DISABLED:
            return self.swarms.observations.copy()
        return self._own(self.swarms.observations)

    def _own(self, array: np.ndarray) -> np.ndarray:
        return array.copy() if self.copy else array

    def get_state(self) -> dict[str, Any]:
        """An exact snapshot of all episodes, randomness included."""
        return {"swarms": self.swarms.get_state(), "over": self._over.copy()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to a snapshot of an environment made with the same arguments."""
        self.swarms.set_state(state["swarms"])
        self._over = state["over"].copy()
        self._quiet = not self._over.any()

    def render(self) -> tuple[np.ndarray, ...] | None:
        """In "rgb_array", a picture (H, W, 3) uint8 of every swarm; else a window and None."""
        if self.render_mode != "rgb_array":
            self._painter.draw(self.swarms)
            return None
        pictures = [self._painter.draw(self.swarms, k) for k in range(self.num_envs)]
        return tuple(picture for picture in pictures if picture is not None)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the window, if one is open."""
        if hasattr(self, "_painter"):  # Gymnasium 1.1 closes what a refused argument left half made
            self._painter.close()
