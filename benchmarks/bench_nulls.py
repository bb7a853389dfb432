"""How fast a null of 1000 refitted surrogates is, beside as many calls of mTRFpy; see README.md.

    python benchmarks/bench_nulls.py [--surrogates 1000] [--threads 2] [--repeat 5] [--quick]

Both sides run in one process on the same data; eegic on NumPy arrays, and on torch tensors of the CPU, which bring a
LAPACK of their own. Before any time is printed they must agree on a surrogate.
"""

from __future__ import annotations

import argparse
import os
import warnings
from statistics import median
from time import perf_counter

import mtrf.stats
import numpy as np
import torch
from bench_trf import SFREQ, Setting, agree, print_versions, simulate, table, timed_at_best

from eegic import trf

LARGE, SMALL = Setting(10, 60, 10, n_folds=5), Setting(6, 20, 3, n_lags=12, n_channels=8, n_folds=5)
Trials = list[np.ndarray]


def ours(setting: Setting, x: Trials, y: Trials, args: argparse.Namespace, n_folds: int | None) -> trf.DeltaR:
    """The gain of the second feature over the first, with its null, of arrays or tensors."""
    options = {**setting.window, "alphas": setting.alphas, "alpha_units": "mtrf", "n_folds": n_folds}
    baseline, added = [trial[:, :1] for trial in x], [trial[:, 1:] for trial in x]
    options |= {"conditional": False, "n_null": args.surrogates, "n_jobs": args.threads, "rng": 0}
    return trf.delta_r(baseline, added, y, SFREQ, **options)


def theirs(setting: Setting, x: Trials, y: Trials, n_folds: int) -> float:
    """Mean held-out r over folds and channels, by mTRFpy."""
    scores, _ = mtrf.stats.nested_crossval(
        mtrf.TRF(), x, y, SFREQ, *setting.window.values(), setting.alphas, k=n_folds, verbose=False
    )
    return float(np.mean(scores))


def check(args: argparse.Namespace) -> None:
    """Compare one surrogate, leaving one trial out at a time: there the inner folds of both sides are the same."""
    x, y = simulate(SMALL)
    null = ours(SMALL, x, y, argparse.Namespace(**{**vars(args), "surrogates": 3}), None).null
    order = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(2,))).permutation(len(x))
    exchanged = [np.hstack([trial[:, :1], x[donor][:, 1:]]) for trial, donor in zip(x, order, strict=True)]
    gain = theirs(SMALL, exchanged, y, -1) - theirs(SMALL, [trial[:, :1] for trial in x], y, -1)
    agree("gain under a surrogate", null[2].mean(), gain)


def main() -> None:
    """Check, time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--surrogates", type=int, default=1000, help="size of the null (default: 1000)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for each side (default: every core)")
    parser.add_argument("--repeat", type=int, default=5, help="rounds of both sides (default: 5)")
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it runs, not how fast")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # what is found here means nothing
    print_versions(args)
    check(args)
    setting = SMALL if args.quick else LARGE
    x, y = simulate(setting)
    print(f"{setting}, {setting.n_alphas} alphas, {setting.n_folds} folds nested, alpha searched in every surrogate")
    data = {"NumPy": (x, y), "torch": tuple([torch.from_numpy(trial) for trial in one] for one in (x, y))}
    rows, faster = [], {kind: [] for kind in data}
    for k in range(args.repeat):  # in turn, so that all meet the same load
        (call, _), threads = timed_at_best(lambda: theirs(setting, x, y, setting.n_folds or -1), 1, args.threads)
        row = [str(k + 1), f"{args.surrogates * call:.0f}", str(threads)]
        for kind, arrays in data.items():
            start = perf_counter()
            ours(setting, *arrays, args, setting.n_folds)
            seconds = perf_counter() - start
            faster[kind].append(args.surrogates * call / seconds)
            row += [f"{seconds:.2f}", f"{faster[kind][-1]:.0f}"]
        rows.append(tuple(row))
    theirs_called = f"mTRFpy, s: one call x {args.surrogates}|threads"
    table(f"round|{theirs_called}|eegic, s: NumPy|times faster|eegic, s: torch|times faster", rows)
    for kind, ratios in faster.items():
        print(f"{kind}: {median(ratios):.0f} times faster (median of {args.repeat} rounds), the real models included.")


if __name__ == "__main__":
    main()
