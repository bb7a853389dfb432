"""The same rows from every backend; a worker that dies takes nothing with it but its own unit."""

import os
from types import SimpleNamespace

import pytest
from workers_that_die import jobs, perform

from eegic.study.workers import Workers, one_thread, workers


def told(backend, n_jobs, some, **options):
    with workers(backend, n_jobs, None) as run:
        return {row.label: row.status for row in run(perform, some, **options)}


def test_serial_yields_in_order():
    with workers("serial", 1, None) as run:
        assert [row.label for row in run(perform, jobs(3))] == ["sub-00", "sub-01", "sub-02"]
        assert list(run(perform, [])) == []


def test_auto_takes_what_the_numbers_ask_for():
    for n_jobs, address, backend in ((1, None, "serial"), (2, None, "loky")):
        with workers("auto", n_jobs, address) as run:
            assert (run.backend, run.n_jobs >= 1) == (backend, True)


def test_an_address_is_for_dask():
    with pytest.raises(ValueError, match="dask_address"), workers("loky", 2, "tcp://127.0.0.1:1"):
        pass


def test_no_scheduler_is_an_error_that_says_how_to_start_one(monkeypatch):
    distributed = pytest.importorskip("distributed")

    def refused(*args, **kwargs):
        raise OSError("refused")

    monkeypatch.setattr(distributed, "Client", refused)
    with pytest.raises(ConnectionError, match="dask scheduler"), workers("dask", 1, "tcp://127.0.0.1:9"):
        pass


def test_dask_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ImportError, match=r"eegic\[dask\]"), workers("dask", 1, None):
        pass


def test_blas_and_torch_have_one_thread_and_get_theirs_back():
    import torch
    from threadpoolctl import threadpool_info

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
            assert {pool["num_threads"] for pool in threadpool_info()} <= {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("backend", ["loky", "dask"])
def test_a_job_that_kills_its_worker_is_named_and_the_others_finish(backend):
    if backend == "dask":
        pytest.importorskip("distributed")
    states = told(backend, 2, jobs(6, deadly=(2,)))
    assert states == {f"sub-{i:02d}": "crashed" if i == 2 else "ok" for i in range(6)}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("backend", ["loky", "dask"])
def test_a_worker_that_dies_once_loses_nothing(backend, tmp_path):
    if backend == "dask":
        pytest.importorskip("distributed")
    states = told(backend, 2, jobs(6, deadly=(3,), remembers=str(tmp_path / "died"), seconds=0.2))
    assert states == {f"sub-{i:02d}": "ok" for i in range(6)}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_workers_that_are_gone_for_good_are_replaced(monkeypatch):
    """Dask does not restart a worker that dies before it has wholly begun; a run must not wait for it for ever."""
    pytest.importorskip("distributed")
    import dask

    from eegic.study import workers as module

    monkeypatch.setattr(module, "_ROUND", 1.0)
    environment = dict(os.environ)
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1s"}), workers("dask", 2, None) as run:
        cluster = run.client.cluster
        first = set(cluster.scheduler_info["workers"])
        for nanny in list(cluster.workers.values()):
            cluster.sync(nanny.close)
        assert {row.label: row.status for row in run(perform, jobs(3))} == {f"sub-{i:02d}": "ok" for i in range(3)}
        assert not first & set(cluster.scheduler_info["workers"])
    assert dict(os.environ) == environment  # which Dask changes


def test_a_cluster_that_loses_its_workers_says_so():
    """Somebody else's cluster is not mended, but waited for."""
    client = SimpleNamespace(
        cluster=None, status="running", nthreads=dict, scheduler=SimpleNamespace(address="tcp://127.0.0.1:1")
    )
    run = Workers("dask", 1, client=client)
    with pytest.warns(UserWarning, match="no workers any more"):
        run._keep_up()
    run._keep_up()  # once is enough
