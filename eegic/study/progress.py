"""How far a run is: in a terminal a bar, the time left and what runs just now; elsewhere a line now and then."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from eegic import _checks
from eegic.study.events import Tail
from eegic.study.rows import Row
from eegic.study.terminal import Screen, fitted, printable, redraws, write
from eegic.study.work import Work, failed

_EVERY = 0.5  # seconds from one drawing to the next
_PAUSE = 60.0  # seconds from one line to the next, where there is no terminal
_MOST_UNITS = 8  # lines
_BAR = 30  # characters, where there is room; none where it would be shorter than 5
_STATES = {"ok": "computed", "cached": "there already", "skipped": "skipped", "failed": "failed", "crashed": "crashed"}
_KINDS = {"sounds": "sounds", "eeg": "participants", "tracking": "participants"}


class Progress:
    """Shows a run while its ``with`` block lasts, and says after each stage what failed.

    Parameters
    ----------
    total : mapping of str to int
        Units of each stage, in the order in which stages come.
    events_path : path
        The log of the run, `eegic.study.events.Events`: it tells what runs just now, in any process.
    n_jobs : int
        Units that run at a time.
    stream : text stream, optional
        Standard error by default. Where it is no terminal, a line is written when a stage begins and when it ends, and
        at most one a minute in between.
    verbose : bool
        Write at all.

    Notes
    -----
    The time left is that of the units left, each as long as the mean of those of its stage that were computed without
    failing, over `n_jobs`. Before one of a stage has ended, its time is not known: "more than".

    Units of a stage that failed for one reason share a line; so do those of a stage that wait for others.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> row = SimpleNamespace(stage="tracking", label="sub-03", status="failed", seconds=0, error="ValueError: no EEG")
    >>> with Progress({"tracking": 1}, "events.jsonl", stream=sys.stdout) as progress:
    ...     progress.finished(row)
    tracking ends after 0:00: 1 failed
    failed: tracking sub-03: ValueError: no EEG
    """

    def __init__(
        self,
        total: Mapping[str, int],
        events_path: str | os.PathLike[str],
        *,
        n_jobs: int = 1,
        stream: TextIO | None = None,
        verbose: bool = True,
    ) -> None:
        self._work = Work(total, n_jobs)
        self._stream = sys.stderr if stream is None else stream
        self._verbose = verbose
        self._screen = Screen(self._stream) if verbose and redraws(self._stream) else None
        self._diary = _Diary()
        self._stage = ""  # of the row that came last, until its stage is over
        self._events = Path(events_path)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._show_warning: Callable[..., None] = warnings.showwarning

    def __enter__(self) -> Progress:
        self._work.begin()
        self._diary.begin()
        if self._verbose:
            tail = Tail(self._events, from_end=True)  # what stands there is of earlier runs
            self._thread = threading.Thread(target=self._watch, args=(tail,), name="progress", daemon=True)
            self._thread.start()
        if self._screen is not None:
            self._show_warning, warnings.showwarning = warnings.showwarning, self._warned
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            self._end_stage(whole=kind is None)
            if self._screen is not None:
                self._screen.draw([])
                warnings.showwarning = self._show_warning

    def finished(self, row: Row) -> None:
        """Count a unit, whatever became of it: ``"ok"``, ``"cached"``, ``"skipped"``, ``"failed"`` or ``"crashed"``."""
        with self._lock:
            if row.stage != self._stage:
                self._end_stage()
            self._stage = row.stage
            self._work.finished(row)
            if self._work.is_over(row.stage):
                self._end_stage()

    def _end_stage(self, *, whole: bool = True) -> None:
        """Say what became of the stage of which rows have come; of one that was stopped, only what failed."""
        stage, self._stage = self._stage, ""
        rows = self._work.rows[stage]
        if stage and whole and self._screen is None:
            self._say(self._diary.end(stage, rows))
        for line in (*_failures(stage, rows), _waiting(stage, rows)):
            self._say(line)

    def _say(self, text: str) -> None:
        """Write a line that stays, above the bar if there is one."""
        line = printable(text, self._stream)
        if line and self._screen is not None:
            self._screen.draw(self._shown(self._screen), above=line)
        elif line and self._verbose:
            write(self._stream, line + "\n")

    def _warned(self, *message: Any, **where: Any) -> None:
        """Show a warning where the bar was; the next drawing brings the bar back, below it."""
        with self._lock:
            if self._screen is not None:
                self._screen.draw([])
            self._show_warning(*message, **where)

    def _watch(self, tail: Tail) -> None:
        """Draw until the run is over; what a file or a terminal refuses is tried again: showing must not stop a run."""
        while not self._over.wait(_EVERY):
            try:
                events = tail.new()
            except OSError:
                events = []
            with self._lock:
                self._work.learn(events)
                if self._screen is not None:
                    self._screen.draw(self._shown(self._screen))
                else:
                    self._say(self._diary.news(self._work))

    def _shown(self, screen: Screen) -> list[str]:
        width, height = screen.size
        units = [(printable(text, screen.stream), seconds) for text, seconds in self._work.running()]
        news = self._news()
        shown = units[: max(0, min(_MOST_UNITS, height - 3 - len(news)))]
        lines = [_bar(self._work, width), *(f"  {printable(line, screen.stream)}" for line in news)]
        for text, seconds in shown:
            passed = f"  {_clock(seconds)}"
            lines.append(fitted(f"  {text}", width - len(passed)) + passed)
        if len(units) > len(shown):
            lines.append(f"  and {len(units) - len(shown)} more")
        return [fitted(line, width) for line in lines[:height]]

    def _news(self) -> list[str]:
        """Lines below the bar: that processes start, and what failed last in a stage that goes on."""
        work = self._work
        starts = work.n_jobs > 1 and not work.stage and work.done < work.total
        lost = [row for row in work.rows[self._stage] if failed(row)][-1:]
        lines = [f"starting {work.n_jobs} processes"] if starts else []
        return [*lines, *(_failure(row.stage, [row]) for row in lost)]


class _Diary:
    """What is written where lines stay: when a stage begins, now and then, and when it ends."""

    def __init__(self) -> None:
        self._begun: set[str] = set()
        self.begin()

    def begin(self) -> None:
        self._since = self._last = time.monotonic()  # the end of the stage before, and the last line
        self._done = 0

    def news(self, work: Work) -> str:
        """The line that is due, if any."""
        stage, now = work.stage, time.monotonic()
        if not stage or work.is_over(stage):
            return ""
        if stage in self._begun and (now - self._last < _PAUSE or work.done == self._done):
            return ""
        self._last, self._done = now, work.done
        if stage not in self._begun:
            self._begun.add(stage)
            cached = sum(row.status == "cached" for row in work.rows[stage])
            there = f", {cached} there already" if cached else ""
            return f"{stage} begins: {work.units[stage]} unit{'s' * (work.units[stage] != 1)}{there}"
        words = [f"{stage} {len(work.rows[stage])} of {work.units[stage]}", work.left(_minutes)]
        return ", ".join(filter(None, [*words, f"{work.failed} failed" if work.failed else ""]))

    def end(self, stage: str, rows: Sequence[Row]) -> str:
        """The line for the end of a stage; none where nothing was tried."""
        seconds, self._since = time.monotonic() - self._since, time.monotonic()
        states = [row.status for row in rows]
        if not {"ok", "failed", "crashed"} & set(states):
            return ""
        told = ", ".join(f"{states.count(state)} {words}" for state, words in _STATES.items() if state in states)
        return f"{stage} ends after {_clock(seconds)}: {told}"


def _failures(stage: str, rows: Sequence[Row]) -> list[str]:
    """Lines for what failed, one per reason; reasons that differ by the name of the unit only are one."""
    reasons = Counter(row.error for row in rows)
    alike: dict[str, list[Row]] = {}
    for row in filter(failed, rows):
        reason = row.error or ""
        alike.setdefault(reason if reasons[reason] > 1 else reason.replace(row.label, "*"), []).append(row)
    return [_failure(stage, some) for some in alike.values()]


def _failure(stage: str, rows: Sequence[Row]) -> str:
    reason = rows[0].error or "no reason given"
    if len(rows) == 1:
        return f"{rows[0].status}: {_named(rows[0])}: {reason}"
    names = f"{len(rows)} {_KINDS.get(stage, 'units')} ({_checks.listed(row.label for row in rows)})"
    first = "" if all(row.error == rows[0].error for row in rows) else ", the first"
    return f"{rows[0].status}: {stage}: {names}{first}: {reason}"


def _named(row: Row) -> str:
    return row.stage if row.label == row.stage else f"{row.stage} {row.label}"


def _waiting(stage: str, rows: Sequence[Row]) -> str:
    """A line for what waits for others; of a single unit in its own words, which may hold advice."""
    waiting = [row for row in rows if row.status == "skipped"]
    if len(waiting) == 1:
        return f"skipped: {_named(waiting[0])}: {waiting[0].error}"
    others = dict.fromkeys(name for row in waiting for name in re.findall(r"\((\w+)\)'", row.error or ""))
    return f"skipped: {stage}: {len(waiting)} wait for {', '.join(others) or 'others'}" if waiting else ""


def _bar(work: Work, width: int) -> str:
    """The bar and what it means; where there is little room, without what matters least."""
    units, passed, left = f"{work.done}/{work.total} units", f"{_clock(work.passed)} passed", work.left(_clock)
    lost = f"{work.failed} failed" if work.failed else ""
    versions = ([units, passed, left, lost], [units, left, lost], [units, lost], [units])
    texts = [", ".join(filter(None, words)) for words in versions]
    text = next((text for text in texts if len(text) <= width), texts[-1])
    room = min(_BAR, width - len(text) - 3)
    full = round(room * min(1.0, work.done / max(1, work.total)))
    full = min(full, room - (work.done < work.total))  # full is over
    return f"[{'#' * full}{'-' * (room - full)}] {text}" if room >= 5 else text


def _clock(seconds: float) -> str:
    """Seconds as 0:05, 12:05 or 1:12:05."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def _minutes(seconds: float) -> str:
    """Seconds as 5 min, or 1 h 12 min."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
