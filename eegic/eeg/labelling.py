"""What the user knows about the channels of a recording and the file does not."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from eegic import _checks
from eegic._checks import listed
from eegic.eeg.participant import electrode_positions

if TYPE_CHECKING:
    import mne

_NOT_EEG = re.compile(
    r"^EXG\d|EOG|E[CK]G|EMG|^M[12]$|MASTOID|^GSR|^ERGO?\b|^ERG\d|^RESP|^PLET|^TEMP$|TRIG|^STI|STATUS|MARKER|AUDIO|PHOTO",
    re.IGNORECASE,
)
_AROUND = re.compile(r"^EEG[\s_-]*|[\s_-]+(REF|LE|AVG|AV)$|\.+$", re.IGNORECASE)  # what recorders write around names
_RENAMED = {"t3": "t7", "t4": "t8", "t5": "p7", "t6": "p8"}  # from the 10-20 to the 10-10 system


@dataclass(frozen=True)
class Channels:
    """What the caller knows about the channels and the file does not."""

    rename: Mapping[str, str]
    kinds: Mapping[str, str]
    montage: str | mne.channels.DigMontage | None
    bads: Sequence[str]

    @cached_property
    def positions(self) -> mne.channels.DigMontage | None:
        """Of the electrodes."""
        return None if self.montage is None else electrode_positions(self.montage)

    def changed(self, raw: Any, where: str, *, copy: bool) -> Any:
        """The recording with all changes; `copy` leaves the one that was given as it is."""
        waiting = any(not projection["active"] for projection in raw.info["projs"])
        if copy and (self.rename or self.kinds or self.montage is not None or self.bads or waiting):
            raw = raw.copy()
        if self.rename:
            self._check("rename", self.rename, raw, where)
            renamed = [self.rename.get(channel, channel) for channel in raw.ch_names]
            _checks.unique_names(f"{where}: rename", renamed, len(renamed), "channel")
            raw.rename_channels(dict(self.rename), verbose="error")
        if self.kinds:
            self._check("channel_types", self.kinds, raw, where)
            raw.set_channel_types(dict(self.kinds), on_unit_change="ignore", verbose="error")
        if self.positions is not None:
            if len(self._nowhere(raw)) == len(eeg_channels(raw)):
                variants = self._variants(raw)
                raise ValueError(
                    f"{where}: no channel has a position in the montage. Channels: {listed(eeg_channels(raw))}; "
                    f"montage: {listed(self.positions.ch_names)}. "
                    + (f"Pass rename={variants}." if variants else "Choose another montage, or rename the channels.")
                )
            raw.set_montage(self.positions, on_missing="ignore", verbose="error")
        if self.bads:
            self._check("bads", self.bads, raw, where)
            raw.info["bads"] = list(dict.fromkeys([*raw.info["bads"], *self.bads]))
        return raw.apply_proj(verbose="error") if waiting else raw

    def changes(self, raw: Any) -> list[str]:
        """The same in words."""
        words = []
        if self.rename:
            words.append("renamed: " + ", ".join(f"{old} to {new}" for old, new in self.rename.items()))
        if self.kinds:
            words.append("types given: " + ", ".join(f"{channel} {kind}" for channel, kind in self.kinds.items()))
        if self.montage is not None:
            nowhere = self._nowhere(raw)
            which = self.montage if isinstance(self.montage, str) else "as given"
            words.append(f"positions: {which}" + (f"; none for {', '.join(nowhere)}" if nowhere else ""))
        if self.bads:
            words.append(f"marked as bad: {', '.join(self.bads)}")
        return words

    def warn_of_names(self, raw: Any, name: str) -> None:
        """Warn of EEG channels that seem to be something else, or to have a position under another name."""
        names = [channel for channel in eeg_channels(raw) if channel not in raw.info["bads"]]
        ears = () if "A3" in names else ("A1", "A2")  # BioSemi calls electrodes A1, A2, A3, ...
        strange = [ch for ch in names if ch not in self.kinds and (_NOT_EEG.search(ch) or ch in ears)]
        if strange:
            warnings.warn(
                f"{name}: read as EEG, but named like something else: {listed(strange)}. Say what they are: "
                f"channel_types={{{strange[0]!r}: 'misc'}} leaves a channel out, 'eeg' keeps it.",
                stacklevel=3,
            )
        variants = self._variants(raw)
        if variants:
            warnings.warn(
                f"{name}: {listed(variants)} have no position in the montage, but channels of similar names do. If "
                f"they are the same, pass rename={variants}.",
                stacklevel=3,
            )

    def _check(self, what: str, given: Iterable[str], raw: Any, where: str) -> None:
        for channel in given:
            _checks.one_of(f"{where}: {what}", channel, raw.ch_names)

    def _nowhere(self, raw: Any) -> list[str]:
        """EEG channels without a position in the montage."""
        placed = [] if self.positions is None else self.positions.ch_names
        return [channel for channel in eeg_channels(raw) if channel not in placed]

    def _variants(self, raw: Any) -> dict[str, str]:
        """Channels that the montage seems to know under another name."""

        def plain(channel: str) -> str:
            bare = _AROUND.sub("", _AROUND.sub("", channel.strip())).casefold()
            return _RENAMED.get(bare, bare)

        placed = [] if self.positions is None else self.positions.ch_names
        known = {plain(position): position for position in placed if position not in raw.ch_names}
        return {channel: known[plain(channel)] for channel in self._nowhere(raw) if plain(channel) in known}


def eeg_channels(raw: Any) -> list[str]:
    """Names of the EEG channels."""
    return [ch for ch, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True) if kind == "eeg"]
