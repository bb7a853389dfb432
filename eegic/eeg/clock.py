"""One clock for sound and EEG: how fast one runs against the other, how far apart they start, and how to mend it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, overload

import numpy as np

from eegic import _checks, stats
from eegic.audio import Audio, resampled
from eegic.eeg.participant import Participant, Trial
from eegic.features import envelope
from eegic.series import FeatureSeries
from eegic.trf import lag_range

if TYPE_CHECKING:
    import mne
    from scipy.sparse import csr_array

_MOST = 0.01  # difference of rates; quartz stays below 0.001, so beyond this something else is wrong
_WARN = 0.005  # seconds
_CHANCE = 0.001  # that a recording loses a pair as an outlier which is none
_SCATTER = 0.05  # seconds; triggers that belong to their sounds come closer
_TIGHTEST = 0.01  # seconds between samples at 100 Hz; what is nearer to the line may be due to them
_TAPS, _BETA = 32, 8.0  # samples on either side that make a value between two samples; shape of their window
_TOUCHED = 0.05  # weight above which a sample spoils the value
_BLOCK = 16384  # values made at a time
_FASTEST = 8192  # hertz; above its half there is little music
_LOUDNESS_RATE = 128  # hertz
_PIECE = 60  # seconds of sound looked at in one go
_NEAR = 0.1  # seconds around the line in which the second look searches
_ALIKE = 0.02  # seconds between alignments that count as one
_RIVAL = 0.8  # share of the best correlation, above which another one is as good
_ODD = 0.35  # what the sound itself may not explain of other alignments, as a share of the best correlation


@dataclass(frozen=True, eq=False, repr=False)
class Clock:
    """How the time of a recording relates to the time of the sound: ``recording = offset + (1 + rate) * sound``.

    Attributes
    ----------
    rate : float
        Seconds that the recording's clock gains per second of sound; 0.0002 is 200 ppm.
    offset : float
        Seconds on the recording's clock at which the sound's time is 0.
    n : int
        Pairs of times (triggers, or windows of sound) the line was drawn through.
    residual, jitter : float
        Seconds from pairs to line: root mean square of the pairs it was drawn through, and robust SD of all pairs.
    interval_ppm : tuple of float
        95 % confidence interval of the rate in parts per million; nan where two pairs allow none.
    outliers : tuple of int
        Pairs that were left out because they lie too far off the line.
    source : str
        What the estimate rests on.

    Examples
    --------
    >>> clock = Clock(rate=200e-6, offset=0.037)
    >>> clock
    Clock(+200.0 ppm, offset 37.0 ms, as given)
    >>> round(1000 * clock.drift(60), 3)  # milliseconds in a minute
    12.0
    """

    rate: float = 0.0
    offset: float = 0.0
    n: int = 0
    residual: float = float("nan")
    jitter: float = float("nan")
    interval_ppm: tuple[float, float] = (float("nan"), float("nan"))
    outliers: tuple[int, ...] = ()
    source: str = "as given"

    def __post_init__(self) -> None:
        _checks.finite("offset", self.offset, "seconds")
        if abs(_checks.finite("rate", self.rate, "seconds per second")) > _MOST:
            raise ValueError(
                f"rate: the clocks would differ by {self.ppm:.3g} ppm; those of devices stay within {1e6 * _MOST:g}. "
                "Are both times in seconds, and does each belong to its partner?"
            )

    @property
    def ppm(self) -> float:
        """Rate in parts per million."""
        return 1e6 * self.rate

    def __repr__(self) -> str:
        low, high = self.interval_ppm
        interval = f" (95 % {low:+.1f} to {high:+.1f})" if np.isfinite(low) else ""
        quality = f", residual {1000 * self.residual:.2f} ms" if np.isfinite(self.residual) else ""
        quality += f", {len(self.outliers)} left out" if self.outliers else ""
        return f"Clock({self.ppm:+.1f} ppm{interval}, offset {1000 * self.offset:.1f} ms, {self.source}{quality})"

    def drift(self, duration: float) -> float:
        """Seconds by which the clocks come apart while a sound lasts `duration` seconds."""
        return self.rate * duration

    def recording(self, sound_times: object) -> np.ndarray:
        """Seconds on the recording's clock at these times of the sound: where to cut."""
        return self.offset + (1 + self.rate) * np.asarray(sound_times, dtype=float)

    def sound(self, recording_times: object) -> np.ndarray:
        """Seconds on the sound's clock at these times of the recording."""
        return (np.asarray(recording_times, dtype=float) - self.offset) / (1 + self.rate)

    def since(self, sound_time: float) -> Clock:
        """Return the same clock for sound times that count from `sound_time` seconds."""
        return replace(self, offset=float(self.recording(_checks.finite("sound_time", sound_time, "seconds"))))


def clock_from_rates(recorded: float, assumed: float) -> Clock:
    """Clock of a recording whose samples came at `recorded` hertz but are counted as if they came at `assumed` hertz.

    Examples
    --------
    >>> clock_from_rates(recorded=99.9, assumed=100.0)
    Clock(-1000.0 ppm, offset 0.0 ms, 99.9 Hz taken for 100 Hz)
    """
    recorded = _checks.positive("recorded", recorded, "hertz")
    assumed = _checks.positive("assumed", assumed, "hertz")
    if abs(recorded / assumed - 1) > _MOST:
        raise ValueError(
            f"recorded, assumed: {recorded:g} and {assumed:g} Hz are not one rate in two devices. To change the rate, "
            "resample with a low-pass, as `preprocess` does."
        )
    return Clock(recorded / assumed - 1, source=f"{recorded:.10g} Hz taken for {assumed:.10g} Hz")


