"""What checks of a null give: how often it rejects without an effect, and how often it finds one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eegic import stats

_TIE = 1e-9


@dataclass(frozen=True, eq=False)
class FalsePositives:
    """How often features without an effect came out significant.

    Attributes
    ----------
    p : ndarray, shape (n_checks,)
        p-value of the gain averaged over channels.
    p_maxt : ndarray, shape (n_checks,)
        Smallest p-value of a channel, corrected for all of them.
    corrected : ndarray, shape (n_checks,)
        Corrected gain, mean over channels: zero on average if the null has the right centre.
    level : float
        p-values not above it are significant.
    n_null : int
        Surrogates in each check.
    scheme : str
        How surrogates were made.
    entropy : int
        Seed of the checks.
    """

    p: np.ndarray
    p_maxt: np.ndarray
    corrected: np.ndarray
    level: float
    n_null: int
    scheme: str
    entropy: int

    @property
    def rate(self) -> float:
        """Share of checks that came out significant."""
        return float((self.p <= self.level + _TIE).mean())

    @property
    def interval(self) -> np.ndarray:
        """Clopper-Pearson 95 % interval of the rate, shape (2,)."""
        return _interval(int((self.p <= self.level + _TIE).sum()), len(self.p))

    @property
    def nominal(self) -> float:
        """Rate of a valid test: `level`, or the nearest possible p-value below it."""
        return stats.attainable(self.level, self.n_null)

    @property
    def verdict(self) -> str:
        """Where the nominal rate lies: within the interval, or to which side of it."""
        low, high = self.interval
        if low > self.nominal:
            return "too many: not valid on these data"
        return "too few: conservative" if high < self.nominal else "consistent with the nominal level"

    def __repr__(self) -> str:
        low, high = 100 * self.interval
        rate = f"{100 * self.rate:.1f} % (95 % interval {low:.1f} to {high:.1f}), nominal {100 * self.nominal:.1f} %"
        any_channel = f"any channel {100 * (self.p_maxt <= self.level + _TIE).mean():.1f} %"
        size = f"{len(self.p)} checks of {self.scheme} with {self.n_null} surrogates"
        return f"FalsePositives({self.verdict}; {rate}; {any_channel}; {size})"


@dataclass(frozen=True, eq=False)
class Power:
    """How often injected effects were found.

    Attributes
    ----------
    shares : ndarray, shape (n_shares,)
        Variance that the injected response adds, as a share of the variance of each channel.
    n_trials : ndarray of int, shape (n_sizes,)
        Trials that were analysed.
    p : ndarray, shape (n_checks, n_sizes, n_shares)
        p-value of the gain averaged over channels.
    level : float
        An effect is found when its p-value is not above it.
    entropy : int
        Seed of the checks.
    """

    shares: np.ndarray
    n_trials: np.ndarray
    p: np.ndarray
    level: float
    entropy: int

    @property
    def found(self) -> np.ndarray:
        """Number of checks that found the effect, shape (n_sizes, n_shares)."""
        return np.asarray((self.p <= self.level + _TIE).sum(axis=0))

    @property
    def power(self) -> np.ndarray:
        """Share of checks that found the effect, shape (n_sizes, n_shares)."""
        return np.asarray(self.found / len(self.p))

    @property
    def interval(self) -> np.ndarray:
        """Clopper-Pearson 95 % interval of the power, shape (2, n_sizes, n_shares)."""
        ends = [[_interval(int(k), len(self.p)) for k in row] for row in self.found]
        return np.moveaxis(np.array(ends), -1, 0)

    def curve(self, shares: object) -> np.ndarray:
        """Power at any share, from a curve fitted to those that were tried.

        Parameters
        ----------
        shares : array_like, shape (n,)

        Returns
        -------
        ndarray, shape (n_sizes, n)
            ``level + (1 - level) / (1 + (half / share)**slope)``, `half` and `slope` fitted by maximum likelihood.
        """
        x = _logarithm(np.asarray(shares, dtype=np.float64))
        return np.array([_curve(x, self.level, half, slope) for half, slope in self._fits()])

    def detectable(self, wanted: float = 0.8) -> np.ndarray:
        """Smallest share that would be found with the wanted power.

        Parameters
        ----------
        wanted : float
            Between `level` and 1.

        Returns
        -------
        ndarray, shape (n_sizes,)
            Where the `curve` reaches it. If that lies below the shares that were tried, the smallest of them, which is
            more than enough; if above, inf.
        """
        if not self.level < wanted < 1:
            raise ValueError(f"wanted: expected a power between the level, {self.level:g}, and 1, got {wanted!r}.")
        odds = (wanted - self.level) / (1 - wanted)
        needed = np.array([np.exp(half) * odds ** (1 / slope) for half, slope in self._fits()])
        return np.where(needed > self.shares.max(), np.inf, np.maximum(needed, self.shares.min()))

    def _fits(self) -> list[tuple[float, float]]:
        return [_fit(row, len(self.p), _logarithm(self.shares), self.level) for row in self.found]

    def __repr__(self) -> str:
        low, high = self.shares.min(), self.shares.max()
        needed = [
            f"more than {100 * high:.2g} %"
            if share > high
            else f"{'at most ' if share == low else ''}{100 * share:.2g} %"
            for share in self.detectable()
        ]
        parts = ", ".join(f"{share} with {n} trials" for share, n in zip(needed, self.n_trials, strict=True))
        return f"Power(80 % at an added variance of {parts}; {len(self.p)} checks, p <= {self.level:g})"


def _logarithm(shares: np.ndarray) -> np.ndarray:
    """-inf at a share of 0, where the power is the level whatever the curve."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(shares))


def _curve(x: np.ndarray, level: float, half: float, slope: float) -> np.ndarray:
    """Power at the logarithm of a share; it is halfway between the level and 1 at `half`."""
    from scipy.special import expit

    return np.asarray(level + (1 - level) * expit(slope * (x - half)))


def _fit(found: np.ndarray, n_checks: int, x: np.ndarray, level: float) -> tuple[float, float]:
    """Place and slope of the curve that makes the numbers of effects found at `x` most likely."""
    from scipy.optimize import minimize
    from scipy.special import xlogy

    def unlikely(parameters: np.ndarray) -> float:
        p = np.clip(_curve(x, level, *parameters), 1e-12, 1 - 1e-12)
        return -float((xlogy(found, p) + xlogy(n_checks - found, 1 - p)).sum())

    tried = x[np.isfinite(x)]
    if not len(tried):
        return np.nan, 1.0
    low, high = tried.min(), tried.max()
    starts = [(half, 2.0) for half in np.linspace(low, high, 5)]
    fits = [minimize(unlikely, start, bounds=[(low - 5, high + 5), (0.2, 8.0)]) for start in starts]
    half, slope = min(fits, key=lambda fit: fit.fun).x
    return float(half), float(slope)


def _interval(k: int, n: int) -> np.ndarray:
    from scipy.stats import binomtest

    ends = binomtest(k, n).proportion_ci(method="exact")
    return np.array([ends.low, ends.high])
