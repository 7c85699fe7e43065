"""What ``drone-formation bench`` prints: its structure, and that it measures what it says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial import cKDTree

from drone_formation import Swarms, bench, observation
from drone_formation.cli import main

QUICK = ["--num-drones", "8", "20", "--steps", "2", "--repeats", "1"]


def run(capsys, *argv):
    assert main(["bench", *argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(bench, "SHARED", ((3, 5), (2, 20)))
    monkeypatch.setattr(bench, "BATCHES", (1, 3))


def test_the_default_are_rates_of_every_case(capsys):
    found = run(capsys, "flag", "DroneRace-v0", *QUICK)
    assert found["processor"]
    assert found["processors"] >= 1
    assert set(found) & set(bench.PARTS) == {"rates"}
    cases = [(row["task"], row["num_drones"], row["neighbours"]) for row in found["rates"]]
    assert cases == [(t, n, k) for t in ("flag", "race") for n in (8, 20) for k in (1, 2)]
    for row in found["rates"]:
        assert row["num_swarms"] == bench.BATCH // row["num_drones"]
        assert all(row[f"{flight}_ns"] > 0 for flight in ("random", "flown", "hover"))


def test_parts_are_chosen(capsys, small):
    everything = run(capsys, "flag", *QUICK, "--all")
    assert set(bench.PARTS) < set(everything)
    for part in bench.PARTS[1:]:
        found = run(capsys, *QUICK, f"--{part}")
        assert set(found) & set(bench.PARTS) == {part}
        same = [[value for value in row.values() if isinstance(value, str)] for row in found[part]]
        assert same == [
            [value for value in row.values() if isinstance(value, str)] for row in everything[part]
        ]


def test_tables_hold_every_figure(capsys, small):
    found = run(capsys, "flag", *QUICK, "--all")
    text = bench.as_text(found)
    assert text.startswith(found["processor"])
    words = text.split()
    for row in found["rates"]:
        assert {
            f"({row['random_ns']:.1f})", f"{1e3 / row['hover_ns']:.2f}", f"({row['flown_ns']:.1f})"
        } <= set(words)  # fmt: skip
    for row in found["growth"]:
        assert f"{row['ns']:.1f} ({row['ratio']:.2f})" in text
    for row in found["threads"]:
        size = f"{row['num_swarms']} x {row['num_drones']}"
        (line,) = [line for line in text.splitlines() if line.startswith(size)]
        assert line.split()[3:] == [
            f"{row['one_ns']:.1f}", f"{row['two_ns']:.1f}", f"{row['speedup']:.2f}", "yes"
        ]  # fmt: skip
    for row in found["roofline"]:
        figures = [f"{row[name]:.1f}" for name in ("copy_GB_per_s", "limit_ns", "ns", "ratio")]
        assert any(line.split()[-4:] == figures for line in text.splitlines())
    for name, size in bench.least_bytes(2).items():
        assert f"{name} {size}" in text
    found["threads"][0]["same"] = False
    assert " NO" in bench.as_text(found)


def test_growth_is_relative_to_the_smallest(capsys):
    rows = run(capsys, "--growth", "--num-drones", "20", "8", "--steps", "2", "--repeats", "1")
    rows = rows["growth"]
    assert [(row["arrangement"], row["num_drones"]) for row in rows] == [
        (arrangement, size) for arrangement in bench.ARRANGEMENTS for size in (8, 20)
    ]
    for small, large in zip(rows[::2], rows[1::2], strict=True):
        assert small["ratio"] == 1
        assert large["ratio"] == pytest.approx(large["ns"] / small["ns"], abs=0.02)


@pytest.mark.parametrize("arrangement", bench.ARRANGEMENTS)
@pytest.mark.parametrize("size", [5, 300])
def test_drones_stand_as_arranged_and_stay(arrangement, size):
    swarms = bench.arranged(arrangement, size)
    before = swarms.position
    for _ in range(20):
        swarms.step(bench._hover(swarms)[0])
    assert np.abs(swarms.position - before).max() < 1e-3
    nearest = cKDTree(before[0]).query(before[0], 2)[0][:, 1]
    if arrangement == "formation":
        assert np.array_equal(before, swarms.target_position)
        assert not swarms.colliding.any()
    elif arrangement == "start":
        assert nearest.min() >= 1.5 * swarms.collision_distance - 1e-3
    else:
        # In a ball of n points, spacing s apart on average, the nearest is about 0.55 s away.
        assert np.mean(nearest) == pytest.approx(0.55 * bench.CLUMP_SPACING, rel=0.5)
        assert swarms.colliding.all()


def test_threads_that_disagree_are_found(monkeypatch):
    one, two = (Swarms("flag", 3, 5, seed=0, num_threads=count) for count in (1, 2))
    assert all(bench._same_flight(one, two, 5))
    step = two.step

    def wrong(actions):
        result = step(actions)
        result.rewards[-1, -1] = np.nextafter(result.rewards[-1, -1], np.float32(9))
        return result

    monkeypatch.setattr(two, "step", wrong)
    assert not all(bench._same_flight(one, two, 5))


def test_the_limit_counts_every_byte_of_the_interface():
    swarms = Swarms("flag", 1, 7, seed=0, neighbours=3)
    swarms.reset()
    actions = np.zeros((1, 7, 4), np.float32)
    result = swarms.step(actions)
    least = bench.least_bytes(3)
    assert 7 * least["actions read"] == actions.nbytes
    assert 7 * least["observations written"] == result.observations.nbytes
    assert 7 * least["rewards written"] == result.rewards.nbytes
    assert 7 * least["flags written"] == result.crashed.nbytes
    truth = (
        swarms.position, swarms.velocity, swarms.attitude, swarms.body_rates, swarms.rotor_speeds
    )  # fmt: skip
    assert 7 * least["state read"] == sum(part.nbytes for part in truth)
    assert least["state written"] == least["state read"]
    assert least["observations written"] == 4 * observation.observation_size(3)


def test_more_bytes_never_fit_a_nearer_memory():
    places = [bench.fits(2**power) for power in range(10, 40)]
    assert places == sorted(places, key=lambda place: (place == "memory", place))
    assert places[-1] in ("memory", "unknown")
