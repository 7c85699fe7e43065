"""What training swarms achieve: logs, the learning curve, and evaluations along the way."""

from __future__ import annotations

import csv
import math
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from ..evaluation import Evaluation, evaluate
from ..files import replace_atomically
from ..pilots.trained import TrainedPilot
from ..tasks import TASKS
from .config import RunConfig

#: The evaluations that decide whether a task is solved have seeds of their own.
FIRST_JUDGING_SEED = 2**39
#: Control steps of an evaluation episode.
EVALUATION_STEPS = 1024


class Metrics(BaseCallback):
    """Logs the metrics of the training swarms' latest episodes, exploration noise included."""

    def __init__(self, path: Path, run: RunConfig, began: float) -> None:
        super().__init__()
        self.path = path
        self.num_drones = run.num_drones
        self.mixed = bool(TASKS[run.task].of)
        self.began = began
        self.episodes: deque[dict[str, Any]] = deque(maxlen=run.num_swarms)

    def _on_step(self) -> bool:
        for info in self.locals["infos"][:: self.num_drones]:  # a swarm's first row carries them
            if "swarm_metrics" in info:
                self.episodes.append(info["swarm_metrics"])
        return True

    def mean(self, name: str, task: str | None = None) -> float:
        """Mean of a metric's finite values over the latest episodes; NaN when there are none."""
        values = [e[name] for e in self.episodes if task in (None, e["task"])]
        values = [value for value in values if math.isfinite(value)]
        return sum(values) / len(values) if values else math.nan

    def _on_rollout_end(self) -> None:
        if not self.episodes:
            return
        row: dict[str, float] = {
            "steps": self.model.num_timesteps,
            "seconds": round(time.perf_counter() - self.began, 3),
        }
        for name in self.episodes[-1]:
            if name == "task":
                continue
            row[name] = self.mean(name)
            if math.isfinite(row[name]):
                self.logger.record(f"swarm/{name}", row[name])
        if self.mixed:
            for task in {episode["task"] for episode in self.episodes}:
                self.logger.record(f"{task}/on_target", self.mean("on_target", task))
        fresh = not self.path.exists()
        with open(self.path, "a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if fresh:
                writer.writeheader()
            writer.writerow(row)

    def forget_after(self, steps: int) -> None:
        """Drop rows of the learning curve beyond a checkpoint that training goes on from."""
        if not self.path.exists():
            return
        with open(self.path, newline="") as file:
            header, *rows = csv.reader(file)
        kept = [row for row in rows if int(row[0]) <= steps]
        with replace_atomically(self.path, force=True) as partial:
            partial.write_text("".join(",".join(row) + "\n" for row in [header, *kept]))


def evaluate_pilot(pilot: TrainedPilot, run: RunConfig, episodes: int, seed: int) -> Evaluation:
    """Fly episodes of the run's environment, of full length and without exploration noise."""
    options: dict[str, Any] = {**run.config.environment(run.task), **pilot.options}
    return evaluate(
        pilot, run.task, episodes, seed=seed, num_drones=run.num_drones,
        max_steps=EVALUATION_STEPS, **options,
    )  # fmt: skip


def draw_curve(folder: Path, task: str) -> None:
    """Draw the learning curve, where there is one and matplotlib is installed."""
    from .. import plots

    table = folder / "learning_curve.csv"
    with suppress(ImportError, FileNotFoundError):
        figure = plots.training_curve(table, TASKS[task].id)
        if figure is not None:
            plots.save(figure, table.with_suffix(".png"), force=True)
