"""The user's own check: does the test of an added feature hold on these data, and how small an effect would it find?

Both questions need features that certainly have no effect, and yet could have come with these sounds. They keep what
the baseline explains of the added feature; the rest is moved in the way in which the null does *not* move it. A null
that exchanges between sounds meets rests turned in time within theirs, so what is peculiar to a sound stays; a null
that turns within a sound meets rests of other sounds, so what is peculiar to a moment stays. Moved as the null moves
them, features and surrogates would be alike by construction, and the check could not fail.
"""

from __future__ import annotations

import inspect
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from eegic import _checks
from eegic.trf import design as designing
from eegic.trf import lags as lagging
from eegic.trf import surrogates
from eegic.trf.delta import DeltaR, delta_r, features_by_model, names_of
from eegic.trf.folds import labels_of
from eegic.trf.inputs import Trials, check_arrays, to_numpy
from eegic.trf.model import TRF
from eegic.trf.surrogates import Music

Array = Any
_BETWEEN = ("repair", "pseudo")  # nulls that exchange between sounds; the others turn within them
_OWN = ("baseline", "added", "y", "sfreq", "pseudo", "rng", "progress")  # arguments of `delta_r` that are set here
_TIE = 1e-9


@dataclass(frozen=True, eq=False)
class FalsePositives:
    """How often features without an effect came out significant.

    Attributes
    ----------
    p : ndarray, shape (n_checks,)
        p-value of the gain averaged over channels.
    p_maxt : ndarray, shape (n_checks,)
        Smallest p-value of a channel, corrected for all of them.
    corrected : ndarray, shape (n_checks,)
        Corrected gain, mean over channels: zero on average if the null has the right centre.
    level : float
        p-values not above it are significant.
    n_null : int
        Surrogates in each check.
    scheme : str
        How surrogates were made.
    entropy : int
        Seed of the checks.
    """

    p: np.ndarray
    p_maxt: np.ndarray
    corrected: np.ndarray
    level: float
    n_null: int
    scheme: str
    entropy: int

    @property
    def rate(self) -> float:
        """Share of checks that came out significant."""
        return float((self.p <= self.level + _TIE).mean())

    @property
    def interval(self) -> np.ndarray:
        """Clopper-Pearson 95 % interval of the rate, shape (2,)."""
        return _interval(int((self.p <= self.level + _TIE).sum()), len(self.p))

    @property
    def nominal(self) -> float:
        """Rate of a valid test: `level`, or the nearest possible p-value below it."""
        return _attainable(self.level, self.n_null)

    @property
    def verdict(self) -> str:
        """Where the nominal rate lies: within the interval, or to which side of it."""
        low, high = self.interval
        if low > self.nominal:
            return "too many: not valid on these data"
        return "too few: conservative" if high < self.nominal else "consistent with the nominal level"

    def __repr__(self) -> str:
        low, high = 100 * self.interval
        rate = f"{100 * self.rate:.1f} % (95 % interval {low:.1f} to {high:.1f}), nominal {100 * self.nominal:.1f} %"
        any_channel = f"any channel {100 * (self.p_maxt <= self.level + _TIE).mean():.1f} %"
        size = f"{len(self.p)} checks of {self.scheme} with {self.n_null} surrogates"
        return f"FalsePositives({self.verdict}; {rate}; {any_channel}; {size})"


