"""Control modes: what a drone's four actions mean.

The body frame has x forward, y left, z up (FLU); actions are in [-1, 1] and clipped to it.  The
inner loops are in ``sim/control.py`` and run at every physics step.
"""

from __future__ import annotations

#: "body_rates": what a 1 commands about the body's x, y and z, rad/s.
MAX_RATES = (10.0, 10.0, 5.0)
#: Share of the weight that yaw may take from the rotors' thrust and give to others.
YAW_AUTHORITY = 0.2

#: Each mode's action, in order: name, size, kind (see ``observation.KINDS``) and meaning.
ACTION_SLICES = {
    "motor": (("rotors", 4, "rotors", "rotor speed: 0 hovers, 1 is the top speed, -1 stops"),),
    "body_rates": (
        ("thrust", 1, "scalar", "collective thrust: 0 carries the weight, 1 is all, -1 none"),
        ("body_rates", 3, "axial", "rates about x, y and z, of 10, 10 and 5 rad/s"),
    ),
}
#: In the order in which the compiled code knows them.
CONTROL_MODES = tuple(ACTION_SLICES)
