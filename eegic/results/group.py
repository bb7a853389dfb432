"""What an analysis of many participants gives."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _checks, stats
from eegic.eeg import stored
from eegic.results import group_tables, stored_group
from eegic.results.means import over_channels
from eegic.trf.scores import mean_defined

if TYPE_CHECKING:
    import mne
    import pandas as pd

_SCHEMA = "eegic.GroupResult/1"
EVERYWHERE = "all"  # the region of all channels


@dataclass(frozen=True, eq=False)
class GroupResult:
    """What added features tell about the EEG of several participants, and of whom or what that can be said.

    Two questions are kept apart. *Listeners*: would other listeners to these pieces show it? Participants are drawn at
    random, pieces are fixed; the corrected gains of whole participants are flipped in sign. *Pieces*: would these
    listeners show it with other pieces? Pieces are drawn at random, participants are fixed; the gain averaged over
    participants is compared with surrogates in which the pieces exchange the feature, in the same way for everybody.
    For both at once see `mixed_model`. `group_test` makes it.

    Attributes
    ----------
    participants : tuple of str
    info : mne.Info
        Every channel that any participant has, where the first of them has it; bad ones are those without any value.
    baseline : tuple of str
        Features of the reduced model.
    models : dict of str to tuple of str
        Features that each full model has besides.
    conditions : dict of str to tuple of (str, float)
        Of each model: its family, and the noise level of its information content; NaN where it has none.
    regions : dict of str to tuple of str
        Channels by region; ``"all"`` has all of them.
    owner : ndarray of int, shape (n_segments,)
        Number of the participant who heard each segment; segments of all participants in a row.
    stimuli, sounds : tuple of str, one per segment
        What was heard, by name, and by content within a participant.
    r_reduced : ndarray, shape (n_segments, n_channels)
        Held-out correlation of the reduced model; NaN in channels that the participant lacks.
    r_full : ndarray, shape (n_models, n_segments, n_channels)
        The same of every full model.
    null_mean : ndarray, shape (n_models, n_participants, n_channels)
        Mean of each participant's gain over surrogates: what the gain is when nothing is there.
    null : ndarray, shape (n_models, n_shared, n_channels)
        Gain under each surrogate, mean over participants; ``n_shared = 0`` if participants do not share surrogates.
    region_gain : ndarray, shape (n_models, n_regions, n_participants, 1 + n_shared)
        Gain of each participant and region, the real one first, then those under surrogates, all less their mean in
        each channel.
    region_p : ndarray, shape (n_models, n_regions, n_participants)
        One-sided p-value of each participant alone.
    lags : ndarray, shape (n_lags,)
        Seconds by which the EEG follows the sound.
    kernels : dict of str to ndarray, each (n_participants, n_features, n_lags, n_channels)
        Of each full model, in volts per standard deviation of the feature; baseline first.
    notes : tuple of str
        What was left out or differs between participants.
    settings : dict
        `over`, `n_flips`, `level` and `rng` of the group; ``attainable``, the largest level not above it
        that the surrogates of single participants allow; under ``each`` what all participants share.
    versions : dict of str to str
        Of Python and the packages that took part.
    """

    participants: tuple[str, ...]
    info: mne.Info
    baseline: tuple[str, ...]
    models: dict[str, tuple[str, ...]]
    conditions: dict[str, tuple[str, float]]
    regions: dict[str, tuple[str, ...]]
    owner: np.ndarray
    stimuli: tuple[str, ...]
    sounds: tuple[str, ...]
    r_reduced: np.ndarray
    r_full: np.ndarray
    null_mean: np.ndarray
    null: np.ndarray
    region_gain: np.ndarray
    region_p: np.ndarray
    lags: np.ndarray
    kernels: dict[str, np.ndarray]
    notes: tuple[str, ...]
    settings: dict[str, Any]
    versions: dict[str, str]

    @property
    def ch_names(self) -> tuple[str, ...]:
        """Names of the channels."""
        return tuple(self.info["ch_names"])

    @property
    def delta_r(self) -> np.ndarray:
        """Raw gain of every segment, (n_models, n_segments, n_channels). Biased below zero."""
        return np.asarray(self.r_full - self.r_reduced)

    @cached_property
    def gain(self) -> np.ndarray:
        """Raw gain, mean over segments, shape (n_models, n_participants, n_channels)."""
        return self.by_participant(np.swapaxes(self.delta_r, 0, 1)).swapaxes(0, 1)

    @property
    def corrected(self) -> np.ndarray:
        """Gain less the mean of its null, shape (n_models, n_participants, n_channels)."""
        return np.asarray(self.gain - self.null_mean)

    @property
    def n(self) -> np.ndarray:
        """Participants with a value, shape (n_models, n_channels)."""
        return np.asarray(np.isfinite(self.corrected).sum(axis=1))

    @cached_property
    def summary(self) -> np.ndarray:
        """Corrected gain of each participant, median (or mean) over channels: (n_models, n_regions, n_participants)."""
        return self.over_regions(self.corrected)

    @cached_property
    def listeners(self) -> stats.SignFlip:
        """Would other listeners show it? Sign flips of every channel, shape (n_models, n_channels)."""
        return self.flips(self.corrected)

    @cached_property
    def listeners_by_region(self) -> stats.SignFlip:
        """The same of every region, shape (n_models, n_regions)."""
        return self.flips(self.summary.swapaxes(1, 2))

    @cached_property
    def effects(self) -> stats.EffectSize:
        """Cohen's d of every model and region."""
        return stats.effect_size(self.summary.transpose(2, 0, 1), rng=self.settings["rng"])

    @property
    def shared(self) -> bool:
        """Whether participants share surrogates, without which nothing can be said of other pieces."""
        return bool(self.null.shape[1])

    @cached_property
    def p_pieces(self) -> np.ndarray:
        """Would other pieces show it? One-sided, shape (n_models, n_channels); NaN without shared surrogates."""
        return stats.p_value(self.mean_gain, self._surrogates) if self.shared else np.full(self.n.shape, np.nan)

    @cached_property
    def p_pieces_maxt(self) -> np.ndarray:
        """The same, corrected for all channels and models together."""
        if not self.shared:
            return np.full(self.n.shape, np.nan)
        together = stats.max_statistic(self.mean_gain.ravel(), self._surrogates.reshape(len(self._surrogates), -1))
        return together.reshape(self.n.shape)

    @cached_property
    def p_pieces_by_region(self) -> np.ndarray:
        """The same of every region, not corrected for several; shape (n_models, n_regions)."""
        if not self.shared:
            return np.full(self.region_p.shape[:2], np.nan)
        mean = np.moveaxis(mean_defined(np.moveaxis(self.region_gain, 2, 0)), -1, 0)
        return stats.p_value(mean[0], mean[1:])

    @property
    def p_min(self) -> dict[str, float]:
        """Smallest p-value that could have come out, for ``listeners`` and for ``pieces``."""
        return {"listeners": self.listeners.p_min, "pieces": 1 / (1 + self.null.shape[1]) if self.shared else np.nan}

    def over_regions(self, values: np.ndarray) -> np.ndarray:
        """Median (or mean) over the channels of every region.

        Parameters
        ----------
        values : ndarray, shape (n_models, n, n_channels)
            NaN where there is no value.

        Returns
        -------
        ndarray, shape (n_models, n_regions, n)
        """
        at = {name: i for i, name in enumerate(self.ch_names)}
        parts = [values[..., [at[name] for name in channels]] for channels in self.regions.values()]
        return np.stack([over_channels(part, self.settings["over"]) for part in parts], axis=1)

    def row(self, model: str | None) -> int:
        """Number of a model; the first by default."""
        return 0 if model is None else list(self.models).index(_checks.one_of("model", model, self.models))

    def region_row(self, region: str = EVERYWHERE) -> int:
        """Number of a region."""
        return list(self.regions).index(_checks.one_of("region", region, self.regions))

    def prevalence(self, model: str | None = None, region: str = EVERYWHERE) -> stats.Prevalence:
        """In how many participants the model tells something, each tested alone, and in what share of all listeners.

        Parameters
        ----------
        model : str, optional
            By default the first.
        region : str

        Returns
        -------
        eegic.stats.Prevalence
        """
        level = self.settings["attainable"]
        if not level:
            raise ValueError(
                f"prevalence: no participant could have p <= {self.settings['level']:g}, there are too few surrogates."
            )
        return stats.prevalence(self.region_p[self.row(model), self.region_row(region)], level=level)

    def to_frame(self, by: str = "channel") -> pd.DataFrame:
        """Results as a tidy table.

        Parameters
        ----------
        by : {"channel", "region", "participant", "trial"}
            ``channel``, ``region``: a row per model and channel (region), with means over participants.
            ``participant``: a row per participant, model and region. ``trial``: a row per segment, model and region;
            corrected gains of a participant's trials are shifted so that their mean is that of the participant.

        Returns
        -------
        pandas.DataFrame

        Notes
        -----
        ``se`` is the standard error over participants. p-values for new listeners, by sign flips: ``p_listeners``;
        ``p_listeners_maxt``, corrected for all rows and models by the largest t; ``p_listeners_fdr``, Benjamini and
        Hochberg's. For new pieces, by surrogates: ``p_pieces`` and ``p_pieces_maxt``. By region also ``p_trimmed`` and
        ``p_median``, the sign flip of the trimmed mean and of the median; ``d``, Cohen's, with a 95 % interval, which
        is too short for fewer than 12 participants; ``skewness`` over participants; ``significant``, how many
        participants have p <= level each alone; ``prevalence``, the share of listeners that implies, with a 95 %
        interval; ``p_count``, how often the surrogates that participants share give as many (their p-values depend on
        each other, so the binomial p of `prevalence` is too small).
        """
        _checks.one_of("by", by, group_tables.TABLES)
        return group_tables.TABLES[by](self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one .npz file: arrays, and a JSON text under ``about``. Atomic; nothing is pickled."""
        arrays = stored_group.pack({name: getattr(self, name) for name in self.__dataclass_fields__})
        stored.write(path, arrays, _SCHEMA, stored_group.unpack)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> GroupResult:
        """Read what `save` wrote; nothing is unpickled. A file whose parts do not fit each other is refused."""
        return cls(**stored.read(path, _SCHEMA, stored_group.unpack))

    def __repr__(self) -> str:
        size = f"{len(self.participants)} participants, {len(self.ch_names)} channels"
        return f"GroupResult({size}; beyond {', '.join(self.baseline)}: {', '.join(self.models)})"

    def __str__(self) -> str:
        """A line per model for a terminal."""
        everywhere = self.region_row()
        mean, tests = np.nanmean(self.summary[:, everywhere], axis=1), self.listeners_by_region
        width = max(len(name) for name in (*self.models, "model"))
        lines = [repr(self), f"{'model':<{width}}  corrected Δr  p new listeners" + "  p new pieces" * self.shared]
        for row, name in enumerate(self.models):
            pieces = f"  {self.p_pieces_by_region[row, everywhere]:>12.3g}" if self.shared else ""
            lines.append(f"{name:<{width}}  {mean[row]:>+12.4f}  {tests.p[row, everywhere]:>15.3g}{pieces}")
        smallest = ", ".join(f"{claim} {p:.3g}" for claim, p in self.p_min.items() if np.isfinite(p))
        return "\n".join([*lines, f"{self.settings['over']} over channels; smallest p possible: {smallest}"])

    @cached_property
    def mean_gain(self) -> np.ndarray:
        """Raw gain, mean over participants, (n_models, n_channels)."""
        return np.asarray(mean_defined(np.swapaxes(self.gain, 0, 1)))

    @property
    def _surrogates(self) -> np.ndarray:
        """The same under each surrogate, (n_shared, n_models, n_channels)."""
        return np.swapaxes(self.null, 0, 1)

    def by_participant(self, values: np.ndarray) -> np.ndarray:
        """Mean over the segments of each participant: (n_segments, ...) becomes (n_participants, ...)."""
        return np.stack([mean_defined(values[self.owner == i]) for i in range(len(self.participants))])

    def flips(self, values: np.ndarray, center: str = "mean") -> stats.SignFlip:
        """Sign flips of values (n_models, n_participants, ...), over the participants."""
        how = {"n": self.settings["n_flips"], "rng": self.settings["rng"]}
        return stats.sign_flip(values.swapaxes(0, 1), center=center, **how)
