"""The core, on one page: features and EEG in, what the added features tell beyond the baseline out."""

from __future__ import annotations

import platform
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import numpy as np

from eegic import _checks, trf
from eegic.eeg.pairing import Features, Pairs, pair_features, unheard_features
from eegic.eeg.participant import Participant
from eegic.results import MAPS, Tracking
from eegic.trf.ceiling import Ceiling, repeat_ceiling
from eegic.trf.crossval import DEFAULT_ALPHAS


def cortical_tracking(
    participant: Participant,
    baseline: Features,
    added: Features,
    *,
    models: Mapping[str, Sequence[str]] | None = None,
    tmin: float = 0.0,
    tmax: float = 0.6,
    alphas: Sequence[float] = DEFAULT_ALPHAS,
    n_folds: int | None = None,
    gap: float | None = None,
    per_channel: bool = False,
    penalty: str = "ridge",
    null: str = "repair",
    conditional: bool = True,
    n_null: int = 1000,
    refit_alpha: bool = True,
    pseudo: Sequence[tuple[object, object]] | None = None,
    autocorrelation: float = 1.0,
    accept_drift: bool = False,
    tolerance: float | None = None,
    ceiling: Ceiling | None = None,
    n_jobs: int = 1,
    rng: int | np.random.Generator | None = None,
    progress: bool = True,
) -> Tracking:
    """Measure what features tell about the EEG of a participant beyond a baseline, with a null that holds.

    Parameters
    ----------
    participant : Participant
    baseline, added : dict of str to FeatureSeries, or to several
        Features by stimulus, see `pair_features`. The baseline has to be beaten: the acoustic envelope at least.
    models : dict of str to sequence of str, optional
        Which added features each full model has besides the baseline. By default every added feature is a model of its
        own: several noise levels of IC are then several models.
    tmin, tmax : float
        Window in seconds, both ends included; positive means the EEG follows the sound.
    alphas : sequence of float
        Grid of regularisation, relative to the number of samples.
    n_folds : int, optional
        By default one sound is held out at a time; presentations of one sound are always held out together.
    gap, per_channel, penalty, null, conditional, n_null, refit_alpha, autocorrelation, accept_drift
        See `trf.delta_r`.
    pseudo : sequence of (baseline, added), optional
        Features of unheard sounds, each a FeatureSeries, or several, or an array (n_times, n_features) at the rate of
        the EEG; for ``null="pseudo"``.
    tolerance : float, optional
        Seconds by which a trial may end before its sound does; by default one sample.
    ceiling : Ceiling, optional
        By default from sounds that were heard more than once; see `trf.listener_ceiling` for another.
    n_jobs : int
        Threads, -1 for every core; results do not depend on it.
    rng : int, Generator or None
        Seed of the surrogates. Give every participant of a study the same: surrogate k is then the same exchange for
        all who heard the same sounds, and their nulls can be averaged.
    progress : bool
        Show progress bars, in a terminal and for what takes longer than two seconds.

    Returns
    -------
    Tracking

    Notes
    -----
    Stimuli with the same features are one sound, whatever their names: they share a fold and are not exchanged with
    each other. All models share samples, folds, the reduced model and the surrogates, so their gains are comparable,
    and ``p_maxt`` is corrected for channels and models together.

    Examples
    --------
    >>> from eegic import datasets
    >>> study = datasets.simulate_study(1, 6, duration=12, n_channels=8, snr=0.1, progress=False, rng=0)
    >>> result = cortical_tracking(study.participants[0], study.envelopes, study.surprisal, tmax=0.4,
    ...                            alphas=[0.01, 0.1, 1.0, 10.0], n_folds=4, n_null=99, rng=0)
    >>> result.p_mean
    array([0.01])
    """
    pairs = pair_features(participant, baseline, added, tolerance=tolerance)
    clash = sorted({*pairs.baseline_names, *pairs.added_names} & set(MAPS))
    if clash:
        raise ValueError(f"features: {clash[0]!r} is what results call a map of theirs. Rename that feature.")
    chosen = _models(models, pairs.added_names)
    columns = {name: [pairs.added_names.index(one) for one in own] for name, own in chosen.items()}
    if ceiling is not None and not (isinstance(ceiling, Ceiling) and len(ceiling.r) == len(participant.ch_names)):
        raise TypeError(f"ceiling: expected a Ceiling of {len(participant.ch_names)} channels, got {ceiling!r}.")
    options = {
        "tmin": tmin,
        "tmax": tmax,
        "alphas": alphas,
        "n_folds": n_folds,
        "gap": gap,
        "per_channel": per_channel,
        "penalty": penalty,
        "null": null,
        "conditional": conditional,
        "n_null": n_null,
        "refit_alpha": refit_alpha,
        "autocorrelation": autocorrelation,
        "accept_drift": accept_drift,
    }
    columns_of_all = [*pairs.baseline_names, *(name for own in chosen.values() for name in own)]
    with _by_name(participant.ch_names, columns_of_all):
        deltas = trf.delta_r(
            list(pairs.baseline),
            {name: [trial[:, own] for trial in pairs.added] for name, own in columns.items()},
            list(pairs.eeg),
            pairs.sfreq,
            **options,
            groups=pairs.sounds,
            pseudo=None if pseudo is None else _by_model(pseudo, columns, pairs),
            masks=pairs.masks,
            n_jobs=n_jobs,
            rng=rng,
            progress=progress,
        )
    first = next(iter(deltas.values()))
    notes = [*pairs.notes, *_left_out(first.full)]
    if ceiling is None and len(set(pairs.sounds)) < len(pairs.sounds):
        ceiling = _ceiling(pairs, notes)
    base = np.concatenate(pairs.baseline)
    explained, reliability = _qualities(pairs, columns, deltas)
    return Tracking(
        participant=participant.name,
        info=participant.info.copy(),
        stimuli=pairs.stimuli,
        sounds=pairs.sounds,
        baseline=pairs.baseline_names,
        models=chosen,
        segments=first.full.split.segments,
        n_samples=first.full.n_samples,
        r_reduced=first.r_reduced,
        r_full=np.stack([delta.r_full for delta in deltas.values()]),
        null=np.stack([delta.null for delta in deltas.values()]),
        alpha=np.stack([first.reduced.alpha, *(delta.full.alpha for delta in deltas.values())]),
        lags=first.full.times,
        kernels={
            name: _per_sd(delta.full, np.hstack([base, np.concatenate(pairs.added)[:, columns[name]]]))
            for name, delta in deltas.items()
        },
        reduced_kernels=_per_sd(first.reduced, base),
        explained=explained,
        reliability=reliability,
        ceiling=ceiling,
        notes=tuple(notes),
        exact=first.exact,
        settings=_plain({"models": chosen, **options, "tolerance": tolerance, "rng": first.entropy}),
        versions=_versions(),
    )


