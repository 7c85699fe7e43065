"""Third-party trainers, run for real: ``python -m pytest -m trainers``; docs/trainers.md says how.

Each example runs as a user runs it, only shorter.  What the pages say about ends of episodes is
tested at the trainers' own inputs.  Stable-Baselines3, native and through SuperSuit, and the
single-file PPO need no more than the main tests have: see tests/envs/test_sb3.py,
tests/test_training.py and tests/test_examples.py.
"""

from __future__ import annotations

import math
import os
import re
import runpy
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import drone_formation
from drone_formation.pilots.trained import TrainedPilot

EXAMPLES = Path(__file__).parents[2] / "examples"
#: The trainers warn about themselves, and about each other.
pytestmark = [pytest.mark.trainers, pytest.mark.filterwarnings("ignore")]


def run(name: str, *arguments: str, env: dict[str, str] | None = None) -> str:
    """What an example prints."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        env=env, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def check_training(said: str, per_update: int, updates: int, policy: Path) -> None:
    """Every update was reported, with finite losses; its policy has learnt and flies."""
    line = r"([\d,]+) drone-steps, [\d,]+/s, policy loss (\S+), value loss ([^\s,]+)"
    reports = re.findall(line, said)
    steps = [int(report[0].replace(",", "")) for report in reports]
    assert steps == [per_update * k for k in range(1, updates + 1)]
    assert all(math.isfinite(float(loss)) for report in reports for loss in report[1:])

    pilot = TrainedPilot.load(policy)
    assert pilot.metadata["steps"] == per_update * updates
    moved = np.abs(pilot.arrays["log_sigma"] + 1)  # all of it began at -1
    assert (moved > 1e-5).all()
    assert (moved < 0.5).all()
    swarms = drone_formation.Swarms("flag", 1, 8, seed=0)
    swarms.reset()
    actions = pilot.act(swarms)
    assert actions.any()
    assert (np.abs(actions) < 0.5).all()  # a beginner hovers


# ---- RLlib on Ray ------------------------------------------------------------------------------


@pytest.fixture
def ray_settings() -> Iterator[dict[str, str]]:
    """An environment in which Ray keeps to a folder of its own, and is nobody else's business."""
    pytest.importorskip("ray")
    folder = tempfile.mkdtemp(prefix="ray_")  # short, for the names of sockets in it are limited
    yield {
        **os.environ, "RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }  # fmt: skip
    shutil.rmtree(folder, ignore_errors=True)


SMALL = ("--num-drones", "8", "--swarms", "2", "--batch", "2048", "--timesteps", "4096")


def who_flew(said: str) -> dict[tuple[str, str], int]:
    """Drone-steps by process and node."""
    found = re.findall(r"process (\d+) on node (\w+) flew ([\d,]+) drone-steps", said)
    return {(process, node): int(steps.replace(",", "")) for process, node, steps in found}


def test_rllib_on_this_machine(tmp_path: Path, ray_settings: dict[str, str]) -> None:
    out = tmp_path / "flag.npz"
    said = run("train_rllib.py", *SMALL, "--out", str(out), env=ray_settings)
    check_training(said, 2048, 2, out)
    flown = who_flew(said)
    assert list(flown.values()) == [2048, 2048]
    assert len({process for process, _ in flown}) == 2
    assert len({node for _, node in flown}) == 1


def test_rllib_on_a_cluster_of_two_nodes(tmp_path: Path, ray_settings: dict[str, str]) -> None:
    """Started by the commands that start it on two machines; a node has room for one worker."""
    out = tmp_path / "flag.npz"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    head = f"--head --port={address.split(':')[1]} --include-dashboard=false"
    with ray_node(head, ray_settings), ray_node(f"--address={address}", ray_settings):
        arguments = (*SMALL, "--address", address, "--out", str(out))
        said = run("train_rllib.py", *arguments, env=ray_settings)
    check_training(said, 2048, 2, out)
    flown = who_flew(said)
    assert list(flown.values()) == [2048, 2048]
    assert len({process for process, _ in flown}) == 2
    assert len({node for _, node in flown}) == 2


@contextmanager
def ray_node(options: str, env: dict[str, str]) -> Iterator[None]:
    """A machine of a Ray cluster, for as long as the block lasts."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--num-cpus=1", "--block"]
    node = subprocess.Popen(
        [*command, *options.split()], env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        said = ""
        assert node.stdout is not None
        while "Ray runtime started" not in said:
            line = node.stdout.readline()
            assert line, said
            said += line
        yield
    finally:
        node.send_signal(signal.SIGTERM)
        node.communicate(timeout=60)


def rllib_episodes(swarm: type, **options: object) -> list:
    """Two episodes of three drones that try at random, as RLlib's learner receives them."""
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner

    config = (
        PPOConfig()
        .environment(swarm, env_config={"num_drones": 3, **options})
        .multi_agent(policies={"drone"}, policy_mapping_fn=lambda *_, **__: "drone")
        .debugging(seed=0)
    )
    return MultiAgentEnvRunner(config=config, worker_index=1).sample(
        num_episodes=2, random_actions=True
    )


@pytest.fixture(scope="module")
def swarm() -> type:
    """The environment of the example: RLlib's wrapper and what it lacks."""
    pytest.importorskip("ray")
    return runpy.run_path(str(EXAMPLES / "train_rllib.py"), run_name="example")["Swarm"]


def test_rllib_is_told_that_the_horizon_is_no_end(swarm: type) -> None:
    for episode in rllib_episodes(swarm, max_steps=8):
        assert (episode.is_truncated, episode.is_terminated) == (True, False)
        assert len(episode.agent_episodes) == 3
        for drone in episode.agent_episodes.values():
            assert (len(drone), drone.is_truncated, drone.is_terminated) == (8, True, False)


def test_rllib_alone_takes_the_horizon_for_an_end(swarm: type) -> None:
    """Why the example has a class of its own: once this fails, it needs none."""
    from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv

    class Bare(ParallelPettingZooEnv):
        def __init__(self, config: dict) -> None:
            super().__init__(drone_formation.parallel_env("flag", **config))

    assert all(episode.is_terminated for episode in rllib_episodes(Bare, max_steps=8))


def test_rllib_lets_drones_leave(swarm: type) -> None:
    """With ``crash="terminate"`` a drone's own episode ends and the others' go on."""
    first = rllib_episodes(swarm, max_steps=400, crash="terminate")[0]
    ends = [(len(drone), drone.is_terminated) for drone in first.agent_episodes.values()]
    assert all(over for _, over in ends)
    assert len({length for length, _ in ends}) > 1


def test_rllib_workers_fly_in_worlds_of_their_own(swarm: type) -> None:
    from ray.rllib.env.env_context import EnvContext

    config = {"num_drones": 3, "max_steps": 8}
    # RLlib's seeds: of swarm 1 of worker 1, and of swarm 0 of worker 2.
    worlds = [swarm(EnvContext(config, worker_index=k)).reset(seed=7 + 2)[0] for k in (1, 2)]
    assert not np.array_equal(worlds[0]["drone_0"], worlds[1]["drone_0"])


# ---- TorchRL -----------------------------------------------------------------------------------


def torchrl_env(**options: object):
    pytest.importorskip("torchrl")
    from torchrl.envs import PettingZooWrapper

    leaving = options.get("crash") == "terminate"
    swarm = drone_formation.parallel_env("flag", num_drones=3, **options)
    env = PettingZooWrapper(swarm, use_mask=leaving, done_on_any=not leaving)
    env.set_seed(0)
    return env


def test_torchrl(tmp_path: Path) -> None:
    pytest.importorskip("torchrl")
    out = tmp_path / "flag.npz"
    said = run(
        "train_torchrl.py", "--num-drones", "8", "--swarms", "2", "--rollout", "64",
        "--timesteps", "3072", "--out", str(out),
    )  # fmt: skip
    assert "check_env_specs succeeded" in said
    check_training(said, 1024, 3, out)


def test_torchrl_bootstraps_the_horizon() -> None:
    env = torchrl_env(max_steps=8)
    import torch
    from tensordict.nn import TensorDictModule
    from torchrl.objectives.value import GAE

    data = env.rollout(16, break_when_any_done=False)
    last = torch.arange(16) % 8 == 7
    after = data["next", "drone"]
    assert torch.equal(after["truncated"][:, :, 0], last[:, None].expand(16, 3))
    assert not after["terminated"].any()
    # What a drone saw last is not what it sees first in the next episode.
    assert torch.equal(after["observation"][6], data["drone", "observation"][7])
    assert not torch.isclose(after["observation"][7], data["drone", "observation"][8]).all()

    class Thousand(torch.nn.Module):
        def forward(self, observation):
            return torch.full((*observation.shape[:-1], 1), 1000.0)

    critic = TensorDictModule(
        Thousand(), in_keys=[("drone", "observation")], out_keys=[("drone", "state_value")]
    )
    advantage = GAE(gamma=0.5, lmbda=0.0, value_network=critic)
    advantage.set_keys(
        value=("drone", "state_value"), reward=("drone", "reward"),
        done=("drone", "done"), terminated=("drone", "terminated"),
    )  # fmt: skip
    advantage(data)
    assert torch.allclose(data["value_target"], after["reward"] + 500)


def test_torchrl_needs_a_team_that_stays() -> None:
    """It sends actions for drones that are gone, which the environment refuses to guess about."""
    env = torchrl_env(max_steps=400, crash="terminate")
    with pytest.raises(ValueError, match="is not one of the agents"):
        env.rollout(400)
