"""Training: exact resumption, safe stopping, nothing overwritten.  All runs here are tiny."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

import torch
from stable_baselines3 import PPO

from drone_formation import Randomization, training
from drone_formation.pilots.trained import TrainedPilot, load_pilot
from drone_formation.tasks import TASKS

ROWS, ROLLOUT = 32, 16
UPDATE = ROWS * ROLLOUT
TINY = training.Settings(
    timesteps=6 * UPDATE, rows=ROWS, rollout=ROLLOUT, minibatch=128, max_steps=40, hidden=(8, 8),
    leniency=0.8,
)  # fmt: skip


def train(task="flag", **keywords):
    keywords.setdefault("evaluation_episodes", 0)
    if not {"resume", "settings"} & set(keywords):
        keywords["settings"] = TINY
    if "resume" not in keywords:
        keywords.setdefault("num_drones", 8)
    return training.train(task, threads=1, **keywords)


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
    settings = replace(TINY, paced=paced, symmetries=images)
    run = train(task, out=tmp_path / "run", timesteps=UPDATE, settings=settings).run
    shutil.move(run / "model.zip", tmp_path / "mine.zip")
    train(None, resume=run, timesteps=2 * UPDATE)
    for path in (run, run / "model.zip", tmp_path / "mine.zip"):
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
    on_step = training.Keeper._on_step

    def stop_on_step_40(self):
        nonlocal steps
        steps += 1
        if steps == 40:
            os.kill(os.getpid(), number)
        return on_step(self)

    monkeypatch.setattr(training.Keeper, "_on_step", stop_on_step_40)
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
    environment = {**os.environ, "PYTHONPATH": str(Path(training.__file__).parents[1])}
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
    rate = training.FallingRate(1.0, 0.0)
    assert rate(1.0) == 1.0
    assert rate(0.25) == 0.25
    rate.spent = 0.9
    assert rate(0.25) == pytest.approx(0.1)
    rate.spent = 1.5
    assert rate(0.25) == 0.0


def test_penalties_rise_to_their_full_weights():
    full = training.RewardWeights(collision=4, conflict=2, crash=8)
    settings = replace(TINY, reward=full, leniency=0.5)
    assert settings.reward_at(0.0).collision == pytest.approx(0.4)
    assert settings.reward_at(0.25).conflict == pytest.approx(1.1)
    assert settings.reward_at(0.25).progress == full.progress
    assert settings.reward_at(0.5) == settings.reward_at(1.0) == full
    assert replace(settings, leniency=0.0).reward_at(0.0) == full


def test_tasks_of_a_mixture_may_have_weights_of_their_own(tmp_path):
    full = training.RewardWeights(conflict=2)
    settings = replace(
        TINY, reward=full, leniency=0.5, reward_of={"follow": replace(full, conflict=6)}
    )
    weights = settings.reward_at(0.25)
    assert set(weights) == set(TASKS)
    assert weights["follow"].conflict == pytest.approx(3.3)
    assert weights["flag"].conflict == pytest.approx(1.1)
    job = training._plan_job("mixed", None, None, 0, None, False, 2, 4, settings)
    job.write(tmp_path)
    assert training.Job.read(tmp_path) == job


@pytest.fixture
def made(monkeypatch):
    """The environments that training makes."""
    made, make = [], training.DroneVecEnv
    monkeypatch.setattr(
        training, "DroneVecEnv", lambda *a, **k: made.append(make(*a, **k)) or made[-1]
    )
    return made


def test_airframes_are_varied_in_training_and_evaluation_alike(made, tmp_path, monkeypatch):
    varied = Randomization(size=(0.1, 0.3))
    monkeypatch.setattr(training, "EVALUATION_STEPS", 20)
    result = train(
        out=tmp_path / "run", timesteps=UPDATE, evaluation_episodes=1,
        settings=replace(TINY, randomization=varied),
    )  # fmt: skip
    assert made[0].swarms.randomization == varied
    assert result.evaluation.options["randomization"] == varied
    assert training.Job.read(tmp_path / "run").settings.randomization == varied
    train(None, resume=tmp_path / "run", timesteps=2 * UPDATE)
    assert made[1].swarms.randomization == varied


def test_training_sets_the_weights_of_its_swarms(made, tmp_path, monkeypatch):
    seen = []
    reward_at = training.Settings.reward_at
    monkeypatch.setattr(
        training.Settings,
        "reward_at",
        lambda self, share: seen.append(share) or reward_at(self, share),
    )
    train(out=tmp_path / "run")
    assert seen == pytest.approx([1, *(k / 6 for k in range(6))])  # the first: of the run
    assert made[0].swarms.reward_weights == reward_at(TINY, 5 / 6) == TINY.reward


def test_until_solved_stops_and_tells_the_time(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "PROMISING", 0.0)
    monkeypatch.setattr(training, "SOLVED", 0.0)
    monkeypatch.setattr(training, "EVALUATION_STEPS", 20)
    settings = replace(TINY, timesteps=100 * UPDATE)
    result = train(out=tmp_path / "run", until_solved=True, settings=settings)
    assert result.steps < settings.timesteps
    assert 0 < result.solved_after <= result.seconds
    assert "solved after" in capsys.readouterr().out


def test_the_final_evaluation_is_printed_and_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "EVALUATION_STEPS", 20)
    train("hover", out=tmp_path / "run", timesteps=UPDATE, evaluation_episodes=2)
    assert "formation_error" in capsys.readouterr().out
    evaluation = TrainedPilot.load(tmp_path / "run" / "policy.npz").metadata["evaluation"]
    assert 0 <= evaluation["perf"] <= 1


def test_starting_from_a_trained_policy(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(PPO, "train", lambda self: None)  # keep the networks as they start
    result = train("cube", out=tmp_path / "run", timesteps=UPDATE, init_from=whole.run)
    noise = result.pilot.arrays["log_sigma"]
    np.testing.assert_allclose(noise, TINY.renewed_log_sigma)  # so that it explores again
    noise[:] = whole.pilot.arrays["log_sigma"]
    assert same_networks(result.pilot, whole.pilot)
    assert result.pilot.hidden == TINY.hidden


def test_swarms_of_different_seeds_share_no_episode():
    envs = []
    for seed in (0, 1):
        env = training.DroneVecEnv("flag", 4, num_drones=2)
        job = training._plan_job("flag", None, None, seed, None, False, 2, 4, TINY)
        training.new_model(training.Stopwatch(env), job, 1e-3)
        env.reset()
        envs.append(env)
    starts = np.concatenate([env.swarms.position for env in envs])
    assert len(np.unique(starts.reshape(8, -1), axis=0)) == 8


@pytest.mark.parametrize(("rows", "wanted"), [(65536, 8192), (51200, 8192), (97, 10), (8, 64)])
def test_no_minibatch_is_cut_short(rows, wanted):
    size = training.minibatch(rows, wanted)
    assert rows % size == 0
    assert size <= max(wanted, 1)


def test_every_task_has_settings():
    assert set(training.SETTINGS) == set(TASKS)


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


def test_tanh_is_torchs_own_to_rounding():
    x = torch.linspace(-30, 30, 20001, requires_grad=True)
    ours, theirs = training.Tanh()(x), torch.tanh(x)
    assert (ours - theirs).abs().max() < 3e-7
    gradients = [torch.autograd.grad(y.sum(), x)[0] for y in (ours, theirs)]
    assert (gradients[0] - gradients[1]).abs().max() < 1e-6
    assert torch.isfinite(training.Tanh()(torch.tensor([-1e30, 1e30]))).all()


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
