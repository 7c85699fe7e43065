"""What accompanies PPO through a run, from update to update."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from tqdm import tqdm

from ..envs.sb3 import DroneVecEnv
from ..pilots.trained import TrainedPilot
from .checkpoints import restore, save_checkpoint, take_snapshot
from .config import RunConfig
from .metrics import FIRST_JUDGING_SEED, Metrics, evaluate_pilot
from .model import LinearSchedule

#: ``until_solved`` stops when this share of the drones is on target in evaluation.
SOLVED = 0.95
#: It looks once this share of them stays within half a metre in training, noise included.
PROMISING = 0.8


class RunCallback(BaseCallback):
    """Keeps to the budget, shows progress, saves checkpoints, stops when asked or when solved."""

    def __init__(
        self, run: RunConfig, folder: Path, metrics: Metrics, schedule: LinearSchedule,
        env: DroneVecEnv, checkpoint_every: int, verbose: int,
    ) -> None:  # fmt: skip
        super().__init__(verbose)
        self.run, self.folder, self.metrics = run, folder, metrics
        self.schedule, self.env = schedule, env
        self.checkpoint_every = checkpoint_every
        self.interrupted: str | None = None
        self.solved_after: float | None = None
        self.out_of_time = False
        self.whole = True  #: whether the latest rollout was flown to its end
        self._snapshot: dict[str, Any] = {}
        self._judged_at = 0

    model: PPO

    @property
    def seconds(self) -> float:
        """Wall time in all, that before a resume included."""
        return time.perf_counter() - self.metrics.began

    def go_on(self, snapshot: dict[str, Any]) -> None:
        """Go on from a checkpoint's snapshot."""
        restore(snapshot, self.model, self.env, self.metrics)

    def _on_training_start(self) -> None:
        self.next_checkpoint = self.model.num_timesteps + self.checkpoint_every
        self.first_step, self.first_second = self.model.num_timesteps, self.seconds
        # Without a terminal there is no bar, but a line now and then.
        self.bar = tqdm(
            total=100,
            disable=None if self.verbose else True,
            leave=False,
            bar_format="{l_bar}{bar}| {elapsed}<{remaining}{postfix}",
        )
        self._last_line = self.seconds

    def _on_rollout_start(self) -> None:
        # Between updates nothing is half done: this is what a checkpoint holds.
        self.whole = False
        self._snapshot = self._take_snapshot()
        if self.model.num_timesteps >= self.next_checkpoint:
            self.next_checkpoint += self.checkpoint_every
            save_checkpoint(self.folder, self.model, self._snapshot)
        if self.run.until_solved:
            self._judge()
        self.env.swarms.reward_weights = self.run.config.reward_at(self.run.task, self.share())
        self._show()

    def _on_step(self) -> bool:
        spent = self.seconds / 60 / self.run.minutes if self.run.minutes else 0.0
        self.schedule.spent = spent
        self.out_of_time = spent >= 1
        return not (self.interrupted or self.solved_after or self.out_of_time)

    def _on_rollout_end(self) -> None:
        self.whole = True

    def _on_training_end(self) -> None:
        self.bar.close()
        if self.whole:
            self._snapshot = self._take_snapshot()
        # A rollout that was cut short is dropped: it will be flown again after a resume.
        self.model.num_timesteps = self._snapshot["num_timesteps"]
        save_checkpoint(self.folder, self.model, self._snapshot)

    def _take_snapshot(self) -> dict[str, Any]:
        return take_snapshot(self.model, self.env, self.metrics, self.seconds)

    def _judge(self) -> None:
        """Evaluate when the training swarms do well, at most every five updates."""
        update = self.run.config.n_steps * self.env.num_envs
        recent = self.metrics.mean("within_half_metre")
        steps = self.model.num_timesteps
        if not recent >= PROMISING or steps - self._judged_at < 5 * update:
            return
        self._judged_at = steps
        pilot = TrainedPilot.from_sb3(self.model)
        found = evaluate_pilot(pilot, self.run, episodes=4, seed=FIRST_JUDGING_SEED + steps)
        on_target = found.as_dict()["on_target"]
        self.logger.record("evaluation/on_target", on_target)
        if on_target >= SOLVED:
            self.solved_after = self.seconds

    def share(self) -> float:
        """Share of the budget that is spent, of steps or of wall time, whichever is greater."""
        share = 0.0
        if self.run.timesteps:
            share = self.model.num_timesteps / self.run.timesteps
        if self.run.minutes:
            share = max(share, self.seconds / 60 / self.run.minutes)
        return share

    def _show(self) -> None:
        if not self.verbose:
            return
        model, share = self.model, self.share()
        fps = (model.num_timesteps - self.first_step) / max(self.seconds - self.first_second, 1e-9)
        text = f"{model.num_timesteps / 1e6:.1f}M steps, {fps / 1000:.0f}k/s"
        for name, label in (
            ("on_target", "on target"),
            ("formation_error", "error"),
            ("collisions", "collisions"),
        ):
            value = self.metrics.mean(name)
            if math.isfinite(value):
                text += f", {label} {value:.2f}"
        if not self.bar.disable:
            self.bar.n = round(min(100 * share, 100), 1)
            self.bar.set_postfix_str(text)
        elif self.seconds - self._last_line > 15:
            self._last_line = self.seconds
            print(f"{self.seconds:5.0f} s  {min(share, 1):4.0%}  {text}", flush=True)


@contextmanager
def asking_to_stop(callback: RunCallback) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop training at the next step; a second one does not wait."""

    def ask(number: int, frame: Any) -> None:
        if callback.interrupted:
            raise KeyboardInterrupt
        callback.interrupted = signal.Signals(number).name

    if threading.current_thread() is not threading.main_thread():  # signals go to that one alone
        yield
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
