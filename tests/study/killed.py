"""Writers of a store that are killed: ``python killed.py FOLDER`` prints what was found afterwards, as JSON.

One process loads the store; those that are killed are forked from it, which takes milliseconds.
"""

import itertools
import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

from eegic.study.digests import digest_of
from eegic.study.store import Store

UNITS = [f"unit {i}" for i in range(4)]
EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.scandir", "os.listdir", "shutil.rmtree"}


def content(unit, version="new"):
    """Name and bytes of each file of a unit."""
    return {name: f"{unit} {version} {name} ".encode() * 2000 for name in ("a.bin", "inner/b.bin")}


def write(store, unit, version="new"):
    with store.write("numbers", unit, digest_of(unit), about={"version": version}) as folder:
        (folder / "inner").mkdir()
        for name, data in content(unit, version).items():
            (folder / name).write_bytes(data)


def found(store, unit):
    """The version that the store has of a unit, "" if none; whatever is not wholly of one version is an error."""
    entry = store.find("numbers", unit, digest_of(unit))
    if entry is None:
        return ""
    version = entry.about["version"]
    assert {name: entry.file(name).read_bytes() for name in entry.files} == content(unit, version)
    return version


def forked(work):
    """Run in a process of its own, and return its number."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return pid


def at_random_moments(root, rounds=25, seed=4):
    """Kill one that writes all units again and again; look at all of them afterwards."""
    store, draws, told = Store(root), random.Random(seed), {"kills": 0, "swept": 0, "whole": 0, "left": 0}

    def work():
        for unit in itertools.cycle(UNITS):
            write(store, unit)

    for _ in range(rounds):
        pid = forked(work)
        time.sleep(draws.uniform(0.001, 0.02))
        os.kill(pid, signal.SIGKILL)
        told["kills"] += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        told["whole"] += sum(found(store, unit) == "new" for unit in UNITS)
        told["swept"] += len(store.sweep())
        told["left"] += sum(path.name.startswith(".") for path in root.rglob("*"))
    for unit in UNITS:
        if not found(store, unit):
            write(store, unit)
    return told


def at_every_step(root, before=""):
    """Kill one that writes a unit at its first step on the disk, at its second, and so on until it comes through."""
    unit, versions = UNITS[0], []

    def work(store, steps):
        left = iter(range(steps))

        def step(event, _):
            if event in EVENTS and next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(step)
        write(store, unit)

    for steps in itertools.count():
        store = Store(root / str(steps))
        if before:
            write(store, unit, before)
        pid = forked(lambda store=store, steps=steps: work(store, steps))
        killed = os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        versions.append(found(store, unit))
        store.sweep()
        assert found(store, unit) == versions[-1], "sweeping changed what there is"
        assert [path.name for path in root.rglob(".*")] == []
        if not killed:
            return versions


def with_small_files_only(root):
    """Write while no file may have more than 20 kB."""
    import resource

    store = Store(root)
    write(store, UNITS[0], "old")
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    try:
        write(store, UNITS[0])
    except OSError as error:
        return {"error": str(error), "found": found(store, UNITS[0]), "left": len(list(root.glob("*/.*")))}
    return {}


def at_once(root, writers=3, rounds=8):
    """Let several write the same unit over and over, each its own version, while this one reads."""
    store, unit = Store(root), UNITS[0]

    def work(version):
        for _ in range(rounds):
            write(store, unit, version)

    pids = {forked(lambda version=version: work(f"v{version}")) for version in range(writers)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is replaced under the eyes of a reader counts as damaged
        while pids:
            store.find("numbers", unit, digest_of(unit))
            pids -= {pid for pid in pids if os.waitpid(pid, os.WNOHANG)[0]}
    return {"last": found(store, unit), "names": sorted(p.name for p in root.glob("*/*"))}


if __name__ == "__main__":
    os.fsync = lambda handle: None  # it takes long, and a kill loses nothing that the system was given
    warnings.simplefilter("error", UserWarning)  # a damaged entry warns: there must be none
    root = Path(sys.argv[1])
    told = {
        "random": at_random_moments(root / "random"),
        "new": at_every_step(root / "new"),
        "replaced": at_every_step(root / "replaced", "old"),
        "at once": at_once(root / "at once"),
        "small": with_small_files_only(root / "small"),  # the last one: the limit stays
    }
    print(json.dumps(told))
