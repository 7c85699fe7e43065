"""What is not finite is refused at the boundary; what blows up all the same stays contained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from drone_formation import Airframe, Randomization, RewardWeights, Swarms
from drone_formation.airframe import CONTROL_STEP, PARAMETERS
from drone_formation.observation import observation_table
from drone_formation.sim import layout

NAN, INF = float("nan"), float("inf")
NOT_FINITE = (NAN, INF, -INF)
not_finite = pytest.mark.parametrize("value", NOT_FINITE)


def flying(task: str = "flag", **options: Any) -> Swarms:
    """Two swarms of 20 drones in mid-air."""
    swarms = Swarms(task, 2, 20, seed=0, **options)
    swarms.reset()
    for _ in range(3):
        swarms.step(np.full((2, 20, 4), 0.01, np.float32))
    return swarms


def lane_of(state: dict[str, Any], swarm: int, drone: int, count: int = 20) -> np.ndarray:
    """A view of one drone's rows in a snapshot."""
    block, lane = divmod(drone, layout.LANES)
    return state["blocks"][swarm * -(-count // layout.LANES) + block, :, lane]


# ---- actions -----------------------------------------------------------------------------------


@not_finite
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("swarm", "drone", "rotor"), [(0, 0, 0), (0, 19, 3), (1, 16, 2)])
def test_actions(
    value: float, dtype: type, threads: int, swarm: int, drone: int, rotor: int
) -> None:
    swarms = flying(num_threads=threads)
    before = swarms.get_state()
    actions = np.zeros((2, 20, 4), dtype)
    actions[swarm, drone, rotor] = value
    place = f"number {rotor} of drone {drone} in swarm {swarm}"
    with pytest.raises(ValueError, match=f"actions must be finite, got {value} for {place}"):
        swarms.step(actions)
    after = swarms.get_state()
    for name, array in before.items():
        if isinstance(array, np.ndarray):
            assert np.array_equal(array, after[name]), f"{name} has changed"


# ---- parameters --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Airframe, RewardWeights], ids=["Airframe", "RewardWeights"])
@pytest.mark.parametrize("value", [*NOT_FINITE, -1.0, 1e300, "1", None, True, 1j, [1.0]])
def test_parameters(kind: type, value: object) -> None:
    for name, field in kind.__dataclass_fields__.items():
        values = [value]
        if isinstance(field.default, tuple):
            values = [(value, 1.0, 1.0), (1.0, value, 1.0), (1.0, 1.0, value), value, (1.0, 1.0)]
        for bad in values:
            with pytest.raises((ValueError, TypeError), match=rf"{kind.__name__}: {name} must be"):
                kind(**{name: bad})


@pytest.mark.parametrize("name", list(Randomization.__dataclass_fields__))
@pytest.mark.parametrize("value", [*NOT_FINITE, -1.0, 0.2, "xy", None, True, 1j])
def test_randomization(name: str, value: object) -> None:
    values = [value] if name != "size" else [value, (0.1, value), (value, 0.1), (value,)]
    for bad in values:
        if name == "size" and bad == (0.1, 0.2):
            continue
        with pytest.raises((ValueError, TypeError), match=f"Randomization: {name} must be"):
            Randomization(**{name: bad})


@not_finite
def test_formation_points(value: float) -> None:
    points = np.arange(12.0).reshape(4, 3)
    for row, column in np.ndindex(4, 3):
        bad = points.copy()
        bad[row, column] = value
        with pytest.raises(ValueError, match=f"points must be finite, got {value} in point {row}"):
            Swarms("formation", points=bad)


@pytest.mark.parametrize("points", [np.zeros((2, 3), complex), [["a", 0, 0]], [[0], [1, 2]], None])
def test_formation_points_are_numbers(points: object) -> None:
    given = [points] if points is None else points  # None alone means random points
    with pytest.raises(TypeError, match="points must be an array of numbers"):
        Swarms("formation", points=given)


# ---- state -------------------------------------------------------------------------------------

FIELDS = {
    "position": (layout.POSITION, 3),
    "velocity": (layout.VELOCITY, 3),
    "attitude": (layout.ATTITUDE, 4),
    "body_rates": (layout.BODY_RATES, 3),
    "rotor_speeds": (layout.ROTOR_SPEEDS, 4),
    "action": (layout.ACTION, 4),
    "target_position": (layout.TARGET_POSITION, 3),
    "target_velocity": (layout.TARGET_VELOCITY, 3),
    **{name: (layout.AIRFRAME + i, 1) for i, name in enumerate(PARAMETERS)},
}


@not_finite
@pytest.mark.parametrize("name", FIELDS)
def test_state_of_a_drone(name: str, value: float) -> None:
    swarms = flying()
    before = swarms.get_state()
    first, count = FIELDS[name]
    for swarm, drone, row in ((0, 0, first), (1, 17, first + count - 1)):
        state = swarms.get_state()
        lane_of(state, swarm, drone)[row] = value
        said = f"state: {name} of drone {drone} in swarm {swarm} must be finite, got {value}"
        with pytest.raises(ValueError, match=said):
            swarms.set_state(state)
    assert np.array_equal(swarms.get_state()["blocks"], before["blocks"])


@not_finite
def test_any_row_of_a_drone_must_be_finite(value: float) -> None:
    swarms = flying("race")
    for row in range(layout.ROWS):
        state = swarms.get_state()
        lane_of(state, 1, 5)[row] = value
        if row == layout.SEPARATION and value == INF:  # as long as it has not been measured
            swarms.set_state(state)
            continue
        with pytest.raises(ValueError, match="of drone 5 in swarm 1 must be finite"):
            swarms.set_state(state)


@pytest.mark.parametrize("name", ["observations", "final_observations", "rewards", "frequencies"])
def test_arrays_of_a_state(name: str) -> None:
    swarms = flying("follow")
    state = swarms.get_state()
    state[name].flat[7] = NAN
    with pytest.raises(ValueError, match=f"state: {name} must be finite, got nan at"):
        swarms.set_state(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks": None}, "blocks must be float32"),
        ({"rings": np.zeros((2, 1))}, "rings must be float32"),
        ({"observations": np.zeros((2, 20, 3), np.float32)}, "observations must be float32"),
        ({"tasks": ["flag"]}, "tasks must hold 2"),
        ({"generators": []}, "generators must hold 2"),
    ],
)
def test_states_of_another_simulator(change: dict[str, Any], message: str) -> None:
    swarms = flying()
    before = swarms.get_state()
    with pytest.raises(ValueError, match=f"state does not fit this simulator: {message}"):
        swarms.set_state({**before, **change})
    wide = {**before, "blocks": before["blocks"].astype(np.float64)}
    with pytest.raises(ValueError, match="blocks must be float32"):
        swarms.set_state(wide)
    for name in before:
        with pytest.raises(ValueError, match=f"state does not fit this simulator: {name} must"):
            swarms.set_state({key: value for key, value in before.items() if key != name})
    for foreign in (None, [], "state", before["blocks"]):
        with pytest.raises(TypeError, match="state must be a dict"):
            swarms.set_state(foreign)
    assert np.array_equal(swarms.get_state()["blocks"], before["blocks"])


