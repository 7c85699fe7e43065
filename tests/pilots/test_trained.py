"""Trained pilots: the network that was trained, from a file that is whole or refused."""

import json
import zipfile

import numpy as np
import pytest

import drone_formation as df
from drone_formation import ObservationTerm
from drone_formation.observation import Slice, observation_size, observation_table, symmetries
from drone_formation.pilots import policy_file
from drone_formation.pilots.library import load_pilot, shipped_policies
from drone_formation.pilots.trained import TrainedPilot
from drone_formation.swarms import Swarms


def make_pilot(neighbours=2, hidden=(16, 8), seed=0, slices=None, **metadata) -> TrainedPilot:
    rng = np.random.default_rng(seed)
    slices = observation_table(neighbours) if slices is None else slices
    sizes = [sum(row.size for row in slices), *hidden, 4]
    arrays = {"log_sigma": np.zeros(4)}
    for k in range(len(sizes) - 1):
        arrays[f"policy_weight_{k}"] = rng.normal(size=sizes[k : k + 2]) / np.sqrt(sizes[k])
        arrays[f"policy_bias_{k}"] = rng.normal(size=sizes[k + 1])
    return TrainedPilot(arrays, metadata={"task": "flag", **metadata}, slices=slices)


@pytest.fixture(scope="module")
def model():
    sb3 = pytest.importorskip("stable_baselines3")
    from drone_formation.envs.sb3 import DroneVecEnv

    env = DroneVecEnv("flag", 1, num_drones=4)
    model = sb3.PPO("MlpPolicy", env, n_steps=8, batch_size=32, device="cpu", seed=0)
    model.policy.action_net.weight.data *= 200  # actions start out small
    return model


def test_actions_are_those_of_the_model(model):
    pilot = TrainedPilot.from_sb3(model)
    rng = np.random.default_rng(0)
    observations = rng.uniform(-1, 1, (500, observation_size())).astype(np.float32)
    expected, _ = model.predict(observations, deterministic=True)
    assert np.abs(expected).max() == 1  # some are clipped
    assert np.abs(expected).min() < 0.5
    assert np.abs(pilot.predict(observations) - expected).max() < 1e-5
    batched = pilot.predict(observations.reshape(5, 100, -1))
    assert batched.shape == (5, 100, 4)
    np.testing.assert_allclose(batched.reshape(-1, 4), expected, atol=1e-5)


@pytest.mark.parametrize("hidden", [(16, 8), ()])
@pytest.mark.parametrize("images", [2, 4])
def test_it_does_the_mean_of_what_it_would_do_as_its_images(images, hidden, tmp_path):
    pilot = TrainedPilot.load(make_pilot(hidden=hidden, symmetries=images).save(tmp_path / "mine"))
    plain = make_pilot(hidden=hidden)
    assert (pilot.symmetries, plain.symmetries) == (images, 1)
    rng = np.random.default_rng(0)
    observations = rng.uniform(-0.3, 0.3, (50, observation_size(2))).astype(np.float32)
    done = pilot.predict(observations)
    mean = np.zeros_like(done)
    for observation, action in symmetries(2)[:images]:
        image = observations @ observation
        np.testing.assert_allclose(pilot.predict(image), done @ action, atol=1e-5)
        answer = image
        for k, (weight, bias) in enumerate(plain.layers("policy")):
            answer = (np.tanh(answer) if k else answer) @ weight + bias
        mean += answer @ action / images
    np.testing.assert_allclose(done, mean.clip(-1, 1), atol=1e-5)
    assert np.abs(done - plain.predict(observations)).max() > 0.1


@pytest.mark.parametrize("images", [0, 3, 8, "two", None])
def test_symmetries_that_are_no_group_are_refused(images):
    with pytest.raises(ValueError, match="symmetries must be"):
        make_pilot(symmetries=images)


def test_it_flies_swarms():
    swarms = Swarms("flag", 2, 5, seed=0)
    swarms.reset()
    pilot = make_pilot()
    actions = pilot.act(swarms)
    assert actions.shape == (2, 5, 4)
    assert actions.dtype == np.float32
    assert np.abs(actions).max() <= 1
    np.testing.assert_array_equal(actions, pilot.act(swarms))
    swarms.step(actions)


def test_it_refuses_swarms_that_show_other_neighbours():
    swarms = Swarms("flag", 1, 5, seed=0, neighbours=1)
    swarms.reset()
    with pytest.raises(
        ValueError,
        match=r"neighbour_1_offset, neighbour_1_velocity, which.*2 neighbours and they show 1;"
        r".*neighbours=2$",
    ):
        make_pilot().act(swarms)