@contextmanager
def _by_name(ch_names: Sequence[str], features: Sequence[str]) -> Iterator[None]:
    """Put names for the numbers of channels and features in warnings and errors.

    That bad channels are NaN is known, and left out.
    """

    def named(text: str) -> str:
        for what, pattern, names in (
            ("channels", r"channels \[([\d, ]+)\]", ch_names),
            ("Features", r"Inputs \[([\d, ]+)\] \([^)]*\)", features),
        ):
            found = re.search(pattern, text)
            if found:
                listed = ", ".join(dict.fromkeys(names[int(number)] for number in found[1].split(",")))
                text = text.replace(found[0], f"{what} {listed}")
        return text

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        except ValueError as error:
            raise ValueError(named(str(error))) from error
    for one in caught:
        message = named(str(one.message))
        if "are NaN throughout" not in message:
            warnings.warn(message, one.category, stacklevel=4)


def _left_out(cv: trf.CrossVal) -> list[str]:
    """A note that says how much of which trials, or blocks of them, was not used."""
    lengths = np.diff(cv.split.segments[:, 1:]).ravel()
    shares = 1 - cv.n_samples / lengths
    parts = [f"{share:.1%} of trial {k}" for k, share in zip(cv.split.segments[:, 0], shares, strict=True) if share > 0]
    return [f"samples left out, masked or unknown in a feature or channel: {', '.join(parts)}"] if parts else []


