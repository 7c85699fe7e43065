"""The command line: ``drone-formation list | train | evaluate | fly | record | bench``.

Whatever a command needs is imported when it runs, so that ``--help`` and ``list`` stay quick.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

from . import __version__
from .airframe import Randomization
from .registration import task_name
from .tasks import TASKS

PROGRAM = "drone-formation"
#: Which extra brings a module that is missing.
_EXTRAS = {
    "pygame": "render", "imageio": "render", "imageio_ffmpeg": "render", "PIL": "render",
    "torch": "train", "stable_baselines3": "train", "tensorboard": "train", "tqdm": "train",
    "scipy": "train", "matplotlib": "train", "supersuit": "train",
}  # fmt: skip
_RANDOMIZE = "an airframe of its own for every drone, drawn anew in every episode"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0; 2 when what was asked for cannot be done (said in one line on stderr);
        130 when interrupted.
    """
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as stop:  # --help, or arguments that make no sense
        return int(stop.code or 0)
    try:
        return arguments.run(arguments) or 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, OSError, ImportError) as error:
        if arguments.debug:
            raise
        print(f"{PROGRAM} {arguments.command}: {_plainly(error)}", file=sys.stderr)
        return 2


def _plainly(error: Exception) -> str:
    """An error in one line."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        extra = _EXTRAS.get(error.name.partition(".")[0])
        if extra:
            return (
                f'{error.name} is missing; install it with: pip install "drone-formation[{extra}]"'
            )
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


# ---- what can be typed -----------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM, description="Swarms of quadrotors that learn to fly into formations."
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def command(name: str, run: Any, summary: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        sub.add_argument("--debug", action="store_true", help="show where an error comes from")
        sub.set_defaults(run=run)
        return sub

    command("list", _list, "list the tasks and the trained policies that come along")

    sub = command("train", _train, "train a policy with Stable-Baselines3's PPO")
    sub.add_argument("task", nargs="?", help="DroneFlag-v0, or just flag")
    sub.add_argument("--timesteps", type=_count, help="drone-steps in all, such as 20e6")
    sub.add_argument("--minutes", type=float, help="stop after so much wall time")
    sub.add_argument(
        "--until-solved",
        action="store_true",
        help="stop when an evaluation finds 95 %% of the drones on target",
    )
    sub.add_argument("--seed", type=int, help="of everything random (default: 0)")
    sub.add_argument("--out", metavar="FOLDER", help="(default: the first free runs/TASK-N)")
    sub.add_argument("--force", action="store_true", help="replace the run in --out")
    sub.add_argument("--resume", metavar="RUN", help="go on with this run, exactly")
    sub.add_argument("--init-from", metavar="POLICY", help="start from a trained policy")
    sub.add_argument("--num-drones", type=int, help="per swarm (default: 64)")
    sub.add_argument("--num-swarms", type=int, help="flown side by side (default: 1,024 drones)")
    sub.add_argument("--assignment", choices=("fixed", "optimal"), help="of drones to slots")
    sub.add_argument("--randomize", action="store_true", help=_RANDOMIZE)
    sub.add_argument("--threads", type=int, default=1, help="of torch")
    sub.add_argument("--checkpoint-every", type=_count, default=2_500_000, help="drone-steps")

    sub = command("evaluate", _evaluate, "measure a pilot over many episodes")
    _add_flight(sub)
    sub.add_argument("--episodes", type=int, default=16)
    sub.add_argument("--max-steps", type=int, default=1024, help="control steps per episode")
    form = sub.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument("--csv", action="store_true", help="print CSV")
    sub.add_argument(
        "--plot",
        metavar="FILE",
        help="draw distance and separation over time and the paths: one picture (.png, .pdf, "
        ".svg), or a folder for one each",
    )
    sub.add_argument("--force", action="store_true", help="replace existing pictures")

    sub = command("fly", _fly, "watch a swarm fly, in a window (H shows the keys)")
    _add_flight(sub)
    _add_picture(sub)

    sub = command("record", _record, "film a flight, without a window")
    _add_flight(sub)
    _add_picture(sub)
    sub.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help=".mp4, .gif, or pictures: a folder or frame_%%04d.png",
    )
    sub.add_argument("--fps", type=float, default=25.0, help="pictures per second")
    sub.add_argument("--steps", type=int, default=400, help="control steps of 0.05 s")
    sub.add_argument("--force", action="store_true", help="replace an existing file")

    sub = command("bench", _bench, "measure the speed of the simulator")
    sub.add_argument("tasks", nargs="*", metavar="task", help="(default: flag, follow and race)")
    sub.add_argument("--rates", action="store_true", help="drone-steps per second; the default")
    sub.add_argument("--growth", action="store_true", help="what larger swarms cost")
    sub.add_argument("--threads", action="store_true", help="two threads against one")
    sub.add_argument("--roofline", action="store_true", help="how far from merely moving the bytes")
    sub.add_argument("--all", action="store_true", help="all four")
    sub.add_argument("--num-drones", type=int, nargs="+", default=[64, 256, 1024, 4096])
    sub.add_argument("--neighbours", type=int, nargs="+", default=[1, 2], help="observed")
    sub.add_argument("--repeats", type=int, default=5, help="the median of these is reported")
    sub.add_argument("--steps", type=int, default=200, help="control steps per repeat")
    sub.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _add_flight(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("task", help="DroneFlag-v0, or just flag")
    sub.add_argument(
        "--pilot",
        "--model",
        metavar="PILOT",
        help="a policy file or run folder, the name of a policy that comes along, "
        "or one of classical, hover, random (default: the best that comes along)",
    )
    sub.add_argument("--num-drones", type=int, default=64)
    sub.add_argument(
        "--assignment", choices=("fixed", "optimal"), default="fixed", help="of drones to slots"
    )
    sub.add_argument("--randomize", action="store_true", help=_RANDOMIZE)
    sub.add_argument("--seed", type=int, default=1_000_000, help="of the first episode")


def _add_picture(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--size", type=_size, default=(1280, 720), metavar="WxH", help="pixels")
    sub.add_argument("--camera", metavar="VIEW", help="auto, front, top or cinematic")
    sub.add_argument("--trails", type=float, default=0.0, help="seconds of flight to trail")


def _count(text: str) -> int:
    """An integer, written 20000000, 20_000_000 or 20e6."""
    value = float(text)
    if value != int(value):
        raise ValueError(text)
    return int(value)


_count.__name__ = "number of steps"  # argparse's messages name it


def _size(text: str) -> tuple[int, int]:
    width, height = (int(part) for part in text.lower().split("x"))
    if min(width, height) < 16 or max(width, height) > 16384:
        raise ValueError(text)
    return width, height


_size.__name__ = "size, such as 1280x720"


# ---- commands --------------------------------------------------------------------------------


def _list(arguments: argparse.Namespace) -> None:
    from .pilots.trained import shipped_policies

    width = max(len(task.id) for task in TASKS.values())
    for task in TASKS.values():
        print(f"{task.id:{width}}  {task.summary}")
    print("policies that come along: " + (", ".join(shipped_policies()) or "none"))


def _train(arguments: argparse.Namespace) -> int:
    if arguments.task is not None:
        task_name(arguments.task)  # a wrong name is told before the heavy imports
    # Threads that spin while they wait for each other stop one another dead as soon as anything
    # else runs; sleeping ones do not.  OpenMP reads this when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from .training import default_config, train

    config = None
    changes: dict[str, Any] = {}
    if arguments.assignment:
        changes["assignment"] = arguments.assignment
    if arguments.randomize:
        changes["randomization"] = Randomization()
    if changes:
        if arguments.resume or not arguments.task:
            raise ValueError(f"{', '.join(changes)} can only be given when a run begins")
        config = replace(default_config(task_name(arguments.task)), **changes)
        if arguments.randomize:
            # The mean over symmetries costs pilots of such drones precision: see recipe.md.
            config = replace(config, symmetries=1)
    result = train(
        arguments.task,
        timesteps=arguments.timesteps,
        minutes=arguments.minutes,
        seed=arguments.seed,
        out=arguments.out,
        resume=arguments.resume,
        init_from=arguments.init_from,
        until_solved=arguments.until_solved,
        num_drones=arguments.num_drones,
        num_swarms=arguments.num_swarms,
        force=arguments.force,
        config=config,
        threads=arguments.threads,
        checkpoint_every=arguments.checkpoint_every,
    )
    return 130 if result.interrupted else 0


def _evaluate(arguments: argparse.Namespace) -> None:
    task = task_name(arguments.task)
    pilot, options = _pilot(arguments, task)
    from .evaluation import evaluate

    if arguments.plot:
        from . import plots

        files = plots.files_for(arguments.plot, force=arguments.force)
        pilot = plots.FlightLog(pilot)
    result = evaluate(pilot, task, arguments.episodes, max_steps=arguments.max_steps, **options)
    if arguments.json:
        print(result.as_json())
    elif arguments.csv:
        print(result.as_csv(), end="")
    else:
        print(result.as_table())
    if arguments.plot:
        title = f"{TASKS[task].id}, flown by {pilot.name}: {arguments.episodes} episodes"
        plots.save_flight(pilot, files, title, force=arguments.force)
        print(f"saved {arguments.plot}", file=sys.stderr)


def _fly(arguments: argparse.Namespace) -> None:
    task = task_name(arguments.task)
    pilot, options = _pilot(arguments, task)
    from .render import Window, snapshot_of
    from .swarms import Swarms

    swarms = Swarms(task, **options)
    swarms.reset()
    tasks = ("flag", "sphere", "cube", "conga", "follow", "orbit", "hover", "idle", "race")
    with Window(arguments.size, arguments.camera, tasks=tasks, trails=arguments.trails) as window:
        try:
            controls = window.show(snapshot_of(swarms, figures=True))
        except RuntimeError as error:  # no display
            raise OSError(f"{error} ('{PROGRAM} record' needs none)") from error
        while not controls.closed:
            if controls.task_request:
                pilot, options = _pilot(arguments, controls.task_request)
                swarms = _redirected(swarms, controls.task_request, options)
            if controls.advance:
                swarms.step(pilot.act(swarms))
            controls = window.show(snapshot_of(swarms, figures=True))


def _record(arguments: argparse.Namespace) -> None:
    task = task_name(arguments.task)
    if arguments.steps < 1:
        raise ValueError(f"steps must be 1 or more, got {arguments.steps}")
    pilot, options = _pilot(arguments, task)
    from tqdm import tqdm

    from .airframe import CONTROL_STEP
    from .render import Renderer, Video, interpolate, snapshot_of
    from .swarms import Swarms

    video = Video(arguments.out, arguments.fps, force=arguments.force)
    renderer = Renderer(arguments.size, arguments.camera, trails=arguments.trails)
    swarms = Swarms(task, max_steps=max(arguments.steps, 1024), **options)
    swarms.reset()
    frames = int(arguments.steps * CONTROL_STEP * arguments.fps) + 1
    with video:
        before = after = snapshot_of(swarms, figures=True)
        for frame in tqdm(range(frames), unit="frame", disable=None):
            at = frame / arguments.fps / CONTROL_STEP  # in control steps
            while swarms.steps[0] < at:
                swarms.step(pilot.act(swarms))
                before, after = after, snapshot_of(swarms, figures=True)
            now = interpolate(before, after, at - (swarms.steps[0] - 1) if frame else 1.0)
            video.add(renderer.frame(now))
    print(f"saved {arguments.out}: {frames} frames, {frames / arguments.fps:.1f} s")


def _bench(arguments: argparse.Namespace) -> None:
    names = [task_name(task) for task in arguments.tasks]
    from . import bench

    chosen = [part for part in bench.PARTS if arguments.all or getattr(arguments, part)]
    found = bench.measure(
        chosen or bench.PARTS[:1],
        names or bench.TASKS,
        arguments.num_drones,
        arguments.neighbours,
        arguments.steps,
        arguments.repeats,
    )
    print(json.dumps(found, indent=2) if arguments.json else bench.as_text(found))


# ---- parts of commands -----------------------------------------------------------------------


def _pilot(arguments: argparse.Namespace, task: str) -> tuple[Any, dict[str, Any]]:
    """The pilot asked for, and the keywords of ``Swarms`` that suit it."""
    from .pilots.trained import load_pilot, policy_of

    name = arguments.pilot
    if name is None:
        name = policy_of(task, arguments.randomize) or "classical"
    options = {
        "seed": arguments.seed,
        "num_drones": arguments.num_drones,
        "assignment": arguments.assignment,
        "randomization": Randomization() if arguments.randomize else None,
    }
    if name == "classical":
        from .pilots.classical import ClassicalPilot

        return ClassicalPilot(), options
    if name in ("hover", "random"):
        from .pilots import HoverPilot, RandomPilot

        return HoverPilot() if name == "hover" else RandomPilot(arguments.seed), options
    pilot = load_pilot(name)
    return pilot, {**options, **pilot.options}


def _redirected(swarms: Any, task: str, options: dict[str, Any]) -> Any:
    """Swarms in another task whose drones are where they were, and as they were.

    Where the other task's arena is smaller, it grows to that of the present one: nobody is left
    outside of it.
    """
    from .swarms import Swarms

    other = Swarms(task, **options)
    other.reset()
    other.place(
        position=swarms.position,
        velocity=swarms.velocity,
        attitude=swarms.attitude,
        body_rates=swarms.body_rates,
        rotor_speeds=swarms.rotor_speeds,
        airframes=swarms.airframes,
        arena=swarms.arena,
    )
    return other
