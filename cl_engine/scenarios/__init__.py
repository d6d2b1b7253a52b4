"""Stream families: pure functions from a label array to a :class:`~cl_engine.scenarios.plan.StreamPlan`.

Each kind below is a function ``family(targets, *, options..., seed)``; its keyword arguments are its options.
One that is ``family(targets, domains, *, ...)`` is handed the domains of the data too, or None.
A modifier changes the stream of any family and is declared the same way; they apply in the order given here,
``imbalance`` before the family and the rest after it (:mod:`cl_engine.scenarios.composition`).  A reduction leaves
deliveries out of the finished plan.
"""

KINDS = {
    "class-incremental": "cl_engine.scenarios.families.class_incremental:class_incremental",
    "blurry": "cl_engine.scenarios.families.blurry:blurry",
    "i-blurry": "cl_engine.scenarios.families.i_blurry:i_blurry",
    "si-blurry": "cl_engine.scenarios.families.si_blurry:si_blurry",
    "gcil": "cl_engine.scenarios.families.gcil:gcil",
    "repetition-slots": "cl_engine.scenarios.families.repetition_slots:repetition_slots",
    "repetition-sampled": "cl_engine.scenarios.families.repetition_sampled:repetition_sampled",
    "task-incremental": "cl_engine.scenarios.families.task_incremental:task_incremental",
    "domain-incremental": "cl_engine.scenarios.families.domain_incremental:domain_incremental",
    "data-incremental": "cl_engine.scenarios.families.data_incremental:data_incremental",
    "few-shot": "cl_engine.scenarios.families.few_shot:few_shot",
    "linear-decay": "cl_engine.scenarios.families.linear_decay:linear_decay",
    "gaussian-schedule": "cl_engine.scenarios.families.gaussian_schedule:gaussian_schedule",
    "plan": "cl_engine.scenarios.families.stored:stored",
}
CANONICAL = {  # of kinds whose options have several spellings: the function that returns the one
    "class-incremental": "cl_engine.scenarios.families.class_incremental:canonical",
    "task-incremental": "cl_engine.scenarios.families.class_incremental:canonical",
    "domain-incremental": "cl_engine.scenarios.families.domain_incremental:canonical",
    "few-shot": "cl_engine.scenarios.families.few_shot:canonical",
}
MODIFIERS = {
    "imbalance": "cl_engine.scenarios.modifiers.imbalance:imbalance",
    "drift": "cl_engine.scenarios.modifiers.drift:drift",
    "sizes": "cl_engine.scenarios.modifiers.sizes:sizes",
    "label_noise": "cl_engine.scenarios.modifiers.label_noise:label_noise",
}
REDUCTIONS = {
    "shard": "cl_engine.scenarios.modifiers.shard:shard",
    "without": "cl_engine.scenarios.modifiers.without:without",
}
