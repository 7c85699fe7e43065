"""Where the wall time of training goes, by clocks around the parts."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnvWrapper

from ..envs.sb3 import DroneVecEnv


class Stopwatch(VecEnvWrapper):
    """Passes everything on and adds up the seconds that the environment's steps take."""

    def __init__(self, venv: DroneVecEnv) -> None:
        super().__init__(venv)
        self.elapsed = 0.0

    def reset(self) -> Any:
        return self.venv.reset()

    def step_async(self, actions: np.ndarray) -> None:
        begin = time.perf_counter()
        self.venv.step_async(actions)
        self.elapsed += time.perf_counter() - begin

    def step_wait(self) -> Any:
        begin = time.perf_counter()
        result = self.venv.step_wait()
        self.elapsed += time.perf_counter() - begin
        return result


class Profile(BaseCallback):
    """Shares of environment, policy and learning; costs microseconds per step."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        super().__init__()
        self.stopwatch = stopwatch
        self.policy = self.learning = 0.0
        self._learning_since: float | None = None
        self._forward_since = 0.0

    def _on_training_start(self) -> None:
        self.begin = time.perf_counter()
        # Calling the policy is the forward pass of a rollout; PPO's updates use another method.
        self.hooks = [
            self.model.policy.register_forward_pre_hook(self._before_forward),
            self.model.policy.register_forward_hook(self._after_forward),
        ]

    def _before_forward(self, *_: Any) -> None:
        self._forward_since = time.perf_counter()

    def _after_forward(self, *_: Any) -> None:
        self.policy += time.perf_counter() - self._forward_since

    def _on_rollout_start(self) -> None:
        self._stop_learning()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self._learning_since = time.perf_counter()

    def _on_training_end(self) -> None:
        self._stop_learning()
        for hook in self.hooks:
            hook.remove()
        self.seconds = time.perf_counter() - self.begin

    def _stop_learning(self) -> None:
        if self._learning_since is not None:
            self.learning += time.perf_counter() - self._learning_since
            self._learning_since = None

    def shares(self) -> dict[str, float]:
        """Shares of the wall time of training."""
        parts = {
            "environment": self.stopwatch.elapsed,
            "policy": self.policy,
            "learning": self.learning,
        }
        parts["rest"] = max(self.seconds - sum(parts.values()), 0.0)
        return {name: seconds / self.seconds for name, seconds in parts.items()}
