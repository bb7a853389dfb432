"""What several added features tell each alone, and what they tell together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eegic.trf.delta import DeltaR, delta_r
from eegic.trf.inputs import check_arrays
from eegic.trf.scores import mean_defined

Array = Any


@dataclass(frozen=True, eq=False)
class Partition:
    """Gain of several added features, divided into what is unique to each and what they share.

    Attributes
    ----------
    joint : DeltaR
        All added features over the baseline.
    unique : dict of str to DeltaR
        Each over the baseline and all the others.
    """

    joint: DeltaR
    unique: dict[str, DeltaR]

    @property
    def unique_variance(self) -> dict[str, np.ndarray]:
        """Share of the variance of the EEG that each tells beyond the baseline and all the others, (n_channels,)."""
        full = self._full
        return {name: _squared(full) - _squared(full - delta.corrected) for name, delta in self.unique.items()}

    @property
    def shared_variance(self) -> np.ndarray:
        """Share of the variance of the EEG that more than one of them tells beyond the baseline, shape (n_channels,).

        Below zero, features suppress: they tell more together than each alone.
        """
        joint = _squared(self._full) - _squared(self._full - self.joint.corrected)
        return np.asarray(joint - sum(self.unique_variance.values()))

    @property
    def _full(self) -> np.ndarray:
        """Held-out r of the model with all features, less what the joint gain is by chance, shape (n_channels,)."""
        return np.asarray(mean_defined(self.joint.r_reduced) + self.joint.corrected)

    def __repr__(self) -> str:
        parts = {"joint": self.joint, **self.unique}
        gains = ", ".join(f"{name} {np.nanmean(d.corrected):+.4f} (p {d.p_mean:.3g})" for name, d in parts.items())
        shares = {**self.unique_variance, "shared": self.shared_variance}
        variance = ", ".join(f"{name} {np.nanmean(share):+.2%}" for name, share in shares.items())
        return f"Partition(mean over channels: corrected Δr {gains}; variance of the EEG: {variance})"


def partition(baseline: object, added: Mapping[str, object], y: object, sfreq: float, **options: Any) -> Partition:
    """Divide the gain of several added features into unique parts and a shared one.

    Parameters
    ----------
    baseline : sequence of array, each (n_times, n_features)
    added : dict of str to sequence of array, each (n_times, n_features)
        Two or more features, or sets of features, by name.
    y : sequence of array, each (n_times, n_channels)
    sfreq : float
        Hertz.
    **options
        Those of `delta_r`: a `null` but ``"pseudo"``, and one window for all. `rng` gives every part the same
        surrogates.

    Returns
    -------
    Partition

    Notes
    -----
    Every part has its own null: the unique part of a feature is tested by exchanging what neither the baseline nor the
    other features explain of it. Correlations do not add up, their squares do: the variances are differences of squared
    held-out r, mean over trials and corrected for chance, so independent features share none.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sound = [rng.standard_normal((600, 3)) for _ in range(6)]
    >>> eeg = [x @ np.ones((3, 2)) + 3 * rng.standard_normal((600, 2)) for x in sound]
    >>> parts = partition([x[:, :1] for x in sound], {"pitch": [x[:, 1:2] for x in sound],
    ...                   "timing": [x[:, 2:] for x in sound]}, eeg, 64.0, tmin=0.0, tmax=0.1, alphas=[0.1], n_null=99,
    ...                   rng=0)
    >>> parts.unique["pitch"].p_maxt
    array([0.01, 0.01])
    """
    if not isinstance(added, Mapping) or len(added) < 2:
        raise ValueError(f"added: expected a dictionary of two or more features, got {_counted(added)}. Use delta_r.")
    if options.get("null") == "pseudo":
        raise ValueError("null: unheard sounds have no features for a baseline that changes. Use 'repair' or 'shift'.")
    for name in ("tmin", "tmax"):
        if np.ndim(options.get(name, 0.0)):
            raise ValueError(f"{name}: expected one number, got {options[name]}: features change places in the parts.")
    if options.get("rng") is None:
        options["rng"] = int(np.random.SeedSequence().generate_state(1)[0])
    elif isinstance(options["rng"], np.random.Generator):
        options["rng"] = int(options["rng"].integers(2**63))
    trials = {name: check_arrays(f"added {name}", one, "features") for name, one in added.items()}
    base = check_arrays("baseline", baseline, "features")
    unique: dict[str, DeltaR] = {}
    for name, own in trials.items():
        others = [one for other, one in trials.items() if other != name]
        unique |= delta_r(_beside(base, *others), {name: own}, y, sfreq, **options)
    joint = delta_r(base, {"all together": _beside(*trials.values())}, y, sfreq, **options)
    return Partition(joint["all together"], unique)


def _squared(r: np.ndarray) -> np.ndarray:
    """Explained share of the variance; below zero for correlations below zero."""
    return np.asarray(r * np.abs(r))


def _beside(*sides: Sequence[Array]) -> list[Array]:
    """Features of several sets, trial by trial."""
    from array_api_compat import array_namespace

    lengths = [[int(trial.shape[0]) for trial in side] for side in sides]
    if any(own != lengths[0] for own in lengths):
        raise ValueError(f"baseline, added: expected the same trials in all, got samples per trial {lengths}.")
    return [array_namespace(*parts).concat(parts, axis=1) for parts in zip(*sides, strict=True)]


def _counted(added: object) -> str:
    return f"{len(added)}" if isinstance(added, Mapping) else type(added).__name__
