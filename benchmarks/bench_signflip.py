"""How fast a max-T sign flip of 10 000 flips is, beside MNE and nilearn on the same data; see README.md.

    python benchmarks/bench_signflip.py [--participants 20] [--channels 64] [--flips 10000] [--repeat 5] [--quick]

All sides run in one process with one thread, two-sided, for MNE's other tails compare absolute values. Each draws
flips of its own, so p-values differ by chance; by more than that, and no time is printed.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from importlib.metadata import version
from statistics import median
from time import perf_counter

import mne
import numpy as np
from bench_trf import table
from nilearn.mass_univariate import permuted_ols
from threadpoolctl import threadpool_limits

import eegic
from eegic import stats


def simulate(n_participants: int, n_channels: int) -> np.ndarray:
    """Gains of participants in channels that resemble their neighbours, above zero in the first quarter."""
    rng = np.random.default_rng(0)
    spread = 0.8 ** np.abs(np.subtract.outer(np.arange(n_channels), np.arange(n_channels)))
    d = rng.standard_normal((n_participants, n_channels)) @ np.linalg.cholesky(spread).T
    d[:, : n_channels // 4] += 0.6
    return d


def sides(d: np.ndarray, n: int) -> dict[str, Callable[[], np.ndarray]]:
    """What each package is asked for: two-sided p-values, corrected for all channels."""
    ones = np.ones((len(d), 1))

    def of_nilearn() -> np.ndarray:
        found = permuted_ols(ones, d, model_intercept=False, n_perm=n, two_sided_test=True, random_state=0)
        return 10 ** -found["logp_max_t"][0]

    return {
        "eegic": lambda: stats.sign_flip(d, n=n, alternative="two-sided").p_maxt,
        "MNE": lambda: mne.stats.permutation_t_test(d, n, tail=0, rng=0, verbose="error")[1],
        "nilearn": of_nilearn,
    }


def check(p: dict[str, np.ndarray], n: int) -> None:
    """Stop where p-values differ by more than two draws of flips may: five standard errors, and one count."""
    for who in ("MNE", "nilearn"):
        difference = np.abs(p["eegic"] - p[who])
        allowed = 5 * np.sqrt(2 * p["eegic"] * (1 - p["eegic"]) / n) + 2 / n
        if (difference > allowed).any():
            raise SystemExit(f"p-values of eegic and {who} differ by {difference.max():.4f}: times mean nothing.")
        print(f"p_maxt of eegic and {who} differ by {difference.max():.4f} at most.")


def main() -> None:
    """Check, time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--participants", type=int, default=20, help="rows (default: 20)")
    parser.add_argument("--channels", type=int, default=64, help="columns (default: 64)")
    parser.add_argument("--flips", type=int, default=10_000, help="random flips (default: 10000)")
    parser.add_argument("--repeat", type=int, default=5, help="rounds of all sides (default: 5)")
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it runs, not how fast")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # what is found here means nothing
    n_participants, n_channels, n = (14, 8, 500) if args.quick else (args.participants, args.channels, args.flips)
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "mne", "nilearn"))
    print(f"eegic {eegic.__version__}, {packages}; {n_participants} participants x {n_channels} channels, {n} flips")
    rows, ratios = [], {"MNE": [], "nilearn": []}
    with threadpool_limits(1):
        asked = sides(simulate(n_participants, n_channels), n)
        check({who: ask() for who, ask in asked.items()}, n)  # also warms up
        for k in range(args.repeat):  # in turn, so that all meet the same load
            seconds = {}
            for who, ask in asked.items():
                start = perf_counter()
                ask()
                seconds[who] = perf_counter() - start
            row = [str(k + 1), f"{seconds['eegic']:.3f}"]
            for who, of in ratios.items():
                of.append(seconds[who] / seconds["eegic"])
                row += [f"{seconds[who]:.3f}", f"{of[-1]:.1f}"]
            rows.append(tuple(row))
    table("round|eegic, s|MNE, s|times faster|nilearn, s|times faster", rows)
    for who, of in ratios.items():
        print(f"{who}: {median(of):.1f} times faster (median of {args.repeat} rounds).")


if __name__ == "__main__":
    main()