@dataclass(frozen=True, eq=False)
class Power:
    """How often injected effects were found.

    Attributes
    ----------
    shares : ndarray, shape (n_shares,)
        Variance that the injected response adds, as a share of the variance of each channel.
    n_trials : ndarray of int, shape (n_sizes,)
        Trials that were analysed.
    p : ndarray, shape (n_checks, n_sizes, n_shares)
        p-value of the gain averaged over channels.
    level : float
        An effect is found when its p-value is not above it.
    entropy : int
        Seed of the checks.
    """

    shares: np.ndarray
    n_trials: np.ndarray
    p: np.ndarray
    level: float
    entropy: int

    @property
    def found(self) -> np.ndarray:
        """Number of checks that found the effect, shape (n_sizes, n_shares)."""
        return np.asarray((self.p <= self.level + _TIE).sum(axis=0))

    @property
    def power(self) -> np.ndarray:
        """Share of checks that found the effect, shape (n_sizes, n_shares)."""
        return np.asarray(self.found / len(self.p))

    @property
    def interval(self) -> np.ndarray:
        """Clopper-Pearson 95 % interval of the power, shape (2, n_sizes, n_shares)."""
        ends = [[_interval(int(k), len(self.p)) for k in row] for row in self.found]
        return np.moveaxis(np.array(ends), -1, 0)

    def curve(self, shares: object) -> np.ndarray:
        """Power at any share, from a curve fitted to those that were tried.

        Parameters
        ----------
        shares : array_like, shape (n,)

        Returns
        -------
        ndarray, shape (n_sizes, n)
            ``level + (1 - level) / (1 + (half / share)**slope)``, `half` and `slope` fitted by maximum likelihood.
        """
        x = _logarithm(np.asarray(shares, dtype=np.float64))
        return np.array([_curve(x, self.level, half, slope) for half, slope in self._fits()])

    def detectable(self, wanted: float = 0.8) -> np.ndarray:
        """Smallest share that would be found with the wanted power.

        Parameters
        ----------
        wanted : float
            Between `level` and 1.

        Returns
        -------
        ndarray, shape (n_sizes,)
            Where the `curve` reaches it; NaN if that lies outside the shares that were tried.
        """
        if not self.level < wanted < 1:
            raise ValueError(f"wanted: expected a power between the level, {self.level:g}, and 1, got {wanted!r}.")
        odds = (wanted - self.level) / (1 - wanted)
        needed = np.array([np.exp(half) * odds ** (1 / slope) for half, slope in self._fits()])
        return np.where((self.shares.min() <= needed) & (needed <= self.shares.max()), needed, np.nan)

    def _fits(self) -> list[tuple[float, float]]:
        return [_fit(row, len(self.p), _logarithm(self.shares), self.level) for row in self.found]

    def __repr__(self) -> str:
        tried = f"not between {100 * self.shares.min():.3g} and {100 * self.shares.max():.3g} %"
        needed = [tried if np.isnan(share) else f"{100 * share:.2g} %" for share in self.detectable()]
        parts = ", ".join(f"{share} with {n} trials" for share, n in zip(needed, self.n_trials, strict=True))
        return f"Power(80 % at an added variance of {parts}; {len(self.p)} checks, p <= {self.level:g})"


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
    entropy, said = surrogates.entropy_of(rng), _Said()
    with said.once():
        analysis = _Analysis.of(baseline, added, y, sfreq, pseudo, options)
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
    entropy, said, added_variance = surrogates.entropy_of(rng), _Said(), _check_shares(shares)
    with said.once():
        analysis = _Analysis.of(baseline, added, y, sfreq, pseudo, options)
        analysis.check(level, n_checks)
        sizes = analysis.sizes(n_trials, level)
    amplitudes = np.sqrt(added_variance)[:, None] * _spread(analysis.trials, [to_numpy(t) for t in analysis.trials.y])
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


