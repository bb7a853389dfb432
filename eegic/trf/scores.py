"""Scores of predictions from sums that add over trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

from eegic.trf.moments import FLAT

Array = Any
METRICS = ("r", "r2", "mse")


@dataclass(frozen=True, eq=False)
class Sums:
    """What any score of a prediction needs; they add over trials, whatever model predicted each.

    Attributes
    ----------
    n : int
        Samples.
    y, yy : array, shape (n_channels,)
        Sums and sums of squares of the outputs.
    p, pp, py : array, shape (..., n_alphas, n_channels)
        Sums of the predictions, their squares, and their products with the outputs.
    """

    n: int
    y: Array
    yy: Array
    p: Array
    pp: Array
    py: Array

    def __add__(self, other: Sums) -> Sums:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Sums(*(mine + theirs for mine, theirs in pairs))

    def score(self, metric: str) -> Array:
        """Score of every alpha and channel, shape (..., n_alphas, n_channels); NaN where it is not defined.

        Parameters
        ----------
        metric : {"r", "r2", "mse"}
        """
        xp = array_namespace(self.p)
        nan = xp.asarray(float("nan"), dtype=xp.float64, device=self.p.device)
        y_scatter = self.yy - self.y**2 / self.n
        alive = y_scatter > FLAT * self.yy
        safe = xp.where(alive, y_scatter, xp.ones_like(y_scatter))
        if metric != "r":
            error = xp.clip(self.yy - 2 * self.py + self.pp, 0.0, None)
            return xp.where(alive, error / self.n if metric == "mse" else 1 - error / safe, nan)
        p_scatter = self.pp - self.p**2 / self.n
        moving = alive & (p_scatter > FLAT * self.pp)
        product = xp.where(moving, p_scatter, xp.ones_like(p_scatter)) * safe
        return xp.where(moving, (self.py - self.p * self.y / self.n) / xp.sqrt(product), nan)


def mean_defined(scores: Array) -> Array:
    """Mean over the first axis of the defined values; NaN where there is none."""
    xp = array_namespace(scores)
    defined = ~xp.isnan(scores)
    count = xp.sum(xp.astype(defined, xp.float64), axis=0)
    return xp.sum(xp.where(defined, scores, xp.zeros_like(scores)), axis=0) / xp.where(count > 0, count, xp.nan)
