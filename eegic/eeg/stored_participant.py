"""A `Participant` as arrays and a text, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from eegic.eeg import stored


def pack(person: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Arrays of a `Participant`, given as its fields; whatever is no array stands in ``about``."""
    arrays = stored.places(person["info"])
    for number, trial in enumerate(person["trials"]):
        # in one order in memory: equal participants give equal bytes
        arrays |= {f"eeg {number}": np.ascontiguousarray(trial.eeg), f"mask {number}": np.asarray(trial.mask)}
    about = {"name": person["name"], "history": person["history"], **stored.recording(person["info"])}
    about["stimuli"] = [trial.stimulus for trial in person["trials"]]
    return {**arrays, "about": stored.text_of(about)}


def unpack(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Fields of a `Participant`, each trial as its fields; a ValueError says what does not fit."""
    about = stored.content(arrays, _ABOUT)
    numbers = range(len(about["stimuli"]))
    eeg, masks = [f"eeg {number}" for number in numbers], [f"mask {number}" for number in numbers]
    axes: dict[str, tuple[int | str, ...]] = {}
    for number in numbers:
        axes |= {eeg[number]: (f"n_times {number}", "n_channels"), masks[number]: (f"n_times {number}",)}
    stored.check_arrays(arrays, axes, {"n_channels": len(about["ch_names"])}, truths=masks)
    stored.raise_first(_faults_of_eeg(arrays, eeg, masks, np.isin(about["ch_names"], about["bads"])))
    return {
        "name": about["name"],
        "trials": [(arrays[eeg[n]], about["stimuli"][n], arrays[masks[n]]) for n in numbers],
        "info": stored.info_of(about, arrays),
        "history": tuple(about["history"]),
    }


def _are_stimuli(value: Any) -> bool:
    return stored.are_texts(value) and len(value) > 0 and all(value)


_ABOUT: stored.Kinds = {
    "name": ("a text", stored.is_text),
    "stimuli": ("the name of a sound per trial", _are_stimuli),
    "history": ("texts", stored.are_texts),
}


def _faults_of_eeg(
    arrays: Mapping[str, np.ndarray], eeg: list[str], masks: list[str], bad: np.ndarray
) -> Iterator[str]:
    for name, mask in zip(eeg, masks, strict=True):
        if arrays[name].dtype != np.float64:
            yield f"array {name!r}: expected float64, got {arrays[name].dtype}"
        unusable = ~np.isfinite(arrays[name])[:, ~bad].all(axis=1)
        if (unusable & arrays[mask]).any():
            first = int(np.argmax(unusable & arrays[mask]))
            yield f"array {name!r}: expected numbers where the mask says so, got NaN or infinity at sample {first}"
