"""Filter and rate: what is done along time, trial by trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _checks
from eegic.eeg.participant import Participant
from eegic.trf.workers import Run, workers

if TYPE_CHECKING:
    import mne

_LARGEST_DENOMINATOR = 10_000  # of the ratio of rates
_SETTLED = 0.01  # of the peak of the answer to an impulse


@dataclass(frozen=True)
class Timing:
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
    ) -> Timing:
        """What is asked for, or why it cannot be done to these trials."""
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
                    f"{trial_name(participant, number)}: lasts {trial.n_times / old:.2f} s, but a filter at "
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
def threads(participant: Participant, n_jobs: int, progress: bool) -> Iterator[Run]:
    """Run trials side by side, MNE silent."""
    import mne

    # the level is set here: threads that set and restore it one by one could leave it changed
    with mne.use_log_level("error"), workers(n_jobs, len(participant.ch_names), progress=progress) as run:
        yield run


def trial_name(participant: Participant, number: int) -> str:
    """What messages call a trial."""
    return f"{participant.name}, trial {number} ({participant.trials[number].stimulus})"


def continuous(
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
            bridge(eeg[:, channel], masked)
    for channel in np.flatnonzero(gaps & ~bad):
        here = lost[:, channel]
        infinite = bool(np.isinf(eeg[:, channel]).any())
        if infinite or here.all() or on_nan == "raise":
            remedy = "" if infinite or here.all() else "Pass on_nan='bridge' to filter across and mask it, or m"
            raise ValueError(
                f"{trial_name(participant, number)}: channel {participant.ch_names[channel]} has {int(here.sum())} "
                f"{'infinite' if infinite else 'NaN'} samples, the first at sample {int(np.argmax(here))}. "
                f"{remedy or 'M'}ark the channel as bad: bad_channels=[...]."
            )
        bridge(eeg[:, channel], here if (here | masked).all() else here | masked)
        mask &= ~here
    return eeg, mask, gaps & bad


def bridge(x: np.ndarray, here: np.ndarray) -> None:
    """Draw straight lines across samples of one channel, in place."""
    x[here] = np.interp(np.flatnonzero(here), np.flatnonzero(~here), x[~here])
