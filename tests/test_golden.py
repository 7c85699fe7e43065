"""Golden trajectories: a silent change of physics, rewards or observations fails here.

    python tests/test_golden.py --write

stores the flights of ids that are not stored yet, and drops those of ids that are gone.  It refuses
to change the flight of an id that is stored, because such a change must bump the id's version;
``--unreleased`` allows it for ids that no release has had.

**Tolerance.**  Libraries of elementary functions differ in the last bit, and Python, interpreting
the same code, computes some of it in float64.  Both cost about 1e-7 of a value per step, and the
flights are too short (60 steps, 3 s) for the dynamics to amplify it much: compiled and interpreted
code agree to 1e-5 on every number stored here.  The
tolerance is 1e-3 of a value, or 1e-3 (m, or of the observation's and the reward's unit) where that
is larger: a hundred times as much, and far less than any change of a coefficient that matters.
"""

from __future__ import annotations

import argparse
import runpy
import shutil
import sys
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drone_formation import (
    Airframe,
    Randomization,
    RewardWeights,
    Swarms,
    observation,
    tasks,
)
from drone_formation.disturbances import Disturbances
from drone_formation.tasks import RING_SPEED, TASKS

FILE = Path(__file__).parent / "golden" / "flights.npz"
STEPS = 60
TIMES = (1, 2, 10, 25, 60)
DRONES = 6
TOLERANCE = 1e-3
#: Further flights of a task, under other settings.
VARIANTS = {
    "terminate": ("flag", {"crash": "terminate"}),
    "randomized": ("cube", {"randomization": Randomization(), "substeps": 2}),
    "unpaced": ("race", {"paced": False}),
    "wind": ("orbit", {"disturbances": Disturbances(wind=(4.0, -2.0, 1.0))}),
    "rates": ("sphere", {"control": "body_rates"}),
    "neighbours": ("follow", {"neighbours": 7, "num_drones": 18, "collision_distance": 1.5}),
}
CASES = [*TASKS, *VARIANTS]


def case_id(case: str) -> str:
    """Key under which a flight is stored: the id of its task, and the variant."""
    task = VARIANTS[case][0] if case in VARIANTS else case
    return TASKS[task].id + (f" {case}" if case in VARIANTS else "")


def actions(drones: int) -> np.ndarray:
    """(STEPS, N, 4): drone 0 climbs out of the arena, the others mix tilts, yaw, noise and hover.

    ``RandomState``, because NumPy promises that its numbers never change.
    """
    found = np.random.RandomState(6).uniform(-1.2, 1.2, (STEPS, drones, 4))
    time = np.arange(STEPS)[:, None]
    found[:, 0] = 1.0
    found[:, 1] = 0.02 * np.sin(0.3 * time + np.array([0.0, 1.0, 3.1, 4.1]))
    found[:, 2] = 0.1 * np.array([1.0, -1.0, 1.0, -1.0]) + 0.05 * (time % 20 < 10)
    found[:, 3] = 0.0
    found[:, 4] *= 0.2
    return found.astype(np.float32)


def face_rings(swarms: Swarms) -> None:
    """Put drone 3 half a metre before its ring, at the speed at which it wants to be passed."""
    rings = swarms.rings()
    if not len(rings):
        return
    ring = rings[swarms.ring_index[0, 3]]
    position, velocity = swarms.position, swarms.velocity
    position[0, 3] = ring[:3] - 0.5 * ring[3:6]
    velocity[0, 3] = RING_SPEED * ring[3:6]
    swarms.place(position, velocity)


