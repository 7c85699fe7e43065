"""``drone-formation train``: its options are made from the fields of ``TrainConfig``."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict, fields
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from ..airframe import Airframe, Randomization
from ..registration import task_name
from ..reward import RewardWeights
from ..training.config import CONFIGS, TrainConfig, config_for
from ..training.values import as_toml, merged, read_file
from .options import RANDOMIZE, TASK, add_command, count, described, imported, shown

#: Fields that are dataclasses: what is said of their options, and what they start from.
_NESTED: dict[str, tuple[str, Any]] = {
    "reward": ("weights of the reward's terms", RewardWeights()),
    "airframe": ("the drones' physical parameters", Airframe()),
    "randomization": ("how airframes vary from drone to drone, once asked for", Randomization()),
}
_CONFIG = "config."  # before the names of what is to be changed in the configuration


def add_to(commands: Any) -> None:
    sub = add_command(commands, "train", run, "train a policy with Stable-Baselines3's PPO")
    sub.usage = "%(prog)s [task] [options]"  # they are too many to repeat
    sub.add_argument("task", nargs="?", help=TASK)
    sub.set_defaults(misplaced_task=None)
    sub.add_argument("--minutes", type=float, help="stop after so much wall time (default: never)")
    sub.add_argument(
        "--until-solved",
        action="store_true",
        help="stop when an evaluation finds 95 %% of the drones on target",
    )
    sub.add_argument(
        "--seed", action=Several, type=int, nargs="+",
        help="of everything random; with several, a run of each (default: 0)",
    )  # fmt: skip
    sub.add_argument(
        "--out", metavar="FOLDER", help="of the run (default: the first free runs/TASK-N)"
    )
    sub.add_argument("--force", action="store_true", help="replace the run in --out")
    sub.add_argument(
        "--resume", metavar="RUN", help="go on with this run, exactly (default: begin one)"
    )
    sub.add_argument(
        "--init-from", metavar="POLICY",
        help="start from a trained policy (default: from random networks)",
    )  # fmt: skip
    sub.add_argument("--num-drones", type=int, help="per swarm (default: 64)")
    sub.add_argument(
        "--num-swarms", type=int, help="flown side by side (default: as many as fill --num-rows)"
    )
    sub.add_argument("--randomize", action="store_true", help=RANDOMIZE)
    sub.add_argument("--threads", type=int, default=1, help="of torch")
    sub.add_argument("--checkpoint-every", type=count, default=2_500_000, help="drone-steps")
    sub.add_argument(
        "--callback", action="append", metavar="MODULE:NAME",
        help="a callback of Stable-Baselines3 of your own; may be repeated (default: none)",
    )  # fmt: skip
    how_much = sub.add_mutually_exclusive_group()
    how_much.add_argument(
        "--quiet", dest="say", action="store_const", const=0, default=1, help="print nothing"
    )
    how_much.add_argument(
        "--verbose", dest="say", action="store_const", const=2, help="print PPO's tables, too"
    )
    sub.add_argument(
        "--config", metavar="FILE",
        help="a TOML file of the options below, or a run's run.json; options that are typed come "
        "before it (default: none)",
    )  # fmt: skip
    sub.add_argument(
        "--dump-config", action="store_true", help="print the configuration as TOML, and stop"
    )
    _add_config(sub)


# ---- options from the configuration's fields --------------------------------------------------


def _add_config(sub: argparse.ArgumentParser) -> None:
    """An option for every field of ``TrainConfig``, and those of the dataclasses in it."""
    group = sub.add_argument_group("configuration")
    about = described(TrainConfig)
    for name, kind in get_type_hints(TrainConfig).items():
        if name == "reward_of":
            group.add_argument(
                "--reward-of", dest=_CONFIG + name, action="append", type=_weight_of_task,
                metavar="TASK.TERM=WEIGHT", default=argparse.SUPPRESS,
                help=f"{about[name]}; may be repeated (default: those of each)",
            )  # fmt: skip
        elif name not in _NESTED:
            _add_option(group, name, kind, f"{about[name]} (default: {_default(name)})")
    for name, (title, start) in _NESTED.items():
        inner = sub.add_argument_group(name, f"{title}.")
        about = described(type(start))
        for field in fields(start):
            default = (
                "what the task pays" if name == "reward" else shown(getattr(start, field.name))
            )
            text = about.get(field.name, f"weight of {field.name}") + f" (default: {default})"
            kind = get_type_hints(type(start))[field.name]
            _add_option(inner, f"{name}.{field.name}", kind, text)


def _add_option(group: Any, name: str, kind: Any, text: str) -> None:
    """An option for a value of a type, which leaves no trace where it is not typed."""
    kinds = [part for part in get_args(kind) or (kind,) if part not in (NoneType, Ellipsis)]
    how: dict[str, Any] = {"type": count if kinds[0] is int else kinds[0]}
    how["metavar"] = {int: "N", float: "X", str: "WORD"}.get(kinds[0])
    if kinds[0] is bool:
        how = {"action": argparse.BooleanOptionalAction}
    elif get_origin(kind) is tuple:
        how["nargs"] = "+" if Ellipsis in get_args(kind) else len(kinds)
        how["action"] = Several if how["nargs"] == "+" else "store"
    flag = "--" + name.replace("_", "-")
    text = text.replace("%", "%%")
    group.add_argument(flag, dest=_CONFIG + name, default=argparse.SUPPRESS, help=text, **how)


def _default(name: str) -> str:
    """A field's default, and those of the tasks that have another one."""
    usual = getattr(TrainConfig(), name)
    others = {task: getattr(config, name) for task, config in CONFIGS.items()}
    text = "the task's own" if usual is None else shown(usual)
    return "; ".join(
        [text, *(f"{shown(value)} for {task}" for task, value in others.items() if value != usual)]
    )