def test_it_finds_what_it_observes_by_name():
    """Among more neighbours, slices of the user's own, and in whichever order it was trained."""
    height = ObservationTerm("height", 1, lambda swarms: swarms.position[..., 2:] / 100)
    swarms = Swarms("flag", 2, 5, seed=0, observation_terms=[height])
    swarms.reset()
    shown = swarms.observation_table
    assert [row.name for row in shown[-3:]] == [
        "neighbour_3_offset",
        "neighbour_3_velocity",
        "height",
    ]
    expected = make_pilot().predict(swarms.observations[..., : observation_size(2)])
    np.testing.assert_array_equal(make_pilot().act(swarms), expected)
    some = [row for row in shown[::-1] if row.name in ("height", "up", "neighbour_2_offset")]
    pilot = make_pilot(slices=some, symmetries=4)
    assert pilot.neighbours == 3
    rows = np.concatenate([swarms.observations[..., row.columns] for row in some], axis=2)
    np.testing.assert_array_equal(pilot.act(swarms), pilot.predict(rows))
    swarms = Swarms("flag", 2, 5, seed=0)
    swarms.reset()
    with pytest.raises(ValueError, match=r"observes height, which.*terms that show height"):
        pilot.act(swarms)


@pytest.mark.parametrize("kind", ["polar", "axial", "scalar", "rotors"])
def test_slices_of_the_users_own_are_kept_and_turned_as_their_kind_is(kind, tmp_path):
    size = {"scalar": 2, "rotors": 4}.get(kind, 3)
    own = Slice("mine", 0, size, kind, "what I like")
    slices = observation_table(1, [own])
    pilot = TrainedPilot.load(make_pilot(slices=slices, symmetries=4).save(tmp_path / "mine"))
    assert [row[:4] for row in pilot.slices] == [row[:4] for row in slices]
    rows = np.random.default_rng(0).uniform(-0.3, 0.3, (9, observation_size(1, [own])))
    for observation, action in symmetries(1, [own]):
        turned = pilot.predict(rows @ observation)
        np.testing.assert_allclose(turned, pilot.predict(rows) @ action, atol=1e-5)


def test_rows_of_another_width_are_refused():
    pilot = make_pilot()
    rows = np.zeros((3, observation_size(4)))
    with pytest.raises(
        ValueError, match=r"have 61 numbers \(4 neighbours\).*49 \(2 neighbours\).*neighbours=2"
    ):
        pilot.predict(rows)
    with pytest.raises(ValueError, match=r"50 numbers \(no number of neighbours"):
        pilot.predict(rows[:, :50])
    own = make_pilot(slices=observation_table(2, [Slice("height", 0, 1, "scalar", "")]))
    with pytest.raises(
        ValueError, match=r"reads 50 \(2 neighbours, height\).*neighbours=2 and .*show height"
    ):
        own.predict(rows)
    with pytest.raises(ValueError, match="neighbours must be those of the slices, 2; got 3"):
        TrainedPilot(pilot.arrays, 3, slices=pilot.slices)


def test_another_control_mode_is_refused(tmp_path):
    pilot = TrainedPilot.load(make_pilot(control="body_rates").save(tmp_path / "rates"))
    assert pilot.options["control"] == "body_rates"
    swarms = Swarms("flag", 1, 5, seed=0, **pilot.options)
    swarms.reset()
    pilot.act(swarms)
    with pytest.raises(ValueError, match="control='motor' and the swarms have 'body_rates'"):
        make_pilot().act(swarms)
    with pytest.raises(ValueError, match="control must be one of"):
        make_pilot(control="thoughts")


@pytest.mark.parametrize("name", [*shipped_policies(), "flag", "DroneFlag-v0", "DroneRace-v0"])
def test_predict_reads_every_view_as_it_is_made(name):
    pilot = load_pilot(name)
    parallel, joint = df.parallel_env("flag", num_drones=3), df.JointEnv("race", num_drones=3)
    vector = df.VectorEnv("flag", 2, num_drones=3)
    for observation in parallel.reset(seed=0)[0].values():
        assert pilot.predict(observation).shape == (4,)
    actions = pilot.predict(joint.reset(seed=0)[0])
    assert actions.shape == (3, 4)
    joint.step(actions)
    actions = pilot.predict(vector.reset(seed=0)[0])
    assert actions.shape == (2, 3, 4)
    vector.step(actions)


def test_predict_reads_the_rows_of_stable_baselines3():
    pytest.importorskip("stable_baselines3")
    env = df.DroneVecEnv("flag", 2, num_drones=3)
    actions = load_pilot("flag").predict(env.reset())
    assert actions.shape == (6, 4)
    env.step(actions)


