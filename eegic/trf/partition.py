"""What several added features tell each alone, and what they tell together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eegic.trf.delta import DeltaR, delta_r
from eegic.trf.inputs import check_arrays

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
    def shared(self) -> np.ndarray:
        """Corrected gain that more than one of them could bring, shape (n_channels,).

        The joint corrected gain minus the unique ones. Below zero, features suppress: they tell more together than each
        alone.
        """
        return np.asarray(self.joint.corrected - sum(delta.corrected for delta in self.unique.values()))

    def __repr__(self) -> str:
        parts = {"joint": self.joint, **self.unique}
        gains = ", ".join(f"{name} {np.nanmean(d.corrected):+.4f} (p {d.p_mean:.3g})" for name, d in parts.items())
        return f"Partition(corrected Δr, mean over channels: {gains}, shared {np.nanmean(self.shared):+.4f})"


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
    other features explain of it. Gains are in r, which unlike explained variance does not add
    up: three independent features of equal strength share about a seventh of their joint gain by this count alone.

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
    unique = {}
    for name, own in trials.items():
        others = [one for other, one in trials.items() if other != name]
        unique[name] = delta_r(_beside(base, *others), own, y, sfreq, **options)
    return Partition(delta_r(base, _beside(*trials.values()), y, sfreq, **options), unique)


def _beside(*sides: Sequence[Array]) -> list[Array]:
    """Features of several sets, trial by trial."""
    from array_api_compat import array_namespace

    lengths = [[int(trial.shape[0]) for trial in side] for side in sides]
    if any(own != lengths[0] for own in lengths):
        raise ValueError(f"baseline, added: expected the same trials in all, got samples per trial {lengths}.")
    return [array_namespace(*parts).concat(parts, axis=1) for parts in zip(*sides, strict=True)]


def _counted(added: object) -> str:
    return f"{len(added)}" if isinstance(added, Mapping) else type(added).__name__
