"""What ``drone-formation bench`` prints: its structure, and that it measures what it says."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from drone_formation import Swarms, bench, observation
from drone_formation.cli import main

ROOT = Path(__file__).parents[1]
QUICK = ["--num-drones", "8", "20", "--steps", "2", "--repeats", "1"]


def run(capsys, *argv):
    assert main(["bench", *argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def simulator():
    """``benchmarks/simulator.py``, which no wheel has."""
    path = ROOT / "benchmarks" / "simulator.py"
    if not path.is_file():
        pytest.skip("the repository's benchmarks are not here")
    return SimpleNamespace(**runpy.run_path(str(path)))


def test_the_default_are_rates_of_every_case(capsys):
    found = run(capsys, "flag", "DroneRace-v0", *QUICK)
    assert found["processor"]
    assert found["processors"] >= 1
    cases = [(row["task"], row["num_drones"], row["neighbours"]) for row in found["rates"]]
    assert cases == [(t, n, k) for t in ("flag", "race") for n in (8, 20) for k in (1, 4)]
    for row in found["rates"]:
        assert row["num_swarms"] == bench.BATCH // row["num_drones"]
        assert all(row[f"{flight}_ns"] > 0 for flight in ("random", "flown", "hover"))


def test_the_table_holds_every_figure(capsys):
    found = run(capsys, "flag", *QUICK)
    text = bench.as_text(found)
    assert text.startswith(found["processor"])
    words = text.split()
    for row in found["rates"]:
        assert {
            f"({row['random_ns']:.1f})", f"{1e3 / row['hover_ns']:.2f}", f"({row['flown_ns']:.1f})"
        } <= set(words)  # fmt: skip


def test_tables_of_growth_and_of_the_limit_hold_every_figure(simulator):
    rows = simulator.growth([20, 8], 2, 1)
    assert [(row["arrangement"], row["num_drones"]) for row in rows] == [
        (arrangement, size) for arrangement in simulator.ARRANGEMENTS for size in (8, 20)
    ]
    text = "\n".join(simulator.growth_table(rows))
    for small, large in zip(rows[::2], rows[1::2], strict=True):
        assert small["ratio"] == 1
        assert large["ratio"] == pytest.approx(large["ns"] / small["ns"], abs=0.02)
        assert f"{large['ns']:.1f} ({large['ratio']:.2f})" in text
    rows = simulator.roofline((1, 3), 1)
    lines = list(simulator.roofline_table(rows))
    for row in rows:
        figures = [f"{row[name]:.1f}" for name in ("copy_GB_per_s", "limit_ns", "ns", "ratio")]
        assert any(line.split()[-4:] == figures for line in lines)
    least = simulator.least_bytes(simulator.arranged("start", 64, 1).neighbours)
    assert {row["bytes"] for row in rows} == {sum(least.values())}, "of what is stepped"
    for name, size in least.items():
        assert f"{name} {size}" in lines[0]


@pytest.mark.parametrize("arrangement", ["formation", "start", "clump"])
@pytest.mark.parametrize("size", [5, 300])
def test_drones_stand_as_arranged_and_stay(simulator, arrangement, size):
    swarms = simulator.arranged(arrangement, size)
    before = swarms.position
    for _ in range(20):
        swarms.step(bench.hovering(swarms)[0])
    assert np.abs(swarms.position - before).max() < 1e-3
    nearest = cKDTree(before[0]).query(before[0], 2)[0][:, 1]
    if arrangement == "formation":
        assert np.array_equal(before, swarms.target_position)
        assert not swarms.colliding.any()
    elif arrangement == "start":
        assert nearest.min() >= 1.5 * swarms.collision_distance - 1e-3
    else:
        # In a ball of n points, spacing s apart on average, the nearest is about 0.55 s away.
        assert np.mean(nearest) == pytest.approx(0.55 * simulator.CLUMP_SPACING, rel=0.5)
        assert swarms.colliding.all()


def test_the_limit_counts_every_byte_of_the_interface(simulator):
    swarms = Swarms("flag", 1, 7, seed=0, neighbours=3)
    swarms.reset()
    actions = np.zeros((1, 7, 4), np.float32)
    result = swarms.step(actions)
    least = simulator.least_bytes(3)
    assert 7 * least["actions read"] == actions.nbytes
    assert 7 * least["observations written"] == result.observations.nbytes
    assert 7 * least["rewards written"] == result.rewards.nbytes
    assert 7 * least["flags written"] == result.crashed.nbytes
    state = (
        swarms.position, swarms.velocity, swarms.attitude, swarms.body_rates, swarms.rotor_speeds
    )  # fmt: skip
    assert 7 * least["state read"] == sum(part.nbytes for part in state)
    assert least["state written"] == least["state read"]
    assert least["observations written"] == 4 * observation.observation_size(3)


def test_more_bytes_never_fit_a_nearer_memory(simulator):
    places = [simulator.fits(2**power) for power in range(10, 40)]
    assert places == sorted(places, key=lambda place: (place == "memory", place))
    assert places[-1] in ("memory", "unknown")
