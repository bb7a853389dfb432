"""Does the EEG follow the sound when brains do? The constant offset between them, seen in the EEG alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eegic import _checks, stats
from eegic.eeg.participant import Participant
from eegic.series import FeatureSeries
from eegic.trf import lag_range

_RIVAL = 0.8  # share of the highest peak, above which another one is as good
_UNEVEN = 0.01  # of a sample, above which a step of an envelope is not one of the EEG


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
    def _at_the_edge(self) -> bool:
        return bool(np.argmax(self.profile) in (0, len(self.lags) - 1))

    @property
    def plausible(self) -> bool:
        """True if a peak stands out from chance (p <= .05) and lies where one is expected, not at the last lag."""
        return self.p <= 0.05 and not self._at_the_edge and self.expected[0] <= self.peak <= self.expected[1]

    @property
    def verdict(self) -> str:
        """What the profile says, and what to do."""
        if self.p > 0.05:
            return f"No lag stands out from chance (p = {self.p:.2g}): nothing can be said about the offset."
        low, high = (1000 * lag for lag in self.expected)
        peak, rival = f"Strongest {_spoken(self.peak)} the sound (p = {self.p:.2g})", self.rival
        if self._at_the_edge:
            return (
                f"{peak}, at the edge of the lags looked at: the peak may lie beyond. Look at more (tmin, tmax) before "
                "anything is said about the offset."
            )
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
    if not isinstance(participant, Participant):
        raise TypeError(
            f"participant: expected a Participant, got {type(participant).__name__}. `read_participant` makes one."
        )
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
        if not (abs(np.diff(series.times) * participant.sfreq - 1) < _UNEVEN).all():
            raise ValueError(
                f"envelopes[{name!r}]: {1 / series.step:.4g} values per second, the EEG has {participant.sfreq:g} in "
                "even steps. Compute it at the rate of the EEG: `envelope(audio, participant.sfreq)`."
            )
        courses[name] = series.resample(participant.sfreq).values[:, 0]
    return courses


def _profiles(
    eeg: np.ndarray, mask: np.ndarray, courses: Sequence[np.ndarray], furthest: int, sfreq: float, where: str
) -> list[np.ndarray]:
    """Root mean square over channels of r at every circular lag, for each course."""
    from scipy.fft import irfft, next_fast_len, rfft

    n_times = min(len(eeg), len(courses[0]))
    if n_times < 0.5 * len(eeg):
        raise ValueError(
            f"{where}: the envelope lasts {n_times / sfreq:.2f} s, the EEG {len(eeg) / sfreq:.2f} s. Is it another "
            "sound? Compute the envelope of all of it, or cut the trial to its sound."
        )
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
