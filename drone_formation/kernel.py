"""Every compiled function of the simulator, in the order the data flows:

    actions -> control -> dynamics -> targets -> neighbours -> collisions -> reward -> observation

One file that imports nothing else of the package, because numba's disk cache notices changes only
in the file that holds a function: what another module decides comes in through ``settings``.

**Layout.**  Drones are stored in blocks of 16 lanes, ``blocks[block, row, lane]``: a row is one
quantity (a table of rows follows), a lane is one drone.  A swarm takes ceil(N / 16) blocks; its
last lanes may be padding, parked far away.  Every loop over lanes sees its block through
:func:`view`, whose shape is a compile-time constant: strides are then known, LLVM needs no run-time
alias checks and emits full-width SIMD.  The physics itself is plain scalar code.

**Types.**  Everything is float32; constants are wrapped, since float32 times a Python literal
would be computed in float64.  Division follows NumPy (``error_model``), because the Python model's
check stops vectorisation.  No fast-math: every operation is rounded as IEEE 754 says, so results
depend neither on the processor nor on what the compiler merges, and a NaN stays a NaN.
Where a call says yes or no by a constant, it is ONE or ZERO: numba compiles a function once for
every True and every integer literal that it is given.  ``tiling`` is (tiles, boxes, orders of the
drones in the tiles), with which large swarms are searched; None for small ones, so that nothing of
that is compiled for them.  ``few`` is None for large ones: what is None leaves code out, what is
not does not.  Nor is what ``lines`` are for compiled, unless there is a timetable.
"""

import math

import numpy as np
from llvmlite import ir
from numba import carray, config, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
MAX_NEIGHBOURS = 8

# ---- rows of a block ---------------------------------------------------------------------------
POSITION = 0  # 3, m, world frame
VELOCITY = 3  # 3, m/s, world frame
ATTITUDE = 6  # 4, unit quaternion w x y z, body -> world
RATES = 10  # 3, rad/s, body frame
ROTORS = 13  # 4, rad/s
STATE_ROWS = 17
AIRFRAME = 17  # 14, in the order of airframe.PARAMETERS
ACTION = 31  # 4, the latest action, clipped
CHANGE = 35  # squared change of the action
BEFORE = 36  # 3, position before the step
MOVED = 39  # length of the step, m
TARGET = 40  # 3, m
TARGET_VELOCITY = 43  # 3, m/s
DISTANCE = 46  # to the target, m
LAST_DISTANCE = 47  # of the step before
ACTIVE = 48  # 1, or 0: padding, or crashed for good
HIT = 49  # 1 when it collided with a drone that crashed in this step
COLLIDING = 50  # 1 when nearer to another drone than the collision distance in this step
COLLIDED = 51  # the same for the step before
NEAREST = 52  # distance to the nearest drone, m
CRASHED = 53  # 1 when it left the arena in this step
FAULT = 54  # 1 when that was a numerical blow-up
PASSED = 55  # 1 when it passed its ring in this step
RING = 56  # index of the ring it flies to
CENTRE = 57  # 3, of the motion model
AIM = 60  # 3, velocity at which a ring wants to be passed; zero but for races
COSINE = 63  # 4 x 3, of the motion model
SINE = 75  # 4 x 3
# Sums over the episode, for the metrics
SCORE = 87  # 1 - distance / arena diagonal - colliding
COLLISIONS = 88  # encounters, counted when they start
COLLISION_STEPS = 89
CRASHES = 90
FAULTS = 91
RINGS = 92  # rings passed
LATE_SQUARES = 93  # squared distance over the last fifth
LATE_FARTHEST = 94  # greatest distance over the last fifth
SEPARATION = 95  # least distance to another drone after the first two seconds
RETURN = 96  # sum of rewards
REWARD = 97  # of this step
LANE = 98  # the lane's own number, for comparing in floats
BEST = 99  # 3, the least keys so far
FLOOR = 102  # keys up to this one have been found before
DOUBT = 103  # 1 where keys cannot tell the nearest drones apart
CLOSE = 104  # 1 where a collision within the step is possible
STRUCK = 105  # 1 where the crashed drone looked at hit another
CONFLICT = 106  # how near and how soon the worst meeting ahead is, 0 to 1
NAME = 107  # the drone's index in its swarm, and the four rows that follow a name (see below)
# The nearest drones' keys, nearest first; one more than may be observed, in whole passes of three
NEAR = 112
ROWS = NEAR + 3 * (MAX_NEIGHBOURS // 3 + 1)
# In a race with a paced, which has no need of the motion model's coefficients:
HEAD_START = COSINE  # 2, cosine and sine of how far ahead the drone's place is
LINE = COSINE + 2  # on which line of the course

# ---- rows after a drone's name, in blocks and tiles
ALERT = 1  # 1 where a meeting ahead is not ruled out
MENACED = 2  # 1 where the drones looked at may be met
THREATS = 3  # 2, keys of the worst meetings ahead, worst first

# ---- rows of a tile: 16 drones that are near each other, for the searches in large swarms
TILE_NAME = 6  # the drone's index, and four rows more; rows 0 to 5 are position and velocity
TILE_BEST = 11  # 3, the least keys so far
TILE_FLOOR = 14  # keys up to this one have been found before
TILE_DOUBT = 15  # 1 where keys cannot tell the nearest drones apart
TILE_MOVE = 16  # 3, how the drone moved within the step
TILE_MARKED = 19  # 1 where the drone is worth a closer look
TILE_ROWS = 20
MAX_TILES = 256
# Rows of the boxes, one column per tile.  The first numbers are no literals, so that what works on
# any corners is compiled once (see "Types").
BOX_CORNERS = np.int64(0)  # 6, of all places that the tile's drones are at: low, then high
BOX_SWEPT = np.int64(8)  # 6, of all that they sweep until the horizon
BOX_NEARBY = np.int64(14)  # 7, of the tiles that can hold a neighbour: the corners and the tile
BOX_GAP = 6  # a squared distance
BOX_LIST = 7  # tiles worth a comparison
BOX_ROWS = 21
ALL = -1  # in place of a row that marks some drones
FEW_BLOCKS = 8  # up to here every drone is compared with every other, and there are no tiles

# ---- columns of the per-swarm table (int64) ----------------------------------------------------
STEP = 0  # steps since the reset
HARMONICS_USED = 1
HOLDS = 2  # 1 when a drone's target is where it started
NUM_RINGS = 3
LAST_UNFORMED = 4  # latest step with fewer than 95 % of the drones near their targets
RANDOM_KEY = 5
RESPAWN_COUNT = 6
VISITS = 7  # tile pairs compared right after the latest sort; 0 asks for a new one
CLEAN = 8  # 1 when the output array of crashes holds none of this swarm
STARTED = 9  # 1 after the first reset
MAX_STEPS = 10  # steps in an episode
NUM_LINES = 11  # of a race's course; 0 where there is no timetable
SWARM_COLUMNS = 12

# ---- entries of each swarm's settings (float32) ------------------------------------------------
TIME_STEP = 0
ARENA = 1  # 3
DIAGONAL = 4
COLLISION_DISTANCE = 5
RESPAWNS = 6  # 1: a crashed drone is put back; 0: it is gone
SUBSTEPS = 7
LATE_FROM = 8  # first step of the last fifth
RING_RADIUS_SQUARED = 9
WEIGHTS = 10  # 9, in the order of RewardWeights
OFFSET_SCALES = 19  # 3, m; this and what follows as in observation.py
VELOCITY_SCALE = 22  # m/s
RATE_SCALE = 23  # rad/s
NEIGHBOUR_SCALE = 24  # m
SETTINGS = 25

MEETINGS = 25  # 2 x 6 columns of the observation that :func:`foresee` writes
OWN_COLUMNS = 37  # of the observation, before those of the neighbours, which take 6 each
MAX_OBSERVATION = OWN_COLUMNS + 6 * MAX_NEIGHBOURS
MAX_SPEED = np.float32(50.0)  # clamp on each component, m/s
MAX_RATE = np.float32(50.0)  # clamp on each component, rad/s
PARKED = np.float32(1e15)  # where lanes that are not in play stand; its square is still finite
FAR = np.float32(1e30)  # squared distances beyond this are to parked drones
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
PRECISION_SCALE = np.float32(0.1)
CONFLICT_MARGIN = np.float32(1.5)  # collision distances; targets stand at least so far apart
GRAZE = np.float32(0.2)  # collision distances within which passing another begins to cost
HORIZON = np.float32(1.5)  # s, how far ahead meetings are looked for
LEAD = np.float32(0.2)  # s, how far ahead the velocity of a place in a race is shown
LEAST = np.float32(0.01)  # conflicts below this are none: formations may stand at the very margin
MATTERS = np.float32(1 - 0.01 / 3)  # share of the margin from where on a conflict reaches that
CAUTION = np.float32(1.005)  # factor on what rules a meeting out, far above all rounding

COMPILED = not config.DISABLE_JIT
_OPTIONS = {"error_model": "numpy", "nogil": True}
# Python calls one function; to make the others callable costs seconds of compilation.
_INTERNAL = {**_OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def compiled(**options):
    """``njit`` with a disk cache, where some folder is writable."""

    def decorate(function):
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # "no locator available": nothing is writable
            return njit(**options)(function)

    return decorate


# Three ways to become code.  ``jitted``: compiled apart, for what is seldom called.  ``inlined``:
# compiled apart, and then put into its callers by LLVM, so that no call has to count references to
# a dozen arrays.  ``merged``: put into its callers by numba, before anything is compiled.  That is
# for what must not be optimised by itself: lane loops over rows that came as arguments, whose
# strides only the caller knows; and for what is called once.
jitted = compiled(**_INTERNAL)
inlined = compiled(forceinline=True, **_INTERNAL)
merged = compiled(inline="always", **_INTERNAL)


@intrinsic
def _address(typingctx, array, index):
    """Pointer to ``array[index]``'s data; who uses it works with registers of any width.

    LLVM keeps to half of Intel's 512 bits unless a function asks for all.  Every function with lane
    loops comes by here, through the merged :func:`view` and its like.
    """

    def codegen(context, builder, signature, arguments):
        # Not by ``attributes.add``, which knows fewer attributes than LLVM.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        view_ = context.make_array(signature.args[0])(context, builder, arguments[0])
        stride = builder.extract_value(view_.strides, 0)
        data = builder.ptrtoint(view_.data, stride.type)
        offset = builder.mul(
            stride, context.cast(builder, arguments[1], signature.args[1], types.intp)
        )
        return builder.inttoptr(builder.add(data, offset), view_.data.type)

    return types.CPointer(array.dtype)(array, index), codegen


@intrinsic
def _pack(typingctx, value, mask, name):
    """The float32 whose bits are those of ``value`` under the mask, and ``name`` elsewhere."""

    def codegen(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], ir.IntType(32))
        bits = builder.or_(builder.and_(bits, arguments[1]), arguments[2])
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.float32, types.int32, types.int32), codegen


@intrinsic
def _unpack(typingctx, key, mask):
    """What a float32's bits hold outside the mask, as an int32."""

    def codegen(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], ir.IntType(32))
        return builder.and_(bits, builder.not_(arguments[1]))

    return types.int32(types.float32, types.int32), codegen


@intrinsic
def _within(typingctx, array, place, limit):
    """A bit for each of the 16 floats from ``array[place]`` on, flat: is it up to a limit?"""
    vector = ir.VectorType(ir.FloatType(), LANES)

    def codegen(context, builder, signature, arguments):
        array_ = context.make_array(signature.args[0])(context, builder, arguments[0])
        start = builder.bitcast(builder.gep(array_.data, [arguments[1]]), vector.as_pointer())
        row = builder.load(start)
        row.align = 4
        limits = ir.Constant(vector, ir.Undefined)
        for lane in range(LANES):
            limits = builder.insert_element(limits, arguments[2], ir.Constant(ir.IntType(32), lane))
        bits = builder.bitcast(builder.fcmp_ordered("<=", row, limits), ir.IntType(LANES))
        return builder.zext(bits, ir.IntType(64))

    return types.int64(array, types.intp, types.float32), codegen


@intrinsic
def _lowest(typingctx, bits):
    """The number of the lowest bit that is set."""

    def codegen(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), codegen


