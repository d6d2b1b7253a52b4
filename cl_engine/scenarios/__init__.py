"""Stream families: pure functions from a label array to a :class:`~cl_engine.scenarios.plan.StreamPlan`.

Each kind below is a function ``family(targets, *, options..., seed)``; its keyword arguments are its options.
"""

KINDS = {
    "class-incremental": "cl_engine.scenarios.class_incremental:class_incremental",
    "blurry": "cl_engine.scenarios.blurry:blurry",
    "i-blurry": "cl_engine.scenarios.i_blurry:i_blurry",
    "si-blurry": "cl_engine.scenarios.si_blurry:si_blurry",
    "gcil": "cl_engine.scenarios.gcil:gcil",
    "repetition-slots": "cl_engine.scenarios.repetition_slots:repetition_slots",
    "repetition-sampled": "cl_engine.scenarios.repetition_sampled:repetition_sampled",
}
