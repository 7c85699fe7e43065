"""Gymnasium: the swarm as one agent."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from ..tasks import Task
from ._common import (
    METADATA,
    action_box,
    build_swarms,
    known_options,
    observation_box,
    swarm_metrics,
)
from ._rendering import Painter


class JointEnv(gymnasium.Env):
    """One swarm as one agent: observation (N, D), action (N, 4), both float32 in [-1, 1].

    The reward is the mean over the drones that fly.  ``info["rewards"]`` (N,) has each drone's
    own, ``info["crashed"]`` (N,) says which left the arena in this step.  On the last step
    of an episode ``info["swarm_metrics"]`` has its metrics (see ``Swarms.metrics``) and ``"task"``.

    The episode is truncated at ``max_steps``.  It terminates only with ``crash="terminate"``, when
    no drone is left.

    Args:
        task: an id ("DroneFlag-v0"), a task's name ("flag"), or a ``Task``.
        render_mode: "rgb_array", "human" or None.
        **swarm_options: further keywords of ``drone_formation.Swarms``; seeds go to ``reset``.

    Attributes:
        swarms: the simulator, for the ground-truth state (arrays shaped (1, N, ...)).
    """

    metadata = METADATA

    def __init__(
        self, task: str | Task = "flag", *, render_mode: str | None = None, **swarm_options: Any
    ) -> None:
        self.swarms = build_swarms(task, 1, swarm_options)
        self.render_mode = render_mode
        self._painter = Painter(render_mode)
        self.observation_space = observation_box(self.swarms, self.swarms.num_drones)
        self.action_space = action_box(self.swarms, self.swarms.num_drones)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode; ``reset(seed=s)`` is swarm k of a vector environment reset with a list
        of seeds whose k-th is s.

        Raises:
            ValueError: there are ``options``, of which none are known.
        """
        known_options(options)
        observations = self.swarms.reset(seed)[0].copy()
        super().reset(seed=seed)
        if self.render_mode == "human":
            self.render()
        return observations, {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Advance by one control step of 0.05 s; actions beyond [-1, 1] are clipped.

        Raises:
            ValueError: the action has a wrong shape, or is not finite.
            TypeError: it is not an array of floats.
            RuntimeError: ``reset`` has not been called.
        """
        swarms = self.swarms
        action = np.asarray(action)
        if action.shape != self.action_space.shape:
            raise ValueError(
                f"action must have shape {self.action_space.shape}, got {action.shape}"
            )
        result = swarms.step(action[None])
        info: dict[str, Any] = {
            "rewards": result.rewards[0].copy(),
            "crashed": result.crashed[0].copy(),
        }
        terminated = swarms.crash == "terminate" and not swarms.active.any()
        truncated = bool(result.truncated[0])
        if terminated or truncated:
            info["swarm_metrics"] = swarm_metrics(swarms, [0])[0]
        if self.render_mode == "human":
            self.render()
        reward = float(swarms.mean_rewards[0])
        return result.observations[0].copy(), reward, terminated, truncated, info

    def get_state(self) -> dict[str, Any]:
        """An exact snapshot of the episode, randomness included."""
        return self.swarms.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to a snapshot of an environment made with the same arguments."""
        self.swarms.set_state(state)

    def render(self) -> np.ndarray | None:
        """A picture (H, W, 3) uint8 in "rgb_array"; a window and None in "human"."""
        return self._painter.draw(self.swarms)

    def close(self) -> None:
        """Close the window, if one is open."""
        self._painter.close()