def _models(models: Mapping[str, Sequence[str]] | None, added: Sequence[str]) -> dict[str, tuple[str, ...]]:
    if models is None:
        return {name: (name,) for name in added}
    if not isinstance(models, Mapping) or not models:
        raise TypeError(
            f"models: expected a dictionary from a name to added features, got {models!r}. "
            f"Write {{'both': {list(added[:2])}}}."
        )
    _checks.unique_names("models", list(models), len(models), "model")
    chosen = {}
    for name, own in models.items():
        where, features = f"models[{name!r}]", [own] if isinstance(own, str) else own
        if not isinstance(features, (list, tuple)) or not features:
            raise TypeError(f"{where}: expected the names of added features, got {own!r}. Write {list(added[:2])}.")
        for feature in features:
            _checks.one_of(where, feature, added)
        chosen[name] = _checks.unique_names(where, features, len(features), "feature")
    return chosen


def _qualities(
    pairs: Pairs, columns: Mapping[str, Sequence[int]], deltas: Mapping[str, trf.DeltaR]
) -> tuple[np.ndarray, np.ndarray]:
    """Share of each added feature that the baseline explains, and the reliability of the rest, in the order of use."""
    explained = {c: e for name, own in columns.items() for c, e in zip(own, deltas[name].explained, strict=True)}
    first = {sound: i for i, sound in reversed(list(enumerate(pairs.sounds)))}
    heard, noise = (np.concatenate([side[i] for i in first.values()]) for side in (pairs.added, pairs.noise))
    share = np.array(list(explained.values()))
    rest = np.nanvar(heard, axis=0)[list(explained)] * (1 - share)
    reliability = 1 - np.nanmean(noise**2, axis=0)[list(explained)] / rest
    lost = [pairs.added_names[c] for c, left in zip(explained, reliability, strict=True) if left <= 0]
    if lost:
        warnings.warn(
            f"added: the standard errors of {', '.join(lost)} are as large as what the baseline leaves of it, so there "
            "is nothing but noise of its estimator to test. Take more samples of the estimator.",
            stacklevel=3,
        )
    return share, np.clip(reliability, 0, 1)


def _by_model(
    pseudo: Sequence[object], columns: Mapping[str, Sequence[int]], pairs: Pairs
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Baseline and added features of unheard sounds, these model after model."""
    if isinstance(pseudo, (Mapping, str)):
        raise TypeError(
            f"pseudo: expected pairs (baseline, added), got {type(pseudo).__name__}. Write [(one, other), ...]."
        )
    every = [column for own in columns.values() for column in own]
    unheard = (unheard_features(number, pair, pairs) for number, pair in enumerate(pseudo))
    return [(baseline, added[:, every]) for baseline, added in unheard]


def _per_sd(cv: trf.CrossVal, features: np.ndarray) -> np.ndarray:
    """Kernels in volts per standard deviation of the features, mean over folds."""
    return np.asarray(cv.weights.mean(axis=0) * np.nanstd(features, axis=0)[:, None, None])


def _ceiling(pairs: Pairs, notes: list[str]) -> Ceiling | None:
    """From repeated sounds. Trials are standardised, since the gain weighs them equally."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about bad channels and gaps, which the analysis has named
        standard = []
        for eeg, mask in zip(pairs.eeg, pairs.masks, strict=True):
            mean, spread = np.nanmean(eeg[mask], axis=0), np.nanstd(eeg[mask], axis=0)
            standard.append((eeg - mean) / np.where(spread > 0, spread, 1))
        try:
            return repeat_ceiling(standard, pairs.sounds, masks=pairs.masks)
        except ValueError as error:
            notes.append(f"no noise ceiling: {error}")
            return None


def _plain(value: object) -> Any:
    """The same in the types of JSON."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("eegic", "numpy", "scipy", "mne")}
    return {"python": platform.python_version(), **packages}
