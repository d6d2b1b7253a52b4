"""Stream families: pure functions from a label array to a :class:`~cl_engine.scenarios.plan.StreamPlan`.

Each kind below is a function ``family(targets, *, options..., seed)``; its keyword arguments are its options.
"""

KINDS = {
    "class-incremental": "cl_engine.scenarios.class_incremental:class_incremental",
}