@dataclass(frozen=True, eq=False)
class _Analysis:
    """An analysis with room for another feature and another EEG.

    Attributes
    ----------
    trials : Trials
        With the features of the baseline, then the added ones.
    y : list of array, each (n_times, n_channels)
        EEG as it was given, with its NaN.
    n_baseline : int
    windows : list of range
        Lags of each added feature, in samples.
    sfreq : float
        Hertz.
    music : Music
    kept : list of ndarray, each (n_times, n_added)
        Of every heard sound: what the baseline explains of the added feature.
    moved : list of ndarray, each (n_times, n_added)
        Of every heard sound, then of every unheard one: the rest.
    guard : int
        Samples within which a turned feature still resembles itself.
    options : dict
        For `delta_r`.
    """

    trials: Trials
    y: list[Array]
    n_baseline: int
    windows: list[range]
    sfreq: float
    music: Music
    kept: list[np.ndarray]
    moved: list[np.ndarray]
    guard: int
    options: dict[str, Any]

    @classmethod
    def of(
        cls,
        baseline: object,
        added: object,
        y: object,
        sfreq: float,
        pseudo: Sequence[tuple[object, object]] | None,
        given: dict[str, Any],
    ) -> _Analysis:
        """Check the analysis as `delta_r` does, and split the added feature."""
        if isinstance(added, Mapping):
            raise TypeError("added: expected the arrays of one model, got a dictionary. Check one model at a time.")
        call = inspect.signature(delta_r).bind(baseline, added, y, sfreq, **{"n_null": 99, **given})  # names must fit
        call.apply_defaults()
        options = {name: value for name, value in call.arguments.items() if name not in _OWN}
        null, unheard = _checks.one_of("null", options["null"], surrogates.SCHEMES), pseudo or ()
        if pseudo is not None and null == "repair":
            raise ValueError("pseudo: null='repair' is checked with the sounds that were heard. Leave it out.")
        x, n_baseline, models = features_by_model(baseline, added)
        window = options["tmin"], options["tmax"]
        layout_options: dict[str, Any] = {name: options[name] for name in ("penalty", "masks")}
        trials, layout = designing.lay_out(
            x, y, sfreq, *window, **layout_options, basis=None, bands=None, backward=False
        )
        n_lags = len(layout.lags)
        names = names_of(n_baseline, models)
        options["groups"] = labels_of(options["groups"], len(x))
        music = surrogates.split_features(
            trials, names, options["groups"], layout.sfreq, n_lags, null, conditional=True, unheard=unheard
        )
        guard = n_lags + round(
            _checks.positive("autocorrelation", options["autocorrelation"], "seconds") * layout.sfreq
        )
        surrogates.check(null, music, trials, guard, options["accept_drift"])
        kept, moved = music.kept, music.moved
        if null == "events":
            kept, moved = _split_values(_baselines(trials, n_baseline, music, unheard), music.moved)
        windows = lagging.windows(*window, layout.sfreq, trials.n_features)[n_baseline:]
        options["pseudo"] = pseudo if null == "pseudo" else None
        whole = check_arrays("y", y, "channels")
        return cls(trials, whole, n_baseline, windows, layout.sfreq, music, kept, moved, guard, options)

    @property
    def null(self) -> str:
        """How surrogates are made."""
        return str(self.options["null"])

    def donors(self, sound: int) -> list[int]:
        """Sounds whose rest another one may take: the unheard ones, or the other heard ones."""
        n_heard = self.music.n_heard
        others = range(n_heard, len(self.moved)) if self.music.n_unheard else range(n_heard)
        return [other for other in others if other != sound and self.moved[other].any()]

    def rest(self, random: np.random.Generator) -> list[np.ndarray]:
        """What no EEG answers to, of every heard sound, each (n_times, n_added)."""
        return [self._rest(sound, random) for sound in range(self.music.n_heard)]

    def _rest(self, sound: int, random: np.random.Generator) -> np.ndarray:
        own = self.moved[sound]
        if self.null in _BETWEEN:
            return np.roll(own, random.integers(self.guard, len(own) - self.guard + 1), axis=0)
        other = random.choice(self.donors(sound))
        if self.null == "shift":
            return np.asarray(self.moved[other][np.arange(len(own)) % len(self.moved[other])])
        onsets, values = (self.music.moved[s].any(axis=1) for s in (sound, other))
        rest, donated = np.zeros_like(own), self.moved[other][values]
        rest[onsets] = donated[np.arange(onsets.sum()) % len(donated)]
        return rest

    def answer(self, rest: list[np.ndarray]) -> list[np.ndarray]:
        """What a channel of variance 1 would answer to the rest of its sound, trial by trial, each (n_times, 1)."""
        first, last = min(w[0] for w in self.windows), max(w[-1] for w in self.windows)
        weights = np.zeros((len(self.windows), last - first + 1, 1))
        for own, window, scale in zip(weights, self.windows, np.concatenate(rest).std(axis=0), strict=True):
            own[window[0] - first : window[-1] - first + 1, 0] = _kernel(len(window)) / scale
        answers = TRF(weights, np.zeros(1), range(first, last + 1), self.sfreq, 0.0).predict(rest)
        by_trial = [answers[s][:n] for s, n in zip(self.music.of_trial, self.trials.lengths, strict=True)]
        scale = _spread(self.trials, by_trial)
        return [one / scale for one in by_trial]

    def run(
        self,
        rest: list[np.ndarray],
        seed: int,
        chosen: np.ndarray | None = None,
        answer: list[np.ndarray] | None = None,
    ) -> DeltaR:
        """Analyse some trials with the pseudo-feature of this rest, and with an answer in the EEG."""
        trials = range(len(self.y)) if chosen is None else chosen.tolist()
        options = {**self.options, "rng": seed}
        options["groups"] = [options["groups"][i] for i in trials]
        if options["masks"] is not None:
            options["masks"] = [options["masks"][i] for i in trials]
        y = [self.y[i] if answer is None else self.y[i] + self._like(answer[i], i) for i in trials]
        x = [self.trials.x[i][:, : self.n_baseline] for i in trials]
        return delta_r(x, [self._feature(rest, i) for i in trials], y, self.sfreq, **options)

    def _feature(self, rest: list[np.ndarray], trial: int) -> Array:
        """The pseudo-feature of a trial, unknown where the added feature is."""
        sound, n_times = self.music.of_trial[trial], self.trials.lengths[trial]
        unknown = np.isnan(to_numpy(self.trials.x[trial][:, self.n_baseline :]))
        return self._like(np.where(unknown, np.nan, self.kept[sound][:n_times] + rest[sound][:n_times]), trial)

    def _like(self, array: np.ndarray, trial: int) -> Array:
        return self.trials.xp.asarray(array, device=self.trials.x[trial].device)

    def check(self, level: float, n_checks: int) -> None:
        """Every sound needs a rest that does not belong to it here and now, and checks should not be alike."""
        shortage = self.shortage(self.music.n_heard, level)
        if shortage:
            raise ValueError(f"level: {shortage}")
        if self.null in _BETWEEN:
            shortest = min(map(len, self.kept))
            if shortest < 3 * self.guard:
                raise ValueError(
                    f"added: to be turned in time, sounds need at least {3 * self.guard} samples, three times the "
                    f"kernel plus the autocorrelation time; the shortest has {shortest}. Pass a shorter "
                    "`autocorrelation`."
                )
            return
        if self.null == "events" and (self.music.explained > surrogates.EXPLAINED).any():
            raise ValueError("added: the baseline explains the values at the onsets, so nothing is left to test.")
        possible = math.prod(len(self.donors(sound)) for sound in range(self.music.n_heard))
        if not possible:
            raise ValueError(
                f"pseudo: null={self.null!r} is checked with features of other sounds, and there are none. Give some "
                "that were not heard."
            )
        if possible < n_checks:
            warnings.warn(
                f"The sounds give {possible} pseudo-features for {n_checks} checks, which repeat one another. Give "
                "`pseudo`, features of sounds that were not heard.",
                stacklevel=2,
            )

    def n_surrogates(self, n_sounds: int) -> int:
        """How many surrogates so many sounds get."""
        n_null = _checks.count("n_null", self.options["n_null"], minimum=2)
        possible = {"repair": math.factorial(n_sounds) - 1, "pseudo": math.perm(self.music.n_unheard, n_sounds)}
        return min(n_null, possible.get(self.null, n_null))

    def shortage(self, n_sounds: int, level: float) -> str:
        """What so few sounds do not allow, if anything."""
        n_folds, n_null = self.options["n_folds"] or 3, self.n_surrogates(n_sounds)
        if self.options["gap"] is None and n_sounds < n_folds:
            return f"{n_sounds} sounds cannot make {n_folds} folds. Use fewer folds, or more sounds."
        if _attainable(level, n_null) > 0:
            return ""
        more = f"at least n_null={math.ceil(1 / level) - 1}" if n_null == self.options["n_null"] else "more sounds"
        return f"{n_sounds} sounds give {n_null} surrogates, so no p-value can be {level:g} or below. Use {more}."

    def sizes(self, n_trials: Sequence[int] | None, level: float) -> list[int]:
        """Numbers of trials to analyse."""
        repeats, n_all = np.bincount(self.music.of_trial), len(self.music.of_trial)
        fewest = np.sort(repeats)[::-1].cumsum()  # trials in so many sounds, if the most repeated ones are drawn

        def problem(n: int) -> str:
            return self.shortage(int(np.searchsorted(fewest, n)) + 1, level)

        if n_trials is None:
            half = math.ceil(n_all / 2)
            return [n_all] if len(repeats) == 1 or problem(half) else [half, n_all]
        sizes = [_checks.count("n_trials", n) for n in n_trials]
        if not sizes:
            raise ValueError(
                "n_trials: expected at least one number of trials, got none. Leave it out for the default."
            )
        for n in sizes:
            if n > n_all or problem(n):
                raise ValueError(f"n_trials: cannot use {n}. {problem(n) if n <= n_all else f'There are {n_all}.'}")
        return sizes


