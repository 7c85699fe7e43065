"""What actions mean: functions from an action to rotor commands."""

from ._jit import inlined
from .layout import ZERO


@inlined
def motor(action, hover, top):
    """Rotor speed aimed at, rad/s, for a number in [-1, 1]: 0 hovers, 1 is the top, -1 stops."""
    return hover + action * ((top - hover) if action > ZERO else hover)
