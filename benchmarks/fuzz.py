"""Random configurations and flights, looking for a crash of the program, a number that is not
finite, a bound that does not hold, or a warning: ``python benchmarks/fuzz.py --examples 10000``.

What is found is shrunk by hypothesis to the simplest case that still fails, and printed.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from drone_formation import Airframe, Randomization, RewardWeights, Swarms
from drone_formation.airframe import PARAMETERS
from drone_formation.control import CONTROL_MODES
from drone_formation.disturbances import Disturbances
from drone_formation.formations import least_distance
from drone_formation.tasks import CLEARANCE, TASKS

try:
    import scipy.optimize  # noqa: F401

    ASSIGNMENTS = ("fixed", "optimal")
except ImportError:
    ASSIGNMENTS = ("fixed",)

#: How each stretch of a flight steers.
KINDS = ("hover", "full", "stop", "noise", "huge", "tiny", "flip", "twist", "mixed")


@dataclass
class Case:
    """A simulator's arguments, and what is then done with it."""

    options: dict[str, Any]
    legs: list[tuple[str, int]]  # how to steer, for how many steps
    upsets: dict[int, str] = field(default_factory=dict)  # before which steps to reset, and how


def _airframe(mass: float, slowness: float, thrust: float, damping: float, drag: float) -> Airframe:
    """An airframe ``mass`` kg heavy that hovers at 1 / ``thrust`` of its top rotor speed."""
    inertia = 0.01 * mass
    coefficient = mass * 9.81 * thrust**2 / 4 / 750**2
    return Airframe(
        mass=mass, inertia=(inertia, inertia, 2 * inertia), thrust_coefficient=coefficient,
        angular_damping=damping * inertia, linear_drag=drag * mass, motor_time_constant=slowness,
        rotor_inertia=1e-5 * mass,
    )  # fmt: skip


#: Airframes whose motion blows up, or nearly: that must stay contained.
WILD = (
    Airframe(arm=1e6), Airframe(torque_ratio=1e9), Airframe(rotor_inertia=10.0),
    Airframe(max_rotor_speed=1e12), Airframe(inertia=(1e-12,) * 3, angular_damping=0.0),
    Airframe(torque_ratio=1e12, rotor_inertia=1e12, inertia=(1e-30, 1e-30, 1e-30)),
)  # fmt: skip
airframes = st.one_of(
    st.builds(
        _airframe,
        st.floats(0.02, 50),
        st.floats(0.02, 0.5),
        st.floats(1.3, 4),
        st.floats(0, 20),
        st.floats(0, 10),
    ),
    st.sampled_from(WILD),
)
randomizations = st.builds(
    Randomization,
    size=st.sampled_from([(0.1, 0.4), (0.1, 0.1), (0.05, 0.2), (0.08, 0.12)]),
    spread=st.floats(0, 0.1),
    gravity_spread=st.floats(0, 0.1),
)
weights = st.builds(
    RewardWeights, **{name: st.floats(0, 10) for name in RewardWeights.__dataclass_fields__}
)
winds = st.builds(Disturbances, st.tuples(*[st.floats(-50, 50)] * 3))
sizes = st.one_of(
    st.integers(1, 20),
    st.sampled_from([31, 32, 33, 63, 64, 65, 127, 128, 129, 144, 200]),
)
options_of = st.fixed_dictionaries(
    {
        "task": st.sampled_from(list(TASKS)),
        "num_swarms": st.integers(1, 3),
        "num_drones": sizes,
        "seed": st.integers(0, 2**40),
        "max_steps": st.integers(1, 60),
        "substeps": st.integers(1, 4),
        "assignment": st.sampled_from(ASSIGNMENTS),
        "paced": st.booleans(),
        "neighbours": st.integers(0, 8),
        "control": st.sampled_from(CONTROL_MODES),
        "collision_distance": st.one_of(st.just(1.0), st.floats(0.01, 60)),
        "crash": st.sampled_from(["respawn", "terminate"]),
        "num_threads": st.sampled_from([1, 1, 1, 2]),
    },
    optional={
        "airframe": airframes,
        "randomization": randomizations,
        "reward": weights,
        "disturbances": winds,
    },
)
cases = st.builds(
    Case,
    options_of,
    st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 30)), min_size=1, max_size=4),
    st.dictionaries(
        st.integers(0, 60), st.sampled_from(["all", "seed", "one", "restore"]), max_size=4
    ),
)


