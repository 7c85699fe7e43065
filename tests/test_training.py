"""Training: exact resumption, safe stopping, nothing overwritten.  All runs here are tiny."""

import csv
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from drone_formation import Airframe, DroneVecEnv, Randomization, RewardWeights, training
from drone_formation.pilots.library import load_pilot
from drone_formation.pilots.trained import TrainedPilot
from drone_formation.tasks import TASKS
from drone_formation.training import callbacks, metrics, model, run
from drone_formation.training.config import config_for, default_config
from drone_formation.training.profile import Stopwatch
from drone_formation.training.values import as_toml, read_file

ROWS, STEPS = 32, 16
UPDATE = ROWS * STEPS
TINY = training.TrainConfig(
    timesteps=6 * UPDATE, num_rows=ROWS, n_steps=STEPS, batch_size=128, max_steps=40, hidden=(8, 8),
    penalty_warmup=0.8,
)  # fmt: skip


def train(task="flag", **keywords):
    keywords.setdefault("evaluation_episodes", 0)
    if not {"resume", "config"} & set(keywords):
        keywords["config"] = TINY
    if "resume" not in keywords:
        keywords.setdefault("num_drones", 8)
    return training.train(task, **{"threads": 1, **keywords})


def curve(run: Path) -> list[dict[str, str]]:
    with open(run / "learning_curve.csv", newline="") as file:
        return list(csv.DictReader(file))


