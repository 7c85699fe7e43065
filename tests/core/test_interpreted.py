"""Compiled, compiled with bounds checks, and as plain Python: the same numbers."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

FLIGHTS = """
import numpy as np
from drone_formation import Swarms, Trajectory
from drone_formation.disturbances import Disturbances
rng = np.random.default_rng(0)
for task, options in (
    ("flag", {}), ("race", {"crash": "terminate", "paced": False}), ("conga", {}), ("race", {}),
    ("orbit", {"control": "body_rates", "disturbances": Disturbances(wind=(3, -1, 1))}),
):
    swarms = Swarms(task, 2, 20, seed=3, neighbours=3, **options)
    swarms.reset()
    for step in range(12):
        swarms.step(rng.uniform(-1, 1, (2, 20, 4)).astype(np.float32))
        if step == 5 and task == "flag":
            path = swarms.target_position[0] + rng.normal(0, 1, (5, 1, 3))
            swarms.set_targets(Trajectory.sampled(path, 0.3, closed=True))
    print(*np.round(swarms.observations.astype(float).sum(axis=(1, 2)), 2))
    print(*np.round(np.nansum(swarms.position.astype(float), axis=(1, 2)), 2))
# Large enough for tiles: on the targets, where distances tie, and in flight, where drones meet
swarms = Swarms("flag", 1, 150, seed=3, neighbours=2)
swarms.reset()
velocity = 4 * rng.normal(size=(1, 150, 3))
for options in ({"position": swarms.target_position}, {"velocity": velocity}):
    swarms.place(**options)
    swarms.step(np.zeros((1, 150, 4), np.float32))
    print(*np.round(swarms.observations.astype(float).sum(axis=(0, 2)), 2))
"""


@pytest.mark.parametrize("variable", ["NUMBA_BOUNDSCHECK", "NUMBA_DISABLE_JIT"])
def test_the_simulator_three_ways(variable, tmp_path):
    outputs = []
    for extra in ({}, {variable: "1", "NUMBA_CACHE_DIR": str(tmp_path)}):
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", FLIGHTS],
            env={**os.environ, **extra},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr[-2000:]
        outputs.append(np.array(run.stdout.split(), float))
    np.testing.assert_allclose(outputs[0], outputs[1], atol=0.05)
