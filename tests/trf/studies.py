"""Simulated studies whose truth is known, and the bars that a null without an effect has to pass."""

import functools
import warnings

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import binom, kstest

from eegic import stats, trf

SFREQ, N_NULL = 32.0, 19
MODEL = {"tmin": 0.0, "tmax": 0.4, "alphas": (0.01, 0.1, 1.0), "n_folds": 4}
LAGS = np.arange(13) / SFREQ
KERNEL = np.exp(-0.5 * ((LAGS - 0.1) / 0.03) ** 2) - np.exp(-0.5 * ((LAGS - 0.2) / 0.04) ** 2)


def pink(rng, n_times, n_series=1):
    """Noise of 0.5 to 15 Hz, slow parts stronger, variance 1, (n_times, n_series)."""
    f = np.fft.rfftfreq(n_times, 1 / SFREQ)
    shape = np.where((f > 0.5) & (f < 15), 1 / np.sqrt(np.maximum(f, 0.5)), 0)
    spectrum = rng.standard_normal((n_series, len(f))) + 1j * rng.standard_normal((n_series, len(f)))
    x = np.fft.irfft(spectrum * shape, n_times)
    return (x / x.std(axis=1, keepdims=True)).T


def music(rng, rho, n_times=960):
    """A slow envelope, and a feature held over frames of a tenth of a second, correlated with it."""
    envelope, frames = pink(rng, n_times), np.repeat(pink(rng, n_times // 3), 3, axis=0)
    return envelope, rho * envelope + np.sqrt(1 - rho**2) * frames


def answer(x):
    """What a brain that follows a feature does, (n_times, 1)."""
    return np.convolve(x[:, 0], KERNEL)[: len(x), None]


def recording(rng, rho, *, n_sounds=8, n_times=960, gains=(0.1, 0.4), n_repeats=1, shared=0.0):
    """Baseline, added feature, EEG and sound of every trial; the EEG follows the baseline alone.

    Besides, repeats of a sound share noise of `shared` standard deviations.
    """
    gain, mixing = rng.uniform(*gains, 4), np.eye(4) + 0.5
    baseline, added, eeg = [], [], []
    for _ in range(n_sounds):
        envelope, feature = music(rng, rho, n_times)
        common = answer(envelope) * gain + (shared * pink(rng, n_times, 4) @ mixing if shared else 0)
        for _ in range(n_repeats):
            baseline.append(envelope)
            added.append(feature)
            eeg.append(common + pink(rng, n_times, 4) @ mixing)
    return baseline, added, eeg, np.repeat(range(n_sounds), n_repeats)


def gain_and_null(d):
    """Gain of a result and of its surrogates, means over channels, (1 + n_null,)."""
    return np.append(d.gain.mean(), d.null.mean(axis=1))


@functools.cache
def many(study, n, *options):
    """What `study` gives with the seeds 0 to n - 1, stacked."""
    return np.stack(Parallel(n_jobs=2, inner_max_num_threads=1)(delayed(_quietly)(study, k, options) for k in range(n)))


def _quietly(study, seed, options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about alphas at the edge, and nulls that are wrong on purpose
        return study(seed, *options)


def corrected(gains):
    """Gain minus the mean of its null, for (n_studies, 1 + n_null) gains."""
    return gains[:, 0] - gains[:, 1:].mean(axis=1)


def failed(name, gains):
    """Names of the bars that (n_studies, 1 + n_null) gains without an effect do not pass; one line is printed.

    A right null misses a bar by chance about once in a thousand times.
    """
    n, raw, over_chance = len(gains), gains[:, 0], corrected(gains)
    p = stats.p_value(raw, gains[:, 1:].T)
    spread = p - np.random.default_rng(0).random(n) / gains.shape[1]  # p-values are discrete: each over its step
    error, raw_error = over_chance.std() / np.sqrt(n), raw.std() / np.sqrt(n)
    rejected = {level: int((p <= level + 1e-9).sum()) for level in (0.01, 0.05, 0.1, 0.2)}
    few, most = (int(k) for k in binom.interval(0.999, n, 0.05))
    passed = {
        "rejections": few <= rejected[0.05] <= most,
        "levels": all(k <= n * level + 3 * np.sqrt(n * level * (1 - level)) for level, k in rejected.items()),
        "uniform": kstest(spread, "uniform").pvalue > 0.001,
        "bias": abs(over_chance.mean()) < max(1e-4, 3.3 * error),
        "raw": raw.mean() < 3.3 * raw_error,
    }
    missed = {bar for bar, good in passed.items() if not good}
    rates = f"{rejected[0.05]} of {n} at .05 (right: {few} to {most}), {rejected[0.01]} at .01, mean p {p.mean():.2f}"
    size = f"corrected {over_chance.mean():+.1e} ± {error:.0e}, raw {raw.mean():+.1e} ± {raw_error:.0e}"
    print(f"\n{name}: {rates}; {size}; missed {sorted(missed)}", end="")
    return missed


def null_study(seed, rho, scheme):
    """Gains in one study without an effect, under one way to make surrogates."""
    rng = np.random.default_rng([seed, 11])
    baseline, added, eeg, _ = recording(rng, rho)
    options = {"repair": {}, "pseudo": {"null": "pseudo"}, "plain": {"conditional": False}}[scheme]
    if scheme == "pseudo":
        options["pseudo"] = [music(rng, rho) for _ in range(10)]
    return gain_and_null(trf.delta_r(baseline, added, eeg, SFREQ, **MODEL, n_null=N_NULL, rng=seed, **options))
