"""The fluid limit of a service: images as a continuum, accuracy linear in the shares of versions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from cl_engine.errors import InputError
from cl_engine.metrics.compatibility import Rows, lower_triangle
from cl_engine.service.policy import Policy


@dataclass(frozen=True)
class Piece:
    """A stretch of time in which every number of vectors changes at a constant rate.

    Attributes:
        start: when it begins, seconds.
        end: when it ends.
        scores: accuracy of the serving model in a gallery of each version, a row of the matrix.
        first: vectors of each version that are searched, when it begins.
        last: when it ends.
        building: vectors of an index that is not yet searched, when it ends.
    """

    start: float
    end: float
    scores: tuple[float, ...]
    first: tuple[float, ...]
    last: tuple[float, ...]
    building: float = 0.0

    def accuracy(self, time: float) -> float:
        """Return the accuracy at a time inside."""
        right, size = self._at(time)
        return right / size

    def integral(self, start: float, end: float) -> float:
        """Return the integral of the accuracy between two times inside, of (a + bt) / (c + dt)."""
        (a, c), (a_end, c_end), span = self._at(start), self._at(end), end - start
        grown = (c_end - c) / c
        if abs(grown) < 1e-9:
            return span * (a + a_end) / 2 / c
        # Around log1p: as span b / d + (a - b c / d) / d log(c_end / c) it loses all digits where d is small.
        share = math.log1p(grown) / grown
        return span * (a * share + (a_end - a) * (1 - share) / grown) / c

    def _at(self, time: float) -> tuple[float, float]:
        """Return how many vectors there would be a right answer from, and how many there are."""
        passed = (time - self.start) / (self.end - self.start)
        counts = [a + passed * (b - a) for a, b in zip(self.first, self.last, strict=True)]
        return sum(n * score for n, score in zip(counts, self.scores, strict=True)), sum(counts)


@dataclass(frozen=True)
class Fluid:
    """What a policy gives and costs.

    Attributes:
        pieces: the horizon, cut where anything changes.
        re_embedded: stored images that were embedded anew.
        inserted: images that came.
        twice: those of them that were embedded by the old and by the new model.
        busy: seconds that the worker worked.
        switched: when queries went to each new model; None: it never served.
    """

    pieces: tuple[Piece, ...]
    re_embedded: float
    inserted: float
    twice: float
    busy: float
    switched: tuple[float | None, ...]

    def accuracy(self, time: float) -> float:
        """Return the accuracy at a time within the horizon; where it jumps, the one after."""
        piece = [piece for piece in self.pieces if piece.start <= time][-1]
        return piece.accuracy(time)

    def mean(self, start: float = 0.0, end: float | None = None) -> float:
        """Return the mean accuracy between two times; over the whole horizon by default."""
        last = self.pieces[-1].end if end is None else end
        spans = [(piece, max(start, piece.start), min(last, piece.end)) for piece in self.pieces]
        return sum(piece.integral(a, b) for piece, a, b in spans if a < b) / (last - start)

    @property
    def vectors(self) -> float:
        """Vectors that are kept at the end, those of an index that is being built included."""
        return sum(self.pieces[-1].last) + self.pieces[-1].building


def fluid(
    matrix: Rows, replacements: Sequence[float], horizon: float, policy: Policy, size: float, inserts: float = 0.0
) -> Fluid:
    """Return the fluid limit of a service: what a policy gives where a mixed gallery scores linearly in its shares.

    Args:
        matrix: row t holds the accuracy of queries by model t in the galleries of models 0 to t.
        replacements: when models 1, 2, ... come, ascending, seconds.
        horizon: how long the service is watched.
        policy: not ``lazy`` and without a map, as the matrix does not say what queries return, nor what mapped
            vectors score.
        size: images in the gallery at the start.
        inserts: images that come each second.

    Raises:
        InputError: a matrix of another number of models, times out of order, or another policy.

    >>> service = fluid([[0.7], [0.64, 0.74]], [100.0], 200.0, Policy("backfill", rate=20.0), 1000, 1.0)
    >>> round(service.mean(), 4), service.re_embedded, service.busy
    (0.7065, 1100.0, 55.0)
    """
    m = lower_triangle(matrix)
    times = [0.0, *replacements, horizon]
    if len(m) != len(times) - 1 or any(a >= b for a, b in itertools.pairwise(times)):
        raise InputError(
            f"{len(m)} models, replaced at {[*replacements]}, until {horizon}; "
            "allowed: one time for each model but the first, ascending, above 0 and below the horizon"
        )
    if size <= 0 or inserts < 0:
        raise InputError(f"size is {size} and inserts are {inserts}; allowed: above 0, and 0 or more")
    if policy.kind == "lazy":
        raise InputError("kind is lazy; allowed: others, as the matrix does not say what queries return")
    if policy.map is not None:
        raise InputError(
            f"map is {policy.map}; allowed: none, as the matrix does not say what mapped vectors score"
        )
    rows = [(*row, *[0.0] * (len(m) - len(row))) for row in m]
    counts, serving = (float(size), *[0.0] * (len(m) - 1)), 0
    pieces, switched = list[Piece](), list[float | None]()
    re_embedded, twice, busy = 0.0, 0.0, 0.0
    for newest, (start, end) in enumerate(itertools.pairwise(times)):
        migration = _Migration(counts, serving, newest, inserts, policy)
        marks = sorted({0.0, min(migration.switch, end - start), min(migration.finish, end - start), end - start})
        for a, b in itertools.pairwise(marks):
            now = migration.serving(a)
            first, last = (migration.counts(s, now) for s in (a, b))
            building = migration.renewed(b) + inserts * b if now != newest and policy.kind != "keep" else 0.0
            pieces.append(Piece(start + a, start + b, rows[now], first, last, building))
        span = end - start
        serving = migration.serving(pieces[-1].start - start)
        counts = migration.counts(span, serving)
        if newest:
            switched.append(start + migration.switch if serving == newest else None)
            if policy.kind != "keep":
                twice += inserts * min(migration.switch, span)
            re_embedded += migration.renewed(span)
            busy += min(migration.finish, span) if policy.worker else 0.0
    return Fluid(tuple(pieces), re_embedded, inserts * horizon, twice, busy, tuple(switched))


class _Migration:
    """From one model to the next: numbers of vectors, so many seconds after the next one came."""

    def __init__(
        self, counts: tuple[float, ...], serving: int, newest: int, inserts: float, policy: Policy
    ) -> None:
        self.before, self.old, self.newest, self.inserts = counts, serving, newest, inserts
        self.total = sum(counts)
        self.worker = policy.worker if newest else 0.0
        self.finish = policy.span(self.total) if newest else math.inf
        self.switch = self._switch(policy.share) if newest and policy.kind != "keep" else math.inf

    def _switch(self, share: float) -> float:
        """Return when so large a share is new: of (rate + inserts) s in total + inserts s."""
        if share == 0:
            return 0.0
        speed = self.worker + self.inserts * (1 - share)
        return min(share * self.total / speed if speed else math.inf, self.finish)

    def renewed(self, after: float) -> float:
        return self.total if after >= self.finish else self.worker * after

    def serving(self, after: float) -> int:
        return self.newest if after >= self.switch else self.old

    def counts(self, after: float, serving: int) -> tuple[float, ...]:
        """Return the vectors of each version that are searched."""
        stays = (self.total - self.renewed(after)) / self.total if serving != self.old else 1.0
        found = [n * stays for n in self.before]
        found[serving] += self.inserts * after + (self.renewed(after) if serving != self.old else 0.0)
        return tuple(found)
