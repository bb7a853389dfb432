"""Features meet trials: one array per trial at the rate of the EEG, and which trials presented one sound."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from eegic import _checks
from eegic.eeg.participant import Participant, Trial
from eegic.series import FeatureSeries

Features = Mapping[str, "FeatureSeries | Sequence[FeatureSeries]"]
_ALIKE = 0.95  # correlation above which two sounds may be copies of one
_FAR = 4.0  # standard deviations: what never comes nearer to 0 is a level or a pitch
_SAME = 1e-6  # relative difference below which two features are the same


@dataclass(frozen=True, eq=False)
class Pairs:
    """Trials of a participant with the features of what was heard.

    Attributes
    ----------
    baseline, added : tuple of ndarray, each (n_times, n_features)
        Features at the rate of the EEG, one array per trial; NaN where they are not known.
    eeg : tuple of ndarray, each (n_times, n_channels)
        Volts; bad channels are NaN throughout.
    masks : tuple of ndarray of bool, each (n_times,)
    stimuli : tuple of str
        What each trial presented, by name.
    sounds : tuple of str
        The same by content: stimuli with the same features are one sound. What `trf` calls groups.
    noise : tuple of ndarray, each (n_times, n_added)
        Standard error of the added features; 0 where they are exact.
    baseline_names, added_names : tuple of str
    sfreq : float
        Hertz.
    notes : tuple of str
        What was cropped, merged, or held because its times lie between samples of the EEG.
    """

    baseline: tuple[np.ndarray, ...]
    added: tuple[np.ndarray, ...]
    eeg: tuple[np.ndarray, ...]
    masks: tuple[np.ndarray, ...]
    stimuli: tuple[str, ...]
    sounds: tuple[str, ...]
    noise: tuple[np.ndarray, ...]
    baseline_names: tuple[str, ...]
    added_names: tuple[str, ...]
    sfreq: float
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        names = f"{', '.join(self.baseline_names)} | {', '.join(self.added_names)}"
        return f"Pairs({len(self.eeg)} trials of {len(set(self.sounds))} sounds at {self.sfreq:g} Hz: {names})"


def pair_features(
    participant: Participant, baseline: Features, added: Features, *, tolerance: float | None = None
) -> Pairs:
    """Bring the features of every stimulus to the trials that presented it.

    Parameters
    ----------
    participant : Participant
    baseline, added : dict of str to FeatureSeries, or to several
        Features by stimulus; stimuli that the participant did not hear are passed over. Series must be regular: sampled
        ones at the rate of the EEG, slower frames are held until the next. Bring notes to that rate first:
        ``series.resample(participant.sfreq, kind="impulse")``.
    tolerance : float, optional
        Seconds by which a trial may end before its sound does; by default one sample.

    Returns
    -------
    Pairs
        Trials are cropped to the sound, features to the trial; `notes` says which and by how much.

    Examples
    --------
    >>> from eegic import datasets
    >>> study = datasets.simulate_study(1, 4, duration=8, n_channels=8, progress=False, rng=0)
    >>> pair_features(study.participants[0], study.envelopes, study.surprisal)
    Pairs(4 trials of 4 sounds at 64 Hz: envelope | surprisal)
    """
    if not isinstance(participant, Participant):
        raise TypeError(
            f"participant: expected a Participant, got {type(participant).__name__}. Pass them one by one; those of a "
            "simulated study are its `participants`."
        )
    sfreq = participant.sfreq
    slack = 1.0 if tolerance is None else _checks.not_negative("tolerance", tolerance, "seconds") * sfreq
    given = {"baseline": _complete("baseline", baseline, participant), "added": _complete("added", added, participant)}
    heard = tuple(dict.fromkeys(participant.stimuli))
    notes: list[str] = []
    sides = {
        what: {name: _on_grid(f"{what}[{name!r}]", features[name], sfreq, notes) for name in heard}
        for what, features in given.items()
    }
    _warn_if_impulses([one for features in given.values() for one in _several(features[heard[0]])], sfreq)
    names = {what: _names(what, side) for what, side in sides.items()}
    twice = set(names["baseline"]) & set(names["added"])
    if twice:
        listed = ", ".join(sorted(twice))
        raise ValueError(f"added: {listed} stands in the baseline too, and could add nothing to itself.")
    whole = {name: _together(name, [*sides["baseline"][name], *sides["added"][name]], sfreq) for name in heard}
    for what in sides:
        _check_varies(what, names[what], whole)
    sounds = _by_content({name: series.values for name, series in whole.items()}, sfreq, notes)
    rows = []
    for number, (trial, eeg) in enumerate(zip(participant.trials, participant.eeg, strict=True)):
        n_times = _common_length(number, trial, whole[trial.stimulus], sfreq, slack, notes)
        rows.append((whole[trial.stimulus], n_times, eeg, trial))
    inexact = [one for one in sides["baseline"][heard[0]] if one.se is not None and (one.se > 0).any()]
    if inexact:
        listed = ", ".join(name for one in inexact for name in one.names)
        notes.append(f"baseline: {listed} taken as exact, its standard errors not used")
    n_base = len(names["baseline"])
    return Pairs(
        tuple(series.values[:n, :n_base] for series, n, _, _ in rows),
        tuple(series.values[:n, n_base:] for series, n, _, _ in rows),
        tuple(eeg[:n] for _, n, eeg, _ in rows),
        tuple(trial.mask[:n] for _, n, _, trial in rows),
        participant.stimuli,
        tuple(sounds[name] for name in participant.stimuli),
        tuple(np.zeros((n, len(names["added"]))) if s.se is None else s.se[:n, n_base:] for s, n, _, _ in rows),
        names["baseline"],
        names["added"],
        sfreq,
        tuple(notes),
    )


def unheard_features(number: int, pair: object, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Baseline and added features of a sound that nobody heard, each (n_times, n_features), as in `pairs`.

    Parameters
    ----------
    number : int
        What messages call the sound.
    pair : (baseline, added)
        Each a FeatureSeries, or several, or an array (n_times, n_features) at the rate of the EEG.
    pairs : Pairs
    """
    where = f"pseudo, sound {number}"
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise TypeError(f"{where}: expected a pair (baseline, added), got {type(pair).__name__}.")
    sides = []
    for what, side, names in zip(("baseline", "added"), pair, (pairs.baseline_names, pairs.added_names), strict=True):
        if isinstance(side, FeatureSeries) or (
            isinstance(side, (list, tuple)) and any(isinstance(one, FeatureSeries) for one in side)
        ):
            several = _on_grid(f"{where}, {what}", side, pairs.sfreq, [])
            if number == 0:
                _warn_if_impulses(_several(side), pairs.sfreq)
            found = tuple(name for series in several for name in series.names)
            if found != names:
                raise ValueError(f"{where}, {what}: expected {', '.join(names)}, got {', '.join(found)}.")
            values = _together(where, several, pairs.sfreq).values
        else:
            values = _checks.real_array(f"{where}, {what}", side, 2, axes="(n_times, n_features)")
            if values.shape[1] != len(names):
                raise ValueError(
                    f"{where}, {what}: expected {', '.join(names)} ({len(names)} columns), got {values.shape[1]}."
                )
        sides.append(values)
    n = min(map(len, sides))
    if max(map(len, sides)) - n > 1:
        raise ValueError(f"{where}: baseline and added last {len(sides[0])} and {len(sides[1])} samples, not alike.")
    return sides[0][:n], sides[1][:n]