def same_networks(a: TrainedPilot, b: TrainedPilot) -> bool:
    return set(a.arrays) == set(b.arrays) and all(
        np.array_equal(a.arrays[name], b.arrays[name]) for name in a.arrays
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run with checkpoints along the way."""
    out = tmp_path_factory.mktemp("whole") / "run"
    return train(out=out, checkpoint_every=2 * UPDATE)


def test_a_run_leaves_what_its_description_says(whole):
    assert whole.steps == TINY.timesteps
    assert whole.interrupted is None
    checkpoints = sorted(path.name for path in (whole.run / "checkpoints").iterdir())
    assert checkpoints == [f"{k * UPDATE:012d}" for k in (2, 4, 6)]
    assert {path.name for path in whole.run.iterdir()} == {
        "run.json", "checkpoints", "tensorboard", "learning_curve.csv", "learning_curve.png",
        "model.zip", "policy.npz",
    }  # fmt: skip
    rows = curve(whole.run)
    assert [int(row["steps"]) for row in rows][-1] == whole.steps
    assert {"on_target", "formation_error", "collisions", "crashes", "perf"} <= set(rows[0])
    assert list((whole.run / "tensorboard").iterdir())
    pilot = TrainedPilot.load(whole.run / "policy.npz")
    assert same_networks(pilot, whole.pilot)
    assert pilot.metadata["task"] == "flag"
    assert pilot.metadata["seed"] == 0
    assert pilot.metadata["steps"] == whole.steps


@pytest.mark.parametrize(("task", "paced", "images"), [("flag", False, 4), ("race", True, 2)])
def test_a_model_tells_how_it_is_to_be_flown(task, paced, images, tmp_path):
    config = replace(TINY, paced=paced, symmetries=images)
    folder = train(task, out=tmp_path / "run", timesteps=UPDATE, config=config).run
    shutil.move(folder / "model.zip", tmp_path / "mine.zip")
    train(None, resume=folder, timesteps=2 * UPDATE)
    for path in (folder, folder / "model.zip", tmp_path / "mine.zip"):
        pilot = load_pilot(path)
        assert (pilot.name, pilot.paced, pilot.symmetries) == (task, paced, images)


def test_tensorboard_shows_rollouts_updates_and_the_swarms_metrics(whole):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(whole.run / "tensorboard"))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    assert {"rollout/ep_rew_mean", "train/loss", "time/fps"} <= tags
    assert {"swarm/on_target", "swarm/formation_error", "swarm/collisions"} <= tags
    assert [event.step for event in events.Scalars("train/loss")][-1] == whole.steps


def test_the_profile_accounts_for_all_the_time(whole):
    assert set(whole.profile) == {"environment", "policy", "learning", "rest"}
    assert sum(whole.profile.values()) == pytest.approx(1, abs=0.02)
    assert all(share > 0 for share in whole.profile.values())


def test_the_seed_decides_everything(whole, tmp_path):
    assert same_networks(whole.pilot, train(out=tmp_path / "again").pilot)
    assert not same_networks(whole.pilot, train(out=tmp_path / "other", seed=1).pilot)


@pytest.mark.parametrize("kept", [2, 4])
def test_resuming_gives_the_numbers_of_an_uninterrupted_run(whole, tmp_path, kept):
    run = tmp_path / "run"
    shutil.copytree(whole.run, run)
    for path in (run / "checkpoints").iterdir():
        if int(path.name) > kept * UPDATE:
            shutil.rmtree(path)
    resumed = train(None, resume=run)
    assert same_networks(resumed.pilot, whole.pilot)
    ours, theirs = curve(run), curve(whole.run)
    for row in ours + theirs:
        del row["seconds"]
    assert ours == theirs
    ours, theirs = (PPO.load(r / "model.zip") for r in (run, whole.run))
    for a, b in zip(
        ours.policy.optimizer.state_dict()["state"].values(),
        theirs.policy.optimizer.state_dict()["state"].values(),
        strict=True,
    ):
        assert all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_in_the_middle_of_a_rollout_loses_nothing(whole, tmp_path, monkeypatch, number):
    steps = 0
    on_step = callbacks.RunCallback._on_step

    def stop_on_step_40(self):
        nonlocal steps
        steps += 1
        if steps == 40:
            os.kill(os.getpid(), number)
        return on_step(self)

    monkeypatch.setattr(callbacks.RunCallback, "_on_step", stop_on_step_40)
    stopped = train(out=tmp_path / "run")
    assert stopped.interrupted == number.name
    assert stopped.steps == 2 * UPDATE  # the half-flown third rollout is dropped
    assert TrainedPilot.load(tmp_path / "run" / "policy.npz").metadata["steps"] == stopped.steps
    assert same_networks(train(None, resume=tmp_path / "run").pilot, whole.pilot)


def test_training_outside_the_main_thread(tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(train(out=tmp_path / "run")))
    thread.start()
    thread.join()
    assert results[0].steps == TINY.timesteps


def test_ctrl_c_saves_and_says_where(tmp_path):
    command = [
        sys.executable, "-m", "drone_formation", "train", "flag", "--num-drones", "8",
        "--num-swarms", "4", "--out", "run", "--threads", "1", "--checkpoint-every", "4096",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(training.__file__).parents[2])}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + 120
            while not list(tmp_path.glob("run/checkpoints/0*")) and process.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, errors
    assert "stopped by SIGINT" in output
    assert "drone-formation train --resume run" in output
    assert "Traceback" not in errors
    steps = TrainedPilot.load(tmp_path / "run" / "policy.npz").metadata["steps"]
    assert (tmp_path / "run" / "checkpoints" / f"{steps:012d}" / "model.zip").is_file()


def test_nothing_is_overwritten(whole, tmp_path, monkeypatch):
    before = (whole.run / "policy.npz").read_bytes()
    with pytest.raises(FileExistsError, match="exists"):
        train(out=whole.run)
    assert (whole.run / "policy.npz").read_bytes() == before
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("...")
    with pytest.raises(FileExistsError, match="not a training run"):
        train(out=precious, force=True)
    assert (precious / "thesis.tex").exists()

    monkeypatch.chdir(tmp_path)
    first, second = train(timesteps=UPDATE), train(timesteps=UPDATE)
    assert [first.run, second.run] == [Path("runs/flag-1"), Path("runs/flag-2")]
    replaced = train(out=first.run, force=True, timesteps=UPDATE, seed=3)
    assert json.loads((replaced.run / "run.json").read_text())["seed"] == 3
    assert len(list((replaced.run / "checkpoints").iterdir())) == 1


def test_a_finished_run_goes_on_when_given_more_steps(whole, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(whole.run, run)
    with pytest.raises(ValueError, match="more --timesteps"):
        train(None, resume=run)
    more = train(None, resume=run, timesteps=8 * UPDATE)
    assert more.steps == 8 * UPDATE
    assert more.seconds > whole.seconds


def test_minutes_limit_the_wall_time_and_the_rate_falls_with_them(tmp_path):
    result = train(out=tmp_path / "run", minutes=2 / 60)
    assert result.seconds < 20
    model = PPO.load(result.run / "model.zip")
    assert model.learning_rate.spent >= 1
    assert model.learning_rate(1.0) == pytest.approx(TINY.last_learning_rate)


def test_the_learning_rate_follows_the_greater_share():
    rate = model.LinearSchedule(1.0, 0.0)
    assert rate(1.0) == 1.0
    assert rate(0.25) == 0.25
    rate.spent = 0.9
    assert rate(0.25) == pytest.approx(0.1)
    rate.spent = 1.5
    assert rate(0.25) == 0.0


def test_penalties_rise_to_their_full_weights():
    full = RewardWeights(collision=4, conflict=2, crash=8)
    config = replace(TINY, reward=full, penalty_warmup=0.5)
    assert config.reward_at("flag", 0.0).collision == pytest.approx(0.4)
    assert config.reward_at("flag", 0.25).conflict == pytest.approx(1.1)
    assert config.reward_at("flag", 0.25).progress == full.progress
    assert config.reward_at("flag", 0.5) == config.reward_at("flag", 1.0) == full
    assert replace(config, penalty_warmup=0.0).reward_at("flag", 0.0) == full


def test_a_task_pays_its_own_weights_unless_others_are_asked_for():
    config = training.TrainConfig()
    assert config.reward_at("race", 1.0) == TASKS["race"].reward == TASKS["race"].reward
    assert config.reward_at("flag", 1.0) == TASKS["flag"].reward != TASKS["race"].reward
    paid = config.reward_at("mixed", 1.0)
    assert set(paid) == set(TASKS["mixed"].of)
    assert all(weights == TASKS[task].reward for task, weights in paid.items())
    assert set(config.environment("flag")) == {"reward"}  # all else is the task's


def test_tasks_of_a_mixture_may_have_weights_of_their_own(tmp_path):
    full = RewardWeights(conflict=2)
    config = replace(
        TINY, reward=full, penalty_warmup=0.5, reward_of={"follow": replace(full, conflict=6)}
    )
    weights = config.reward_at("mixed", 0.25)
    assert weights["follow"].conflict == pytest.approx(3.3)
    assert weights["flag"].conflict == pytest.approx(1.1)
    planned = run.planned("mixed", config, num_drones=2, num_swarms=4)
    planned.write(tmp_path)
    assert training.RunConfig.read(tmp_path) == planned
    with pytest.raises(ValueError, match="reward_of: a task must be one of 'flag'; got 'follow'"):
        run.planned("flag", config)


@pytest.fixture
def made(monkeypatch):
    """The environments that training makes."""
    made = []
    monkeypatch.setattr(
        run, "DroneVecEnv", lambda *a, **k: made.append(DroneVecEnv(*a, **k)) or made[-1]
    )
    return made


def test_airframes_are_varied_in_training_and_evaluation_alike(made, tmp_path, monkeypatch):
    varied = Randomization(size=(0.1, 0.3))
    monkeypatch.setattr(metrics, "EVALUATION_STEPS", 20)
    result = train(
        out=tmp_path / "run", timesteps=UPDATE, evaluation_episodes=1,
        config=replace(TINY, randomization=varied),
    )  # fmt: skip
    assert made[0].swarms.randomization == varied
    assert result.evaluation.options["randomization"] == varied
    assert training.RunConfig.read(tmp_path / "run").config.randomization == varied
    train(None, resume=tmp_path / "run", timesteps=2 * UPDATE)
    assert made[1].swarms.randomization == varied


def test_training_sets_the_weights_of_its_swarms(made, tmp_path, monkeypatch):
    seen = []
    reward_at = training.TrainConfig.reward_at
    monkeypatch.setattr(
        training.TrainConfig,
        "reward_at",
        lambda self, task, share: seen.append(share) or reward_at(self, task, share),
    )
    train(out=tmp_path / "run")
    assert seen == pytest.approx([1, *(k / 6 for k in range(6))])  # the first: of the run
    assert made[0].swarms.reward_weights == reward_at(TINY, "flag", 5 / 6) == TASKS["flag"].reward


def test_an_airframe_of_ones_own(made, tmp_path):
    heavy = Airframe(mass=1.2)
    train(out=tmp_path / "run", timesteps=UPDATE, airframe=heavy)
    assert made[0].swarms.airframe == heavy
    assert training.RunConfig.read(tmp_path / "run").config.airframe == heavy
    train(None, resume=tmp_path / "run", timesteps=2 * UPDATE)
    assert made[1].swarms.airframe == heavy
    with pytest.raises(ValueError, match="airframe cannot be given"):
        train(None, resume=tmp_path / "run", airframe=heavy)


class Counting(BaseCallback):
    """Counts updates, and stops in the middle of one."""

    def __init__(self, stop_in=99):
        super().__init__()
        self.updates, self.stop_in = 0, stop_in

    def _on_rollout_start(self):
        self.updates += 1

    def _on_step(self):
        return self.updates < self.stop_in


def test_callbacks_of_ones_own(whole, tmp_path, capsys):
    counting, stopping = Counting(), Counting(stop_in=3)
    stopped = train(out=tmp_path / "run", callback=[counting, stopping])
    assert counting.updates == stopping.updates == 3
    assert stopped.steps == 2 * UPDATE
    assert "stopped by a callback after 1,024 steps" in capsys.readouterr().out
    # What it stopped in the middle is flown again: the numbers are those of a run never stopped.
    resumed = train(None, resume=tmp_path / "run", callback=counting)
    assert counting.updates == 3 + 4
    assert same_networks(resumed.pilot, whole.pilot)


def test_verbosity(tmp_path, capsys):
    for verbose, expected in ((0, False), (1, False), (2, True)):
        train(out=tmp_path / str(verbose), timesteps=UPDATE, verbose=verbose)
        said = capsys.readouterr()
        assert ("total_timesteps" in said.out) == expected  # of PPO's table
        assert (said.out == "") == (verbose == 0)
        assert said.err == ""


def test_several_seeds(whole, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(metrics, "EVALUATION_STEPS", 20)
    options = {"config": TINY, "num_drones": 8, "evaluation_episodes": 1}
    results = training.train_seeds("flag", [3, 0], **options)
    assert [str(result.run) for result in results] == ["runs/flag-1/seed-3", "runs/flag-1/seed-0"]
    assert same_networks(results[1].pilot, whole.pilot)
    table = capsys.readouterr().out.splitlines()[-3:]
    assert table[0].split()[:4] == ["seed", "steps", "seconds", "on_target"]
    assert [line.split()[:2] for line in table[1:]] == [["3", "3,072"], ["0", "3,072"]]

    shutil.rmtree("runs/flag-1/seed-3")
    with pytest.raises(FileExistsError, match="seed-0 exists"):  # before seed 3 is trained
        training.train_seeds("flag", [3, 0], out="runs/flag-1", **options)
    assert not Path("runs/flag-1/seed-3").exists()


def test_every_seed_has_callbacks_of_its_own(tmp_path):
    counting = Counting(stop_in=3)
    results = training.train_seeds(
        "flag", [0, 1], out=tmp_path, config=TINY, num_drones=8, callback=counting,
        evaluation_episodes=0,
    )  # fmt: skip
    assert [result.steps for result in results] == [2 * UPDATE] * 2
    assert counting.updates == 0


def test_an_interruption_stops_the_remaining_seeds(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        callbacks.RunCallback, "_on_rollout_end", lambda self: os.kill(os.getpid(), signal.SIGINT)
    )
    options = {"config": TINY, "num_drones": 8, "out": tmp_path / "runs"}
    assert len(training.train_seeds("flag", [0, 1, 2], **options)) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-3].endswith("stopped by SIGINT")
    assert [line.split() for line in said[-2:]] == [
        ["1", "not", "trained"],
        ["2", "not", "trained"],
    ]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["seed-0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seeds": []}, "one or more"),
        ({"seeds": [1, 1]}, "different"),
        ({"seeds": [0, -1]}, "seeds must be"),
        ({"seeds": [0, 1], "seed": 2}, "seed cannot be given"),
        ({"seeds": [0, 1], "resume": "run"}, "resume cannot be given"),
        ({"seeds": [0, 1], "num_drones": 0}, "num_drones"),
    ],
)
def test_seeds_that_cannot_be_trained(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        training.train_seeds("flag", **arguments)
    assert not list(tmp_path.iterdir())


def test_the_model_fits_the_tasks_own_environment(tmp_path):
    # The number of neighbours is to become the environments' own.
    config = TINY
    made = train(out=tmp_path / "run", timesteps=UPDATE, config=config)
    env = DroneVecEnv("flag", 2, num_drones=8)
    loaded = PPO.load(made.run / "model.zip", env=env, device="cpu")
    loaded.learn(2 * 16 * STEPS)
    assert loaded.num_timesteps >= 2 * 16 * STEPS


def test_until_solved_stops_and_tells_the_time(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(callbacks, "PROMISING", 0.0)
    monkeypatch.setattr(callbacks, "SOLVED", 0.0)
    monkeypatch.setattr(metrics, "EVALUATION_STEPS", 20)
    config = replace(TINY, timesteps=100 * UPDATE)
    result = train(out=tmp_path / "run", until_solved=True, config=config)
    assert result.steps < config.timesteps
    assert 0 < result.solved_after <= result.seconds
    assert "solved after" in capsys.readouterr().out


def test_the_final_evaluation_is_printed_and_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(metrics, "EVALUATION_STEPS", 20)
    train("hover", out=tmp_path / "run", timesteps=UPDATE, evaluation_episodes=2)
    assert "formation_error" in capsys.readouterr().out
    evaluation = TrainedPilot.load(tmp_path / "run" / "policy.npz").metadata["evaluation"]
    assert 0 <= evaluation["perf"] <= 1


def test_starting_from_a_trained_policy(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(PPO, "train", lambda self: None)  # keep the networks as they start
    result = train("cube", out=tmp_path / "run", timesteps=UPDATE, init_from=whole.run)
    noise = result.pilot.arrays["log_sigma"]
    np.testing.assert_allclose(noise, TINY.renewed_log_std)  # so that it explores again
    noise[:] = whole.pilot.arrays["log_sigma"]
    assert same_networks(result.pilot, whole.pilot)
    assert result.pilot.hidden == TINY.hidden
    with pytest.raises(ValueError, match="observes 4 neighbours, and neighbours=3"):
        train(init_from=whole.run, config=replace(TINY, neighbours=3))


def test_swarms_of_different_seeds_share_no_episode():
    envs = []
    for seed in (0, 1):
        env = DroneVecEnv("flag", 4, num_drones=2)
        planned = run.planned("flag", TINY, seed=seed, num_drones=2, num_swarms=4)
        model.new_model(Stopwatch(env), planned, model.LinearSchedule(1e-3, 1e-3))
        env.reset()
        envs.append(env)
    starts = np.concatenate([env.swarms.position for env in envs])
    assert len(np.unique(starts.reshape(8, -1), axis=0)) == 8


@pytest.mark.parametrize(("rows", "wanted"), [(65536, 8192), (51200, 8192), (97, 10), (8, 64)])
def test_no_batch_is_cut_short(rows, wanted):
    size = model.whole_batch(rows, wanted)
    assert rows % size == 0
    assert size <= max(wanted, 1)


# ---- configurations ----------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["flag", "race", "mixed"])
def test_a_configuration_survives_a_file(task, tmp_path):
    config = config_for(task, {
        "timesteps": 2e6, "hidden": [32, 16], "neighbours": 3, "paced": False,
        "airframe": {"mass": 1.2, "inertia": [0.01, 0.01, 0.03]}, "reward": {"approach": 0.7},
        "randomization": {"size": [0.1, 0.3]},
    })  # fmt: skip
    assert (config.timesteps, config.hidden, config.airframe.mass) == (2_000_000, (32, 16), 1.2)
    run.planned(task, config).write(tmp_path)
    (tmp_path / "my.toml").write_text(as_toml(asdict(config)))
    for name in ("run.json", "my.toml"):
        assert config_for(task, read_file(tmp_path / name)) == config
    assert config_for(task, {}) == default_config(task)


def test_changes_are_changes_of_what_a_task_pays():
    config = config_for("race", {"reward": {"ring": 2}})
    assert config.reward == replace(TASKS["race"].reward, ring=2)
    changes = {"reward": {"collision": 20}, "reward_of": {"follow": {"conflict": 1.4}}}
    paid = config_for("mixed", changes).reward_at("mixed", 1.0)
    assert paid["race"] == replace(TASKS["race"].reward, collision=20)
    assert paid["flag"] == replace(TASKS["flag"].reward, collision=20)
    assert paid["follow"] == replace(TASKS["follow"].reward, collision=20, conflict=1.4)


def test_drones_that_differ_are_trained_without_symmetries_unless_asked_for():
    assert config_for("flag", {"randomization": {}}).symmetries == 1
    assert config_for("flag", {"randomization": {}, "symmetries": 4}).symmetries == 4


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"batchsize": 64}, ValueError, "batchsize is unknown; known are timesteps, .*batch_size"),
        ({"reward": {"aproach": 1}}, ValueError, "reward.aproach is unknown; .* reward.approach"),
        ({"airframe": {"wings": 2}}, ValueError, "airframe.wings is unknown"),
        ({"reward_of": {"flag": {"colision": 1}}}, ValueError, "reward_of.flag.colision is"),
        ({"reward_of": {"flog": {"collision": 1}}}, ValueError, "'flag'; got 'flog'"),
        ({"airframe": 3}, TypeError, "airframe must name its values, as airframe.mass: 3"),
        ({"reward_of": 3}, TypeError, "reward_of must name tasks"),
        ({"reward": 3}, TypeError, "reward must name its values"),
        ({"hidden": []}, TypeError, "hidden"),
        ({"hidden": 64}, TypeError, "hidden"),
        ({"hidden": [64, 0]}, ValueError, "hidden"),
        ({"gamma": 1.5}, ValueError, "gamma must be from 0 to 1"),
        ({"gamma": "big"}, TypeError, "gamma must be a number"),
        ({"n_steps": 0}, ValueError, "n_steps"),
        ({"n_steps": 1.5}, TypeError, "n_steps"),
        ({"learning_rate": -1}, ValueError, "learning_rate"),
        ({"symmetries": 3}, ValueError, "symmetries"),
        ({"neighbours": 9}, ValueError, "neighbours"),
        ({"assignment": "best"}, ValueError, "assignment"),
        ({"paced": "yes"}, ValueError, "paced"),
        ({"penalty_warmup": 2}, ValueError, "penalty_warmup"),
        ({"log_std_init": math.nan}, ValueError, "log_std_init"),
    ],
)
def test_what_a_configuration_cannot_be(changes, error, message):
    with pytest.raises(error, match=message):
        config_for("flag", changes)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("my.yaml", "", "must be a .toml file"),
        ("my.toml", "gamma = = 1", "cannot be read"),
        ("run.json", "{}", "cannot be read"),
    ],
)
def test_files_that_hold_no_configuration(name, text, message, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_file(tmp_path / name)


def test_the_configuration_needs_no_torch():
    program = (
        "import sys; from drone_formation import TrainConfig; TrainConfig();"
        "print({'torch', 'numba'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"task": "flog"}, ValueError, "DroneFlag-v0"),
        ({"task": None}, ValueError, "task is needed"),
        ({"timesteps": 0}, ValueError, "timesteps"),
        ({"minutes": -1}, ValueError, "minutes"),
        ({"num_drones": 0}, ValueError, "num_drones"),
        ({"num_swarms": 0}, ValueError, "num_swarms"),
        ({"seed": -1}, ValueError, "seed"),
        ({"config": {"gamma": 0.9}}, TypeError, "config must be a TrainConfig"),
        ({"airframe": "heavy"}, TypeError, "airframe must be an? Airframe"),
        ({"callback": "mine"}, TypeError, "callback must be a BaseCallback"),
        ({"verbose": 3}, ValueError, "verbose must be one of 0, 1, 2"),
        ({"threads": 0}, ValueError, "threads"),
        ({"checkpoint_every": 0}, ValueError, "checkpoint_every"),
        ({"evaluation_episodes": -1}, ValueError, "evaluation_episodes"),
        ({"init_from": "nowhere.npz"}, FileNotFoundError, "nowhere.npz"),
        ({"task": None, "resume": "nowhere"}, FileNotFoundError, "nowhere"),
    ],
)
def test_bad_arguments_are_told_at_once_and_leave_nothing(
    keywords, error, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        train(**{"task": "flag", **keywords})
    assert not list(tmp_path.iterdir())


def test_resuming_refuses_what_would_not_be_the_same_run(whole):
    with pytest.raises(ValueError, match="started with seed=0"):
        train(None, resume=whole.run, seed=1)
    with pytest.raises(ValueError, match="started with task='flag'"):
        train("cube", resume=whole.run)
    with pytest.raises(ValueError, match="out cannot be given"):
        train(None, resume=whole.run, out="elsewhere")


def test_resuming_a_task_that_is_not_known_yet(whole, tmp_path):
    shutil.copytree(whole.run, tmp_path / "run")
    about = (tmp_path / "run" / "run.json").read_text().replace('"flag"', '"spiral"')
    (tmp_path / "run" / "run.json").write_text(about)
    with pytest.raises(ValueError, match="trains the task 'spiral', which is not known"):
        train(None, resume=tmp_path / "run")


def test_tanh_is_torchs_own_to_rounding():
    x = torch.linspace(-30, 30, 20001, requires_grad=True)
    ours, theirs = model.Tanh()(x), torch.tanh(x)
    assert (ours - theirs).abs().max() < 3e-7
    gradients = [torch.autograd.grad(y.sum(), x)[0] for y in (ours, theirs)]
    assert (gradients[0] - gradients[1]).abs().max() < 1e-6
    assert torch.isfinite(model.Tanh()(torch.tensor([-1e30, 1e30]))).all()


def test_the_saved_model_can_be_loaded_by_stable_baselines_alone(whole):
    """It names an activation of this package, which its file imports by itself."""
    program = (
        "import sys, numpy as np\n"
        "from stable_baselines3 import PPO\n"
        "model = PPO.load(sys.argv[1], device='cpu')\n"
        "print(model.predict(np.zeros(model.observation_space.shape, np.float32))[0].shape)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(whole.run / "model.zip")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.split() == ["(4,)"]
