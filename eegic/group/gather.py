"""Put the results of participants together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from eegic import _checks, stats
from eegic.group.alike import check_alike, check_values, differ, notes_on, read_results, why_apart
from eegic.group.layout import conditions_of, regions_of, union, without_bads
from eegic.results import GroupResult, Tracking
from eegic.results.means import OVER, over_channels
from eegic.stats.inputs import probability


def group_test(
    results: Iterable[Tracking | str | os.PathLike[str]],
    *,
    conditions: Mapping[str, tuple[str, float]] | None = None,
    regions: Mapping[str, Sequence[str]] | None = None,
    over: str = "median",
    n_flips: int = 10_000,
    level: float = 0.05,
    rng: int | np.random.Generator | None = 0,
) -> GroupResult:
    """Test the gains of several participants: would other listeners show them, and would other pieces?

    Parameters
    ----------
    results : iterable of Tracking, or of paths to saved ones
        One per participant, of the same baseline, models and lags. Channels are matched by name; participants take part
        in the channels in which they have a value.
    conditions : dict of str to (str, float), optional
        Family and noise level of each model, for figures and mixed models: ``{"IC 0.3": ("aligned", 0.3)}``. By default
        a number at the end of a model's name, as `information_content` gives them, is its noise level, and what stands
        before it the family; other models are families of their own without a noise level.
    regions : dict of str to sequence of str, optional
        Names of channels by region; ``"all"`` is always one.
    over : {"median", "mean"}
        How the channels of a region become one value per participant.
    n_flips : int
        At most so many sign flips: all of them if there are no more, else random ones.
    level : float
        Of significance, for counts of participants, marks and sentences.
    rng : int, Generator or None
        Seed of random flips and of intervals.

    Returns
    -------
    GroupResult

    Notes
    -----
    The statistic of a participant is the *corrected* gain: raw Δr less its mean under the surrogates, since raw Δr is
    below zero when nothing is there. For new listeners, whole participants are flipped in sign, which is valid if their
    errors are symmetric; a strongly skewed group makes the tail on the other side liberal, so the skewness is in the
    table, with the same test of the trimmed mean and of the median. All tests are one-sided: does the feature help? For
    new pieces, the gain averaged over participants is compared with the average under each surrogate, which is the same
    exchange of pieces for everybody; it needs the same pieces, null and seed. Corrected p-values are for all channels
    (or regions) and models at once, by the maximum.

    Examples
    --------
    >>> import eegic as ei
    >>> study = ei.datasets.simulate_study(5, 6, duration=6, n_channels=4, snr=0.1, progress=False, rng=0)
    >>> results = [ei.cortical_tracking(person, study.envelopes, study.surprisal, tmax=0.3, alphas=[0.1],
    ...                                 n_folds=3, n_null=99, rng=0, progress=False) for person in study.participants]
    >>> group = group_test(results)
    >>> group.p_min["listeners"], group.p_min["pieces"]
    (0.03125, 0.01)
    >>> group.to_frame("region")[["model", "n", "p_listeners", "p_pieces"]].round(3)
           model  n  p_listeners  p_pieces
    0  surprisal  5        0.031      0.01
    """
    people = read_results(results)
    check_alike(people)
    first = people[0]
    settings = {
        "over": _checks.one_of("over", over, OVER),
        "n_flips": _checks.count("n_flips", n_flips),
        "level": probability("level", level),
        "attainable": _attainable(level, [person.null.shape[1] for person in people]),
        "rng": _checks.seed(rng),
        "each": {name: value for name, value in first.settings.items() if not differ(people, name)},
    }
    info, far = union(people)
    names = info["ch_names"]
    places = regions_of(regions, names)
    rows = [[names.index(name) for name in person.ch_names] for person in people]

    def placed(values: Iterable[np.ndarray]) -> list[np.ndarray]:
        """Of every participant, on the channels of all."""
        return [_placed(one, row, len(names)) for one, row in zip(values, rows, strict=True)]

    gain = placed(person.gain for person in people)
    null = placed(person.null for person in people)
    check_values(people, gain)
    by_region = [
        _by_region(*pair, [[names.index(name) for name in own] for own in places.values()], over)
        for pair in zip(gain, null, strict=True)
    ]
    apart = why_apart(people)
    n_shared = 0 if apart else first.null.shape[1]
    notes = [f"nothing is said of new pieces: {apart}"] if apart else []
    return GroupResult(
        participants=tuple(person.participant for person in people),
        info=without_bads(info, gain),
        baseline=first.baseline,
        models=first.models,
        conditions=conditions_of(conditions, first.models),
        regions=places,
        owner=np.repeat(np.arange(len(people)), [len(person.segments) for person in people]),
        stimuli=_by_segment(people, "stimuli"),
        sounds=_by_segment(people, "sounds"),
        r_reduced=np.concatenate(placed(person.r_reduced for person in people)),
        r_full=np.concatenate(placed(person.r_full for person in people), axis=1),
        null_mean=np.stack([one.mean(axis=1) for one in null], axis=1),
        null=_mean(one[:, :n_shared] for one in null),
        region_gain=np.stack([one[..., : 1 + n_shared] for one in by_region], axis=2),
        region_p=np.stack([stats.p_value(one[..., 0], np.moveaxis(one[..., 1:], -1, 0)) for one in by_region], axis=-1),
        lags=first.lags,
        kernels={name: np.stack(placed(person.kernels[name] for person in people)) for name in first.models},
        notes=(*notes, *notes_on(people, gain, names), *far),
        settings=settings,
        versions=first.versions,
    )


def _attainable(level: float, n_surrogates: Sequence[int]) -> float:
    """The largest level not above the wanted one, or 0 if somebody has too few surrogates for any."""
    found = [stats.attainable(level, n) for n in n_surrogates]
    return max(found) if min(found) else 0.0


def _placed(values: np.ndarray, row: Sequence[int], n_channels: int) -> np.ndarray:
    """Values on the channels of all, NaN elsewhere; channels are the last axis."""
    placed = np.full((*values.shape[:-1], n_channels), np.nan)
    placed[..., row] = values
    return placed


def _by_region(gain: np.ndarray, null: np.ndarray, regions: Sequence[Sequence[int]], over: str) -> np.ndarray:
    """Real gain and surrogates, less their common mean in each channel: (n_models, n_regions, 1 + n_null)."""
    pooled = np.concatenate([gain[:, None], null], axis=1)
    pooled -= pooled.mean(axis=1, keepdims=True)
    return np.stack([over_channels(pooled[..., own], over) for own in regions], axis=1)


def _mean(values: Iterable[np.ndarray]) -> np.ndarray:
    """Mean of what is defined, one after the other."""
    total, count = np.zeros(()), np.zeros(())
    for one in values:
        known = np.isfinite(one)
        total, count = total + np.where(known, one, 0.0), count + known
    return np.asarray(total / np.where(count, count, np.nan))


def _by_segment(people: Iterable[Tracking], what: str) -> tuple[str, ...]:
    return tuple(getattr(person, what)[trial] for person in people for trial in person.segments[:, 0])
