"""Channels, regions and conditions of a group."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _checks
from eegic.results import Tracking
from eegic.results.group import EVERYWHERE

if TYPE_CHECKING:
    import mne

_NOISE = re.compile(r"(.*\S)\s+(0(?:\.\d+)?)")  # a name that ends in a number below 1
_APART = 0.01  # metres between positions of one channel that are worth a note


def union(people: Sequence[Tracking]) -> tuple[mne.Info, list[str]]:
    """All channels, where the first who has each has it; and notes on those who have them elsewhere."""
    import mne

    first: dict[str, Any] = {}
    far: dict[str, list[str]] = {}
    for person in people:
        for channel in person.info["chs"]:
            known = first.setdefault(channel["ch_name"], channel)
            if not np.isfinite(known["loc"][:3]).all():
                known = first[channel["ch_name"]] = channel
            distance = np.linalg.norm(known["loc"][:3] - channel["loc"][:3])
            if distance > _APART:
                far.setdefault(person.participant, []).append(channel["ch_name"])
    info = mne.create_info(list(first), people[0].info["sfreq"], "eeg", verbose="error")
    for channel, known in zip(info["chs"], first.values(), strict=True):
        channel.update(loc=known["loc"].copy(), coord_frame=known["coord_frame"])
    recorded = {name: people[0].info[name] for name in ("dig", "highpass", "lowpass", "custom_ref_applied")}
    notes = [
        f"{who}: more than 1 cm from where figures draw it: {_checks.listed(channels)}" for who, channels in far.items()
    ]
    return mne.Info({**info, **recorded}), notes


def without_bads(info: mne.Info, gain: Sequence[np.ndarray]) -> mne.Info:
    """Bad is what nobody has a value for."""
    known = np.isfinite(np.stack(gain)).any(axis=(0, 1))
    info["bads"] = [name for name, some in zip(info["ch_names"], known, strict=True) if not some]
    return info


def regions_of(regions: object, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Channels of every region, that of all channels first."""
    if regions is not None and not isinstance(regions, Mapping):
        raise TypeError(
            f"regions: expected a dictionary from a name to channels, got {type(regions).__name__}. "
            f"Write {{'front': {list(names[:2])}}}."
        )
    chosen = {EVERYWHERE: tuple(names)}
    for region, channels in (regions or {}).items():
        where = f"regions[{region!r}]"
        if not isinstance(region, str):
            raise TypeError(f"{where}: expected names of regions, got {type(region).__name__}.")
        if region == EVERYWHERE:
            raise ValueError(f"regions: {EVERYWHERE!r} is the name of the region of all channels. Choose another.")
        if isinstance(channels, str) or not isinstance(channels, Iterable):
            raise TypeError(f"{where}: expected names of channels, got {channels!r}. Write {list(names[:2])}.")
        own = [_checks.one_of(where, channel, names) for channel in channels]
        if not own:
            raise ValueError(f"{where}: expected at least one channel, got none.")
        chosen[region] = _checks.unique_names(where, own, len(own), "channel")
    return chosen


def conditions_of(given: object, models: Iterable[str]) -> dict[str, tuple[str, float]]:
    """Family and noise level of every model."""
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(
            f"conditions: expected a dictionary from a model to (family, noise level), got {type(given).__name__}. "
            "Write {'IC 0.3': ('aligned', 0.3)}."
        )
    for name in given or {}:
        _checks.one_of("conditions", name, models)
    found = {name: _condition(name, (given or {}).get(name)) for name in models}
    twice = [condition for condition in found.values() if list(found.values()).count(condition) > 1]
    if twice:
        family, noise = twice[0]
        raise ValueError(
            f"conditions: two models are {family!r} at noise level {noise:g}. Give each a condition of its own."
        )
    return found


def _condition(name: str, given: Any) -> tuple[str, float]:
    if given is not None:
        try:
            family, noise = given
            return str(family), float(noise)
        except (TypeError, ValueError):
            raise TypeError(f"conditions[{name!r}]: expected (family, noise level), got {given!r}.") from None
    named = _NOISE.fullmatch(name)
    return (named[1], float(named[2])) if named else (name, np.nan)