def _complete(what: str, features: Features, participant: Participant) -> Features:
    if not isinstance(features, Mapping):
        raise TypeError(
            f"{what}: expected a dictionary from stimulus to FeatureSeries, got {type(features).__name__}. "
            "Write {'bach': series}."
        )
    missing = [name for name in dict.fromkeys(participant.stimuli) if name not in features]
    if missing:
        raise ValueError(
            f"{what}: {participant.name} heard {_checks.listed(missing)}, of which there are no features (those there "
            f"are: {_checks.listed(features)}). Add them, or leave those trials out."
        )
    return features


def _several(features: FeatureSeries | Sequence[FeatureSeries]) -> Sequence[FeatureSeries]:
    return features if isinstance(features, (list, tuple)) else [features]  # type: ignore[list-item]


def _on_grid(
    where: str, features: FeatureSeries | Sequence[FeatureSeries], sfreq: float, notes: list[str]
) -> list[FeatureSeries]:
    """Series of one stimulus at the rate of the EEG."""
    resampled = []
    for series in _several(features):
        if not isinstance(series, FeatureSeries):
            raise TypeError(
                f"{where}: expected a FeatureSeries or several, got {type(series).__name__}. Make one: "
                "`FeatureSeries(values, times, names)`."
            )
        steps = np.diff(series.times)
        if not len(steps) or np.ptp(steps) > 1e-3 * series.step:
            raise ValueError(
                f"{where}: {', '.join(series.names)} has irregular times. Say how it goes to {sfreq:g} Hz: "
                f"`series.resample({sfreq:g}, duration=..., kind='impulse')` for notes, 'hold' for frames."
            )
        if series.n_times * (1 - series.step * sfreq) > 0.5:  # samples that would be passed over
            raise ValueError(
                f"{where}: {', '.join(series.names)} has {1 / series.step:.6g} values per second, the EEG {sfreq:.6g}. "
                "Compute the feature at the rate of the EEG, or low-pass and resample it."
            )
        if series.times[-1] < 0:
            raise ValueError(
                f"{where}: {', '.join(series.names)} ends at {series.times[-1]:g} s, before the sound starts. Times "
                "count from the start of the sound."
            )
        begin = series.times[0] * sfreq
        if abs(series.step * sfreq - 1) < 1e-3 and abs(begin - round(begin)) > 0.1:  # one rate, other instants
            notes.append(
                f"{where}: {', '.join(series.names)} held from t={series.times[0]:.4f} s to the next sample of the EEG"
            )
        resampled.append(series.resample(sfreq))
        lost = np.isnan(resampled[-1].values).all(axis=0)
        if lost.any():
            raise ValueError(
                f"{where}: {series.names[int(np.argmax(lost))]} is NaN throughout. Compute it again, or leave the "
                "trials of that sound out."
            )
    if not resampled:
        raise ValueError(f"{where}: expected at least one FeatureSeries, got none.")
    return resampled


