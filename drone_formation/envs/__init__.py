"""The views: how a batch of swarms is shown to training code.

Each is thin and holds no physics; all show the same numbers for the same seed and actions.

- ``parallel``: PettingZoo's ``ParallelEnv`` and AEC environment, an agent per drone.
- ``joint``: a Gymnasium environment, the swarm as one agent.
- ``vector``: a Gymnasium ``VectorEnv``, many swarms, each as one agent.
- ``sb3``: a Stable-Baselines3 ``VecEnv``, a row per drone of every swarm.

Import them by their modules: this package imports none of them, so that each user pays only for
the libraries of the view in use.
"""
