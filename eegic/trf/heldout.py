"""Training sets by subtraction: what is fitted without some folds, and how it predicts them.

With moments that add, a training set is the total minus what is held out. The training set of an inner fold leaves out
two outer folds, in whichever order, so one decomposition per *pair* of folds serves both outer folds, every alpha and
every channel. The number of samples does not enter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import combinations
from operator import sub
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from eegic.trf import moments as summing
from eegic.trf.folds import Fold
from eegic.trf.moments import Moments
from eegic.trf.ridge import Path, Ridge, Solution
from eegic.trf.scores import Sums, mean_defined
from eegic.trf.workers import Run

Array = Any


@dataclass(frozen=True, eq=False)
class Choice:
    """What an outer fold settled on.

    Attributes
    ----------
    index : ndarray of int, shape () or (n_channels,)
        Position in the grid of alphas.
    ratios : ndarray, shape (n_bands,)
        Alpha of each band as a multiple of that alpha.
    scores : array, shape (n_alphas, n_channels), or None
        Mean inner scores at those ratios.
    """

    index: np.ndarray
    ratios: np.ndarray
    scores: Array | None


@dataclass(frozen=True, eq=False)
class Refit:
    """The model of an outer fold: sums of its held-out segments, and kernels (n_inputs, n_lags, n_channels)."""

    sums: list[Sums]
    weights: Array


@dataclass(frozen=True, eq=False)
class Held:
    """Moments of every segment, the folds that hold them out, and the model to fit to the rest.

    Attributes
    ----------
    parts : list of Moments
        One per segment, in the columns of the model.
    folds : tuple of tuple of int
    model : Ridge
    """

    parts: list[Moments]
    folds: tuple[Fold, ...]
    model: Ridge

    @cached_property
    def fold_sums(self) -> list[Moments]:
        """Moments of each fold."""
        return [summing.total(self.parts[s] for s in fold) for fold in self.folds]

    @cached_property
    def everything(self) -> Moments:
        """Moments of all folds."""
        return summing.total(self.fold_sums)

    @cached_property
    def without(self) -> list[Moments]:
        """Moments of all folds but one."""
        return [self.everything - part for part in self.fold_sums]

    def train(self, *held_out: int) -> Moments:
        """Moments of all folds but those `held_out`."""
        rest = [part for k, part in enumerate(self.fold_sums) if k not in held_out]
        if sum(part.n for part in rest) < 0.05 * self.everything.n:
            return summing.total(rest)  # the difference of two large sums would lose digits
        return reduce(sub, [self.fold_sums[k] for k in held_out[1:]], self.without[held_out[0]])

    def path(self, held_out: tuple[int, ...], alphas: np.ndarray, ratios: np.ndarray) -> Path:
        """Fit every alpha to what is left without the folds `held_out`."""
        return self.model.path(self.train(*held_out), self._n_left(*held_out), alphas, ratios, self.everything)

    def solve(self, fold: int, alphas: np.ndarray) -> Solution:
        """Fit one alpha to each of several stacked variants of what is left without a fold."""
        return self.model.solve(self.train(fold), self._n_left(fold), alphas, self.everything)

    def _n_left(self, *held_out: int) -> int:
        return sum(len(fold) for k, fold in enumerate(self.folds) if k not in held_out)

    def predict(self, fold: int, alphas: np.ndarray, ratios: np.ndarray) -> list[Sums]:
        """Sums of the predictions of every segment of a fold by the fits without it."""
        path = self.path((fold,), alphas, ratios)
        return [path.predict(self.parts[s]) for s in self.folds[fold]]

    def refit(self, fold: int, grid: np.ndarray, choice: Choice) -> Refit:
        """Fit without a fold at the alpha chosen for it (or for each channel), and predict it."""
        solution = self.path((fold,), grid, choice.ratios).at(np.atleast_1d(choice.index))
        sums = [solution.predict(self.parts[s]) for s in self.folds[fold]]
        return Refit(sums, self.model.design.weights(solution.weights, array_namespace(solution.weights)))

    def pair_scores(self, i: int, j: int, alphas: np.ndarray, ratios: np.ndarray, criterion: str) -> list[list[Array]]:
        """Scores, without both folds, of the segments of fold `i` and of fold `j`, each (n_alphas, n_channels)."""
        path = self.path((i, j), alphas, ratios)
        score = path.r if criterion == "r" else lambda part: path.predict(part).score(criterion)
        return [[score(self.parts[s]) for s in self.folds[k]] for k in (i, j)]

    def inner(self, alphas: np.ndarray, ratios: np.ndarray, criterion: str, run: Run) -> list[Array]:
        """Mean score over the inner validation segments of every fold, each (n_alphas, n_channels)."""
        pairs = list(combinations(range(len(self.folds)), 2))
        scores: list[list[Array]] = [[] for _ in self.folds]
        results = run(self.pair_scores, [(i, j, alphas, ratios, criterion) for i, j in pairs])
        for (i, j), (of_i, of_j) in zip(pairs, results, strict=True):
            scores[i] += of_j
            scores[j] += of_i
        return [mean_defined(array_namespace(several[0]).stack(several)) for several in scores]