def _warn_if_impulses(several: Sequence[FeatureSeries], sfreq: float) -> None:
    """Name features that a lower rate than that of the EEG would draw out, though they look like impulses."""
    sparse = [s for s in several if s.step * sfreq > 1.5 and ((s.values == 0).mean(axis=0) > 0.5).any()]
    if sparse:
        names = ", ".join(name for series in sparse for name in series.names)
        warnings.warn(
            f"{names}: mostly 0, as impulses are, yet every value is held for {sparse[0].step * sfreq:.3g} samples of "
            f"the EEG. If they are impulses, bring them to its rate: `series.resample({sfreq:g}, kind='impulse')`.",
            stacklevel=3,
        )


def _names(what: str, side: Mapping[str, Sequence[FeatureSeries]]) -> tuple[str, ...]:
    """Names of the features, which every stimulus must have alike."""
    by_stimulus = {stimulus: tuple(name for one in series for name in one.names) for stimulus, series in side.items()}
    first = next(iter(by_stimulus))
    for stimulus, names in by_stimulus.items():
        if names != by_stimulus[first]:
            raise ValueError(
                f"{what}: {first!r} has {', '.join(by_stimulus[first])} and {stimulus!r} has {', '.join(names)}. Every "
                "stimulus needs the same features in the same order."
            )
    return _checks.unique_names(what, list(by_stimulus[first]), len(by_stimulus[first]), "feature")


def _together(stimulus: str, series: Sequence[FeatureSeries], sfreq: float) -> FeatureSeries:
    """All features of a stimulus as long as the shortest of them."""
    shortest, longest = (f(series, key=lambda one: one.n_times) for f in (min, max))
    if longest.n_times - shortest.n_times > max(1.0 * sfreq, 0.02 * longest.n_times):
        raise ValueError(
            f"{stimulus!r}: {', '.join(longest.names)} lasts {longest.n_times / sfreq:.2f} s and "
            f"{', '.join(shortest.names)} {shortest.n_times / sfreq:.2f} s. They should be features of one sound."
        )
    n = shortest.n_times
    cropped = [FeatureSeries(s.values[:n], s.times[:n], s.names, se=None if s.se is None else s.se[:n]) for s in series]
    return cropped[0].stack(*cropped[1:])


def _check_varies(what: str, names: Sequence[str], whole: Mapping[str, FeatureSeries]) -> None:
    for name in names:
        values = np.concatenate([series.select(name).values for series in whole.values()])
        spread, nearest = np.nanstd(values), np.nanmin(np.abs(values))
        if spread <= 1e-12 * np.nanmax(np.abs(values)):
            raise ValueError(f"{what}: {name} is constant, so it can explain nothing. Leave it out.")
        if nearest > _FAR * spread:
            warnings.warn(
                f"{what}: {name} is nowhere nearer to 0 than {nearest / spread:.1f} standard deviations, and 0 stands "
                "for silence before each sound: every sound starts with a step. Subtract its value in silence, or its "
                "mean.",
                stacklevel=4,
            )


