"""What the simulator's arrays hold, by name: rows of blocks and tiles, records, and constants.

Rows are numbered by the tables here, in the tables' order; nothing else knows a row's number.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np

from .. import observation
from ..airframe import PARAMETERS
from ..reward import RewardWeights

LANES = 16
MAX_NEIGHBOURS = observation.MAX_NEIGHBOURS
#: Up to this number of blocks every drone is compared with every other; above, there are tiles.
FEW_BLOCKS = 8
MAX_TILES = 256


class Quantity(NamedTuple):
    """A row of a table: a quantity that each lane has, of one or more numbers."""

    name: str
    size: int
    meaning: str


def number_rows(table: tuple[Quantity, ...]) -> list[int]:
    """The first row of each quantity in turn, and how many rows there are."""
    starts = [0]
    for quantity in table:
        starts.append(starts[-1] + quantity.size)
    return starts


# ---- what functions of one lane take ----

Scalar = Any  #: a float32, an int32 or a bool; NumPy's are no floats to mypy
Vector = tuple[Scalar, Scalar, Scalar]
Four = tuple[Scalar, Scalar, Scalar, Scalar]
Numbers = tuple[Scalar, ...]
Record = Any  #: of SETTINGS, EPISODE or AIR; its fields are attributes

# ---- rows that blocks and tiles share: what the search for conflicts works with ----

_CONFLICT_TABLE = (
    Quantity("index", 1, "the drone's index in its swarm"),
    Quantity("alert", 1, "1 where a conflict ahead is not ruled out"),
    Quantity("possible", 1, "1 where the drones looked at may be in conflict with this one"),
    Quantity("conflict_keys", 2, "keys of the worst conflicts ahead, worst first"),
)
#: Offsets from the row of the drone's index.
_, ALERT, POSSIBLE, CONFLICT_KEYS, _ = number_rows(_CONFLICT_TABLE)

# ---- rows of a block ----

BLOCK_TABLE = (
    Quantity("position", 3, "m, world frame"),
    Quantity("velocity", 3, "m/s, world frame"),
    Quantity("attitude", 4, "unit quaternion w x y z, body to world"),
    Quantity("body_rates", 3, "rad/s, body frame"),
    Quantity("rotor_speeds", 4, "rad/s"),
    Quantity("airframe", len(PARAMETERS), "SI units, in the order of airframe.PARAMETERS"),
    Quantity("action", 4, "the latest action, clipped to [-1, 1]"),
    Quantity("action_change", 1, "squared change of the action"),
    Quantity("command", 4, "rad/s, the rotor speeds aimed at"),
    Quantity("force", 3, "N, world frame: see forces.py"),
    Quantity("previous_position", 3, "m, before the step"),
    Quantity("step_length", 1, "m, how far the drone moved in the step"),
    Quantity("target_position", 3, "m"),
    Quantity("target_velocity", 3, "m/s"),
    Quantity("distance", 1, "m, to the target"),
    Quantity("previous_distance", 1, "m, the same before the step"),
    Quantity("active", 1, "1, or 0: padding, or crashed for good"),
    Quantity("colliding", 1, "1 when it came within the collision distance in this step"),
    Quantity("previously_colliding", 1, "the same for the step before"),
    Quantity("nearest_distance", 1, "m, to the nearest drone"),
    Quantity("crashed", 1, "1 when it left the arena in this step"),
    Quantity("fault", 1, "1 when that was a numerical blow-up"),
    Quantity("ring_passed", 1, "1 when it passed its ring in this step"),
    Quantity("ring", 1, "index of the ring that it flies to"),
    Quantity("ring_centre", 3, "m, of that ring"),
    Quantity("ring_velocity", 3, "m/s at which that ring wants to be passed"),
    Quantity("centre", 3, "m, of the target's trajectory"),
    # Sums over the episode, for the metrics
    Quantity("score", 1, "1 - distance / arena diagonal - colliding"),
    Quantity("collisions", 1, "encounters, counted when they start"),
    Quantity("collision_steps", 1, "steps spent colliding"),
    Quantity("crashes", 1, "crashes"),
    Quantity("faults", 1, "numerical blow-ups"),
    Quantity("rings_passed", 1, "race rings passed"),
    Quantity("late_squares", 1, "m², squared distance over the last fifth"),
    Quantity("late_farthest", 1, "m, greatest distance over the last fifth"),
    Quantity("separation", 1, "m, least distance to another drone after the first two seconds"),
    Quantity("episode_return", 1, "sum of rewards"),
    Quantity("reward", 1, "of this step"),
    # What the searches work with
    Quantity("lane", 1, "the lane's own number, for comparing in floats"),
    Quantity("best", 3, "the least keys so far"),
    Quantity("floor", 1, "keys up to this one have been found before"),
    Quantity("doubt", 1, "1 where keys cannot tell the nearest drones apart"),
    Quantity("close", 1, "1 where a collision within the step is possible"),
    Quantity("struck", 1, "1 where the drone looked at is hit"),
    Quantity("conflict", 1, "the greater of the two that follow"),
    Quantity("conflict_degree", 2, "how near and how soon each conflict ahead is, 0 to 1"),
    Quantity("conflict_offset", 6, "m, to where each of the two others will pass, world frame"),
    Quantity("conflict_velocity", 6, "m/s, theirs less the drone's own, world frame"),
    *_CONFLICT_TABLE,
    # One more than may be observed, in whole passes of three
    Quantity("nearest_keys", 3 * (MAX_NEIGHBOURS // 3 + 1), "the nearest drones' keys in order"),
)
(
    POSITION, VELOCITY, ATTITUDE, BODY_RATES, ROTOR_SPEEDS, AIRFRAME, ACTION, ACTION_CHANGE,
    COMMAND, FORCE, PREVIOUS_POSITION, STEP_LENGTH, TARGET_POSITION, TARGET_VELOCITY, DISTANCE,
    PREVIOUS_DISTANCE,
    ACTIVE, COLLIDING, PREVIOUSLY_COLLIDING, NEAREST_DISTANCE, CRASHED, FAULT, RING_PASSED, RING,
    RING_CENTRE, RING_VELOCITY, CENTRE, SCORE, COLLISIONS, COLLISION_STEPS, CRASHES, FAULTS,
    RINGS_PASSED, LATE_SQUARES, LATE_FARTHEST, SEPARATION, EPISODE_RETURN, REWARD, LANE, BEST,
    FLOOR, DOUBT, CLOSE, STRUCK, CONFLICT, CONFLICT_DEGREE, CONFLICT_OFFSET, CONFLICT_VELOCITY,
    INDEX, _, _, _, NEAREST_KEYS, ROWS,
) = number_rows(BLOCK_TABLE)  # fmt: skip
STATE_ROWS = AIRFRAME
MASS = AIRFRAME + PARAMETERS.index("mass")
LINEAR_DRAG = AIRFRAME + PARAMETERS.index("linear_drag")
TOP_SPEED = AIRFRAME + PARAMETERS.index("max_rotor_speed")
HOVER_SPEED = AIRFRAME + PARAMETERS.index("hover_rotor_speed")


def name_of_row(row: int) -> str:
    """What a row of a block holds: the quantity, or one of the airframe's parameters."""
    if AIRFRAME <= row < ACTION:
        return PARAMETERS[row - AIRFRAME]
    place = int(np.searchsorted(number_rows(BLOCK_TABLE), row, side="right")) - 1
    return BLOCK_TABLE[place].name


