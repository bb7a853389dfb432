"""Scores from MIDI files, and back."""

from __future__ import annotations

import io
import os
import warnings
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from eegic import _files
from eegic.datasets.melody import Melody
from eegic.datasets.scores.score import Score

_TEMPO = 500_000  # microseconds per quarter note, where a file says nothing
_TICKS = 9600  # per quarter note, in files written here: 52 microseconds
_LONGEST = 3 * 3600  # seconds; a file that lasts longer is damaged
_MOST_TICKS = 2**53  # beyond, floats do not count them
_LARGEST = 16_000_000  # bytes
_FRAMES = {24: 24.0, 25: 25.0, 29: 30000 / 1001, 30: 30.0}  # per second, of SMPTE time


def read_midi(path: str | os.PathLike[str], *, name: str | None = None) -> Score:
    """Read the notes of a MIDI file (format 0 or 1; a file of format 2 if it has one track).

    Parameters
    ----------
    path : str or Path
        The file. Reading needs mido (``pip install 'eegic[io]'``).
    name : str, optional
        Name of the piece; by default the name of the file without its suffix.

    Returns
    -------
    Score
        It lasts as long as the longest track.

    Warns
    -----
    UserWarning
        If notes are never let go: how many. They last until the end of the file.

    Notes
    -----
    Times follow the tempo changes of all tracks, or the frames of files that count in SMPTE time. Where a key is struck
    again before it was let go, the first end is that of the first note. While the sustain pedal (controller 64) is
    down, notes that are let go ring on: until it comes up, or until the same key is struck again. A pedal that goes
    down at the very time at which a key comes up does not catch that note. The program of a note is that of its channel
    when it starts.
    """
    path = Path(path)
    file = _open(path)
    events = _events(path, file)
    end = events[-1][0] if events else 0
    clock = _clock(path, events, file.ticks_per_beat)
    if clock(end) > _LONGEST:
        raise ValueError(
            f"{path}: lasts {clock(end) / 3600:.3g} h, and more than {_LONGEST // 3600} h is taken for damage. "
            "Export the file again."
        )
    played = _Keyboard()
    for tick, track, message in events:
        played.hear(tick, track, message)
    n_stuck = played.stop(end)
    if not played.notes:
        raise ValueError(f"{path}: the file holds no notes. Is it the right one?")
    if n_stuck:
        warnings.warn(f"{path}: notes that are never let go: {n_stuck}. They last until the end.", stacklevel=2)
    column = {key: [getattr(note, key) for note in played.notes] for key in _Note.__dataclass_fields__}
    on, off = clock(column.pop("on")), clock(column.pop("off"))
    try:
        return Score(
            on,
            off - on,
            column["pitch"],
            column["velocity"],
            channels=column["channel"],
            programs=column["program"],
            tracks=column["track"],
            name=path.stem if name is None else name,
            duration=float(clock(end)),
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def write_midi(score: Score | Melody, path: str | os.PathLike[str]) -> None:
    """Write a MIDI file of format 1, atomically.

    Parameters
    ----------
    score : Score or Melody
        Times are rounded to 1/19200 s; a note lasts that long at least.
    path : str or Path
        The file. Writing needs mido (``pip install 'eegic[io]'``).

    Notes
    -----
    The tempo is 120 quarter notes per minute throughout, so bars and beats mean nothing. Of notes of one pitch that
    overlap on one track and channel, the first to start is read as the first to end.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_midi(Score([0.0, 0.5], [0.4, 1.5], [60, 67]), Path(folder) / "tune.mid")
    ...     read_midi(Path(folder) / "tune.mid")
    Score(tune: 2 notes in 2.0 s, pitches 60 to 67)
    """
    score = Score.from_melody(score) if isinstance(score, Melody) else score
    if not isinstance(score, Score):
        raise TypeError(f"score: expected a Score or a Melody, got {type(score).__name__}.")
    mido = _mido()
    rows = _messages(mido, score)
    end = max(round(score.duration * 1e6 / _TEMPO * _TICKS), rows[-1][0])
    file = mido.MidiFile(type=1, ticks_per_beat=_TICKS)
    for track in range(int(score.tracks.max()) + 1):
        messages = [mido.MetaMessage("set_tempo", tempo=_TEMPO)] if track == 0 else []
        now = 0
        for tick, _, message in (row for row in rows if row[1] == track):
            messages.append(message.copy(time=tick - now))
            now = tick
        file.tracks.append(mido.MidiTrack([*messages, mido.MetaMessage("end_of_track", time=end - now)]))
    buffer = io.BytesIO()
    file.save(file=buffer)
    with _files.replacing(path) as draft:
        draft.write_bytes(buffer.getvalue())


def _messages(mido: Any, score: Score) -> list[tuple[int, int, Any]]:
    """Tick, track and message of all events, in the order in which they are read."""
    per_second = 1e6 / _TEMPO * _TICKS
    rows = []
    for i in range(score.n_notes):
        on = round(score.onsets[i] * per_second)
        off = max(on + 1, round((score.onsets[i] + score.durations[i]) * per_second))
        rows += [(on, int(score.tracks[i]), True, i), (off, int(score.tracks[i]), False, i)]
    messages = []
    program: dict[int, int] = defaultdict(int)
    for tick, track, starts, i in sorted(rows):  # what ends comes before what starts
        channel, wanted, pitch = int(score.channels[i]) - 1, int(score.programs[i]), int(score.pitches[i])
        if starts and program[channel] != wanted:
            messages.append((tick, track, mido.Message("program_change", channel=channel, program=wanted)))
            program[channel] = wanted
        velocity = int(score.velocities[i]) if starts else 0
        messages.append((tick, track, mido.Message("note_on", channel=channel, note=pitch, velocity=velocity)))
    return messages


@dataclass
class _Note:
    on: int  # ticks
    pitch: int
    velocity: int
    channel: int
    program: int
    track: int
    off: int = -1


@dataclass
class _Keyboard:
    """What becomes of notes while events come in, in order."""

    notes: list[_Note] = field(default_factory=list)
    held: dict[tuple[int, int, int], deque[_Note]] = field(default_factory=lambda: defaultdict(deque))
    ringing: dict[tuple[int, int], list[_Note]] = field(default_factory=lambda: defaultdict(list))  # by the pedal
    pedal: dict[int, int] = field(default_factory=dict)  # tick since which it is down, per channel
    program: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def hear(self, tick: int, track: int, message: Any) -> None:
        if message.type == "note_on" and message.velocity:
            self._strike(tick, track, message)
        elif message.type in ("note_on", "note_off"):
            self._let_go(tick, track, message)
        elif message.type == "program_change":
            self.program[message.channel] = message.program
        elif message.type == "control_change" and message.control == 64:
            self._move_pedal(tick, message.channel, message.value >= 64)

    def stop(self, tick: int) -> int:
        """End what still sounds; return the number of notes whose end was missing."""
        stuck = [note for notes in self.held.values() for note in notes]
        for note in [*stuck, *(note for notes in self.ringing.values() for note in notes)]:
            note.off = tick
        return len(stuck)

    def _strike(self, tick: int, track: int, message: Any) -> None:
        channel = message.channel
        self._damp(tick, channel, [message.note])
        note = _Note(tick, message.note, message.velocity, channel + 1, self.program[channel], track)
        self.notes.append(note)
        self.held[track, channel, message.note].append(note)

    def _let_go(self, tick: int, track: int, message: Any) -> None:
        struck = self.held[track, message.channel, message.note]
        if not struck:  # an end without a start
            return
        note = struck.popleft()
        if self.pedal.get(message.channel, tick) < tick:
            self.ringing[message.channel, message.note].append(note)
        else:
            note.off = tick

    def _move_pedal(self, tick: int, channel: int, down: bool) -> None:
        if down:
            self.pedal.setdefault(channel, tick)
        else:
            self.pedal.pop(channel, None)
            self._damp(tick, channel, range(128))

    def _damp(self, tick: int, channel: int, pitches: Iterable[int]) -> None:
        for pitch in pitches:
            for note in self.ringing.pop((channel, pitch), []):
                note.off = tick


def _mido() -> Any:
    try:
        import mido
    except ImportError as error:
        raise ImportError("MIDI files need mido. Install it with `pip install 'eegic[io]'`.") from error
    return mido


def _open(path: Path) -> Any:
    """The file as mido reads it, checked."""
    mido = _mido()
    if path.is_dir():
        raise IsADirectoryError(f"{path}: expected a MIDI file, got a folder. Pass the files in it, one by one.")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such MIDI file.")
    size = path.stat().st_size
    if size > _LARGEST:
        raise ValueError(f"{path}: {size / 1e6:.0f} MB is too much for a MIDI file. Is it the right one?")
    content = path.read_bytes()
    if not content.startswith(b"MThd"):
        what = f"one that begins with {content[:4]!r}" if content else "an empty one"
        raise ValueError(f"{path}: expected a MIDI file, got {what}. Copy it again, or export it as standard MIDI.")
    try:
        file = mido.MidiFile(file=io.BytesIO(content))
    except Exception as error:  # damaged files make the reader raise anything
        why = "it ends too early" if isinstance(error, EOFError) else str(error) or type(error).__name__
        raise ValueError(f"{path}: cannot be read as MIDI ({why}). Copy or export it again.") from error
    if file.type not in (0, 1, 2) or (file.type == 2 and len(file.tracks) > 1):
        raise ValueError(
            f"{path}: expected tracks that are played together (format 0 or 1), got {len(file.tracks)} of format "
            f"{file.type}. Export the piece as format 1."
        )
    return file


def _events(path: Path, file: Any) -> list[tuple[int, int, Any]]:
    """Tick, track and message, in order of time, then of tracks."""
    events = []
    for track, messages in enumerate(file.tracks):
        tick = 0
        for message in messages:
            tick += message.time
            if tick > _MOST_TICKS:
                raise ValueError(f"{path}: a time beyond 2**53 ticks is taken for damage. Export the file again.")
            events.append((tick, track, message))
    return sorted(events, key=lambda event: event[0])


def _clock(path: Path, events: list[tuple[int, int, Any]], division: int) -> Any:
    """Return the function from ticks to seconds."""
    if division < 0:
        frames, ticks = -(division >> 8), division & 255
        if frames not in _FRAMES or not ticks:
            raise ValueError(f"{path}: {frames} SMPTE frames of {ticks} ticks are no time. Export the file again.")
        return lambda tick: np.asarray(tick, dtype=float) / (_FRAMES[frames] * ticks)
    tempos = {0: _TEMPO} | {tick: message.tempo for tick, _, message in events if message.type == "set_tempo"}
    if not division or 0 in tempos.values():
        raise ValueError(f"{path}: ticks without a length ({division} per quarter note). Export the file again.")
    starts = np.array(list(tempos), dtype=float)
    lengths = np.array(list(tempos.values())) / (1e6 * division)  # seconds per tick
    seconds = np.concatenate([[0.0], np.cumsum(np.diff(starts) * lengths[:-1])])

    def clock(tick: object) -> np.ndarray:
        ticks = np.asarray(tick, dtype=float)
        row = np.searchsorted(starts, ticks, side="right") - 1
        return np.asarray(seconds[row] + (ticks - starts[row]) * lengths[row])

    return clock