def steer(kind: str, step: int, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Actions of one kind."""
    if kind in ("hover", "full", "stop"):
        return np.full(shape, {"hover": 0.0, "full": 1.0, "stop": -1.0}[kind], np.float32)
    if kind == "noise":
        return rng.uniform(-1.5, 1.5, shape).astype(np.float32)
    if kind == "huge":
        return rng.choice(np.array([-3.4e38, 3.4e38, 1e30], np.float32), shape)
    if kind == "tiny":
        return rng.choice(np.array([1e-45, -1e-45, 1e-38, -0.0], np.float32), shape)
    if kind == "flip":
        return np.full(shape, (-1.0) ** step, np.float64)
    if kind == "twist":
        return np.broadcast_to(np.array([1, -1, 1, -1], np.float32), shape)
    if kind == "mixed":  # each drone has its own idea
        values = rng.choice(np.array([-1.0, 0.0, 1.0]), shape[:2])[..., None]
        return np.broadcast_to(values, shape).astype(np.float16)
    raise ValueError(kind)


def check_reset(swarms: Swarms, which: range | list[int]) -> None:
    """Starts and targets are feasible and inside the arena."""
    position, target = swarms.position, swarms.target_position
    needed = CLEARANCE * swarms.collision_distance * (1 - 1e-5) - 1e-4
    for k in which:
        assert (np.abs(position[k]) <= swarms.arena + 1e-3).all(), "a start is outside the arena"
        assert least_distance(position[k].astype(float)) >= needed, "starts are too close"
        assert (np.abs(target[k]) <= swarms.arena + 1e-3).all(), "a target is outside"
        if swarms.tasks[k] != "race":
            assert least_distance(target[k].astype(float)) >= needed, (
                f"targets are {least_distance(target[k].astype(float)):.3f} m apart, not {needed}"
            )
    assert swarms.steps[list(which)].max() == 0


def check_step(swarms: Swarms, result: Any) -> None:
    """Everything that holds after any step."""
    seen, rewards, active = result.observations, result.rewards, swarms.active
    assert np.isfinite(seen).all(), "an observation is not finite"
    assert np.abs(seen).max(initial=0) <= 1, "an observation is beyond [-1, 1]"
    assert np.isfinite(rewards).all(), "a reward is not finite"
    weights = swarms.reward_weights
    tasks = [weights] if isinstance(weights, RewardWeights) else weights.values()
    scale = max(sum(vars(paid).values()) for paid in tasks)
    reach = 10 + 2 * swarms.collision_distance + 2.5e4  # the spin term: 3 x 50² at most, and more
    assert np.abs(rewards).max() <= scale * reach, "a reward is huge"
    for name in ("position", "velocity", "body_rates", "attitude", "rotor_speeds", "distance"):
        value = getattr(swarms, name)
        assert np.isfinite(value[active]).all(), f"{name} is not finite"
        assert np.isnan(value[~active]).all(), f"{name} of a drone that is gone is a number"
    norm = np.linalg.norm(swarms.attitude[active].astype(float), axis=-1)
    assert np.abs(norm - 1).max(initial=0) <= 1e-6, "a quaternion is not of unit length"
    speeds, rates = swarms.velocity[active], swarms.body_rates[active]
    assert np.abs(speeds).max(initial=0) <= 50, "a velocity is beyond its clamp"
    assert np.abs(rates).max(initial=0) <= 50, "a body rate is beyond its clamp"
    top = swarms.airframes[active][:, [PARAMETERS.index("max_rotor_speed")]] * (1 + 1e-4)
    rotors = swarms.rotor_speeds[active]
    assert ((rotors >= -1e-2) & (rotors <= top)).all(), "a rotor speed is beyond its range"
    outside = np.abs(swarms.position[active]) > swarms.arena * (1 + 1e-6)
    assert not outside.any(), "a flying drone is outside the arena"
    if swarms.crash == "respawn":
        assert active.all(), "a drone is missing"
    else:
        assert not (result.crashed & active).any(), "a crashed drone flies on"
        assert not seen[~active & ~result.crashed].any(), "a drone that is gone sees something"
        assert not rewards[~active & ~result.crashed].any(), "a drone that is gone is paid"
    assert (result.truncated == (swarms.steps >= swarms.max_steps)).all()


def check_metrics(swarms: Swarms) -> None:
    """The metrics are in their ranges."""
    metrics = swarms.metrics()
    for name, values in metrics.items():
        assert values.shape == (swarms.num_swarms,), name
        if name in ("perf", "collisions", "collision_rate", "crashes", "episode_return"):
            assert np.isfinite(values).all(), f"{name} is not finite"
    shares = np.stack([metrics[name] for name in ("collision_rate", "on_target")])
    assert ((shares >= 0) & (shares <= 1) | np.isnan(shares)).all(), "a share is beyond [0, 1]"
    assert (metrics["perf"] <= 1 + 1e-6).all(), "perf is above 1"


def fly(case: Case) -> tuple[int, int, int]:
    """Fly one case; how many drone-steps, crashes and contained blow-ups it had.

    Raises:
        ValueError: the simulator refuses the configuration, in plain words.
        AssertionError: something does not hold.
    """
    swarms = Swarms(**case.options)
    everyone = range(swarms.num_swarms)
    swarms.reset()
    check_reset(swarms, everyone)
    assert np.isfinite(swarms.observations).all()
    rng = np.random.default_rng(case.options["seed"])
    shape = (swarms.num_swarms, swarms.num_drones, 4)
    saved = swarms.get_state()
    step = crashes = faults = 0
    for kind, length in case.legs:
        for _ in range(length):
            upset = case.upsets.get(step)
            if upset == "restore":
                swarms.set_state(saved)
            elif upset is not None:
                which = [swarms.num_swarms - 1] if upset == "one" else list(everyone)
                arguments = {"seed": step} if upset == "seed" else {"which": which}
                faults += int(swarms.faults[which].sum())
                swarms.reset(**arguments)
                check_reset(swarms, which)
                saved = swarms.get_state()
            result = swarms.step(steer(kind, step, shape, rng))
            check_step(swarms, result)
            crashes += int(result.crashed.sum())
            step += 1
            over = np.flatnonzero(result.truncated)
            if len(over):
                check_metrics(swarms)
                faults += int(swarms.faults[over].sum())
                swarms.reset(which=over)
                check_reset(swarms, list(over))
    check_metrics(swarms)
    return step * shape[0] * shape[1], crashes, faults + int(swarms.faults.sum())


def fuzz(examples: int, start: int | None = None, tally: Counter[str] | None = None) -> None:
    """Fly ``examples`` random cases, warnings being errors.

    Args:
        examples: how many.
        start: a seed for hypothesis; None for the same cases every time.
        tally: is given the counts of what happened.
    """
    tally = Counter() if tally is None else tally
    phases = [Phase.generate, Phase.shrink]

    @settings(
        max_examples=examples, deadline=None, database=None, phases=phases,
        derandomize=start is None, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(cases)
    def one(case: Case) -> None:
        tally["cases"] += 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                steps, crashes, faults = fly(case)
            except ValueError as error:
                if not str(error).startswith(("substeps must be", "randomization can draw")):
                    raise
                tally["refused: " + str(error).split()[0]] += 1
                return
        tally[f"task {case.options['task']}"] += 1
        tally["drone-steps"] += steps
        tally["crashes"] += crashes
        tally["numerical blow-ups, contained"] += faults

    (one if start is None else seed(start)(one))()


def main() -> None:
    """Fuzz, and print what was flown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    tally: Counter[str] = Counter()
    begun = time.perf_counter()
    try:
        fuzz(arguments.examples, arguments.seed, tally)
    finally:
        for name, count in sorted(tally.items()):
            print(f"{name}: {count:,}")
        print(f"{time.perf_counter() - begun:.0f} s")
    print("nothing found")


if __name__ == "__main__":
    main()
