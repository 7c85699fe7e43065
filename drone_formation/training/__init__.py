"""Training one shared policy with Stable-Baselines3's PPO, as it comes.

``TrainConfig`` says how a task is learned, ``default_config(task)`` what it says where nothing
else is asked for, and ``train`` runs it.  A run is a folder::

    run.json             what was asked for, and with which versions
    checkpoints/         one folder per checkpoint: enough to go on exactly as if never stopped
    tensorboard/         logs
    learning_curve.csv   metrics over steps and seconds
    learning_curve.png   the same, drawn
    model.zip            the model as Stable-Baselines3 saves it
    policy.npz           the policy as plain arrays, for flying without torch

The configuration is read without torch, which is imported when something else is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .config import RunConfig as RunConfig
from .config import TrainConfig as TrainConfig
from .config import default_config as default_config

_LAZY = {
    "Result": "session",
    "Tanh": "model",
    "train": "run",
    "train_seeds": "seeds",
}

__all__ = ["RunConfig", "TrainConfig", "default_config", *_LAZY]

if TYPE_CHECKING:  # type checkers and editors see what is imported late
    from .model import Tanh as Tanh
    from .run import train as train
    from .seeds import train_seeds as train_seeds
    from .session import Result as Result


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f".{_LAZY[name]}", __name__)
    except ModuleNotFoundError as error:
        raise ImportError(
            f'training needs {error.name}; install it with: pip install "drone-formation[train]"'
        ) from error
    value = getattr(module, name)
    globals()[name] = value
    return value
