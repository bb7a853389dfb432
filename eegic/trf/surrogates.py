"""What might have been: the added feature exchanged, everything else as it was.

The default exchange is conditional. Regress the added feature on the lagged baseline; the fitted part stays with its
sound, only the residual moves. A surrogate is then as correlated with the baseline as the real feature is, and overfits
as much. Moving the whole feature breaks that correlation, and tests reject far too often.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, permutations

import numpy as np

from eegic import _checks
from eegic.trf.folds import labels_of
from eegic.trf.inputs import Trials, to_numpy
from eegic.trf.model import fit

SCHEMES = ("repair", "pseudo", "shift", "events")
EXPLAINED = 0.99  # above it, nothing is left of the added feature to test
_DRIFT = 0.2  # standard deviations between the means of the two halves of a trial


@dataclass(frozen=True, eq=False)
class Music:
    """The added features of every sound, in a part that stays and a part that moves.

    Attributes
    ----------
    sounds : tuple of str or number
        Sounds that were heard, sorted, so that those of every listener stand in one order.
    of_trial : ndarray of int, shape (n_trials,)
        The sound of each trial.
    kept : list of ndarray, each (n_times, n_added)
        Of every heard sound: fitted from the baseline, or 0.
    moved : list of ndarray, each (n_times, n_added)
        Of every heard sound, then of every unheard one: residual, or all of it; 0 where it is not known.
    explained : ndarray, shape (n_added,)
        Share of the variance of each added feature that the lagged baseline explains (for ``events``: of its values,
        by the baseline at the same samples). In sample, so a long kernel and short sounds raise it.
    names : sequence of str
        What messages call the added features.
    """

    sounds: tuple[object, ...]
    of_trial: np.ndarray
    kept: list[np.ndarray]
    moved: list[np.ndarray]
    explained: np.ndarray
    names: Sequence[str]

    @property
    def n_heard(self) -> int:
        """Number of heard sounds."""
        return len(self.sounds)

    @property
    def n_unheard(self) -> int:
        """Number of unheard sounds."""
        return len(self.moved) - len(self.sounds)

    def variant(self, scheme: str, sound: int, how: float, n_times: int, guard: int) -> np.ndarray:
        """Added features of a sound under one exchange, shape (n_times, n_added).

        A donor shorter than the trial starts again at its end, a longer one is cut, so every trial keeps its samples.
        """
        kept, own = self.kept[sound][:n_times], self.moved[sound][:n_times]
        if scheme in ("repair", "pseudo"):
            donor = self.moved[int(how)]
            return np.asarray(kept + donor[np.arange(n_times) % len(donor)])
        if scheme == "shift":
            return np.asarray(kept + np.roll(own, guard + int(how * (n_times - 2 * guard + 1)), axis=0))
        turned = np.zeros_like(own)
        for column, values in enumerate(own.T):  # features may have events of their own
            events = np.flatnonzero(values)
            turned[events, column] = np.roll(values[events], int(how * len(events)))
        return turned


def split_features(
    trials: Trials,
    names: tuple[Sequence[str], Sequence[str]],
    groups: Sequence[object] | None,
    sfreq: float,
    n_lags: int,
    scheme: str,
    *,
    conditional: bool,
    unheard: Sequence[tuple[object, object]] = (),
) -> Music:
    """Sort trials by sound, and split the added features into what stays and what moves.

    Parameters
    ----------
    trials : Trials
        Features: those of the baseline, then the added ones.
    names : tuple of sequence of str
        What messages call the features of the baseline, and the added ones.
    groups : sequence, shape (n_trials,), or None
        The sound of each trial; None makes each its own.
    sfreq : float
    n_lags : int
        Of the model; the regression on the baseline reaches as far to both sides, if the sounds are long enough.
    scheme : str
        One of `SCHEMES`.
    conditional : bool
        False moves the whole feature.
    unheard : sequence of (baseline, added)
        Features of sounds that nobody heard, each (n_times, n_features).
    """
    labels, n_baseline = labels_of(groups, len(trials.x)), len(names[0])
    sounds = tuple(sorted(set(labels), key=lambda label: (isinstance(label, str), label)))
    of_trial = np.array([sounds.index(label) for label in labels])
    x = [to_numpy(trial) for trial in trials.x]
    heard = [_one_version([x[i] for i in np.flatnonzero(of_trial == k)], name) for k, name in enumerate(sounds)]
    _check_known([one[:, n_baseline:] for one in heard], sounds, names[1])
    _warn_if_twins(heard, sounds)
    both = heard + [_unheard(i, pair, n_baseline, heard[0].shape[1], n_lags) for i, pair in enumerate(unheard)]
    _check_unheard(heard, sounds, both[len(sounds) :])
    baselines, added = [one[:, :n_baseline] for one in both], [one[:, n_baseline:] for one in both]
    _warn_of_scale(added[: len(sounds)], added[len(sounds) :], names[1])
    kept = [np.zeros_like(one) for one in added]
    if scheme == "events":
        explained = _explained_at_events(baselines, added)
    else:
        explained, fitted = _explained(baselines, added, sfreq, n_lags)
        kept = fitted if conditional else kept
    moved = [np.nan_to_num(whole - part) for whole, part in zip(added, kept, strict=True)]
    return Music(sounds, of_trial, [np.nan_to_num(part) for part in kept[: len(sounds)]], moved, explained, names[1])


def _one_version(versions: list[np.ndarray], sound: object) -> np.ndarray:
    """Features of a sound from the longest of its trials; the others must agree with it."""
    longest = max(versions, key=len)
    tolerance = 1e-6 * np.nanmax(np.abs(np.nan_to_num(longest)), axis=0)
    for version in versions:
        same = np.isclose(version, longest[: len(version)], rtol=0, atol=tolerance, equal_nan=True)
        if not same.all():
            raise ValueError(
                f"groups: trials of {sound!r} have different features, so they are not one sound. Give each sound "
                "a group of its own."
            )
    return longest


def _check_known(added: list[np.ndarray], sounds: Sequence[object], names: Sequence[str]) -> None:
    for one, sound in zip(added, sounds, strict=True):
        unknown = np.flatnonzero(np.isnan(one).all(axis=0))
        if len(unknown):
            raise ValueError(f"added: {names[unknown[0]]} is NaN throughout {sound!r}. Leave those trials out.")
    whole = np.concatenate(added)
    flat = np.flatnonzero(np.nanstd(whole, axis=0) <= 1e-12 * np.nanmax(np.abs(whole), axis=0))
    if len(flat):
        raise ValueError(f"added: {names[flat[0]]} is constant, so it can add nothing. Leave it out.")


def _warn_if_twins(heard: list[np.ndarray], sounds: Sequence[object]) -> None:
    first: dict[bytes, object] = {}
    for one, sound in zip(heard, sounds, strict=True):
        twin = first.setdefault(one.tobytes(), sound)
        if twin is not sound:
            warnings.warn(
                f"groups: {twin!r} and {sound!r} have the same features. If they are one sound, give them one group: "
                "repeats then share a fold, and are not exchanged with themselves.",
                stacklevel=4,
            )
            return


def _unheard(number: int, pair: object, n_baseline: int, n_features: int, n_lags: int) -> np.ndarray:
    where = f"pseudo, sound {number}"
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise TypeError(f"{where}: expected a pair (baseline, added) of arrays, got {type(pair).__name__}.")
    baseline, added = (
        _checks.real_array(f"{where}, {name}", part, 2, axes="(n_times, n_features)")
        for name, part in zip(("baseline", "added"), pair, strict=True)
    )
    if baseline.shape != (len(added), n_baseline) or added.shape[1] != n_features - n_baseline:
        raise ValueError(
            f"{where}: expected a baseline (n_times, {n_baseline}) and an added feature (n_times, "
            f"{n_features - n_baseline}) of one length, got {baseline.shape} and {added.shape}."
        )
    both = np.hstack([baseline, added])
    if len(both) < 2 * n_lags or np.isinf(both).any() or np.isnan(both).all(axis=0).any():
        raise ValueError(f"{where}: expected known, finite values for at least twice the length of the kernel.")
    return both


def _check_unheard(heard: list[np.ndarray], sounds: Sequence[object], unheard: list[np.ndarray]) -> None:
    for i, one in enumerate(unheard):
        for sound, features in zip(sounds, heard, strict=True):
            n = min(len(one), len(features))
            scale = 1e-6 * np.nanmax(np.abs(np.nan_to_num(features)), axis=0)
            if np.isclose(one[:n], features[:n], rtol=0, atol=scale, equal_nan=True).all():
                raise ValueError(f"pseudo, sound {i}: has the features of {sound!r}, which was heard. Leave it out.")


def _warn_of_scale(heard: list[np.ndarray], unheard: list[np.ndarray], names: Sequence[str]) -> None:
    if not unheard:
        return
    ratio = np.nanstd(np.concatenate(unheard), axis=0) / np.nanstd(np.concatenate(heard), axis=0)
    odd = np.flatnonzero((ratio < 0.1) | (ratio > 10))
    if len(odd):
        warnings.warn(
            f"pseudo: {names[odd[0]]} varies {ratio[odd[0]]:.3g} times as much in the unheard sounds as in the heard "
            "ones. Donors should be like what they replace: are both in one unit?",
            stacklevel=4,
        )


def _explained(
    baselines: list[np.ndarray], added: list[np.ndarray], sfreq: float, n_lags: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Share of each added feature that the lagged baseline explains, (n_added,), and that part of every sound."""
    reach = min(n_lags - 1, min(map(len, baselines)) // 4) / sfreq
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about gaps in the features, which `delta_r` treats as it documents
        model = fit(baselines, added, sfreq, tmin=-reach, tmax=reach, alpha=1e-6)
    fitted = [np.asarray(part) for part in model.predict(baselines)]
    whole = np.concatenate(added)
    return 1 - np.nanvar(whole - np.concatenate(fitted), axis=0) / np.nanvar(whole, axis=0), fitted


def _explained_at_events(baselines: list[np.ndarray], added: list[np.ndarray]) -> np.ndarray:
    """Share of the variance of the values at events that the baseline at the same samples explains, (n_added,)."""
    base, whole = np.nan_to_num(np.concatenate(baselines)), np.nan_to_num(np.concatenate(added))
    shares = []
    for values in whole.T:
        events = values != 0
        if events.mean() > 0.5:
            raise ValueError(
                f"added: {100 * events.mean():.0f} % of the samples are not 0, so these are not events. Use "
                "null='repair', 'pseudo' or 'shift' for features that are always there."
            )
        design = np.column_stack([base[events], np.ones(events.sum())])
        rest = values[events] - design @ np.linalg.lstsq(design, values[events])[0]
        shares.append(1 - rest.var() / values[events].var() if np.ptp(values[events]) > 0 else 0.0)
    return np.array(shares)


@dataclass(frozen=True, eq=False)
class Draws:
    """Which exchange every surrogate makes.

    Attributes
    ----------
    table : ndarray, shape (n_null, n_heard)
        Per heard sound: the donor (``repair``, ``pseudo``; int), or how far its values are turned as a share of the
        possible (``shift``, ``events``; float).
    exact : bool
        True when the surrogates and the observed data together are the whole group of exchanges.
    n_possible : float
        Size of that group.
    """

    table: np.ndarray
    exact: bool
    n_possible: float


def draw(scheme: str, n_null: int, music: Music, entropy: int) -> Draws:
    """Draw the exchanges; number k depends on the seed and on k alone, so every listener of a study has the same."""
    generators = (np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(k,))) for k in range(n_null))
    n_heard = music.n_heard
    if scheme == "repair":
        size = math.factorial(n_heard)
        if size - 1 <= n_null:
            return Draws(np.array(list(islice(permutations(range(n_heard)), 1, None))), True, size)
        return Draws(np.array([rng.permutation(n_heard) for rng in generators]), False, size)
    if scheme == "pseudo":
        bank, size = range(n_heard, n_heard + music.n_unheard), math.perm(music.n_unheard, n_heard)
        if size <= n_null:  # drawing would repeat them, and promise smaller p-values than there are
            return Draws(np.array(list(permutations(bank, n_heard))), True, size + 1)
        return Draws(np.array([rng.permutation(bank)[:n_heard] for rng in generators]), False, size + 1)
    return Draws(np.array([rng.random(n_heard) for rng in generators]), False, math.inf)