def test_a_model_remembers_its_environment(tmp_path):
    sb3 = pytest.importorskip("stable_baselines3")
    height = ObservationTerm("height", 1, lambda swarms: swarms.position[..., 2:] / 100)
    options = {"control": "body_rates", "neighbours": 1, "observation_terms": [height]}
    env = df.DroneVecEnv("flag", 1, num_drones=4, **options)
    model = sb3.PPO("MlpPolicy", env, n_steps=8, batch_size=32, device="cpu", seed=0)
    pilot = TrainedPilot.load(TrainedPilot.from_sb3(model).save(tmp_path / "mine"))
    assert [row[:4] for row in pilot.slices] == [row[:4] for row in env.swarms.observation_table]
    assert pilot.options == {"neighbours": 1, "paced": False, "control": "body_rates"}
    env.reset()
    np.testing.assert_array_equal(pilot.act(env.swarms), pilot.predict(env.swarms.observations))


def test_a_pilot_of_paced_races_refuses_others(tmp_path):
    pilot = TrainedPilot.load(make_pilot(paced=True).save(tmp_path / "racer"))
    assert pilot.options == {"neighbours": 2, "paced": True, "control": "motor"}
    assert make_pilot().options == {"neighbours": 2, "paced": False, "control": "motor"}
    for task in ("race", "flag"):
        swarms = Swarms(task, 1, 5, seed=0, **pilot.options)
        swarms.reset()
        assert np.isfinite(pilot.act(swarms)).all()
    swarms = Swarms("flag", 1, 5, seed=0)
    swarms.reset()
    pilot.act(swarms)
    swarms = Swarms("race", 1, 5, seed=0)
    swarms.reset()
    make_pilot().act(swarms)
    for task in ("race", "mixed"):  # whether or not it draws a race this time
        swarms = Swarms(task, 1, 5, seed=0, paced=False)
        swarms.reset()
        with pytest.raises(ValueError, match="paced=True"):
            pilot.act(swarms)


def test_files_keep_everything(tmp_path):
    pilot = make_pilot(neighbours=1, seconds=12.5, evaluation={"on_target": 1.0})
    path = pilot.save(tmp_path / "mine")
    assert path == tmp_path / "mine.npz"
    again = TrainedPilot.load(path)
    assert again.metadata == pilot.metadata
    assert again.neighbours == 1
    assert again.hidden == (16, 8)
    assert again.name == "flag"
    assert set(again.arrays) == set(pilot.arrays)
    for name in pilot.arrays:
        np.testing.assert_array_equal(again.arrays[name], pilot.arrays[name])
    assert [p.name for p in tmp_path.iterdir()] == ["mine.npz"]


def test_files_are_not_overwritten(tmp_path):
    path = make_pilot().save(tmp_path / "mine.npz")
    with pytest.raises(FileExistsError, match=r"mine\.npz"):
        make_pilot(seed=1).save(path)
    make_pilot(seed=1).save(path, force=True)
    assert not np.array_equal(
        TrainedPilot.load(path).arrays["policy_bias_0"], make_pilot().arrays["policy_bias_0"]
    )


