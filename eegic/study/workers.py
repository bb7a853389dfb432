"""Processes that compute: this one, others on this machine (joblib), or those of a Dask cluster."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib import import_module
from time import sleep
from typing import Any

from eegic import _checks
from eegic.study.cluster import Cluster, cluster, own_environment
from eegic.study.rows import crashed

BACKENDS = ("auto", "serial", "loky", "dask")


class Workers:
    """Maps a function over jobs and yields rows as they come.

    Parameters
    ----------
    backend : {"serial", "loky", "dask"}
    n_jobs : int
        Jobs at a time.
    packages : sequence of str
        What processes load before their first job.
    cluster : Cluster
        For ``dask``.
    """

    def __init__(self, backend: str, n_jobs: int, packages: Sequence[str] = (), cluster: Cluster | None = None) -> None:
        self.backend, self.n_jobs, self.packages, self.cluster = backend, n_jobs, tuple(packages), cluster

    def __call__(self, function: Callable[[Any], Any], jobs: Sequence[Any], *, alone: bool = False) -> Iterator[Any]:
        """Rows of `function` in the order in which jobs end.

        Parameters
        ----------
        function : callable
            Of the top of a module; it returns a row and does not raise.
        jobs : sequence
        alone : bool
            Compute in this process, one after the other: what takes a GPU for itself.
        """
        if self.cluster is not None:
            return self.cluster(function, jobs)
        return (self._here if alone or self.backend == "serial" else self._in_processes)(function, jobs)

    def _here(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[Any]:
        if jobs:
            _import(self.packages)  # before units are held to one thread: torch asks for its own when it is loaded
        yield from map(function, jobs)

    def _in_processes(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[Any]:
        left = list(jobs)
        try:
            for row in self._parallel(function, jobs):
                left = [job for job in left if (job.unit.stage, job.unit.label) != (row.stage, row.label)]
                yield row
            return
        except Exception as error:  # of many kinds: a worker died, and took with it what was under way
            warnings.warn(
                f"A process was lost ({type(error).__name__}); what was under way begins again.", stacklevel=2
            )
        begun = 3 * self.n_jobs  # no more than that can have been
        yield from self._in_processes(function, left[begun:])
        for job in left[:begun]:  # each in a fresh pool: if that dies, too, it is the job
            try:
                yield from self._parallel(function, [job])
            except Exception as error:
                yield crashed(job, error)

    def _parallel(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[Any]:
        from joblib import Parallel, delayed, parallel_config

        if not jobs:
            return
        options: Any = {"inner_max_num_threads": 1, "initializer": _load, "initargs": (self.packages, os.getpid())}
        with parallel_config(backend="loky", n_jobs=self.n_jobs, **options), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "A worker stopped")  # loky replaces one that has grown, say by a model
            yield from Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="all")(
                delayed(function)(job) for job in jobs
            )


def chosen(backend: str, n_jobs: int, address: str | None) -> tuple[str, int]:
    """What "auto" and -1 mean; refuse what does not go together."""
    _checks.one_of("backend", backend, BACKENDS)
    n_jobs = (os.cpu_count() or 1) if n_jobs == -1 else _checks.count("n_jobs", n_jobs)
    if backend == "auto":
        backend = "dask" if address is not None else "loky" if n_jobs > 1 else "serial"
    if address is not None and backend != "dask":
        raise ValueError(f"dask_address: goes with backend='dask', got {backend!r}.")
    return backend, n_jobs


@contextmanager
def workers(backend: str, n_jobs: int, address: str | None, packages: Sequence[str] = ()) -> Iterator[Workers]:
    """Start what computes, and end it afterwards."""
    backend, n_jobs = chosen(backend, n_jobs, address)
    if backend != "dask":
        with _own_processes() if backend == "loky" else nullcontext():
            yield Workers(backend, n_jobs, packages)
        return
    with cluster(address, n_jobs) as found:
        yield Workers(backend, found.n_jobs, packages, found)


@contextmanager
def _own_processes() -> Iterator[None]:
    """End processes with the run. What loky says to itself when it is interrupted need not frighten people."""
    from joblib.externals import loky

    hook = threading.excepthook

    def heard(what: Any) -> None:
        if what.thread is None or "ExecutorManager" not in what.thread.name:
            hook(what)

    own = "ignore:resource_tracker:UserWarning"  # in the process that tidies up behind the others
    threading.excepthook = heard
    interrupted = False
    try:
        with own_environment():
            os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), own)))
            yield
        loky.get_reusable_executor(reuse=True).shutdown(kill_workers=True)  # else they keep their memory for minutes
    except KeyboardInterrupt:
        interrupted = True  # the threads of loky end with the program
        raise
    finally:
        if not interrupted:
            threading.excepthook = hook


def _load(packages: Sequence[str], parent: int) -> None:
    """Load packages before the first job: loky takes a process that grows later for one that leaks, and ends it.

    Ctrl-C reaches all processes of a terminal; what it means, the main one says. If that is killed, the others end.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.name == "posix":
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    _import(packages)


def _end_after(parent: int) -> None:
    while os.getppid() == parent:
        sleep(0.5)
    os._exit(1)


def _import(packages: Sequence[str]) -> None:
    for name in packages:
        import_module(name)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread, as everywhere: sums then come in one order."""
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    with threadpool_limits(1):
        if torch:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)
