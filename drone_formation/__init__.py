"""Swarms of quadrotors that learn to fly into formations.

Importing this package registers its ids with Gymnasium and PettingZoo::

    import gymnasium as gym
    import drone_formation

    env = gym.make("DroneFlag-v0")  # the swarm as one agent: observation (N, D), action (N, 4)
    envs = gym.make_vec("DroneFlag-v0", num_envs=16)  # 16 swarms stepped together
    env = drone_formation.parallel_env("DroneFlag-v0")  # PettingZoo, agents drone_0 ... drone_63

Everything else is imported when it is first used, so that ``import drone_formation`` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import registration

__version__ = "0.1.0"

_LAZY = {
    "Airframe": "airframe",
    "Disturbances": "disturbances",
    "DroneVecEnv": "envs.sb3",
    "Formation": "formations",
    "JointEnv": "envs.joint",
    "ObservationTerm": "terms",
    "ParallelEnv": "envs.parallel",
    "Randomization": "airframe",
    "RewardTerm": "terms",
    "RewardWeights": "reward",
    "Swarms": "swarms",
    "Task": "tasks",
    "TrainConfig": "training",
    "Trajectory": "trajectories",
    "VectorEnv": "envs.vector",
    "aec_env": "envs.parallel",
    "as_pilot": "pilots.library",
    "evaluate": "evaluation",
    "load_pilot": "pilots.library",
    "parallel_env": "envs.parallel",
    "register_task": "registration",
    "train": "training",
    "train_seeds": "training",
}

__all__ = ["__version__", *_LAZY]

if TYPE_CHECKING:  # type checkers and editors see what is imported late
    from .airframe import Airframe as Airframe
    from .airframe import Randomization as Randomization
    from .disturbances import Disturbances as Disturbances
    from .envs.joint import JointEnv as JointEnv
    from .envs.parallel import ParallelEnv as ParallelEnv
    from .envs.parallel import aec_env as aec_env
    from .envs.parallel import parallel_env as parallel_env
    from .envs.sb3 import DroneVecEnv as DroneVecEnv
    from .envs.vector import VectorEnv as VectorEnv
    from .evaluation import evaluate as evaluate
    from .formations import Formation as Formation
    from .pilots.library import as_pilot as as_pilot
    from .pilots.library import load_pilot as load_pilot
    from .registration import register_task as register_task
    from .reward import RewardWeights as RewardWeights
    from .swarms import Swarms as Swarms
    from .tasks import Task as Task
    from .terms import ObservationTerm as ObservationTerm
    from .terms import RewardTerm as RewardTerm
    from .training import TrainConfig as TrainConfig
    from .training import train as train
    from .training import train_seeds as train_seeds
    from .trajectories import Trajectory as Trajectory
else:  # hidden from them, since they would take any name for one of these

    def __getattr__(name: str) -> Any:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


registration.register()
