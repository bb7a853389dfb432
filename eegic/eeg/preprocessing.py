"""From a recording to what a model is fitted to: bad channels, reference, filter, rate."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _checks
from eegic.eeg.channels import NEIGHBOURS, bad_by_statistics, spatial_operator
from eegic.eeg.participant import Participant, Trial
from eegic.trf.workers import Run, workers

if TYPE_CHECKING:
    import mne

_LARGEST_DENOMINATOR = 10_000  # of the ratio of rates
_SETTLED = 0.01  # of the peak of the answer to an impulse
_PLATEAU = 5  # samples in a row at the extreme of a channel
_CLIPPED = 1e-3  # share of samples in plateaus, above which a warning comes
_DRIFT_BLOCK, _DRIFT_BLOCKS = 2.0, 4  # seconds, and how many of them tell
_DRIFTING = 0.5  # share of the variance between blocks
_MANY = 1 / 3  # of the channels


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
    timing = _Timing.checked(participant, l_freq, h_freq, order, sfreq)
    asked = _Rule.checked(max_sd, min_sd, min_correlation, max_share)
    known = _known(participant, bad_channels)
    rule = asked if isinstance(bad_channels, str) and bad_channels == "find" else None
    with _threads(participant, n_jobs, progress) as run:
        found, notes = _found(participant, known, timing, rule, on_nan, run)
        bads = [name for name in participant.ch_names if name in known or name in found]
        _check_what_is_left(participant, known | found)
        history = [_account(participant, known, found, rule), *notes, *_quality(participant, bads, l_freq)]
        history += _masked_throughout(participant)
        operator, info, steps = _spatial(participant, bads, interpolate, reference, forward)
        grown = timing.settling if settle is None else settle
        still_bad = np.isin(participant.ch_names, info["bads"])

        def process(number: int) -> Trial:
            eeg, mask, spoilt = _continuous(participant, number, bads, on_nan)
            through = timing.run(operator @ eeg.T).T
            through[:, spoilt & still_bad] = np.nan
            return _frozen(through, participant.trials[number].stimulus, timing.usable(mask, len(through), grown))

        trials = tuple(run(process, [(i,) for i in range(len(participant.trials))], f"{participant.name}: filtering"))
        info = timing.info(info)
    history += [*steps, *timing.steps(), *_masked(participant, trials, grown)]
    return Participant(participant.name, trials, info, (*participant.history, *history))


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
    timing = _Timing.checked(participant, l_freq, h_freq, order, sfreq)
    rule = _Rule.checked(max_sd, min_sd, min_correlation, max_share)
    _checks.one_of("on_nan", on_nan, ("raise", "bridge"))
    with _threads(participant, n_jobs, progress) as run:
        return _found(participant, _known(participant, "find"), timing, rule, on_nan, run)[0]


@dataclass(frozen=True)
class _Rule:
    """When a channel is bad; see `find_bad_channels`."""

    max_sd: float
    min_sd: float
    min_correlation: float
    max_share: float

    @classmethod
    def checked(cls, max_sd: float, min_sd: float, min_correlation: float, max_share: float) -> _Rule:
        for name, value, low, high in (
            ("max_sd", max_sd, 1, np.inf),
            ("min_sd", min_sd, 0, 1),
            ("min_correlation", min_correlation, 0, 1),
            ("max_share", max_share, 0, 1),
        ):
            if not low <= _checks.finite(name, value, "one") <= high:
                raise ValueError(f"{name}: expected a number from {low:g} to {high:g}, got {value:g}.")
        return cls(max_sd, min_sd, min_correlation, max_share)


@dataclass(frozen=True)
class _Timing:
    """Filter and rate: what is done along time."""

    old: float  # hertz
    new: float
    ratio: Fraction  # of new to old
    l_freq: float | None
    h_freq: float | None
    order: int
    drift: float  # samples, over the longest trial

    @classmethod
    def checked(
        cls, participant: Participant, l_freq: float | None, h_freq: float | None, order: int, sfreq: float | None
    ) -> _Timing:
        if not isinstance(participant, Participant):
            raise TypeError(
                f"participant: expected a Participant, got {type(participant).__name__}. Cut the recording into trials."
            )
        old = participant.sfreq
        new = old if sfreq is None else _checks.positive("sfreq", sfreq, "hertz")
        for name, cutoff in (("l_freq", l_freq), ("h_freq", h_freq)):
            if cutoff is not None and _checks.positive(name, cutoff, "hertz") >= min(old, new) / 2:
                raise ValueError(
                    f"{name}: expected less than {min(old, new) / 2:g} Hz, half of the {'new' if new < old else 'old'} "
                    f"sampling rate, got {cutoff:g} Hz. Lower it"
                    + (", or choose a higher `sfreq`." if new < old else ", or leave the filter out: None.")
                )
        if l_freq is not None and h_freq is not None and l_freq >= h_freq:
            raise ValueError(f"l_freq: expected less than h_freq ({h_freq:g} Hz), got {l_freq:g} Hz.")
        ratio = Fraction(new / old).limit_denominator(_LARGEST_DENOMINATOR)
        longest = max(trial.n_times for trial in participant.trials) / old
        drift = longest * abs(float(ratio) * old - new)
        if not ratio or drift > 0.5:
            raise ValueError(
                f"sfreq: no fraction with a denominator up to {_LARGEST_DENOMINATOR} takes {old!r} Hz to {new!r} Hz; "
                f"the nearest is off by {drift:.2f} samples over {longest:.0f} s. Choose a simpler ratio of rates."
            )
        timing = cls(old, new, ratio, l_freq, h_freq, _checks.count("order", order), drift)
        for number, trial in enumerate(participant.trials):
            if trial.n_times <= timing.edge * old:
                raise ValueError(
                    f"{_where(participant, number)}: lasts {trial.n_times / old:.2f} s, but a filter at "
                    f"{timing.lowest:g} Hz needs more than {timing.edge:.2f} s. Leave it out, or raise the cut-off."
                )
        return timing

    @property
    def lowest(self) -> float | None:
        """The cut-off that takes longest to settle, in hertz."""
        return self.l_freq or self.h_freq

    @property
    def edge(self) -> float:
        """Seconds by which each end of a trial is extended."""
        return 1 / self.lowest if self.lowest else 0.0

    def filter(self, x: np.ndarray, sfreq: float) -> np.ndarray:
        """Filter (n_channels, n_times) in place."""
        import mne

        if self.lowest is None:
            return x
        return np.asarray(
            mne.filter.filter_data(
                x, sfreq, self.l_freq, self.h_freq, method="iir", iir_params=self.design(sfreq), copy=False
            )
        )

    def design(self, sfreq: float) -> dict[str, object]:
        """What MNE calls iir_params: sections of both filters, to be run one after the other."""
        import mne

        shape = {"order": self.order, "ftype": "butter", "output": "sos", "padlen": int(np.ceil(self.edge * sfreq))}
        sections = [
            mne.filter.create_filter(None, sfreq, low, high, method="iir", iir_params=shape)["sos"]
            for low, high in ((self.l_freq, None), (None, self.h_freq))
            if low or high
        ]
        return {"sos": np.vstack(sections), "padlen": shape["padlen"]}

    def resample(self, x: np.ndarray) -> np.ndarray:
        """Bring (n_channels, n_times) to the new rate."""
        from scipy.signal import resample_poly

        if self.ratio == 1:
            return x
        n = max(1, round(x.shape[1] * self.ratio))
        up, down = self.ratio.as_integer_ratio()
        odd: Any = "antireflect"  # a mode of upfirdn, which the stubs do not know
        return np.asarray(resample_poly(x, up, down, axis=1, padtype=odd)[:, :n])

    def run(self, x: np.ndarray) -> np.ndarray:
        """Filter, then resample; `x` is overwritten."""
        return self.resample(self.filter(x, self.old))

    @cached_property
    def settling(self) -> float:
        """Seconds after which the answer to an impulse stays below `_SETTLED` of its peak."""
        if self.lowest is None:
            return 0.0
        n = int(10 * self.edge * self.old)
        impulse = np.zeros((1, 2 * n + 1))
        impulse[0, n] = 1
        size = np.abs(self.filter(impulse, self.old)[0, n:])
        return float((np.flatnonzero(size > _SETTLED * size.max())[-1] + 1) / self.old)

    def usable(self, mask: np.ndarray, n_times: int, grown: float) -> np.ndarray:
        """Which of `n_times` new samples may be used."""
        up, down = self.ratio.as_integer_ratio()
        k = np.arange(n_times)
        more = int(np.ceil(grown * self.old))
        # old samples within half a new one, and at least the two it lies between
        first = np.minimum(-((down - 2 * k * down) // (2 * up)), k * down // up) - more
        last = np.maximum((2 * k * down + down) // (2 * up), -(-k * down // up)) + more
        lost = np.concatenate(([0], np.cumsum(~mask)))
        return np.asarray(lost[np.clip(last, 0, len(mask) - 1) + 1] == lost[np.clip(first, 0, len(mask) - 1)])

    def info(self, info: mne.Info) -> mne.Info:
        """Rate and cut-offs written down, by MNE."""
        import mne

        raw = mne.io.RawArray(np.zeros((len(info["ch_names"]), int(np.ceil(self.old)))), info, verbose="error")
        if self.lowest is not None:
            raw.filter(self.l_freq, self.h_freq, method="iir", iir_params=self.design(self.old), verbose="error")
        return raw.resample(self.new, verbose="error").info

    def steps(self) -> list[str]:
        """What was done, in words."""
        steps = []
        kinds = [
            f"{kind} at {cutoff:g} Hz"
            for kind, cutoff in (("high-pass", self.l_freq), ("low-pass", self.h_freq))
            if cutoff is not None
        ]
        if kinds:
            steps.append(
                f"filtered trial by trial: Butterworth {' and '.join(kinds)}, order {self.order}, forwards and "
                f"backwards (zero phase; in effect order {2 * self.order}, -6 dB at the cut-off), ends extended by "
                f"{self.edge:.3g} s of odd reflection"
            )
        if self.new != self.old:
            steps.append(
                f"resampled from {self.old:g} to {self.new:g} Hz by {self.ratio} (polyphase, anti-aliasing low-pass at "
                f"{min(self.new, self.old) / 2:g} Hz)"
            )
        if self.drift > 0.01:
            steps.append(f"the rates are not in that ratio exactly: {self.drift:.2f} samples over the longest trial")
        return steps


@contextmanager
def _threads(participant: Participant, n_jobs: int, progress: bool) -> Iterator[Run]:
    import mne

    # the level is set here: threads that set and restore it one by one could leave it changed
    with mne.use_log_level("error"), workers(n_jobs, len(participant.ch_names), progress=progress) as run:
        yield run


def _where(participant: Participant, number: int) -> str:
    return f"{participant.name}, trial {number} ({participant.trials[number].stimulus})"


def _known(participant: Participant, bad_channels: str | Sequence[str]) -> dict[str, str]:
    """Bad channels that need not be looked for, and why they are bad."""
    if bad_channels is None or (isinstance(bad_channels, str) and bad_channels not in participant.ch_names):
        _checks.one_of("bad_channels", bad_channels, ("find", "keep"))
        named = []
    else:
        named = [bad_channels] if isinstance(bad_channels, str) else list(bad_channels)
    for name in named:
        _checks.one_of(f"{participant.name}: bad_channels", name, participant.ch_names)
    return {**dict.fromkeys(named, "named"), **dict.fromkeys(participant.bads, "marked before")}


def _found(
    participant: Participant,
    known: dict[str, str],
    timing: _Timing,
    rule: _Rule | None,
    on_nan: str,
    run: Run,
) -> tuple[dict[str, str], list[str]]:
    """Channels that are flat or break the rule, why, and notes on rules that could not be applied."""
    flat = {name: reason for name, reason in _flat(participant).items() if name not in known}
    if rule is None:
        return flat, []
    bads = [*known, *flat]

    def coarse(number: int) -> tuple[np.ndarray, np.ndarray]:
        eeg, mask, _ = _continuous(participant, number, bads, on_nan)
        # resampled first, which costs little and is near enough to judge by
        x = timing.filter(np.array(timing.resample(eeg.T), order="C"), timing.new)
        return x.T, timing.usable(mask, x.shape[1], timing.settling)

    judged = run(coarse, [(i,) for i in range(len(participant.trials))], f"{participant.name}: bad channels")
    found, notes = bad_by_statistics(judged, participant.info, bads, **asdict(rule))
    return flat | found, notes


def _continuous(
    participant: Participant, number: int, bads: Sequence[str], on_nan: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """EEG of a trial without gaps, which samples may be used, and which bad channels had gaps, now filled with 0.

    Masked stretches and gaps are bridged by straight lines, at the ends by the nearest usable sample.
    """
    trial = participant.trials[number]
    lost = ~np.isfinite(trial.eeg)
    gaps = lost.any(axis=0)
    bad = np.isin(participant.ch_names, bads)
    masked = ~trial.mask if trial.mask.any() else np.zeros(trial.n_times, bool)
    if not (gaps.any() or masked.any()):
        return trial.eeg, trial.mask, gaps
    eeg, mask = trial.eeg.copy(), trial.mask.copy()
    eeg[:, gaps & bad] = 0
    if masked.any():
        for channel in np.flatnonzero(~gaps):
            _bridge(eeg[:, channel], masked)
    for channel in np.flatnonzero(gaps & ~bad):
        here = lost[:, channel]
        infinite = bool(np.isinf(eeg[:, channel]).any())
        if infinite or here.all() or on_nan == "raise":
            remedy = "" if infinite or here.all() else "Pass on_nan='bridge' to filter across and mask it, or m"
            raise ValueError(
                f"{_where(participant, number)}: channel {participant.ch_names[channel]} has {int(here.sum())} "
                f"{'infinite' if infinite else 'NaN'} samples, the first at sample {int(np.argmax(here))}. "
                f"{remedy or 'M'}ark the channel as bad: bad_channels=[...]."
            )
        _bridge(eeg[:, channel], here if (here | masked).all() else here | masked)
        mask &= ~here
    return eeg, mask, gaps & bad


def _bridge(x: np.ndarray, here: np.ndarray) -> None:
    """Draw straight lines across samples of one channel, in place."""
    x[here] = np.interp(np.flatnonzero(here), np.flatnonzero(~here), x[~here])


def _frozen(eeg: np.ndarray, stimulus: str, mask: np.ndarray) -> Trial:
    eeg = np.ascontiguousarray(eeg)
    eeg.setflags(write=False)
    mask.setflags(write=False)
    return Trial(eeg, stimulus, mask)


def _extremes(trial: Trial) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest usable value of each channel."""
    eeg = trial.eeg if trial.mask.all() else trial.eeg[trial.mask]
    return np.fmin.reduce(eeg, axis=0, initial=np.inf), np.fmax.reduce(eeg, axis=0, initial=-np.inf)


