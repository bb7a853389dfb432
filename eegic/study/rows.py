"""What became of the units of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

_DEATHS = ("TerminatedWorkerError", "BrokenProcessPool", "KilledWorker")
_STATES = ("ok", "cached", "to do", "skipped", "failed", "crashed")


@dataclass(frozen=True)
class Row:
    """What became of a unit.

    Attributes
    ----------
    stage, label : str
    status : {"ok", "cached", "to do", "skipped", "failed", "crashed"}
        ``cached``: it was there. ``skipped``: what it needs is not there. ``crashed``: its process ended with it.
    seconds : float
        Of computing.
    error : str
        Empty where all went well.
    log : str
        File with the traceback, below the folder of the results.
    """

    stage: str
    label: str
    status: str
    seconds: float = 0.0
    error: str = ""
    log: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a run did.

    Attributes
    ----------
    rows : tuple of Row
    folder : Path
        Of the results.
    """

    rows: tuple[Row, ...]
    folder: Path

    @property
    def failed(self) -> tuple[Row, ...]:
        """Units that are not there, although they were wanted."""
        return tuple(row for row in self.rows if row.status in ("failed", "crashed", "skipped"))

    def counts(self) -> dict[str, dict[str, int]]:
        """How many units of each stage are in which state."""
        table: dict[str, dict[str, int]] = {}
        for row in self.rows:
            own = table.setdefault(row.stage, {})
            own[row.status] = own.get(row.status, 0) + 1
        return table

    def __str__(self) -> str:
        """A line per stage."""
        lines = [f"{'stage':<10} {'':<44} seconds"]
        for stage, counts in self.counts().items():
            told = ", ".join(f"{counts[state]} {_SAID.get(state, state)}" for state in _STATES if state in counts)
            seconds = sum(row.seconds for row in self.rows if row.stage == stage)
            lines.append(f"{stage:<10} {told:<44} {seconds:>7.1f}")
        return "\n".join(lines)


_SAID = {"ok": "computed", "cached": "there already"}


def crashed(job: Any, why: BaseException) -> Row:
    """The row of a job whose process did not live to write it, or could not begin."""
    kind = type(why).__name__
    if kind not in _DEATHS:
        return Row(job.unit.stage, job.unit.label, "failed", error=f"{kind}: {why}")
    advice = "its process was ended from outside or ran out of memory. Take fewer jobs at a time (--n-jobs)"
    return Row(job.unit.stage, job.unit.label, "crashed", error=f"{kind}: {advice}.")
