"""How fast `eegic.trf` is, beside mTRFpy, MNE and scikit-learn on the same data; see README.md.

    python benchmarks/bench_trf.py [--only a b] [--threads 2] [--repeat 3] [--quick] [--whole]

Every case runs in a fresh process, both sides of it in that one. Before any time is printed they must agree.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import combinations
from time import perf_counter
from typing import Any

import numpy as np
from scipy.signal import lfilter
from threadpoolctl import threadpool_info, threadpool_limits

import eegic
from eegic import trf

SFREQ = 64.0
Timing = tuple[float, float]  # minimum and median, seconds


@dataclass(frozen=True)
class Setting:
    """Size of one analysis; recordings in seconds, sampled at `SFREQ`."""

    n_trials: int
    seconds: int
    n_alphas: int
    n_features: int = 2
    n_lags: int = 46
    n_channels: int = 64
    n_folds: int | None = None

    @property
    def alphas(self) -> np.ndarray:
        """Grid in the units of mTRFpy."""
        return np.logspace(-2, 6, self.n_alphas)

    @property
    def window(self) -> dict[str, float]:
        """Both ends of the lags, in seconds."""
        return {"tmin": 0.0, "tmax": (self.n_lags - 1) / SFREQ}

    def __str__(self) -> str:
        return (
            f"{self.n_trials} trials x {self.seconds} s x {self.n_channels} channels at {SFREQ:g} Hz, "
            f"{self.n_features} features x {self.n_lags} lags"
        )


def simulate(setting: Setting, seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Slow positive features that resemble their neighbours, and EEG that follows them under coloured noise."""
    rng = np.random.default_rng(seed)
    n_times, n_kernel = round(setting.seconds * SFREQ), min(20, setting.n_lags)
    blur, spread = _neighbours(setting.n_features, 0.6), _neighbours(setting.n_channels, 0.8)
    shape = (n_kernel, setting.n_features, setting.n_channels)
    kernels = np.hanning(n_kernel + 2)[1:-1, None, None] * rng.standard_normal(shape)
    xs, ys = [], []
    for _ in range(setting.n_trials):
        x = np.exp(0.3 * lfilter([1], [1, -0.9], rng.standard_normal((n_times, setting.n_features)), axis=0) @ blur)
        y = 5 * lfilter([1], [1, -0.95], rng.standard_normal((n_times, setting.n_channels)), axis=0) @ spread
        for lag, kernel in enumerate(kernels):
            y[lag:] += x[: n_times - lag] @ kernel
        xs.append(x)
        ys.append(y)
    return xs, ys


def _neighbours(n: int, decay: float) -> np.ndarray:
    return decay ** np.abs(np.subtract.outer(np.arange(n), np.arange(n)))


def timed(function: Callable[[], Any], repeat: int) -> Timing:
    """Minimum and median of `repeat` runs, after one to warm up."""
    function()
    seconds = []
    for _ in range(repeat):
        start = perf_counter()
        function()
        seconds.append(perf_counter() - start)
    return min(seconds), float(np.median(seconds))


def timed_at_best(function: Callable[[], Any], repeat: int, threads: int) -> tuple[Timing, int]:
    """Time with one BLAS thread or all of them, whichever is faster, and how many that was."""
    timings = []
    for n in sorted({1, threads}):
        with threadpool_limits(n, user_api="blas"):
            timings.append((timed(function, repeat), n))
    return min(timings)


def agree(what: str, ours: object, theirs: object, tolerance: float = 1e-8) -> None:
    """Stop the benchmark where two sides differ: then their times mean nothing."""
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance, err_msg=what)


def table(header: str, rows: list[tuple[str, ...]]) -> None:
    """Print rows under a header whose cells are separated by ``|``; the first column is flush left."""
    lines = [tuple(cell.strip() for cell in header.split("|")), *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    lines.insert(1, tuple("-" * width for width in widths))
    for first, *others in lines:
        print("  ".join([first.ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(others, widths[1:], strict=True))]))
    print()


def compare(rows: list[tuple[str, int, Timing]]) -> None:
    """Print who took how long, and how many times faster than the first row the others are."""
    reference = rows[0][2][0]
    table(
        "|threads|minimum s|median s|times faster",
        [
            (who, str(threads), f"{best:.3f}", f"{median:.3f}", f"{reference / best:.1f}" if i else "1")
            for i, (who, threads, (best, median)) in enumerate(rows)
        ],
    )


def nested(setting: Setting, x: list[np.ndarray], y: list[np.ndarray], n_jobs: int, **kwargs: Any) -> trf.CrossVal:
    """Nested cross-validation, ours; alphas in the units of mTRFpy."""
    settings = {"alphas": setting.alphas, "alpha_units": "mtrf", "n_folds": setting.n_folds, **setting.window}
    return trf.nested_crossval(x, y, SFREQ, n_jobs=n_jobs, **settings, **kwargs)


