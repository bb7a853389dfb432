"""Results of participants, made of numbers that a test chooses instead of a fit."""

import mne
import numpy as np

from eegic.results import Tracking


def tracking(
    name,
    delta_r,
    null,
    *,
    models=None,
    ch_names=None,
    sounds=None,
    bads=(),
    lags=None,
    sfreq=64.0,
    kernels=None,
    notes=(),
    **settings,
):
    """A `Tracking` with raw gains (n_models, n_trials, n_channels) and surrogates (n_models, n_null, n_channels)."""
    delta_r, null = np.asarray(delta_r, float), np.asarray(null, float)
    n_models, n_trials, n_channels = delta_r.shape
    montage = mne.channels.make_standard_montage("biosemi64")
    names = list(ch_names or montage.ch_names[:n_channels])
    info = mne.create_info(names, sfreq, "eeg", verbose="error")
    info.set_montage(montage, on_missing="ignore", verbose="error")
    info["bads"] = list(bads)
    lags = np.arange(5) / sfreq if lags is None else np.asarray(lags)
    models = {f"IC {k / 10:g}": (f"IC {k / 10:g}",) for k in range(n_models)} if models is None else models
    stimuli = tuple(f"piece {k}" for k in range(n_trials)) if sounds is None else tuple(sounds)
    n_features = [1 + len(own) for own in models.values()]
    reduced = np.full((n_trials, n_channels), 0.05)
    every = {one for own in models.values() for one in own}
    blank = {key: np.zeros((n, len(lags), n_channels)) for key, n in zip(models, n_features, strict=True)}
    return Tracking(
        participant=name,
        info=info,
        stimuli=stimuli,
        sounds=stimuli,
        baseline=("envelope",),
        models=models,
        segments=np.column_stack([np.arange(n_trials), np.zeros(n_trials, int), np.full(n_trials, 640)]),
        n_samples=np.full(n_trials, 640),
        r_reduced=np.where(np.isnan(delta_r[0]), np.nan, reduced),
        r_full=reduced + delta_r,
        null=null,
        alpha=np.ones((1 + n_models, 2)),
        lags=lags,
        kernels=blank if kernels is None else kernels,
        reduced_kernels=np.zeros((1, len(lags), n_channels)),
        explained=np.full(len(every), 0.1),
        reliability=np.ones(len(every)),
        ceiling=None,
        notes=tuple(notes),
        exact=False,
        settings={"null": "repair", "conditional": True, "n_null": null.shape[1], "rng": 1, "n_folds": None} | settings,
        versions={"eegic": "1"},
    )


def people(n, gain=0.0, *, n_models=1, n_trials=4, n_channels=6, n_null=99, spread=0.004, seed=0, **options):
    """Participants around a mean gain per model; their surrogates lie at -0.002 and have a part in common."""
    rng = np.random.default_rng(seed)
    gain = np.broadcast_to(np.asarray(gain, float), n_models)[:, None, None]
    common = 0.001 * rng.standard_normal((n_models, n_null, n_channels))
    found = []
    for i in range(n):
        own = spread * rng.standard_normal((n_models, 1, 1))
        delta_r = gain + own - 0.002 + 0.003 * rng.standard_normal((n_models, n_trials, n_channels))
        null = -0.002 + common + 0.002 * rng.standard_normal((n_models, n_null, n_channels))
        found.append(tracking(f"sub-{i + 1:02d}", delta_r, null, **options))
    return found