# ---- rows of a tile: 16 drones that are near each other, for the searches in large swarms ----

TILE_TABLE = (
    Quantity("position", 3, "m"),
    Quantity("velocity", 3, "m/s"),
    *_CONFLICT_TABLE,
    Quantity("best", 3, "the least keys so far"),
    Quantity("floor", 1, "keys up to this one have been found before"),
    Quantity("doubt", 1, "1 where keys cannot tell the nearest drones apart"),
    Quantity("move", 3, "m, how the drone moved within the step"),
    Quantity("marked", 1, "1 where the drone is worth a closer look"),
)
(
    _, _, TILE_INDEX, _, _, _, TILE_BEST, TILE_FLOOR, TILE_DOUBT, TILE_MOVE, TILE_MARKED, TILE_ROWS,
) = number_rows(TILE_TABLE)  # fmt: skip

# ---- rows of the tiles' boxes, a column per tile ----

_BOX_TABLE = (
    Quantity("corners", 6, "m, of all places that the tile's drones are at: low, then high"),
    Quantity("swept", 6, "m, of all that they sweep until the horizon, likewise"),
    Quantity("nearby", 6, "m, the corners of tiles that can hold a neighbour"),
    Quantity("nearby_tile", 1, "and which these are"),
    Quantity("gap", 1, "m², a squared distance"),
    Quantity("list", 1, "tiles worth a comparison"),
)
_corners, _swept, _nearby, NEARBY_TILE, BOX_GAP, BOX_LIST, BOX_ROWS = number_rows(_BOX_TABLE)
# These are no literals for numba, so that what works on any corners is compiled once.
BOX_CORNERS, BOX_SWEPT, BOX_NEARBY = np.int64(_corners), np.int64(_swept), np.int64(_nearby)