def our_rows(setting: Setting, x: list, y: list, args: argparse.Namespace) -> list[tuple[str, int, Timing]]:
    """Rows of `compare` for our side: one thread and all, then an alpha for every channel."""
    rows = [
        ("eegic nested_crossval", n, timed(lambda n=n: nested(setting, x, y, n), args.repeat))
        for n in sorted({1, args.threads})
    ]
    per_channel = timed(lambda: nested(setting, x, y, args.threads, per_channel=True), args.repeat)
    return [*rows, ("  with an alpha per channel", args.threads, per_channel)]


def case_a(args: argparse.Namespace) -> None:
    """Leave-one-out, whole on both sides."""
    setting = Setting(5, 20, 6) if args.quick else Setting(10, 60, 10)
    x, y = simulate(setting)
    print(f"(a) {setting}, {setting.n_alphas} alphas, leave-one-out")
    run = their_nested(setting, x, y)
    agree_on_folds(nested(setting, x, y, args.threads), *run())
    seconds, threads = timed_at_best(run, args.repeat, args.threads)
    compare([("mtrf nested_crossval", threads, seconds), *our_rows(setting, x, y, args)])


def case_b(args: argparse.Namespace) -> None:
    """Leave-one-out of a whole session; of mTRFpy one outer fold, unless ``--whole``."""
    setting = SESSION_QUICK if args.quick else SESSION
    x, y = simulate(setting)
    print(f"(b) {setting}, {setting.n_alphas} alphas, leave-one-out")
    cv = nested(setting, x, y, args.threads)
    if args.whole:
        run = their_nested(setting, x, y)
        agree_on_folds(cv, *run())
        who, (seconds, threads) = "mtrf nested_crossval", timed_at_best(run, 1, args.threads)
    else:
        who, seconds, threads = their_session(setting, x, y, cv, args)
    compare([(who, threads, seconds), *our_rows(setting, x, y, args)])


def their_nested(setting: Setting, x: list, y: list) -> Callable[[], tuple[np.ndarray, list[float]]]:
    """Nested cross-validation of mTRFpy: mean score and chosen alpha of every outer fold."""
    import mtrf

    grid, window = list(setting.alphas), tuple(setting.window.values())
    return lambda: mtrf.stats.nested_crossval(mtrf.TRF(), list(x), list(y), SFREQ, *window, grid, verbose=False)


def agree_on_folds(cv: trf.CrossVal, scores: np.ndarray, alphas: list[float]) -> None:
    """Both sides chose the same alphas, and score the same in every outer fold."""
    agree("chosen alphas", cv.alpha, alphas, 0.0)
    agree("scores of the outer folds", cv.r.mean(axis=1), scores)
    print(f"Both choose the same alphas; fold scores differ by {np.abs(cv.r.mean(axis=1) - scores).max():.0e} at most.")


def their_session(
    setting: Setting, x: list, y: list, cv: trf.CrossVal, args: argparse.Namespace
) -> tuple[str, Timing, int]:
    """One outer fold of mTRFpy run whole, and what all of them take.

    `mtrf.TRF.train` with a list of alphas is what `mtrf.stats.nested_crossval` does in one outer fold (every alpha in
    every inner fold, then the refit), except that it also computes the covariances of the trials, which
    `nested_crossval` does once. They are timed apart, and counted once. The predictions of the outer folds are left
    out, in favour of mTRFpy.
    """
    import mtrf

    grid, window = setting.alphas, tuple(setting.window.values())
    model = mtrf.TRF()

    def fold() -> np.ndarray:
        return model.train(x[1:], y[1:], SFREQ, *window, grid, verbose=False)

    def covariances() -> Any:
        return mtrf.matrices.covariance_matrices(x[1:], y[1:], list(range(setting.n_lags)))

    inner = fold()
    agree("inner scores of fold 0", cv.inner[0].mean(axis=1), inner)
    agree("alpha of fold 0", cv.alpha[0], model.regularization, 0.0)
    agree("score of fold 0", cv.r[0].mean(), model.predict(x[:1], y[:1])[1])
    print(f"Inner scores of outer fold 0 differ by {np.abs(cv.inner[0].mean(axis=1) - inner).max():.0e}; same alpha.")
    n = setting.n_trials
    timings = []
    for threads in sorted({1, args.threads}):
        with threadpool_limits(threads, user_api="blas"):
            once, each = np.array(timed(covariances, args.repeat)), np.array(timed(fold, args.repeat))
        timings.append((tuple(once + n * (each - once)), threads, each[0], once[0]))
    seconds, threads, each, once = min(timings)
    print(
        f"mtrf ran 1 of {n} outer folds whole ({n - 1} inner folds x {len(grid)} alphas, and the refit): {each:.2f} s, "
        f"of which the\ncovariances {once:.2f} s. The time below is {once:.2f} + {n} x ({each:.2f} - {once:.2f}) s."
    )
    return f"mtrf nested_crossval, 1/{n} run", seconds, threads