def clock_from_triggers(sound_times: object, recording_times: object, *, name: str = "recording") -> Clock:
    """Clock from moments that both devices know.

    Parameters
    ----------
    sound_times : array_like, shape (n_pairs,)
        When each trigger was due on the sound's clock, in seconds: its sample in the stream of sound over the rate.
    recording_times : array_like, shape (n_pairs,)
        When it stands in the recording, in seconds from the first sample: what `find_onsets` returns, or
        ``(events[:, 0] - raw.first_samp) / sfreq`` for events of MNE.
    name : str
        Starts the messages.

    Returns
    -------
    Clock
        Least squares through all pairs but those that lie too far from a Theil-Sen line to belong to it (chance in a
        thousand, given the robust SD); a warning names them.

    Notes
    -----
    Triggers do not know how long the sound took from sound card to ear. An offset that all of them share stays in;
    `clock_from_audio` measures it, and `offset_profile` shows it.

    Examples
    --------
    >>> sound = np.arange(0, 600, 30.0)
    >>> clock = clock_from_triggers(sound, 12.5 + 1.0002 * sound)
    >>> round(clock.ppm, 3), round(clock.offset, 6)
    (200.0, 12.5)
    """
    sound = _checks.real_array(f"{name}: sound_times", sound_times, 1, axes="(n_pairs,)")
    recording = _checks.real_array(f"{name}: recording_times", recording_times, 1, axes="(n_pairs,)")
    if len(sound) != len(recording):
        raise ValueError(
            f"{name}: {len(sound)} times of the sound and {len(recording)} of the recording; each needs its partner. "
            "Find the missing or double triggers first: `find_onsets` with a log."
        )
    finite = np.isfinite(sound) & np.isfinite(recording)
    if not finite.all():
        raise ValueError(f"{name}: pair {np.argmin(finite)} is not finite. Leave out triggers that were not found.")
    if len(np.unique(sound)) < 2:
        raise ValueError(f"{name}: expected triggers at two or more different times, got {len(np.unique(sound))}.")
    try:
        clock = _line(sound, recording, f"from {len(sound)} triggers")
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if 4 * len(clock.outliers) > len(sound) or clock.jitter > _SCATTER:
        raise ValueError(
            f"{name}: {len(sound)} pairs do not lie on one line ({len(clock.outliers)} are far off it, the others "
            f"scatter by {1000 * clock.jitter:.1f} ms). Is a trigger missing, so that pairs shift? Match them first."
        )
    if clock.outliers:
        warnings.warn(
            f"{name}: pairs {', '.join(map(str, clock.outliers[:9]))} of {len(sound)} lie more than "
            f"{1000 * _allowed(clock.jitter, len(sound)):.1f} ms off the line and are left out.",
            stacklevel=2,
        )
    return clock


def clock_from_audio(
    channel: object,
    sfreq: float,
    audio: Audio,
    *,
    window: float = 10.0,
    min_r: float = 0.3,
    max_ppm: float = 1000.0,
) -> Clock:
    """Clock from the sound itself, recorded beside the EEG.

    Parameters
    ----------
    channel : array_like, shape (n_times,)
        The sound as the amplifier recorded it, in any unit.
    sfreq : float
        Rate of the recording in hertz, 256 or more.
    audio : Audio
        What was played: one sound, or all sounds and pauses of a session in a row. It may start anywhere in the
        recording, and the recording may hold only a part of it.
    window : float
        Seconds of sound that are compared at a time.
    min_r : float
        Correlation of loudness below which a window is not trusted.
    max_ppm : float
        Largest difference between the clocks that is searched for, in parts per million.

    Returns
    -------
    Clock
        Its zero is the start of `audio`.

    Notes
    -----
    Loudness (power of the analytic signal above 20 Hz, sampled at 128 Hz; noise adds to it evenly) of each window of
    sound is correlated with that of the whole recording. One line through the best alignments of all windows wins; then
    every window is looked for near that line, and the clock is drawn through them as in `clock_from_triggers`. Loudness
    is that of what the channel can hold of the sound, or of all of it, whichever is more alike, for amplifiers filter
    differently. There is an error if windows do not resemble the recording, or if another alignment is almost as good:
    with another sound of the same tempo, or one that repeats itself.

    Five minutes of music give the rate to some ppm and the offset to a millisecond, with as much noise as sound in the
    channel. A minute is too little for 10 ppm; the interval says so.
    """
    if not isinstance(audio, Audio):
        raise TypeError(f"audio: expected an Audio, got {type(audio).__name__}. `read_audio(path)` reads one.")
    where = f"{audio.name}: the recorded channel"
    samples = _checks.real_array(where, channel, 1, axes="(n_times,)")
    if _checks.positive("sfreq", sfreq, "hertz") < 2 * _LOUDNESS_RATE:
        raise ValueError(f"{where}: {sfreq:g} Hz hold too little of a sound; expected {2 * _LOUDNESS_RATE:g} or more.")
    length = round(_checks.positive("window", window, "seconds") * _LOUDNESS_RATE)
    most = 1e-6 * _checks.positive("max_ppm", max_ppm, "parts per million")
    if min(len(samples) / sfreq, audio.duration) < 3 * window:
        raise ValueError(
            f"{where} lasts {len(samples) / sfreq:.1f} s, the sound {audio.duration:.1f} s; three windows of "
            f"{window:g} s are the least. Give more of both, or a shorter window=."
        )
    if not np.isfinite(samples).all():
        raise ValueError(f"{where}: sample {np.isfinite(samples).argmin()} is not finite. Repair the recording first.")
    heard = _loudness(samples, sfreq, int(min(sfreq, _FASTEST)), where)
    mono = audio.mono()
    tops = dict.fromkeys((int(min(sfreq, audio.sfreq, _FASTEST)), int(min(audio.sfreq, _FASTEST))))
    matches = [_match(heard, _loudness(mono, audio.sfreq, top, audio.name), length, most, min_r) for top in tops]
    _, clock, complaint = max(matches, key=lambda match: match[0])
    if clock is None:
        raise ValueError(f"{where} {complaint}. Is it this sound, this channel, and loud enough?")
    return clock