@intrinsic
def _greatest(typingctx, array, place):
    """The greatest of the 16 floats from ``array[place]`` on, flat."""

    def codegen(context, builder, signature, arguments):
        array_ = context.make_array(signature.args[0])(context, builder, arguments[0])
        start = builder.gep(array_.data, [arguments[1]])
        vector = ir.VectorType(ir.FloatType(), LANES)
        row = builder.load(builder.bitcast(start, vector.as_pointer()))
        row.align = 4
        width = LANES
        while width > 1:  # fold the halves onto each other
            width //= 2
            halves = [
                builder.shuffle_vector(
                    row, row, ir.Constant(ir.VectorType(ir.IntType(32), width), list(order))
                )
                for order in (range(width), range(width, 2 * width))
            ]
            row = builder.select(builder.fcmp_ordered(">", *halves), *halves)
        return builder.extract_element(row, ir.Constant(ir.IntType(32), 0))

    return types.float32(array, types.intp), codegen


@intrinsic
def _transpose(typingctx, array, source, to, target, stride):
    """Copy an 8 x 8 tile, transposed, from a flat array with rows of 16 to one with any stride.

    LLVM does not find this by itself: element by element the copy takes four times as long.
    """
    vector = ir.VectorType(ir.FloatType(), 8)

    def codegen(context, builder, signature, arguments):
        def pointer(which, offset):
            array_ = context.make_array(signature.args[which])(context, builder, arguments[which])
            return builder.gep(array_.data, [offset])

        def mix(one, other, *lanes_):
            mask = ir.Constant(ir.VectorType(ir.IntType(32), 8), list(lanes_))
            return builder.shuffle_vector(one, other, mask)

        start = pointer(0, arguments[1])
        rows = []
        for row in range(8):
            place = builder.gep(start, [ir.Constant(ir.IntType(64), LANES * row)])
            loaded = builder.load(builder.bitcast(place, vector.as_pointer()))
            loaded.align = 4
            rows.append(loaded)
        pairs = [
            mix(rows[i], rows[i + 1], *order)
            for i in range(0, 8, 2)
            for order in ((0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15))
        ]
        fours = [
            mix(pairs[i + j], pairs[i + j + 2], *order)
            for i in (0, 4)
            for j in (0, 1)
            for order in ((0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15))
        ]
        columns = [
            mix(fours[i], fours[i + 4], *order)
            for order in ((0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15))
            for i in range(4)
        ]
        end = pointer(2, arguments[3])
        for column in range(8):
            offset = builder.mul(arguments[4], ir.Constant(ir.IntType(64), column))
            place = builder.bitcast(builder.gep(end, [offset]), vector.as_pointer())
            builder.store(columns[column], place).align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, to, types.intp, types.intp), codegen


def _cell(context, builder, signature, arguments):
    """Pointer to an entry of a flat array: for the three below."""
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.gep(array.data, [arguments[1]])


@intrinsic
def _peek(typingctx, array, place):
    """An entry as other threads left it, and all that they wrote before it."""

    def codegen(context, builder, signature, arguments):
        return builder.load_atomic(_cell(context, builder, signature, arguments), "acquire", 8)

    return types.int64(array, types.intp), codegen


@intrinsic
def _add(typingctx, array, place, value):
    """Add to an entry at once, after all that this thread wrote before."""

    def codegen(context, builder, signature, arguments):
        cell = _cell(context, builder, signature, arguments)
        return builder.atomic_rmw("add", cell, arguments[2], "seq_cst")

    return types.int64(array, types.intp, types.int64), codegen


@intrinsic
def _replace(typingctx, array, place, old, new):
    """Put a new number in place of an old one; false where another thread was quicker."""

    def codegen(context, builder, signature, arguments):
        cell = _cell(context, builder, signature, arguments)
        done = builder.cmpxchg(cell, *arguments[2:], "seq_cst", "seq_cst")
        return builder.extract_value(done, 1)

    return types.boolean(array, types.intp, types.int64, types.int64), codegen


# What makes a processor wait for a moment, by its name in LLVM: an instruction and its argument
_PAUSES = {
    "x86_64": ("llvm.x86.sse2.pause", []),
    "aarch64": ("llvm.aarch64.isb", [15]),
    "arm64": ("llvm.aarch64.isb", [15]),
}


@intrinsic
def _pause(typingctx):
    """Wait for a moment, and leave the core to the other thread on it, if the processor can."""

    def codegen(context, builder, signature, arguments):
        name, numbers = _PAUSES.get(builder.module.triple.partition("-")[0], (None, []))
        if name is not None:
            kind = ir.FunctionType(ir.VoidType(), [ir.IntType(32)] * len(numbers))
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            builder.call(function, [ir.Constant(ir.IntType(32), number) for number in numbers])
        return context.get_dummy_value()

    return types.void(), codegen


if not COMPILED:

    def peek(board, place):
        """See below."""
        return board[place]

    def add(board, place, value):
        """See below."""
        board[place] += value

    def replace(board, place, old, new):
        """See below."""
        if board[place] != old:
            return False
        board[place] = new
        return True

    def pause():
        """See below."""

    def view(blocks, index):
        """Block ``index``, shape (ROWS, LANES)."""
        return blocks[index]

    def columns_of(scratch):
        """The scratch, shape (MAX_OBSERVATION, LANES)."""
        return scratch

    def tile_of(tiles, index):
        """Tile ``index``, shape (TILE_ROWS, LANES)."""
        return tiles[index]

    def boxes_of(boxes):
        """The tiles' boxes, shape (BOX_ROWS, MAX_TILES)."""
        return boxes

    def greatest(rows, place):
        """See below."""
        return rows.reshape(-1)[place : place + LANES].max()

    def within(rows, place, limit):
        """See below."""
        return int((rows.reshape(-1)[place : place + LANES] <= limit) @ (1 << np.arange(LANES)))

    def lowest(bits):
        """See below."""
        return (bits & -bits).bit_length() - 1

    def key_of(squared, mask, name):
        """See below."""
        return np.int32((np.float32(squared).view(np.int32) & mask) | name).view(np.float32)

    def name_of(key, mask):
        """See below."""
        return int(np.float32(key).view(np.int32) & ~mask)

    def transpose(scratch, row, lane, rows, start, size):
        """See below."""
        for i in range(8):
            rows[start + i * size : start + i * size + 8] = scratch[row : row + 8, lane + i]

else:

    @inlined
    def peek(board, place):
        """An entry of the board as other threads left it, and all that they wrote before it."""
        return _peek(board, place)

    @inlined
    def add(board, place, value):
        """Add to an entry of the board, as if no other thread did at that time."""
        _add(board, place, value)

    @inlined
    def replace(board, place, old, new):
        """Whether an entry was the old number and is now the new one: true for one thread only."""
        return _replace(board, place, old, new)

    @inlined
    def pause():
        """Wait for some tens of nanoseconds."""
        _pause()

    @merged
    def view(blocks, index):
        """Block ``index``, seen with a shape that is a compile-time constant."""
        return carray(_address(blocks, index), (ROWS, LANES))

    @merged
    def columns_of(scratch):
        """The scratch, likewise."""
        return carray(_address(scratch, 0), (MAX_OBSERVATION, LANES))

    @merged
    def tile_of(tiles, index):
        """Tile ``index``, likewise."""
        return carray(_address(tiles, index), (TILE_ROWS, LANES))

    @merged
    def boxes_of(boxes):
        """The tiles' boxes, likewise."""
        return carray(_address(boxes, 0), (BOX_ROWS, MAX_TILES))

    @inlined
    def greatest(rows, place):
        """The greatest of the 16 floats from flat index ``place`` on."""
        return _greatest(rows, place)

    @inlined
    def within(rows, place, limit):
        """A bit for each of the 16 floats from flat index ``place`` on: is it up to the limit?"""
        return _within(rows, place, limit)

    @inlined
    def lowest(bits):
        """The number of the lowest bit that is set; there must be one."""
        return _lowest(bits)

    @inlined
    def key_of(squared, mask, name):
        """A float that sorts by squared distance, then by index: its low bits hold the index.

        Positive floats order like their bits, so the least key is the nearest drone.
        """
        return _pack(squared, mask, name)

    @inlined
    def name_of(key, mask):
        """The index in a key."""
        return _unpack(key, mask)

    @inlined
    def transpose(scratch, row, lane, rows, start, size):
        """Write rows ``row`` to ``row + 7`` of eight lanes as eight columns, ``size`` apart."""
        _transpose(scratch, row * LANES + lane, rows, start, size)


# ---- helpers -----------------------------------------------------------------------------------


@inlined
def positive_at(rows, place):
    """Whether one of the 16 floats from flat index ``place`` on is above zero."""
    return within(rows, place, ZERO) != (1 << LANES) - 1


@inlined
def any_positive(blocks, index, row):
    """Whether a row of a block is positive in any lane: far cheaper than asking each lane."""
    return positive_at(blocks, (index * ROWS + row) * LANES)


@inlined
def clamp(value, limit):
    """``value`` within [-limit, limit]; a NaN stays one."""
    value = limit if value > limit else value
    return -limit if value < -limit else value


@inlined
def squash(x, y, z, scale):
    """The factor that turns v into v / (scale + |v|)."""
    return ONE / (scale + math.sqrt(x * x + y * y + z * z))


@inlined
def to_body(x, y, z, qw, qx, qy, qz):
    """A world vector in the body frame: the transposed rotation matrix applied to it."""
    return (
        (ONE - TWO * (qy * qy + qz * qz)) * x + TWO * (qx * qy + qw * qz) * y
        + TWO * (qx * qz - qw * qy) * z,
        TWO * (qx * qy - qw * qz) * x + (ONE - TWO * (qx * qx + qz * qz)) * y
        + TWO * (qy * qz + qw * qx) * z,
        TWO * (qx * qz + qw * qy) * x + TWO * (qy * qz - qw * qx) * y
        + (ONE - TWO * (qx * qx + qy * qy)) * z,
    )  # fmt: skip


# ---- dynamics: the physics, once ---------------------------------------------------------------


@inlined
def command(action, hover, top):
    """Rotor speed for an action in [-1, 1]: 0 hovers, 1 is the top speed, -1 stops; rad/s."""
    return hover + action * ((top - hover) if action > ZERO else hover)


@inlined
def derivative(state, commands, airframe):
    """Time derivative of a quadrotor's state.

    Rigid body with four first-order rotors (e.g. Mahony, Kumar & Corke, "Multirotor Aerial
    Vehicles", 2012), linear drag and angular damping.

    Args:
        state: position 3, velocity 3, quaternion 4, body rates 3, rotor speeds 4.
        commands: the four rotor speeds aimed at, rad/s.
        airframe: the 14 numbers of ``airframe.PARAMETERS``.
    """
    vx, vy, vz = state[3], state[4], state[5]
    qw, qx, qy, qz = state[6], state[7], state[8], state[9]
    p, q, r = state[10], state[11], state[12]
    mass, inertia_x, inertia_y, inertia_z = airframe[0], airframe[1], airframe[2], airframe[3]
    arm, thrust, torque_ratio, drag = airframe[4], airframe[5], airframe[6], airframe[7]
    damping, gravity, lag, rotor_inertia = airframe[8], airframe[9], airframe[11], airframe[12]

    # Divisions stand beside constants only: each is done once per step, not in every stage.
    lift, slow, quick = thrust / mass, drag / mass, ONE / lag
    roll, roll_damping, roll_coupling = (
        arm * thrust / inertia_x, damping / inertia_x, (inertia_y - inertia_z) / inertia_x
    )  # fmt: skip
    pitch, pitch_damping, pitch_coupling = (
        arm * thrust / inertia_y, damping / inertia_y, (inertia_z - inertia_x) / inertia_y
    )  # fmt: skip
    yaw, yaw_damping, yaw_coupling = (
        torque_ratio * thrust / inertia_z, damping / inertia_z, (inertia_x - inertia_y) / inertia_z
    )  # fmt: skip
    reaction = rotor_inertia / inertia_z

    a0 = quick * (commands[0] - state[13])
    a1 = quick * (commands[1] - state[14])
    a2 = quick * (commands[2] - state[15])
    a3 = quick * (commands[3] - state[16])
    s0, s1, s2, s3 = (
        state[13] * state[13], state[14] * state[14], state[15] * state[15], state[16] * state[16]
    )  # fmt: skip
    x_pair, y_pair = s0 + s2, s1 + s3
    push = lift * (x_pair + y_pair)
    twice = TWO * push
    hp, hq, hr = HALF * p, HALF * q, HALF * r
    return (
        vx,
        vy,
        vz,
        twice * (qx * qz + qw * qy) - slow * vx,
        twice * (qy * qz - qw * qx) - slow * vy,
        push - twice * (qx * qx + qy * qy) - slow * vz - gravity,
        -qx * hp - qy * hq - qz * hr,
        qw * hp + qy * hr - qz * hq,
        qw * hq + qz * hp - qx * hr,
        qw * hr + qx * hq - qy * hp,
        roll * (s1 - s3) - roll_damping * p + roll_coupling * (q * r),
        pitch * (s2 - s0) - pitch_damping * q + pitch_coupling * (r * p),
        yaw * (x_pair - y_pair) + reaction * (a0 - a1 + a2 - a3)
        - yaw_damping * r + yaw_coupling * (p * q),
        a0,
        a1,
        a2,
        a3,
    )  # fmt: skip