def _baselines(
    trials: Trials, n_baseline: int, music: Music, unheard: Sequence[tuple[object, object]]
) -> list[np.ndarray]:
    """The baseline of every heard sound, then of every unheard one, each (n_times, n_baseline)."""
    longest = [max(np.flatnonzero(music.of_trial == k), key=lambda i: trials.lengths[i]) for k in range(music.n_heard)]
    heard = [to_numpy(trials.x[i][:, :n_baseline]) for i in longest]
    return heard + [np.asarray(baseline, dtype=np.float64) for baseline, _ in unheard]


def _split_values(baselines: list[np.ndarray], added: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What the baseline at the same samples explains of the values at events, and the rest."""
    events = [one.any(axis=1) for one in added]
    pairs = zip(baselines, events, strict=True)
    designs = [np.column_stack([np.nan_to_num(base[at]), np.ones(at.sum())]) for base, at in pairs]
    values = np.concatenate([one[at] for one, at in zip(added, events, strict=True)])
    solution = np.linalg.lstsq(np.concatenate(designs), values)[0]
    kept = [np.zeros_like(one) for one in added]
    for one, at, design in zip(kept, events, designs, strict=True):
        one[at] = design @ solution
    return kept, [one - part for one, part in zip(added, kept, strict=True)]


def _kernel(n_lags: int) -> np.ndarray:
    """A peak and a trough within a window, shape (n_lags,)."""
    u = (np.arange(n_lags) + 0.5) / n_lags
    return np.asarray(np.exp(-0.5 * ((u - 0.3) / 0.1) ** 2) - np.exp(-0.5 * ((u - 0.6) / 0.12) ** 2))


def _spread(trials: Trials, series: list[np.ndarray]) -> np.ndarray:
    """Standard deviation within trials of every column of series, over the samples in use, shape (n_columns,)."""
    used = [one[to_numpy(keep)] for one, keep in zip(series, trials.keep, strict=True) if bool(keep.any())]
    scatter = sum(((one - one.mean(axis=0)) ** 2).sum(axis=0) for one in used)
    return np.asarray(np.sqrt(scatter / sum(map(len, used))))


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
    if not (len(array) and np.isfinite(array).all() and (array >= 0).all()):
        raise ValueError(f"shares: expected shares of the variance of a channel, such as 0.001, got {shares!r}.")
    return array


def _logarithm(shares: np.ndarray) -> np.ndarray:
    """-inf at a share of 0, where the power is the level whatever the curve."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(shares))


def _curve(x: np.ndarray, level: float, half: float, slope: float) -> np.ndarray:
    """Power at the logarithm of a share; it is halfway between the level and 1 at `half`."""
    from scipy.special import expit

    return np.asarray(level + (1 - level) * expit(slope * (x - half)))


def _fit(found: np.ndarray, n_checks: int, x: np.ndarray, level: float) -> tuple[float, float]:
    """Place and slope of the curve that makes the numbers of effects found at `x` most likely."""
    from scipy.optimize import minimize
    from scipy.special import xlogy

    def unlikely(parameters: np.ndarray) -> float:
        p = np.clip(_curve(x, level, *parameters), 1e-12, 1 - 1e-12)
        return -float((xlogy(found, p) + xlogy(n_checks - found, 1 - p)).sum())

    tried = x[np.isfinite(x)]
    if not len(tried):
        return np.nan, 1.0
    low, high = tried.min(), tried.max()
    starts = [(half, 2.0) for half in np.linspace(low, high, 5)]
    fits = [minimize(unlikely, start, bounds=[(low - 5, high + 5), (0.2, 8.0)]) for start in starts]
    half, slope = min(fits, key=lambda fit: fit.fun).x
    return float(half), float(slope)


def _attainable(level: float, n_surrogates: int) -> float:
    """The largest p-value not above the level, or 0."""
    return math.floor(level * (n_surrogates + 1) + _TIE) / (n_surrogates + 1)


def _interval(k: int, n: int) -> np.ndarray:
    from scipy.stats import binomtest

    ends = binomtest(k, n).proportion_ci(method="exact")
    return np.array([ends.low, ends.high])


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
