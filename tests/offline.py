"""Keep a process off the internet: `block()` here, `run(script, folder)` in another process.

``python tests/offline.py script.py`` does so for a whole interpreter.
"""

import multiprocessing
import os
import runpy
import socket
import sys
from pathlib import Path

# loaded once for all scripts: most of the time that short ones take. Not eegic itself, which each loads anew.
HEAVY = ["matplotlib.pyplot", "mne", "numpy", "pandas", "scipy.signal", "scipy.stats", "torch"]
LOCAL = {"localhost", "127.0.0.1", "::1", "", None, b"localhost", b"127.0.0.1"}


def block():
    """Refuse every connection and look-up that leaves this machine."""
    for proxy in ("http_proxy", "https_proxy", "all_proxy"):  # a proxy on this machine would be a door
        os.environ.pop(proxy, None)
        os.environ.pop(proxy.upper(), None)
    for method in ("connect", "connect_ex"):
        setattr(socket.socket, method, _local_only(getattr(socket.socket, method)))
    resolve = socket.getaddrinfo

    def getaddrinfo(host, *args, **kwargs):
        return resolve(_allowed(host), *args, **kwargs)

    socket.getaddrinfo = getaddrinfo


def _local_only(method):
    def guarded(self, address):
        if self.family != getattr(socket, "AF_UNIX", None):
            _allowed(address[0])
        return method(self, address)

    return guarded


def _allowed(host):
    if host in LOCAL:
        return host
    raise OSError(f"tests open no connection to {host!r}: serve the file from 127.0.0.1, or simulate it.")


def run(script, folder, timeout=300):
    """Run a script in a folder, in a process of its own; return its exit code and what it said.

    Where the system can fork, the process begins as a copy of one that has the heavy packages in memory.
    """
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    if forks:
        context.set_forkserver_preload(HEAVY)
    said = Path(folder) / "said.txt"
    process = context.Process(target=_there, args=(str(script), str(folder), str(said)))
    process.start()
    process.join(timeout)
    if process.is_alive():
        process.kill()
        raise TimeoutError(f"{script} still runs after {timeout} s.")
    return process.exitcode, said.read_text(encoding="utf-8", errors="replace")


def _there(script, folder, said):
    with open(said, "wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.chdir(folder)
    _as_main(script)


def _as_main(script, *arguments):
    block()
    sys.argv = [script, *arguments]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    _as_main(*sys.argv[1:])
