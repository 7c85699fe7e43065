"""Train with a drone, a callback and settings of your own, and with several seeds in one call.

The same from the command line::

    drone-formation train flag --airframe.mass 1.2 --learning-rate 1e-3 --reward.approach 0.6 \\
        --seed 0 1 2 --callback own_training:Patience
"""

import argparse
from dataclasses import replace

from stable_baselines3.common.callbacks import BaseCallback

from drone_formation import Airframe, train_seeds
from drone_formation.tasks import TASKS
from drone_formation.training import default_config


class Patience(BaseCallback):
    """Stops when drones have gained nothing for many updates: any callback of SB3's will do."""

    def __init__(self, updates: int = 50) -> None:
        super().__init__()
        self.updates = updates
        self.best, self.since = float("-inf"), 0

    def _on_rollout_start(self) -> None:
        if self.model.ep_info_buffer:
            gained = sum(e["r"] for e in self.model.ep_info_buffer) / len(self.model.ep_info_buffer)
            self.since = 0 if gained > self.best else self.since + 1
            self.best = max(self.best, gained)

    def _on_step(self) -> bool:
        return self.since < self.updates


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--timesteps", type=float, default=8e6, help="drone-steps of each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", default="runs/heavy", help="folder of the runs, one per seed")
    args = parser.parse_args()
    reward = replace(TASKS["flag"].reward, approach=0.6)
    train_seeds(
        "flag",
        args.seeds,
        out=args.out,
        timesteps=int(args.timesteps),
        airframe=Airframe(mass=1.2),
        config=replace(default_config("flag"), learning_rate=1e-3, reward=reward),
        callback=Patience(),
    )
