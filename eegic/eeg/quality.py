"""Which channels are bad, and what else is wrong with a recording that no filter mends."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from eegic import _checks
from eegic.eeg.channels import NEIGHBOURS, bad_by_statistics
from eegic.eeg.filtering import Timing, continuous, threads
from eegic.eeg.participant import Participant, Trial
from eegic.trf.workers import Run

_PLATEAU = 5  # samples in a row at the extreme of a channel
_CLIPPED = 1e-3  # share of samples in plateaus, above which a warning comes
_DRIFT_BLOCK, _DRIFT_BLOCKS = 2.0, 4  # seconds, and how many of them tell
_DRIFTING = 0.5  # share of the variance between blocks
_MANY = 1 / 3  # of the channels


def find_bad_channels(
    participant: Participant,
    *,
    l_freq: float | None = 1.0,
    h_freq: float | None = 8.0,
    order: int = 2,
    sfreq: float | None = 64.0,
    max_sd: float = 3.0,
    min_sd: float = 1 / 6,
    min_correlation: float = 0.5,
    max_share: float = 0.25,
    on_nan: str = "raise",
    n_jobs: int = 1,
    progress: bool = True,
) -> dict[str, str]:
    """Find channels that are flat, too loud, too quiet, or unlike all others.

    Parameters
    ----------
    participant : Participant
        In the reference of the recording: a bad channel has spread over all others once it is part of a reference.
    l_freq, h_freq, order, sfreq
        As in `preprocess`: channels are judged in the band that is analysed, at the new rate.
    max_sd, min_sd : float
        Bad is a channel whose SD over a trial is more than `max_sd` or less than `min_sd` times the median SD of four
        good channels, the nearest (where its position is not known, those it correlates with most), ...
    max_share : float
        ... in trials that make up more than this share of the usable time. The worst channel is left out first, and
        the others are judged without it.
    min_correlation : float
        Bad is also a channel whose largest correlation with another good channel (magnitude, mean over trials weighted
        by their usable time) is less than `min_correlation` times that of the median channel. Where the median
        channel's is below 0.5, the montage is too sparse for this rule, and it is left out.
    on_nan, n_jobs, progress
        As in `preprocess`.

    Returns
    -------
    dict of str to str
        Why each channel is bad, for those that are not in ``info["bads"]`` already.

    Notes
    -----
    The bounds 3 and 1/6 are those of the CNSP example, which takes the mean of all channels; a wild channel moves no
    median, and blinks hardly condemn frontal channels beside their neighbours. In simulated recordings of 16 to 128
    channels (three trials of 20 s, 15 blinks a minute), with and without positions, the rule found every channel that
    was flat, had ten times the noise or was unrelated to the others, and not one of 1368 good ones. With 8 channels,
    unrelated ones are not found.

    A channel that is constant over one trial is flat; so is an online reference that was recorded as zeros. Bridges
    between electrodes, and bad channels that share their noise, are not found.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> eeg = 10 * (rng.standard_normal((2, 1280, 1)) + rng.standard_normal((2, 1280, 8)))
    >>> eeg[1, :, 2] = 0
    >>> eeg[:, :, 5] *= 8
    >>> find_bad_channels(Participant.from_arrays(eeg, ["bach", "holst"], 128.0, unit="uV"), progress=False)
    {'EEG003': 'flat in trial 1', 'EEG006': "SD 7.3 times its neighbours' in 100% of the time"}
    """
    timing = Timing.checked(participant, l_freq, h_freq, order, sfreq)
    rule = Rule.checked(max_sd, min_sd, min_correlation, max_share)
    _checks.one_of("on_nan", on_nan, ("raise", "bridge"))
    with threads(participant, n_jobs, progress) as run:
        return bad_channels_found(participant, known_bad(participant, "find"), timing, rule, on_nan, run)[0]


@dataclass(frozen=True)
class Rule:
    """When a channel is bad; see `find_bad_channels`."""

    max_sd: float
    min_sd: float
    min_correlation: float
    max_share: float

    @classmethod
    def checked(cls, max_sd: float, min_sd: float, min_correlation: float, max_share: float) -> Rule:
        """The rule, or which of its numbers cannot be."""
        for name, value, low, high in (
            ("max_sd", max_sd, 1, np.inf),
            ("min_sd", min_sd, 0, 1),
            ("min_correlation", min_correlation, 0, 1),
            ("max_share", max_share, 0, 1),
        ):
            if not low <= _checks.finite(name, value, "one") <= high:
                raise ValueError(f"{name}: expected a number from {low:g} to {high:g}, got {value:g}.")
        return cls(max_sd, min_sd, min_correlation, max_share)


def known_bad(participant: Participant, bad_channels: str | Sequence[str]) -> dict[str, str]:
    """Bad channels that need not be looked for, and why they are bad."""
    if bad_channels is None or (isinstance(bad_channels, str) and bad_channels not in participant.ch_names):
        _checks.one_of("bad_channels", bad_channels, ("find", "keep"))
        named = []
    else:
        named = [bad_channels] if isinstance(bad_channels, str) else list(bad_channels)
    for name in named:
        _checks.one_of(f"{participant.name}: bad_channels", name, participant.ch_names)
    return {**dict.fromkeys(named, "named"), **dict.fromkeys(participant.bads, "marked before")}


def bad_channels_found(
    participant: Participant,
    known: dict[str, str],
    timing: Timing,
    rule: Rule | None,
    on_nan: str,
    run: Run,
) -> tuple[dict[str, str], list[str]]:
    """Channels that are flat or break the rule, why, and notes on rules that could not be applied."""
    flat = {name: reason for name, reason in _flat(participant).items() if name not in known}
    if rule is None:
        return flat, []
    bads = [*known, *flat]

    def coarse(number: int) -> tuple[np.ndarray, np.ndarray]:
        eeg, mask, _ = continuous(participant, number, bads, on_nan)
        # resampled first, which costs little and is near enough to judge by
        x = timing.filter(np.array(timing.resample(eeg.T), order="C"), timing.new)
        return x.T, timing.usable(mask, x.shape[1], timing.settling)

    judged = run(coarse, [(i,) for i in range(len(participant.trials))], f"{participant.name}: bad channels")
    found, notes = bad_by_statistics(judged, participant.info, bads, **asdict(rule))
    return flat | found, notes


def check_what_is_left(participant: Participant, reasons: dict[str, str]) -> None:
    """Refuse a participant without a good channel, and warn of one with many bad ones; `reasons` are by channel."""
    listed = ", ".join(f"{name} ({reason})" for name, reason in reasons.items())
    n_channels = len(participant.ch_names)
    if len(reasons) == n_channels:
        raise ValueError(
            f"{participant.name}: every channel is bad: {listed}. Leave out trials that were not recorded, or say "
            "yourself which channels are bad: bad_channels=[...]."
        )
    if len(reasons) > _MANY * n_channels:
        warnings.warn(
            f"{participant.name}: {len(reasons)} of {n_channels} channels are bad: {listed}. Look at the recording.",
            stacklevel=3,
        )


def account(participant: Participant, known: dict[str, str], found: dict[str, str], rule: Rule | None) -> str:
    """Which channels are bad and why, and by what rule, for the history."""
    reasons = {**known, **found}
    bads = [f"{name} ({reasons[name]})" for name in participant.ch_names if name in reasons]
    told = f"bad channels: {', '.join(bads) or 'none'}, of {len(participant.ch_names)}"
    if rule is None:
        return told
    return (
        f"{told}; looked for flat ones, for SDs above {rule.max_sd:.3g} or below {rule.min_sd:.3g} times the median "
        f"of the {NEIGHBOURS} nearest channels in more than {rule.max_share:.0%} of the time, and for largest "
        f"correlations with another channel below {rule.min_correlation:g} times that of the median channel"
    )


def complaints(participant: Participant, bads: Sequence[str], l_freq: float | None) -> list[str]:
    """Warnings about what no filter mends."""
    good = ~np.isin(participant.ch_names, bads)
    notes = []
    clipped = {
        name: share
        for name, share in zip(participant.ch_names, np.where(good, _clipped(participant), 0), strict=True)
        if share > _CLIPPED
    }
    if clipped:
        listed = ", ".join(f"{name} {share:.1%}" for name, share in clipped.items())
        notes.append(f"clipped plateaus (share of samples): {listed}")
        warnings.warn(
            f"{participant.name}: channels rest at their highest or lowest value: {listed} of the samples. The "
            "amplifier was saturated, or values were clipped. Mask those stretches, or mark the channels as bad.",
            stacklevel=3,
        )
    drift = _slow_share(participant, bads)
    if drift > _DRIFTING:
        notes.append(f"slow drift: {drift:.0%} of the variance of the median channel before any filter")
        if l_freq is None:
            warnings.warn(
                f"{participant.name}: slow drift makes up {drift:.0%} of the variance of the median channel, and stays "
                "in. Pass l_freq=1.0 to take it out.",
                stacklevel=3,
            )
    return notes


def _flat(participant: Participant) -> dict[str, str]:
    """Channels that are constant over a trial."""
    constant = np.array([low == high for low, high in map(_extremes, participant.trials)])
    reasons = {}
    for name, where in zip(participant.ch_names, constant.T, strict=True):
        if where.any():
            reasons[name] = "flat" if where.all() else f"flat in trial {', '.join(map(str, np.flatnonzero(where)))}"
    return reasons


def _extremes(trial: Trial) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest usable value of each channel."""
    eeg = trial.eeg if trial.mask.all() else trial.eeg[trial.mask]
    return np.fmin.reduce(eeg, axis=0, initial=np.inf), np.fmax.reduce(eeg, axis=0, initial=-np.inf)


