"""Anything that can fly is a pilot: functions, modules, models, and names of them."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import drone_formation as df
from drone_formation.observation import observation_size
from drone_formation.pilots import HoverPilot, Pilot, RandomPilot, as_pilot
from drone_formation.pilots.classical import ClassicalPilot
from drone_formation.swarms import Swarms


@pytest.fixture
def swarms():
    swarms = Swarms("flag", 2, 3, seed=0)
    swarms.reset()
    return swarms


def steer(observations):
    """Rotor speeds by the last numbers that a drone sees; spoils what it is given."""
    observations += 1
    return observations[..., -4:] - 1


class Climber:
    """A user's pilot; it says what it wants of the swarms."""

    options = {"neighbours": 2}  # noqa: RUF012

    def act(self, swarms):
        return np.full((swarms.num_swarms, swarms.num_drones, 4), 0.25)


class Predictor:
    def predict(self, observations):
        return steer(observations)


def test_ours_stay_what_they_are():
    for pilot in (HoverPilot(), RandomPilot(), ClassicalPilot(), df.load_pilot("generalist")):
        assert isinstance(pilot, Pilot)
        assert as_pilot(pilot) is pilot
    for name in ("hover", "random", "classical", "generalist"):
        assert as_pilot(name).name == name


@pytest.mark.parametrize(("made_of", "name"), [(steer, "steer"), (Predictor(), "Predictor")])
def test_functions_and_predictors(made_of, name, swarms):
    expected = swarms.observations[..., -4:].copy()
    pilot = as_pilot(made_of)
    assert pilot.name == name
    actions = pilot.act(swarms)
    np.testing.assert_allclose(actions, expected, atol=1e-6)
    assert actions.dtype == np.float32
    np.testing.assert_array_equal(swarms.observations[..., -4:], expected)  # not spoilt
    assert as_pilot(pilot) is pilot


def test_objects_that_act(swarms):
    pilot = as_pilot(Climber())
    assert (pilot.name, pilot.options) == ("Climber", {"neighbours": 2})
    assert (pilot.act(swarms) == 0.25).all()


def test_torch_modules(swarms):
    torch = pytest.importorskip("torch")
    module = torch.nn.Linear(swarms.observations.shape[2], 4)
    actions = as_pilot(module).act(swarms)
    expected = module(torch.tensor(swarms.observations)).detach().numpy()
    np.testing.assert_allclose(actions, expected, atol=1e-6)
    assert as_pilot(module).name == "Linear"


def test_models_of_stable_baselines3(swarms):
    sb3 = pytest.importorskip("stable_baselines3")
    env = df.DroneVecEnv("flag", 1, num_drones=4)
    model = sb3.PPO("MlpPolicy", env, n_steps=8, batch_size=32, device="cpu", seed=0)
    rows = swarms.observations.reshape(6, -1)
    for made_of, name in ((model, "PPO"), (model.policy, "ActorCriticPolicy")):
        pilot = as_pilot(made_of)
        assert pilot.name == name
        expected = made_of.predict(rows, deterministic=True)[0].reshape(2, 3, 4)
        np.testing.assert_array_equal(pilot.act(swarms), expected)


@pytest.fixture
def fresh():
    """Makes models of Stable-Baselines3 that have learnt nothing."""
    sb3 = pytest.importorskip("stable_baselines3")

    def make(env):
        return sb3.PPO("MlpPolicy", env, n_steps=8, batch_size=8, device="cpu", seed=0)

    return make


def test_models_find_what_they_observe_by_name(fresh):
    model = fresh(df.DroneVecEnv("flag", 1, num_drones=4, neighbours=2))
    height = df.ObservationTerm("height", 1, lambda swarms: swarms.position[..., 2:] / 100)
    swarms = Swarms("flag", 2, 3, seed=0, observation_terms=[height])
    swarms.reset()
    pilot = as_pilot(model)
    assert pilot.options == {"neighbours": 2, "paced": False, "control": "motor"}
    rows = swarms.observations[..., : observation_size(2)].reshape(6, -1)
    expected = model.predict(rows, deterministic=True)[0].reshape(2, 3, 4)
    np.testing.assert_array_equal(pilot.act(swarms), expected)
    fewer = Swarms("flag", 2, 3, seed=0, neighbours=1)
    with pytest.raises(ValueError, match=r"2 neighbours and they show 1.*neighbours=2"):
        pilot.act(fewer)
    # a policy by itself knows no more than how many numbers it reads
    with pytest.raises(
        ValueError,
        match=r"49 numbers \(2 neighbours\).*43 numbers \(1 neighbours\).*neighbours=",
    ):
        as_pilot(model.policy).act(fewer)