def _flat(participant: Participant) -> dict[str, str]:
    """Channels that are constant over a trial."""
    constant = np.array([low == high for low, high in map(_extremes, participant.trials)])
    reasons = {}
    for name, where in zip(participant.ch_names, constant.T, strict=True):
        if where.any():
            reasons[name] = "flat" if where.all() else f"flat in trial {', '.join(map(str, np.flatnonzero(where)))}"
    return reasons


def _check_what_is_left(participant: Participant, reasons: dict[str, str]) -> None:
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


def _masked_throughout(participant: Participant) -> list[str]:
    lost = [_where(participant, i) for i, trial in enumerate(participant.trials) if not trial.mask.any()]
    for where in lost:
        warnings.warn(
            f"{where}: every sample is masked, so it was filtered as it is. Leave the trial out, or correct its mask.",
            stacklevel=3,
        )
    return [f"{where}: masked throughout, filtered as it is" for where in lost]


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


def _account(participant: Participant, known: dict[str, str], found: dict[str, str], rule: _Rule | None) -> str:
    reasons = {**known, **found}
    bads = [f"{name} ({reasons[name]})" for name in participant.ch_names if name in reasons]
    account = f"bad channels: {', '.join(bads) or 'none'}, of {len(participant.ch_names)}"
    if rule is None:
        return account
    return (
        f"{account}; looked for flat ones, for SDs above {rule.max_sd:.3g} or below {rule.min_sd:.3g} times the median "
        f"of the {NEIGHBOURS} nearest channels in more than {rule.max_share:.0%} of the time, and for largest "
        f"correlations with another channel below {rule.min_correlation:g} times that of the median channel"
    )


def _quality(participant: Participant, bads: Sequence[str], l_freq: float | None) -> list[str]:
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
            eeg = _continuous(participant, number, bads, "bridge")[0][: n * block, good]
            between = eeg.reshape(n, block, -1).mean(axis=1).var(axis=0)
            shares.append(between / np.maximum(eeg.var(axis=0), np.finfo(float).tiny))
    return float(np.median(shares)) if shares else 0.0


def _masked(participant: Participant, trials: Sequence[Trial], grown: float) -> list[str]:
    before, after = (1 - np.concatenate([trial.mask for trial in some]).mean() for some in (participant.trials, trials))
    if not after:
        return []
    return [f"masked {after:.1%} of the samples ({before:.1%} as recorded, each stretch grown by {grown:.2g} s a side)"]