def _common_length(
    number: int, trial: Trial, series: FeatureSeries, sfreq: float, slack: float, notes: list[str]
) -> int:
    """Samples that trial and features have in common."""
    beyond = series.n_times - trial.n_times
    if beyond > slack + 1e-6:  # seconds times hertz may fall short of the samples they stand for
        raise ValueError(
            f"Trial {number}: the EEG lasts {trial.n_times / sfreq:.2f} s, its sound {trial.stimulus!r} "
            f"{series.n_times / sfreq:.2f} s. Was the trial cut short, or is it another sound? If all is well, pass "
            f"tolerance={np.ceil(100 * beyond / sfreq) / 100:g}."
        )
    if beyond > 1:
        notes.append(f"trial {number}: the last {beyond / sfreq:.2f} s of {trial.stimulus} have no EEG")
    elif beyond < -1:
        notes.append(f"trial {number}: {-beyond / sfreq:.2f} s of EEG after the end of {trial.stimulus} left out")
    return min(series.n_times, trial.n_times)


def _by_content(features: Mapping[str, np.ndarray], sfreq: float, notes: list[str]) -> dict[str, str]:
    """The sound of each stimulus: itself, or the first stimulus with the same features."""
    sound: dict[str, str] = {}
    for name in sorted(features):
        sound[name] = next((first for first in sound if _same(features[first], features[name])), name)
        if sound[name] != name:
            notes.append(f"{name} has the features of {sound[name]}: taken for the same sound")
            warnings.warn(
                f"{name!r} and {sound[name]!r} have the same features, so they are taken for one sound: they share a "
                "fold, and are not exchanged with each other.",
                stacklevel=4,
            )
    pairs = _resemblances({name: features[name] for name in sound if sound[name] == name})
    alike = [
        f"{a} and {b} resemble each other (r {r:.3f} at {lag / sfreq:.2f} s)" for a, b, r, lag in pairs if r >= _ALIKE
    ]
    notes += alike
    if alike:
        listed = "; ".join([*alike[:3], *([f"{len(alike) - 3} more pairs"] if alike[3:] else [])])
        warnings.warn(
            f"As copies of one sound do, {listed}. In different folds, one would be trained on the other: leave all "
            "but one of them out.",
            stacklevel=4,
        )
    return sound


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    if len(a) != len(b):
        return False
    scale = np.nanmax(np.abs(np.nan_to_num(a)), axis=0)
    return bool(np.isclose(a, b, rtol=0, atol=_SAME * scale, equal_nan=True).all())


def _resemblances(features: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str, float, int]]:
    """Largest correlation of every two sounds, all features together, and its lag in samples; half or more overlaps."""
    from scipy.fft import irfft, next_fast_len, rfft

    standard = {name: _standardised(x) for name, x in features.items()}
    size = next_fast_len(2 * max(map(len, standard.values())))
    spectra = {name: rfft(x, size, axis=0) for name, x in standard.items()}
    sums = {name: np.cumsum(np.pad(x, ((1, 0), (0, 0))), axis=0) for name, x in standard.items()}
    squares = {name: np.append(0.0, np.cumsum((x**2).sum(axis=1))) for name, x in standard.items()}
    for a, b in combinations(features, 2):
        n_a, n_b = len(features[a]), len(features[b])
        half = (min(n_a, n_b) + 1) // 2
        lags = np.arange(half - n_a, n_b - half + 1)
        first, stop = np.maximum(-lags, 0), np.minimum(n_a, n_b - lags)  # of the overlap, in samples of a
        own, others = sums[a][stop] - sums[a][first], sums[b][stop + lags] - sums[b][first + lags]
        products = irfft((spectra[a].conj() * spectra[b]).sum(axis=1), size)[lags]
        shared, power_a, power_b = (
            whole - (x * y).sum(axis=1) / (stop - first)
            for whole, x, y in (
                (products, own, others),
                (squares[a][stop] - squares[a][first], own, own),
                (squares[b][stop + lags] - squares[b][first + lags], others, others),
            )
        )
        both = np.sqrt(np.clip(power_a * power_b, 0, None))
        r = np.divide(shared, both, out=np.zeros_like(both), where=both > 1e-6)
        yield a, b, float(r.max()), int(lags[np.argmax(r)])


def _standardised(x: np.ndarray) -> np.ndarray:
    """Features less their mean, in units of their size; 0 where they are not known.

    Of sparse ones only what is not 0 counts: notes at equal intervals are alike in nothing but their timing.
    """
    sparse = (x == 0).mean(axis=0) > 0.5
    known = ~np.isnan(x) & ~(sparse & (x == 0))
    centred = np.where(known, x, 0.0)
    centred -= known * (centred.sum(axis=0) / np.maximum(known.sum(axis=0), 1))
    size = np.sqrt((centred**2).mean(axis=0))
    return np.asarray(centred / np.where(size > 1e-12 * np.abs(np.nan_to_num(x)).max(axis=0), size, np.inf))
