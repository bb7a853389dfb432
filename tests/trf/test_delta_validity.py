"""Does the null of delta_r hold? Simulated studies in which the added feature has no effect; minutes, hence slow."""

import warnings

import numpy as np
import pytest
from joblib import Parallel, delayed
from scipy.stats import kstest

from eegic import trf

SFREQ, N_SOUNDS, N_TIMES = 32.0, 8, 960
N_STUDIES, N_NULL = 400, 19
WINDOW = (7, 36)  # rejections at .05 in 400 studies outside which a right test falls once in a thousand
SCHEMES = {"repair": {}, "pseudo": {"null": "pseudo"}, "plain": {"conditional": False}}


def music(rng, rho):
    """A slow envelope, and a feature held over frames of a tenth of a second, correlated with it."""
    envelope, frames = _pink(rng, N_TIMES), np.repeat(_pink(rng, N_TIMES // 3), 3)
    return envelope[:, None], (rho * envelope + np.sqrt(1 - rho**2) * frames)[:, None]


def _pink(rng, n, n_series=None):
    f = np.fft.rfftfreq(n, 1 / SFREQ)
    shape = np.where((f > 0.5) & (f < 15), 1 / np.sqrt(np.maximum(f, 0.5)), 0)
    spectrum = rng.standard_normal((n_series or 1, len(f))) + 1j * rng.standard_normal((n_series or 1, len(f)))
    x = np.fft.irfft(spectrum * shape, n)
    x = x / x.std(axis=1, keepdims=True)
    return x.T if n_series else x[0]


def study(seed, rho, scheme, effect=0.0):
    """p-value, corrected and raw gain (means over channels) of one simulated study."""
    rng = np.random.default_rng([seed, 11])
    lags = np.arange(13) / SFREQ
    kernel = np.exp(-0.5 * ((lags - 0.1) / 0.03) ** 2) - np.exp(-0.5 * ((lags - 0.2) / 0.04) ** 2)
    gains = rng.uniform(0.1, 0.4, 4)
    baseline, added, eeg = [], [], []
    for _ in range(N_SOUNDS):
        envelope, feature = music(rng, rho)
        answer = np.convolve(envelope[:, 0], kernel)[:N_TIMES] + effect * np.convolve(feature[:, 0], kernel)[:N_TIMES]
        baseline.append(envelope)
        added.append(feature)
        eeg.append(answer[:, None] * gains + _pink(rng, N_TIMES, 4) @ (np.eye(4) + 0.5))
    options = dict(SCHEMES[scheme])
    if scheme == "pseudo":
        options["pseudo"] = [music(rng, rho) for _ in range(N_SOUNDS + 2)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = {"tmin": 0.0, "tmax": 0.4, "alphas": (0.01, 0.1, 1.0), "n_folds": 4}
        d = trf.delta_r(baseline, added, eeg, SFREQ, **model, n_null=N_NULL, rng=seed, **options)
    return d.p_mean, d.corrected.mean(), d.gain.mean()


def studies(rho, scheme, n=N_STUDIES, effect=0.0):
    """p-values, corrected and raw gains of many, each of shape (n,)."""
    with_one_thread = Parallel(n_jobs=2, inner_max_num_threads=1)
    return np.array(with_one_thread(delayed(study)(seed, rho, scheme, effect) for seed in range(n))).T


def uniform(p):
    """p-value of a test that p-values are uniform; they are discrete, so each is spread over its step."""
    return kstest(p - np.random.default_rng(0).random(len(p)) / (N_NULL + 1), "uniform").pvalue


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("scheme", ["repair", "pseudo"])
def test_false_positives_are_as_many_as_they_say(scheme, rho):
    p, corrected, raw = studies(rho, scheme)
    rejected = int((p <= 0.05 + 1e-9).sum())
    print(f"{scheme}, rho {rho}: {rejected} of {N_STUDIES}; corrected {corrected.mean():+.1e}, raw {raw.mean():+.1e}")
    assert WINDOW[0] <= rejected <= WINDOW[1]
    assert uniform(p) > 0.001
    assert abs(corrected.mean()) < max(1e-4, 3.3 * corrected.std() / np.sqrt(len(corrected)))
    assert raw.mean() < -5 * raw.std() / np.sqrt(len(raw))  # raw gains are biased below zero


@pytest.mark.slow
def test_exchanging_the_whole_feature_is_noticed():
    """The canary: the checks above fail for a null that is not valid."""
    p, corrected, _ = studies(0.9, "plain", 100)
    print(f"whole feature exchanged, rho 0.9: mean p {p.mean():.2f}, corrected {corrected.mean():+.1e}")
    assert uniform(p) < 0.001
    assert p.mean() < 0.4
    assert corrected.mean() > 5 * corrected.std() / np.sqrt(len(corrected))


@pytest.mark.slow
def test_an_effect_is_found_where_the_sign_of_raw_gains_is_blind():
    p, corrected, raw = studies(0.5, "repair", 60, effect=0.6)
    assert (p <= 0.05 + 1e-9).mean() > 0.6
    assert corrected.mean() > 0 and corrected.mean() - raw.mean() > 1e-4
