"""The conditions under which the tests run hold."""

import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest


def test_the_internet_is_closed():
    with pytest.raises(OSError, match="no connection to '192.0.2.1'"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with pytest.raises(OSError, match="no connection to 'example.org'"):
        socket.getaddrinfo("example.org", 80)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram, pytest.raises(OSError, match="192.0.2.1"):
        datagram.connect(("192.0.2.1", 53))
    with pytest.raises(urllib.error.URLError, match=r"no connection to 'example.org'"):
        urllib.request.urlopen("http://example.org", timeout=1)


def test_this_machine_is_open():
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = threading.Thread(target=lambda: server.accept()[0].close())
        answer.start()
        with socket.create_connection(server.getsockname(), timeout=5) as client:
            assert client.recv(1) == b""
        answer.join()


def test_a_script_of_its_own_is_closed_too(tmp_path):
    script = tmp_path / "call.py"
    script.write_text("import socket, sys\nassert sys.argv[1:] == ['x']\nsocket.create_connection(('192.0.2.1', 80))\n")
    command = [sys.executable, str(Path(__file__).with_name("offline.py")), str(script), "x"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "no connection to '192.0.2.1'" in done.stderr


def test_one_thread_and_no_screen():
    assert {os.environ[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")} == {"1"}
    assert os.environ["MPLBACKEND"] == "Agg"
