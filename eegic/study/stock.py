"""What of a study is there, for people; and what lies in its store for nothing."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace

from eegic.study.ground import LACKS, STAGES, Ground
from eegic.study.lock import Lock, holder
from eegic.study.reading import Study
from eegic.study.results import last_failures
from eegic.study.rows import Row
from eegic.study.running import looked


def stock(study: Study) -> str:
    """Lines for a terminal: a row per participant, counts of the rest, and what stands in the way."""
    ground = Ground(study)
    last = last_failures(study.out)
    rows = [_with_reason(row, last) for row in looked(ground)]
    lines = [f"{study.settings.name}: {study.file} -> {study.out}", *_at_work(study), ""]
    lines.append(f"{'':<12} {'there':>6} {'to do':>6}   what stands in the way")
    lines += [_line(stage, [row for row in rows if row.stage == stage]) for stage in STAGES]
    people = [f"sub-{who}" for who in ground.people]
    lines += ["", f"{'participant':<12} eeg  tracking  report"]
    lines += [_person(who, {row.stage: row for row in rows if row.label == who}) for who in people]
    lines += [f"sub-{who:<8} excluded: {why}" for who, why in ground.excluded.items()]
    idle = ground.store.unused(_keys(ground))
    size = sum(ground.store.size(path) for path in idle)
    if idle:
        lines += [
            "",
            f"{len(idle)} entries of other settings, {size / 1e6:.1f} MB: `eegic status --prune` deletes them.",
        ]
    return "\n".join(lines)


def prune(study: Study) -> tuple[int, int]:
    """Delete entries that the study as it is now does not use; how many, and their bytes."""
    if not study.store.is_dir():
        return 0, 0
    if study.settings.output.store is not None:
        raise ValueError(
            f"--prune: {study.store} is named in output.store, so other studies may keep entries there. Delete it as a "
            "whole when none needs it; what is used again is computed again."
        )
    with Lock(study.out):
        ground = Ground(study)
        faults = [row for row in looked(ground) if row.error and LACKS not in row.error]
        if faults:  # a disk that is not connected, say: what was computed from its files is wanted again tomorrow
            raise ValueError(
                f"--prune: {faults[0].stage} {faults[0].label}: {faults[0].error} What was computed from it would be "
                "deleted, so nothing is. Mend it, or take it out of the study."
            )
        idle = ground.store.unused(_keys(ground))
        size = sum(ground.store.size(path) for path in idle)
        for path in idle:
            shutil.rmtree(path)
    return len(idle), size


def _at_work(study: Study) -> list[str]:
    """Who runs the study just now, or did and was killed."""
    found = holder(study.out)
    if found is None:
        return []
    who, fate = found
    told = f"process {who['pid']} on {who['host']}, since {who['started'][:19]} UTC"
    if fate == "alive":
        return [f"A run is at work: {told}."]
    if fate == "unseen":
        return [f"A run is at work, or was: {told}. Whether it still is can be seen on {who['host']} only."]
    return [f"The last run did not come to its end: {told} ({fate}). `eegic run` goes on from there."]


def _with_reason(row: Row, last: Mapping[tuple[str, str], str]) -> Row:
    """What is to do and did not work, with what was said then."""
    reason = last.get((row.stage, row.label))
    if row.status == "cached" or row.error or reason is None:
        return row
    return replace(row, error=f"last time: {reason}")


def _keys(ground: Ground) -> list[tuple[str, str]]:
    return [(stage, entry.key) for (stage, _), entry in ground.entries.items()]


def _line(stage: str, rows: list[Row]) -> str:
    there = sum(row.status == "cached" for row in rows)
    faults = [row.error for row in rows if row.error and LACKS not in row.error]
    if not faults and any(row.error for row in rows):
        faults = ["waits for the stages before"]
    first = f"{faults[0]}{f' (and {len(faults) - 1} more)' if len(faults) > 1 else ''}" if faults else ""
    return f"{stage:<12} {there:>6} {len(rows) - there:>6}   {first}".rstrip()


def _person(who: str, rows: dict[str, Row]) -> str:
    marks = {stage: "yes" if rows[stage].status == "cached" else "-" for stage in rows}
    return f"{who:<12} {marks.get('eeg', ''):<4} {marks.get('tracking', ''):<9} {marks.get('report', '')}".rstrip()
