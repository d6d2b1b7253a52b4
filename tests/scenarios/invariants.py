"""What every plan keeps (U1-U12), and what the tests of the families count."""

import random

import numpy as np
import torch

from cl_engine.scenarios.plan import exposure_order


def class_counts(targets, plan):
    """Return how many samples of each class each experience holds, int64 ``[T, C]``, labels ascending."""
    labels = np.unique(targets)
    return np.stack(
        [
            np.bincount(np.searchsorted(labels, targets[plan.experience(t)]), minlength=len(labels))
            for t in range(len(plan))
        ]
    )


def check_plan(targets, plan):
    """Check U1-U4, U8 and U11 on one plan."""
    assert plan.indices.dtype == np.int64
    assert plan.samples == len(targets)
    if len(plan.indices):
        assert plan.indices.min() >= 0
        assert plan.indices.max() < len(targets)
    for t in range(len(plan)):
        assert len(np.unique(plan.experience(t))) == plan.sizes[t]
    delivered = np.unique(plan.indices)
    if not plan.repeats:
        assert len(delivered) == len(plan.indices)
        assert (class_counts(targets, plan).sum(0) <= np.unique(targets, return_counts=True)[1]).all()
    missing = len(targets) - len(delivered)
    assert plan.dropped == missing
    assert any(f"{missing} of {len(targets)} samples" in note for note in plan.notes) == bool(missing)

    exposed = exposure_order(targets, plan)
    assert sorted(exposed) == np.unique(targets[plan.indices]).tolist()
    seen = []
    for t in range(len(plan)):
        new = [label for label in dict.fromkeys(targets[plan.experience(t)].tolist()) if label not in seen]
        if plan.class_order is not None:
            new.sort(key=plan.class_order.tolist().index)
        assert exposed[len(seen) : len(seen) + len(new)].tolist() == new
        seen += new


def check_seeds(family, targets, **options):
    """Check U5 and U7, and that no global generator is read or moved."""
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    prints = [family(targets, seed=seed, **options).fingerprint for seed in range(10)]
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()
    assert before[2] == random.getstate()

    torch.manual_seed(2)
    np.random.seed(2)
    assert prints == [family(targets.copy(), seed=seed, **options).fingerprint for seed in range(10)]
    assert len(set(prints)) == 10


def check_uniform_order(targets, plan, bins=10):
    """Check U12 on the largest experience: the positions of its commonest class, and of low indices."""
    samples = plan.experience(int(np.argmax(plan.sizes)))
    values, counts = np.unique(targets[samples], return_counts=True)
    for chosen in (targets[samples] == values[np.argmax(counts)], samples < np.median(samples)):
        expected = np.array([len(part) for part in np.array_split(samples, bins)]) * chosen.mean()
        observed = np.array([part.sum() for part in np.array_split(chosen, bins)])
        if expected.min() >= 5:
            assert ((observed - expected) ** 2 / expected).sum() < 60  # 9 degrees of freedom: p < 1e-8