@overload
def correct_clock(
    recording: Participant, clock: Clock, *, offset: float | Sequence[float] | None = None
) -> Participant: ...
@overload
def correct_clock(recording: mne.io.BaseRaw, clock: Clock, *, offset: None = None) -> mne.io.BaseRaw: ...
def correct_clock(
    recording: Participant | mne.io.BaseRaw, clock: Clock, *, offset: float | Sequence[float] | None = None
) -> Participant | mne.io.BaseRaw:
    """Bring EEG onto the clock of the sound.

    Parameters
    ----------
    recording : Participant, or mne.io.BaseRaw
        A continuous recording is best, for nothing is lost at the edges of trials. It comes back on the sound's clock,
        from the sound's time 0 on: cut it where that clock says that sounds start.
    clock : Clock
    offset : float, or sequence of float of shape (n_trials,), optional
        Participants only, and needed when ``clock.offset`` is not 0. Seconds of EEG in each trial before its sound
        starts: ``clock.offset`` if the times of the clock count from the starts of the trials; 0 if trials were cut at
        ``clock.recording(onsets)``. Negative if the sound was there first.

    Returns
    -------
    Participant, or mne.io.RawArray
        At the same nominal rate. Samples that a trial lacks at the start of its sound are NaN and masked, and it ends
        where its EEG ends: cut trials somewhat longer than their sounds. `history` says what was done; of a continuous
        recording ``info["description"]`` does.

    Notes
    -----
    Values between samples come from 64 neighbours through a Kaiser-windowed sinc (beta 8): up to 0.45 times the
    sampling rate the error is below -75 dB, but for the last few samples of a trial, which is continued by its point
    reflection. A value is masked if a masked sample enters with more than a twentieth of its weight. Stim channels take
    the nearest sample: find triggers before, and move them with ``clock.sound``.

    Examples
    --------
    >>> eeg = 1e-5 * np.random.default_rng(0).standard_normal((6400, 2))
    >>> person = Participant.from_arrays([eeg], ["bach"], 64.0)
    >>> for line in correct_clock(person, Clock(rate=200e-6, offset=0.037), offset=0.037).history:
    ...     print(line)
    clock corrected: +200.00 ppm, offset 37.00 ms
    trial 0 (bach): 2.37 samples cut off before the sound, 6396 of 6400 left
    """
    import mne

    if isinstance(recording, mne.io.BaseRaw):
        if offset is not None:
            raise ValueError("offset: a continuous recording is moved by the clock's own. Leave it out.")
        return _corrected_recording(recording, _checked(clock))
    _check_participant(recording)
    offsets = _offsets(recording, _checked(clock), offset)
    if _is_corrected(recording.history, clock):
        raise ValueError(f"{recording.name}: corrected by this clock already. Start from it as it was recorded.")
    _warn_if_vague(recording, clock)
    history, trials = [*recording.history, _record(clock, offsets)], []
    good = ~np.isin(recording.ch_names, recording.bads)
    for number, (trial, start) in enumerate(zip(recording.trials, offsets, strict=True)):
        where = f"trial {number} ({trial.stimulus})"
        before = start * recording.sfreq
        corrected, lacking = _corrected_trial(trial, clock, before, good, f"{recording.name}, {where}")
        trials.append(corrected)
        changes = [f"{before:.2f} samples cut off before the sound"] if start > 0 else []
        changes += [f"{lacking} samples lack at the start of the sound"] if lacking else []
        if changes or corrected.n_times != trial.n_times:
            changes += [f"{corrected.n_times} of {trial.n_times} left"]
            history.append(f"{where}: {', '.join(changes)}")
    return replace(recording, trials=tuple(trials), history=tuple(history))


def check_clock(
    participant: Participant,
    clock: Clock,
    *,
    offset: float | Sequence[float] | None = None,
    sfreq: float | None = None,
) -> float:
    """Refuse trials in which sound and EEG come apart by more than half a sample, and warn above 5 ms.

    Parameters
    ----------
    participant : Participant
    clock : Clock
    offset : float, or sequence of float of shape (n_trials,), optional
        As in `correct_clock`.
    sfreq : float, optional
        Rate of the analysis in hertz; by default that of the EEG.

    Returns
    -------
    float
        Largest distance between sound and EEG in any trial, in seconds; 0 if the participant was corrected.

    Examples
    --------
    >>> eeg = 1e-5 * np.random.default_rng(0).standard_normal((3840, 2))
    >>> person = Participant.from_arrays([eeg], ["bach"], 64.0, name="sub-01")
    >>> round(1000 * check_clock(person, Clock(rate=20e-6)), 3)
    1.2
    """
    _check_participant(participant)
    if _is_corrected(participant.history, _checked(clock)):
        return 0.0
    offsets = _offsets(participant, clock, offset)
    sfreq = participant.sfreq if sfreq is None else _checks.positive("sfreq", sfreq, "hertz")
    seconds = np.array([trial.n_times for trial in participant.trials]) / participant.sfreq
    apart = np.maximum(np.abs(offsets), np.abs(offsets + clock.rate * seconds))
    worst = int(np.argmax(apart))
    text = (
        f"{participant.name}, trial {worst} ({participant.stimuli[worst]}): sound and EEG come apart by "
        f"{1000 * apart[worst]:.1f} ms: {1000 * offsets[worst]:.1f} ms at the start, and a drift of "
        f"{1000 * clock.drift(seconds[worst]):.1f} ms over {seconds[worst]:.1f} s ({clock.ppm:+.1f} ppm)"
    )
    call = f"correct_clock(participant, clock{', offset=...' if offsets.any() else ''})"
    if apart[worst] > 0.5 / sfreq:
        raise ValueError(f"{text}. Half a sample at {sfreq:g} Hz is {500 / sfreq:.1f} ms. Call {call}.")
    if apart[worst] > _WARN:
        warnings.warn(f"{text}. {call} mends it.", stacklevel=2)
    return float(apart[worst])


