"""A Dask cluster computes: workers on this machine, or those of an address."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from time import monotonic, sleep
from typing import Any

from eegic.study.rows import Row, crashed

_ROUND = 20.0  # seconds between looks at the workers; Dask gives one up after 15
_PATIENCE = 10.0  # seconds in which a scheduler should answer
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Cluster:
    """Maps a function over jobs through Dask's own futures.

    Joblib's way to Dask waits for ever for a job that ends its worker again and again.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self.n_jobs = max(1, sum(client.nthreads().values()))
        self._told = ""

    def __call__(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[Any]:
        """Rows of `function` in the order in which jobs end."""
        if self.client.status != "running":
            yield from map(_without_scheduler, jobs)
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
            if self.client.status != "running":
                yield _without_scheduler(alone)
                continue
            for job, future in ended([alone]):
                if future.status == "finished":
                    yield future.result()
                elif future.status == "error":
                    yield crashed(job, future.exception())
                else:
                    yield _without_scheduler(job)

    def _keep_up(self) -> None:
        """See to it that somebody is there: what ends a worker while it starts can end it for good."""
        if self.client.cluster is not None:
            self.client.cluster.scale(self.n_jobs)
            return
        why = self._idle()
        if why and why != self._told:
            address = self.client.scheduler.address
            warnings.warn(f"{address}: {why}. The run waits; Ctrl-C ends it, and nothing is lost.", stacklevel=2)
        self._told = why

    def _idle(self) -> str:
        """Why nothing is computed on somebody else's cluster; empty if it may well be."""
        try:
            found = self.client.sync(self.client.scheduler.identity, callback_timeout=_PATIENCE)
        except (TimeoutError, OSError):
            return "the scheduler does not answer"
        states = {worker.get("status") for worker in found["workers"].values()}
        if not states:
            return "the scheduler has no workers any more. Start some"
        return "" if states != {"paused"} else "all workers are paused for lack of memory. Give them more"


def _without_scheduler(job: Any) -> Row:
    """The row of a job that nobody can be given any more."""
    error = "the scheduler of the Dask cluster is gone. Start it and its workers, then run again: the rest is kept."
    return Row(job.unit.stage, job.unit.label, "crashed", error=error)


@contextmanager
def own_environment() -> Iterator[None]:
    """Give back the environment as it was."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def cluster(address: str | None, n_jobs: int) -> Iterator[Cluster]:
    """The cluster of an address, or one of workers on this machine, which end with it."""
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise ImportError("backend='dask' needs dask.distributed: pip install 'eegic[dask]'.") from error
    if address is None:
        with own_environment():  # Dask sets variables in this process, too
            try:
                local = distributed.LocalCluster(
                    n_workers=n_jobs,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address="127.0.0.1:0",
                    memory_limit=None,  # one that is paused for what it takes would wait for ever
                    scheduler_kwargs={"allowed_failures": 0},  # what ends its worker is tried once more, alone
                    env=dict.fromkeys(_THREADS, "1"),
                )
            except RuntimeError as error:
                raise RuntimeError(
                    f"backend='dask': no workers could be started here ({error}). In a script, call run_study below "
                    "`if __name__ == '__main__':`, for each worker reads the script again."
                ) from error
            try:
                with distributed.Client(local) as client:
                    yield Cluster(client)
            finally:
                with suppress(Exception):  # of a worker that is just being replaced; its process ends with this one
                    local.close(timeout=_PATIENCE)
        return
    try:
        client = distributed.Client(address, timeout="10s")
    except Exception as error:  # of many kinds: an address that is none, no certificate, nobody there
        raise ConnectionError(
            f"{address}: no Dask scheduler answers there ({type(error).__name__}: {error}). Start one with "
            "`dask scheduler`, and workers with `dask worker ADDRESS --nthreads 1`."
        ) from error
    with client:
        threads = client.nthreads().values()
        if not threads:
            warnings.warn(
                f"{address}: the scheduler has no workers yet. Start some: `dask worker {address} --nthreads 1`.",
                stacklevel=2,
            )
        elif max(threads) > 1:
            warnings.warn(
                f"{address}: workers have {max(threads)} threads, of which one computes. Start them with --nthreads 1, "
                "and as many as there are processors.",
                stacklevel=2,
            )
        yield Cluster(client)
