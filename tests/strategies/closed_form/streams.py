"""Feature streams with classes that return, late, rare and frequent ones, and what NumPy makes of them."""

import numpy as np
import torch

from cl_engine.data.samples import Samples
from cl_engine.kinds.registry import load
from cl_engine.kinds.validation import validate
from cl_engine.running.learning import learn
from cl_engine.scenarios.delivery import Delivery
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.rebuilding import Rebuilder
from cl_engine.terms.terms import Terms

FEATURES, CLASSES = 6, 5
PARTS = [(0, 1), (1, 2), (0, 2, 3), (0, 1), (4, 3)]  # the classes of each experience; the fourth brings nothing new


def data(samples=240, seed=0):
    """Return features float32 and classes, far from balanced."""
    random = np.random.RandomState(seed)
    y = random.choice(CLASSES, size=samples, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    y[:CLASSES] = range(CLASSES)
    centres = random.normal(size=(CLASSES, FEATURES))
    x = (centres[y] + 0.7 * random.normal(size=(samples, FEATURES))).astype("f4")
    return x, y


def experiences(x, y, parts=PARTS, seed=1):
    """Divide the samples over experiences: each to one of those that have its class, at least one to each."""
    random, owner = np.random.RandomState(seed), np.empty(len(y), int)
    for c in np.unique(y):
        having = [k for k, classes in enumerate(parts) if c in classes]
        rows = np.flatnonzero(y == c)
        owner[rows] = np.concatenate([having, random.choice(having, size=max(0, len(rows) - len(having)))])[
            : len(rows)
        ]
    return [np.flatnonzero(owner == k) for k in range(len(parts))]


def rebuilder(kind, options=None, parts=PARTS, online=False, evaluate_every=None, seed=5):
    exposures, seen = [], 0
    for classes in parts:
        new = tuple(sorted(c for c in classes if c >= seen))
        seen += len(new)
        exposures.append(Exposure(tuple(sorted(classes)), new, seen))
    terms = Terms(tuple(exposures), (FEATURES,), seed=seed, online=online, evaluate_every=evaluate_every)
    strategy = load("strategies", kind)
    return Rebuilder(strategy, validate(strategy, options or {}), terms)


def learned(kind, options=None, *, x=None, y=None, parts=PARTS, batch=None, order=None, **terms):
    """Learn the stream as the engine does, from held state to held state; return the strategy as it is evaluated."""
    if x is None:
        x, y = data()
    made, held, notes = rebuilder(kind, options, parts, online=batch is not None, **terms), None, []
    for index, rows in enumerate(experiences(x, y, parts)):
        rows = rows if order is None else order(rows)
        samples = Samples(torch.from_numpy(x[rows]), torch.from_numpy(y[rows]))
        stops = (*range(batch, len(rows), batch), len(rows)) if batch else (len(rows),)
        outcome = learn(made, index, held, samples, Delivery(stops, frozenset()))
        held, notes = outcome.held, [*notes, *outcome.notes]
    strategy = made.rebuilt(len(parts), held)
    strategy.notes.extend(notes)
    return strategy


def scores(strategy, x):
    with torch.no_grad():
        return strategy.predict(torch.from_numpy(x)).numpy()


def ridge(phi, targets, gamma, weights=None):
    """Return ridge weights by a QR of the augmented matrix, rows weighted."""
    root = np.sqrt(np.ones(len(phi)) if weights is None else weights)[:, None]
    q, r = np.linalg.qr(np.vstack([phi * root, np.sqrt(gamma) * np.eye(phi.shape[1])]))
    return np.linalg.solve(r, q.T @ np.vstack([targets * root, np.zeros((phi.shape[1], targets.shape[1]))]))


def relative(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def projection(width=9, seed=7):
    return np.random.RandomState(seed).normal(size=(FEATURES, width))


def saved(path, **arrays):
    np.savez(path, **arrays)
    return str(path)