@dataclass(frozen=True, eq=False, repr=False)
class Offsets:
    """How strongly the EEG follows the envelope of the sound at every lag.

    Attributes
    ----------
    participant : str
    stimuli : tuple of str
        What each trial presented.
    lags : ndarray, shape (n_lags,)
        Seconds; positive means the EEG follows the sound.
    profiles : ndarray, shape (n_trials, n_lags)
        Correlation of envelope and EEG, root mean square over good channels.
    null : ndarray, shape (n_null, n_lags)
        The mean profile with envelopes that were not heard at that time.
    expected : tuple of float
        Lags in seconds between which a cortical answer peaks.
    """

    participant: str
    stimuli: tuple[str, ...]
    lags: np.ndarray
    profiles: np.ndarray
    null: np.ndarray
    expected: tuple[float, float]

    @property
    def profile(self) -> np.ndarray:
        """Mean over trials, shape (n_lags,)."""
        return np.asarray(self.profiles.mean(axis=0))

    @property
    def band(self) -> np.ndarray:
        """2.5 and 97.5 % quantiles of the null at every lag, shape (2, n_lags)."""
        return np.asarray(np.quantile(self.null, (0.025, 0.975), axis=0))

    @property
    def peak(self) -> float:
        """Lag of the strongest correlation of the mean profile in seconds."""
        return float(self.lags[np.argmax(self.profile)])

    @property
    def peaks(self) -> np.ndarray:
        """Lag of the strongest correlation of each trial in seconds, shape (n_trials,); noisy."""
        return np.asarray(self.lags[np.argmax(self.profiles, axis=1)])

    @property
    def rival(self) -> float | None:
        """Lag in seconds of another peak that is at least 80 % as high, as a regular beat makes; None without one."""
        from scipy.signal import find_peaks

        others = np.setdiff1d(find_peaks(self.profile, height=_RIVAL * self.profile.max())[0], np.argmax(self.profile))
        return float(self.lags[others[np.argmax(self.profile[others])]]) if len(others) else None

    @property
    def p(self) -> float:
        """Probability of a peak so high, at any lag, if the EEG did not follow the sound."""
        return float(stats.p_value(self.profile.max(), self.null.max(axis=1)))

    @property
    def plausible(self) -> bool:
        """True if a peak stands out from chance (p <= .05) and lies where one is expected."""
        return self.p <= 0.05 and self.expected[0] <= self.peak <= self.expected[1]

    @property
    def verdict(self) -> str:
        """What the profile says, and what to do."""
        if self.p > 0.05:
            return f"No lag stands out from chance (p = {self.p:.2g}): nothing can be said about the offset."
        low, high = (1000 * lag for lag in self.expected)
        peak, rival = f"Strongest {_spoken(self.peak)} the sound (p = {self.p:.2g})", self.rival
        also = "" if rival is None else f" A regular sound: almost as strong {_spoken(rival)} it."
        if self.plausible:
            return f"{peak}, within {low:.0f} to {high:.0f} ms as expected.{also}"
        least, most = (1000 * (self.peak - lag) for lag in self.expected[::-1])
        return (
            f"{peak}, not within {low:.0f} to {high:.0f} ms: sounds may start {least:+.0f} to {most:+.0f} ms after "
            f"their trials do. Look at triggers and sound card.{also}"
        )

    def __repr__(self) -> str:
        return f"Offsets({self.participant}, {len(self.stimuli)} trials: {self.verdict})"