def _weight_of_task(text: str) -> tuple[str, str, float]:
    name, _, weight = text.partition("=")
    task, _, term = name.partition(".")
    return task, term, float(weight)


_weight_of_task.__name__ = "weight, such as follow.conflict=1.4"


class Several(argparse.Action):
    """Takes values of a type; a word after them is the task, which may also come last."""

    def __init__(self, *, type: Any, **how: Any) -> None:
        super().__init__(**how)
        self.convert = type

    def __call__(
        self, parser: Any, namespace: argparse.Namespace, values: Any, option: Any = None
    ) -> None:
        converted = []
        for k, value in enumerate(values):
            try:
                converted.append(self.convert(value))
            except ValueError:
                if not k or k < len(values) - 1 or namespace.task is not None:
                    message = f"invalid {self.convert.__name__} value: {value!r}"
                    raise argparse.ArgumentError(self, message) from None
                namespace.misplaced_task = value
        setattr(namespace, self.dest, converted)


def _changes(arguments: argparse.Namespace) -> dict[str, Any]:
    """What is to be other than by default in the configuration, nested as in a file."""
    changes: dict[str, Any] = read_file(arguments.config) if arguments.config else {}
    typed: dict[str, Any] = {"randomization": {}} if arguments.randomize else {}
    for name, value in vars(arguments).items():
        if not name.startswith(_CONFIG):
            continue
        outer, _, inner = name.removeprefix(_CONFIG).partition(".")
        if outer == "reward_of":
            for task, term, weight in value:
                typed = merged(typed, {outer: {task: {term: weight}}})
        else:
            typed = merged(typed, {outer: {inner: value} if inner else value})
    return merged(changes, typed)


# ---- the command -------------------------------------------------------------------------------


def run(arguments: argparse.Namespace) -> int:
    task, changes = arguments.task or arguments.misplaced_task, _changes(arguments)
    config = None
    if task is not None:  # a wrong name is told before the heavy imports
        task = task_name(task)
    if arguments.resume:
        _check_resumable(arguments, changes)
    elif task is None:
        raise ValueError("task is needed, unless a run is resumed")
    else:
        config = config_for(task, changes)
    if config is not None and arguments.dump_config:
        print(as_toml(asdict(config)), end="")
        return 0
    # Threads that spin while they wait for each other stop one another dead as soon as anything
    # else runs; sleeping ones do not.  OpenMP reads this when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from ..training import train, train_seeds

    options: dict[str, Any] = {
        "timesteps": changes.get("timesteps"),
        "minutes": arguments.minutes,
        "out": arguments.out,
        "init_from": arguments.init_from,
        "until_solved": arguments.until_solved,
        "num_drones": arguments.num_drones,
        "num_swarms": arguments.num_swarms,
        "force": arguments.force,
        "config": config,
        "callback": [_callback(name) for name in arguments.callback or ()],
        "threads": arguments.threads,
        "checkpoint_every": arguments.checkpoint_every,
        "verbose": arguments.say,
    }
    seeds = arguments.seed or [None]
    if len(seeds) > 1:
        results = train_seeds(task, seeds, **options)
    else:
        results = [train(task, seed=seeds[0], resume=arguments.resume, **options)]
    return 130 if results[-1].interrupted else 0


def _check_resumable(arguments: argparse.Namespace, changes: dict[str, Any]) -> None:
    """Refuse what would make another run of one that is to go on."""
    refused = [name for name in changes if name != "timesteps"]
    if arguments.config:
        refused = ["--config"]
    if arguments.dump_config:
        refused = ["--dump-config"]
    if len(arguments.seed or ()) > 1:
        refused = ["several seeds"]
    if refused:
        raise ValueError(f"{', '.join(refused)} can only be given when a run begins")


def _callback(name: str) -> Any:
    """A callback as one types it: the name of an instance, or of what makes one."""
    found = imported("callback", name)
    return found() if callable(found) else found
