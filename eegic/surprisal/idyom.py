"""Tables that IDyOM writes (the Lisp program of M. Pearce): surprisal and entropy of every note of every piece."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eegic import _checks
from eegic.series import FeatureSeries
from eegic.surprisal.notes import note_ic_to_series

KINDS = ("both", "pitch", "timing")

_TARGETS = {"pitch": "cpitch", "timing": "onset"}  # our names, and those of IDyOM's viewpoints
_NEEDED = ("melody.id", "melody.name", "cpitch", "onset", "dur")
_BITS = 2e-5  # the table has seven significant digits
_SUM = 2e-3  # distributions of the published tables add up to .9990 or more
_FIELD = re.compile(r'"[^"]*"|\S+')


@dataclass(frozen=True, eq=False)
class IdyomPiece:
    """One piece of a table of IDyOM, note by note.

    Attributes
    ----------
    name : str
        Name of the melody.
    ticks : ndarray of float64, shape (n_notes,)
        Onsets as the table has them.
    onsets, durations : ndarray of float64, shape (n_notes,)
        Seconds.
    pitches : ndarray of int, shape (n_notes,)
        MIDI numbers.
    ics, entropies : dict of str to ndarray of float64, shape (n_notes,)
        Bits, for ``pitch`` and ``timing``, as far as the table predicts them, and for the note as a whole, ``both``.
    distributions : dict of str to ndarray of float64, shape (n_notes, n_symbols)
        Probability of each pitch (and of each time) before the note came, for tables written with full detail.
    alphabets : dict of str to ndarray of float64, shape (n_symbols,)
        Pitches (MIDI numbers), and ticks from the previous onset (from 0 for the first note), of `distributions`.
    """

    name: str
    ticks: np.ndarray
    onsets: np.ndarray
    durations: np.ndarray
    pitches: np.ndarray
    ics: dict[str, np.ndarray]
    entropies: dict[str, np.ndarray]
    distributions: dict[str, np.ndarray]
    alphabets: dict[str, np.ndarray]

    def __repr__(self) -> str:
        """Name, size and means."""
        means = " + ".join(f"{self.ics[kind].mean():.2f} ({kind})" for kind in KINDS[1:] if kind in self.ics)
        return f"IdyomPiece({self.name!r}: {len(self.ticks)} notes in {self.onsets[-1]:.1f} s, {means} bits per note)"

    def surprisal(self, kind: str = "both", *, chords: str = "sum") -> FeatureSeries:
        """Return the information content of each note at its onset, in bits.

        Parameters
        ----------
        kind : {"both", "pitch", "timing"}
            Of the note as a whole, of its pitch, or of its onset.
        chords : {"sum", "max", "mean"}
            What becomes of notes at one onset, see `note_ic_to_series`.
        """
        return self._series("surprisal", self.ics, kind, chords)

    def entropy(self, kind: str = "both", *, chords: str = "sum") -> FeatureSeries:
        """Return the entropy before each note, at its onset, in bits; see `surprisal`."""
        return self._series("entropy", self.entropies, kind, chords)

    def _series(self, what: str, values: dict[str, np.ndarray], kind: str, chords: str) -> FeatureSeries:
        _checks.one_of("kind", kind, values)
        name = what if kind == "both" else f"{kind} {what}"
        return note_ic_to_series(self.onsets, values[kind], name=name, chords=chords)


def read_idyom(
    path: str | os.PathLike[str], *, tempo: float | None = None, ticks_per_quarter: float = 24
) -> list[IdyomPiece]:
    r"""Read a table of notes written by the Lisp IDyOM (``.dat``).

    Parameters
    ----------
    path : path
        Columns separated by blanks, one header line, texts in double quotes, ``NA`` for what is missing.
    tempo : float, optional
        Quarter notes per minute. By default that of the table, whose column ``tempo`` holds microseconds per quarter.
    ticks_per_quarter : float
        Ticks of the columns ``onset`` and ``dur`` in a quarter note: IDyOM's time base is 96 to the whole note.

    Returns
    -------
    list of IdyomPiece
        In the order of the table.

    Raises
    ------
    ValueError
        Naming file, line and column, if a column is missing, a number cannot be read, an information content is not
        minus the binary logarithm of its probability, a joint one not the sum of its parts, or a distribution does not
        add up to 1 (within 0.002, which is what IDyOM's own tables need).

    Examples
    --------
    >>> import tempfile
    >>> header = "melody.id melody.name tempo cpitch dur onset cpitch.probability cpitch.information.content"
    >>> rows = ['1 "tune" 500000 60 24 0 0.5 1.0', '1 "tune" 500000 62 24 24 0.25 2.0']
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = Path(folder) / "tune.dat"
    ...     _ = table.write_text("\n".join([header + " cpitch.entropy", *[row + " 1.5" for row in rows]]))
    ...     (piece,) = read_idyom(table)
    >>> piece
    IdyomPiece('tune': 2 notes in 0.5 s, 1.50 (pitch) bits per note)
    >>> piece.surprisal("pitch").times
    array([0. , 0.5])
    """
    ticks_per_quarter = _checks.positive("ticks_per_quarter", ticks_per_quarter, "ticks")
    if tempo is not None:
        tempo = _checks.positive("tempo", tempo, "quarter notes per minute")
    table = _Table(Path(path))
    return [_piece(table, rows, tempo, ticks_per_quarter) for rows in table.pieces()]


class _Table:
    """The fields of a file as texts, and numbers from them on request."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open(encoding="utf-8", errors="replace") as file:
            lines = [(number, _FIELD.findall(line)) for number, line in enumerate(file, 1)]
        lines = [(number, fields) for number, fields in lines if fields]
        if len(lines) < 2:
            raise ValueError(f"{path}: expected a header and at least one note, got {len(lines)} lines with text.")
        self.columns = {name: column for column, name in enumerate(lines[0][1])}
        if len(self.columns) < len(lines[0][1]):
            raise ValueError(f"{path}, line {lines[0][0]}: expected each column once, got some name twice.")
        missing = [name for name in _NEEDED if name not in self.columns]
        self.targets = {k: v for k, v in _TARGETS.items() if f"{v}.information.content" in self.columns}
        if missing or not self.targets:
            missing = missing or ["cpitch.information.content"]
            raise ValueError(
                f"{path}, line {lines[0][0]}: expected the header of an IDyOM table of notes; it lacks "
                f"{_checks.listed(missing)}. Write the table with `:detail 2` or more."
            )
        for number, fields in lines[1:]:
            if len(fields) != len(self.columns):
                raise ValueError(
                    f"{path}, line {number}: expected {len(self.columns)} fields as in the header, got {len(fields)}. "
                    "The file may have been cut short: copy it again."
                )
        self.lines = [number for number, _ in lines[1:]]
        self.fields = [fields for _, fields in lines[1:]]

    def numbers(self, name: str, rows: np.ndarray) -> np.ndarray:
        """One column as float64; nothing may be missing."""
        if name not in self.columns:
            raise ValueError(f"{self.path}: expected a column {name!r}. Write the table with `:detail 2` or more.")
        values = np.empty(len(rows))
        for i, row in enumerate(rows):
            text = self.fields[row][self.columns[name]]
            try:
                values[i] = float(text)
            except ValueError:
                values[i] = np.nan
            if not np.isfinite(values[i]):
                raise self.fault(row, name, f"expected a number, got {text!r}")
        return values

    def fault(self, row: int, name: str, what: str) -> ValueError:
        return ValueError(f"{self.path}, line {self.lines[row]}, column {name!r}: {what}. Write the table again.")

    def check(self, name: str, rows: np.ndarray, wrong: np.ndarray, expected: np.ndarray, came: np.ndarray) -> None:
        """Refuse the first row that is wrong."""
        if wrong.any():
            i = int(np.argmax(wrong))
            raise self.fault(int(rows[i]), name, f"expected {expected[i]:.7g}, got {came[i]:.7g}")

    def pieces(self) -> Iterator[np.ndarray]:
        """Rows of each melody, in order of appearance."""
        found: dict[str, list[int]] = {}
        for row, fields in enumerate(self.fields):
            found.setdefault(fields[self.columns["melody.id"]], []).append(row)
        for rows in found.values():
            yield np.array(rows)

    def alphabet(self, target: str) -> dict[str, float]:
        """Columns of a distribution: ``cpitch.60`` and the like, with their numbers."""
        names = [name for name in self.columns if re.fullmatch(re.escape(target) + r"\.-?\d+(\.\d+)?", name)]
        return {name: float(name[len(target) + 1 :]) for name in names}


def _piece(table: _Table, rows: np.ndarray, tempo: float | None, ticks_per_quarter: float) -> IdyomPiece:
    ticks, pitches = table.numbers("onset", rows), table.numbers("cpitch", rows)
    table.check("cpitch", rows, pitches != np.round(pitches), np.round(pitches), pitches)
    back = np.diff(ticks, prepend=ticks[0]) < 0
    if back.any():
        raise table.fault(int(rows[np.argmax(back)]), "onset", "expected onsets that do not go back within a melody")
    ics, entropies, distributions, alphabets = {}, {}, {}, {}
    for kind, target in table.targets.items():
        ics[kind], entropies[kind] = _surprisal(table, rows, f"{target}."), table.numbers(f"{target}.entropy", rows)
        symbols = table.alphabet(target)
        if symbols:
            distributions[kind] = np.stack([table.numbers(name, rows) for name in symbols], axis=1)
            alphabets[kind] = np.array(list(symbols.values()))
            _check_distribution(table, rows, target, distributions[kind])
    if "information.content" in table.columns:
        ics["both"], entropies["both"] = _surprisal(table, rows, ""), table.numbers("entropy", rows)
        total = np.sum(list(ics[kind] for kind in table.targets), axis=0)
        wrong = np.abs(total - ics["both"]) > _BITS * (1 + total)
        table.check("information.content", rows, wrong, total, ics["both"])
    clock = _seconds_per_tick(table, rows, tempo, ticks_per_quarter)
    seconds = np.concatenate([[0.0], np.cumsum(np.diff(ticks) * clock[:-1])]) + ticks[0] * clock[0]
    return IdyomPiece(
        name=table.fields[rows[0]][table.columns["melody.name"]].strip('"'),
        ticks=ticks,
        onsets=seconds,
        durations=table.numbers("dur", rows) * clock,
        pitches=pitches.astype(np.int64),
        ics=ics,
        entropies=entropies,
        distributions=distributions,
        alphabets=alphabets,
    )


def _surprisal(table: _Table, rows: np.ndarray, prefix: str) -> np.ndarray:
    ic, p = (table.numbers(f"{prefix}{column}", rows) for column in ("information.content", "probability"))
    outside = (p <= 0) | (p > 1 + _BITS)
    table.check(f"{prefix}probability", rows, outside, np.clip(p, 1e-300, 1), p)
    bits = -np.log2(p)
    table.check(f"{prefix}information.content", rows, np.abs(ic - bits) > _BITS * (1 + bits), bits, ic)
    return ic


def _check_distribution(table: _Table, rows: np.ndarray, target: str, distribution: np.ndarray) -> None:
    total = distribution.sum(axis=1)
    table.check(f"{target}.*", rows, (np.abs(total - 1) > _SUM) | (distribution < 0).any(axis=1), total * 0 + 1, total)


def _seconds_per_tick(table: _Table, rows: np.ndarray, tempo: float | None, ticks_per_quarter: float) -> np.ndarray:
    if tempo is not None:
        return np.full(len(rows), 60 / tempo / ticks_per_quarter)
    try:
        microseconds = table.numbers("tempo", rows)
    except ValueError as error:
        raise ValueError(f"{error} Give `tempo`, in quarter notes per minute.") from None
    table.check("tempo", rows, microseconds <= 0, microseconds * 0 + 500000, microseconds)
    return microseconds / 1e6 / ticks_per_quarter
