"""Evaluation's statistics and formats, and the bound on perf: valid, attained, never beaten."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drone_formation.airframe import CONTROL_STEP, Randomization
from drone_formation.evaluation import (
    UNITS,
    Evaluation,
    evaluate,
)
from drone_formation.perf_bound import least_summed_distance, perf_bound
from drone_formation.pilots import HoverPilot, RandomPilot
from drone_formation.pilots.classical import ClassicalPilot
from drone_formation.swarms import Swarms
from drone_formation.tasks import TASKS
from drone_formation.terms import RewardTerm

STATIC = ("hover", "flag", "sphere", "cube", "formation")


def hold_still(observations):
    return 0 * observations[..., :4]


def small(pilot=None, task="flag", **options):
    arguments = {"episodes": 3, "num_drones": 4, "max_steps": 60, **options}
    return evaluate(pilot or ClassicalPilot(), task, **arguments)


# ---- statistics and formats --------------------------------------------------------------------


def test_does_not_depend_on_how_many_fly_at_once():
    one, all_ = small(num_swarms_at_once=1), small(num_swarms_at_once=3)
    for metric in UNITS:
        np.testing.assert_array_equal(one.per_episode[metric], all_.per_episode[metric])


def test_options_and_seed_reach_the_simulator():
    plain, moved = small(), small(seed=7)
    assert not np.array_equal(plain.per_episode["perf"], moved.per_episode["perf"])
    assert small(randomization=Randomization()).options == {"randomization": Randomization()}
    with pytest.raises(ValueError, match="assignment"):
        small(assignment="worst")
    with pytest.raises(ValueError, match="episodes"):
        small(episodes=0)
    points = np.array([[0, 0, 0], [0, 3, 0]], float)
    assert small(task="formation", num_drones=None, points=points).num_drones == 2


def test_statistics_by_hand():
    values = np.array([1.0, 2, 3, 4, 10])
    found = Evaluation("flag", "x", 5, 0, 4, 60, {"perf": values, "time_to_form": values})
    mean, low, high = found.statistic("perf")
    assert mean == 4
    assert 1 <= low < mean < high <= 10
    assert found.statistic("time_to_form").value == 3
    assert found.statistic("perf_bound") is None


def test_the_interval_covers_the_true_mean_about_95_times_in_100():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(100):
        found = Evaluation("flag", "x", 40, 0, 4, 60, {"perf": rng.normal(size=40)})
        _, low, high = found.statistic("perf")
        covered += low <= 0 <= high
    assert 88 <= covered <= 99


def test_json_is_valid_and_complete():
    found = json.loads(small(HoverPilot()).as_json())
    assert set(UNITS) <= set(found)
    assert (found["task"], found["pilot"], found["episodes"]) == ("flag", "hover", 3)
    assert found["time_to_form"] is None  # never formed
    assert found["formed"] == 0
    assert found["perf_ratio"] == pytest.approx(found["perf"] / found["perf_bound"])
    low, high = found["confidence"]["perf"]
    assert low <= found["perf"] <= high


def test_csv_has_a_line_per_episode():
    rows = list(csv.DictReader(io.StringIO(small(task="follow").as_csv())))
    assert [row["episode"] for row in rows] == ["0", "1", "2"]
    assert "perf" in rows[0]
    assert "perf_bound" not in rows[0]  # unknown for moving targets


def test_table_names_every_metric():
    for task in ("flag", "race"):
        table = small(task=task).as_table()
        assert all(metric in table for metric in UNITS)


def test_units_are_those_of_all_metrics_in_order():
    swarms = Swarms("flag", 1, 2, seed=0)
    swarms.reset()
    assert [metric for metric in UNITS if metric not in ("perf_bound", "perf_ratio", "formed")] == [
        *swarms.metrics()
    ]
    assert set(small(HoverPilot(), max_steps=5).per_episode) == set(UNITS)


@pytest.mark.parametrize("task", ["flag", "DroneFlag-v0", TASKS["flag"]])
@pytest.mark.parametrize("pilot", ["hover", hold_still])
def test_any_pilot_on_any_way_to_name_a_task(pilot, task):
    found = small(pilot, task, max_steps=5)
    assert (found.task, found.pilot) == ("flag", getattr(pilot, "__name__", pilot))
    expected = small(HoverPilot(), max_steps=5).per_episode
    np.testing.assert_equal(found.per_episode, expected)


def test_the_policies_that_come_along_have_names():
    for name in ("generalist", "randomized"):
        assert small(name, max_steps=2, episodes=1).pilot == name


def test_terms_of_the_users_own_are_reported():
    term = RewardTerm("altitude_is_a_long_name", lambda swarms: swarms.position[..., 2], -0.5)
    found = small(HoverPilot(), "hover", reward_terms=[term], max_steps=20)
    name = "return_altitude_is_a_long_name"
    assert found.metrics[-1] == name
    plain = small(HoverPilot(), "hover", max_steps=20).statistic("episode_return")
    change = found.statistic("episode_return").value - plain.value
    assert change == pytest.approx(found.statistic(name).value, rel=1e-4)
    assert json.loads(found.as_json())[name] == found.statistic(name).value
    assert name in next(csv.reader(io.StringIO(found.as_csv())))
    rows = found.as_table().splitlines()[1:]
    assert rows[-1].startswith(name)
    assert len({row.index("…") for row in rows if "…" in row}) == 1  # aligned


# ---- the bound ---------------------------------------------------------------------------------


def test_no_bound_for_moving_targets():
    for task in ("orbit", "follow", "conga", "idle", "race"):
        swarms = Swarms(task, 2, 8, seed=0)
        swarms.reset()
        assert np.isnan(perf_bound(swarms)).all()
        assert small(HoverPilot(), task, max_steps=5).statistic("perf_bound") is None


def test_holding_still_is_all_that_hover_asks():
    swarms = Swarms("hover", 2, 8, seed=0)
    swarms.reset()
    np.testing.assert_array_equal(perf_bound(swarms), 1)


def simulate(distance, accelerating, braking, drag_rate, steps, fine=100):
    """Summed distance of a point mass that accelerates, then brakes to a stop on its target."""
    step = CONTROL_STEP / fine
    # where braking must begin, from the path flown backwards from rest at the target
    way, speed, stops = 0.0, 0.0, [(0.0, 0.0)]
    while way < distance:
        speed += (braking + drag_rate * speed) * step
        way += speed * step
        stops.append((speed, way))
    speeds, ways = np.array(stops).T
    left, speed, total, slowing = distance, 0.0, 0.0, False
    for k in range(steps * fine):
        slowing = slowing or np.interp(speed, speeds, ways) >= left
        if slowing:
            speed = max(speed - (braking + drag_rate * speed) * step, 0.0)
        else:
            speed += (accelerating - drag_rate * speed) * step
        left -= speed * step
        if (k + 1) % fine == 0:
            total += abs(left)
    return total


@pytest.mark.parametrize("distance", [4.0, 12.0, 25.0, 45.0])
@pytest.mark.parametrize(
    ("accelerating", "braking", "drag_rate"),
    [(67.5, 67.5, 0.1), (60.0, 75.0, 0.0), (20.0, 30.0, 0.1)],
)
def test_an_ideal_point_mass_attains_the_bound(distance, accelerating, braking, drag_rate):
    steps = 120
    arguments = (distance, accelerating, braking, drag_rate)
    bound = least_summed_distance(*(np.array([x]) for x in arguments), steps)[0]
    flown = simulate(*arguments, steps)
    assert bound <= flown
    assert bound == pytest.approx(flown, rel=0.04 if distance < 10 else 0.012)


@pytest.mark.parametrize("distance", [0.3, 3.0, 20.0])
def test_the_bound_is_the_optimum_of_the_control_problem(distance):
    """Against a linear program: the best of all controls that change 80 times a second."""
    linprog = pytest.importorskip("scipy.optimize").linprog
    accelerating, braking, k, steps, fine = 60.0, 70.0, 0.1, 40, 4
    step, n = CONTROL_STEP / fine, steps * fine
    keep = np.exp(-k * step)
    unit = (1 - keep) / k
    way, speed = np.zeros((2, n + 1, n))
    for j in range(n):  # how each control changes the way covered and the speed
        way[j + 1] = way[j] + unit * speed[j]
        way[j + 1, j] += (step - unit) / k
        speed[j + 1] = keep * speed[j]
        speed[j + 1, j] += unit
    covered, eye = way[fine::fine], np.eye(steps)
    best = linprog(
        np.concatenate([np.zeros(n), np.ones(steps)]),
        A_ub=np.block([[-covered, -eye], [covered, -eye]]),
        b_ub=np.concatenate([np.full(steps, -distance), np.full(steps, distance)]),
        bounds=[(-braking, accelerating)] * n + [(0, None)] * steps,
    ).fun
    arguments = (distance, accelerating, braking, k)
    bound = least_summed_distance(*(np.array([x]) for x in arguments), steps)[0]
    assert bound <= best * (1 + 1e-9)
    assert bound >= best * (0.75 if distance < 1 else 0.98 if distance < 10 else 0.995)


@settings(
    max_examples=15, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
@given(
    task=st.sampled_from(STATIC),
    seed=st.integers(0, 10_000),
    drones=st.integers(1, 24),
    steps=st.integers(1, 120),
    varied=st.booleans(),
    which=st.sampled_from(["classical", "random", "hover"]),
)
def test_no_pilot_beats_the_bound(task, seed, drones, steps, varied, which):
    pilot = {"classical": ClassicalPilot, "random": RandomPilot, "hover": HoverPilot}[which]()
    swarms = Swarms(
        task, 2, drones, seed=seed, max_steps=steps,
        randomization=Randomization() if varied else None,
    )  # fmt: skip
    swarms.reset()
    bound = perf_bound(swarms)
    for _ in range(steps):
        swarms.step(pilot.act(swarms))
    metrics = swarms.metrics()
    whole = metrics["crashes"] == 0  # a respawn carries a drone anywhere, for free
    assert (metrics["perf"] <= bound + 1e-6)[whole].all()


def test_the_classical_pilot_comes_within_a_hundredth_of_the_bound():
    found = evaluate(ClassicalPilot(), "flag", episodes=2)
    assert found.statistic("perf_ratio").value > 0.99
    assert found.statistic("perf").value > 0.985
    assert found.statistic("on_target").value >= 0.999
    assert found.statistic("collisions").value <= 0.05
