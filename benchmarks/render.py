"""Frames per second of the renderer, off screen, on one core.

    python benchmarks/render.py

Each row is drawn from fresh snapshots of drones on the move with random attitudes, so that no
frame profits from the one before; "still" is a formation at rest before a camera at rest. Time is
the processor time of this process, which uses one thread: what else the machine does counts little.
"""

from __future__ import annotations

import itertools
import os
import platform
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported

import numpy as np

from drone_formation.render import Renderer, Snapshot

SIZE = (1280, 720)
SECONDS = 1.0  # of processor time, per attempt
ATTEMPTS = 3  # the best one counts: other programs only ever take time away


def machine() -> str:
    """The processor's name, where the system tells it."""
    try:
        with open("/proc/cpuinfo") as lines:
            names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
        return f"{names[0]} ({os.cpu_count()} cores)"
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def sphere(n: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) points about 2 m apart on a Fibonacci sphere, and (n, 3) colours from blue to red."""
    i = np.arange(n) + 0.5
    z, turn = 1 - 2 * i / n, i * np.pi * (3 - 5**0.5)
    flat = np.sqrt(1 - z * z)
    points = np.stack([flat * np.cos(turn), flat * np.sin(turn), z], axis=1) * 0.55 * n**0.5
    share = (z[:, None] + 1) / 2
    return points, (share * (60, 120, 255) + (1 - share) * (255, 70, 60)).astype(np.uint8)


def course(n: int) -> np.ndarray:
    """As many race rings (R, 7) as n drones get, around the sphere."""
    count = min(max(n // 4, 8), 64)
    angle = np.arange(count) / count * 2 * np.pi
    radius = max(20.0, 8 * count / (2 * np.pi))
    centre = np.stack([radius * np.cos(angle), radius * np.sin(angle), 3 * np.sin(5 * angle)], 1)
    way = np.stack([-np.sin(angle), np.cos(angle), 0.3 * np.cos(5 * angle)], axis=1)
    return np.column_stack([centre, way, np.full(count, 2.0)])


def snapshots(n: int, count: int, moving: bool, race: bool) -> list[Snapshot]:
    """`count` instants of n drones: wandering and tilting, or hovering in their places."""
    random = np.random.default_rng(0)
    points, colours = sphere(n)
    arena = np.array([30.0, 30.0, 10.0]) * max(1.0, (n / 64) ** (1 / 3))
    phase, tilt = random.random((2, n, 3)) * 2 * np.pi
    frames = []
    for k in range(count):
        t = 0.05 * k
        wander = 1.5 * np.sin(t + phase) if moving else 0.02 * np.sin(5 * t + phase)
        lean = (0.4 if moving else 0.01) * np.sin(1.3 * t + tilt)
        frames.append(
            Snapshot(
                positions=points + wander,
                attitudes=np.concatenate([np.ones((n, 1)), lean], axis=1),
                colours=colours,
                targets=points,
                arena=arena,
                colliding=random.random(n) < (0.05 if moving else 0.0),
                time=t,
                task="sphere",
                rings=course(n) if race else None,
            )
        )
    return frames


def rate(renderer: Renderer, frames: list[Snapshot], as_array: bool) -> float:
    """Frames per second."""
    step = renderer.frame if as_array else renderer.draw
    film = itertools.cycle(frames)
    step(next(film))
    best = 0.0
    for _ in range(ATTEMPTS):
        drawn, start = 0, time.process_time()
        while (taken := time.process_time() - start) < SECONDS:
            step(next(film))
            drawn += 1
        best = max(best, drawn / taken)
    return best


def main() -> None:
    load = f", load {os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else ""
    print(f"{machine()}{load}, {SIZE[0]}x{SIZE[1]}, one thread, frames/s")
    print(f"{'':34}{'64 drones':>12}{'1,024 drones':>14}")
    rows = (  # name, moving, race, camera, trails, as array
        ("still, fixed camera", False, False, "front", 0, False),
        ("moving, fixed camera", True, False, "front", 0, False),
        ("moving, fixed camera, as array", True, False, "front", 0, True),
        ("moving, cinematic camera", True, False, "cinematic", 0, False),
        ("moving, cinematic, trails of 2 s", True, False, "cinematic", 2.0, False),
        ("race, cinematic, trails of 2 s", True, True, "cinematic", 2.0, False),
    )
    for name, moving, race, camera, trails, as_array in rows:
        rates = []
        for n in (64, 1024):
            renderer = Renderer(SIZE, camera, trails=trails)
            rates.append(rate(renderer, snapshots(n, 200, moving, race), as_array))
        print(f"{name:34}{rates[0]:>12.0f}{rates[1]:>14.0f}", flush=True)


if __name__ == "__main__":
    main()
