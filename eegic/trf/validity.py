"""The user's own check: does the test of an added feature hold on these data, and how small an effect would it find?"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from eegic import _checks
from eegic.trf.inputs import to_numpy
from eegic.trf.rehearsal import Rehearsal, spread
from eegic.trf.verdicts import FalsePositives, Power


def false_positives(
    baseline: object,
    added: object,
    y: object,
    sfreq: float,
    *,
    n_checks: int = 100,
    level: float = 0.05,
    pseudo: Sequence[tuple[object, object]] | None = None,
    rng: int | np.random.Generator | None = None,
    progress: bool = False,
    **options: Any,
) -> FalsePositives:
    """How often does the test call a feature significant that has no effect, on this EEG?

    Parameters
    ----------
    baseline, added : sequence of array, each (n_times, n_features), or one such array
        Features as for `delta_r`, one array per trial.
    y : sequence of array, each (n_times, n_channels), or one such array
        EEG.
    sfreq : float
        Rate of all, in hertz.
    n_checks : int
        Features to try. 100 tell a rate of 5 % from 15 %, 400 from 9 %.
    level : float
        p-values not above it are significant.
    pseudo : sequence of (baseline, added), optional
        Features of sounds that were not heard: the bank of ``null="pseudo"``. For ``shift`` and ``events``, they stand
        in for the other sounds that were heard.
    rng : int, Generator or None
        Seed. Check k depends on it and on k alone.
    progress : bool
        Show a bar over checks.
    **options
        Whatever else `delta_r` takes, as in the analysis to be checked; `n_null` is 99 by default.

    Returns
    -------
    FalsePositives

    Notes
    -----
    In each check `delta_r` is asked for a pseudo-feature in place of the added one. On each sound it keeps what the
    lagged baseline explains of the added feature. The rest depends on the null. With ``repair`` and ``pseudo`` it is
    the residual of the sound itself, turned by a random time of at least the kernel plus `autocorrelation`, and keeps
    its strength and its rhythm: sounds that are not exchangeable show. With ``shift`` it is the residual of another
    sound, drawn with replacement, at its own time: drifts and onsets show. With ``events`` it is the values of another
    sound, in order over the onsets, as far as the baseline at the onset does not explain them; what it explains stays.
    Repeats of a sound have the same pseudo-feature.

    The rate is that on this EEG with these sounds. If they are few or short, it scatters about the level from one data
    set to the next, although the null holds over all of them; and pseudo-features of ``shift`` and ``events``, made of
    few sounds, resemble one another. What repeats within a sound over more than the guard, such as a beat, survives the
    turn; if EEG answers to it, that counts as a false positive. Unseen remain relations to the baseline that are not
    linear or differ between sounds, and EEG that answers to what the added feature merely goes along with.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sound = [rng.standard_normal((300, 2)) for _ in range(5)]
    >>> eeg = [x @ np.ones((2, 3)) + 3 * rng.standard_normal((300, 3)) for x in sound]
    >>> check = false_positives([x[:, :1] for x in sound], [x[:, 1:] for x in sound], eeg, 64.0, n_checks=20, rng=0,
    ...                         tmin=0.0, tmax=0.1, alphas=[0.1], n_null=19)
    >>> check.verdict
    'consistent with the nominal level'
    """
    n_checks, level = _checks.count("n_checks", n_checks), _check_level(level)
    entropy, said = _checks.seed(rng), _Said()
    with said.once():
        analysis = Rehearsal.of(baseline, added, y, sfreq, pseudo, options)
        analysis.check(level, n_checks)
    p, p_maxt, corrected = np.empty((3, n_checks))
    for k in _shown(n_checks, progress):
        random = _random(entropy, k)
        with said.once():
            d = analysis.run(analysis.rest(random), int(random.integers(2**63)))
        p[k], p_maxt[k], corrected[k] = d.p_mean, np.nanmin(d.p_maxt), np.nanmean(d.corrected)
    n_null = analysis.n_surrogates(analysis.music.n_heard)
    return FalsePositives(p, p_maxt, corrected, level, n_null, analysis.null, entropy)


def power(
    baseline: object,
    added: object,
    y: object,
    sfreq: float,
    *,
    shares: Sequence[float] = (0.0003, 0.001, 0.003, 0.01),
    n_trials: Sequence[int] | None = None,
    n_checks: int = 40,
    level: float = 0.05,
    pseudo: Sequence[tuple[object, object]] | None = None,
    rng: int | np.random.Generator | None = None,
    progress: bool = False,
    **options: Any,
) -> Power:
    """How small an effect would the test find in this EEG, in all of its trials and in some?

    Parameters
    ----------
    baseline, added : sequence of array, each (n_times, n_features), or one such array
        Features as for `delta_r`, one array per trial.
    y : sequence of array, each (n_times, n_channels), or one such array
        EEG.
    sfreq : float
        Rate of all, in hertz.
    shares : sequence of float
        Variance of the injected response, as shares of the variance of each channel within trials.
    n_trials : sequence of int, optional
        How many trials to analyse: whole sounds, in random order, until there are at least so many. By default half of
        the trials, if their sounds are enough for the level and the folds, and all.
    n_checks : int
        Effects to inject, of each share.
    level : float
        An effect is found when its p-value is not above it.
    pseudo : sequence of (baseline, added), optional
        See `false_positives`.
    rng : int, Generator or None
        Seed. Check k depends on it and on k alone, and has the same pseudo-feature, order of sounds and surrogates for
        every share and every number of trials.
    progress : bool
        Show a bar over checks.
    **options
        Whatever else `delta_r` takes; `n_null` is 99 by default.

    Returns
    -------
    Power

    Notes
    -----
    Each check draws a pseudo-feature as `false_positives` does, and adds to the EEG an answer to its rest, alike in all
    channels: the rest (summed over added features, each brought to variance 1) convolved with a difference of two
    Gaussians over the window of lags, with a peak at 30 % and a trough at 60 % of it (standard deviations 10 % and
    12 %). Effects in few channels, or that change from sound to sound, are harder to find. An effect that the EEG has
    already is neither removed nor counted.

    Of four sounds there are 23 other orders. Fewer surrogates are drawn at random, the real order often among them, and
    then no p-value is small: half of the trials may need more surrogates than all of them.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sound = [rng.standard_normal((300, 2)) for _ in range(6)]
    >>> eeg = [x[:, :1] + 3 * rng.standard_normal((300, 3)) for x in sound]
    >>> found = power([x[:, :1] for x in sound], [x[:, 1:] for x in sound], eeg, 64.0, shares=(0.0, 0.3), n_checks=10,
    ...               n_trials=[6], rng=0, tmin=0.0, tmax=0.1, alphas=[0.1], n_null=19)
    >>> found.power
    array([[0., 1.]])
    """
    n_checks, level = _checks.count("n_checks", n_checks), _check_level(level)
    entropy, said, added_variance = _checks.seed(rng), _Said(), _check_shares(shares)
    with said.once():
        analysis = Rehearsal.of(baseline, added, y, sfreq, pseudo, options)
        analysis.check(level, n_checks)
        sizes = analysis.sizes(n_trials, level)
    amplitudes = np.sqrt(added_variance)[:, None] * spread(analysis.trials, [to_numpy(t) for t in analysis.trials.y])
    p = np.empty((n_checks, len(sizes), len(amplitudes)))
    for k in _shown(n_checks, progress):
        random = _random(entropy, k)
        rest, seed = analysis.rest(random), int(random.integers(2**63))
        answer, order = analysis.answer(rest), random.permutation(analysis.music.n_heard)
        for i, n in enumerate(sizes):
            chosen = _whole_sounds(analysis.music.of_trial, order, n)
            for j, amplitude in enumerate(amplitudes):
                with said.once():
                    p[k, i, j] = analysis.run(rest, seed, chosen, [one * amplitude for one in answer]).p_mean
    return Power(added_variance, np.array(sizes), p, level, entropy)


def _whole_sounds(of_trial: np.ndarray, order: np.ndarray, n_trials: int) -> np.ndarray:
    """The trials of the first sounds in `order` that have at least `n_trials` together."""
    reached = np.cumsum(np.bincount(of_trial)[order])
    return np.flatnonzero(np.isin(of_trial, order[: np.searchsorted(reached, n_trials) + 1]))


def _check_level(level: float) -> float:
    if not 0 < _checks.finite("level", level, "probability") < 1:
        raise ValueError(f"level: expected a probability between 0 and 1, got {level!r}.")
    return float(level)


def _check_shares(shares: Sequence[float]) -> np.ndarray:
    array = _checks.real_array("shares", shares, 1, axes="(n_shares,)")
    if not (len(array) and (array >= 0).all() and (array <= 1).all()):
        raise ValueError(
            f"shares: expected shares of the variance of a channel, 0 to 1, such as 0.001 for 0.1 %, got {shares!r}."
        )
    return array


def _random(entropy: int, check: int) -> np.random.Generator:
    """Random numbers of one check, whatever the others."""
    return np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(check,)))


def _shown(n_checks: int, progress: bool) -> Iterator[int]:
    from tqdm import tqdm

    return iter(tqdm(range(n_checks), desc="Checking", unit="check", disable=not progress))


class _Said:
    """Passes on each warning once, whatever the numbers in it."""

    def __init__(self) -> None:
        self.kinds: set[tuple[type[Warning], str]] = set()

    @contextmanager
    def once(self) -> Iterator[None]:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            yield
        for one in heard:
            kind = one.category, re.sub(r"[\d.]+", "", str(one.message))
            if kind not in self.kinds:
                self.kinds.add(kind)
                warnings.warn(one.message, stacklevel=4)