# ---- rows of other small arrays ----

#: Of the scratch, where a search over a whole swarm keeps each lane's best.
TALLY = 0
#: Of the scratch in the exact search.
NEAREST_SQUARED, NEAREST_INDEX, NEGATED = range(3)
#: Of a trajectory's coefficients; its knots have a position and a velocity, as blocks do.
COSINES, SINES = 0, 3
#: Where the high corner of a box stands among its six numbers.
HIGH = 3

# ---- a swarm's records ----

#: The weights of the reward's terms, as ``reward.RewardWeights`` declares them.
WEIGHTS = np.dtype([(field.name, np.float32) for field in fields(RewardWeights)])
#: What a swarm is flown with.
SETTINGS = np.dtype([
    ("control_step", np.float64),  # s, between two actions
    ("time_step", np.float32),  # s, of one Runge-Kutta step
    ("substeps", np.int64),  # of these in a control step
    ("control", np.int64),  # index in control.CONTROL_MODES
    ("arena", np.float32, (3,)),  # m, half extents
    ("arena_diagonal", np.float32),  # m
    ("collision_distance", np.float32),  # m
    ("respawns", np.bool_),  # whether a crashed drone is put back; else it is gone
    ("late_from", np.int64),  # first step of the last fifth
    ("max_steps", np.int64),  # of an episode
    ("ring_radius_squared", np.float32),  # m²
    ("offset_scales", np.float32, (3,)),  # m; this and what follows as in observation.py
    ("velocity_scale", np.float32),  # m/s
    ("rate_scale", np.float32),  # rad/s
    ("neighbour_scale", np.float32),  # m
    ("weights", WEIGHTS),
])  # fmt: skip
#: What changes with the steps of an episode.
EPISODE = np.dtype([
    ("step", np.int64),  # steps since the reset
    ("started", np.bool_),  # whether there has been a reset
    ("holds", np.bool_),  # whether a drone's target is where it started
    ("harmonics", np.int64),  # of the targets' trajectory
    ("lead", np.float32),  # s, of the same
    ("trajectory_begin", np.int64),  # the step from which its time counts
    ("knots", np.int64),  # of its sampled path; 0 where it has none
    ("knot_interval", np.float64),  # s
    ("closed", np.bool_),  # whether its first knot follows on the last
    ("num_rings", np.int64),  # of a race; 0 elsewhere
    ("paced", np.bool_),  # whether a race's targets are places on a course, not its rings
    ("last_unformed", np.int64),  # latest step with fewer than 95 % near their targets
    ("random_key", np.int64),
    ("respawns", np.int64),  # places drawn for crashed drones
    ("visits", np.int64),  # tile pairs compared after the latest sort; 0 asks for a new one
    ("crashes", np.bool_),  # whether any drone crashed in this step
    ("crashed_before", np.bool_),  # and in the step before
])  # fmt: skip


class World(NamedTuple):
    """All swarms of a batch."""

    blocks: np.ndarray  #: (S * B, ROWS, LANES) float32; see BLOCK_TABLE
    settings: np.ndarray  #: (S,) records SETTINGS
    episodes: np.ndarray  #: (S,) records EPISODE
    frequencies: np.ndarray  #: (S, H) float64, rad/s, of the trajectories' harmonics
    harmonics: np.ndarray  #: (S * B * H, 6, LANES) float32, m: cosines' x, y, z, then the sines'
    knots: np.ndarray  #: (S * B * K, 6, LANES) float32: positions, m, and velocities, m/s
    rings: np.ndarray  #: (S, R, 6) float32: centre, m, and velocity to be passed at, m/s
    air: np.ndarray | None  #: (S,) records AIR; None where nothing disturbs the drones


