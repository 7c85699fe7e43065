"""Reward terms and observation terms of a user's own."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from drone_formation import RewardWeights, Swarms
from drone_formation.observation import observation_size
from drone_formation.tasks import TASKS
from drone_formation.terms import ObservationTerm, RewardTerm

from .helpers import hover

S, N = 2, 20


def altitude(swarms: Swarms) -> np.ndarray:
    return swarms.position[..., 2]


def low(swarms: Swarms) -> np.ndarray:
    return swarms.position[..., 2] < 0


def place(swarms: Swarms) -> np.ndarray:
    return swarms.position / swarms.arena


HIGH = RewardTerm("altitude", altitude, 0.25)
LOW = RewardTerm("low", low, -2.0)
PLACE = ObservationTerm("place", 3, place, "scalar", "where it is in the arena")


def flying(**options) -> Swarms:
    swarms = Swarms("flag", S, N, seed=0, max_steps=50, **options)
    swarms.reset()
    return swarms


def actions(step: int) -> np.ndarray:
    """Random ones; drone 0 climbs out of the arena."""
    found = np.random.default_rng(step).uniform(-0.5, 0.5, (S, N, 4)).astype(np.float32)
    found[:, 0] = 1
    return found


# ---- rewards -----------------------------------------------------------------------------------


@pytest.mark.parametrize("crash", ["respawn", "terminate"])
def test_reward_terms_are_added_everywhere(crash):
    """To the rewards, their mean, the return and metrics of their own; of a crash's own place."""
    places: list[np.ndarray] = []

    def altitude(swarms: Swarms) -> np.ndarray:
        places.append(swarms.position)
        return swarms.position[..., 2]

    high = RewardTerm("altitude", altitude, 0.25)
    plain, swarms = flying(crash=crash), flying(crash=crash, reward_terms=[high, LOW])
    paid, total, crashes = np.zeros((2, S, N)), np.zeros((S, N)), 0
    for step in range(40):
        before = swarms.active
        expected, result = plain.step(actions(step)), swarms.step(actions(step))
        np.testing.assert_array_equal(result.crashed, expected.crashed)
        np.testing.assert_array_equal(result.observations, expected.observations)
        height = np.where(before, places[-1][..., 2], 0)
        terms = np.array([0.25 * height, -2.0 * (height < 0)])
        added = result.rewards.astype(float) - expected.rewards
        np.testing.assert_allclose(added, terms.sum(axis=0), atol=2e-5)
        outside = (np.abs(places[-1]) > swarms.arena).any(axis=2)
        np.testing.assert_array_equal(outside, result.crashed)  # nothing was put back before
        mean = result.rewards.astype(float).sum(axis=1) / before.sum(axis=1)
        np.testing.assert_allclose(swarms.mean_rewards, mean, rtol=1e-5)
        paid += terms
        total += result.rewards
        crashes += result.crashed.sum()
    assert crashes > 0
    metrics, others = swarms.metrics(), plain.metrics()
    assert set(metrics) == {*others, "return_altitude", "return_low"}
    np.testing.assert_allclose(metrics["return_altitude"], paid[0].mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(metrics["return_low"], paid[1].mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(metrics["episode_return"], total.mean(axis=1), rtol=1e-4)
    for name in set(others) - {"episode_return"}:
        np.testing.assert_array_equal(metrics[name], others[name], name)


def test_a_reset_forgets_what_terms_paid():
    swarms = flying(reward_terms=[HIGH])
    swarms.step(hover(swarms))
    swarms.reset(which=[1])
    assert (swarms.metrics()["return_altitude"] == 0).tolist() == [False, True]


# ---- observations ------------------------------------------------------------------------------


@pytest.mark.parametrize("crash", ["respawn", "terminate"])
def test_observation_terms_are_appended(crash):
    own = observation_size(4)
    plain, swarms = flying(crash=crash), flying(crash=crash, observation_terms=[PLACE])
    assert swarms.observation_table[-1].name == "place"
    assert swarms.observation_table[-1].columns == slice(own, own + 3)
    assert swarms.observations.shape == (S, N, own + 3)
    np.testing.assert_allclose(swarms.observations[..., own:], place(swarms), atol=1e-6)
    crashes = 0
    for step in range(40):
        expected, result = plain.step(actions(step)), swarms.step(actions(step))
        np.testing.assert_array_equal(result.observations[..., :own], expected.observations)
        np.testing.assert_array_equal(result.rewards, expected.rewards)
        there = swarms.active
        np.testing.assert_allclose(
            result.observations[there][:, own:], place(swarms)[there], atol=1e-6
        )
        if crash == "respawn" and result.crashed.any():
            last = swarms.final_observations[result.crashed]
            np.testing.assert_array_equal(last[:, :own], plain.final_observations[result.crashed])
            assert (np.abs(last[:, own:]) >= 0.999).any(axis=1).all(), "of the crash, clipped to 1"
        crashes += result.crashed.sum()
        if crash == "terminate":
            assert not result.observations[~there & ~result.crashed].any()
    assert crashes > 0


@pytest.mark.parametrize("call", ["place", "set_targets", "reset"])
def test_every_call_that_observes_appends_them(call):
    swarms = flying(observation_terms=[PLACE])
    before = swarms.observations.copy()
    if call == "place":
        returned = swarms.place(swarms.position + 0.5)
    elif call == "set_targets":
        returned = swarms.set_targets(swarms.target_position[0] + [0, 0, 1.0])
    else:
        returned = swarms.reset(seed=5)
    assert returned is swarms.observations
    assert (returned != before).any()
    np.testing.assert_allclose(returned[..., -3:], place(swarms), atol=1e-6)


def test_what_is_beyond_one_is_clipped():
    term = ObservationTerm("metres", 1, lambda swarms: swarms.position[..., :1])
    swarms = flying(observation_terms=[term])
    expected = np.clip(swarms.position[..., :1], -1, 1)
    np.testing.assert_array_equal(swarms.observations[..., -1:], expected)
    assert np.abs(expected).max() == 1


# ---- both --------------------------------------------------------------------------------------


def test_snapshots_hold_the_sums_and_bring_back_the_observations():
    swarms = flying(reward_terms=[HIGH, LOW], observation_terms=[PLACE])
    for step in range(30):
        swarms.step(actions(step))
    state = copy.deepcopy(swarms.get_state())
    seen, metrics = swarms.observations.copy(), swarms.metrics()
    later = [swarms.step(actions(step)).observations.copy() for step in range(30, 45)]
    after = swarms.metrics()
    for other in (swarms, flying(reward_terms=[HIGH, LOW], observation_terms=[PLACE])):
        other.set_state(state)
        np.testing.assert_array_equal(other.observations, seen)
        for name, value in metrics.items():
            np.testing.assert_array_equal(other.metrics()[name], value, name)
        for step, expected in enumerate(later, 30):
            np.testing.assert_array_equal(other.step(actions(step)).observations, expected)
        for name, value in after.items():
            np.testing.assert_array_equal(other.metrics()[name], value, name)
    with pytest.raises(ValueError, match="term_returns must be"):
        flying(reward_terms=[HIGH]).set_state(state)


def test_terms_of_a_task_and_of_the_call_are_joined():
    from dataclasses import replace

    task = replace(TASKS["flag"], name="own_flag", reward_terms=(HIGH,), observation_terms=(PLACE,))
    swarms = Swarms(task, 1, 4, seed=0, reward_terms=[LOW])
    assert [term.name for term in swarms.reward_terms] == ["altitude", "low"]
    assert swarms.observation_table[-1].name == "place"
    with pytest.raises(ValueError, match="reward_terms: two terms are named 'altitude'"):
        Swarms(task, 1, 4, reward_terms=[RewardTerm("altitude", low)])


def test_terms_are_the_same_on_several_threads():
    one, two = (
        flying(num_threads=threads, reward_terms=[HIGH], observation_terms=[PLACE])
        for threads in (1, 2)
    )
    for step in range(20):
        for mine, theirs in zip(one.step(actions(step)), two.step(actions(step)), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_a_term_alone_is_all_that_is_paid():
    nothing = RewardWeights(**dict.fromkeys(RewardWeights.__dataclass_fields__, 0.0))
    swarms = flying(reward=nothing, reward_terms=[HIGH])
    result = swarms.step(hover(swarms))
    np.testing.assert_allclose(result.rewards, 0.25 * swarms.position[..., 2], rtol=1e-6)


def with_nan(swarms: Swarms) -> np.ndarray:
    value = np.zeros((S, N))
    value[1, 7] = np.nan
    return value


@pytest.mark.parametrize(
    ("function", "error", "says"),
    [
        (lambda swarms: np.zeros(N), ValueError, r"must give shape \(2, 20\), got \(20,\)"),
        (lambda swarms: 1.0, ValueError, r"must give shape \(2, 20\), got \(\)"),
        (with_nan, ValueError, r"must be finite, got nan at \(1, 7\)"),
        (lambda swarms: "much", TypeError, "must give an array of numbers, got"),
        (lambda swarms: None, TypeError, "must give an array of numbers, got"),
    ],
)
def test_a_reward_term_that_gives_nonsense_is_named(function, error, says):
    swarms = flying(reward_terms=[HIGH, RewardTerm("own", function)])
    with pytest.raises(error, match=f"reward term 'own' {says}"):
        swarms.step(hover(swarms))


@pytest.mark.parametrize(
    ("function", "error", "says"),
    [
        (altitude, ValueError, r"must give shape \(2, 20, 1\), got \(2, 20\)"),
        (lambda swarms: with_nan(swarms)[..., None], ValueError, r"finite, got nan at \(1, 7, 0\)"),
        (lambda swarms: [["a"]], TypeError, "must give an array of numbers"),
    ],
)
def test_an_observation_term_that_gives_nonsense_is_named(function, error, says):
    swarms = Swarms("flag", S, N, seed=0, observation_terms=[ObservationTerm("own", 1, function)])
    with pytest.raises(error, match=f"observation term 'own' .*{says}"):
        swarms.reset()


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: RewardTerm("", low), ValueError, "RewardTerm: name must be of a-z"),
        (lambda: RewardTerm("Low", low), ValueError, "got 'Low'"),
        (lambda: RewardTerm(3, low), TypeError, "RewardTerm: name must be a string, got 3"),
        (lambda: RewardTerm("low", 3), TypeError, "RewardTerm low: function must be callable"),
        (lambda: RewardTerm("low", low, np.nan), ValueError, "RewardTerm low: weight"),
        (lambda: RewardTerm("low", low, "1"), TypeError, "RewardTerm low: weight"),
        (lambda: ObservationTerm("place", 0, place), ValueError, "ObservationTerm place: size"),
        (lambda: ObservationTerm("place", 1.5, place), TypeError, "ObservationTerm place: size"),
        (lambda: ObservationTerm("p", 3, place, "round"), ValueError, "ObservationTerm p: kind"),
        (lambda: Swarms(reward_terms=HIGH), TypeError, "must be a sequence of RewardTerm"),
        (lambda: Swarms(reward_terms=[low]), TypeError, "reward_terms must hold RewardTerm, got"),
        (lambda: Swarms(reward_terms=[HIGH, HIGH]), ValueError, "two terms are named 'altitude'"),
        (lambda: Swarms(observation_terms=[HIGH]), TypeError, "must hold ObservationTerm, got"),
    ],
)
def test_bad_terms(make, error, says):
    with pytest.raises(error, match=says):
        make()