def check(scheme: str, music: Music, trials: Trials, guard: int, accept_drift: bool) -> None:
    """Refuse an exchange that would mean nothing here, and name the alternatives.

    Parameters
    ----------
    scheme : {"repair", "pseudo", "shift", "events"}
    music : Music
    trials : Trials
    guard : int
        Samples within which a shifted feature still resembles itself.
    accept_drift : bool
        True shifts although the EEG drifts.
    """
    spent = np.flatnonzero(music.explained > EXPLAINED)
    if scheme != "events" and len(spent):
        share, name = music.explained[spent[0]], music.names[spent[0]]
        raise ValueError(
            f"added: the baseline explains {share:.1%} of {name}, so nothing is left of it to test. Leave it out, or "
            "take a smaller baseline."
        )
    if scheme == "repair" and music.n_heard == 1:
        raise ValueError(
            "null: all trials present one sound, so nothing can be exchanged between sounds. Use null='pseudo' with "
            "features of music that was not played, null='shift', or, for impulses at notes, null='events'; and hold "
            "out time, not trials (n_folds= and gap=)."
        )
    if scheme == "pseudo" and music.n_unheard < music.n_heard:
        raise ValueError(
            f"pseudo: expected at least as many unheard sounds as heard ones ({music.n_heard}), got {music.n_unheard}. "
            "Each surrogate gives every heard sound a donor of its own."
        )
    if scheme == "pseudo":
        different = len({one.tobytes() for one in music.moved[music.n_heard :]})
        if different < music.n_heard:
            raise ValueError(
                f"pseudo: expected at least as many different unheard sounds as heard ones ({music.n_heard}), got "
                f"{different} among {music.n_unheard}: the others are copies, which would make all surrogates alike."
            )
    if scheme == "shift":
        _check_shift(trials, guard, accept_drift)