class Workspace(NamedTuple):
    """What a thread works with."""

    scratch: np.ndarray  #: (MAX_OBSERVATION, LANES) float32
    waves: np.ndarray  #: (H, 3) float32: cosine, sine and frequency of each harmonic now
    tiling: tuple | None  #: see tiled_search; None for small swarms
    few: bool | None  #: None for large ones


class Outputs(NamedTuple):
    """What a step writes."""

    observations: np.ndarray  #: (S, N, D) float32
    finals: np.ndarray  #: (S, N, D) float32, what drones that crashed observed last
    rewards: np.ndarray  #: (S, N) float32
    means: np.ndarray  #: (S,) float64, mean reward
    crashed: np.ndarray  #: (S, N) bool
    truncated: np.ndarray  #: (S,) bool


class Swarm(NamedTuple):
    """One swarm of the batch, as the stages take it."""

    blocks: np.ndarray  #: of the world
    first: int  #: index of its first block
    num_blocks: int  #: B
    settings: Record  #: its record of SETTINGS
    episode: Record  #: its record of EPISODE
    mask: int  #: the bits of a key that hold the distance: see neighbours.index_mask


# ---- columns of the observation ----

_SELF = observation.observation_table(0)
_COLUMN = {row.name: row.start for row in _SELF}
TARGET_OFFSET_FAR = _COLUMN["target_offset_far"]
TARGET_OFFSET_MID = _COLUMN["target_offset_mid"]
TARGET_OFFSET_NEAR = _COLUMN["target_offset_near"]
SEEN_RELATIVE_VELOCITY = _COLUMN["relative_velocity"]
SEEN_VELOCITY = _COLUMN["velocity"]
SEEN_RATES = _COLUMN["body_rates"]
SEEN_UP = _COLUMN["up"]
SEEN_ROTORS = _COLUMN["rotors"]
SEEN_CONFLICTS = _COLUMN["conflict_0"]
CONFLICT_COLUMNS = _COLUMN["conflict_1"] - SEEN_CONFLICTS
SEEN_NEIGHBOURS = observation.observation_size(0)
NEIGHBOUR_COLUMNS = observation.observation_size(1) - SEEN_NEIGHBOURS
MAX_OBSERVATION = observation.observation_size(MAX_NEIGHBOURS)

# ---- constants ----

MAX_SPEED = np.float32(50.0)  # clamp on each component, m/s
MAX_RATE = np.float32(50.0)  # clamp on each component, rad/s
PARKED = np.float32(1e15)  # m, where lanes that are not in play stand; its square is still finite
FAR = np.float32(1e30)  # m², squared distances beyond this are to parked drones
FARTHEST = np.float32(3e38)
FORMED_DISTANCE = np.float32(0.25)  # m, and the share of drones that must be within it
FORMED_SHARE = 0.95
SETTLING_STEPS = 40  # 2 s, from when the least separation counts
SANE = np.float32(1e6)  # no sum over a drone's state is larger unless the numbers have blown up
LEAP = np.float32(100)  # m; nor does a drone move that far in a step: MAX_SPEED allows 4.3 m
RESPAWN_TRIALS = 32

ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
TWO, THREE, ZERO_BITS = np.float32(2), np.float32(3), np.int32(0)
SIXTH, TINY = np.float32(1 / 6), np.float32(1e-9)
PRECISION_SCALE = np.float32(0.1)  # m
CONFLICT_MARGIN = np.float32(1.5)  # collision distances; targets stand at least so far apart
GRAZE = np.float32(0.2)  # collision distances within which passing another begins to cost
HORIZON = np.float32(1.5)  # s, how far ahead conflicts are looked for
LEAST = np.float32(0.01)  # conflicts below this are none: formations may stand at the very margin
MATTERS = np.float32(1 - 0.01 / 3)  # share of the margin from where on a conflict reaches that
CAUTION = np.float32(1.005)  # factor on what rules a conflict out, far above all rounding
