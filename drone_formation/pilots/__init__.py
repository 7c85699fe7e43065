"""Pilots: whatever turns the state of a swarm into actions.

A pilot has one method, ``act(swarms) -> actions``.  What it reads is its own affair: a trained
policy reads ``swarms.observations`` and nothing else; a classical controller reads the ground-truth
state (``swarms.position``, ...).  Both fly any task through the same loop::

    swarms.reset(seed=0)
    for _ in range(swarms.max_steps):
        swarms.step(pilot.act(swarms))

A pilot may remember things from step to step.  It notices by itself when a swarm has begun a new
episode (``swarms.steps`` is 0), so one pilot can fly any number of episodes.

:func:`as_pilot` makes one of a function, a torch module, a Stable-Baselines3 model, or a name.
"""

from .basic import HoverPilot as HoverPilot
from .basic import Pilot as Pilot
from .basic import RandomPilot as RandomPilot
from .library import as_pilot as as_pilot
from .library import load_pilot as load_pilot
