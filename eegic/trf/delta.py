"""What an added feature explains beyond the baseline, against a null that exchanges that feature alone."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, overload

import numpy as np

from eegic import _checks, stats
from eegic.trf import design as designing
from eegic.trf import folds as folding
from eegic.trf import ridge, surrogates
from eegic.trf.crossval import DEFAULT_ALPHAS, CrossVal, cross_validate, finished, parts_of, select_features
from eegic.trf.design import Recording
from eegic.trf.exchange import Exchange, Search
from eegic.trf.heldout import Choice, Held
from eegic.trf.inputs import check_arrays, common_namespace, to_numpy
from eegic.trf.ridge import Ridge
from eegic.trf.scores import mean_defined
from eegic.trf.search import choose
from eegic.trf.surrogates import Music
from eegic.trf.workers import workers

Array = Any
_WEAK = 0.2  # correlation of values with the baseline at events that does little harm


@dataclass(frozen=True, eq=False)
class DeltaR:
    """Gain in held-out correlation from an added feature, and what it would be by chance.

    Attributes
    ----------
    full, reduced : CrossVal
        Models with and without the added feature: same samples, folds and search for alpha.
    null : ndarray, shape (n_null, n_channels)
        Mean gain over trials (segments, with `gap`) under each surrogate.
    explained : ndarray, shape (n_added,)
        Share of the variance of each added feature that the lagged baseline explains.
    scheme : str
        How surrogates were made.
    conditional : bool
        True when only what the baseline does not explain was exchanged.
    exact : bool
        True when every possible exchange was made.
    entropy : int
        Seed of the surrogates.
    """

    full: CrossVal
    reduced: CrossVal
    null: np.ndarray
    explained: np.ndarray
    scheme: str
    conditional: bool
    exact: bool
    entropy: int

    @cached_property
    def r_full(self) -> np.ndarray:
        """Held-out r of the full model, shape (n_trials, n_channels)."""
        return to_numpy(self.full.r)

    @cached_property
    def r_reduced(self) -> np.ndarray:
        """Held-out r of the reduced model, shape (n_trials, n_channels)."""
        return to_numpy(self.reduced.r)

    @property
    def delta_r(self) -> np.ndarray:
        """Raw gain, shape (n_trials, n_channels). Biased below zero: a useless feature lowers held-out r."""
        return np.asarray(self.r_full - self.r_reduced)

    @cached_property
    def gain(self) -> np.ndarray:
        """Raw gain, mean over trials, shape (n_channels,)."""
        return np.asarray(mean_defined(self.delta_r))

    @property
    def corrected(self) -> np.ndarray:
        """Mean gain minus the mean of its null, shape (n_channels,): zero on average when nothing is there."""
        return np.asarray(self.gain - self.null.mean(axis=0))

    @property
    def corrected_se(self) -> np.ndarray:
        """Standard error of `corrected` when nothing is there, shape (n_channels,); NaN from one surrogate."""
        return stats.error_of_corrected(self.null)

    @cached_property
    def p(self) -> np.ndarray:
        """One-sided p-value of every channel, shape (n_channels,)."""
        return stats.p_value(self.gain, self.null)

    @cached_property
    def p_maxt(self) -> np.ndarray:
        """The same, corrected for all channels by the largest studentised gain, shape (n_channels,)."""
        return stats.max_statistic(self.gain, self.null)

    @cached_property
    def p_mean(self) -> float:
        """One-sided p-value of the gain averaged over channels."""
        return float(stats.p_value(np.nanmean(self.gain), np.nanmean(self.null, axis=1)))

    @property
    def p_min(self) -> float:
        """Smallest p-value that could have come out."""
        return 1 / (1 + len(self.null))

    def __repr__(self) -> str:
        size = f"{self.r_full.shape[0]} trials, {self.r_full.shape[1]} channels"
        kind = f"{'conditional ' if self.conditional else ''}{self.scheme}, {len(self.null)} surrogates"
        gain = f"raw {np.nanmean(self.gain):+.4f}, corrected {np.nanmean(self.corrected):+.4f}, p {self.p_mean:.3g}"
        return f"DeltaR({size}; mean over channels {gain}; {kind})"


@overload
def delta_r(
    baseline: object, added: Mapping[str, object], y: object, sfreq: float, **options: Any
) -> dict[str, DeltaR]: ...
@overload
def delta_r(baseline: object, added: Sequence[object], y: object, sfreq: float, **options: Any) -> DeltaR: ...
def delta_r(  # type: ignore[misc]  # the overloads above leave the options to this one
    baseline: object,
    added: object,
    y: object,
    sfreq: float,
    *,
    tmin: float | Sequence[float],
    tmax: float | Sequence[float],
    alphas: object = DEFAULT_ALPHAS,
    alpha_units: str = "relative",
    groups: Sequence[object] | None = None,
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
    masks: Sequence[object] | None = None,
    n_jobs: int = 1,
    rng: int | np.random.Generator | None = None,
    progress: bool = False,
) -> DeltaR | dict[str, DeltaR]:
    """Gain in held-out r from an added feature, with a null that exchanges that feature alone.

    Parameters
    ----------
    baseline, added : sequence of array, each (n_times, n_features), or one such array
        Features of the reduced model, and those the full model has besides, one array per trial. A dictionary of
        several `added` by name makes as many full models, which share samples, folds, reduced model and surrogates.
    y : sequence of array, each (n_times, n_channels), or one such array
        EEG.
    sfreq : float
        Rate of all, in hertz.
    tmin, tmax, alphas, alpha_units, n_folds, gap, per_channel, penalty, masks
        See `nested_crossval`. Per-feature windows go over the features of the baseline, then the added ones.
    groups : sequence, shape (n_trials,), optional
        Which sound each trial presented. Trials of one sound share a fold, and in each surrogate a donor.
    null : {"repair", "pseudo", "shift", "events"}
        ``repair``: sounds exchange the feature, by all permutations if there are no more than `n_null`, else by random
        ones (which may leave a sound its own). ``pseudo``: donors are sounds that were not heard, in every way if there
        are no more than `n_null`. ``shift``: the feature is turned in time, by at least the kernel plus
        `autocorrelation` seconds. ``events``: values of each impulse feature move, in order, over its own fixed onsets.
    conditional : bool
        Exchange only what the lagged baseline does not explain of the feature, at any lag within the length of the
        kernel; what it explains stays. False exchanges all of it, which breaks its correlation with the baseline; false
        positives rise with that correlation, which a warning names. ``events`` is never conditional, and breaks the
        correlation of the values with the baseline at the onsets.
    n_null : int
        Number of surrogates.
    refit_alpha : bool
        Repeat the search for alpha in every surrogate. False keeps the alphas of the real data: faster, approximate.
    pseudo : sequence of (baseline, added), optional
        Features of sounds that were not heard, each array (n_times, n_features); for ``null="pseudo"``.
    autocorrelation : float
        Seconds after which feature and EEG no longer resemble themselves; for ``null="shift"``.
    accept_drift : bool
        Shift although the EEG drifts.
    n_jobs : int
        Threads, -1 for every core; results do not depend on it.
    rng : int, Generator or None
        Seed of the surrogates. Surrogate k is the same exchange for every listener who heard the same sounds, so nulls
        of listeners can be averaged.
    progress : bool
        Show progress bars.

    Returns
    -------
    DeltaR, or dict of str to DeltaR
        One per model.

    Notes
    -----
    The whole analysis is repeated in every surrogate, at the cost of the changed blocks of the moments. A donor shorter
    than the trial starts again at its end, a longer one is cut, so every trial keeps its samples. p-values are
    ``(b + 1) / (m + 1)`` with ``b`` of ``m`` surrogates at least as large as the real gain, and exact when every
    exchange is made and the sounds are equally long. They ask whether *this* feature, in time with *this* sound,
    predicts better than others like it would; listeners and pieces beyond those at hand are another question.

    Before and after a sound its features count as 0. One that lies far from 0, as a level in decibels or a pitch does,
    starts with a step: subtract its value in silence, or its mean.

    With an effect and few sounds, orders that leave some sounds in place learn from it: `corrected`, though not the
    p-values, is then off by some percent of its size (9 % with three sounds, 2 % with six, in one simulation).

    What the baseline does not explain of impulses, as of notes, keeps traces of where the notes of its sound were, and
    ``repair`` rejects a little too often (5.7 % for 5 % in one simulation). ``events`` leaves the notes in place.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sound = [rng.standard_normal((600, 2)) for _ in range(6)]
    >>> eeg = [x @ np.ones((2, 3)) + 3 * rng.standard_normal((600, 3)) for x in sound]
    >>> result = delta_r([x[:, :1] for x in sound], [x[:, 1:] for x in sound], eeg, 64.0, tmin=0.0, tmax=0.1,
    ...                  alphas=[0.1], n_null=99, rng=0)
    >>> result.p_maxt
    array([0.01, 0.01, 0.01])
    """
    _checks.one_of("null", null, surrogates.SCHEMES)
    n_null, conditional = _checks.count("n_null", n_null, minimum=2), _checks.flag("conditional", conditional)
    conditional, per_channel = conditional and null != "events", _checks.flag("per_channel", per_channel)
    refit_alpha, accept_drift = _checks.flag("refit_alpha", refit_alpha), _checks.flag("accept_drift", accept_drift)
    if pseudo is not None and null != "pseudo":
        raise ValueError(f"pseudo: unheard sounds are for null='pseudo', got null={null!r}. Leave one of them out.")
    grid, entropy = ridge.check_alphas(alphas), _checks.seed(rng)
    x, n_baseline, models = features_by_model(baseline, added)
    trials, layout = designing.lay_out(
        x, y, sfreq, tmin, tmax, penalty=penalty, basis=None, bands=None, masks=masks, backward=False
    )
    unheard, n_lags = () if pseudo is None else pseudo, len(layout.lags)
    music = surrogates.split_features(
        trials,
        names_of(n_baseline, models),
        groups,
        layout.sfreq,
        n_lags,
        null,
        conditional=conditional,
        unheard=unheard,
    )
    guard = n_lags + round(_checks.positive("autocorrelation", autocorrelation, "seconds") * layout.sfreq)
    surrogates.check(null, music, trials, guard, accept_drift)
    # blocks of time hold out a part of every sound, so sounds are grouped for the exchange only
    together = groups if gap is None else None
    split = folding.split(trials.lengths, layout, groups=together, n_folds=n_folds, gap=gap)
    draws = surrogates.draw(null, n_null, music, entropy)
    surrogates.warn_if_few(null, draws, music)
    _warn_if_plain(null, conditional, music)
    recording = Recording.of(trials, layout)
    exchange = Exchange(recording, split, music, null, guard, n_baseline)
    with workers(n_jobs, len(layout.feature), progress=progress) as run:
        parts = parts_of(recording, split, list(range(layout.n_features)), run)

        def analysed(features: list[int]) -> tuple[Held, list[Choice], CrossVal]:
            model = Ridge(layout.select(features), alpha_units)
            held = Held(select_features(parts, layout, features), split.folds, model)
            choices = choose(held, grid, "r", per_channel, run)
            return held, choices, cross_validate(held, split, choices, grid, run)

        few = list(range(n_baseline))
        reduced = analysed(few)[-1]
        full, searches = {}, []
        for name, own in models.items():
            held, choices, full[name] = analysed([*few, *own])
            searches.append(Search(held, own, grid, per_channel, None if refit_alpha else choices))
        r = exchange.held_out_r(searches, draws, run)
    without, reduced = to_numpy(reduced.r), replace(reduced, weights=trials.without_dead(reduced.weights))
    results = {}
    for (name, own), by_chance in zip(models.items(), r, strict=True):
        gains = np.asarray(mean_defined(np.swapaxes(by_chance - without, 0, 1)))
        explained = music.explained[np.asarray(own) - n_baseline]
        model = finished(full[name], trials)
        results[name] = DeltaR(model, reduced, gains, explained, null, conditional, draws.exact, entropy)
    return results if isinstance(added, Mapping) else results[""]


def features_by_model(baseline: object, added: object) -> tuple[list[Array], int, dict[str, list[int]]]:
    """Features of all, trial by trial, how many the baseline has, and which each model has besides."""
    named = dict(added) if isinstance(added, Mapping) else {"": added}
    if not named:
        raise ValueError("added: expected at least one model, got an empty dictionary.")
    x = check_arrays("baseline", baseline, "features")
    n_baseline, models = int(x[0].shape[1]), {}
    for name, trials in named.items():
        more = check_arrays(f"added {name}".strip(), trials, "features")
        common_namespace("baseline, added", *x, *more)
        if len(x) != len(more):
            raise ValueError(f"baseline, added: expected the same trials in both, got {len(x)} and {len(more)}.")
        for i, (a, b) in enumerate(zip(x, more, strict=True)):
            if a.shape[0] != b.shape[0]:
                raise ValueError(
                    f"Trial {i}: the baseline has {a.shape[0]} samples and the added feature {b.shape[0]}. Bring both "
                    "to one rate and one duration."
                )
        first = int(x[0].shape[1])
        models[name] = list(range(first, first + int(more[0].shape[1])))
        x = [designing.side_by_side(a, b) for a, b in zip(x, more, strict=True)]
    return x, n_baseline, models


def names_of(n_baseline: int, models: Mapping[str, Sequence[int]]) -> tuple[list[str], list[str]]:
    """What messages call the features of the baseline and the added ones."""
    added = []
    for name, own in models.items():
        numbered = [f"feature {k}" for k in range(len(own))]
        added += numbered if not name else [repr(name)] if len(own) == 1 else [f"{one} of {name!r}" for one in numbered]
    return [f"feature {k}" for k in range(n_baseline)], added


def _warn_if_plain(scheme: str, conditional: bool, music: Music) -> None:
    r = float(np.sqrt(np.clip(music.explained.max(), 0, 1)))
    if conditional or (scheme == "events" and r < _WEAK):
        return
    what = "null='events'" if scheme == "events" else "conditional=False"
    warnings.warn(
        f"{what} breaks the correlation of the added feature with the baseline, which is {r:.2f} here. Unless it is "
        "near 0, false positives exceed the nominal level.",
        stacklevel=3,
    )