@inlined
def along(state, rate, time):
    """``state + time * rate``."""
    return (
        state[0] + time * rate[0], state[1] + time * rate[1], state[2] + time * rate[2],
        state[3] + time * rate[3], state[4] + time * rate[4], state[5] + time * rate[5],
        state[6] + time * rate[6], state[7] + time * rate[7], state[8] + time * rate[8],
        state[9] + time * rate[9], state[10] + time * rate[10], state[11] + time * rate[11],
        state[12] + time * rate[12], state[13] + time * rate[13], state[14] + time * rate[14],
        state[15] + time * rate[15], state[16] + time * rate[16],
    )  # fmt: skip


@inlined
def rk4_step(state, commands, airframe, time_step):
    """The state one classical Runge-Kutta step later."""
    half, sixth = HALF * time_step, SIXTH * time_step
    k1 = derivative(state, commands, airframe)
    k2 = derivative(along(state, k1, half), commands, airframe)
    total = along(along(state, k1, sixth), k2, TWO * sixth)
    k3 = derivative(along(state, k2, half), commands, airframe)
    total = along(total, k3, TWO * sixth)
    k4 = derivative(along(state, k3, time_step), commands, airframe)
    return along(total, k4, sixth)


@inlined
def load_actions(blocks, index, actions, start, count, scratch):
    """Clip the actions of ``count`` drones, from ``actions[start]`` on, into the block's lanes."""
    block, raw = view(blocks, index), columns_of(scratch)
    for lane in range(count):
        raw[0, lane] = actions[start + 4 * lane]
        raw[1, lane] = actions[start + 4 * lane + 1]
        raw[2, lane] = actions[start + 4 * lane + 2]
        raw[3, lane] = actions[start + 4 * lane + 3]
    for lane in range(LANES):
        a0, a1 = clamp(raw[0, lane], ONE), clamp(raw[1, lane], ONE)
        a2, a3 = clamp(raw[2, lane], ONE), clamp(raw[3, lane], ONE)
        d0, d1 = a0 - block[ACTION, lane], a1 - block[32, lane]
        d2, d3 = a2 - block[33, lane], a3 - block[34, lane]
        block[CHANGE, lane] = d0 * d0 + d1 * d1 + d2 * d2 + d3 * d3
        block[31, lane], block[32, lane], block[33, lane], block[34, lane] = a0, a1, a2, a3


@inlined
def fly(blocks, index, settings):
    """Advance a block by one control step; note who left the arena."""
    block = view(blocks, index)
    time_step = settings[TIME_STEP]
    reach_x, reach_y, reach_z = settings[ARENA], settings[ARENA + 1], settings[ARENA + 2]
    for lane in range(LANES):
        block[BEFORE, lane] = block[POSITION, lane]
        block[BEFORE + 1, lane] = block[POSITION + 1, lane]
        block[BEFORE + 2, lane] = block[POSITION + 2, lane]
    for _ in range(int(settings[SUBSTEPS])):
        for lane in range(LANES):
            state = (
                block[0, lane], block[1, lane], block[2, lane], block[3, lane], block[4, lane],
                block[5, lane], block[6, lane], block[7, lane], block[8, lane], block[9, lane],
                block[10, lane], block[11, lane], block[12, lane], block[13, lane],
                block[14, lane], block[15, lane], block[16, lane],
            )  # fmt: skip
            airframe = (
                block[17, lane], block[18, lane], block[19, lane], block[20, lane],
                block[21, lane], block[22, lane], block[23, lane], block[24, lane],
                block[25, lane], block[26, lane], block[27, lane], block[28, lane],
                block[29, lane], block[30, lane],
            )  # fmt: skip
            hover, top = airframe[13], airframe[10]
            commands = (
                command(block[ACTION, lane], hover, top),
                command(block[ACTION + 1, lane], hover, top),
                command(block[ACTION + 2, lane], hover, top),
                command(block[ACTION + 3, lane], hover, top),
            )
            state = rk4_step(state, commands, airframe, time_step)
            norm = ONE / math.sqrt(
                state[6] * state[6] + state[7] * state[7]
                + state[8] * state[8] + state[9] * state[9]
            )  # fmt: skip
            block[0, lane] = state[0]
            block[1, lane] = state[1]
            block[2, lane] = state[2]
            block[3, lane] = clamp(state[3], MAX_SPEED)
            block[4, lane] = clamp(state[4], MAX_SPEED)
            block[5, lane] = clamp(state[5], MAX_SPEED)
            block[6, lane] = state[6] * norm
            block[7, lane] = state[7] * norm
            block[8, lane] = state[8] * norm
            block[9, lane] = state[9] * norm
            block[10, lane] = clamp(state[10], MAX_RATE)
            block[11, lane] = clamp(state[11], MAX_RATE)
            block[12, lane] = clamp(state[12], MAX_RATE)
            block[13, lane] = state[13]
            block[14, lane] = state[14]
            block[15, lane] = state[15]
            block[16, lane] = state[16]
    for lane in range(LANES):
        x, y, z = block[0, lane], block[1, lane], block[2, lane]
        dx, dy, dz = x - block[BEFORE, lane], y - block[37, lane], z - block[38, lane]
        block[MOVED, lane] = math.sqrt(dx * dx + dy * dy + dz * dz)
        # Every quantity in one sum, so that a NaN or an infinity anywhere shows.
        total = (
            abs(x) + abs(y) + abs(z)
            + block[3, lane] + block[4, lane] + block[5, lane] + block[6, lane] + block[7, lane]
            + block[8, lane] + block[9, lane] + block[10, lane] + block[11, lane]
            + block[12, lane] + block[13, lane] + block[14, lane] + block[15, lane]
            + block[16, lane]
        )  # fmt: skip
        # An overflow in the norm above leaves an attitude of zeros.
        norm = (
            block[6, lane] * block[6, lane] + block[7, lane] * block[7, lane]
            + block[8, lane] * block[8, lane] + block[9, lane] * block[9, lane]
        )  # fmt: skip
        sane = (abs(total) < SANE) & (block[MOVED, lane] < LEAP) & (norm > HALF)
        inside = (abs(x) <= reach_x) & (abs(y) <= reach_y) & (abs(z) <= reach_z) & sane
        block[FAULT, lane] = ZERO if sane else block[ACTIVE, lane]
        block[CRASHED, lane] = ZERO if inside else block[ACTIVE, lane]
        block[HIT, lane] = ZERO


# ---- targets -----------------------------------------------------------------------------------


@inlined
def move_targets(blocks, index, waves):
    """Targets and their velocities by the motion model of ``tasks.py``.

    ``waves[k]`` is (cos, sin, frequency) of harmonic k at this time, shared by the swarm.  The
    coefficients of harmonics not in use are zero: four in one pass over constant rows cost less
    than a loop over those in use, which would find its rows at run time.
    """
    block = view(blocks, index)
    c0, s0, f0 = waves[0, 0], waves[0, 1], waves[0, 2]
    c1, s1, f1 = waves[1, 0], waves[1, 1], waves[1, 2]
    c2, s2, f2 = waves[2, 0], waves[2, 1], waves[2, 2]
    c3, s3, f3 = waves[3, 0], waves[3, 1], waves[3, 2]
    for row in range(3):
        for lane in range(LANES):
            a0, b0 = block[COSINE + row, lane], block[SINE + row, lane]
            a1, b1 = block[COSINE + 3 + row, lane], block[SINE + 3 + row, lane]
            a2, b2 = block[COSINE + 6 + row, lane], block[SINE + 6 + row, lane]
            a3, b3 = block[COSINE + 9 + row, lane], block[SINE + 9 + row, lane]
            block[TARGET + row, lane] = (
                block[CENTRE + row, lane]
                + a0 * c0 + b0 * s0 + a1 * c1 + b1 * s1 + a2 * c2 + b2 * s2 + a3 * c3 + b3 * s3
            )  # fmt: skip
            block[TARGET_VELOCITY + row, lane] = (
                block[AIM + row, lane]
                + f0 * (b0 * c0 - a0 * s0) + f1 * (b1 * c1 - a1 * s1)
                + f2 * (b2 * c2 - a2 * s2) + f3 * (b3 * c3 - a3 * s3)
            )  # fmt: skip


@jitted
def keep_time(blocks, index, lines, swarm, num_lines, waves, scratch):
    """Targets and their velocities in a race with a timetable: places on a closed course.

    ``lines[swarm, k]`` holds the Fourier series of line k, as in ``course.py``; ``waves[0]`` is
    where the course's own place is on its lap.  Velocities are led on by accelerations for ``LEAD``
    seconds: a drone has to lean before a bend, and what it observes would not tell it otherwise.
    """
    if lines is None:
        return
    block, turn = view(blocks, index), columns_of(scratch)
    cosine, sine, rate = waves[0, 0], waves[0, 1], waves[0, 2]
    harmonics = lines.shape[2] // 2
    for row in range(TARGET, TARGET + 6):
        for lane in range(LANES):
            block[row, lane] = ZERO
    for k in range(num_lines):
        line = lines[swarm, k]
        for lane in range(LANES):
            c, s = block[HEAD_START, lane], block[HEAD_START + 1, lane]
            mine = ONE if block[LINE, lane] == np.float32(k) else ZERO  # or all of this is nothing
            turn[0, lane], turn[1, lane] = c * cosine - s * sine, s * cosine + c * sine
            turn[2, lane], turn[3, lane] = mine, ZERO
            block[TARGET, lane] += mine * line[0, 0]
            block[TARGET + 1, lane] += mine * line[0, 1]
            block[TARGET + 2, lane] += mine * line[0, 2]
        for h in range(1, harmonics + 1):
            ax, ay, az = line[h, 0], line[h, 1], line[h, 2]
            bx, by, bz = line[harmonics + h, 0], line[harmonics + h, 1], line[harmonics + h, 2]
            w = np.float32(h) * rate
            # Of the velocity: the derivative, and LEAD times the second one
            lead = LEAD * w
            px, py, pz = w * (bx - lead * ax), w * (by - lead * ay), w * (bz - lead * az)
            qx, qy, qz = w * (ax + lead * bx), w * (ay + lead * by), w * (az + lead * bz)
            for lane in range(LANES):
                # Each harmonic is the one before, turned on by the first.
                c = turn[2, lane] * turn[0, lane] - turn[3, lane] * turn[1, lane]
                s = turn[3, lane] * turn[0, lane] + turn[2, lane] * turn[1, lane]
                turn[2, lane], turn[3, lane] = c, s
                block[TARGET, lane] += ax * c + bx * s
                block[TARGET + 1, lane] += ay * c + by * s
                block[TARGET + 2, lane] += az * c + bz * s
                block[TARGET_VELOCITY, lane] += px * c - qx * s
                block[44, lane] += py * c - qy * s
                block[45, lane] += pz * c - qz * s


@inlined
def measure(blocks, index):
    """Distances to the targets."""
    block = view(blocks, index)
    for lane in range(LANES):
        x = block[TARGET, lane] - block[POSITION, lane]
        y = block[41, lane] - block[1, lane]
        z = block[42, lane] - block[2, lane]
        block[DISTANCE, lane] = math.sqrt(x * x + y * y + z * z)


@inlined
def pass_rings(blocks, index, radius_squared):
    """Note who flew through the ring it aims at, from behind to the front, in this step."""
    block = view(blocks, index)
    for lane in range(LANES):
        x, y, z = block[CENTRE, lane], block[CENTRE + 1, lane], block[CENTRE + 2, lane]
        nx, ny, nz = block[AIM, lane], block[AIM + 1, lane], block[AIM + 2, lane]
        ax, ay, az = (
            block[BEFORE, lane] - x, block[BEFORE + 1, lane] - y, block[BEFORE + 2, lane] - z
        )  # fmt: skip
        bx, by, bz = (
            block[POSITION, lane] - x, block[POSITION + 1, lane] - y, block[POSITION + 2, lane] - z
        )  # fmt: skip
        behind, ahead = ax * nx + ay * ny + az * nz, bx * nx + by * ny + bz * nz
        part = behind / (behind - ahead - TINY)
        cx, cy, cz = ax + part * (bx - ax), ay + part * (by - ay), az + part * (bz - az)
        through = (behind < ZERO) & (ahead >= ZERO)
        within = cx * cx + cy * cy + cz * cz <= radius_squared
        block[PASSED, lane] = block[ACTIVE, lane] if through & within else ZERO


