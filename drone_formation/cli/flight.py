"""``drone-formation evaluate | fly | record``: what flies a pilot."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..airframe import Randomization
from ..control import CONTROL_MODES
from ..registration import task_name
from ..tasks import TASKS
from .options import PROGRAM, RANDOMIZE, TASK, add_command


def add_to(commands: Any) -> None:
    sub = add_command(commands, "evaluate", evaluate, "measure a pilot over many episodes")
    _add_flight(sub)
    sub.add_argument("--episodes", type=int, default=16, help="how many")
    sub.add_argument("--max-steps", type=int, default=1024, help="control steps per episode")
    form = sub.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument("--csv", action="store_true", help="print CSV")
    sub.add_argument(
        "--plot",
        metavar="FILE",
        help="draw distance and separation over time and the paths: one picture (.png, .pdf, "
        ".svg), or a folder for one each (default: draw nothing)",
    )
    sub.add_argument("--force", action="store_true", help="replace existing pictures")

    sub = add_command(commands, "fly", fly, "watch a swarm fly, in a window (H shows the keys)")
    _add_flight(sub)
    _add_picture(sub)

    sub = add_command(commands, "record", record, "film a flight, without a window")
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


def _add_flight(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("task", help=TASK)
    sub.add_argument(
        "--pilot",
        "--model",
        metavar="PILOT",
        help="a policy file or run folder, the name of a policy that comes along, one of "
        "classical, hover, random, or your own, module:Name (default: the best that comes along)",
    )
    sub.add_argument("--num-drones", type=int, default=64, help="per swarm")
    sub.add_argument(
        "--assignment", choices=("fixed", "optimal"), default="fixed", help="of drones to slots"
    )
    sub.add_argument(
        "--control",
        choices=CONTROL_MODES,
        help="what actions mean (default: what the pilot was trained with, or motor)",
    )
    sub.add_argument("--randomize", action="store_true", help=RANDOMIZE)
    sub.add_argument("--seed", type=int, default=1_000_000, help="of the first episode")


def _add_picture(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--size", type=_size, default=(1280, 720), metavar="WxH", help="pixels (default: 1280x720)"
    )
    sub.add_argument(
        "--camera", default="auto", metavar="VIEW", help="auto, front, top or cinematic"
    )
    sub.add_argument("--trails", type=float, default=0.0, help="seconds of flight to trail")


def _size(text: str) -> tuple[int, int]:
    width, height = (int(part) for part in text.lower().split("x"))
    if min(width, height) < 16 or max(width, height) > 16384:
        raise ValueError(text)
    return width, height


_size.__name__ = "size, such as 1280x720"


def evaluate(arguments: argparse.Namespace) -> None:
    task = task_name(arguments.task)
    pilot, options = _pilot(arguments, task)
    from .. import evaluation

    if arguments.plot:
        from .. import plots

        files = plots.files_for(arguments.plot, force=arguments.force)
        pilot = plots.FlightLog(pilot)
    result = evaluation.evaluate(
        pilot, task, arguments.episodes, max_steps=arguments.max_steps, **options
    )
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


def fly(arguments: argparse.Namespace) -> None:
    task = task_name(arguments.task)
    pilot, options = _pilot(arguments, task)
    from ..render import Window, snapshot_of
    from ..swarms import Swarms

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
                swarms = redirected(swarms, controls.task_request, options)
            if controls.advance:
                swarms.step(pilot.act(swarms))
            controls = window.show(snapshot_of(swarms, figures=True))


def record(arguments: argparse.Namespace) -> None:
    task = task_name(arguments.task)
    if arguments.steps < 1:
        raise ValueError(f"steps must be 1 or more, got {arguments.steps}")
    pilot, options = _pilot(arguments, task)
    from tqdm import tqdm

    from ..airframe import CONTROL_STEP
    from ..render import Renderer, Video, interpolate, snapshot_of
    from ..swarms import Swarms

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


# ---- parts of commands -----------------------------------------------------------------------


def _pilot(arguments: argparse.Namespace, task: str) -> tuple[Any, dict[str, Any]]:
    """The pilot asked for, and the keywords of ``Swarms`` that suit it."""
    from ..pilots import RandomPilot, as_pilot
    from ..pilots.library import policy_of

    name = arguments.pilot or policy_of(task, arguments.randomize) or "classical"
    pilot = RandomPilot(arguments.seed) if name == "random" else as_pilot(name)
    options = {
        "seed": arguments.seed,
        "num_drones": arguments.num_drones,
        "assignment": arguments.assignment,
        "randomization": Randomization() if arguments.randomize else None,
        **getattr(pilot, "options", {}),
    }
    if arguments.control is not None:  # a pilot that has learnt another one says so
        options["control"] = arguments.control
    return pilot, options


def redirected(swarms: Any, task: str, options: dict[str, Any]) -> Any:
    """Swarms in another task whose drones are where they were, and as they were.

    Where the other task's arena is smaller, it grows to that of the present one: no drone is left
    outside of it.
    """
    from ..swarms import Swarms

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