def fly(case: str) -> dict[str, np.ndarray]:
    """One short flight: what it began with, and samples at ``TIMES``."""
    task, options = VARIANTS.get(case, (case, {}))
    options = {"num_drones": DRONES, **options}
    swarms = Swarms(task, 1, seed=11, **options)
    first = swarms.reset()[0].copy()
    found = {"start": swarms.position[0], "first_observations": first}
    face_rings(swarms)
    samples: dict[str, list[np.ndarray]] = {
        "position": [], "velocity": [], "attitude": [], "target": [], "rewards": [],
        "observations": [],
    }  # fmt: skip
    crashes, total = np.zeros(swarms.num_drones, np.int64), np.zeros(swarms.num_drones)
    for step, action in enumerate(actions(swarms.num_drones), 1):
        result = swarms.step(action[None])
        crashes += result.crashed[0]
        total += result.rewards[0]
        if step in TIMES:
            for name in ("position", "velocity", "attitude"):  # NaN for drones that are gone
                samples[name].append(np.nan_to_num(getattr(swarms, name)[0]))
            samples["target"].append(swarms.target_position[0])
            samples["rewards"].append(result.rewards[0].copy())
            samples["observations"].append(result.observations[0].copy())
    found |= {name: np.array(values, np.float32) for name, values in samples.items()}
    metrics = swarms.metrics()
    summed = [metrics[name][0] for name in ("perf", "collision_rate", "rings_per_minute")]
    return {**found, "return": total.astype(np.float32), "crashes": crashes,
            "metrics": np.array(summed, np.float32)}  # fmt: skip


def difference(found: dict[str, np.ndarray], stored: dict[str, np.ndarray]) -> str:
    """In words, where two flights of one case differ; empty when they agree."""
    if set(found) != set(stored):
        return f"they hold {sorted(found)} and {sorted(stored)}"
    for name, value in found.items():  # in the order in which causes have effects
        if value.shape != stored[name].shape:
            return f"{name} has shape {value.shape}, stored {stored[name].shape}"
        allowed = TOLERANCE * np.maximum(1, np.abs(stored[name]))
        excess = np.abs(value.astype(float) - stored[name]) / allowed
        if not (excess <= 1).all():
            where = np.unravel_index(np.nanargmax(excess), excess.shape)
            place = tuple(int(i) for i in where)
            return f"{name}{list(place)} is {value[where]:.6g}, stored {stored[name][where]:.6g}"
    return ""


@cache
def load() -> dict[str, dict[str, np.ndarray]]:
    """The stored flights, by case id."""
    flights: dict[str, dict[str, np.ndarray]] = {}
    if FILE.is_file():
        with np.load(FILE, allow_pickle=False) as arrays:
            for key in arrays.files:
                case, name = key.split("/")
                flights.setdefault(case, {})[name] = arrays[key]
    return flights


def write(unreleased: bool = False) -> list[str]:
    """Store the flights of all cases; what was done, a line each.

    Raises:
        ValueError: the flight of a stored id has changed; nothing is written.
    """
    stored, said, arrays = load(), [], {}
    for case in CASES:
        key, found = case_id(case), fly(case)
        changed = difference(found, stored[key]) if key in stored else ""
        if changed and not unreleased:
            raise ValueError(
                f"the flight of {key} has changed ({changed}), and its id has not: give the task "
                "a new version first (--unreleased if no release has had this id)"
            )
        if key in stored and not changed:
            found = stored[key]  # to the bit: no noise from the machine it is written on
        else:
            said.append(f"{key}: {'changed, ' + changed if changed else 'new'}")
        arrays |= {f"{key}/{name}": value for name, value in found.items()}
    said += [f"{key}: gone" for key in stored if key not in {case_id(case) for case in CASES}]
    FILE.parent.mkdir(exist_ok=True)
    np.savez_compressed(FILE, **arrays)
    load.cache_clear()
    return said


@pytest.mark.parametrize("case", CASES)
def test_flights_are_as_stored(case: str) -> None:
    key = case_id(case)
    assert key in load(), f"no flight of {key} is stored: python tests/test_golden.py --write"
    changed = difference(fly(case), load()[key])
    if changed.startswith("start"):
        changed += " (the episode began elsewhere: the planner, or NumPy's random stream, changed)"
    assert not changed, (
        f"the flight of {key} has changed: {changed}. A change of physics, rewards or observations "
        "must bump the version in the task's id (and say so in CHANGELOG.md); then store the new "
        "flights with: python tests/test_golden.py --write"
    )


