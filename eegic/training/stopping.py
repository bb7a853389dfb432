"""Ctrl-C and SIGTERM, obeyed between two steps."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

_PATIENCE = 3.0  # seconds: a launcher passes on the signal that the terminal has given already


class Stop:
    """While it is entered, the first signal sets `asked`; another one, seconds later, interrupts at once.

    Signals reach the main thread only: in another thread nothing is changed.
    """

    def __init__(self) -> None:
        self.asked = False
        self._since = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked and time.monotonic() - self._since > _PATIENCE:
            raise KeyboardInterrupt("interrupted in the middle of a step: go on from the last checkpoint.")
        if not self.asked:
            self.asked, self._since = True, time.monotonic()


def leave_it_to_the_loop(worker: int) -> None:
    """In a process that makes batches, pass over Ctrl-C, which reaches a whole terminal, and end quietly on SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # else its end would be an error, in the middle of a step
