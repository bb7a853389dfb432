"""Processes that compute: this one, others on this machine (joblib), or those of a Dask cluster."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from importlib import import_module
from time import monotonic, sleep
from typing import Any

from eegic import _checks
from eegic.study.rows import Row

BACKENDS = ("auto", "serial", "loky", "dask")
_DEATHS = ("TerminatedWorkerError", "BrokenProcessPool", "KilledWorker")
_ROUND = 20.0  # seconds between looks at the workers of a cluster; Dask gives one up after 15
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Workers:
    """Maps a function over jobs and yields rows as they come.

    Parameters
    ----------
    backend : {"serial", "loky", "dask"}
    n_jobs : int
        Jobs at a time.
    packages : sequence of str
        What processes load before their first job.
    client : distributed.Client
        Of a Dask cluster.
    """

    def __init__(self, backend: str, n_jobs: int, packages: Sequence[str] = (), client: Any = None) -> None:
        self.backend, self.n_jobs, self.packages, self.client = backend, n_jobs, tuple(packages), client
        self._told = False

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
        if self.backend == "serial" or (alone and self.backend == "loky"):
            return map(function, jobs)
        return self._in_cluster(function, jobs) if self.backend == "dask" else self._in_processes(function, jobs)

    def _in_processes(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[Any]:
        left = list(jobs)
        try:
            for row in self._parallel(function, jobs):
                left = [job for job in left if (job.unit.stage, job.unit.label) != (row.stage, row.label)]
                yield row
            return
        except Exception:  # of many kinds: a worker died, and took the batch with it
            pass
        for job in left:  # each in a fresh pool: if that dies, too, it is the job
            try:
                yield from self._parallel(function, [job])
            except Exception as error:
                yield _crashed(job, error)

    def _parallel(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[Any]:
        from joblib import Parallel, delayed, parallel_config

        if not jobs:
            return
        options: Any = {"inner_max_num_threads": 1, "initializer": _load, "initargs": (self.packages,)}
        with parallel_config(backend="loky", n_jobs=self.n_jobs, **options), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "A worker stopped")  # loky replaces one that has grown, say by a model
            yield from Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="all")(
                delayed(function)(job) for job in jobs
            )

    def _in_cluster(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[Any]:
        """Through Dask's own futures: joblib waits for ever for a job that ends its worker again and again."""
        if not jobs:
            return
        as_completed: Any = import_module("distributed").as_completed

        def ended(some: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
            submitted = {self.client.submit(function, job, pure=False): job for job in some}
            waiting, looked = as_completed(submitted), monotonic()
            while waiting.count():
                for future in waiting.next_batch(block=False):
                    yield submitted[future], future
                if monotonic() - looked > _ROUND:
                    self._keep_up()
                    looked = monotonic()
                sleep(0.05)

        unclear = []
        for job, future in ended(jobs):
            if future.status == "finished":
                yield future.result()
            else:
                unclear.append(job)  # it may have died with another
        for alone in unclear:
            for job, future in ended([alone]):
                done = future.status == "finished"
                yield future.result() if done else _crashed(job, future.exception() or future.status)

    def _keep_up(self) -> None:
        """See to it that somebody is there: what ends a worker while it starts can end it for good."""
        if self.client.cluster is not None:
            self.client.cluster.scale(self.n_jobs)
        elif not self._told and self.client.status == "running" and not self.client.nthreads():
            self._told = True
            warnings.warn(
                f"{self.client.scheduler.address}: the scheduler has no workers any more; the run waits for new ones.",
                stacklevel=2,
            )


def _crashed(job: Any, why: object) -> Row:
    """The row of a job whose process did not live to write it, or could not begin."""
    kind = why if isinstance(why, str) else type(why).__name__
    if isinstance(why, Exception) and kind not in _DEATHS:
        return Row(job.unit.stage, job.unit.label, "failed", error=f"{kind}: {why}")
    advice = "its process was ended from outside or ran out of memory. Take fewer jobs at a time (--n-jobs)"
    return Row(job.unit.stage, job.unit.label, "crashed", error=f"{kind}: {advice}.")


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
        with _quiet_end() if backend == "loky" else nullcontext():
            yield Workers(backend, n_jobs, packages)
        return
    with _cluster(address, n_jobs) as client:
        yield Workers(backend, max(1, sum(client.nthreads().values())), packages, client)


@contextmanager
def _quiet_end() -> Iterator[None]:
    """Keep what loky says to itself when it is interrupted from frightening people: nothing is wrong then."""
    hook = threading.excepthook

    def heard(what: Any) -> None:
        if what.thread is None or "ExecutorManager" not in what.thread.name:
            hook(what)

    own = "ignore:resource_tracker:UserWarning"  # in the process that tidies up behind the others
    threading.excepthook = heard
    interrupted = False
    try:
        with _own_environment():
            os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), own)))
            yield
    except KeyboardInterrupt:
        interrupted = True  # the threads of loky end with the program
        raise
    finally:
        if not interrupted:
            threading.excepthook = hook


@contextmanager
def _own_environment() -> Iterator[None]:
    """Give back the environment as it was."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _cluster(address: str | None, n_jobs: int) -> Iterator[Any]:
    """A client of a cluster, or of workers on this machine."""
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise ImportError("backend='dask' needs dask.distributed: pip install 'eegic[dask]'.") from error
    if address is None:
        with _own_environment():  # Dask sets variables in this process, too
            local = distributed.LocalCluster(
                n_workers=n_jobs,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                scheduler_kwargs={"allowed_failures": 0},  # what ends its worker is tried once more, alone
                env=dict.fromkeys(_THREADS, "1"),
            )
            try:
                with distributed.Client(local) as client:
                    yield client
            finally:
                with suppress(Exception):  # of a worker that is just being replaced; its process ends with this one
                    local.close(timeout=_ROUND)
        return
    try:
        client = distributed.Client(address, timeout="10s")
    except Exception as error:  # of many kinds: an address that is none, no certificate, nobody there
        raise ConnectionError(
            f"{address}: no Dask scheduler answers there ({type(error).__name__}: {error}). Start one with "
            "`dask scheduler`, and workers with `dask worker ADDRESS --nthreads 1`."
        ) from error
    with client:
        if not client.nthreads() and not client.cluster:
            warnings.warn(
                f"{address}: the scheduler has no workers yet. Start some: `dask worker {address} --nthreads 1`.",
                stacklevel=2,
            )
        yield client


def _load(packages: Sequence[str]) -> None:
    """Load packages before the first job: loky takes a process that grows later for one that leaks, and ends it.

    Ctrl-C reaches all processes of a terminal; what it means, the main one says.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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