def memory_b(args: argparse.Namespace) -> None:
    """Peak memory of our side of (b), alone in its process."""
    setting = SESSION_QUICK if args.quick else SESSION
    x, y = simulate(setting)
    before = peak()
    nested(setting, x, y, args.threads)
    print_memory(x, y, before)


def case_c(args: argparse.Namespace) -> None:
    """Growth with trials, lags, channels and recording length, one doubled at a time."""
    from eegic.trf import design, folds
    from eegic.trf.crossval import parts_of
    from eegic.trf.heldout import Held
    from eegic.trf.ridge import Ridge
    from eegic.trf.workers import workers

    base = Setting(6, 20, 5, n_lags=12, n_channels=16) if args.quick else Setting(10, 60, 10, n_lags=24, n_channels=32)
    print(f"(c) {base}, {base.n_alphas} alphas, leave-one-out, one thread; then one size doubled at a time")
    rows = []
    for what in ("", "n_trials", "seconds", "n_lags", "n_channels", "n_features", "n_alphas"):
        setting = replace(base, **{what: 2 * getattr(base, what)}) if what else base
        x, y = simulate(setting)
        columns = {"penalty": "ridge", "basis": None, "bands": None, "masks": None, "backward": False}
        trials, layout = design.lay_out(x, y, SFREQ, **setting.window, **columns)
        split, model = folds.split(trials.lengths, layout), Ridge(layout, "mtrf")
        with workers(1, len(layout.feature)) as run:
            recording, every = design.Recording.of(trials, layout), list(range(layout.n_features))
            moments = lambda: parts_of(recording, split, every, run)  # noqa: B023, E731
            held = Held(moments(), split.folds, model)
            inner = lambda: held.inner(setting.alphas, np.ones(1), "r", run)  # noqa: B023, E731
            parts = timed(moments, args.repeat)[0], timed(inner, args.repeat)[0]
        whole = timed(lambda: nested(setting, x, y, 1), args.repeat)[0]  # noqa: B023
        n_pairs = len(list(combinations(split.folds, 2)))
        name = f"{what} {getattr(setting, what)}" if what else "as said"
        rows.append((name, f"{whole:.3f}", f"{parts[0]:.3f}", str(n_pairs), f"{1000 * parts[1] / n_pairs:.2f}"))
    table("|whole s|moments s|fold pairs|ms per fold pair", rows)


def case_d(args: argparse.Namespace) -> None:
    """One fit at one alpha and the score of a held-out trial, with MNE and scikit-learn."""
    import mne
    from mne.decoding import ReceptiveField, TimeDelayingRidge
    from sklearn.linear_model import Ridge

    setting = Setting(4, 20, 1) if args.quick else Setting(11, 60, 1)
    print(f"(d) One fit at one alpha to {setting.n_trials - 1} of {setting}, and the score of the last")
    x, y = quiet_ends(setting)
    train, test = slice(1, None), slice(0, 1)
    ends, alpha = tuple(setting.window.values()), 1e4
    stacked = np.stack(x, axis=1), np.stack(y, axis=1)  # (n_times, n_trials, ...): what MNE takes

    def ours() -> tuple[np.ndarray, object]:
        model = trf.fit(x[train], y[train], SFREQ, **setting.window, alpha=alpha, alpha_units="absolute")
        return model.weights, model.score(x[test], y[test])

    def receptive_field(estimator: Any) -> tuple[np.ndarray, object]:
        model = ReceptiveField(*ends, SFREQ, estimator=estimator, scoring="corrcoef")
        model.fit(stacked[0][:, train], stacked[1][:, train])
        return model.coef_.transpose(1, 2, 0), model.score(stacked[0][:, test], stacked[1][:, test])

    def explicit() -> tuple[np.ndarray, object]:
        model = Ridge(alpha=alpha).fit(np.concatenate([lagged(a, setting) for a in x[train]]), np.concatenate(y[train]))
        prediction = model.predict(lagged(x[0], setting))
        r = [np.corrcoef(p, t)[0, 1] for p, t in zip(prediction.T, y[0].T, strict=True)]
        return model.coef_.T.reshape(setting.n_features, setting.n_lags, -1), r

    others = {
        "mne ReceptiveField, TimeDelayingRidge": lambda: receptive_field(
            TimeDelayingRidge(*ends, SFREQ, alpha=alpha, fit_intercept=False)
        ),
        "mne ReceptiveField, sklearn Ridge": lambda: receptive_field(Ridge(alpha=alpha)),
        "sklearn Ridge on the lagged design": explicit,
    }
    rows = []
    weights, scores = ours()
    with mne.use_log_level("ERROR"):
        for name, other in others.items():
            agree(name, weights, other()[0], 1e-8 * np.abs(weights).max())
            seconds, threads = timed_at_best(other, args.repeat, args.threads)
            rows.append((name, threads, seconds))
    agree("held-out r", scores[0], explicit()[1])
    print("All weights agree to 1e-8 of the largest, held-out r with the lagged design to 1e-8.")
    seconds, threads = timed_at_best(ours, args.repeat, args.threads)
    compare([*rows, ("eegic fit and score", threads, seconds)])


