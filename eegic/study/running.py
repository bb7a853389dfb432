"""A study is computed: stage after stage, unit by unit, on one processor or many, and told in rows."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, perf_counter, sleep
from types import FrameType
from typing import Any

from eegic import _checks
from eegic.study import provenance, results
from eegic.study.events import Events
from eegic.study.ground import LACKS, STAGES, Ground, Unit, code
from eegic.study.lock import Lock
from eegic.study.progress import Progress
from eegic.study.reading import Study
from eegic.study.rows import Outcome, Row
from eegic.study.stages import MODULES, features
from eegic.study.store import Store
from eegic.study.workers import chosen, one_thread, workers

_ONE = threading.Lock()  # warnings, threads of BLAS and figures are those of a process: it computes one unit at a time
_LATE = 60.0  # seconds after which an entry that was written on another machine should be seen
_IN_SETTINGS = {  # what library code calls its arguments, and where they stand in a study
    "Pass on_nan='mask'": 'Write on_nan = "mask" in [data]',
    "Pass missing='drop'": 'Write missing = "drop" in [data]',
    "or pass missing='drop'": 'or write missing = "drop" in [data]',
    "`codes`": "data.triggers",
    "Name the unit of the data, e.g. unit=": "Name the unit of the data, data.unit = ",
    "Pass on_nan='bridge'": "Write bridge = true in [preprocessing]",
    "pass tolerance=": "give a tolerance in [data]",
    "Complete `durations`": "Add the sound",
    "List it in `bads`": "List it in bad_channels of [preprocessing]",
}
_PER_PERSON = ("eeg", "tracking", "report")


@dataclass(frozen=True)
class _Job:
    """A unit on its way to a worker."""

    unit: Unit
    store: Path
    out: Path
    events: Path
    code: str  # where the run was begun; a worker that has another would write other numbers under this key


def run_study(
    study: Study,
    *,
    participants: Sequence[str] | None = None,
    stages: Sequence[str] | None = None,
    n_jobs: int = 1,
    backend: str = "auto",
    dask_address: str | None = None,
    force: bool = False,
    dry_run: bool = False,
    progress: bool = True,
) -> Outcome:
    """Compute what is not there yet of a study, and put its results together.

    Parameters
    ----------
    study : Study
        As `read_study` gives it.
    participants : sequence of str, optional
        Only these, by id; the group waits until all are there.
    stages : sequence of {"sounds", "features", "eeg", "tracking", "group", "report"}, optional
        Only these; what they need of others has to be there.
    n_jobs : int
        Units at a time; -1 for one per core. Results do not depend on it.
    backend : {"auto", "serial", "loky", "dask"}
        ``serial`` computes in this process, ``loky`` in others on this machine, ``dask`` in the workers of a Dask
        cluster, which see the same disk. ``auto`` is dask if there is an address, else loky for several jobs.
    dask_address : str, optional
        Of the scheduler, ``tcp://host:8786``; without one ``dask`` starts `n_jobs` workers on this machine.
    force : bool
        Compute what is there anew.
    dry_run : bool
        Say what would be computed, and compute nothing.
    progress : bool
        Show, in a terminal, what is running and how long it will take.

    Returns
    -------
    Outcome
        A row per unit.

    Raises
    ------
    Locked
        If another run is at work in the folder of the results.

    Notes
    -----
    A unit that fails is recorded, with its traceback in ``logs``, and those that do not need it go on. Every unit is
    computed with one thread, in whatever process, so that results are the same everywhere to the bit.

    Examples
    --------
    >>> import eegic as ei
    >>> outcome = ei.run_study(ei.read_study("study.toml"), n_jobs=2)  # doctest: +SKIP
    """
    asked = [_checks.one_of("stages", stage, STAGES) for stage in _several("stages", stages)]
    chosen(backend, n_jobs, dask_address)
    ground = Ground(study)
    people = [who.removeprefix("sub-") for who in _several("participants", participants)]
    for who in people:
        _checks.one_of("participants", who, ground.people)
    wanted = _Wanted(frozenset(f"sub-{who}" for who in people), tuple(asked) or STAGES)
    if dry_run:
        return Outcome(tuple(_looked(ground, wanted, force=force)), study.out)
    results.check_folder(ground)
    with _alone(study) as lock, _signals():
        events = Events(study.out / "logs" / "events.jsonl")
        events.path.parent.mkdir(parents=True, exist_ok=True)
        swept = ground.store.sweep() + results.sweep(study.out)
        settings = study.settings.model_dump(mode="json")
        record = provenance.collect(sys.argv, settings, {"seed": study.settings.run.seed}, {})
        events.note("run_started", stages=wanted.stages, backend=backend, took_over=lock.took_over, swept=len(swept))
        started = perf_counter()
        total = {stage: len(wanted.units(ground, stage)) for stage in wanted.stages}
        rows = []
        try:
            with (
                workers(backend, n_jobs, dask_address, ground.packages) as run,
                Progress(total, events.path, n_jobs=run.n_jobs, verbose=progress) as bar,
            ):
                for row in _computed(ground, wanted, run, force, events):
                    rows.append(row)
                    if row.error:
                        ground.faults[row.stage, row.label] = row.error
                    bar.finished(row)
        except KeyboardInterrupt:
            _note(events, "interrupted", units=len(rows))
            raise
        finally:
            with suppress(OSError):  # on a full disk files are read once more the next time
                ground.digests.save()
        outcome = Outcome(tuple(rows), study.out)
        faults = _taken_stock(ground, outcome)
        record["inputs"] = dict(sorted(ground.inputs.items()))
        seconds = round(perf_counter() - started, 3)
        results.publish(ground, faults, record, seconds=seconds, units=outcome.counts())
        _note(events, "run_finished", failed=len(outcome.failed), seconds=seconds)
    return outcome


def _several(name: str, values: Sequence[str] | None) -> Sequence[str]:
    """What was asked for, none meaning all; an empty list was meant for something else."""
    if isinstance(values, str) or (values is not None and not len(values)):
        raise ValueError(f"{name}: expected a list of some, or None for all, got {values!r}.")
    return values or ()


@contextmanager
def _alone(study: Study) -> Iterator[Lock]:
    """Keep other runs out of the folder of the results, and out of a store elsewhere."""
    with ExitStack() as stack:
        lock = stack.enter_context(Lock(study.out))
        if not study.store.is_relative_to(study.out):
            stack.enter_context(Lock(study.store))
        yield lock


def _taken_stock(ground: Ground, outcome: Outcome) -> dict[tuple[str, str], str]:
    """Look for everything of the study, also what was not asked for; what is not there for a reason, and the reason."""
    faults = {(row.stage, row.label): row.error for row in outcome.rows if row.error}
    failed = {(row.stage, row.label) for row in outcome.failed}
    tried = {(row.stage, row.label) for row in outcome.rows}
    before = results.last_failures(outcome.folder)
    for stage in STAGES:
        for unit in MODULES[stage].units(ground):
            place = stage, unit.label
            if place in ground.entries or _there(ground, unit) is not None:
                if place in failed:
                    faults[place] = f"{faults[place]} The former result stands."
            elif unit.fault and not _waits(unit):
                faults.setdefault(place, unit.fault)
            elif place in before and place not in tried and LACKS not in before[place]:
                faults[place] = before[place]
    return faults


def _waits(unit: Unit) -> bool:
    """Whether a unit lacks nothing but others."""
    return LACKS in unit.fault


@dataclass(frozen=True)
class _Wanted:
    """What was asked for."""

    people: frozenset[str]  # empty for everybody
    stages: tuple[str, ...]

    def units(self, ground: Ground, stage: str) -> list[Unit]:
        """Units of a stage that were asked for."""
        units: list[Unit] = MODULES[stage].units(ground)
        if not self.people or stage in ("sounds", "features"):
            return units
        return [unit for unit in units if unit.label in self.people] if stage in _PER_PERSON else []


def looked(ground: Ground, *, content: bool = False) -> Iterator[Row]:
    """What a run would do; the content of entries is read only if asked."""
    return _looked(ground, _Wanted(frozenset(), STAGES), force=False, content=content)


def _looked(ground: Ground, wanted: _Wanted, *, force: bool, content: bool = False) -> Iterator[Row]:
    for stage in STAGES:
        asked = stage in wanted.stages
        for unit in wanted.units(ground, stage) if asked else MODULES[stage].units(ground):
            state = "to do" if _there(ground, unit, content=content) is None or (force and asked) else "cached"
            if asked:
                yield Row(unit.stage, unit.label, state, error=unit.fault)


def _there(ground: Ground, unit: Unit, *, content: bool = True) -> object:
    """The entry of a unit, which the ground then knows, too."""
    entry = ground.store.find(unit.stage, unit.label, unit.key, content=content) if unit.key else None
    if entry is not None:
        ground.entries[unit.stage, unit.label] = entry
    return entry


def _computed(ground: Ground, wanted: _Wanted, run: Any, force: bool, events: Events) -> Iterator[Row]:
    """Go through the stages; each begins when the one before has ended."""
    for stage in STAGES:
        asked = stage in wanted.stages
        todo: list[_Job] = []
        for unit in wanted.units(ground, stage) if asked else MODULES[stage].units(ground):
            with _heard(events, unit):
                there = _there(ground, unit)
            if unit.fault and asked:
                yield _given_up(ground, unit, events)
            elif asked and (there is None or force):
                todo.append(_Job(unit, ground.store.root, ground.study.out, events.path, code(stage)))
            elif asked:
                yield Row(stage, unit.label, "cached")
        became = {}
        for row in run(perform, todo, alone=stage == "features" and ground.uses_gpu):
            became[row.label] = row.status
            if row.status == "crashed":  # nobody was left to note it
                _note_end(events, row)
            yield row
        yield from _unseen(ground, todo, became, events)


def _unseen(ground: Ground, jobs: Sequence[_Job], rows: Mapping[str, str], events: Events) -> Iterator[Row]:
    """Find what workers have made. On a network disk another machine's folders may appear some time later, or never."""
    until = monotonic() + _LATE
    for job in jobs:
        made = rows.get(job.unit.label) == "ok"
        while (there := _there(ground, job.unit)) is None and made and monotonic() < until:
            sleep(0.5)
        if there is None and made:
            place = ground.store.path(job.unit.stage, job.unit.label, job.unit.key)
            error = f"a worker has written {place}, which cannot be seen from here. Let all see the same disk."
            row = Row(job.unit.stage, job.unit.label, "failed", error=error)
            _note_end(events, row)
            yield row


