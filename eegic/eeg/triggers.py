"""Triggers in a recording become the starts of sounds, checked against the log of the experiment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from eegic import _checks
from eegic.eeg.epochs import marks_bad

if TYPE_CHECKING:
    import mne

Code = str | int
_SHOWN = 8  # lines or codes that a message lists before it says how many more
_WHOLE = 0.1  # how far a value of a stim channel may be from a whole number


@dataclass(frozen=True, eq=False)
class Onsets:
    """When sounds started.

    Attributes
    ----------
    seconds : ndarray, shape (n_trials,)
        From the first sample of the recording, ascending.
    stimuli : tuple of str, shape (n_trials,)
        Which sound started.
    notes : tuple of str
        What was passed over.
    """

    seconds: np.ndarray
    stimuli: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Onsets({len(self.seconds)} trials of {len(set(self.stimuli))} sounds, {len(self.notes)} notes)"

    def only(self, stimuli: Collection[str]) -> Onsets:
        """Return the starts of these sounds only; there may be none."""
        keep = [i for i, stimulus in enumerate(self.stimuli) if stimulus in stimuli]
        left_out = f"{len(self.stimuli) - len(keep)} of {len(self.stimuli)} trials left out: other sounds"
        notes = self.notes if len(keep) == len(self.stimuli) else (*self.notes, left_out)
        return Onsets(self.seconds[keep], tuple(self.stimuli[i] for i in keep), notes)


def find_onsets(
    raw: mne.io.BaseRaw,
    codes: Mapping[str, str] | Mapping[int, str] | Code,
    *,
    log: Iterable[str] | None = None,
    stim_channel: str | None = None,
    bits: int | None = None,
    min_duration: float = 0.0,
    refractory: float = 0.1,
    duplicates: str = "raise",
    missing: str = "raise",
    unknown: str = "ignore",
    name: str = "recording",
) -> Onsets:
    """Find the starts of sounds in the triggers of a recording.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        Need not be loaded, and may be cropped.
    codes : dict of str or int to str, or one str or int
        Which sound each trigger starts: texts are descriptions of annotations, numbers are codes of a stim channel.
        A single text or number is a trigger that starts every sound; then `log` says which.
    log : iterable of str, optional
        The sounds in the order in which the experiment presented them. Triggers must tell the same story.
    stim_channel : str, optional
        The channel that holds numbers; by default the only one of type stim.
    bits : int, optional
        Bits of the stim channel that carry codes, such as 255 for the lowest eight; by default all. Negative numbers
        are taken as two's complement: -255 holds 1 in its lowest eight.
    min_duration : float
        Seconds. Values that a stim channel holds for less belong to the change from what it held before to what it
        holds after: bounces, and lines that switch one after the other. The change counts from its beginning.
    refractory : float
        Seconds. The same trigger again within this time of one that counts is a duplicate; another one is an error.
    duplicates : {"raise", "first"}
        Refuse duplicates, or keep the first of them.
    missing : {"raise", "drop"}
        What to do if sounds have no trigger: refuse, or go on with those that have. With a `log`, sounds and triggers
        are then brought together by their order; a single trigger for all sounds cannot tell which one is missing.
    unknown : {"ignore", "raise"}
        What to do with triggers that are not in `codes`.
    name : str
        What errors call the recording.

    Returns
    -------
    Onsets
        `notes` lists triggers that `codes` does not name, duplicates, and sounds without trigger.

    Notes
    -----
    Annotations starting with ``BAD``, ``Comment/BAD`` or ``EDGE`` are not triggers. Values of a stim channel are
    rounded to whole numbers, and refused where they are far from any; without `bits`, negative ones are codes of their
    own. A stim channel that holds a code at the first sample may have done so before: that code does not count, and is
    noted.

    Examples
    --------
    >>> import mne
    >>> raw = mne.io.RawArray(np.zeros((1, 6400)), mne.create_info(["Cz"], 64.0, "eeg"), verbose="error")
    >>> raw = raw.set_annotations(mne.Annotations([5, 40.5, 70], 0, ["S  1", "S  2", "S  1"]))
    >>> onsets = find_onsets(raw, {"S  1": "bach", "S  2": "holst"}, log=["bach", "holst", "bach"])
    >>> onsets.seconds, onsets.stimuli
    (array([ 5. , 40.5, 70. ]), ('bach', 'holst', 'bach'))
    """
    for what, value, choices in (
        ("duplicates", duplicates, ("raise", "first")),
        ("missing", missing, ("raise", "drop")),
        ("unknown", unknown, ("ignore", "raise")),
    ):
        _checks.one_of(what, value, choices)
    for what, span in (("min_duration", min_duration), ("refractory", refractory)):
        if _checks.finite(what, span, "seconds") < 0:
            raise ValueError(f"{what}: expected 0 s or more, got {span:g}.")
    if bits is not None:
        _checks.count("bits", bits)
    meaning = _meaning(codes, name)
    wanted = _presented(log, meaning, name)
    notes: list[str] = []
    levels = None
    if isinstance(next(iter(meaning)), str):
        seconds, found = _annotated(raw)
        where = "among the annotations"
    else:
        channel = _stim_channel(raw, stim_channel, name)
        levels = _levels(raw, channel, name)
        seconds, found = _steps(raw, channel, levels, bits, min_duration, meaning, notes)
        where = f"in {channel}"
    known = np.array([code in meaning for code in found], bool)
    others = Counter(code for code in found if code not in meaning)
    if not known.any():
        if levels is not None:
            notes.append(f"{channel} runs from {levels.min()} to {levels.max()}")
        raise ValueError(_nothing_found(meaning, where, others, notes, bits, name))
    if others:
        notes.append(f"triggers that are not in codes: {_counted(others)}")
        if unknown == "raise":
            raise ValueError(f"{name}: {notes[-1]}. Add them to `codes`, or pass unknown='ignore'.")
    seconds, found = seconds[known], [code for code in found if code in meaning]
    seconds, found = _without_duplicates(seconds, found, meaning, refractory, duplicates, notes, name)
    if wanted is not None and None in meaning.values():
        return Onsets(seconds, _named_by_order(seconds, found[0], wanted, name), tuple(notes))
    stimuli = [str(meaning[code]) for code in found]
    _check_story(seconds, stimuli, meaning, wanted, missing, notes, name)
    return Onsets(seconds, tuple(stimuli), tuple(notes))


def _meaning(codes: object, name: str) -> dict[Code, str | None]:
    """Sound of each code; None for a code that starts all of them."""
    pairs: dict[object, object] = dict(codes) if isinstance(codes, Mapping) else {codes: None}
    if not pairs:
        raise ValueError(f"{name}: codes: expected at least one, got none. Write {{1: 'bach', 2: 'holst'}}.")
    meaning: dict[Code, str | None] = {}
    for code, stimulus in pairs.items():
        if not isinstance(code, (str, int, np.integer)) or isinstance(code, bool):
            raise TypeError(
                f"{name}: codes: expected the text of an annotation or the number of an event, got {code!r} "
                f"({type(code).__name__})."
            )
        if isinstance(codes, Mapping) and (not isinstance(stimulus, str) or not stimulus):
            raise TypeError(
                f"{name}: codes[{code!r}]: expected the name of a sound, got {stimulus!r}. Write {{1: 'bach'}}; or, if "
                "one trigger starts every sound, that trigger alone, and the sounds in `log`."
            )
        if isinstance(code, str) and _is_no_trigger(code):
            raise ValueError(
                f"{name}: codes: {code!r} would be passed over, because annotations that start with BAD or EDGE mark "
                f"stretches to leave out. Rename it: `raw.annotations.rename({{{code!r}: 'start'}})`."
            )
        meaning[code if isinstance(code, str) else int(code)] = stimulus if isinstance(stimulus, str) else None
    if len({isinstance(code, str) for code in meaning}) > 1:
        raise TypeError(f"{name}: codes: expected texts (annotations) or numbers (stim channel), got both.")
    return meaning


def _presented(log: Iterable[str] | None, meaning: Mapping[Code, str | None], name: str) -> list[str] | None:
    if log is None:
        if None in meaning.values():
            raise ValueError(
                f"{name}: the trigger {next(iter(meaning))!r} does not say which sound it starts. Give the sounds in "
                "the order of presentation as `log`, or a dictionary of codes."
            )
        return None
    if isinstance(log, (str, Mapping)):
        raise TypeError(f"{name}: log: expected the sounds in the order of presentation, got {log!r}. Write a list.")
    wanted = list(log)
    wrong = [sound for sound in wanted if not isinstance(sound, str)]
    if wrong or not wanted:
        what = f"{wrong[0]!r} ({type(wrong[0]).__name__})" if wrong else "none"
        raise TypeError(f"{name}: log: expected names of sounds, got {what}. Write a list of texts.")
    if None not in meaning.values():
        nameless = sorted(set(wanted) - set(meaning.values()))
        if nameless:
            raise ValueError(
                f"{name}: the log names {_listed(nameless)}, which no code starts; codes start "
                f"{_listed(sorted(set(map(str, meaning.values()))))}. Add them to `codes`, or correct the log."
            )
    return wanted


def _annotated(raw: mne.io.BaseRaw) -> tuple[np.ndarray, list[Code]]:
    """Onsets and descriptions of annotations; MNE counts their onsets from `first_time` before the first sample."""
    triggers = [a for a in raw.annotations if not _is_no_trigger(a["description"])]
    return np.array([a["onset"] for a in triggers]) - raw.first_time, [str(a["description"]) for a in triggers]


def _is_no_trigger(description: str) -> bool:
    """Whether an annotation marks a stretch or a cut."""
    return marks_bad(description) or description.upper().startswith("EDGE")


def _stim_channel(raw: mne.io.BaseRaw, stim_channel: str | None, name: str) -> str:
    if stim_channel is not None:
        return _checks.one_of(f"{name}: stim_channel", stim_channel, raw.ch_names)
    channels = [ch for ch, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True) if kind == "stim"]
    if len(channels) == 1:
        return str(channels[0])
    if channels:
        raise ValueError(f"{name}: which channel holds the triggers? Pass stim_channel=, one of {_listed(channels)}.")
    annotated = Counter(_annotated(raw)[1])
    raise ValueError(
        f"{name}: codes are numbers, but no channel is of type stim. "
        + (f"The recording has annotations: {_counted(annotated)}. Write these as codes, or p" if annotated else "P")
        + "ass stim_channel=, the name of the channel that holds the triggers."
    )


def _levels(raw: mne.io.BaseRaw, channel: str, name: str) -> np.ndarray:
    """Whole numbers that a stim channel holds. (`mne.find_events` cuts decimals and signs off.)"""
    try:
        held = np.asarray(raw[raw.ch_names.index(channel)][0][0])
    except (ImportError, MemoryError, OSError):
        raise
    except Exception as error:  # a broken file can raise anything
        raise ValueError(
            f"{name}: {channel} cannot be read ({type(error).__name__}: {error}). The file is damaged or cut short: "
            "copy it again from its source, or give the onsets as a table."
        ) from error
    if not np.isfinite(held).all():
        lost = np.flatnonzero(~np.isfinite(held))
        raise ValueError(
            f"{name}: {channel}: expected codes throughout, got {held[lost[0]]:g} at {len(lost)} samples, the first at "
            f"{lost[0] / raw.info['sfreq']:.3f} s. Crop the recording, or give the onsets as a table."
        )
    levels = np.round(held)
    off = int(np.argmax(np.abs(held - levels)))
    if abs(held[off] - levels[off]) > _WHOLE or (held.any() and not levels.any()):
        raise ValueError(
            f"{name}: {channel}: codes are not whole numbers: it runs from {held.min():g} to {held.max():g}, and holds "
            f"{held[off]:g} at {off / raw.info['sfreq']:.3f} s. Is the channel scaled, in volts, or filtered? Undo it "
            f"(`raw.apply_function(lambda x: x / 1e-6, picks=[{channel!r}])`), or give the onsets as a table."
        )
    return np.asarray(levels.astype(np.int64))


def _steps(
    raw: mne.io.BaseRaw,
    channel: str,
    levels: np.ndarray,
    bits: int | None,
    min_duration: float,
    meaning: Mapping[Code, str | None],
    notes: list[str],
) -> tuple[np.ndarray, list[Code]]:
    """Onsets and codes of a stim channel. (`mne.find_events` loses what bounces within its `min_duration`.)"""
    if bits is not None:
        levels = levels & bits  # of negative ones in two's complement, however many bits the recorder wrote
    sample = np.flatnonzero(np.diff(levels)) + 1
    before, after = levels[sample - 1], levels[sample]
    if len(before) and before[0] in meaning:
        notes.append(f"{channel} holds {before[0]} at the first sample, since when is not known: not counted")
    lasting = np.flatnonzero(np.diff(np.append(sample, np.inf)) >= min_duration * raw.info["sfreq"])
    held = after[lasting]
    begin = sample[np.concatenate([[0], lasting[:-1] + 1])[: len(lasting)]]
    changed = (held != np.append(before[:1], held)[: len(held)]) & (held != 0)
    codes: list[Code] = [int(code) for code in held[changed]]
    return begin[changed] / raw.info["sfreq"], codes


def _without_duplicates(
    seconds: np.ndarray,
    found: list[Code],
    meaning: Mapping[Code, str | None],
    refractory: float,
    duplicates: str,
    notes: list[str],
    name: str,
) -> tuple[np.ndarray, list[Code]]:
    keep, again = [0], []
    for i in range(1, len(found)):
        gap = seconds[i] - seconds[keep[-1]]
        if gap >= refractory:
            keep.append(i)
        elif meaning[found[i]] != meaning[found[keep[-1]]]:
            raise ValueError(
                f"{name}: trigger {found[keep[-1]]!r} at {seconds[keep[-1]]:.3f} s is followed {gap:.3f} s later by "
                f"{found[i]!r}: two sounds cannot start so close (refractory={refractory:g} s). If the lines of a stim "
                "channel switch one after the other, pass min_duration=; otherwise give the onsets as a table."
            )
        else:
            again.append(f"{found[i]!r} at {seconds[i]:.3f} s, {gap:.3f} s after the one before")
    if again and duplicates == "raise":
        raise ValueError(
            f"{name}: duplicate triggers: {_listed(again, repr_=False)}. Pass duplicates='first' to keep the first of "
            "them, or a shorter refractory= if they are sounds of their own."
        )
    notes.extend(f"duplicate trigger passed over: {what}" for what in again)
    return seconds[keep], [found[i] for i in keep]


def _named_by_order(seconds: np.ndarray, code: Code, wanted: list[str], name: str) -> tuple[str, ...]:
    if len(wanted) != len(seconds):
        raise ValueError(
            f"{name}: the log expects {len(wanted)} sounds, but trigger {code!r} was found {len(seconds)} times: at "
            f"{', '.join(f'{t:.3f}' for t in seconds[:50])} s. One trigger for all sounds does not tell which is "
            "missing or extra: give the onsets as a table."
        )
    return tuple(wanted)


def _check_story(
    seconds: np.ndarray,
    stimuli: list[str],
    meaning: Mapping[Code, str | None],
    wanted: list[str] | None,
    missing: str,
    notes: list[str],
    name: str,
) -> None:
    """Compare the sounds found with the log, or at least with `codes`."""
    if wanted is None:
        absent = [f"{sound!r} (code {code!r})" for code, sound in meaning.items() if sound not in stimuli]
        if absent and missing == "raise":
            aside = "".join(f" ({note})" for note in notes)
            raise ValueError(
                f"{name}: no trigger starts {_listed(absent, repr_=False)}{aside}. Take what was not presented out of "
                "`codes`, or pass missing='drop'."
            )
        notes.extend(f"no trigger starts {what}" for what in absent)
        return
    if stimuli == wanted:
        return
    matched = _positions(stimuli, wanted)
    if matched is not None:
        lines = [f"trial {i}: expected {wanted[i]!r}, found nothing" for i in range(len(wanted)) if i not in matched]
        if missing == "drop":
            notes.extend(lines)
            return
        remedy = "Pass missing='drop' to go on without the trials that have no trigger."
    elif len(stimuli) == len(wanted):
        lines = [
            f"trial {i}: expected {want!r}, found {got!r} at {t:.3f} s"
            for i, (want, got, t) in enumerate(zip(wanted, stimuli, seconds, strict=True))
            if want != got
        ]
        remedy = "Is it the log of this recording?"
    else:
        lines = _differences(seconds, stimuli, wanted)
        remedy = "Is it the log of this recording? If so, give the onsets as a table."
    head = f"{name}: the log expects {len(wanted)} sounds, the triggers start {len(stimuli)}"
    raise ValueError("\n  ".join([f"{head}:", *_first(lines), remedy]))


def _positions(stimuli: Sequence[str], wanted: Sequence[str]) -> list[int] | None:
    """Where the stimuli stand in `wanted` if they are in its order, or None."""
    positions, start = [], 0
    for stimulus in stimuli:
        try:
            positions.append(wanted.index(stimulus, start))
        except ValueError:
            return None
        start = positions[-1] + 1
    return positions


def _differences(seconds: np.ndarray, stimuli: list[str], wanted: list[str]) -> list[str]:
    lines = []
    for kind, i0, i1, j0, j1 in SequenceMatcher(None, wanted, stimuli, autojunk=False).get_opcodes():
        for i, j in zip_longest(range(i0, i1), range(j0, j1)) if kind != "equal" else ():
            found = "nothing" if j is None else f"{stimuli[j]!r} at {seconds[j]:.3f} s"
            lines.append(
                f"beyond the log: {found}" if i is None else f"trial {i}: expected {wanted[i]!r}, found {found}"
            )
    return lines


def _nothing_found(
    meaning: Mapping[Code, str | None],
    where: str,
    others: Counter[Code],
    notes: Sequence[str],
    bits: int | None,
    name: str,
) -> str:
    aside = "".join(f" ({note})" for note in notes)
    low = [code for code in others if isinstance(code, int) and (code & 255) in meaning]
    hint = " They seem to carry status bits: pass bits=255." if low and bits is None else ""
    if any(sound in others for sound in meaning.values()):
        hint = " Codes come first: {code: sound}."
    return (
        f"{name}: none of the codes {_listed(meaning)} was found {where}, but {_counted(others)}{aside}.{hint} Write "
        "codes as they stand in the recording: texts for annotations, numbers for a stim channel."
    )


def _counted(found: Counter[Code]) -> str:
    return _listed([f"{code!r} ({n})" for code, n in found.most_common()], repr_=False) if found else "nothing"


def _listed(values: Iterable[object], *, repr_: bool = True) -> str:
    return ", ".join(_first([repr(value) if repr_ else str(value) for value in values]))


def _first(lines: Sequence[str]) -> list[str]:
    return [*lines[:_SHOWN], *([f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else [])]
