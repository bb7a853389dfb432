"""How many participants are significant, whether chance gives as many, and the share of the population they imply."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eegic import _checks
from eegic.stats.inputs import probability
from eegic.stats.pvalues import TIE, attainable, checked


@dataclass(frozen=True, eq=False)
class Prevalence:
    """Share of the population in which a test would find an effect. `prevalence` makes it.

    Attributes
    ----------
    found : int
        Participants whose p-value is not above the level.
    n : int
        Participants with a p-value.
    share : float
        Most probable share of the population.
    low, high : float
        Ends of the shortest interval that holds the share with probability `credible`.
    p : float
        Probability of at least so many if nobody has an effect (binomial).
    level : float
        Of the test in each participant.
    credible : float
        Probability of the interval.
    """

    found: int
    n: int
    share: float
    low: float
    high: float
    p: float
    level: float
    credible: float

    def __repr__(self) -> str:
        interval = f"{100 * self.credible:g} % interval {self.low:.2f} to {self.high:.2f}"
        return f"Prevalence(share {self.share:.2f}, {interval}; {self.found} of {self.n} found, p {self.p:.2g})"


def prevalence(p: object, *, level: float = 0.05, credible: float = 0.95) -> Prevalence:
    """Share of the population with an effect, from a test of each participant.

    A test finds an effect in participants who have one, and in a share `level` of those who have none. So if a share g
    of the population has one, a participant comes out significant with probability ``level + (1 - level) g``.

    Parameters
    ----------
    p : array_like, shape (n_participants,)
        p-value of each participant; NaN where there is none, which does not count.
    level : float
        p-values not above it are significant. It must be the rate at which the test rejects when nothing is there: with
        m surrogates p is a multiple of ``1 / (m + 1)``, so take ``attainable(0.05, m)``, not 0.05 itself.
    credible : float
        Probability that the interval holds the share.

    Returns
    -------
    Prevalence

    Notes
    -----
    After Ince, Paton, Kay & Schyns (2021), eLife 10, e62461, doi 10.7554/eLife.62461: any rate of significant
    participants between `level` and 1 is as probable as any other beforehand, so afterwards the rate follows a Beta
    distribution cut at `level`. The interval is that of highest density.

    "With an effect" means that this test, on this much data, finds it: more data per participant, larger share.
    Participants must be independent, given the music. If all were tested with the same exchanges of few stimuli, their
    p-values depend on each other; then see `count_test`.

    Examples
    --------
    >>> prevalence([0.01, 0.2, 0.03, 0.01, 0.04, 0.6, 0.02, 0.01])
    Prevalence(share 0.74, 95 % interval 0.40 to 0.94; 6 of 8 found, p 4e-07)
    """
    values = _checks.real_array("p", p, 1, axes="(n_participants,)")
    level, credible = probability("level", level), probability("credible", credible)
    values = values[~np.isnan(values)]
    wrong = values[(values < 0) | (values > 1)]
    if len(wrong) or not len(values):
        came = f"{wrong[0]:g}" if len(wrong) else "none"
        raise ValueError(f"p: expected p-values between 0 and 1 of at least one participant, got {came}.")
    found, n = int((values <= level + TIE).sum()), len(values)
    low, high = (_share(rate, level) for rate in _densest(found, n, level, credible))
    return Prevalence(found, n, _share(found / n, level), low, high, _at_least(found, n, level), level, credible)


def count_test(observed: object, null: object, *, level: float = 0.05) -> tuple[int, float]:
    """How many participants are significant, and how often chance gives as many, if all share their surrogates.

    p-values of participants who heard the same music depend on each other when surrogate k is the same exchange for
    all of them, so their count does not follow a binomial distribution. Here it is compared with the counts when each
    surrogate in turn plays the observed data.

    Parameters
    ----------
    observed : array_like, shape (n_participants,)
        A statistic of each participant, such as the mean gain. Participants with NaN, here or in `null`, do not count.
    null : array_like, shape (n_null, n_participants)
        The same under each surrogate; row k is the same exchange of stimuli for all.
    level : float
        p-values of participants not above it are significant. At least ``1 / (n_null + 1)``.

    Returns
    -------
    found : int
        Participants whose statistic is that large among those of their own surrogates.
    p : float
        Share of surrogates, the observed data included, with at least as many.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> count_test(rng.standard_normal(10) + 2, rng.standard_normal((199, 10)))
    (7, 0.005)
    """
    measured, surrogates = checked(_checks.real_array("observed", observed, 1, axes="(n_participants,)"), null)
    level, n_null = probability("level", level), len(surrogates)
    if not attainable(level, n_null):
        raise ValueError(
            f"level: expected at least 1/{n_null + 1}, the smallest p-value that {n_null} surrogates can give, got "
            f"{level:g}. Use more surrogates."
        )
    pooled = np.concatenate([measured[None], surrogates])
    pooled = pooled[:, ~np.isnan(pooled).any(axis=0)]
    if not pooled.size:
        raise ValueError("observed, null: expected at least one participant without NaN, got none.")
    significant = np.stack([_ranked(column) for column in pooled.T]) <= level + TIE
    counts = significant.sum(axis=0)
    return int(counts[0]), float((counts >= counts[0]).mean())


def _ranked(column: np.ndarray) -> np.ndarray:
    """p-value of each value among all: the share that is at least as large."""
    least = column - TIE * np.maximum(np.abs(column), column.std())
    return np.asarray(1 - np.searchsorted(np.sort(column), least) / len(column))


def _share(rate: float, level: float) -> float:
    """Share with an effect at which participants come out significant at this rate; 0 up to the rounding of rates."""
    return float(np.clip(np.round((rate - level) / (1 - level), 12), 0, 1))


def _at_least(found: int, n: int, level: float) -> float:
    from scipy.stats import binom

    return float(binom.sf(found - 1, n, level))


def _densest(found: int, n: int, level: float, credible: float) -> tuple[float, float]:
    """Interval of highest density of the rate, given that it is above the level."""
    from scipy.optimize import brentq
    from scipy.special import xlogy
    from scipy.stats import beta

    posterior = beta(found + 1, n - found + 1)
    above = posterior.sf(level)

    def ends(below: float) -> np.ndarray:
        return np.asarray(posterior.isf(above * (1 - np.array([below, below + credible]))))

    def steeper(below: float) -> float:  # density at the lower end over that at the upper, as a logarithm
        low, high = xlogy(found, ends(below)) + xlogy(n - found, 1 - ends(below))
        return float(low - high)

    if found == n or found / n <= level:  # density only rises, or only falls
        low, high = ends(1 - credible if found == n else 0.0)
    elif steeper(0.0) >= 0:
        low, high = ends(0.0)
    else:
        low, high = ends(brentq(steeper, 0.0, (1 - credible) * (1 - 1e-12), xtol=1e-14))
    return float(low), float(high)
