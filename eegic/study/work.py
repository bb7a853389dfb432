"""What of a run is done, what runs just now, and how long the rest will take."""

from __future__ import annotations

import os
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from eegic import _checks
from eegic.study.rows import Row


class _Unit(NamedTuple):
    stage: str
    since: float
    host: str
    pid: int


class Work:
    """What is done, what runs and what is left.

    Parameters
    ----------
    total : mapping of str to int
        Units of each stage.
    n_jobs : int
        Units that run at a time.
    """

    def __init__(self, total: Mapping[str, int], n_jobs: int) -> None:
        self.units = {stage: _checks.count("total", count, minimum=0) for stage, count in total.items()}
        self.rows: defaultdict[str, list[Row]] = defaultdict(list)
        self.n_jobs = _checks.count("n_jobs", n_jobs)
        self.stage = ""  # of which a unit began last
        self._running: dict[tuple[str, str], _Unit] = {}
        self._ended: set[tuple[str, str]] = set()
        self._start = time.monotonic()

    def begin(self) -> None:
        """Count the time from now on."""
        self._start = time.monotonic()

    @property
    def passed(self) -> float:
        """Seconds since the begin."""
        return time.monotonic() - self._start

    @property
    def total(self) -> int:
        """Units in all."""
        return sum(self.units.values())

    @property
    def done(self) -> int:
        """Units of which is known what became of them."""
        return sum(map(len, self.rows.values()))

    @property
    def failed(self) -> int:
        """Units that failed."""
        return sum(failed(row) for rows in self.rows.values() for row in rows)

    def is_over(self, stage: str) -> bool:
        """Whether nothing of a stage is left."""
        return len(self.rows[stage]) >= self.units.get(stage, 0)

    def finished(self, row: Row) -> None:
        """Count a unit."""
        self.rows[row.stage].append(row)
        self._ended.add((row.stage, row.label))
        self._running.pop((row.stage, row.label), None)
        if row.status in ("ok", "crashed"):
            self.stage = row.stage

    def learn(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Take in which units began and ended; a row may come before the log tells that its unit began."""
        for event in events:
            unit = str(event.get("stage")), str(event.get("label"))
            if event["event"] == "unit_finished":
                self._running.pop(unit, None)
            elif event["event"] == "unit_started" and unit not in self._ended:
                host, pid = str(event.get("host")), event.get("pid")
                self._running[unit] = _Unit(unit[0], time.monotonic(), host, pid if isinstance(pid, int) else 0)
                self.stage = unit[0]

    def running(self) -> list[tuple[str, float]]:
        """Name and seconds of the units that run, the longest first; those of a process that is gone do not."""
        self._running = {name: unit for name, unit in self._running.items() if _lives(unit)}
        now = time.monotonic()
        units = [(f"{stage} {label}", now - unit.since) for (stage, label), unit in self._running.items()]
        return sorted(units, key=lambda unit: -unit[1])

    def left(self, told: Callable[[float], str]) -> str:
        """The time that is left, in words of `told`; none where there is nothing to say."""
        waiting = {stage: n - len(self.rows[stage]) for stage, n in self.units.items() if not self.is_over(stage)}
        mean = {stage: self._mean(stage) for stage in waiting}
        known = {stage: count for stage, count in waiting.items() if mean[stage] is not None}
        seconds = sum(count * (mean[stage] or 0.0) for stage, count in known.items())
        for unit in self._running.values():
            seconds -= min(time.monotonic() - unit.since, mean.get(unit.stage) or 0.0)
        words = told(max(0.0, seconds) / max(1, min(self.n_jobs, sum(known.values()))))
        if words == told(0.0):
            return ""
        return f"{'about' if known == waiting else 'more than'} {words} left"

    def _mean(self, stage: str) -> float | None:
        """Seconds of a unit of a stage, of those that went well."""
        seconds = [row.seconds for row in self.rows[stage] if row.status == "ok" and row.seconds is not None]
        return sum(seconds) / len(seconds) if seconds else None


def failed(row: Row) -> bool:
    """Whether a unit failed, rather than waits for others."""
    return row.status in ("failed", "crashed")


def _lives(unit: _Unit) -> bool:
    """Whether the process of a unit is there, as far as that can be seen from this machine."""
    if unit.host != platform.node() or unit.pid <= 0 or os.name != "posix":
        return True
    try:
        os.kill(unit.pid, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except OSError:
        return True  # of another user
    return True