def offset_profile(
    participant: Participant,
    envelopes: Mapping[str, FeatureSeries],
    *,
    tmin: float = -0.5,
    tmax: float = 0.5,
    expected: tuple[float, float] = (0.05, 0.25),
    n_null: int = 200,
    rng: int | np.random.Generator | None = 0,
) -> Offsets:
    """Cross-correlate EEG and envelope: does the EEG follow the sound when brains do?

    Parameters
    ----------
    participant : Participant
    envelopes : dict of str to FeatureSeries
        One feature per stimulus, sampled like the EEG: ``envelope(audio, participant.sfreq)``.
    tmin, tmax : float
        Lags to look at in seconds; positive means the EEG follows the sound.
    expected : tuple of float
        Lags between which a peak is plausible. The correlation with an envelope peaks later than a kernel, because
        envelopes are slow.
    n_null : int
        How many mean profiles are drawn from envelopes that do not belong: those of another stimulus (of the same if
        there is no other), turned round by a random time.
    rng : int, Generator or None
        Seed of the null.

    Returns
    -------
    Offsets

    Notes
    -----
    ``r[lag, c] = sum_t x[t] y[t + lag, c] / (|x| |y[:, c]|)`` of envelope x and EEG y, 0 where masked, and high-passed
    at 1 Hz so that drift counts for nothing. What is slow in both makes neighbouring lags alike: the peak shows an
    offset that is wrong by many tens of milliseconds, not the right one to the millisecond. Music with a regular beat
    has a peak per beat.

    Examples
    --------
    >>> from eegic import datasets
    >>> study = datasets.simulate_study(1, 4, duration=20, n_channels=16, snr=0.1, progress=False, rng=0)
    >>> offset_profile(study.participants[0], study.envelopes).plausible
    True
    """
    _check_participant(participant)
    n_null = _checks.count("n_null", n_null, minimum=19)  # fewer allow no p of .05
    if not tmin <= expected[0] < expected[1] <= tmax:
        raise ValueError(f"expected: two ascending lags between {tmin:g} and {tmax:g} s, got {expected!r}.")
    lags = np.asarray(lag_range(tmin, tmax, participant.sfreq))
    courses = _courses(participant, envelopes)
    rng = np.random.default_rng(rng)
    good = ~np.isin(participant.ch_names, participant.bads)
    profiles, null = np.zeros((len(participant.trials), len(lags))), np.zeros((n_null, len(lags)))
    for number, trial in enumerate(participant.trials):
        where = f"{participant.name}, trial {number} ({trial.stimulus})"
        others = [name for name in courses if name != trial.stimulus] or [trial.stimulus]
        both = courses[trial.stimulus], courses[others[rng.integers(len(others))]]
        furthest = int(np.abs(lags).max())
        own, strange = _profiles(trial.eeg[:, good], trial.mask, both, furthest, participant.sfreq, where)
        profiles[number] = own[lags]
        apart = min(2 * furthest, len(strange) // 3)  # the only sound must not meet its own answer
        turns = rng.integers(apart, len(strange) - apart, size=(n_null, 1))
        null += strange[(turns + lags) % len(strange)] / len(participant.trials)
    return Offsets(participant.name, participant.stimuli, lags / participant.sfreq, profiles, null, expected)


def _spoken(lag: float) -> str:
    return f"{abs(1000 * lag):.0f} ms {'after' if lag >= 0 else 'before'}"


def _line(sound: np.ndarray, recording: np.ndarray, source: str) -> Clock:
    """Least squares through the pairs near a robust line."""
    from scipy.stats import linregress, t, theilslopes

    origin, gap = sound.mean(), recording - sound  # small numbers: what is fitted is the difference
    some = slice(None, None, -(-len(sound) // 1000))  # of more pairs, all slopes would fill the memory
    distance = gap - theilslopes(gap[some], sound[some]).slope * sound
    distance -= np.median(distance)
    near, jitter, residual, half = np.ones(len(sound), bool), float("nan"), float("nan"), float("nan")
    if len(sound) > 2:
        jitter = float(1.4826 * np.median(np.abs(distance)))
        near = np.abs(distance) <= _allowed(jitter, len(sound))
    line = linregress(sound[near] - origin, gap[near])
    if near.sum() > 2:
        residual = float(np.std(gap[near] - line.slope * sound[near]))
        half = float(t.ppf(0.975, near.sum() - 2) * line.stderr)
    return Clock(
        rate=float(line.slope),
        offset=float(line.intercept - line.slope * origin),
        n=int(near.sum()),
        residual=residual,
        jitter=jitter,
        interval_ppm=(1e6 * (float(line.slope) - half), 1e6 * (float(line.slope) + half)),
        outliers=tuple(np.flatnonzero(~near).tolist()),
        source=source,
    )


def _allowed(jitter: float, n: int) -> float:
    """Distance from the line, in seconds, beyond which one of `n` pairs is an outlier."""
    from scipy.stats import t

    return max(float(t.ppf(1 - _CHANCE / (2 * n), n - 2)) * jitter, _TIGHTEST)


def _loudness(samples: np.ndarray, sfreq: float, top: int, name: str) -> np.ndarray:
    """Power over time, at 128 Hz, of what a channel of `top` hertz can hold of the sound."""
    from scipy.signal import butter, sosfiltfilt

    sound = samples if top == sfreq else resampled(samples, sfreq, top, name)
    sound = sound - sound.mean()
    sound /= np.abs(sound).max() or 1.0
    band = butter(4, (20.0, 0.4 * top), "bandpass", fs=top, output="sos")  # above, filters of devices differ
    pieces = []
    for start in range(0, len(sound), _PIECE * top):  # with a second of margin on either side
        first = max(0, start - top)
        piece = sosfiltfilt(band, sound[first : start + (_PIECE + 1) * top])
        loud = envelope(Audio(piece, top, name), _LOUDNESS_RATE).values[:, 0] ** 2
        skipped = (start - first) // top * _LOUDNESS_RATE
        pieces.append(loud[skipped : skipped + _PIECE * _LOUDNESS_RATE])
    loudness = np.concatenate(pieces)
    if not loudness.max() > 1e-16:  # what rounding leaves of a constant
        raise ValueError(f"{name} holds no sound (nothing above 20 Hz). Is it the right one?")
    return loudness


def _match(
    heard: np.ndarray, played: np.ndarray, length: int, most: float, min_r: float
) -> tuple[float, Clock | None, str]:
    """Median correlation of loudness, the clock that makes sound and recording alike, or what speaks against one."""
    starts = np.arange(0, len(played) - length + 1, length)
    loud = np.array([played[start : start + length].std() for start in starts])
    starts = starts[loud > 0.02 * loud.max()]
    centres = (starts + 0.5 * (length - 1)) / _LOUDNESS_RATE
    clock = _rough_clock(heard, played, starts[:: -(-len(starts) // 60)], length, most)
    for _ in range(2):  # the first line is good enough for the second to find no drift within windows
        lags, r = _lags_near(heard, played, starts, length, clock)
        n_recorded, trusted = int(np.isfinite(r).sum()), r >= min_r
        median = float(np.nanmedian(r)) if n_recorded else 0.0
        if trusted.sum() < max(3, n_recorded / 2):
            few = f"resembles the sound in {trusted.sum()} of {n_recorded} windows (r >= {min_r:g}; median"
            return median, None, f"{few} {median:.2f}); expected half of them, and 3 at least"
        found = clock.recording(centres[trusted] + lags[trusted])
        clock = _line(centres[trusted], found, f"from {trusted.sum()} windows of sound")
    doubt = _doubt(heard, played, clock)
    return median, None if doubt else clock, doubt


def _rough_clock(heard: np.ndarray, played: np.ndarray, starts: np.ndarray, length: int, most: float) -> Clock:
    """The line that most of the best alignments of windows agree on: a repeated passage alone may mislead."""
    from scipy.signal import find_peaks

    votes = []
    for start in starts:
        r = np.pad(_correlations(heard, played[start : start + length]), 1, constant_values=-1)
        peaks, _ = find_peaks(r, height=0, distance=round(0.05 * _LOUDNESS_RATE))
        best = peaks[np.argsort(r[peaks])[-5:]]
        votes += [(start, (peak - 1 - start) / _LOUDNESS_RATE, r[peak] ** 2) for peak in best]
    firsts, gaps, weights = np.array(votes).T
    times = (firsts + 0.5 * (length - 1)) / _LOUDNESS_RATE
    n_rates = 2 * int(np.ceil(2 * most * np.ptp(times) / _ALIKE)) + 1
    winner = (-1.0, 0.0, 0.0)
    for rate in np.linspace(-most, most, n_rates):
        offsets = gaps - rate * times
        order = np.argsort(offsets)
        sums = np.concatenate([[0], np.cumsum(weights[order])])
        ends = np.searchsorted(offsets[order], offsets[order] + _ALIKE, side="right")
        first = int(np.argmax(sums[ends] - sums[:-1]))
        agree = order[first : ends[first]]
        winner = max(winner, (weights[agree].sum(), rate, np.average(offsets[agree], weights=weights[agree])))
    return Clock(float(winner[1]), float(winner[2]))


def _lags_near(
    heard: np.ndarray, played: np.ndarray, starts: np.ndarray, length: int, clock: Clock
) -> tuple[np.ndarray, np.ndarray]:
    """Seconds by which each window is heard later than `clock` says, and the correlation there (nan: not recorded)."""
    margin = round(_NEAR * _LOUDNESS_RATE)
    positions = clock.recording(np.arange(-margin, len(played) + margin) / _LOUDNESS_RATE) * _LOUDNESS_RATE
    inside = (positions >= 0) & (positions <= len(heard) - 1)
    warped = np.full(len(positions), np.nan)
    warped[inside] = _values_at(heard[:, None], positions[inside])[:, 0]
    lags, best = np.full((2, len(starts)), np.nan)
    for i, start in enumerate(starts):
        stretch = warped[start : start + length + 2 * margin]
        if np.isfinite(stretch).all():
            r = _correlations(stretch, played[start : start + length])
            k = 1 + int(np.argmax(r[1:-1]))
            before, here, after = r[k - 1 : k + 2]
            best[i] = here if here > max(before, after) else 0.0  # it may only rise towards the edge
            if best[i]:
                vertex = 0.5 * (before - after) / (before - 2 * here + after)
                lags[i] = (k - margin + vertex) / _LOUDNESS_RATE
    return lags, best


def _doubt(heard: np.ndarray, played: np.ndarray, clock: Clock) -> str:
    """What speaks against `clock` at other alignments: the recording should resemble the sound there as it does itself.

    Sounds of one tempo resemble each other beat by beat, but one alignment is then as good as the next, and how good
    they are does not follow from how the sound resembles itself.
    """
    from scipy.signal import correlate, find_peaks

    first, last = clock.sound(np.array([0, len(heard) - 1]) / _LOUDNESS_RATE) * _LOUDNESS_RATE
    both = np.arange(max(np.ceil(first), 0), min(np.floor(last), len(played) - 1) + 1)
    warped = np.interp(clock.recording(both / _LOUDNESS_RATE) * _LOUDNESS_RATE, np.arange(len(heard)), heard)
    x, y = (z - z.mean() for z in (played[both.astype(int)], warped))
    itself = correlate(x, x, method="fft") / (x @ x)
    seconds = np.arange(1 - len(x), len(x)) / _LOUDNESS_RATE
    far = np.abs(seconds) > _NEAR
    r = correlate(y, x, method="fft")
    r = r / r[~far].max()
    rivals = [peak for peak in find_peaks(r, height=_RIVAL)[0] if far[peak]]
    if rivals:
        best = max(rivals, key=lambda peak: r[peak])
        return f"resembles the sound almost as well ({r[best]:.0%} of r) when moved by {seconds[best]:.2f} s"
    if np.abs(r - itself)[far].max() > _ODD:
        return "follows the tempo of the sound, but resembles it otherwise than the sound does itself"
    return ""


def _correlations(long: np.ndarray, short: np.ndarray) -> np.ndarray:
    """Pearson correlation of `short` with every stretch of `long`, shape (len(long) - len(short) + 1,)."""
    from scipy.signal import oaconvolve

    n, short, long = len(short), short - short.mean(), long - long.mean()
    sums, squares = (np.concatenate([[0], np.cumsum(x)]) for x in (long, long**2))
    power = squares[n:] - squares[:-n] - (sums[n:] - sums[:-n]) ** 2 / n
    norm = np.sqrt(np.maximum(power, 1e-12 * squares[-1] + 1e-200) * (short @ short))  # silence resembles nothing
    return np.asarray(oaconvolve(long, short[::-1], mode="valid") / norm)


def _blocks(n_times: int, positions: np.ndarray) -> Iterator[tuple[slice, slice, tuple[int, int], csr_array]]:
    """Which values are made of which samples, with how many reflected before and after, and with which weights."""
    from scipy.sparse import csr_array
    from scipy.special import i0

    taps = np.arange(1 - _TAPS, _TAPS + 1)
    for start in range(0, len(positions), _BLOCK):
        block = positions[start : start + _BLOCK]
        below = np.floor(block).astype(int)
        distance = (block - below)[:, None] - taps
        weights = np.sinc(distance) * i0(_BETA * np.sqrt(np.clip(1 - (distance / _TAPS) ** 2, 0, None)))
        weights /= weights.sum(axis=1, keepdims=True)
        first, stop = below[0] + taps[0], below[-1] + taps[-1] + 1
        columns, ends = below[:, None] + taps - first, len(taps) * np.arange(len(block) + 1)
        matrix = csr_array((weights.ravel(), columns.ravel(), ends), shape=(len(block), stop - first))
        low, high = max(first, 0), min(stop, n_times)
        yield slice(start, start + len(block)), slice(low, high), (low - first, stop - high), matrix


def _values_at(x: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Band-limited values at ascending positions between 0 and len(x) - 1, shape (n_positions, n_channels)."""
    values = np.empty((len(positions), x.shape[1]))
    for rows, samples, beyond, weights in _blocks(len(x), positions):
        values[rows] = weights @ _reflected(x[samples], beyond)
    return values


def _reflected(x: np.ndarray, beyond: tuple[int, int]) -> np.ndarray:
    return np.pad(x, (beyond, (0, 0)), mode="reflect", reflect_type="odd") if any(beyond) else x


def _touched(marked: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Where a marked sample enters a value with weight, shape (n_positions, n_channels)."""
    touched = np.zeros((len(positions), marked.shape[1]), bool)
    if marked.any():
        for rows, samples, beyond, weights in _blocks(len(marked), positions):
            padded = np.pad(marked[samples].astype(float), (beyond, (0, 0)), mode="edge")
            touched[rows] = (abs(weights) > _TOUCHED).astype(float) @ padded > 0
    return touched


def _corrected_trial(trial: Trial, clock: Clock, before: float, good: np.ndarray, where: str) -> tuple[Trial, int]:
    """Trial on the clock of its sound, which starts `before` samples into it, and how many lack at its start."""
    step, last = 1 + clock.rate, trial.n_times - 1
    lacking = max(0, int(np.ceil(-before / step - 1e-6)))
    stop = int(np.floor((last - before) / step + 1e-6)) + 1
    if stop <= lacking:
        raise ValueError(
            f"{where}: none of its {trial.n_times} samples is left with an offset of {before:.1f} samples. "
            "It counts seconds from the start of the trial, and is 0 if trials were cut at clock.recording(onsets)."
        )
    positions = np.clip(before + step * np.arange(lacking, stop), 0, last)
    unknown = np.isnan(trial.eeg)
    values = _values_at(_bridged(trial.eeg, unknown), positions)
    values[_touched(unknown, positions)] = np.nan
    usable = ~_touched(~trial.mask[:, None], positions)[:, 0] & np.isfinite(values[:, good]).all(axis=1)
    eeg = np.concatenate([np.full((lacking, values.shape[1]), np.nan), values])
    mask = np.concatenate([np.zeros(lacking, bool), usable])
    eeg.setflags(write=False)
    mask.setflags(write=False)
    return Trial(eeg, trial.stimulus, mask), lacking


def _bridged(eeg: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """EEG with straight lines over gaps, so that they do not spread; channels unknown throughout stay so."""
    gaps = np.flatnonzero(unknown.any(axis=0) & ~unknown.all(axis=0))
    eeg = eeg.copy() if len(gaps) else eeg
    for c in gaps:
        known = np.flatnonzero(~unknown[:, c])
        eeg[:, c] = np.interp(np.arange(len(eeg)), known, eeg[known, c])
    return eeg


def _corrected_recording(raw: mne.io.BaseRaw, clock: Clock) -> mne.io.BaseRaw:
    import mne

    sfreq, last = float(raw.info["sfreq"]), raw.n_times - 1
    described = raw.info["description"] or ""
    if _is_corrected([described], clock):
        raise ValueError("The recording was corrected by this clock already. Start from it as it was recorded.")
    n_times = int(np.floor((last - clock.offset * sfreq) / (1 + clock.rate) + 1e-6)) + 1
    if clock.offset < 0 or n_times < 1:
        raise ValueError(
            f"The recording of {raw.n_times / sfreq:.3f} s does not contain the zero of the sound's time, which lies "
            f"at {clock.offset:.3f} s. Count from a moment t of the sound inside: clock.since(t), and onsets - t."
        )
    positions = np.clip(clock.offset * sfreq + (1 + clock.rate) * np.arange(n_times), 0, last)
    codes = np.array(raw.get_channel_types()) == "stim"
    data = np.empty((len(raw.ch_names), n_times))
    for rows, samples, beyond, weights in _blocks(raw.n_times, positions):
        recorded = raw.get_data(start=samples.start, stop=samples.stop).T
        data[:, rows] = (weights @ _reflected(recorded, beyond)).T
        data[codes, rows] = recorded[np.round(positions[rows]).astype(int) - samples.start][:, codes].T
    corrected = mne.io.RawArray(data, raw.info.copy(), verbose="error")
    corrected.info["description"] = f"{described}; {_record(clock, np.array([clock.offset]))}".removeprefix("; ")
    notes = raw.annotations
    begins = notes.onset - (raw.first_time if notes.orig_time is not None else 0.0)
    onsets, ends = np.maximum(clock.sound(begins), 0), clock.sound(begins + notes.duration)
    kept = ends >= 0
    moved = mne.Annotations(onsets[kept], (ends - onsets)[kept], notes.description[kept], ch_names=notes.ch_names[kept])
    return corrected.set_annotations(moved, verbose="error")


def _record(clock: Clock, offsets: np.ndarray) -> str:
    first, last = (f"{1000 * offset:.2f}" for offset in (offsets.min(), offsets.max()))
    return f"clock corrected: {clock.ppm:+.2f} ppm, offset {first if first == last else f'{first} to {last}'} ms"


def _is_corrected(history: Iterable[str], clock: Clock) -> bool:
    return any(f"clock corrected: {clock.ppm:+.2f} ppm" in line for line in history)


def _checked(clock: object) -> Clock:
    if not isinstance(clock, Clock):
        raise TypeError(f"clock: expected a Clock, got {type(clock).__name__}. `clock_from_triggers` makes one.")
    return clock


def _check_participant(participant: object) -> None:
    if not isinstance(participant, Participant):
        raise TypeError(
            f"expected a Participant, got {type(participant).__name__}. `read_participant` makes one of a recording."
        )


def _offsets(participant: Participant, clock: Clock, offset: float | Sequence[float] | None) -> np.ndarray:
    """Seconds from the start of each trial to its sound, shape (n_trials,)."""
    if offset is None and clock.offset != 0:
        raise ValueError(
            f"{participant.name}: the clock has an offset of {1000 * clock.offset:.1f} ms. Say whether trials have it, "
            "too: offset=clock.offset if its times count from the starts of trials, offset=0 if trials were cut at "
            "clock.recording(onsets)."
        )
    n_trials = len(participant.trials)
    given = [0.0 if offset is None else offset] * n_trials if offset is None or np.ndim(offset) == 0 else offset
    offsets = _checks.real_array(f"{participant.name}: offset", given, 1, axes="(n_trials,)")
    if len(offsets) != n_trials or not np.isfinite(offsets).all():
        raise ValueError(f"{participant.name}: offset: expected one number of seconds, or {n_trials}, got {offset!r}.")
    return offsets


def _warn_if_vague(participant: Participant, clock: Clock) -> None:
    longest = max(trial.n_times for trial in participant.trials) / participant.sfreq
    low, high = clock.interval_ppm
    vague = 0.5e-6 * (high - low) * longest
    if vague > 0.5 / participant.sfreq:
        warnings.warn(
            f"{participant.name}: the rate is known to {low:+.0f} to {high:+.0f} ppm, which leaves "
            f"±{1000 * vague:.1f} ms over a trial of {longest:.1f} s. Estimate it over a longer stretch.",
            stacklevel=3,
        )


def _courses(participant: Participant, envelopes: Mapping[str, FeatureSeries]) -> dict[str, np.ndarray]:
    """Envelope of every stimulus at the rate of the EEG."""
    if not isinstance(envelopes, Mapping):
        raise TypeError(
            f"envelopes: expected a dictionary from stimulus to FeatureSeries, got {type(envelopes).__name__}."
        )
    missing = [name for name in dict.fromkeys(participant.stimuli) if name not in envelopes]
    if missing:
        raise ValueError(
            f"envelopes: {participant.name} heard {', '.join(map(repr, missing[:5]))}, of which there is none. Add it: "
            "`envelope(audio, participant.sfreq)`."
        )
    courses = {}
    for name, series in envelopes.items():
        if not isinstance(series, FeatureSeries) or series.n_features != 1:
            raise TypeError(f"envelopes[{name!r}]: expected a FeatureSeries of one feature, got {series!r}.")
        if not abs(series.step * participant.sfreq - 1) < _MOST or np.ptp(np.diff(series.times)) > 1e-3 * series.step:
            raise ValueError(
                f"envelopes[{name!r}]: {1 / series.step:.4g} values per second, the EEG has {participant.sfreq:g}. "
                "Compute it at the rate of the EEG: `envelope(audio, participant.sfreq)`."
            )
        courses[name] = series.resample(participant.sfreq).values[:, 0]
    return courses


def _profiles(
    eeg: np.ndarray, mask: np.ndarray, courses: Sequence[np.ndarray], furthest: int, sfreq: float, where: str
) -> list[np.ndarray]:
    """Root mean square over channels of r at every circular lag, for each course."""
    from scipy.fft import irfft, next_fast_len, rfft

    n_times = min(len(eeg), len(courses[0]))
    eeg, mask = eeg[:n_times], mask[:n_times]
    if mask.sum() <= 2 * furthest:
        raise ValueError(
            f"{where}: {mask.sum()} usable samples are too few for these lags. Leave it out, or look at fewer lags "
            "(tmin, tmax)."
        )
    size = next_fast_len(n_times + furthest)
    spectra, power = [], [np.zeros(size) for _ in courses]
    for course in courses:
        x = np.resize(course, n_times)  # a shorter one is repeated
        spectra.append(np.conj(rfft(_unit(x, mask & np.isfinite(x), sfreq), size)))
    for channel in eeg.T:
        y = rfft(_unit(channel, mask, sfreq), size)
        for total, x in zip(power, spectra, strict=True):
            total += irfft(x * y, size) ** 2 / eeg.shape[1]
    return [np.sqrt(total) for total in power]


def _unit(x: np.ndarray, usable: np.ndarray, sfreq: float) -> np.ndarray:
    """High-passed at 1 Hz, 0 where it is not usable, of length 1."""
    from scipy.signal import butter, sosfiltfilt

    bridged = np.interp(np.arange(len(x)), np.flatnonzero(usable), x[usable])
    passed = np.where(usable, sosfiltfilt(butter(2, 1.0, "highpass", fs=sfreq, output="sos"), bridged), 0.0)
    return np.asarray(passed / (np.linalg.norm(passed) or 1.0))
