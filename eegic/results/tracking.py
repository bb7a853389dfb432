"""What an analysis of one participant gives: tables, maps, kernels and p-values."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _checks, stats
from eegic.eeg import stored
from eegic.results import stored_tracking
from eegic.trf.ceiling import Ceiling
from eegic.trf.scores import mean_defined

if TYPE_CHECKING:
    import mne
    import pandas as pd

_SCHEMA = "eegic.Tracking/1"
MAPS = ("r_reduced", "r_full", "delta_r", "corrected", "p", "p_maxt")  # one value per channel, see `to_evoked`


@dataclass(frozen=True, eq=False)
class Tracking:
    """What added features tell about the EEG of one participant, beyond the baseline.

    A model is the baseline with some added features; several models (IC at several noise levels, say) share the reduced
    model and the surrogates. `cortical_tracking` makes it.

    Attributes
    ----------
    participant : str
    info : mne.Info
        Channel names, positions, bad channels, digitised points, filters and the sampling rate.
    stimuli : tuple of str
        What each trial presented, by name.
    sounds : tuple of str
        The same by content: equal for stimuli with the same features.
    baseline : tuple of str
        Features of the reduced model.
    models : dict of str to tuple of str
        Features that each full model has besides.
    segments : ndarray of int, shape (n_segments, 3)
        Trial, first and stop sample of what was scored: whole trials, or blocks of them when time was cut.
    n_samples : ndarray of int, shape (n_segments,)
        Samples that were scored: not masked, and known with all they depend on. Segments weigh equally all the same.
    r_reduced : ndarray, shape (n_segments, n_channels)
        Held-out correlation of the reduced model.
    r_full : ndarray, shape (n_models, n_segments, n_channels)
        The same of every full model.
    null : ndarray, shape (n_models, n_null, n_channels)
        Gain, mean over segments, under each surrogate.
    alpha : ndarray, shape (1 + n_models, n_folds) or (1 + n_models, n_folds, n_channels)
        Chosen regularisation of the reduced model, then of the full ones.
    lags : ndarray, shape (n_lags,)
        Seconds by which the EEG follows the sound.
    kernels : dict of str to ndarray, each (n_features, n_lags, n_channels)
        Of each full model, mean over folds, in volts per standard deviation of the feature; baseline first.
    reduced_kernels : ndarray, shape (n_baseline, n_lags, n_channels)
        The same of the reduced model.
    explained : ndarray, shape (n_added,)
        Share of the variance of each added feature that the lagged baseline explains; features in the order of `added`.
    reliability : ndarray, shape (n_added,)
        Share of the rest that is not noise of the estimator, by the standard errors of the features; 1 for exact ones.
        A noisy regressor lowers the corrected gain to about this share of what the exact one would give.
    ceiling : Ceiling or None
        What any model could reach; by default from sounds heard more than once.
    notes : tuple of str
        What was left out or merged, and why.
    exact : bool
        True when every possible exchange was made.
    settings : dict
        ``cortical_tracking(participant, baseline, added, **settings)`` repeats the analysis; only `pseudo` and a
        `ceiling` of one's own have to be given again.
    versions : dict of str to str
        Of Python and the packages that took part.
    """

    participant: str
    info: mne.Info
    stimuli: tuple[str, ...]
    sounds: tuple[str, ...]
    baseline: tuple[str, ...]
    models: dict[str, tuple[str, ...]]
    segments: np.ndarray
    n_samples: np.ndarray
    r_reduced: np.ndarray
    r_full: np.ndarray
    null: np.ndarray
    alpha: np.ndarray
    lags: np.ndarray
    kernels: dict[str, np.ndarray]
    reduced_kernels: np.ndarray
    explained: np.ndarray
    reliability: np.ndarray
    ceiling: Ceiling | None
    notes: tuple[str, ...]
    exact: bool
    settings: dict[str, Any]
    versions: dict[str, str]

    @property
    def ch_names(self) -> tuple[str, ...]:
        """Names of the channels."""
        return tuple(self.info["ch_names"])

    @property
    def added(self) -> tuple[str, ...]:
        """All added features."""
        return tuple(dict.fromkeys(name for names in self.models.values() for name in names))

    @property
    def delta_r(self) -> np.ndarray:
        """Raw gain, (n_models, n_segments, n_channels). Biased below zero: a useless feature lowers held-out r."""
        return np.asarray(self.r_full - self.r_reduced)

    @cached_property
    def gain(self) -> np.ndarray:
        """Raw gain, mean over segments, shape (n_models, n_channels)."""
        return np.asarray(mean_defined(np.swapaxes(self.delta_r, 0, 1)))

    @property
    def corrected(self) -> np.ndarray:
        """Gain minus the mean of its null, shape (n_models, n_channels): zero on average when nothing is there."""
        return np.asarray(self.gain - self.null.mean(axis=1))

    @property
    def corrected_se(self) -> np.ndarray:
        """Standard error of `corrected` when nothing is there, shape (n_models, n_channels)."""
        return stats.error_of_corrected(np.swapaxes(self.null, 0, 1))

    @cached_property
    def p(self) -> np.ndarray:
        """One-sided p-value of every model and channel, shape (n_models, n_channels)."""
        return stats.p_value(self.gain, np.swapaxes(self.null, 0, 1))

    @cached_property
    def p_maxt(self) -> np.ndarray:
        """The same, corrected for all channels and models together by the largest studentised gain."""
        surrogates = np.swapaxes(self.null, 0, 1)
        corrected = stats.max_statistic(self.gain.ravel(), surrogates.reshape(len(surrogates), -1))
        return corrected.reshape(self.gain.shape)

    @cached_property
    def p_mean(self) -> np.ndarray:
        """One-sided p-value of the gain averaged over channels, shape (n_models,); not corrected for several models."""
        return stats.p_value(np.nanmean(self.gain, axis=1), np.nanmean(self.null, axis=2).T)

    @property
    def p_min(self) -> float:
        """Smallest p-value that could have come out."""
        return float(1 / (1 + self.null.shape[1]))

    def to_frame(self, by: str = "trial") -> pd.DataFrame:
        """Scores as a tidy table.

        Parameters
        ----------
        by : {"trial", "channel"}
            ``trial``: a row per model, trial (or block) and channel, with its start, stop and used time in seconds,
            held-out r and the raw gain. ``channel``: a row per model and channel, with means over trials, the null,
            corrected gain, p-values, and, where there is a ceiling of r, the gain as a share of it.

        Returns
        -------
        pandas.DataFrame
        """
        import pandas as pd

        _checks.one_of("by", by, ("trial", "channel"))
        if by == "channel":
            index = pd.MultiIndex.from_product([self.models, self.ch_names], names=["model", "channel"])
            reduced = np.broadcast_to(mean_defined(self.r_reduced), self.gain.shape)
            columns = {
                "r_reduced": reduced,
                "r_full": reduced + self.gain,
                "delta_r": self.gain,
                "null_mean": self.null.mean(axis=1),
                "corrected": self.corrected,
                "corrected_se": self.corrected_se,
                "p": self.p,
                "p_maxt": self.p_maxt,
            }
            if self.ceiling is not None:
                columns["ceiling"] = np.broadcast_to(self.ceiling.r, self.gain.shape)
                columns["share"] = self.ceiling.share(self.corrected)
        else:
            segments = range(len(self.segments))
            index = pd.MultiIndex.from_product(
                [self.models, segments, self.ch_names], names=["model", "segment", "channel"]
            )
            reduced = np.broadcast_to(self.r_reduced, self.r_full.shape)
            columns = {"r_reduced": reduced, "r_full": self.r_full, "delta_r": self.delta_r}
        frame = pd.DataFrame({name: values.ravel() for name, values in columns.items()}, index=index).reset_index()
        if by == "trial":
            segment = frame.pop("segment")
            trial, start, stop = self.segments[segment].T
            for at, (name, column) in enumerate(
                {
                    "trial": trial,
                    "stimulus": np.asarray(self.stimuli)[trial],
                    "sound": np.asarray(self.sounds)[trial],
                    "start": start / self.info["sfreq"],
                    "stop": stop / self.info["sfreq"],
                    "used": self.n_samples[segment] / self.info["sfreq"],
                }.items(),
                start=1,
            ):
                frame.insert(at, name, column)
        frame.insert(0, "participant", self.participant)
        return frame

    def to_evoked(self, what: str = "corrected", model: str | None = None) -> mne.EvokedArray:
        """A map, or the kernel of a feature, for the figures of MNE.

        Parameters
        ----------
        what : str
            A map: ``"r_reduced"``, ``"r_full"``, ``"delta_r"``, ``"corrected"``, ``"p"`` or ``"p_maxt"``, each a single
            time without unit. Or the name of a feature: its kernel over lags, in volts per standard deviation.
        model : str, optional
            By default the first model (that has the feature).

        Returns
        -------
        mne.EvokedArray

        Notes
        -----
        MNE takes every value for volts and writes microvolts. A map needs ``scalings=1`` and a name of its own for the
        unit; kernels can be left as they are, say ``result.to_evoked("surprisal").plot_joint()``.

        Examples
        --------
        >>> import eegic as ei
        >>> study = ei.datasets.simulate_study(1, 4, duration=8, n_channels=8, progress=False, rng=0)
        >>> result = ei.cortical_tracking(study.participants[0], study.envelopes, study.surprisal, tmax=0.3,
        ...                               alphas=[0.1], n_null=23, rng=0)
        >>> evoked = result.to_evoked("corrected")
        >>> figure = evoked.plot_topomap(times=0, scalings=1, units="Δr", time_format="", show=False)
        """
        import mne

        features = {name: (*self.baseline, *own) for name, own in self.models.items()}
        _checks.one_of("what", what, dict.fromkeys((*MAPS, *self.baseline, *self.added)))
        if what in MAPS and what in (*self.baseline, *self.added):
            raise ValueError(
                f"what: {what!r} is the name of a map, and here of a feature too. Give the feature another name and "
                "repeat the analysis; until then its kernel stands in `kernels`, the scores in `to_frame`."
            )
        if model is None:
            model = next((name for name, has in features.items() if what in has), next(iter(self.models)))
        row = list(self.models).index(_checks.one_of("model", model, self.models))
        if what in MAPS:
            maps = {"r_reduced": lambda: mean_defined(self.r_reduced), "delta_r": lambda: self.gain[row]}
            maps["r_full"] = lambda: mean_defined(self.r_full[row])
            data, start = maps.get(what, lambda: getattr(self, what)[row])()[:, None], 0.0
        else:
            if what not in features[model]:
                raise ValueError(f"what: model {model!r} has {', '.join(features[model])}, but no {what!r}.")
            data, start = self.kernels[model][features[model].index(what)].T, float(self.lags[0])
        comment = f"{self.participant}, {model}: {what}"
        return mne.EvokedArray(data, self.info, start, comment, nave=len(self.segments), verbose="error")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one .npz file: arrays, and a JSON text under ``about``. Atomic; nothing is pickled."""
        arrays = stored_tracking.pack(vars(self))
        stored.write(path, arrays, _SCHEMA, stored_tracking.unpack)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tracking:
        """Read what `save` wrote; nothing is unpickled. A file whose parts do not fit each other is refused."""
        return cls(**stored.read(path, _SCHEMA, stored_tracking.unpack))

    def __repr__(self) -> str:
        rows = zip(self.models, np.nanmean(self.corrected, axis=1), self.p_mean, strict=True)
        gains = "; ".join(f"{name}: corrected Δr {gain:+.4f}, p {p:.3g}" for name, gain, p in rows)
        noisy = [f"{name} {r:.0%}" for name, r in zip(self.added, self.reliability, strict=True) if r < 0.99]
        noise = f"; estimator noise leaves of Δr about: {', '.join(noisy)}" if noisy else ""
        size = f"{len(self.stimuli)} trials of {len(set(self.sounds))} sounds, {len(self.ch_names)} channels"
        return (
            f"Tracking({self.participant}, {size}; beyond {', '.join(self.baseline)}, mean over channels: {gains}; "
            f"{self.null.shape[1]} surrogates{noise})"
        )
