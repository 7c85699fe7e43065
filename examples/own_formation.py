"""Fly a formation of your own: any points that are far enough apart, here a double helix."""

import argparse

import numpy as np

from drone_formation import Swarms
from drone_formation.pilots.classical import ClassicalPilot

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--drones", type=int, default=64)
parser.add_argument("--seconds", type=float, default=15.0)
args = parser.parse_args()

# Two strands around the vertical, 16 m high: one drone after the other, on alternating sides.
along = np.linspace(-1, 1, args.drones)
angle = 2 * np.pi * along + np.pi * (np.arange(args.drones) % 2)
points = np.stack([8 * np.cos(angle), 8 * np.sin(angle), 8 * along], axis=1)

steps = round(args.seconds / 0.05)
swarms = Swarms("formation", points=points, seed=0, assignment="optimal", max_steps=steps)
pilot = ClassicalPilot()  # or drone_formation.load_pilot(...)
swarms.reset()
for _ in range(steps):
    swarms.step(pilot.act(swarms))

metrics = {name: values[0] for name, values in swarms.metrics().items()}
print(f"{metrics['on_target']:.0%} of the drones are on target")
print(f"formed after {metrics['time_to_form']:.1f} s, {metrics['collisions']:.2f} collisions "
      "per drone-minute")  # fmt: skip