def quiet_ends(setting: Setting) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Trials that fall silent before they end, of mean zero: then padding and intercepts cannot differ by package."""
    x, y = simulate(setting)
    mean_y = np.mean(y[1:], axis=(0, 1))
    sounding = slice(None, -setting.n_lags)
    for trial in x:
        trial[sounding] -= trial[sounding].mean(axis=0)
        trial[-setting.n_lags :] = 0
    return x, [trial - mean_y for trial in y]


def lagged(x: np.ndarray, setting: Setting) -> np.ndarray:
    """Zero-padded lagged design, feature by feature, lags fastest."""
    design = np.zeros((len(x), x.shape[1], setting.n_lags))
    for lag in range(setting.n_lags):
        design[lag:, :, lag] = x[: len(x) - lag]
    return design.reshape(len(x), -1)


def case_e(args: argparse.Namespace) -> None:
    """Spectrogram model, and its peak memory."""
    small, large = Setting(6, 20, 3, 8, 20, 16, 3), Setting(10, 60, 5, 32, 50, 64, 5)
    setting = small if args.quick else large
    x, y = simulate(setting)
    print(f"(e) {setting} (bands), {setting.n_alphas} alphas, {setting.n_folds} folds nested")
    before = peak()
    rows = []
    for n in sorted({1, args.threads}):
        best, median = timed(lambda n=n: nested(setting, x, y, n), args.repeat)
        rows.append(("eegic nested_crossval", str(n), f"{best:.2f}", f"{median:.2f}"))
    table("|threads|minimum s|median s", rows)
    explicit = sum(map(len, x)) * setting.n_features * setting.n_lags * 8
    print_memory(x, y, before, [("explicit lagged design (never made)", f"{explicit / 1e6:.0f}")])


def peak() -> float:
    """Peak resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def print_memory(x: list, y: list, before: float, more: list[tuple[str, ...]] | None = None) -> None:
    """Print the peak memory of the process beside what it held before and what the data take."""
    data = sum(a.nbytes for a in x + y) / 1e6
    rows = [("peak of the process", f"{peak():.0f}"), ("  before the analysis, data included", f"{before:.0f}")]
    table("memory|MB", [*rows, ("  the data themselves", f"{data:.0f}"), *(more or [])])


def replaced(args: argparse.Namespace, **changes: Any) -> argparse.Namespace:
    """Return the arguments with some of them changed."""
    return argparse.Namespace(**{**vars(args), **changes})


def print_versions(args: argparse.Namespace) -> None:
    """Say what ran on what."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "mtrf", "mne", "scikit-learn"))
    blas = ", ".join(sorted({f"{i['internal_api']} {i['version']}" for i in threadpool_info()}))
    print(f"eegic {eegic.__version__}, Python {platform.python_version()}, {packages}\nBLAS: {blas}")
    print(f"{os.cpu_count()} CPUs ({platform.machine()}), {args.threads} threads for each side; {args.repeat} runs")
    print("after one to warm up. Other packages: with 1 or all BLAS threads, whichever was faster.\n", flush=True)


SESSION, SESSION_QUICK = Setting(30, 150, 20), Setting(6, 30, 6)
CASES = {"a": [case_a], "b": [case_b, memory_b], "c": [case_c], "d": [case_d], "e": [case_e]}


def main() -> None:
    """Run the cases, each in a fresh process that is given its threads before it loads NumPy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), help="cases to run (default: all)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for each side (default: every core)")
    parser.add_argument("--repeat", type=int, default=3, help="runs after one to warm up (default: 3)")
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it runs, not how fast")
    parser.add_argument("--whole", action="store_true", help="(b): run mTRFpy whole, which takes many minutes")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        warnings.filterwarnings("ignore", "The chosen alpha sits at the edge")  # what is chosen here means nothing
        return globals()[args.child](args)
    print_versions(args)
    threads = {f"{library}_NUM_THREADS": str(args.threads) for library in ("OMP", "OPENBLAS", "MKL")}
    for case in args.only:
        for function in CASES[case]:
            command = [sys.executable, __file__, *sys.argv[1:], "--child", function.__name__]
            subprocess.run(command, env={**os.environ, **threads}, check=True)


if __name__ == "__main__":
    main()