def _clipped(participant: Participant) -> np.ndarray:
    """Share of the usable samples of each channel in runs at its lowest or highest value, shape (n_channels,)."""
    extremes = [_extremes(trial) for trial in participant.trials]
    low, high = np.min([low for low, _ in extremes], axis=0), np.max([high for _, high in extremes], axis=0)
    counts = np.zeros(len(low))
    for trial in participant.trials:
        there = ((trial.eeg == low) | (trial.eeg == high)) & trial.mask[:, None]
        for channel in np.flatnonzero(there.sum(axis=0) >= _PLATEAU):
            turns = np.flatnonzero(np.diff(there[:, channel], prepend=False, append=False))
            lengths = turns[1::2] - turns[::2]
            counts[channel] += lengths[lengths >= _PLATEAU].sum()
    return np.asarray(counts / max(1, sum(int(trial.mask.sum()) for trial in participant.trials)))


def _slow_share(participant: Participant, bads: Sequence[str]) -> float:
    """Share of the variance that lies between blocks of `_DRIFT_BLOCK` seconds, median over channels and trials."""
    block = max(1, round(_DRIFT_BLOCK * participant.sfreq))
    good = ~np.isin(participant.ch_names, bads)
    shares = []
    for number, trial in enumerate(participant.trials):
        n = trial.n_times // block
        if n >= _DRIFT_BLOCKS:
            eeg = continuous(participant, number, bads, "bridge")[0][: n * block, good]
            between = eeg.reshape(n, block, -1).mean(axis=1).var(axis=0)
            shares.append(between / np.maximum(eeg.var(axis=0), np.finfo(float).tiny))
    return float(np.median(shares)) if shares else 0.0