@jitted
def next_ring(block, lane, rings, num_rings, num_lines):
    """Turn the drone in a lane to the ring after the one it passed; a timetable goes on alone."""
    ring = (int(block[RING, lane]) + 1) % num_rings
    block[RING, lane] = np.float32(ring)
    for row in range(3):
        block[CENTRE + row, lane] = rings[ring, row]
        block[AIM + row, lane] = rings[ring, 3 + row]
        if num_lines == 0:
            block[TARGET + row, lane] = rings[ring, row]
            block[TARGET_VELOCITY + row, lane] = rings[ring, 3 + row]


# ---- neighbours --------------------------------------------------------------------------------


@inlined
def apart(block, lane, x, y, z):
    """Squared distance from a lane's drone to a point."""
    dx, dy, dz = block[POSITION, lane] - x, block[1, lane] - y, block[2, lane] - z
    return dx * dx + dy * dy + dz * dz


@inlined
def insert(best, key):
    """The three least keys so far, given one more."""
    key0 = key if key < best[0] else best[0]
    key = best[0] if key < best[0] else key
    key1 = key if key < best[1] else best[1]
    key = best[1] if key < best[1] else key
    return key0, key1, key if key < best[2] else best[2]


@inlined
def find_three(blocks, first, num_blocks, index, found, mask):
    """Write each lane's three least keys, beyond those ``found`` before, to ``NEAR + found`` on.

    Rows with a constant number do the work: one that varies would bring alias checks back.
    """
    block = view(blocks, index)
    for lane in range(LANES):
        block[FLOOR, lane] = block[BEST + 2, lane] if found > 0 else -ONE
        block[BEST, lane] = FARTHEST
        block[BEST + 1, lane] = FARTHEST
        block[BEST + 2, lane] = FARTHEST
    for theirs in range(num_blocks):
        other = view(blocks, first + theirs)
        # Four at a time, so that the best so far is loaded and stored a quarter as often.
        for that in range(0, LANES, 4):
            x0, y0, z0 = other[0, that], other[1, that], other[2, that]
            x1, y1, z1 = other[0, that + 1], other[1, that + 1], other[2, that + 1]
            x2, y2, z2 = other[0, that + 2], other[1, that + 2], other[2, that + 2]
            x3, y3, z3 = other[0, that + 3], other[1, that + 3], other[2, that + 3]
            name = theirs * LANES + that
            name0, name1 = np.int32(name), np.int32(name + 1)
            name2, name3 = np.int32(name + 2), np.int32(name + 3)
            if found == 0 and first + theirs != index:
                for lane in range(LANES):
                    best = (block[BEST, lane], block[BEST + 1, lane], block[BEST + 2, lane])
                    best = insert(best, key_of(apart(block, lane, x0, y0, z0), mask, name0))
                    best = insert(best, key_of(apart(block, lane, x1, y1, z1), mask, name1))
                    best = insert(best, key_of(apart(block, lane, x2, y2, z2), mask, name2))
                    best = insert(best, key_of(apart(block, lane, x3, y3, z3), mask, name3))
                    block[BEST, lane], block[BEST + 1, lane], block[BEST + 2, lane] = best
            else:  # the rarer case: leave out the drone itself and those found before
                own = np.float32(that if first + theirs == index else -LANES)
                for lane in range(LANES):
                    best = (block[BEST, lane], block[BEST + 1, lane], block[BEST + 2, lane])
                    last = block[FLOOR, lane]
                    gap = block[LANE, lane] - own
                    key0 = key_of(apart(block, lane, x0, y0, z0), mask, name0)
                    key1 = key_of(apart(block, lane, x1, y1, z1), mask, name1)
                    key2 = key_of(apart(block, lane, x2, y2, z2), mask, name2)
                    key3 = key_of(apart(block, lane, x3, y3, z3), mask, name3)
                    key0 = FARTHEST if (key0 <= last) | (gap == ZERO) else key0
                    key1 = FARTHEST if (key1 <= last) | (gap == ONE) else key1
                    key2 = FARTHEST if (key2 <= last) | (gap == TWO) else key2
                    key3 = FARTHEST if (key3 <= last) | (gap == THREE) else key3
                    best = insert(insert(insert(insert(best, key0), key1), key2), key3)
                    block[BEST, lane], block[BEST + 1, lane], block[BEST + 2, lane] = best
    for lane in range(LANES):
        key0, key1 = block[BEST, lane], block[BEST + 1, lane]
        key2, floor = block[BEST + 2, lane], block[FLOOR, lane]
        alike = alike_keys(floor, key0, mask) | alike_keys(key0, key1, mask)
        alike = alike | alike_keys(key1, key2, mask)
        before = block[DOUBT, lane] if found > 0 else ZERO
        block[DOUBT, lane] = ONE if alike else before
    if found == 0:
        for lane in range(LANES):
            block[NEAR, lane] = block[BEST, lane]
            block[NEAR + 1, lane] = block[BEST + 1, lane]
            block[NEAR + 2, lane] = block[BEST + 2, lane]
    else:
        for lane in range(LANES):
            for row in range(3):
                block[NEAR + found + row, lane] = block[BEST + row, lane]


@inlined
def alike_keys(key, after, mask):
    """Whether two keys share their distance bits, so that their order may be wrong."""
    return (key_of(key, mask, ZERO_BITS) == key_of(after, mask, ZERO_BITS)) & (key < FAR)


@merged
def offer(rows, name, place, after, own, seen):
    """Keep in each lane of ``seen`` the nearest of the drones offered, ties by index.

    Only those beyond ``after``, a squared distance and an index, count, and not one's ``own``.
    """
    x, y, z = place
    last, last_name = after
    for lane in range(LANES):
        squared, label = apart(rows, lane, x, y, z), rows[name, lane]
        best, who = seen[0, lane], seen[1, lane]
        fresh = (squared > last) | ((squared == last) & (label > last_name))
        better = (squared < best) | ((squared == best) & (label < who))
        taken = fresh & better & (label != own)
        seen[0, lane] = squared if taken else best
        seen[1, lane] = label if taken else who


@jitted
def search_exactly(
    blocks, first, num_blocks, index, this, wanted, mask, tiling, nearby, scratch
):  # fmt: skip
    """One lane's nearest drones by whole distances, for keys that cannot tell them apart.

    With tiles they are among the first ``nearby`` ones of ``BOX_NEARBY``.
    """
    block, seen = view(blocks, index), columns_of(scratch)
    place, own = (block[0, this], block[1, this], block[2, this]), block[NAME, this]
    limit = key_of(block[NEAR + wanted, this], mask, ~mask)  # what that key may have stood for
    if tiling is not None:
        box_gaps(tiling[1], nearby, BOX_NEARBY, place + place)
    for row in range(wanted + 1):
        block[NEAR + row, this] = FARTHEST
    after = (-ONE, -ONE)
    for row in range(wanted):
        for lane in range(LANES):
            seen[0, lane], seen[1, lane] = FAR, -ONE
        if tiling is not None:
            tiles, boxes = tiling[0], tiling[1]
            for start in range(0, nearby, LANES):
                bits = boxes_within(boxes, start, nearby, limit)
                while bits != 0:
                    tile = tile_of(tiles, int(boxes[BOX_NEARBY + 6, start + lowest(bits)]))
                    offer(tile, TILE_NAME, place, after, own, seen)
                    bits &= bits - 1
        else:
            for theirs in range(first, first + num_blocks):
                offer(view(blocks, theirs), NAME, place, after, own, seen)
        for lane in range(LANES):
            seen[2, lane] = -seen[0, lane]
        least = -greatest(scratch, 2 * LANES)
        bits = within(scratch, 0, least)
        name = seen[1, lowest(bits)]
        while bits != 0:
            name = min(name, seen[1, lowest(bits)])
            bits &= bits - 1
        if name < ZERO:
            break
        block[NEAR + row, this] = key_of(least, mask, np.int32(name))
        after = (least, name)


@inlined
def index_mask(num_blocks):
    """The bits of a key that hold the distance: all but those that an index needs."""
    bits = LANES
    while bits < num_blocks * LANES:
        bits *= 2
    return np.int32(-bits)


@jitted
def find_nearest(
    blocks, first, num_blocks, neighbours, mask, tiling, few, entry, settings, scratch,
    only_crashed,
):  # fmt: skip
    """The keys of each drone's worst threats, and of its nearest drones, nearest first.

    The nearest are exact, ties by index: one key more than needed is kept, and only where two of
    these share their distance bits can the order be in doubt; such a lane is searched again with
    whole distances.  ``only_crashed`` leaves out the blocks (or tiles) without a drone that
    crashed in this step, when it is one.
    """
    wanted = max(1, neighbours)
    margin = CONFLICT_MARGIN * settings[COLLISION_DISTANCE]
    fastest = top_speed(blocks, first, num_blocks, scratch)
    if tiling is not None:
        search_tiles(
            blocks, first, num_blocks, wanted, mask, tiling, entry, margin, fastest,
            only_crashed, scratch,
        )  # fmt: skip
    if few is not None:
        for index in range(first, first + num_blocks):
            if only_crashed > ZERO and not any_positive(blocks, index, CRASHED):
                continue
            for found in range(0, wanted + 1, 3):
                find_three(blocks, first, num_blocks, index, found, mask)
            block = view(blocks, index)
            watch(block, NEAR, NAME, margin, fastest)
            if any_positive(blocks, index, NAME + ALERT):
                for theirs in range(first, first + num_blocks):
                    heed(block, view(blocks, theirs), NAME, ALL, margin, mask)
            if any_positive(blocks, index, DOUBT):
                for lane in range(LANES):
                    if block[DOUBT, lane] > ZERO:
                        search_exactly(
                            blocks, first, num_blocks, index, lane, wanted, mask, tiling,
                            num_blocks, scratch,
                        )  # fmt: skip


@jitted
def select(order, along, begin, end, middle):
    """Reorder ``order[begin:end]`` so that the entries before ``middle`` are the lower ones.

    Hoare's quickselect, by the coordinate ``along[entry]``.
    """
    end -= 1
    while begin < end:
        pivot = along[order[(begin + end) >> 1]]
        i, j = begin, end
        while i <= j:
            while along[order[i]] < pivot:
                i += 1
            while along[order[j]] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            end = j
        elif middle >= i:
            begin = i
        else:
            return


