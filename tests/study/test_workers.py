"""The same rows from every backend; a worker that dies takes nothing with it but its own unit."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from workers_that_die import jobs, perform

from eegic.study import cluster
from eegic.study.workers import Workers, one_thread, workers

GONE = "the scheduler of the Dask cluster is gone. Start it and its workers, then run again: the rest is kept."


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

    monkeypatch.setattr(cluster, "_ROUND", 1.0)
    environment = dict(os.environ)
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1s"}), workers("dask", 2, None) as run:
        local = run.cluster.client.cluster
        first = set(local.scheduler_info["workers"])
        for nanny in list(local.workers.values()):
            local.sync(nanny.close)
        assert {row.label: row.status for row in run(perform, jobs(3))} == {f"sub-{i:02d}": "ok" for i in range(3)}
        assert not first & set(local.scheduler_info["workers"])
    assert dict(os.environ) == environment  # which Dask changes


def test_a_cluster_that_loses_its_workers_says_so():
    """Somebody else's cluster is not mended, but waited for."""
    states = []

    def asked(_, callback_timeout):
        if states == ["silence"]:
            raise TimeoutError
        return {"workers": {str(number): {"status": state} for number, state in enumerate(states)}}

    scheduler = SimpleNamespace(address="tcp://127.0.0.1:1", identity=None)
    client = SimpleNamespace(cluster=None, status="running", nthreads=dict, sync=asked, scheduler=scheduler)
    run = cluster.Cluster(client)
    told = {"no workers any more": [], "lack of memory": ["paused", "paused"], "does not answer": ["silence"]}
    for said, now in told.items():
        states[:] = now
        with pytest.warns(UserWarning, match=said):
            run._keep_up()
        run._keep_up()  # once is enough
    states[:] = ["paused", "running"]
    run._keep_up()


def test_without_its_scheduler_a_run_ends_in_words():
    run = cluster.Cluster(SimpleNamespace(status="closed", nthreads=dict))
    rows = list(run(perform, jobs(2)))
    assert [row.status for row in rows] == ["crashed", "crashed"]
    assert all("the scheduler of the Dask cluster is gone. Start it" in row.error for row in rows)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_scheduler_that_dies_in_a_run_ends_it_in_words(tmp_path):
    pytest.importorskip("distributed")
    address = tmp_path / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", address]
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", *options]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as scheduler:
        try:
            until = time.monotonic() + 60
            while not address.exists() and time.monotonic() < until:
                time.sleep(0.05)
            time.sleep(0.2)
            with (
                pytest.warns(UserWarning, match="no workers yet"),
                workers("dask", 1, json.loads(address.read_text())["address"]) as run,
            ):
                rows = iter(run(perform, jobs(2)))
                threading.Timer(1.0, scheduler.kill).start()
                found = {row.label: row for row in rows}
        finally:
            scheduler.kill()
    assert set(found) == {"sub-00", "sub-01"}
    assert {row.error for row in found.values()} == {GONE}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_only_what_was_under_way_is_computed_alone(monkeypatch):
    """Of many jobs one takes its process with it: the others go on together."""
    pools = []
    parallel = Workers._parallel

    def counted(self, function, some):
        pools.append(len(some))
        return parallel(self, function, some)

    monkeypatch.setattr(Workers, "_parallel", counted)
    with pytest.warns(UserWarning, match="A process was lost"):
        states = told("loky", 2, jobs(20, deadly=(2,)))
    assert states == {f"sub-{i:02d}": "crashed" if i == 2 else "ok" for i in range(20)}
    assert pools[0] == 20 and pools.count(1) <= 6 and sum(pools[1:]) <= 20


@pytest.mark.slow
def test_processes_end_with_the_run_that_is_killed():
    script = "from workers_that_die import jobs, perform\nfrom eegic.study.workers import workers\nimport os, sys\n"
    script += "with workers('loky', 2, None) as run:\n    list(run(perform, jobs(2)))\n"
    script += "    from pathlib import Path\n    me = os.getpid()\n"
    script += "    print(Path(f'/proc/{me}/task/{me}/children').read_text(), flush=True)\n    os.kill(me, 9)\n"
    if not Path("/proc/self/stat").exists():
        pytest.skip("no /proc here")
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, timeout=120, cwd=Path(__file__).parent
    )
    children = [int(pid) for pid in done.stdout.split()]
    assert children
    until = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < until:
        time.sleep(0.1)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


@pytest.mark.filterwarnings("default")
def test_processes_end_with_their_run():
    def managed():
        return [thread for thread in threading.enumerate() if "ExecutorManager" in thread.name]

    with workers("loky", 2, None) as run:
        assert [row.status for row in run(perform, jobs(2))] == ["ok", "ok"]
        assert managed()
    assert not managed()
