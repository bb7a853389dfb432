"""Whole studies: the same results from every backend, and after any number of kills."""

import itertools
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from runs import TIMES, copied, small, states, tree, written

from eegic import GroupResult
from eegic.study import run_study
from eegic.study.events import read

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
MODEL = ('trf.added=["surprisal", "mini"]', "features.mini.noise=[0.5]")  # a model of sound takes part


def run_once(folder, *changes, **options):
    """Run a study to its end, in the process it is called in."""
    return run_study(small(folder, *changes), progress=False, **options)


@pytest.mark.parametrize("form", ["bids", "cnd"])
def test_twelve_participants_are_the_same_on_every_backend(form, tmp_path):
    pytest.importorskip("distributed")
    if form == "bids":
        pytest.importorskip("mne_bids")
    source = written(tmp_path / "data", form, n=12)
    found = {}
    for backend, n_jobs in (("serial", 1), ("loky", 2), ("dask", 2)):
        folder = copied(source, tmp_path / backend)
        outcome = run_once(folder, *MODEL, backend=backend, n_jobs=n_jobs)
        assert not outcome.failed, outcome.failed
        found[backend] = tree(folder / "results")
    assert len(GroupResult.load(tmp_path / "serial/results/group/group.npz").participants) == 12
    assert found["loky"] == found["serial"]
    assert found["dask"] == found["serial"]


def test_one_broken_recording_among_twelve_on_processes(tmp_path):
    folder = written(tmp_path / "data", n=12)
    path = folder / "raw" / "sub-07_eeg.fif"
    good = path.read_bytes()
    path.write_bytes(good[:5000])
    outcome = run_once(folder, backend="loky", n_jobs=2)
    assert {row.label for row in outcome.failed} == {"sub-07", "group"}
    people = pd.read_csv(folder / "results" / "participants.tsv", sep="\t")
    assert (people["state"] == "analysed").sum() == 11
    path.write_bytes(good)
    computed = [place for place, status in states(run_once(folder, backend="loky", n_jobs=2)).items() if status == "ok"]
    assert sorted(computed) == [("eeg", "sub-07"), ("group", "group"), ("report", "group"), ("tracking", "sub-07")]


def test_a_study_killed_fifty_times_ends_as_one_that_was_not(tmp_path):
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    written(tmp_path / "data", n=3)
    script = Path(__file__).with_name("killed_studies.py")
    run = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, timeout=900, check=False)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["kills"] >= 50 and told["studies"] >= 2


def test_a_killed_run_of_several_processes_goes_on(tmp_path):
    source = written(tmp_path / "data", n=6)
    whole = copied(source, tmp_path / "whole")
    run_once(whole, backend="loky", n_jobs=2)
    folder, draws = copied(source, tmp_path / "killed"), random.Random(0)
    for n in (10, 5, 1):  # of each stage the workers may do the rest
        child = spawned(run_once, folder, backend="loky", n_jobs=2)
        wait_until(lambda n=n, child=child: n_begun(folder, child) >= n, child)
        time.sleep(draws.uniform(0.0, 0.3))
        child.kill()  # its workers find out, and end
        child.join()
        assert child.exitcode == -signal.SIGKILL
    assert not run_once(folder, backend="loky", n_jobs=2).failed
    run_once(folder)
    assert tree(folder / "results") == tree(whole / "results")


def test_sigterm_ends_a_run_and_releases_the_folder(tmp_path):
    folder = written(tmp_path / "data", n=3)
    child = spawned(run_once, folder)
    wait_until(lambda: n_begun(folder, child) >= 1, child)
    assert (folder / "results" / ".lock").exists()
    child.terminate()
    child.join(240)
    assert child.exitcode not in (None, 0, -signal.SIGTERM)
    assert not (folder / "results" / ".lock").exists()
    assert not run_once(folder).failed


def test_a_worker_of_a_cluster_killed_midway_costs_nothing(tmp_path):
    distributed = pytest.importorskip("distributed")
    source = written(tmp_path / "data", n=4)
    whole = copied(source, tmp_path / "whole")
    run_once(whole)
    folder = copied(source, tmp_path / "cluster")
    with distributed.LocalCluster(
        n_workers=3, threads_per_worker=1, dashboard_address=None, env={"OMP_NUM_THREADS": "1"}
    ) as cluster:
        with distributed.Client(cluster) as client:
            pids = list(client.run(os.getpid).values())
        child = spawned(run_once, folder, dask_address=cluster.scheduler_address)
        wait_until(lambda: any((folder / "results/store").glob("features/*")), child)
        os.kill(pids[0], signal.SIGKILL)
        child.join(240)
        assert child.exitcode == 0
    assert set(states(run_once(folder)).values()) == {"cached"}
    assert tree(folder / "results") == tree(whole / "results")


def test_threads_that_are_offered_do_not_matter(tmp_path):
    source = written(tmp_path / "data", n=3)
    script = (
        "import sys; from test_whole_studies import MODEL, run_once; assert not run_once(sys.argv[1], *MODEL).failed"
    )
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    free = {name: value for name, value in os.environ.items() if name not in names}
    found, threads = [], []
    for environment in (free, {**free, **dict.fromkeys(names, "1")}):
        folder = copied(source, tmp_path / f"run {len(found)}")
        subprocess.run(
            [sys.executable, "-c", script, folder], env=environment, cwd=Path(__file__).parent, timeout=400, check=True
        )
        told = json.loads((folder / "results/provenance.json").read_bytes())
        threads.append(max((pool["num_threads"] for pool in told["blas"]), default=1))
        # provenance.json names these variables and the threads of BLAS, published.json has its digest
        found.append(tree(folder / "results", but=(*TIMES, "provenance.json", "published.json")))
    assert found[0] == found[1]
    if threads[0] == threads[1]:
        pytest.skip("one core, or a BLAS that does not tell: nothing had more than one thread")


def n_begun(folder, child):
    """How many units have begun in the run of a process."""
    path = folder / "results" / "logs" / "events.jsonl"
    events = read(path) if path.is_file() else ()
    since = itertools.dropwhile(lambda event: (event["event"], event["pid"]) != ("run_started", child.pid), events)
    return sum(event["event"] == "unit_started" for event in since)


def wait_until(happened, child):
    """Wait for what a process should bring about."""
    deadline = time.monotonic() + 300
    while not happened():
        assert child.is_alive(), "it has ended"
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.01)


def spawned(function, *args, **kwargs):
    """Begin in a fresh process, as a user would: one with threads must not be forked."""
    child = multiprocessing.get_context("spawn").Process(target=function, args=args, kwargs=kwargs)
    child.start()
    return child