@jitted
def sort_drones(blocks, first, num_blocks, order, places):
    """Order a swarm's drones so that each 16 in a row are near each other.

    The drones are halved across the longest side of their box, and the halves again, down to
    single tiles (a k-d tree, whose leaves are the tiles).
    """
    for drone in range(num_blocks * LANES):
        block, lane = view(blocks, first + (drone >> 4)), drone & 15
        for axis in range(3):
            places[axis, drone] = block[axis, lane]
        order[drone] = drone
    width = 1
    while width < num_blocks:
        width *= 2
    while width > 1:  # level by level: groups of at most ``width`` tiles
        for group in range(0, num_blocks, width):
            begin, end = group * LANES, min(num_blocks, group + width) * LANES
            middle = (group + width // 2) * LANES
            if middle >= end:
                continue
            longest, side = 0, -ONE
            for axis in range(3):
                low, high = FARTHEST, -FARTHEST
                for i in range(begin, end):
                    place = places[axis, order[i]]
                    low, high = min(low, place), max(high, place)
                if high - low > side:
                    longest, side = axis, high - low
            select(order, places[longest], begin, end, middle)
        width //= 2


@jitted
def pack_tiles(blocks, first, num_blocks, tiles, boxes, order):
    """Copy positions into tiles, in sorted order, with the corners of each tile's box."""
    for t in range(num_blocks):
        tile = tile_of(tiles, t)
        for lane in range(LANES):
            drone = order[t * LANES + lane]
            block, that = view(blocks, first + (drone >> 4)), drone & 15
            flown = flight(block, that)
            tile[0, lane], tile[1, lane], tile[2, lane] = flown[0], flown[1], flown[2]
            tile[3, lane], tile[4, lane] = block[3, that], block[4, that]
            tile[5, lane] = block[5, that]
            tile[TILE_MOVE, lane], tile[TILE_MOVE + 1, lane] = flown[3], flown[4]
            tile[TILE_MOVE + 2, lane] = flown[5]
            tile[TILE_NAME, lane] = np.float32(drone)
        for axis in range(3):
            low, high = tile[axis, 0], tile[axis, 0]
            for lane in range(1, LANES):
                low, high = min(low, tile[axis, lane]), max(high, tile[axis, lane])
            boxes[axis, t], boxes[3 + axis, t] = low, high
            for lane in range(LANES):
                then = tile[axis, lane] + HORIZON * tile[VELOCITY + axis, lane]
                low, high = min(low, then), max(high, then)
            boxes[BOX_SWEPT + axis, t], boxes[BOX_SWEPT + 3 + axis, t] = low, high


@inlined
def compare_tiles(tiles, mine, theirs, mask, again):
    """Offer the drones of one tile to those of another as neighbours."""
    tile, other = tile_of(tiles, mine), tile_of(tiles, theirs)
    for that in range(0, LANES, 4):
        x0, y0, z0 = other[0, that], other[1, that], other[2, that]
        x1, y1, z1 = other[0, that + 1], other[1, that + 1], other[2, that + 1]
        x2, y2, z2 = other[0, that + 2], other[1, that + 2], other[2, that + 2]
        x3, y3, z3 = other[0, that + 3], other[1, that + 3], other[2, that + 3]
        label0, label1 = other[TILE_NAME, that], other[TILE_NAME, that + 1]
        label2, label3 = other[TILE_NAME, that + 2], other[TILE_NAME, that + 3]
        name0, name1, name2, name3 = (
            np.int32(label0), np.int32(label1), np.int32(label2), np.int32(label3)
        )  # fmt: skip
        if mine != theirs and not again:
            for lane in range(LANES):
                best = (tile[TILE_BEST, lane], tile[TILE_BEST + 1, lane], tile[TILE_BEST + 2, lane])
                best = insert(best, key_of(apart(tile, lane, x0, y0, z0), mask, name0))
                best = insert(best, key_of(apart(tile, lane, x1, y1, z1), mask, name1))
                best = insert(best, key_of(apart(tile, lane, x2, y2, z2), mask, name2))
                best = insert(best, key_of(apart(tile, lane, x3, y3, z3), mask, name3))
                tile[TILE_BEST, lane], tile[TILE_BEST + 1, lane] = best[0], best[1]
                tile[TILE_BEST + 2, lane] = best[2]
        else:
            for lane in range(LANES):
                best = (tile[TILE_BEST, lane], tile[TILE_BEST + 1, lane], tile[TILE_BEST + 2, lane])
                last, own = tile[TILE_FLOOR, lane], tile[TILE_NAME, lane]
                key0 = key_of(apart(tile, lane, x0, y0, z0), mask, name0)
                key1 = key_of(apart(tile, lane, x1, y1, z1), mask, name1)
                key2 = key_of(apart(tile, lane, x2, y2, z2), mask, name2)
                key3 = key_of(apart(tile, lane, x3, y3, z3), mask, name3)
                key0 = FARTHEST if (key0 <= last) | (own == label0) else key0
                key1 = FARTHEST if (key1 <= last) | (own == label1) else key1
                key2 = FARTHEST if (key2 <= last) | (own == label2) else key2
                key3 = FARTHEST if (key3 <= last) | (own == label3) else key3
                best = insert(insert(insert(insert(best, key0), key1), key2), key3)
                tile[TILE_BEST, lane], tile[TILE_BEST + 1, lane] = best[0], best[1]
                tile[TILE_BEST + 2, lane] = best[2]


@inlined
def box_of(boxes, row, tile):
    """The corners of a tile's box, from the given row on."""
    return (
        boxes[row, tile], boxes[row + 1, tile], boxes[row + 2, tile],
        boxes[row + 3, tile], boxes[row + 4, tile], boxes[row + 5, tile],
    )  # fmt: skip


@inlined
def between(low, high, other_low, other_high):
    """How far apart two intervals are; zero where they overlap."""
    before, after = low - other_high, other_low - high
    gap = before if before > after else after
    return gap if gap > ZERO else ZERO


@inlined
def box_gaps(boxes, num_tiles, row, corners):
    """Squared distance of every tile's box, from the given row on, from one with given corners."""
    box = boxes_of(boxes)
    x0, y0, z0, x1, y1, z1 = corners
    for t in range(num_tiles):
        dx = between(box[row, t], box[row + 3, t], x0, x1)
        dy = between(box[row + 1, t], box[row + 4, t], y0, y1)
        dz = between(box[row + 2, t], box[row + 5, t], z0, z1)
        box[BOX_GAP, t] = dx * dx + dy * dy + dz * dz


@inlined
def boxes_within(boxes, start, end, limit):
    """A bit for each of 16 boxes from ``start`` on, before ``end``: is its gap up to the limit?"""
    bits = within(boxes, BOX_GAP * MAX_TILES + start, limit)
    return bits & ((1 << (end - start)) - 1) if end - start < LANES else bits


@jitted
def list_boxes(boxes, num_tiles, limit, skip):
    """List the tiles within a squared distance but for one, those that overlap first.

    Returns how many there are, and how many of them overlap.
    """
    box, count, touching = boxes_of(boxes), 0, 0
    for away in range(2):
        for start in range(0, num_tiles, LANES):
            bits = boxes_within(boxes, start, num_tiles, ZERO)
            if away == 1:
                bits = boxes_within(boxes, start, num_tiles, limit) & ~bits
            while bits != 0:
                t = start + lowest(bits)
                bits &= bits - 1
                if t != skip:
                    box[BOX_LIST, count] = np.float32(t)
                    count += 1
        if away == 0:
            touching = count
    return count, touching


@jitted
def search_tiles(
    blocks, first, num_blocks, wanted, mask, tiling, entry, margin, fastest,
    only_crashed, scratch,
):  # fmt: skip
    """Neighbours and threats in a large swarm: compare only tiles whose boxes are near enough.

    The sort decides how fast this is, never what it finds, so it is renewed only when the number
    of comparisons has grown.
    """
    tiles, boxes, order = tiling[0], tiling[1], tiling[2][first // num_blocks]
    fresh = entry[VISITS] == 0
    if fresh:
        places = tiles.reshape(TILE_ROWS, -1)  # before the tiles are filled, their memory is free
        sort_drones(blocks, first, num_blocks, order, places)
    pack_tiles(blocks, first, num_blocks, tiles, boxes, order)
    visits = 0
    for t in range(num_blocks):
        tile = tile_of(tiles, t)
        if only_crashed > ZERO:
            any_crashed = False
            for lane in range(LANES):
                drone = order[t * LANES + lane]
                any_crashed |= view(blocks, first + (drone >> 4))[CRASHED, drone & 15] > ZERO
            if not any_crashed:
                continue
        if boxes[0, t] > SANE:
            continue  # only parked drones
        box_gaps(boxes, num_blocks, BOX_CORNERS, box_of(boxes, BOX_CORNERS, t))
        for lane in range(LANES):
            tile[TILE_FLOOR, lane] = -ONE
        for found in range(0, wanted + 1, 3):
            for row in range(3):
                for lane in range(LANES):
                    tile[TILE_BEST + row, lane] = FARTHEST
            compare_tiles(tiles, t, t, mask, found > 0)
            limit = greatest(tiles, (t * TILE_ROWS + TILE_BEST + 2) * LANES)
            count, touching = list_boxes(boxes, num_blocks, limit, t)
            for i in range(count):
                theirs = int(boxes[BOX_LIST, i])
                if i < touching or boxes[BOX_GAP, theirs] <= limit:
                    compare_tiles(tiles, t, theirs, mask, found > 0)
                    limit = greatest(tiles, (t * TILE_ROWS + TILE_BEST + 2) * LANES)
                    visits += 1
            for lane in range(LANES):
                key0, key1 = tile[TILE_BEST, lane], tile[TILE_BEST + 1, lane]
                key2, floor = tile[TILE_BEST + 2, lane], tile[TILE_FLOOR, lane]
                alike = alike_keys(floor, key0, mask) | alike_keys(key0, key1, mask)
                alike = alike | alike_keys(key1, key2, mask)
                before = tile[TILE_DOUBT, lane] if found > 0 else ZERO
                tile[TILE_DOUBT, lane] = ONE if alike else before
                tile[TILE_FLOOR, lane] = key2
            if found == 0:
                watch(tile, TILE_BEST, TILE_NAME, margin, fastest)
            for lane in range(LANES):
                drone = order[t * LANES + lane]
                block, that = view(blocks, first + (drone >> 4)), drone & 15
                for row in range(3):
                    block[NEAR + found + row, that] = tile[TILE_BEST + row, lane]
        if positive_at(tiles, (t * TILE_ROWS + TILE_DOUBT) * LANES):
            limit = greatest(tiles, (t * TILE_ROWS + TILE_BEST + 2) * LANES)
            count = list_boxes(boxes, num_blocks, key_of(limit, mask, ~mask), num_blocks)[0]
            for i in range(count):
                theirs = int(boxes[BOX_LIST, i])
                for row in range(6):
                    boxes[BOX_NEARBY + row, i] = boxes[row, theirs]
                boxes[BOX_NEARBY + 6, i] = boxes[BOX_LIST, i]
            for lane in range(LANES):
                if tile[TILE_DOUBT, lane] > ZERO:
                    drone = order[t * LANES + lane]
                    search_exactly(
                        blocks, first, num_blocks, first + (drone >> 4), drone & 15, wanted, mask,
                        tiling, count, scratch,
                    )  # fmt: skip
        if positive_at(tiles, (t * TILE_ROWS + TILE_NAME + ALERT) * LANES):
            corners = box_of(boxes, BOX_SWEPT, t)
            box_gaps(boxes, num_blocks, BOX_SWEPT, corners)
            count = list_boxes(boxes, num_blocks, margin * margin, num_blocks)[0]
            for i in range(count):
                heed_tile(tiles, t, int(boxes[BOX_LIST, i]), corners, margin, mask)
        for lane in range(LANES):
            drone = order[t * LANES + lane]
            block, that = view(blocks, first + (drone >> 4)), drone & 15
            for row in range(2):
                block[NAME + THREATS + row, that] = tile[TILE_NAME + THREATS + row, lane]
    if only_crashed == ZERO:
        if fresh:
            entry[VISITS] = visits + num_blocks
        elif 4 * visits > 5 * entry[VISITS]:
            entry[VISITS] = 0


# ---- threats -----------------------------------------------------------------------------------


@inlined
def speed_of(rows, lane):
    """Speed of a lane's drone."""
    u, v, w = rows[3, lane], rows[4, lane], rows[5, lane]
    return math.sqrt(u * u + v * v + w * w)


@inlined
def top_speed(blocks, first, num_blocks, scratch):
    """The greatest speed in a swarm."""
    top = columns_of(scratch)
    for lane in range(LANES):
        top[0, lane] = ZERO
    for index in range(first, first + num_blocks):
        block = view(blocks, index)
        for lane in range(LANES):
            speed = speed_of(block, lane)
            top[0, lane] = speed if speed > top[0, lane] else top[0, lane]
    return greatest(scratch, 0)


@merged
def watch(rows, nearest, name, margin, fastest):
    """Forget each lane's threats, and put it on alert where they must be looked for.

    They need not be where the nearest drone is farther away than both can fly until the horizon,
    as in a swarm at rest, nor where two drones touch this one: nothing is worse.  ``nearest``, the
    first of the nearest drones' keys, and ``name`` are numbers of rows.
    """
    touching = touching_within(margin)
    for lane in range(LANES):
        reach = MATTERS * margin + HORIZON * (speed_of(rows, lane) + fastest)
        there = rows[0, lane] < SANE
        near = (rows[nearest, lane] < CAUTION * reach * reach) & there
        settled = (rows[nearest + 1, lane] < touching) & there
        rows[name + ALERT, lane] = ONE if near & (not settled) else ZERO
        rows[name + THREATS, lane] = rows[nearest, lane] if settled else FARTHEST
        rows[name + THREATS + 1, lane] = rows[nearest + 1, lane] if settled else FARTHEST


@inlined
def touching_within(margin):
    """Squared distance below which drones collide."""
    return margin * margin * (ONE / (CONFLICT_MARGIN * CONFLICT_MARGIN))


@inlined
def relative(rows, lane, other):
    """Position and velocity of another drone relative to a lane's."""
    return (
        other[0] - rows[0, lane], other[1] - rows[1, lane], other[2] - rows[2, lane],
        other[3] - rows[3, lane], other[4] - rows[4, lane], other[5] - rows[5, lane],
    )  # fmt: skip


@inlined
def may_meet(motion, limit):
    """Whether a drone in relative motion may pass within sqrt(limit) before the horizon.

    Divides nothing, and errs on the safe side: a meeting is never missed.
    """
    x, y, z, u, v, w = motion
    squared, closing = x * x + y * y + z * z, -(x * u + y * v + z * w)
    swept = u * u + v * v + w * w
    soon = (closing > ZERO) & (closing < CAUTION * HORIZON * swept)
    return (squared < limit) | (soon & ((squared - limit) * swept < closing * closing))


@inlined
def meet(motion, margin):
    """Where a drone in relative motion will be when it passes, how far away, and how bad that is.

    Both are led on along their present velocities, for up to the horizon, unless they touch now.
    """
    x, y, z, u, v, w = motion
    time = -(x * u + y * v + z * w) / (u * u + v * v + w * w + TINY)
    time = ZERO if time < ZERO else (HORIZON if time > HORIZON else time)
    time = ZERO if x * x + y * y + z * z < touching_within(margin) else time
    x, y, z = x + time * u, y + time * v, z + time * w
    miss = math.sqrt(x * x + y * y + z * z)
    nearness = (margin - miss) * (CONFLICT_MARGIN / (CONFLICT_MARGIN - ONE)) / margin
    nearness = clamp(nearness if nearness > ZERO else ZERO, ONE)
    conflict = nearness * (ONE - time * (ONE / HORIZON))
    return x, y, z, miss, conflict if conflict >= LEAST else ZERO


@inlined
def heed_tile(tiles, mine, theirs, corners, margin, mask):
    """:func:`heed` those of a tile's drones whose way until the horizon comes near a box."""
    tile = tile_of(tiles, theirs)
    for lane in range(LANES):
        gap = ZERO
        for axis in range(3):
            start = tile[axis, lane]
            end = start + HORIZON * tile[VELOCITY + axis, lane]
            low, high = (start, end) if start < end else (end, start)
            side = between(low, high, corners[axis], corners[3 + axis])
            gap += side * side
        tile[TILE_MARKED, lane] = ONE if gap < margin * margin else ZERO
    heed(tile_of(tiles, mine), tile, TILE_NAME, TILE_MARKED, margin, mask)


@merged
def heed(rows, others, name, marks, margin, mask):
    """Keep each lane's two worst threats, now that the drones of another block or tile are seen.

    Few drones meet, so two are looked at roughly first, and those not marked in row ``marks``,
    unless that is ``ALL``, not at all.
    """
    limit = CAUTION * (MATTERS * margin) * (MATTERS * margin)
    for that in range(0, LANES, 2):
        if marks != ALL and others[marks, that] + others[marks, that + 1] == ZERO:
            continue
        other0 = (
            others[0, that], others[1, that], others[2, that],
            others[3, that], others[4, that], others[5, that],
        )  # fmt: skip
        other1 = (
            others[0, that + 1], others[1, that + 1], others[2, that + 1],
            others[3, that + 1], others[4, that + 1], others[5, that + 1],
        )  # fmt: skip
        own0, own1 = others[name, that], others[name, that + 1]
        for lane in range(LANES):
            met0 = may_meet(relative(rows, lane, other0), limit) & (rows[name, lane] != own0)
            met1 = may_meet(relative(rows, lane, other1), limit) & (rows[name, lane] != own1)
            rows[name + MENACED, lane] = rows[name + ALERT, lane] if met0 | met1 else ZERO
        if positive_at(rows, (name + MENACED) * LANES):
            admit(rows, other0, own0, name, margin, mask)
            admit(rows, other1, own1, name, margin, mask)


@merged
def admit(rows, other, own, name, margin, mask):
    """Offer one drone, whose name is ``own``, to all lanes on alert as a threat."""
    label = np.int32(own)
    for lane in range(LANES):
        conflict = meet(relative(rows, lane, other), margin)[4]
        counts = (conflict > ZERO) & (rows[name + ALERT, lane] > ZERO) & (rows[name, lane] != own)
        # Twos less conflicts sort from the worst on, and their bits make keys.
        key = key_of(TWO - conflict, mask, label) if counts else FARTHEST
        worst, second = rows[name + THREATS, lane], rows[name + THREATS + 1, lane]
        rows[name + THREATS, lane] = key if key < worst else worst
        key = worst if key < worst else key
        rows[name + THREATS + 1, lane] = key if key < second else second


# ---- what is seen of others --------------------------------------------------------------------


@inlined
def look_up(blocks, first, block, row, seen, column, mask):
    """Write where the drones are whose keys stand in a row, and how they fly: 6 columns."""
    for lane in range(LANES):
        key = block[row, lane]
        name = name_of(key, mask) if key < FAR else 0
        other, that = view(blocks, first + (name >> 4)), name & 15
        seen[column, lane], seen[column + 1, lane] = other[0, that], other[1, that]
        seen[column + 2, lane], seen[column + 3, lane] = other[2, that], other[3, that]
        seen[column + 4, lane], seen[column + 5, lane] = other[4, that], other[5, that]


@inlined
def gather(blocks, first, index, scratch, settings, neighbours, mask):
    """Each lane's nearest drones: where they are and how they fly; and its meetings ahead."""
    block, seen = view(blocks, index), columns_of(scratch)
    for slot in range(max(1, neighbours)):
        look_up(blocks, first, block, NEAR + slot, seen, OWN_COLUMNS + 6 * slot, mask)
    for lane in range(LANES):
        x, y, z = seen[OWN_COLUMNS, lane], seen[OWN_COLUMNS + 1, lane], seen[OWN_COLUMNS + 2, lane]
        squared = apart(block, lane, x, y, z)
        block[NEAREST, lane] = math.sqrt(squared if block[NEAR, lane] < FAR else FAR)
    foresee(blocks, first, index, scratch, settings, mask)


@inlined
def foresee(blocks, first, index, scratch, settings, mask):
    """Each lane's two worst meetings ahead: how bad the worst is, and what is observed of both."""
    block, seen = view(blocks, index), columns_of(scratch)
    margin = CONFLICT_MARGIN * settings[COLLISION_DISTANCE]
    for lane in range(LANES):
        block[CONFLICT, lane] = ZERO
        threatened = block[NAME + THREATS, lane] < FAR
        block[NAME + MENACED, lane] = ONE if threatened else ZERO
    if not any_positive(blocks, index, NAME + MENACED):
        for column in range(MEETINGS, MEETINGS + 12):
            for lane in range(LANES):
                seen[column, lane] = ZERO
        return
    for rank in range(2):
        row, column = NAME + THREATS + rank, MEETINGS + 6 * rank
        look_up(blocks, first, block, row, seen, column, mask)
        for lane in range(LANES):
            other = (
                seen[column, lane], seen[column + 1, lane], seen[column + 2, lane],
                seen[column + 3, lane], seen[column + 4, lane], seen[column + 5, lane],
            )  # fmt: skip
            motion = relative(block, lane, other)
            x, y, z, miss, conflict = meet(motion, margin)
            conflict = conflict if block[row, lane] < FAR else ZERO
            worst = block[CONFLICT, lane]
            block[CONFLICT, lane] = conflict if conflict > worst else worst
            qw, qx, qy, qz = block[6, lane], block[7, lane], block[8, lane], block[9, lane]
            factor = conflict / (miss + TINY)
            x, y, z = to_body(x * factor, y * factor, z * factor, qw, qx, qy, qz)
            seen[column, lane], seen[column + 1, lane] = clamp(x, ONE), clamp(y, ONE)
            seen[column + 2, lane] = clamp(z, ONE)
            x, y, z = to_body(motion[3], motion[4], motion[5], qw, qx, qy, qz)
            factor = conflict * squash(x, y, z, settings[VELOCITY_SCALE])
            seen[column + 3, lane], seen[column + 4, lane] = x * factor, y * factor
            seen[column + 5, lane] = z * factor


# ---- collisions --------------------------------------------------------------------------------


@inlined
def flight(block, lane):
    """Where a drone is, and how it got there within the step."""
    x, y, z = block[0, lane], block[1, lane], block[2, lane]
    return x, y, z, x - block[BEFORE, lane], y - block[37, lane], z - block[38, lane]


@inlined
def crosses(own, other, limit):
    """Whether two drones in flight come within sqrt(limit) of each other in the step.

    Both are taken to move straight from where they were to where they are, so that they cannot
    pass through each other unseen: they are near at the end, near at the start, or nearest in
    between, where d² - (d·w)² / w² is below the limit (d: offset at the end, w: its change).
    """
    dx, dy, dz = other[0] - own[0], other[1] - own[1], other[2] - own[2]
    wx, wy, wz = other[3] - own[3], other[4] - own[4], other[5] - own[5]
    sx, sy, sz = dx - wx, dy - wy, dz - wz
    end, start = dx * dx + dy * dy + dz * dz, sx * sx + sy * sy + sz * sz
    closed, swept = dx * wx + dy * wy + dz * wz, wx * wx + wy * wy + wz * wz
    between = (closed > ZERO) & (closed < swept) & ((end - limit) * swept < closed * closed)
    return (end < limit) | (start < limit) | between


@jitted
def meets(blocks, first, num_blocks, mine, this, limit, reach, tiling):
    """Whether a drone comes within sqrt(limit) of another in the step.

    ``reach`` bounds how far away, at the end of the step, such another can be.
    """
    own = flight(view(blocks, mine), this)
    if tiling is None:
        for theirs in range(first, first + num_blocks):
            other = view(blocks, theirs)
            self = np.float32(this if theirs == mine else -1)
            for lane in range(LANES):
                hit = crosses(own, flight(other, lane), limit) & (other[LANE, lane] != self)
                other[STRUCK, lane] = ONE if hit else ZERO
            if any_positive(blocks, theirs, STRUCK):
                return True
        return False
    tiles, boxes = tiling[0], tiling[1]
    box_gaps(boxes, num_blocks, BOX_CORNERS, (own[0], own[1], own[2], own[0], own[1], own[2]))
    self = np.float32((mine - first) * LANES + this)
    for t in range(num_blocks):
        if boxes[BOX_GAP, t] > reach * reach:
            continue
        tile = tile_of(tiles, t)
        for lane in range(LANES):
            other = (
                tile[0, lane], tile[1, lane], tile[2, lane],
                tile[TILE_MOVE, lane], tile[TILE_MOVE + 1, lane], tile[TILE_MOVE + 2, lane],
            )  # fmt: skip
            hit = crosses(own, other, limit) & (tile[TILE_NAME, lane] != self)
            tile[TILE_MARKED, lane] = ONE if hit else ZERO
        if positive_at(tiles, (t * TILE_ROWS + TILE_MARKED) * LANES):
            return True
    return False


@inlined
def collide(blocks, first, num_blocks, index, collision_distance, fastest, tiling):
    """Who comes nearer to another drone than the collision distance within this step.

    Nobody can whose nearest drone is now farther than that plus what both can have moved
    (``fastest``: the longest step in the swarm); for the few others the closest approach counts.
    """
    block = view(blocks, index)
    for lane in range(LANES):
        near = block[NEAREST, lane] < collision_distance + block[MOVED, lane] + fastest
        block[CLOSE, lane] = block[ACTIVE, lane] if near else ZERO
        block[COLLIDING, lane] = block[HIT, lane]
    if any_positive(blocks, index, CLOSE):
        limit = collision_distance * collision_distance
        for lane in range(LANES):
            if block[CLOSE, lane] == ZERO:
                continue
            reach = collision_distance + block[MOVED, lane] + fastest
            if block[NEAREST, lane] < collision_distance or meets(
                blocks, first, num_blocks, index, lane, limit, reach, tiling
            ):
                block[COLLIDING, lane] = ONE


@inlined
def longest_move(blocks, first, num_blocks, scratch):
    """The longest step in a swarm, m."""
    longest = columns_of(scratch)
    for lane in range(LANES):
        longest[0, lane] = ZERO
    for index in range(first, first + num_blocks):
        block = view(blocks, index)
        for lane in range(LANES):
            moved = block[MOVED, lane] * block[ACTIVE, lane]
            longest[0, lane] = moved if moved > longest[0, lane] else longest[0, lane]
    return greatest(scratch, 0)


# ---- crashes -----------------------------------------------------------------------------------


@jitted
def strike(blocks, first, num_blocks, mine, this, collision_distance, fastest):
    """Before a crashed drone is taken away: whom did it hit within this step?"""
    block = view(blocks, mine)
    if block[NEAREST, this] > collision_distance + block[MOVED, this] + fastest:
        return
    own, limit = flight(block, this), collision_distance * collision_distance
    for theirs in range(first, first + num_blocks):
        other = view(blocks, theirs)
        self = np.float32(this if theirs == mine else -1)
        for lane in range(LANES):
            near = crosses(own, flight(other, lane), limit) & (other[LANE, lane] != self)
            hit = other[ACTIVE, lane] if near else ZERO
            other[STRUCK, lane] = hit
            other[HIT, lane] = hit if hit > ZERO else other[HIT, lane]
        if any_positive(blocks, theirs, STRUCK):
            block[HIT, this] = ONE


@jitted
def uniform(key, count):
    """A random number in [0, 1), the ``count``-th under a key: splitmix64 (Steele et al., 2014)."""
    mixed = np.uint64(key) + np.uint64(count + 1) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    return np.float32(mixed >> np.uint64(40)) * np.float32(1 / 16777216)


@jitted
def room_at(blocks, first, num_blocks, index, this, x, y, z, holds, scratch):
    """Squared distance from a point to the nearest other drone, or to the target that it holds."""
    room = columns_of(scratch)
    for lane in range(LANES):
        room[0, lane] = -FAR
    for theirs in range(first, first + num_blocks):
        other = view(blocks, theirs)
        self = np.float32(this if theirs == index else -1)
        for lane in range(LANES):
            squared = apart(other, lane, x, y, z)
            dx, dy, dz = other[CENTRE, lane] - x, other[58, lane] - y, other[59, lane] - z
            held = dx * dx + dy * dy + dz * dz if holds else FAR
            squared = held if held < squared else squared
            gone = (other[ACTIVE, lane] == ZERO) | (other[LANE, lane] == self)
            nearness = -FAR if gone else -squared
            room[0, lane] = nearness if nearness > room[0, lane] else room[0, lane]
    return -greatest(scratch, 0)


@jitted
def settle(block, lane):
    """Put a drone at rest, level, with its rotors at hover speed."""
    for row in range(VELOCITY, ROTORS):
        block[row, lane] = ZERO
    block[ATTITUDE, lane] = ONE
    for row in range(4):
        block[ROTORS + row, lane] = block[AIRFRAME + 13, lane]
        block[ACTION + row, lane] = ZERO
    for row in range(3):
        block[BEFORE + row, lane] = block[POSITION + row, lane]
    block[MOVED, lane] = ZERO


@jitted
def respawn(blocks, first, num_blocks, index, this, entry, settings, scratch):
    """Put a crashed drone back at a random place that is clear of the others."""
    block = view(blocks, index)
    spacing = np.float32(1.5) * settings[COLLISION_DISTANCE]
    best = -ONE
    for _ in range(RESPAWN_TRIALS):
        count = 3 * entry[RESPAWN_COUNT]
        entry[RESPAWN_COUNT] += 1
        key = entry[RANDOM_KEY]
        x = (TWO * uniform(key, count) - ONE) * (settings[ARENA] - spacing)
        y = (TWO * uniform(key, count + 1) - ONE) * (settings[ARENA + 1] - spacing)
        z = (TWO * uniform(key, count + 2) - ONE) * (settings[ARENA + 2] - spacing)
        room = room_at(
            blocks, first, num_blocks, index, this, x, y, z, entry[HOLDS] > 0, scratch
        )  # fmt: skip
        if room > best:
            best = room
            block[0, this], block[1, this], block[2, this] = x, y, z
        if best >= spacing * spacing:
            break
    settle(block, this)
    if entry[HOLDS] > 0:
        for row in range(3):
            block[CENTRE + row, this] = block[POSITION + row, this]
            block[TARGET + row, this] = block[POSITION + row, this]


# ---- reward and metrics ------------------------------------------------------------------------


@inlined
def reward(blocks, index, settings, stays, late, settled):
    """Each lane's reward for this step (see ``RewardWeights``), and the sums behind the metrics.

    ``stays`` is zero where a target, being a race ring, is no place to stay.
    """
    block = view(blocks, index)
    progress, approach_, precision = settings[10], stays * settings[11], stays * settings[12]
    ring, collision, conflict = settings[13], settings[14], settings[15]
    smoothness, spin, crash = settings[16], settings[17], settings[18]
    per_diagonal = ONE / settings[DIAGONAL]
    per_graze = ONE / (GRAZE * settings[COLLISION_DISTANCE])
    for lane in range(LANES):
        active = block[ACTIVE, lane]
        touch = (ONE + GRAZE) / GRAZE - block[NEAREST, lane] * per_graze
        touch = ONE if touch > ONE else (ZERO if touch < ZERO else touch)
        touch = ONE if block[COLLIDING, lane] > ZERO else touch
        distance, colliding = block[DISTANCE, lane], block[COLLIDING, lane] * active
        p, q, r = block[10, lane], block[11, lane], block[12, lane]
        value = (
            progress * (block[LAST_DISTANCE, lane] - distance)
            + approach_ * ONE / (ONE + distance)
            + precision * PRECISION_SCALE / (PRECISION_SCALE + distance)
            + ring * block[PASSED, lane]
            - collision * touch
            - conflict * block[CONFLICT, lane]
            - smoothness * block[CHANGE, lane]
            - spin * (p * p + q * q + r * r)
            - crash * block[CRASHED, lane]
        )
        value = value if active > ZERO else ZERO
        block[REWARD, lane] = value
        block[RETURN, lane] += value
        block[SCORE, lane] += active * (ONE - distance * per_diagonal - colliding)
        block[COLLISIONS, lane] += colliding * (ONE - block[COLLIDED, lane])
        block[COLLISION_STEPS, lane] += colliding
        block[CRASHES, lane] += block[CRASHED, lane]
        block[FAULTS, lane] += block[FAULT, lane]
        block[RINGS, lane] += block[PASSED, lane]
        block[COLLIDED, lane] = colliding * (ONE - block[CRASHED, lane])
    if late:
        for lane in range(LANES):
            distance, farthest = block[DISTANCE, lane], block[LATE_FARTHEST, lane]
            block[LATE_SQUARES, lane] += distance * distance
            block[LATE_FARTHEST, lane] = distance if distance > farthest else farthest
    if settled:
        for lane in range(LANES):
            nearest, least = block[NEAREST, lane], block[SEPARATION, lane]
            counts = (nearest < least) & (block[ACTIVE, lane] > ZERO)
            block[SEPARATION, lane] = nearest if counts else least


@inlined
def mean_reward(blocks, first, num_blocks):
    """Mean over the drones of a swarm that flew in this step."""
    # Four sums, so that no addition waits for the one before
    a, b, c, d, flying = 0.0, 0.0, 0.0, 0.0, ZERO
    for index in range(first, first + num_blocks):
        block = view(blocks, index)
        for lane in range(0, LANES, 4):
            a += block[REWARD, lane]
            b += block[REWARD, lane + 1]
            c += block[REWARD, lane + 2]
            d += block[REWARD, lane + 3]
            flying += (block[ACTIVE, lane] + block[ACTIVE, lane + 1]) + (
                block[ACTIVE, lane + 2] + block[ACTIVE, lane + 3]
            )
    return ((a + b) + (c + d)) / max(flying, ONE)


@inlined
def count_formed(blocks, first, num_blocks, scratch):
    """How many drones of a swarm are within 0.25 m of their targets."""
    formed = columns_of(scratch)
    for lane in range(LANES):
        formed[0, lane] = ZERO
    for index in range(first, first + num_blocks):
        block = view(blocks, index)
        for lane in range(LANES):
            near = block[DISTANCE, lane] <= FORMED_DISTANCE
            formed[0, lane] += block[ACTIVE, lane] if near else ZERO
    total = ZERO
    for lane in range(LANES):
        total += formed[0, lane]
    return total


# ---- observation -------------------------------------------------------------------------------


@inlined
def observe(blocks, index, scratch, settings, neighbours):
    """Each lane's observation (see ``observation_table``), into the columns of the scratch.

    What :func:`gather` left there of the neighbours is turned into the drone's own terms.
    """
    block, seen = view(blocks, index), columns_of(scratch)
    far_scale, mid_scale, near_scale = settings[19], settings[20], settings[21]
    velocity_scale, rate_scale = settings[VELOCITY_SCALE], settings[RATE_SCALE]
    nearness = settings[NEIGHBOUR_SCALE]
    for lane in range(LANES):
        qw, qx, qy, qz = block[6, lane], block[7, lane], block[8, lane], block[9, lane]
        x, y, z = to_body(
            block[TARGET, lane] - block[0, lane],
            block[41, lane] - block[1, lane],
            block[42, lane] - block[2, lane],
            qw, qx, qy, qz,
        )  # fmt: skip
        length = math.sqrt(x * x + y * y + z * z)
        far, mid, near = far_scale + length, mid_scale + length, near_scale + length
        every = ONE / (far * mid * near)  # one division for three
        far, mid, near = every * mid * near, every * far * near, every * far * mid
        seen[0, lane], seen[1, lane], seen[2, lane] = x * far, y * far, z * far
        seen[3, lane], seen[4, lane], seen[5, lane] = x * mid, y * mid, z * mid
        seen[6, lane], seen[7, lane], seen[8, lane] = x * near, y * near, z * near
        x, y, z = to_body(
            block[3, lane] - block[TARGET_VELOCITY, lane],
            block[4, lane] - block[44, lane],
            block[5, lane] - block[45, lane],
            qw, qx, qy, qz,
        )  # fmt: skip
        factor = squash(x, y, z, velocity_scale)
        seen[9, lane], seen[10, lane], seen[11, lane] = x * factor, y * factor, z * factor
        x, y, z = to_body(block[3, lane], block[4, lane], block[5, lane], qw, qx, qy, qz)
        factor = squash(x, y, z, velocity_scale)
        seen[12, lane], seen[13, lane], seen[14, lane] = x * factor, y * factor, z * factor
        p, q, r = block[10, lane], block[11, lane], block[12, lane]
        factor = squash(p, q, r, rate_scale)
        seen[15, lane], seen[16, lane], seen[17, lane] = p * factor, q * factor, r * factor
        # Clamped where rounding could carry a number past one
        seen[18, lane] = clamp(TWO * (qx * qz - qw * qy), ONE)
        seen[19, lane] = clamp(TWO * (qy * qz + qw * qx), ONE)
        seen[20, lane] = clamp(ONE - TWO * (qx * qx + qy * qy), ONE)
        hover, top = block[AIRFRAME + 13, lane], block[AIRFRAME + 10, lane]
        above, below = ONE / (top - hover), ONE / hover
        for rotor in range(4):
            excess = block[ROTORS + rotor, lane] - hover
            level = excess * (above if excess > ZERO else below)
            seen[21 + rotor, lane] = clamp(level, ONE)
    for slot in range(neighbours):
        row = OWN_COLUMNS + 6 * slot
        for lane in range(LANES):
            qw, qx, qy, qz = block[6, lane], block[7, lane], block[8, lane], block[9, lane]
            there = ONE if block[NEAR + slot, lane] < FAR else ZERO
            x, y, z = to_body(
                seen[row, lane] - block[0, lane],
                seen[row + 1, lane] - block[1, lane],
                seen[row + 2, lane] - block[2, lane],
                qw, qx, qy, qz,
            )  # fmt: skip
            length = math.sqrt(x * x + y * y + z * z)
            factor = there * nearness / ((nearness + length) * (length + TINY))
            seen[row, lane], seen[row + 1, lane], seen[row + 2, lane] = (
                x * factor,
                y * factor,
                z * factor,
            )
            x, y, z = to_body(
                seen[row + 3, lane] - block[3, lane],
                seen[row + 4, lane] - block[4, lane],
                seen[row + 5, lane] - block[5, lane],
                qw, qx, qy, qz,
            )  # fmt: skip
            factor = there * squash(x, y, z, velocity_scale)
            seen[row + 3, lane], seen[row + 4, lane], seen[row + 5, lane] = (
                x * factor,
                y * factor,
                z * factor,
            )


@inlined
def write_rows(scratch, count, rows, start, size):
    """Turn the scratch's columns into ``count`` rows of ``size``, from ``rows[start]`` on."""
    seen = columns_of(scratch)
    if count < LANES:
        for lane in range(count):
            for column in range(size):
                rows[start + lane * size + column] = seen[column, lane]
        return
    for lane in range(0, LANES, 8):
        for column in range(0, size, 8):
            column = min(column, size - 8)  # the last tile overlaps the one before
            transpose(scratch, column, lane, rows, start + lane * size + column, size)


# ---- one swarm, one step -----------------------------------------------------------------------


@jitted
def swing(frequencies, step, waves):
    """The harmonics after a number of steps, in double precision: cosine, sine, frequency.

    ``frequencies[k]`` is the same in rad/s and in rad per step.
    """
    for k in range(len(frequencies)):
        waves[k, 0] = np.float32(math.cos(frequencies[k, 1] * step))
        waves[k, 1] = np.float32(math.sin(frequencies[k, 1] * step))
        waves[k, 2] = np.float32(frequencies[k, 0])


@inlined
def tell(
    blocks, swarm, index, start, settings, neighbours, scratch, observations, all_active
):  # fmt: skip
    """Write the observations of a block's drones, the first being ``start``; zeros for the gone."""
    num_drones, size = observations.shape[1], observations.shape[2]
    block, rows = view(blocks, index), observations.reshape(-1)
    count = min(LANES, num_drones - start)
    place = (swarm * num_drones + start) * size
    observe(blocks, index, scratch, settings, neighbours)
    write_rows(scratch, count, rows, place, size)
    if all_active:
        return
    for lane in range(count):
        if block[ACTIVE, lane] == ZERO:
            rows[place + lane * size : place + (lane + 1) * size] = ZERO


@merged
def bury(
    blocks, swarm, num_blocks, table, settings, neighbours, scratch, tiling, few, finals,
    fastest,
):  # fmt: skip
    """Crashed drones: whom they hit, what they saw last, and where they start again."""
    first = swarm * num_blocks
    mask = index_mask(num_blocks)
    find_nearest(
        blocks, first, num_blocks, neighbours, mask, tiling, few, table[swarm], settings,
        scratch, ONE,
    )  # fmt: skip
    for b in range(num_blocks):
        if not any_positive(blocks, first + b, CRASHED):
            continue
        block = view(blocks, first + b)
        gather(blocks, first, first + b, scratch, settings, neighbours, mask)
        observe(blocks, first + b, scratch, settings, neighbours)
        for lane in range(LANES):
            if block[CRASHED, lane] > ZERO:
                strike(
                    blocks, first, num_blocks, first + b, lane, settings[COLLISION_DISTANCE],
                    fastest,
                )  # fmt: skip
                for column in range(finals.shape[2]):
                    finals[swarm, b * LANES + lane, column] = scratch[column, lane]
    for index in range(first, first + num_blocks):
        block = view(blocks, index)
        for lane in range(LANES):
            if block[CRASHED, lane] > ZERO:
                respawn(
                    blocks, first, num_blocks, index, lane, table[swarm], settings, scratch
                )  # fmt: skip


@jitted
def park(block, lane):
    """Take a drone out of play."""
    block[ACTIVE, lane] = ZERO
    block[CRASHED, lane] = ZERO
    for row in range(3):
        block[POSITION + row, lane] = PARKED
    settle(block, lane)


@merged
def step_swarm(
    blocks, swarm, num_blocks, table, frequencies, rings, lines, settings, neighbours, scratch,
    waves, tiling, few, actions, observations, finals, rewards, means, crashed,
):  # fmt: skip
    """Advance one swarm by one control step and write what came of it."""
    num_drones = observations.shape[1]
    first, last = swarm * num_blocks, swarm * num_blocks + num_blocks
    entry = table[swarm]
    entry[STEP] += 1
    harmonics, num_rings, num_lines = entry[HARMONICS_USED], entry[NUM_RINGS], entry[NUM_LINES]
    respawns = settings[RESPAWNS] > ZERO

    mask = index_mask(num_blocks)

    crashes = False
    for b in range(num_blocks):
        start = 4 * (swarm * num_drones + b * LANES)
        count = min(LANES, num_drones - b * LANES)
        load_actions(blocks, first + b, actions, start, count, scratch)
        fly(blocks, first + b, settings)
        crashes |= any_positive(blocks, first + b, CRASHED)
    if not respawns:  # who is gone stays parked
        for index in range(first, last):
            block = view(blocks, index)
            for lane in range(LANES):
                if block[ACTIVE, lane] == ZERO:
                    park(block, lane)
    fastest = longest_move(blocks, first, num_blocks, scratch)
    if crashes:
        for index in range(first, last):
            contain(blocks, index)

    if harmonics > 0:
        swing(frequencies[swarm], entry[STEP], waves)
        for index in range(first, last):
            if num_lines > 0:
                keep_time(blocks, index, lines, swarm, num_lines, waves, scratch)
            else:
                move_targets(blocks, index, waves)
    for index in range(first, last):
        measure(blocks, index)
        if num_rings > 0:
            pass_rings(blocks, index, settings[RING_RADIUS_SQUARED])
    if crashes and respawns:
        bury(
            blocks, swarm, num_blocks, table, settings, neighbours, scratch, tiling, few, finals,
            fastest,
        )  # fmt: skip
    find_nearest(
        blocks, first, num_blocks, neighbours, mask, tiling, few, entry, settings, scratch, ZERO
    )

    formed = count_formed(blocks, first, num_blocks, scratch)
    stays = ONE if num_rings == 0 or num_lines > 0 else ZERO
    late, settled = entry[STEP] >= settings[LATE_FROM], entry[STEP] >= SETTLING_STEPS
    for b in range(num_blocks):
        index, start = first + b, b * LANES
        block, count = view(blocks, index), min(LANES, num_drones - start)
        gather(blocks, first, index, scratch, settings, neighbours, mask)
        collide(
            blocks, first, num_blocks, index, settings[COLLISION_DISTANCE], fastest, tiling
        )  # fmt: skip
        reward(blocks, index, settings, stays, late, settled)
        for lane in range(count):
            rewards[swarm, start + lane] = block[REWARD, lane]
        if crashes or entry[CLEAN] == 0:
            for lane in range(count):
                crashed[swarm, start + lane] = block[CRASHED, lane] > ZERO
        if num_rings > 0:
            for lane in range(count):
                if block[PASSED, lane] > ZERO:
                    next_ring(block, lane, rings[swarm], num_rings, num_lines)
        if num_rings > 0 or crashes:  # new rings or new places
            measure(blocks, index)
        for lane in range(LANES):
            block[LAST_DISTANCE, lane] = block[DISTANCE, lane]
        tell(
            blocks, swarm, index, start, settings, neighbours, scratch, observations, respawns
        )  # fmt: skip
    means[swarm] = mean_reward(blocks, first, num_blocks)
    entry[CLEAN] = not crashes
    if formed < FORMED_SHARE * num_drones:
        entry[LAST_UNFORMED] = entry[STEP]

    if crashes and not respawns:
        for index in range(first, last):
            block = view(blocks, index)
            for lane in range(LANES):
                if block[CRASHED, lane] > ZERO:
                    park(block, lane)


@jitted
def contain(blocks, index):
    """Put drones whose numbers have blown up to rest where they were: nothing of it may spread."""
    block = view(blocks, index)
    for lane in range(LANES):
        if block[FAULT, lane] > ZERO:
            for row in range(3):
                before = block[BEFORE + row, lane]
                block[POSITION + row, lane] = before if abs(before) < SANE else ZERO
            settle(block, lane)


@merged
def begin_episode(
    blocks, swarm, num_blocks, table, frequencies, lines, settings, neighbours, scratch, waves,
    tiling, few, observations,
):  # fmt: skip
    """Targets, distances and observations of one swarm right after a reset."""
    num_drones, first = observations.shape[1], swarm * num_blocks
    entry = table[swarm]
    swing(frequencies[swarm], entry[STEP], waves)
    for index in range(first, first + num_blocks):
        if entry[NUM_LINES] > 0:
            keep_time(blocks, index, lines, swarm, entry[NUM_LINES], waves, scratch)
        else:
            move_targets(blocks, index, waves)
        measure(blocks, index)
        block = view(blocks, index)
        for lane in range(LANES):
            block[LAST_DISTANCE, lane] = block[DISTANCE, lane]
    formed = count_formed(blocks, first, num_blocks, scratch)
    entry[LAST_UNFORMED] = -1 if formed >= FORMED_SHARE * num_drones else 0
    mask = index_mask(num_blocks)
    find_nearest(
        blocks, first, num_blocks, neighbours, mask, tiling, few, entry, settings, scratch, ZERO
    )
    for b in range(num_blocks):
        gather(blocks, first, first + b, scratch, settings, neighbours, mask)
        tell(
            blocks, swarm, first + b, b * LANES, settings, neighbours, scratch, observations,
            settings[RESPAWNS] > ZERO,
        )  # fmt: skip


# ---- what Swarms calls -------------------------------------------------------------------------


@jitted
def all_finite(values):
    """Whether no entry of a flat array is NaN or infinite."""
    bad = 0
    for i in range(len(values)):
        bad |= not (abs(values[i]) < np.inf)
    return bad == 0


# The board is how threads share the steps (int64).  What some read while they wait is kept two
# cache lines away from what others write.
TICKET = 0  # number of the step that is under way, or of the latest; below 0 when work is over
DONE = 16  # swarms that have been through it
CLAIMS = 32  # and more, one of each swarm: the latest step that a thread has claimed it for
APART = 16  # then, so far apart, the latest step that each thread has seen
PATIENCE = 2_000  # pauses, some 0.1 ms, until a helper without work goes to sleep
LONG_PATIENCE = 100_000  # and until the caller does, who waits for helpers to finish

READY, NOT_FINITE, NOT_STARTED, WAITING = 0, 1, 2, 3


@compiled(**_OPTIONS)
def advance(
    blocks, table, frequencies, rings, lines, settings, neighbours, scratch, waves, tiling, few,
    actions, observations, finals, rewards, means, crashed, truncated, board, thread, begin, end,
    fresh,
):  # fmt: skip
    """Advance all swarms by one control step, or begin the episodes of some (``fresh``).

    One entry for all, since every entry costs seconds of compilation, and for the checks too,
    since every call from Python costs a microsecond.  Nothing moves, in any swarm, unless all
    actions are finite and all swarms have been reset.

    **Threads.**  Thread 0 is the caller's; the others stay in here as helpers from step to step,
    and leave when there is none for a while.  Each begins with swarms ``begin`` to ``end`` and then
    goes on to those of others, which nobody has claimed: who comes late, or is held up by other
    programs, finds less to do, and no one waits for him.  The caller leaves when every swarm is
    done, or has taken long.
    """
    num_swarms = len(table)
    if thread == 0 and not fresh:
        if not all_finite(actions):
            return NOT_FINITE
        for swarm in range(num_swarms):
            if table[swarm, STARTED] == 0:
                return NOT_STARTED
    num_blocks = (observations.shape[1] + LANES - 1) // LANES
    shared = len(board) > 0 and not fresh
    count, ticket = end - begin, 0
    if shared:
        count = num_swarms
        if thread == 0:
            ticket = board[TICKET] + 1
            board[DONE] = 0
            add(board, TICKET, 1)
    while True:
        if thread > 0:
            place = CLAIMS + num_swarms + APART * thread
            seen = board[place]
            for _ in range(PATIENCE):
                ticket = peek(board, TICKET)
                if ticket != seen:
                    break
                pause()
            if ticket == seen or ticket < 0:
                return READY
            board[place] = ticket
        for k in range(count):
            swarm = begin + k
            if shared:
                swarm %= num_swarms
                if not replace(board, CLAIMS + swarm, ticket - 1, ticket):
                    continue
            if fresh:
                begin_episode(
                    blocks, swarm, num_blocks, table, frequencies, lines, settings[swarm],
                    neighbours, scratch, waves, tiling, few, observations,
                )  # fmt: skip
            else:
                step_swarm(
                    blocks, swarm, num_blocks, table, frequencies, rings, lines, settings[swarm],
                    neighbours, scratch, waves, tiling, few, actions, observations, finals,
                    rewards, means, crashed,
                )  # fmt: skip
                truncated[swarm] = table[swarm, STEP] >= table[swarm, MAX_STEPS]
            if shared:
                add(board, DONE, 1)
        if thread == 0:
            break
    if shared:
        for _ in range(LONG_PATIENCE):
            if peek(board, DONE) == num_swarms:
                return READY
            pause()
        return WAITING
    return READY
