"""What a step pays: every term by hand, also in the step of a crash and in that of a ring."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from drone_formation import RewardWeights, Swarms
from drone_formation.sim import layout

from .helpers import conflicts, hover

WEIGHTS = RewardWeights(
    progress=0.7, approach=0.3, precision=0.2, ring=3, collision=1.5, conflict=0.4,
    smoothness=0.01, spin=0.002, crash=4,
)  # fmt: skip
NAMES = [field.name for field in fields(RewardWeights)]


def only(name: str) -> RewardWeights:
    """One term alone, of weight 1."""
    return RewardWeights(**{other: float(other == name) for other in NAMES})


@pytest.mark.parametrize("task", ["flag", "orbit", "race"])
def test_reward_is_the_sum_of_its_terms(task):
    w = WEIGHTS
    swarms = Swarms(
        task, 2, 64, seed=4, reward=w, collision_distance=2.0, crash="terminate", paced=False
    )
    swarms.reset()
    rng = np.random.default_rng(1)
    last_actions = np.zeros((2, 64, 4), np.float32)
    collided, grazed, crashed, stays = 0, 0, 0, task != "race"
    for _ in range(60):
        before, alive = swarms.distance.astype(float), swarms.active
        actions = rng.uniform(-1.3, 1.3, (2, 64, 4)).astype(np.float32)
        result = swarms.step(actions)
        clipped = np.clip(actions, -1, 1)
        distance = swarms._batch.read(layout.DISTANCE)[..., 0].astype(float)
        ring_passed = swarms._batch.read(layout.RING_PASSED)[..., 0] > 0
        position = np.where(swarms.active[..., None], swarms.position, 1e6)
        gaps = np.linalg.norm(position[:, None] - position[:, :, None], axis=-1)
        gaps[:, np.arange(64), np.arange(64)] = np.inf
        touch = np.clip((1.2 - gaps.min(axis=-1) / 2.0) / 0.2, swarms.colliding, 1)
        expected = (
            w.progress * (before - distance)
            + stays * w.approach / (1 + distance)
            + stays * w.precision * 0.1 / (0.1 + distance)
            - w.collision * touch
            - w.conflict * np.linalg.norm(conflicts(swarms)[..., 0, :3], axis=-1)
            - w.smoothness * ((clipped - last_actions) ** 2).sum(axis=-1)
            - w.spin * (swarms.body_rates.astype(float) ** 2).sum(axis=-1)
        )
        # A drone that has just crashed for good is no longer where its neighbours still felt it.
        usual = alive & ~ring_passed & ~result.crashed.any(axis=1, keepdims=True)
        np.testing.assert_allclose(result.rewards[usual], expected[usual], atol=3e-4)
        assert (result.rewards[~alive] == 0).all()
        assert (result.rewards[result.crashed] < -w.crash + 2).all()
        collided += (swarms.colliding & usual).sum()
        grazed += ((touch > 0) & (touch < 1) & usual).sum()
        crashed += result.crashed.sum()
        last_actions = clipped
    assert collided > 0
    assert grazed > 0
    assert crashed > 0


# ---- the step of a crash -----------------------------------------------------------------------


def leaving(crash: str, reward: RewardWeights) -> Swarms:
    """Three drones of the flag: 0 is about to leave the arena, spinning, close beside 1."""
    swarms = Swarms("flag", 1, 3, seed=0, reward=reward, crash=crash)
    swarms.reset()
    swarms.place(
        [[[29.5, 0, 0], [29.5, 1.1, 0], [0, 0, 0]]],
        [[[16, 0, 0], [15, 0, 0], [0, 0, 0]]],
        body_rates=[[[3, -2, 1], [0, 0, 0], [0, 0, 0]]],
        arena=[30, 30, 10],
    )
    return swarms


def actions_of_the_crash() -> np.ndarray:
    actions = np.zeros((1, 3, 4), np.float32)
    actions[0, 0] = [0.1, -0.2, 0.3, 0.0]
    return actions


def flown_on() -> Swarms:
    """The same step in an arena that is so large that nothing leaves it."""
    free = Swarms("flag", 1, 3, seed=0)
    free.reset()
    before = leaving("respawn", RewardWeights())
    state = ("position", "velocity", "attitude", "body_rates", "rotor_speeds")
    free.place(**{name: getattr(before, name) for name in state}, arena=[60, 60, 60])
    free.step(actions_of_the_crash())
    return free


@pytest.mark.parametrize("crash", ["respawn", "terminate"])
@pytest.mark.parametrize("name", NAMES)
def test_in_a_crash_every_term_is_of_the_crash(name, crash):
    """Of where and how the drone was then, not of where it is put back; by hand, term by term."""
    swarms, there = leaving(crash, only(name)), flown_on()
    before = swarms.distance[0].astype(float)
    result = swarms.step(actions_of_the_crash())
    assert result.crashed[0].tolist() == [True, True, False]
    distance = there.distance[0].astype(float)
    position = there.position[0].astype(float)
    gap = np.linalg.norm(position[0] - position[1])
    touch = np.clip((1.2 - gap) / 0.2, 0, 1)
    expected = {
        "progress": before - distance,
        "approach": 1 / (1 + distance),
        "precision": 0.1 / (0.1 + distance),
        "ring": np.zeros(3),
        "collision": -np.array([touch, touch, 0]),
        "conflict": -np.linalg.norm(conflicts(there)[0, :, 0, :3], axis=1),
        "smoothness": -(actions_of_the_crash()[0].astype(float) ** 2).sum(axis=1),
        "spin": -(there.body_rates[0].astype(float) ** 2).sum(axis=1),
        "crash": -np.array([1.0, 1.0, 0]),
    }[name]
    np.testing.assert_allclose(result.rewards[0], expected, atol=2e-5)
    if name not in ("ring", "precision"):
        assert abs(expected[0]) > 1e-3, "the test shows nothing"


def test_the_return_and_the_mean_hold_what_a_crash_paid():
    swarms = leaving("respawn", WEIGHTS)
    first = swarms.step(actions_of_the_crash()).rewards.astype(float).copy()
    assert swarms.mean_rewards[0] == pytest.approx(first.mean(), rel=1e-6)
    second = swarms.step(hover(swarms)).rewards.astype(float)
    assert swarms.metrics()["episode_return"][0] == pytest.approx((first + second).mean(), rel=1e-6)


def test_a_drone_put_back_makes_no_progress_by_that():
    """The step after a crash counts metres from the new place."""
    swarms = leaving("respawn", only("progress"))
    swarms.step(actions_of_the_crash())
    before = swarms.distance.astype(float)
    assert (np.abs(swarms.position[0, 0]) < 30).all()
    result = swarms.step(hover(swarms))
    np.testing.assert_allclose(result.rewards, before - swarms.distance, atol=1e-5)
    assert np.abs(result.rewards[0, :2]).max() < 0.1


# ---- the step of a ring ------------------------------------------------------------------------


def before_rings(reward: RewardWeights, paced: bool = False) -> Swarms:
    """A race whose 8 drones are 0.2 m before their rings, at the speed to pass at."""
    swarms = Swarms("race", 1, 8, seed=0, reward=reward, paced=paced)
    swarms.reset()
    ring = swarms.rings()[swarms.ring_index[0]]
    swarms.place((ring[:, :3] - 0.2 * ring[:, 3:6])[None], (8 * ring[:, 3:6])[None])
    return swarms


@pytest.mark.parametrize("name", ["progress", "ring"])
def test_in_the_step_of_a_ring_what_is_paid_is_of_that_ring(name):
    swarms = before_rings(only(name))
    ring, first = swarms.rings()[swarms.ring_index[0]], swarms.ring_index[0]
    before = swarms.distance[0].astype(float)
    result = swarms.step(hover(swarms))
    assert (swarms.ring_index[0] == (first + 1) % len(swarms.rings())).all()
    passed_by = np.linalg.norm(swarms.position[0] - ring[:, :3], axis=1)
    expected = {"progress": before - passed_by, "ring": np.ones(8)}[name]
    np.testing.assert_allclose(result.rewards[0], expected, atol=2e-5)
    # From here on the next ring counts.
    before = swarms.distance[0].astype(float)
    assert (before > 1).all()
    result = swarms.step(hover(swarms))
    expected = {"progress": before - swarms.distance[0], "ring": np.zeros(8)}[name]
    np.testing.assert_allclose(result.rewards[0], expected, atol=2e-5)


def test_passing_a_ring_the_right_way():
    swarms = Swarms("race", 1, 8, seed=0, reward=RewardWeights(ring=10), paced=False)
    swarms.reset()
    target, speed = swarms.target_position, swarms.target_velocity
    normal = speed / np.linalg.norm(speed, axis=-1, keepdims=True)
    offsets = np.array([0, 0, 0, 2.5, 0, 0, 0, 1.5])
    sideways = np.cross(normal[0], [0, 0, 1.0])
    sideways /= np.linalg.norm(sideways, axis=-1, keepdims=True)
    direction = np.array([1, -1, 1, 1, 1, 1, 1, 1])[:, None]
    start = target[0] - direction * normal[0] * 0.2 + sideways * offsets[:, None]
    ring = swarms.ring_index[0]
    swarms.place(start[None], (direction * normal[0] * 8)[None])
    result = swarms.step(hover(swarms))
    passed = swarms.ring_index[0] == (ring + 1) % len(swarms.rings())
    assert passed.tolist() == [True, False, True, False, True, True, True, True]
    assert (result.rewards[0, passed] > 3).all()
    assert (result.rewards[0, ~passed] < 3).all()


# ---- weights -----------------------------------------------------------------------------------


def test_the_weights_of_the_reward_may_change_in_mid_flight():
    swarms, twin = (Swarms("flag", 1, 8, seed=0) for _ in range(2))
    swarms.reset()
    twin.reset()
    actions = np.full((1, 8, 4), 0.1, np.float32)
    rewards = swarms.step(actions).rewards.copy()
    assert (rewards == twin.step(actions).rewards).all()
    twin.reward_weights = RewardWeights(progress=50)
    assert (swarms.step(actions).rewards != twin.step(actions).rewards).all()
    assert (swarms.position == twin.position).all()
    twin.reward_weights = None  # those of the task
    assert twin.reward_weights == RewardWeights()
    assert (swarms.step(actions).rewards == twin.step(actions).rewards).all()
    with pytest.raises(TypeError, match=r"reward_weights must be RewardWeights, .* got 3"):
        twin.reward_weights = 3


def test_tasks_of_a_mixture_may_have_weights_of_their_own():
    reward = {"flag": RewardWeights(progress=50), "follow": RewardWeights(approach=7)}
    mixed = Swarms("mixed", 12, 8, seed=3, reward=reward)
    mixed.reset()
    state = mixed.get_state()
    actions = np.full((12, 8, 4), 0.1, np.float32)
    rewards = mixed.step(actions).rewards.copy()
    assert {"flag", "follow", "cube"} <= set(mixed.tasks)
    for task in set(mixed.tasks):
        alone = Swarms("mixed", 12, 8, seed=3, reward=reward.get(task))
        alone.reset()
        which = np.array(mixed.tasks) == task
        assert (alone.step(actions).rewards[which] == rewards[which]).all()
    mixed.reset()
    mixed.set_state(state)  # other tasks, and so other weights
    assert (mixed.step(actions).rewards == rewards).all()


@pytest.mark.parametrize(
    ("reward", "error", "words"),
    [
        ({"flug": RewardWeights()}, ValueError, "reward: .*'flug'"),
        ({"flag": 3.0}, TypeError, "reward of flag must be a RewardWeights"),
        (3.0, TypeError, "reward must be RewardWeights, a mapping"),
    ],
)
def test_weights_that_are_none_are_refused(reward, error, words):
    with pytest.raises(error, match=words):
        Swarms("mixed", reward=reward)
