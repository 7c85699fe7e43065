"""A drone whose numbers blow up, seen through every view: counted, put back, felt by no other."""

from __future__ import annotations

import numpy as np
import pytest

from drone_formation.airframe import PARAMETERS
from drone_formation.sim import layout

from .helpers import VIEWS, Driver

N, STEPS, STRUCK = 4, 20, 2


def fly(view: str, wild: bool) -> tuple[list, np.ndarray]:
    """One episode and what it gave; with ``wild``, drone 2 of swarm 0 has absurd rotors."""
    driver = Driver(view, "flag", num_swarms=1, num_drones=N, max_steps=STEPS)
    driver.reset(seed=5)
    if wild:
        state = driver.swarms.get_state()
        row = layout.AIRFRAME + PARAMETERS.index("thrust_coefficient")
        state["blocks"][0, row, STRUCK] = 1e12
        driver.swarms.set_state(state)
    results, positions = [], []
    actions = np.random.default_rng(0).uniform(-0.02, 0.02, (STEPS, 1, N, 4)).astype(np.float32)
    for action in actions[:-1]:
        results.append(driver.step(action))
        positions.append(driver.swarms.position[0])
    results.append(driver.step(actions[-1]))  # the last step, after which some views begin anew
    return results, np.array(positions)


def crashed(view: str, result: tuple) -> list[bool]:
    """The drones that a step reported to have crashed."""
    info = result[4] if view != "rows" else result[3]
    if view in ("parallel", "aec"):
        return [info[f"drone_{i}"].get("crashed", False) for i in range(N)]
    if view == "rows":
        return [row.get("crashed", False) for row in info]
    return np.asarray(info["crashed"]).reshape(N).tolist()


@pytest.mark.parametrize("view", VIEWS)
def test_a_blow_up_in_a_view(view: str) -> None:
    calm, undisturbed = fly(view, wild=False)
    results, positions = fly(view, wild=True)
    others = np.arange(N) != STRUCK
    assert np.array_equal(positions[:, others], undisturbed[:, others])
    assert not any(any(crashed(view, result)) for result in calm)
    reports = np.array([crashed(view, result) for result in results])
    assert reports[0].tolist() == [False, False, True, False], "at once"
    assert not reports[:, others].any()
    for result, report in zip(results, reports[:, STRUCK], strict=True):
        if view in ("parallel", "aec"):
            seen, info = result[0][f"drone_{STRUCK}"], result[4][f"drone_{STRUCK}"]
            final = info["final_obs"] if report else seen
            assert not result[2][f"drone_{STRUCK}"], "it respawns"
        elif view == "rows":
            seen, info = result[0][STRUCK], result[3][STRUCK]
            final = info["terminal_observation"] if report else seen
        else:
            seen = final = np.asarray(result[0]).reshape(N, -1)[STRUCK]
        for observation in (seen, final):
            assert np.isfinite(observation).all()
            assert np.abs(observation).max() <= 1

    def metrics(result: tuple) -> dict:
        if view in ("parallel", "aec"):
            return result[4]["drone_0"]["swarm_metrics"]
        if view == "rows":
            return result[3][0]["swarm_metrics"]
        return result[4]["swarm_metrics"]

    total = reports[:, STRUCK].sum()
    assert metrics(results[-1])["crashes"] == pytest.approx(total / N)
    assert metrics(results[-1])["faults"] == pytest.approx(total / N)
    assert metrics(calm[-1])["faults"] == 0
