"""Make the README's pictures and its animation: ``python examples/make_gallery.py --force``.

Each task is flown until its formation stands and is then photographed; the flag is also filmed
while it assembles.  ``--pilot`` takes a trained policy's name or file, or ``classical``.
"""

import argparse
from math import radians
from pathlib import Path

import numpy as np

from drone_formation import Swarms
from drone_formation.airframe import CONTROL_STEP
from drone_formation.pilots import Pilot
from drone_formation.pilots.classical import ClassicalPilot
from drone_formation.pilots.library import load_pilot, policy_of
from drone_formation.render import Camera, Renderer, Snapshot, Video, snapshot_of
from drone_formation.render.video import save_picture

#: From where each formation looks best: azimuth and elevation in degrees, how much of the picture
#: it fills, and trails, s.
SHOTS = {
    "flag": (0, -3, 0.84, 0.0),
    "sphere": (30, 6, 0.84, 0.0),
    "cube": (18, 7, 0.86, 0.0),
    "conga": (28, 15, 0.90, 1.0),
}


def pilot_for(task: str, name: str | None) -> Pilot:
    """The pilot of that name; by default the best of the package, as on the command line."""
    if name is None:
        name = policy_of(task) or "classical"
    return ClassicalPilot() if name == "classical" else load_pilot(name)


def camera_for(task: str):
    """A camera that stands still in front of where the formation will be."""
    azimuth, elevation, fill, _ = SHOTS[task]
    angles = Camera(azimuth=radians(azimuth), elevation=radians(elevation))

    def view(seen: Snapshot, size: tuple[int, int]) -> Camera:
        return angles.framing(seen.targets, size, fill)

    return view


def start(task: str, pilot: Pilot, drones: int) -> Swarms:
    """A swarm at the beginning of its flight."""
    swarms = Swarms(task, num_drones=drones, seed=7, **getattr(pilot, "options", {}))
    swarms.reset()
    return swarms


def photograph(task: str, pilot: Pilot, arguments: argparse.Namespace) -> np.ndarray:
    """The formation at the end of a flight."""
    renderer = Renderer(
        arguments.size, camera_for(task), trails=SHOTS[task][3], show_targets=False, hud=False
    )
    swarms = start(task, pilot, arguments.drones)
    for _ in range(arguments.steps):
        swarms.step(pilot.act(swarms))
        if renderer.trails and swarms.steps[0] > arguments.steps - 40:
            renderer.draw(snapshot_of(swarms))  # trails remember what was drawn
    return renderer.frame(snapshot_of(swarms))


def film(task: str, pilot: Pilot, path: Path, arguments: argparse.Namespace) -> None:
    """The way into the formation, at twice its speed."""
    renderer = Renderer(arguments.size, "auto", trails=0.8, hud=False)
    swarms = start(task, pilot, arguments.drones)
    small = tuple(arguments.film_width * n // arguments.size[0] // 2 * 2 for n in arguments.size)
    with Video(path, fps=1 / CONTROL_STEP, size=small, force=arguments.force) as video:
        for step in range(min(arguments.film_steps, arguments.steps)):
            if step % 2 == 0:
                video.add(renderer.frame(snapshot_of(swarms)))
            swarms.step(pilot.act(swarms))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pilot", help="(default: the best of the package)")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--drones", type=int, default=64)
    parser.add_argument("--steps", type=int, default=500, help="of flight before the picture")
    parser.add_argument("--film-steps", type=int, default=240)
    parser.add_argument("--film-width", type=int, default=640, help="pixels")
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 720), help="pixels")
    parser.add_argument("--force", action="store_true", help="replace existing files")
    arguments = parser.parse_args()
    arguments.size = tuple(arguments.size)

    for task in SHOTS:
        path = arguments.out / f"{task}.png"
        pilot = pilot_for(task, arguments.pilot)
        save_picture(photograph(task, pilot, arguments), path, force=arguments.force)
        print(f"{path}: flown by {pilot.name}, {path.stat().st_size / 1e3:.0f} kB")
    path = arguments.out / "flag.webp"
    film("flag", pilot_for("flag", arguments.pilot), path, arguments)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