def test_models_of_whole_swarms_see_whole_swarms(fresh, swarms):
    model = fresh(df.JointEnv("flag", num_drones=3))
    expected = model.predict(swarms.observations, deterministic=True)[0]
    assert expected.shape == (2, 3, 4)
    np.testing.assert_array_equal(as_pilot(model).act(swarms), expected)
    with pytest.raises(ValueError, match=r"61 numbers \(4 neighbours\), of each of 3 drones"):
        as_pilot(model).act(Swarms("flag", 1, 5, seed=0))


def test_actions_of_another_control_mode_are_refused(fresh, swarms):
    class Rates(Climber):
        options = {"control": "body_rates"}  # noqa: RUF012

    model = fresh(df.DroneVecEnv("flag", 1, num_drones=4, control="body_rates"))
    for made_of, name in ((Rates(), "Rates"), (model, "PPO")):
        with pytest.raises(
            ValueError, match=f"pilot '{name}' commands control='body_rates'.*have 'motor'"
        ):
            df.evaluate(made_of, "flag", 1, 2, max_steps=2)
        found = df.evaluate(made_of, "flag", 1, 2, max_steps=2, control="body_rates")
        assert found.pilot == name


@pytest.mark.parametrize(
    ("gives", "said"),
    [
        (lambda seen: seen, r"actions of shape \(2, 3, 4\), gave \(2, 3, 61\)"),
        (lambda seen: np.full((2, 3, 4), np.nan), r"finite actions, gave nan at \(0, 0, 0\)"),
        (lambda seen: None, "an array of numbers, gave None"),
        (lambda seen: [[1], [1, 2]], "an array of numbers, gave"),
    ],
)
def test_what_are_no_actions_is_refused_and_named(gives, said, swarms):
    gives.__name__ = "wild"
    with pytest.raises(ValueError, match=rf"pilot 'wild' must give {said}"):
        as_pilot(gives).act(swarms)


def test_what_cannot_fly_is_refused():
    for thing, said in ((5, "5"), (None, "None"), (np.zeros(2), r"array\(\[0\., 0\.\]\)")):
        with pytest.raises(TypeError, match=rf"pilot must be .*; got {said}"):
            as_pilot(thing)
    with pytest.raises(TypeError, match=r"Climber is a class: give Climber\(\)"):
        as_pilot(Climber)


MODULE = """
import numpy as np
from drone_formation.pilots import HoverPilot

class Mine:
    def act(self, swarms):
        return np.zeros((swarms.num_swarms, swarms.num_drones, 4))

def make(height=3):
    return Mine()

def function(observations):
    return observations[..., :4]

instance = Mine()
hover = HoverPilot()
nothing = 7
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    package = tmp_path / "their_pilots"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "one.py").write_text(MODULE)
    (package / "broken.py").write_text("import nowhere_at_all")
    monkeypatch.syspath_prepend(tmp_path)
    yield "their_pilots.one"
    for name in [name for name in sys.modules if name.startswith("their_pilots")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("attribute", "name"),
    [("Mine", "Mine"), ("make", "Mine"), ("instance", "Mine"), ("function", "function"),
     ("hover", "hover")],
)  # fmt: skip
def test_names_of_the_users_own(attribute, name, module, swarms):
    for load in (df.load_pilot, as_pilot):
        pilot = load(f"{module}:{attribute}")
        assert pilot.name == name
        assert pilot.act(swarms).shape == (2, 3, 4)


def test_names_that_lead_nowhere_say_so(module):
    with pytest.raises(ValueError, match=r"'their_pilots\.two:Mine': there is no module"):
        as_pilot("their_pilots.two:Mine")
    with pytest.raises(ValueError, match=r"'their_pilots\.one' has no 'Theirs'"):
        as_pilot("their_pilots.one:Theirs")
    with pytest.raises(TypeError, match="got 7"):
        as_pilot("their_pilots.one:nothing")
    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
        as_pilot("their_pilots.broken:Mine")
    with pytest.raises(FileNotFoundError, match=r"package\.module:name"):
        as_pilot("no_such_pilot")
