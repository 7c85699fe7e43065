"""The compiled simulator, a stage per module, in the order in which the data flows::

    actions -> control -> forces -> dynamics -> targets -> neighbours -> conflicts -> collisions
            -> rewards -> observation

``step`` reads like a table of contents; ``Swarms`` calls its one entry, ``step.advance``.

**Layout.**  Drones are stored in blocks of 16 lanes, ``blocks[block, row, lane]``: a row is one
quantity (``layout`` has the table), a lane is one drone.  A swarm takes ceil(N / 16) blocks; its
last lanes may be padding, which stands far away.  Every loop over lanes sees its block through
``simd.view``, whose shape is a compile-time constant: strides are then known, LLVM needs no
run-time alias checks and emits full-width SIMD.  The physics itself is plain scalar code.

**Types.**  Everything is float32; constants are wrapped, since float32 times a Python literal
would be computed in float64.  Division follows NumPy (``error_model``), because the Python model's
check stops vectorisation.  There is no fast-math: every operation is rounded as IEEE 754 says, so
that results depend neither on the processor nor on what the compiler merges, and a NaN stays a NaN.

**Words.**  In the docstrings here, S is the number of swarms, N of drones in each, B of blocks in
each, R of race rings, D the length of an observation.
"""
