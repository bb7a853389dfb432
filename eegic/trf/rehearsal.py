"""An analysis rehearsed: the same EEG, folds and null, with features that certainly have no effect, or a known one.

Such features could yet have come with these sounds. They keep what the baseline explains of the added feature; the rest
is moved in the way in which the null does *not* move it. A null that exchanges between sounds meets rests turned in
time within theirs, so what is peculiar to a sound stays; a null that turns within a sound meets rests of other sounds,
so what is peculiar to a moment stays. Moved as the null moves them, features and surrogates would be alike by
construction, and the check could not fail.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eegic import _checks, stats
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


@dataclass(frozen=True, eq=False)
class Rehearsal:
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
    ) -> Rehearsal:
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
        rest = np.zeros_like(own)
        for column in range(own.shape[1]):
            onsets, values = (np.flatnonzero(self.music.moved[s][:, column]) for s in (sound, other))
            rest[onsets, column] = np.resize(self.moved[other][values, column], len(onsets))
        return rest

    def answer(self, rest: list[np.ndarray]) -> list[np.ndarray]:
        """What a channel of variance 1 would answer to the rest of its sound, trial by trial, each (n_times, 1)."""
        first, last = min(w[0] for w in self.windows), max(w[-1] for w in self.windows)
        weights = np.zeros((len(self.windows), last - first + 1, 1))
        for own, window, scale in zip(weights, self.windows, np.concatenate(rest).std(axis=0), strict=True):
            own[window[0] - first : window[-1] - first + 1, 0] = _kernel(len(window)) / scale
        answers = TRF(weights, np.zeros(1), range(first, last + 1), self.sfreq, 0.0).predict(rest)
        by_trial = [answers[s][:n] for s, n in zip(self.music.of_trial, self.trials.lengths, strict=True)]
        scale = spread(self.trials, by_trial)
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
        if stats.attainable(level, n_null) > 0:
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
    kept = [np.zeros_like(one) for one in added]
    for column in range(added[0].shape[1]):
        events = [np.flatnonzero(one[:, column]) for one in added]
        pairs = zip(baselines, events, strict=True)
        designs = [np.column_stack([np.nan_to_num(base[at]), np.ones(len(at))]) for base, at in pairs]
        values = np.concatenate([one[at, column] for one, at in zip(added, events, strict=True)])
        solution = np.linalg.lstsq(np.concatenate(designs), values)[0]
        for one, at, design in zip(kept, events, designs, strict=True):
            one[at, column] = design @ solution
    return kept, [one - part for one, part in zip(added, kept, strict=True)]


def _kernel(n_lags: int) -> np.ndarray:
    """A peak and a trough within a window, shape (n_lags,)."""
    u = (np.arange(n_lags) + 0.5) / n_lags
    return np.asarray(np.exp(-0.5 * ((u - 0.3) / 0.1) ** 2) - np.exp(-0.5 * ((u - 0.6) / 0.12) ** 2))


def spread(trials: Trials, series: list[np.ndarray]) -> np.ndarray:
    """Standard deviation within trials of every column of series, over the samples in use, shape (n_columns,)."""
    used = [one[to_numpy(keep)] for one, keep in zip(series, trials.keep, strict=True) if bool(keep.any())]
    scatter = sum(((one - one.mean(axis=0)) ** 2).sum(axis=0) for one in used)
    return np.asarray(np.sqrt(scatter / sum(map(len, used))))
