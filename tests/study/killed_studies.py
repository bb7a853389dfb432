"""Runs of a study that are killed: ``python killed_studies.py FOLDER`` prints what came of it, as JSON.

The process has no threads and has run the study once, so that those forked from it begin at once and in a clear state.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
import warnings
from pathlib import Path

from runs import TIMES, copied, small, states, tree

from eegic.study import run_study


def run(folder):
    """Run a study to its end, in this process."""
    return run_study(small(folder), progress=False)


def forked(folder):
    """Run in a process of its own, and return its number."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = bool(run(folder).failed)
        finally:
            os._exit(status)
    return pid


def killed(pid, seconds):
    """Kill a process after some time; whether it was not done by then."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return False
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def at_random_moments(root, kills=50, seed=0):
    """Kill runs again and again, and look at the results of each study once it has come through."""
    draws, told = random.Random(seed), {"kills": 0, "studies": 0}
    whole = copied(root / "data", root / "whole")
    run(whole)  # once, to have all packages in memory
    shutil.rmtree(whole / "results")
    started = time.monotonic()
    assert not run(whole).failed
    patience = time.monotonic() - started
    expected = tree(whole / "results")
    while told["kills"] < kills:
        told["studies"] += 1
        folder = copied(root / "data", root / "killed")
        longest = patience
        while killed(forked(folder), draws.uniform(0.01, 1.0) * longest):
            told["kills"] += 1
            longest *= 1.05  # on a machine that has become slower a unit may need more than the whole study did
        outcome = run(folder)
        assert set(states(outcome).values()) == {"cached"}
        found = tree(folder / "results")
        assert {name for name in found if "draft" in name} == set()
        assert found == expected, sorted(set(found.items()) ^ set(expected.items()))
        assert set(TIMES) <= set(tree(folder / "results", but=()))
        shutil.rmtree(folder)
    return told


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(at_random_moments(Path(sys.argv[1]))))
