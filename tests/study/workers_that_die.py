"""Jobs for workers, some of which end the process they are in."""

import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

from eegic.study import Row


class Unit(NamedTuple):
    stage: str
    label: str


class Job(NamedTuple):
    """Sleeps, and dies if it is to; once, where a file remembers that it did."""

    unit: Unit
    dies: bool = False
    remembers: str = ""
    seconds: float = 0.0


def perform(job):
    time.sleep(job.seconds)
    once = Path(job.remembers) if job.remembers else None
    if job.dies and not (once and once.exists()):
        if once:
            once.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return Row(*job.unit, "ok")


def jobs(n, deadly=(), **options):
    return [Job(Unit("tracking", f"sub-{i:02d}"), i in deadly, **options) for i in range(n)]