# ---- what blows up all the same ----------------------------------------------------------------

#: Parameters of one drone (they can be set in a snapshot) with which its motion is not computable.
WILD: dict[str, dict[str, float]] = {
    "light": {"mass": 1e-30},
    "strong": {"thrust_coefficient": 1e12},
    "no inertia": {"inertia_x": 1e-30, "inertia_y": 1e-30, "inertia_z": 1e-30},
    "dragged": {"linear_drag": 1e12},
    "spun": {"rotor_inertia": 1e12, "inertia_z": 1e-30},
    "stiff motors": {"motor_time_constant": 1e-30},
    "pulled": {"gravity": 1e12},
    "fast": {"max_rotor_speed": 1e30, "motor_time_constant": 1e-6},
}
OWN = [
    column
    for part in observation_table(2)
    if not part.name.startswith(("neighbour", "conflict"))
    for column in range(part.start, part.start + part.size)
]


def upset(swarms: Swarms, swarm: int, drone: int, parameters: dict[str, float]) -> None:
    """Change a drone's parameters in mid-air."""
    state = swarms.get_state()
    rows = lane_of(state, swarm, drone, swarms.num_drones)
    for name, value in parameters.items():
        rows[layout.AIRFRAME + PARAMETERS.index(name)] = value
    swarms.set_state(state)


