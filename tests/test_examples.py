"""Every example runs."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, monkeypatch, *arguments: str) -> dict:
    """Run an example as a script, and return what it defined."""
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    return runpy.run_path(str(EXAMPLES / name), run_name="__main__")


# SuperSuit's environments do not say how they render; nobody asks.
@pytest.mark.filterwarnings("ignore:The `render_mode` attribute is not defined")
def test_training_through_supersuit_is_reproducible(tmp_path, monkeypatch, capsys):
    pytest.importorskip("supersuit")
    import torch

    from drone_formation.pilots.library import load_pilot

    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)  # several would wait for each other on a busy machine
    weights = []
    for seed in ("0", "0", "1"):
        arguments = ("--timesteps", "4096", "--swarms", "1", "--out", "flag.zip", "--seed", seed)
        run("train_supersuit.py", monkeypatch, *arguments)
        assert "--model flag.zip" in capsys.readouterr().out
        weights.append(load_pilot("flag.zip").arrays["policy_weight_0"])
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_ppo_in_one_file(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    from drone_formation.pilots.library import load_pilot

    monkeypatch.chdir(tmp_path)
    small = ("--num-swarms", "2", "--num-drones", "8", "--timesteps", "4096")
    weights = []
    for seed in ("0", "0", "1"):
        ran = run("train_cleanrl.py", monkeypatch, *small, "--out", f"{len(weights)}.npz",
                  "--seed", seed)  # fmt: skip
        said = capsys.readouterr().out
        assert " 4,096 drone-steps" in said
        assert f"--model {len(weights)}.npz" in said
        weights.append(load_pilot(f"{len(weights)}.npz").arrays["policy_bias_0"])
    assert weights[0].all()  # it began with zeros
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])

    # Eight updates end with the last step of swarm 0's first episode, and in the middle of swarm
    # 1's.  A cut is bootstrapped with what was seen last; neither it nor a crash leads on.
    cut, crashed, next_value = (ran[name].numpy() for name in ("cut", "crashed", "next_value"))
    assert cut[-1].tolist() == [True] * 8 + [False] * 8
    assert not cut[:-1].any()
    assert 0 < crashed.sum() < 50
    assert not next_value[crashed].any()
    assert next_value[~crashed].all()
    last, first = ran["next_observation"][-1].numpy(), ran["seen"].reshape(16, -1)
    assert (last[:8] != first[:8]).any(axis=1).all()
    assert np.array_equal(last[8:], first[8:])
    over = (cut | crashed)[:-1]
    assert np.array_equal(ran["advantage"].numpy()[:-1][over], ran["surprise"].numpy()[:-1][over])

    before = Path("0.npz").read_bytes()
    with pytest.raises(SystemExit):
        run("train_cleanrl.py", monkeypatch, *small, "--out", "0.npz")
    assert "0.npz exists" in capsys.readouterr().err
    assert Path("0.npz").read_bytes() == before


def test_training_of_your_own(tmp_path, monkeypatch, capsys):
    pytest.importorskip("stable_baselines3")
    from drone_formation.training import RunConfig

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("drone_formation.training.metrics.EVALUATION_STEPS", 20)
    run("own_training.py", monkeypatch, "--timesteps", "1", "--seeds", "4", "2")
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said[-3:]] == ["seed", "4", "2"]
    asked = RunConfig.read(Path("runs/heavy/seed-2"))
    assert (asked.config.airframe.mass, asked.config.reward.approach) == (1.2, 0.6)


def test_a_formation_of_your_own(monkeypatch, capsys):
    pytest.importorskip("scipy")
    run("own_formation.py", monkeypatch, "--drones", "16")
    assert "100% of the drones are on target" in capsys.readouterr().out
