"""How well could any model of the sound predict? Noise ceilings from repeats and from other listeners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from eegic import _checks
from eegic.trf.folds import labels_of
from eegic.trf.inputs import check_arrays, check_trials, to_numpy
from eegic.trf.scores import mean_defined

_FEW = 5  # sounds below which blocks of time are resampled instead
_BLOCKS = 10
_SMALLEST_R = 0.05  # a share of less than this explodes


@dataclass(frozen=True, eq=False)
class Ceiling:
    """Noise ceiling of every channel.

    Attributes
    ----------
    explainable : ndarray, shape (n_channels,)
        Share of the variance of one presentation that the sound explains. Noise does not bias it, so chance may make
        it negative; NaN where a channel is constant or missing.
    interval : ndarray, shape (2, n_channels)
        Its 95 % bootstrap interval.
    n_sounds : int
        Sounds that took part.
    n_repeats : int
        Presentations of them in total, or listeners.
    kind : {"repeats", "listeners"}
        What was compared.
    n_boot : int
        Number of bootstrap samples.
    lower, upper : ndarray, shape (n_listeners, n_channels), or None
        Correlation of each listener with the mean of the others, and with the mean of all, averaged over sounds.
    """

    explainable: np.ndarray
    interval: np.ndarray
    n_sounds: int
    n_repeats: int
    kind: str
    n_boot: int
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None

    @property
    def r(self) -> np.ndarray:
        """Highest r that a model of the sound can reach on one presentation, shape (n_channels,)."""
        return np.asarray(np.sqrt(np.clip(self.explainable, 0.0, None)))

    @property
    def defined(self) -> np.ndarray:
        """Channels whose interval lies above zero and whose r is at least 0.05, bool, shape (n_channels,)."""
        return np.asarray((self.interval[0] > 0) & (self.r >= _SMALLEST_R))

    def share(self, delta: object) -> np.ndarray:
        """Correlations as shares of the ceiling.

        Parameters
        ----------
        delta : array_like, shape (..., n_channels)
            r, or gains in r, such as `DeltaR.corrected`.

        Returns
        -------
        ndarray, shape (..., n_channels)
            ``delta / r``. NaN where the ceiling is not `defined`: near zero the ratio explodes, and channels without
            signal would rule every average.
        """
        given = _checks.array("delta", delta, axes="(..., n_channels)")
        if given.shape[-1:] != self.r.shape:
            raise ValueError(f"delta: expected one value per channel ({len(self.r)}) last, got shape {given.shape}.")
        return given / np.where(self.defined, self.r, np.nan)

    def __repr__(self) -> str:
        r = self.r[self.defined]
        found = f", there r {r.min():.3f} to {r.max():.3f}" if len(r) else ""
        compared = "listeners" if self.kind == "listeners" else "presentations"
        size = f"{self.n_sounds} sounds, {self.n_repeats} {compared}, {self.n_boot} bootstrap samples"
        return f"Ceiling(defined in {len(r)} of {len(self.r)} channels{found}; {size})"


def repeat_ceiling(
    y: object,
    groups: Sequence[object],
    *,
    masks: Sequence[object] | None = None,
    n_boot: int = 1000,
    rng: int | np.random.Generator | None = 0,
) -> Ceiling:
    """Noise ceiling from sounds that one listener heard more than once.

    Parameters
    ----------
    y : sequence of array, each (n_times, n_channels)
        EEG of each trial, aligned to the sound. Sounds heard once are ignored. If repeats differ in length, their
        common beginning is used. A sample that is NaN is left out in all channels and repeats; a channel that is NaN
        throughout is NaN in the result and touches no other.
    groups : sequence, shape (n_trials,)
        Which sound each trial presented.
    masks : sequence of array of bool, each (n_times,), optional
        Samples that may be used, as in `nested_crossval`; one that is masked in a repeat is left out in all of them.
    n_boot : int
        Number of bootstrap samples.
    rng : int, Generator or None
        Seed of the bootstrap.

    Returns
    -------
    Ceiling

    Notes
    -----
    What repeats share is taken for signal: the covariance between them, averaged over all pairs, over the variance of
    single repeats, each pooled over sounds and weighted by samples. This equals ``ev - (1 - ev) / (R - 1)``, where
    ``ev`` is the variance of the mean of ``R`` z-scored repeats, and estimates what the average of all split-halves,
    brought to one presentation by Spearman and Brown, estimates. What is locked to the start of a sound rather than to
    the sound itself counts as signal; what changes over repeats, such as adaptation, does not.

    Repeats weigh by their variance. Where noise differs between trials and r is averaged over trials, z-score every
    trial first, or that average can exceed `Ceiling.r`.

    The bootstrap resamples sounds, and speaks about sounds like these. With fewer than five repeated sounds it
    resamples tenths of every sound, and speaks about these sounds only. Bootstrap samples of few units scatter too
    little; they are stretched about the estimate as Student's t is wider than the normal distribution.

    References
    ----------
    Lage-Castellanos et al. (2019), doi:10.1371/journal.pcbi.1006397; Pospisil & Bair (2021),
    doi:10.1371/journal.pcbi.1009212.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> response = {sound: rng.standard_normal((2000, 2)) for sound in "abc"}
    >>> eeg = [response[sound] + 3 * rng.standard_normal((2000, 2)) for sound in "abcabc"]
    >>> ceiling = repeat_ceiling(eeg, list("abcabc"))  # the truth is 1 / (1 + 3**2)
    >>> ceiling.explainable.round(2), ceiling.r.round(2)
    (array([0.12, 0.08]), array([0.34, 0.29]))
    """
    n_boot, random = _checks.count("n_boot", n_boot, minimum=100), np.random.default_rng(rng)
    eeg, keep = _checked(y, masks)
    heard: dict[object, list[int]] = {}
    for trial, sound in enumerate(labels_of(groups, len(eeg))):
        heard.setdefault(sound, []).append(trial)
    repeated = {sound: trials for sound, trials in heard.items() if len(trials) > 1}
    if not repeated:
        raise ValueError(
            f"groups: no sound was heard twice ({len(eeg)} trials, {len(heard)} sounds), so signal cannot be told from "
            "noise. Give repeats of a sound the same name, or compare listeners with `listener_ceiling`."
        )
    n_blocks = 1 if len(repeated) >= _FEW else _BLOCKS
    units = []
    for sound, trials in repeated.items():
        n_times = min(len(eeg[i]) for i in trials)
        known = np.all([keep[i][:n_times] for i in trials], axis=0)
        units.append(_energies(_centred(sound, [eeg[i][:n_times][known] for i in trials]), n_blocks))
    energies = np.concatenate(units)

    def explainable(counts: np.ndarray) -> np.ndarray:
        shared, total = np.tensordot(energies, counts, axes=(0, 1)).transpose(0, 2, 1)
        with np.errstate(invalid="ignore"):  # channels without variance
            return np.asarray(shared / total)

    estimate, interval = _bootstrap(explainable, len(energies), n_boot, random)
    return Ceiling(estimate, interval, len(repeated), sum(map(len, repeated.values())), "repeats", n_boot)


def listener_ceiling(y: Sequence[object], *, n_boot: int = 1000, rng: int | np.random.Generator | None = 0) -> Ceiling:
    """Noise ceiling for what listeners share, from at least three who heard the same sounds.

    A model fitted to one listener can exceed it: it may predict what is this listener's own, which counts as noise
    here.

    Parameters
    ----------
    y : sequence over listeners of sequences over sounds of array, each (n_times, n_channels)
        EEG; sounds and channels in the same order, and of the same sizes, for all. NaN as in `repeat_ceiling`.
    n_boot : int
        Number of bootstrap samples.
    rng : int, Generator or None
        Seed of the bootstrap.

    Returns
    -------
    Ceiling
        With `lower` and `upper`: on average, the correlation of a listener with what all listeners share lies between
        them.

    Notes
    -----
    Every channel of a listener is standardised, over all sounds; listeners then count as repeats in `repeat_ceiling`,
    so `explainable` is the mean correlation of pairs of listeners. A channel that is constant in one listener is NaN.
    The bootstrap resamples listeners, never pairs one with themselves, and speaks about listeners like these and these
    sounds only.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> response = [rng.standard_normal((2000, 2)) for sound in range(3)]
    >>> eeg = [[x + 3 * rng.standard_normal(x.shape) for x in response] for listener in range(8)]
    >>> ceiling = listener_ceiling(eeg)
    >>> np.round([ceiling.lower.mean(), ceiling.r.mean(), ceiling.upper.mean()], 2)
    array([0.21, 0.32, 0.46])
    """
    n_boot, random = _checks.count("n_boot", n_boot, minimum=100), np.random.default_rng(rng)
    joined, lengths = _joined(y)
    eeg, keep = _checked(joined)
    n, known, stops = len(eeg), np.all(keep, axis=0), np.cumsum(lengths)
    products = []
    for sound, (first, stop) in enumerate(zip(stops - lengths, stops, strict=True)):
        used = known[first:stop]
        z = _centred(sound, [x[first:stop][used] for x in eeg]).transpose(2, 0, 1)
        products.append((z @ z.transpose(0, 2, 1)).transpose(1, 2, 0))
    gram = np.stack(products)  # (n_sounds, n_listeners, n_listeners, n_channels)
    scale = np.sqrt(np.einsum("siic->ic", gram))
    with np.errstate(invalid="ignore", divide="ignore"):  # channels without variance
        gram /= scale[:, None] * scale
        own, with_all, whole = np.einsum("siic->sic", gram), gram.sum(axis=2), gram.sum(axis=(1, 2))[:, None]
        lower = mean_defined((with_all - own) / np.sqrt(own * (whole - 2 * with_all + own)))
        upper = mean_defined(with_all / np.sqrt(own * whole))
    correlation = gram.sum(axis=0)

    def explainable(counts: np.ndarray) -> np.ndarray:
        pairs = counts[:, :, None] * counts[:, None] * ~np.eye(n, dtype=bool)
        pairs = pairs[pairs.any(axis=(1, 2))]  # a sample of one listener alone has none
        return np.asarray(np.tensordot(pairs, correlation) / pairs.sum(axis=(1, 2))[:, None])

    estimate, interval = _bootstrap(explainable, n, n_boot, random)
    return Ceiling(estimate, interval, len(lengths), n, "listeners", n_boot, lower, upper)


def _checked(y: object, masks: Sequence[object] | None = None) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """EEG of each trial, with zeros in channels that are NaN throughout, and its usable samples."""
    eeg = check_arrays("y", y, "channels")
    trials = check_trials([a[:, :1] for a in eeg], eeg, masks)
    return [to_numpy(a) for a in trials.y], [to_numpy(k) for k in trials.keep]


def _joined(y: Sequence[object]) -> tuple[list[np.ndarray], list[int]]:
    """The sounds of each listener joined, and their lengths."""
    people = [[to_numpy(a) for a in check_arrays(f"y, listener {i}", x, "channels")] for i, x in enumerate(y)]
    if len(people) < 3:
        raise ValueError(
            f"y: expected at least 3 listeners, got {len(people)}: one list of sounds for each. For repeats within one "
            "listener use `repeat_ceiling`."
        )
    shapes = [[a.shape for a in person] for person in people]
    for i, own in enumerate(shapes):
        if own != shapes[0]:
            raise ValueError(
                f"y: expected the sounds and channels of listener 0, (n_times, n_channels) = {shapes[0]}, got {own} "
                f"from listener {i}. Bring all to the same order, rate and duration; make missing samples NaN."
            )
    joined = [np.concatenate(person) for person in people]
    missing = np.stack([np.isnan(x).all(axis=0) for x in joined])
    partly = np.argwhere(missing & ~missing.all(axis=0))
    if len(partly):
        raise ValueError(
            f"y: channel {partly[0, 1]} is NaN throughout listener {partly[0, 0]}, but not in all. Interpolate it, "
            "leave the listener out, or make it NaN in every listener."
        )
    return joined, [n for n, _ in shapes[0]]


def _centred(sound: object, presentations: list[np.ndarray]) -> np.ndarray:
    """Presentations less their means, shape (n_repeats, n_samples, n_channels)."""
    repeats = np.stack(presentations)
    if repeats.shape[1] < _BLOCKS:
        raise ValueError(
            f"Sound {sound!r}: expected at least {_BLOCKS} samples known and unmasked in every presentation, got "
            f"{repeats.shape[1]}. Look for NaN and masks, or leave the sound out."
        )
    repeats -= repeats[:, :1].copy()  # makes constants zero, where a mean leaves rounding errors
    repeats -= repeats.mean(axis=1, keepdims=True)
    return repeats


def _energies(repeats: np.ndarray, n_blocks: int) -> np.ndarray:
    """Sums over blocks of what pairs share and of what single repeats have, shape (n_blocks, 2, n_channels)."""
    n = len(repeats)
    total = (repeats**2).sum(axis=0)
    shared = (repeats.sum(axis=0) ** 2 - total) / (n * (n - 1))  # (Σy)² is Σy² and every pair twice
    blocks = np.array_split(np.stack([shared, total / n], axis=1), n_blocks)
    return np.stack([block.sum(axis=0) for block in blocks])


def _bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray], n_units: int, n_boot: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A statistic of how often each unit counts, (n, n_units) -> (n, n_channels), and its 95 % interval."""
    estimate = statistic(np.ones((1, n_units)))[0]
    drawn = statistic(rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=n_boot).astype(float))
    stretch = np.sqrt(n_units / rng.chisquare(n_units - 1, size=(len(drawn), 1)))  # from normal to Student's t
    return estimate, np.quantile(estimate + stretch * (drawn - estimate), (0.025, 0.975), axis=0)
