"""A small listener made by hand: features on the grid, and EEG that answers to them."""

import warnings
from functools import cache

import numpy as np
from scipy.signal import lfilter

from eegic import FeatureSeries, Participant, cortical_tracking

SFREQ = 32.0
CHANNELS = ("Fz", "Cz", "Pz", "Oz", "C3", "C4")
OPTIONS = {"tmin": 0.0, "tmax": 4 / SFREQ, "alphas": [0.01, 1.0, 100.0], "n_null": 19, "rng": 0}


def series(values, name, sfreq=SFREQ, **options):
    return FeatureSeries(values, np.arange(len(values)) / sfreq, name, **options)


def music(rng, stimuli="abcdef", n_times=300, rho=0.5, memory=0.8):
    """Envelope and IC of each stimulus, which correlate; variance 1."""
    baseline, added = {}, {}
    for stimulus in stimuli:
        noise = rng.standard_normal((n_times + 50, 2)) * np.sqrt(1 - memory**2)
        a, b = lfilter([1], [1, -memory], noise, axis=0)[50:].T
        baseline[stimulus] = series(a, "envelope")
        added[stimulus] = series(rho * a + np.sqrt(1 - rho**2) * b, "ic")
    return baseline, added


def listener(rng, baseline, added, stimuli=None, effect=1.0, noise=3.0, n_after=0, **options):
    """EEG that answers to the envelope after 2 samples, and to the first added feature after 3, most of all at Fz."""
    n_channels = len(options.setdefault("ch_names", list(CHANNELS)))
    hill = np.exp(-np.arange(n_channels))
    stimuli = list(baseline if stimuli is None else stimuli)
    eeg = []
    for stimulus in stimuli:
        sources = [(baseline[stimulus], 2, 1.0), (added[stimulus], 3, effect * hill)]
        answer = sum(np.roll(np.nan_to_num(s.values[:, :1]), lag, axis=0) * size for s, lag, size in sources)
        answer = np.pad(answer, ((0, n_after), (0, 0)))
        eeg.append(1e-5 * (answer + noise * rng.standard_normal((len(answer), n_channels))))
    return Participant.from_arrays(eeg, stimuli, SFREQ, **{"montage": "biosemi64", "name": "sub-01", **options})


@cache
def tracked():
    """A result that has everything: two models, a bad channel, a ceiling, notes, and names from everywhere."""
    rng = np.random.default_rng(1)
    baseline, added = music(rng, ["a/b", "..", "ü", "🎵", "e.npy"])
    for name, own in added.items():
        noise = rng.standard_normal(300)
        added[name] = [own, series(own.values[:, 0] + noise, "noisy ic", se=np.ones(300))]
    ic = {name: own[0] for name, own in added.items()}
    person = listener(rng, baseline, ic, [*baseline, "ü", "🎵"], 2.0, n_after=9, bads=["Pz"], name="Jörg")
    models = {"ic": ["ic"], "ic.npy": ["noisy ic", "ic"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cortical_tracking(person, baseline, added, models=models, **{**OPTIONS, "n_null": 39})
