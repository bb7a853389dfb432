"""Keep a process off the internet: `block()` here, or ``python tests/offline.py script.py`` for another interpreter."""

import os
import runpy
import socket
import sys

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


if __name__ == "__main__":
    block()
    sys.argv = sys.argv[1:]
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
    runpy.run_path(sys.argv[0], run_name="__main__")