def test_flights_show_what_they_should() -> None:
    flights = load()
    assert FILE.stat().st_size < 200_000
    assert all(flights[case_id(case)]["crashes"][0] >= 1 for case in CASES)
    assert flights[case_id("flag")]["crashes"].sum() > 1, "respawned drones fly on, and crash again"
    assert flights[case_id("terminate")]["crashes"].max() == 1
    assert flights[case_id("race")]["metrics"][2] > 0, "a ring is passed"
    assert flights[case_id("unpaced")]["metrics"][2] > 0, "a ring is passed"


def test_a_change_is_noticed_and_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    before, stored = FILE.read_bytes(), load()[case_id("flag")]
    for name in ("position", "rewards", "observations"):
        changed = {**stored, name: stored[name] + np.float32(2e-3)}
        assert difference(changed, stored).startswith(name)
    monkeypatch.setattr(sys.modules[__name__], "fly", lambda case: changed)
    with pytest.raises(ValueError, match=r"DroneIdle-v0 has changed .* new version"):
        write()
    assert FILE.read_bytes() == before


#: Small changes, one of each kind: what is set, where, and to what.
CHANGES: dict[str, tuple[Any, str, Any]] = {
    "physics": (Swarms, "airframe", Airframe(linear_drag=0.11)),
    "rotors": (Swarms, "airframe", Airframe(motor_time_constant=0.105)),
    "reward": (Swarms, "reward", RewardWeights(approach=0.245)),
    "observation": (observation, "VELOCITY_SCALE", 5.1),
    "starts": (tasks, "CLEARANCE", 1.6),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_needs_a_new_version(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Unless the version of the id is raised, a change fails the test, and cannot be stored."""
    here = sys.modules[__name__]
    where, name, value = CHANGES[kind]
    if where is Swarms:
        monkeypatch.setattr(here, "Swarms", partial(Swarms, **{name: value}))
    else:
        monkeypatch.setattr(where, name, value)
    file = tmp_path / FILE.name
    shutil.copy(FILE, file)
    monkeypatch.setattr(here, "FILE", file)
    monkeypatch.setattr(here, "CASES", ["flag"])
    load.cache_clear()
    try:
        with pytest.raises(AssertionError, match="must bump the version in the task's id"):
            test_flights_are_as_stored("flag")
        with pytest.raises(ValueError, match=r"DroneFlag-v0 has changed .* a new version first"):
            write()
        assert file.read_bytes() == (Path(__file__).parent / "golden" / FILE.name).read_bytes()

        monkeypatch.setitem(TASKS, "flag", replace(TASKS["flag"], version=1))
        with pytest.raises(AssertionError, match="no flight of DroneFlag-v1 is stored"):
            test_flights_are_as_stored("flag")
        said = write()
        assert "DroneFlag-v1: new" in said
        assert "DroneFlag-v0: gone" in said
        test_flights_are_as_stored("flag")
    finally:
        load.cache_clear()


@pytest.mark.repository
def test_a_new_version_needs_its_history() -> None:
    """``docs/make_pages.py`` writes no page for a version that it does not tell of."""
    make_pages = runpy.run_path(str(Path(__file__).parents[1] / "docs" / "make_pages.py"))
    first, second = TASKS["flag"], replace(TASKS["flag"], version=1)
    assert make_pages["history"](first) == "- v0: the first version."
    with pytest.raises(ValueError, match="DroneFlag-v1 has versions v0 to v1, and VERSIONS"):
        make_pages["page"](second)
    make_pages["VERSIONS"]["flag"] = ("the first version.", "rotors answer sooner.")
    lines = make_pages["history"](second).splitlines()
    assert lines == ["- v1: rotors answer sooner.", "- v0: the first version."]
    with pytest.raises(ValueError, match="tells of 2"):
        make_pages["history"](first)


def main() -> int:
    """Write the flights; the exit status."""
    parser = argparse.ArgumentParser(description="Store golden flights.")
    parser.add_argument("--write", action="store_true", required=True)
    parser.add_argument("--unreleased", action="store_true", help="ids may keep their version")
    try:
        lines = write(parser.parse_args().unreleased)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(lines or ["nothing has changed"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
