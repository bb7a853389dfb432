"""Threads for the numerics: several small tasks at once, each with one BLAS thread."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

from eegic import _checks

Run = Callable[..., Iterator[Any]]  # (function, arguments of each call, what they do: for the progress bar)
_SOON = 2.0  # seconds after which a bar appears
_SMALL = 512  # columns below which several BLAS threads get in each other's way, up to 25 times slower


@contextmanager
def workers(n_jobs: int, n_columns: int, *, progress: bool = False) -> Iterator[Run]:
    """Give a function that maps another over argument tuples, in order, whatever `n_jobs`.

    Parameters
    ----------
    n_jobs : int
        Threads; -1 takes every core.
    n_columns : int
        Size of the matrices at hand; small ones, and those of several threads, get one BLAS thread each.
    progress : bool
        Show a bar for each map that takes longer than two seconds, in a terminal.
    """
    n_threads = (os.cpu_count() or 1) if n_jobs == -1 else _checks.count("n_jobs", n_jobs)
    one_blas_thread = n_threads > 1 or n_columns < _SMALL
    limit = _one_blas_thread() if one_blas_thread else nullcontext()
    pool = ThreadPoolExecutor(n_threads) if n_threads > 1 else None
    spread = map if pool is None else pool.map

    def run(
        function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], what: str = "cross-validation"
    ) -> Iterator[Any]:
        results = spread(lambda given: function(*given), arguments)
        return _shown(results, len(arguments), what) if progress else results

    try:
        with limit:
            yield run
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def _shown(results: Iterator[Any], n_results: int, what: str) -> Iterator[Any]:
    from tqdm import tqdm

    return iter(tqdm(results, total=n_results, desc=what, leave=False, delay=_SOON, disable=None))


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Hold BLAS, and torch where it is loaded, to one thread in this thread and in those that start meanwhile."""
    torch = sys.modules.get("torch")
    n_torch = torch.get_num_threads() if torch else 0
    try:
        if torch:
            torch.set_num_threads(1)
        with _blas().limit(limits=1, user_api="blas"):
            yield
    finally:
        if torch:
            torch.set_num_threads(n_torch)


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