def _check_shift(trials: Trials, guard: int, accept_drift: bool) -> None:
    for i, y in enumerate(trials.y):
        eeg = to_numpy(y)
        if len(eeg) < 3 * guard:
            raise ValueError(
                f"null: trial {i} has {len(eeg)} samples; a shift needs at least {3 * guard}, three times the "
                "kernel plus the autocorrelation time. Use null='repair' or 'pseudo', or a shorter `autocorrelation`."
            )
        first, second = np.array_split(eeg, 2)
        spread = np.nanstd(eeg, axis=0)
        moved = np.abs(np.nanmean(first, axis=0) - np.nanmean(second, axis=0))[spread > 0] / spread[spread > 0]
        if not accept_drift and len(moved) and np.median(moved) > _DRIFT:
            raise ValueError(
                f"null: the EEG of trial {i} drifts (its halves differ by {np.median(moved):.2f} standard deviations "
                "on the median channel), and shifted features then reject far too often. High-pass it at 0.5 Hz or "
                "more, use null='repair', or pass accept_drift=True."
            )


def warn_if_few(scheme: str, draws: Draws, music: Music) -> None:
    """Say when no exchange can make a p-value small, and when the real order stands among few that are drawn."""
    if scheme == "repair" and not draws.exact and draws.n_possible <= 2 * len(draws.table):
        warnings.warn(
            f"n_null: {music.n_heard} sounds have {draws.n_possible:.0f} orders, of which {len(draws.table)} are drawn "
            "at random, some more than once, perhaps the real one. To take every other one once, pass "
            f"n_null={draws.n_possible - 1:.0f}.",
            stacklevel=3,
        )
    if draws.n_possible < 20:
        warnings.warn(
            f"With {music.n_heard} different sounds there are {draws.n_possible:.0f} exchanges, so no p-value can be "
            f"below {1 / draws.n_possible:.3f}. Use more sounds.",
            stacklevel=3,
        )