@pytest.mark.parametrize("crash", ["respawn", "terminate"])
@pytest.mark.parametrize("drones", [20, 150])  # with and without the search for neighbours in tiles
@pytest.mark.parametrize("wild", WILD)
def test_a_blow_up_is_contained(wild: str, drones: int, crash: str) -> None:
    """The drone crashes and is counted; all others fly on, to the bit, as if nothing had been.

    What others see of their neighbours, and what conflicts cost them, may change: it is somewhere
    else now.  Those terms weigh nothing here.
    """
    swarm, drone, steps = 1, 7, 40
    weights = RewardWeights(collision=0, conflict=0)
    calm, struck = (
        Swarms("orbit", 3, drones, seed=3, crash=crash, reward=weights, max_steps=90)
        for _ in range(2)
    )
    for swarms in (calm, struck):
        swarms.reset()
    upset(struck, swarm, drone, WILD[wild])
    actions = np.random.default_rng(1).uniform(-0.05, 0.05, (steps, 3, drones, 4))
    others = np.ones((3, drones), bool)
    others[swarm, drone] = False
    crashes = faults = 0
    for action in actions.astype(np.float32):
        expected, result = calm.step(action), struck.step(action)
        assert not expected.crashed.any()
        assert not result.crashed[others].any()
        crashes += int(result.crashed[swarm, drone])
        for name in (
            "position", "velocity", "attitude", "body_rates", "rotor_speeds", "target_position",
            "target_velocity", "distance", "active", "faults",
        ):  # fmt: skip
            mine, theirs = getattr(struck, name), getattr(calm, name)
            assert np.array_equal(mine[others], theirs[others]), name
            assert np.isfinite(mine[struck.active]).all(), name
        assert np.array_equal(result.rewards[others], expected.rewards[others])
        seen = result.observations
        assert np.isfinite(seen).all()
        assert np.abs(seen).max() <= 1
        assert np.isfinite(struck.final_observations).all()
        assert np.isfinite(result.rewards).all()
        assert np.array_equal(seen[others][:, OWN], expected.observations[others][:, OWN])
        for k in (0, 2):  # other swarms: nothing at all has changed
            assert np.array_equal(seen[k], expected.observations[k])
        faults = int(struck.faults[swarm, drone])
        if crash == "terminate" and crashes:
            assert not struck.active[swarm, drone]
            assert np.isnan(struck.position[swarm, drone]).all()
        elif result.crashed[swarm, drone]:  # put back, at rest, where it may be
            assert (np.abs(struck.position[swarm, drone]) <= struck.arena).all()
            assert not struck.velocity[swarm, drone].any()
            assert result.rewards[swarm, drone] < -1
    assert crashes > 0
    assert 0 < faults <= crashes
    assert crashes == 1 or crash == "respawn"
    metrics = struck.metrics()
    assert metrics["crashes"] == pytest.approx(np.array([0, crashes, 0]) / drones)
    assert metrics["faults"] == pytest.approx(np.array([0, faults, 0]) / drones)
    assert all(np.isfinite(values).all() for name, values in metrics.items()
               if name not in ("time_to_form", "formation_error", "on_target",
                               "within_half_metre"))  # fmt: skip


@pytest.mark.parametrize("wild", WILD)
def test_a_blow_up_of_a_drone_alone(wild: str) -> None:
    swarms = Swarms("flag", 1, 1, seed=0)
    swarms.reset()
    upset(swarms, 0, 0, WILD[wild])
    for actions in np.random.default_rng(1).uniform(-0.1, 0.1, (40, 1, 1, 4)).astype(np.float32):
        result = swarms.step(actions)
        assert np.isfinite(result.observations).all()
        assert np.isfinite(result.rewards).all()
        assert np.isfinite(swarms.position).all()
    assert swarms.faults[0, 0] > 0


def test_a_healthy_crash_is_no_fault() -> None:
    swarms = Swarms("flag", 1, 3, seed=0, max_steps=200)
    swarms.reset()
    actions = np.zeros((1, 3, 4), np.float32)
    actions[:, 0] = 1
    crashes = sum(int(swarms.step(actions).crashed.sum()) for _ in range(150))
    assert crashes > 0
    assert swarms.steps[0] * CONTROL_STEP == pytest.approx(7.5)
    assert not swarms.faults.any()
    assert swarms.metrics()["faults"][0] == 0


def test_a_new_episode_starts_with_healthy_drones() -> None:
    swarms = Swarms("flag", 1, 3, seed=0)
    swarms.reset()
    upset(swarms, 0, 1, WILD["strong"])
    actions = np.full((1, 3, 4), 0.01, np.float32)
    for _ in range(5):
        swarms.step(actions)
    assert swarms.faults[0, 1] > 0
    swarms.reset()
    for _ in range(20):
        assert not swarms.step(actions).crashed.any()
    assert not swarms.faults.any()
