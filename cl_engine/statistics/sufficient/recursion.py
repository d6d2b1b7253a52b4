"""The recursive form: weights that are always solved, in exchange for more work a sample."""

from __future__ import annotations

import torch
from torch import Tensor

from cl_engine.statistics.sufficient.solving import LARGEST, TENFOLD, TOLERANCE
from cl_engine.statistics.sufficient.symmetric import add_gram, product, whole

ROWS = 256  # taken in at a time, which keeps what grows with their square small


class Recursion:
    """``R = (G + gamma I)^-1`` and ``W = R Q``, updated sample by sample (ACIL, G-ACIL: their recursion).

    The published line ends in a product of two ``d x d`` matrices.  Grouped around a Cholesky factor of the small
    matrix, ``I + X R X' = L L'`` and ``T = L^-1 X R``, the update is ``R - T'T`` and ``W + T'L^-1 (Y - X W)``: no
    inverse, no asymmetry, and nothing that is ``d^3``.

    Every update is tested: ``R (p + X'X q) = q`` has to hold for ``q = R p`` with the R of before, within 1e-8.
    Where it does not, or a factorisation fails, gamma grows tenfold, which R and W allow: they become
    ``(I + delta R)^-1 R`` and ``(I + delta R)^-1 W``.

    Args:
        inverse: R, float64 ``[d, d]``, of which the upper triangle counts.
        solution: W transposed, float64 ``[C, d]``, a row a class.
        gamma: float64 ``[1]``, what R is of.

    >>> learner = Recursion.empty(2, 0.5)
    >>> learner.grow(2)
    >>> learner.update(torch.eye(2), torch.tensor([0, 1]))
    >>> learner.solution
    tensor([[0.6667, 0.0000],
            [0.0000, 0.6667]], dtype=torch.float64)
    """

    def __init__(self, inverse: Tensor, solution: Tensor, gamma: Tensor) -> None:
        self.inverse, self.solution, self.gamma = inverse, solution, gamma

    @classmethod
    def empty(cls, width: int, gamma: float, device: torch.device | None = None) -> Recursion:
        """Return what has seen nothing."""
        inverse = torch.zeros(width, width, dtype=torch.float64, device=device)
        inverse.diagonal().fill_(1 / gamma)
        return cls(inverse, inverse[:0].clone(), inverse.new_tensor([gamma]))

    def grow(self, classes: int) -> None:
        """Make room for more classes, of which there is no sample yet."""
        more = classes - len(self.solution)
        self.solution = torch.cat([self.solution, self.solution.new_zeros(more, self.solution.shape[1])])

    def update(self, x: Tensor, y: Tensor, labelled: Tensor | None = None) -> None:
        """Take in samples.

        Args:
            x: features ``[N, d]``.
            y: classes, int64 ``[N]``.
            labelled: bool ``[N]``: samples whose label counts; the labels of the others are zero for every class.

        Raises:
            FloatingPointError: no gamma helps.
        """
        for start in range(0, len(x), ROWS):
            rows = slice(start, start + ROWS)
            targets = torch.nn.functional.one_hot(y[rows], len(self.solution)).double()
            if labelled is not None:
                targets *= labelled[rows, None]
            self._update(x[rows].double(), targets)

    def _update(self, x: Tensor, targets: Tensor) -> None:
        while not self._attempt(x, targets):
            self.raise_gamma()

    def _attempt(self, x: Tensor, targets: Tensor) -> bool:
        """Update R and W; tell whether it went well, and leave them as they were where it did not."""
        probe = _probe(len(self.inverse), x.device)
        before = product(self.inverse, probe)
        carried = product(self.inverse, x.T).T  # X R
        core = carried @ x.T
        core.diagonal().add_(1)
        factor, failed = torch.linalg.cholesky_ex(core)
        if failed:
            return False
        update = torch.linalg.solve_triangular(factor, carried, upper=False)
        add_gram(self.inverse, update, -1)
        after = product(self.inverse, probe + x.T @ (x @ before))
        if not torch.linalg.norm(after - before) <= TOLERANCE * torch.linalg.norm(before):
            add_gram(self.inverse, update, 1)
            return False
        error = torch.linalg.solve_triangular(factor, targets - x @ self.solution.T, upper=False)
        self.solution += error.T @ update
        return True

    def raise_gamma(self) -> None:
        """Let R and W be of a tenfold gamma.

        Raises:
            FloatingPointError: no gamma helps.
        """
        gamma = float(self.gamma)
        if gamma > LARGEST:
            raise FloatingPointError("the recursion cannot be continued; are the features finite?")
        values, vectors = torch.linalg.eigh(whole(self.inverse))
        values = values.clamp(0, 1 / gamma)  # where it is not, by rounding
        shrink = 1 / (1 + (TENFOLD - 1) * gamma * values)
        self.inverse.copy_((vectors * (values * shrink)) @ vectors.T)
        self.solution.copy_((self.solution @ vectors * shrink) @ vectors.T)
        self.gamma.fill_(TENFOLD * gamma)


def _probe(width: int, device: torch.device) -> Tensor:
    """Return one fixed direction ``[d, 1]`` that no feature is likely to be at right angles to."""
    places = torch.arange(1, width + 1, dtype=torch.float64, device=device)
    return torch.cos(places * places)[:, None]