def _given_up(ground: Ground, unit: Unit, events: Events) -> Row:
    """A unit that cannot be tried: for its own input, or because of another unit."""
    status = "skipped" if _waits(unit) else "failed"
    row = Row(unit.stage, unit.label, status, error=unit.fault)
    _note_end(events, row)
    return row


def _note_end(events: Events, row: Row) -> None:
    told = {"stage": row.stage, "label": row.label, "status": row.status, "seconds": row.seconds, "error": row.error}
    _note(events, "unit_finished", **told)


def _note(events: Events, event: str, **fields: object) -> None:
    """Note something; a log that cannot be written stops no run."""
    with suppress(OSError):
        events.note(event, **fields)


@contextmanager
def _heard(events: Events, unit: Unit) -> Iterator[None]:
    """What is said about damaged entries goes to the log as well."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for one in caught:
        _note(events, "warning", stage=unit.stage, label=unit.label, message=str(one.message))
        warnings.warn(str(one.message), stacklevel=3)


def perform(job: _Job) -> Row:
    """Compute a unit, in whatever process, and say what became of it; nothing is raised."""
    with _ONE:
        return _performed(job)


def _performed(job: _Job) -> Row:
    unit, events = job.unit, Events(job.events)
    _note(events, "unit_started", stage=unit.stage, label=unit.label)
    started = perf_counter()
    about: dict[str, Any] = {}
    row = Row(unit.stage, unit.label, "ok")
    try:
        with one_thread(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if code(unit.stage) != job.code:
                raise RuntimeError("this worker has another eegic than the run. Start workers from one environment.")
            with Store(job.store).write(unit.stage, unit.label, unit.key, about) as draft:
                about |= MODULES[unit.stage].compute(unit.given, draft)
                unit.check_files()
                about["warnings"] = sorted({_worded(str(one.message)) for one in caught if _matters(one)})
                about["versions"] = results.versions()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # also what libraries in other languages raise
        features.forget()
        row = Row(unit.stage, unit.label, "failed", error=_told(error), log=_kept(job, traceback.format_exc()))
    row = replace(row, seconds=round(perf_counter() - started, 3))
    _note_end(events, row)
    return row


def _matters(warning: warnings.WarningMessage) -> bool:
    """Whether a warning is for the user rather than for those who write programs."""
    return not issubclass(warning.category, (DeprecationWarning, PendingDeprecationWarning, ImportWarning))


def _told(error: BaseException) -> str:
    """An error in words of the study; of one whose words alone say too little, with its kind."""
    text = _worded(str(error).strip())
    return text if text and isinstance(error, (ValueError, OSError, TypeError)) else f"{type(error).__name__}: {text}"


def _worded(text: str) -> str:
    """What library code says of its arguments, in words of the study."""
    for argument, setting in _IN_SETTINGS.items():
        text = text.replace(argument, setting)
    return text


def _kept(job: _Job, text: str) -> str:
    """File that holds a traceback, below the folder of the results."""
    name = f"{Store(job.store).path(job.unit.stage, job.unit.label, job.unit.key).name}.txt"
    path = job.out / "logs" / job.unit.stage / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError:  # a full disk, say, which the row tells about
        return ""
    return path.relative_to(job.out).as_posix()


@contextmanager
def _signals() -> Iterator[None]:
    """End on SIGTERM as on Ctrl-C: nothing half written, the lock released."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
