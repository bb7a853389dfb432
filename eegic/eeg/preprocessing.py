"""From a recording to what a model is fitted to: bad channels, reference, filter, rate."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from eegic import _checks
from eegic.eeg.channels import spatial_operator
from eegic.eeg.filtering import Timing, continuous, threads, trial_name
from eegic.eeg.participant import Participant, Trial
from eegic.eeg.quality import Rule, account, bad_channels_found, check_what_is_left, complaints, known_bad

if TYPE_CHECKING:
    import mne


def preprocess(
    participant: Participant,
    *,
    reference: str | Sequence[str] | None = "average",
    l_freq: float | None = 1.0,
    h_freq: float | None = 8.0,
    order: int = 2,
    sfreq: float | None = 64.0,
    bad_channels: str | Sequence[str] = "find",
    max_sd: float = 3.0,
    min_sd: float = 1 / 6,
    min_correlation: float = 0.5,
    max_share: float = 0.25,
    interpolate: bool = True,
    forward: mne.Forward | None = None,
    settle: float | None = None,
    on_nan: str = "raise",
    n_jobs: int = 1,
    progress: bool = True,
) -> Participant:
    """Find bad channels, interpolate them, re-reference, filter and resample, in this order.

    The defaults for filter and rate are those of Di Liberto et al. (2020).

    Parameters
    ----------
    participant : Participant
        As recorded.
    reference : {"average", "REST"}, str or sequence of str, or None
        ``average`` of the good channels; a point at infinity (``REST``; Yao, 2001); the mean of the channels named,
        such as mastoids; or None for the reference of the recording. Channels that were bad never take part, not even
        interpolated: they add nothing of their own.
    l_freq, h_freq : float or None
        Cut-offs of the high-pass and of the low-pass in hertz; None leaves one out.
    order : int
        Of each of the two Butterworth filters as it is designed, before it is run forwards and backwards; see Notes.
    sfreq : float or None
        New sampling rate in hertz; None keeps that of the recording. `h_freq` must lie below half of it.
    bad_channels : {"find", "keep"}, str or sequence of str
        ``find`` adds channels by the rule of `find_bad_channels` to those already marked, names add themselves, and
        ``keep`` adds none. A flat channel is bad in any case.
    max_sd, min_sd, min_correlation, max_share : float
        As in `find_bad_channels`.
    interpolate : bool
        True replaces bad channels by spherical splines through the good ones (Perrin et al., 1989), so that they are
        bad no longer. Those without a position stay bad.
    forward : mne.Forward, optional
        Head model for ``REST``; by default a spherical one.
    settle : float, optional
        Seconds by which masked stretches grow on both sides, because the filters carry there what was in them; by
        default until the filters' answer to an impulse has fallen below 1% of its peak (0.45 s with the defaults).
    on_nan : {"raise", "bridge"}
        What to do with NaN in good channels: refuse it, or let the filter see a straight line from the sample before
        to the sample after. Those samples are masked in either case.
    n_jobs : int
        Trials at a time; -1 for one per core. Memory grows with it, results do not depend on it.
    progress : bool
        True shows a progress bar when it takes longer than two seconds, in a terminal only.

    Returns
    -------
    Participant
        Channels, stimuli and trials are the same. `history` tells what was done, with the numbers filled in.

    Warns
    -----
    UserWarning
        When channels hold clipped plateaus, when slow drift is left in, when more than a third of the channels is bad,
        when a trial is masked throughout.

    Notes
    -----
    **Filter.** The high-pass and the low-pass are designed one by one (`mne.filter.create_filter`) and run over each
    trial forwards and backwards. That cancels their delay and doubles them: with ``order=2`` the slopes are those of
    order 4 (24 dB per octave), and the gain at the cut-offs is 1/2 (-6 dB). Trials are filtered one by one. Each is
    extended on both sides, by odd reflection, by one period of the lowest cut-off (1 s at 1 Hz), and must be longer
    than that. Within that distance of its ends the result depends on what was not recorded; those samples are not
    masked.

    **Rate.** A polyphase filter with a low-pass at half the lower of the two rates (`scipy.signal.resample_poly`). The
    ratio of rates is a fraction, so sample k stands exactly k / sfreq seconds after the start of the sound; where no
    fraction with a denominator up to 10,000 is exact, the drift over the longest trial is noted, and refused above half
    a sample. A trial of n samples becomes one of ``round(n * new / old)``.

    **Masks.** Before they are filtered, masked stretches are replaced by a straight line from the sample before to the
    sample after, at the ends of a trial by the nearest usable sample, so that no artefact under a mask reaches beyond
    it. A trial that is masked throughout stays as it is. A new sample may be used if every old sample up to half a new
    sample away from it may, the masked stretches having grown by `settle`. Masked samples play no part in finding bad
    channels.

    **Features** may stay unfiltered: as the filter is linear, the kernel is then that of the brain run through the same
    filter, its peaks in place but smaller, with ripples beside them. With features filtered alike, the kernel is free
    of that within the band, and rests on the penalty outside. The EEG is predicted equally well.

    References
    ----------
    Di Liberto et al. (2020), eLife 9:e51784. Perrin et al. (1989), Electroencephalogr Clin Neurophysiol 72:184-187.
    Yao (2001), Physiol Meas 22:693-711.

    Examples
    --------
    >>> from eegic import datasets
    >>> study = datasets.simulate_study(1, 2, duration=10, sfreq=128, progress=False, rng=0)
    >>> person = preprocess(study.participants[0])
    >>> person
    Participant(sub-01: 2 trials of 2 sounds, 20 s, 64 channels at 64 Hz)
    >>> person.history[-1]
    'resampled from 128 to 64 Hz by 1/2 (polyphase, anti-aliasing low-pass at 32 Hz)'
    """
    _checks.one_of("on_nan", on_nan, ("raise", "bridge"))
    if settle is not None and _checks.finite("settle", settle, "seconds") < 0:
        raise ValueError(f"settle: expected 0 seconds or more, got {settle:g}.")
    timing = Timing.checked(participant, l_freq, h_freq, order, sfreq)
    asked = Rule.checked(max_sd, min_sd, min_correlation, max_share)
    known = known_bad(participant, bad_channels)
    rule = asked if isinstance(bad_channels, str) and bad_channels == "find" else None
    with threads(participant, n_jobs, progress) as run:
        found, notes = bad_channels_found(participant, known, timing, rule, on_nan, run)
        bads = [name for name in participant.ch_names if name in known or name in found]
        check_what_is_left(participant, known | found)
        history = [account(participant, known, found, rule), *notes, *complaints(participant, bads, l_freq)]
        history += _masked_throughout(participant)
        operator, info, steps = _spatial(participant, bads, interpolate, reference, forward)
        grown = timing.settling if settle is None else settle
        still_bad = np.isin(participant.ch_names, info["bads"])

        def process(number: int) -> Trial:
            eeg, mask, spoilt = continuous(participant, number, bads, on_nan)
            through = timing.run(operator @ eeg.T).T
            through[:, spoilt & still_bad] = np.nan
            return _frozen(through, participant.trials[number].stimulus, timing.usable(mask, len(through), grown))

        trials = tuple(run(process, [(i,) for i in range(len(participant.trials))], f"{participant.name}: filtering"))
        info = timing.info(info)
    history += [*steps, *timing.steps(), *_masked(participant, trials, grown)]
    return Participant(participant.name, trials, info, (*participant.history, *history))


def _spatial(
    participant: Participant,
    bads: Sequence[str],
    interpolate: bool,
    reference: str | Sequence[str] | None,
    forward: mne.Forward | None,
) -> tuple[np.ndarray, mne.Info, list[str]]:
    """As `spatial_operator`; what was interpolated has no part in the average, nor in REST."""
    info, where = participant.info, participant.name
    common = reference if isinstance(reference, str) and reference in ("average", "REST") else None
    operator, out, steps = spatial_operator(
        info, bads, interpolate=interpolate, reference=None if common else reference, forward=forward, where=where
    )
    if common is None:
        return operator, out, steps
    alone, rereferenced, notes = spatial_operator(
        info, bads, interpolate=False, reference=common, forward=forward, where=where
    )
    good = int(np.argmin(np.isin(participant.ch_names, bads)))
    weights = np.eye(len(alone))[good] - alone[good]  # of the channels in the reference, one for all
    operator = operator - np.outer(~np.isin(participant.ch_names, out["bads"]), weights)
    rereferenced["bads"] = out["bads"]
    if bads:
        n_good = len(info["ch_names"]) - len(bads)
        notes.append(f"{common} of {n_good} good channels: {', '.join(bads)} had no part in it")
    return operator, rereferenced, [*steps, *notes]


def _masked_throughout(participant: Participant) -> list[str]:
    lost = [trial_name(participant, i) for i, trial in enumerate(participant.trials) if not trial.mask.any()]
    for where in lost:
        warnings.warn(
            f"{where}: every sample is masked, so it was filtered as it is. Leave the trial out, or correct its mask.",
            stacklevel=3,
        )
    return [f"{where}: masked throughout, filtered as it is" for where in lost]


def _masked(participant: Participant, trials: Sequence[Trial], grown: float) -> list[str]:
    before, after = (1 - np.concatenate([trial.mask for trial in some]).mean() for some in (participant.trials, trials))
    if not after:
        return []
    return [f"masked {after:.1%} of the samples ({before:.1%} as recorded, each stretch grown by {grown:.2g} s a side)"]


def _frozen(eeg: np.ndarray, stimulus: str, mask: np.ndarray) -> Trial:
    eeg = np.ascontiguousarray(eeg)
    eeg.setflags(write=False)
    mask.setflags(write=False)
    return Trial(eeg, stimulus, mask)