def test_a_damaged_file_is_refused_and_named(tmp_path):
    whole = make_pilot().save(tmp_path / "whole.npz").read_bytes()
    path = tmp_path / "damaged.npz"
    rng = np.random.default_rng(0)
    damaged = [whole[:n] for n in (0, 1, 10, len(whole) // 2, len(whole) - 1)]
    for at in rng.integers(0, len(whole), 60):
        damaged.append(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            read = TrainedPilot.load(path)
        except ValueError as error:
            refused += "damaged.npz" in str(error)
        else:  # a byte of the archive that carries nothing, such as a date
            assert all(np.array_equal(read.arrays[n], make_pilot().arrays[n]) for n in read.arrays)
    assert refused > 40


def test_changed_weights_do_not_pass_the_checksum(tmp_path):
    path = make_pilot().save(tmp_path / "mine.npz")
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["policy_bias_0"][0] += 1e-3
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=r"mine\.npz is damaged: its checksum"):
        TrainedPilot.load(path)


def test_foreign_files_are_refused_and_named(tmp_path):
    other = tmp_path / "other.npz"
    np.savez(other, weights=np.zeros(3))
    with pytest.raises(ValueError, match=r"other\.npz is not a policy file"):
        TrainedPilot.load(other)
    np.savez(other, format=np.array({}, dtype=object))  # would have to be unpickled
    with pytest.raises(ValueError, match=r"other\.npz is not a policy file"):
        TrainedPilot.load(other)
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    with pytest.raises(ValueError, match=r"notes\.txt is not a policy file"):
        load_pilot(text)


def save_as(path, pilot, change):
    """A policy file whose observation is another."""
    layout = policy_file.layout_of(pilot.slices)
    change(layout)
    return policy_file.write(path, pilot.arrays, {"observation": layout}, force=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda layout: layout["slices"][3].__setitem__(1, 4), "relative_velocity"),
        (lambda layout: layout["slices"][5].__setitem__(2, "polar"), "body_rates"),
        (lambda layout: layout["slices"].__setitem__(4, ["airspeed", 3]), "airspeed"),
        (
            lambda layout: layout["scales"].__setitem__(3, 7.0),
            r"VELOCITY_SCALE \(there 7, here 5\):",
        ),
        (
            lambda layout: layout["scales"].__setitem__(1, 2.0),
            r"OFFSET_SCALES \(there 10, 2, 0\.1, here 10, 1, 0\.1\):",
        ),
        (lambda layout: layout["scales"].append(3.0), r"further scales \(3\):"),
        (lambda layout: layout["scales"].pop(), r"NEIGHBOUR_SCALE \(there none, here 2\):"),
    ],
)
def test_another_observation_is_refused(change, said, tmp_path):
    path = save_as(tmp_path / "old.npz", make_pilot(), change)
    with pytest.raises(ValueError, match=rf"old\.npz: .*another observation.*differs in {said}"):
        TrainedPilot.load(path)


def test_files_keep_the_scales_that_they_were_trained_with(tmp_path, monkeypatch):
    monkeypatch.setattr("drone_formation.observation.VELOCITY_SCALE", 7.0)
    path = make_pilot().save(tmp_path / "faster")
    assert TrainedPilot.load(path).neighbours == 2
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"VELOCITY_SCALE \(there 7, here 5\)"):
        TrainedPilot.load(path)


def test_files_without_kinds_are_read(tmp_path):
    """As earlier versions wrote them, in whichever order."""

    def strip(layout):
        layout["slices"] = [[name, size] for name, size, _ in layout["slices"]]

    pilot = make_pilot(slices=observation_table(2)[::-1])
    again = TrainedPilot.load(save_as(tmp_path / "old.npz", pilot, strip))
    assert again.slices == pilot.slices
    assert again.neighbours == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.pop("policy_bias_1"),
        lambda a: a.pop("policy_weight_2"),
        lambda a: a.update(policy_weight_0=np.zeros((3, 16))),
        lambda a: a.update(policy_bias_0=np.full(16, np.nan)),
        lambda a: a.clear(),
    ],
)
def test_arrays_that_make_no_policy_are_refused(change):
    arrays = dict(make_pilot().arrays)
    change(arrays)
    with pytest.raises(ValueError, match="network"):
        TrainedPilot(arrays, 2)


def test_loading_by_name_and_path(tmp_path, model):
    with pytest.raises(FileNotFoundError, match="no policy 'flog'"):
        load_pilot("flog")
    with pytest.raises(FileNotFoundError, match=r"missing\.npz"):
        load_pilot(tmp_path / "missing.npz")
    with pytest.raises(FileNotFoundError, match=r"policy\.npz"):
        load_pilot(tmp_path)
    for name in shipped_policies():
        assert load_pilot(name).metadata["command"]
        assert load_pilot(name).name == name
    make_pilot().save(tmp_path / "policy.npz")
    assert load_pilot(tmp_path).hidden == (16, 8)
    model.save(tmp_path / "model.zip")
    pilot = load_pilot(str(tmp_path / "model.zip"))
    assert np.array_equal(
        pilot.arrays["policy_weight_0"], TrainedPilot.from_sb3(model).arrays["policy_weight_0"]
    )
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.writestr("data", json.dumps({}))
    with pytest.raises(ValueError, match=r"other\.zip"):
        load_pilot(tmp_path / "other.zip")


def test_models_that_are_no_tanh_networks_are_refused(model):
    sb3 = pytest.importorskip("stable_baselines3")
    import torch

    keywords = {"policy_kwargs": {"activation_fn": torch.nn.ReLU}, "n_steps": 8, "batch_size": 32}
    other = sb3.PPO("MlpPolicy", model.get_env(), device="cpu", **keywords)
    with pytest.raises(ValueError, match="only tanh"):
        TrainedPilot.from_sb3(other)
    with pytest.raises(ValueError, match="actor-critic"):
        TrainedPilot.from_sb3(type("Model", (), {"policy": object()})())
