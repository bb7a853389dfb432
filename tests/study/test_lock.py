"""One run per folder; a run that died keeps nobody out."""

import errno
import json
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from eegic.study import lock as module
from eegic.study.lock import Lock, Locked

SRC = Path(__file__).parents[2]
HOLD = "import sys, time; from eegic.study.lock import Lock; Lock(sys.argv[1]).__enter__(); print('in', flush=True); "
linux_only = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells when a process began")
posix_only = pytest.mark.skipif(os.name != "posix", reason="Windows has no fork")
DEAD = 2**22 + 7  # no system gives this number to a process


def holder(folder):
    """A process that holds the lock of a folder, and sleeps."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD + "time.sleep(60)", str(folder)], stdout=subprocess.PIPE, text=True, cwd=SRC
    )
    assert process.stdout.readline() == "in\n"
    process.stdout.close()
    return process


def plant(folder, **changes):
    """A lock like that of this process, but for some changes."""
    told = {**module._myself(), **changes}
    (folder / ".lock").write_text(json.dumps(told))
    return told


class TestHeld:
    def test_while_the_block_lasts(self, tmp_path):
        with Lock(tmp_path / "new" / "study") as lock:
            told = json.loads(lock.path.read_text())
            assert (told["pid"], told["host"]) == (os.getpid(), platform.node())
            assert told["started"].endswith("+00:00")
            assert lock.took_over is None
            with pytest.raises(
                Locked, match="study: another run is at work there .*Wait until it ends, or name another"
            ):
                Lock(tmp_path / "new" / "study").__enter__()
            assert json.loads(lock.path.read_text()) == told
        assert not lock.path.exists()
        with lock:
            assert lock.path.exists()

    def test_not_after_an_error(self, tmp_path):
        with pytest.raises(KeyboardInterrupt), Lock(tmp_path):
            raise KeyboardInterrupt
        with Lock(tmp_path) as lock:
            assert lock.took_over is None

    def test_by_another_process_says_who_where_and_since_when(self, tmp_path):
        process = holder(tmp_path)
        try:
            with pytest.raises(Locked) as told:
                Lock(tmp_path).__enter__()
        finally:
            process.kill()
            process.wait()
        since = json.loads((tmp_path / ".lock").read_text())["started"]
        for part in (f"process {process.pid}", f"on {platform.node()}", f"since {since}", "-c", str(tmp_path)):
            assert part in str(told.value)

    def test_by_a_process_of_another_user(self, tmp_path, monkeypatch):
        plant(tmp_path)

        def forbidden(pid, number):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "kill", forbidden)
        with pytest.raises(Locked, match="another run is at work"):
            Lock(tmp_path).__enter__()

    @pytest.mark.parametrize("changes", [{"host": "far-away", "boot": "x"}, {"pids": "pid:[1]"}])
    def test_by_what_cannot_be_seen_from_here(self, tmp_path, changes):
        told = plant(tmp_path, pid=DEAD, **changes)
        with pytest.raises(Locked) as error:
            Lock(tmp_path).__enter__()
        assert f"Look on {told['host']} whether there is a process {DEAD}" in str(error.value)
        assert f"delete {tmp_path / '.lock'} and run again" in str(error.value)
        assert json.loads((tmp_path / ".lock").read_text()) == told

    @posix_only
    def test_where_the_system_tells_no_more_than_the_number(self, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "_text", lambda path: "")
        plant(tmp_path)
        with pytest.raises(Locked, match="Wait until it ends"):
            Lock(tmp_path).__enter__()
        plant(tmp_path, pid=DEAD)
        with Lock(tmp_path) as lock:
            assert "it is gone" in lock.took_over


class TestTakenOver:
    @posix_only
    def test_from_a_process_that_was_killed(self, tmp_path):
        process = holder(tmp_path)
        process.kill()
        process.wait()
        assert (tmp_path / ".lock").exists()
        with Lock(tmp_path) as lock:
            assert f"the lock of process {process.pid} on {platform.node()}, since " in lock.took_over
            assert lock.took_over.endswith("(it is gone)")
            assert json.loads(lock.path.read_text())["pid"] == os.getpid()
        assert not lock.path.exists()

    @linux_only
    def test_from_one_whose_parent_has_not_noticed_yet(self, tmp_path):
        process = holder(tmp_path)
        process.kill()
        while module._process(process.pid)[0] != "Z":
            time.sleep(0.001)
        with Lock(tmp_path) as lock:
            assert lock.took_over.endswith("(it is dead)")
        process.wait()

    @linux_only
    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"boot": "another"}, "the machine was booted since"),
            ({"boot": "another", "pids": "pid:[1]"}, "the machine was booted since"),
            ({"process_start": "1"}, "its number is that of another process now"),
            ({"pid": DEAD}, "it is gone"),
            ({"pid": 2**70}, "it is gone"),
        ],
    )
    def test_when_the_holder_is_not_what_it_was(self, tmp_path, changes, why):
        plant(tmp_path, **changes)
        with Lock(tmp_path) as lock:
            assert lock.took_over.endswith(f"({why})")

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": "eegic.study.lock/1", "pid": "1"}', "[" * 99_999])
    def test_when_it_says_nothing_and_is_old(self, tmp_path, content):
        path = tmp_path / ".lock"
        path.write_text(content)
        with pytest.raises(Locked, match=r"\.lock: cannot be read as a lock.* try again in a minute, or delete this"):
            Lock(tmp_path).__enter__()
        assert path.read_text() == content
        os.utime(path, (time.time() - 70, time.time() - 70))
        with Lock(tmp_path) as lock:
            assert lock.took_over == "a lock that could not be read"

    @pytest.mark.parametrize("pid", [0, -1, True, 1.0])
    def test_numbers_that_are_none_of_a_process_are_never_signalled(self, tmp_path, pid, monkeypatch):
        plant(tmp_path, pid=pid)
        monkeypatch.setattr(os, "kill", lambda *args: pytest.fail("a signal was sent"))
        with pytest.raises(Locked, match="cannot be read as a lock"):
            Lock(tmp_path).__enter__()


class TestReleased:
    def test_only_if_it_is_still_ours(self, tmp_path):
        with Lock(tmp_path) as lock:
            lock.path.unlink()
            told = plant(tmp_path, command="somebody else's")
        assert json.loads(lock.path.read_text()) == told

    def test_though_somebody_deleted_it(self, tmp_path):
        with Lock(tmp_path) as lock:
            lock.path.unlink()
        assert not lock.path.exists()

    def test_not_by_a_child_that_inherited_it(self, tmp_path, monkeypatch):
        with Lock(tmp_path) as lock:
            with monkeypatch.context() as patch:
                patch.setattr(os, "getpid", lambda: DEAD)
                lock.__exit__(None, None, None)
            assert lock.path.exists()


class TestAFolder:
    def test_that_is_a_file(self, tmp_path):
        (tmp_path / "file").write_text("mine")
        with pytest.raises(FileExistsError, match=r"file: cannot be written to \(File exists\). Name another folder"):
            Lock(tmp_path / "file").__enter__()

    @pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
    def test_that_cannot_be_written_to(self, tmp_path, monkeypatch, code):
        whole = os.open

        def refused(path, *args, **kwargs):
            if str(path).endswith(".lock"):
                raise OSError(code, os.strerror(code), str(path))
            return whole(path, *args, **kwargs)

        monkeypatch.setattr(os, "open", refused)
        with pytest.raises(OSError, match=rf"{tmp_path}: cannot be written to \({os.strerror(code)}\). Name another"):
            Lock(tmp_path).__enter__()

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the permissions of a folder do not bind root")
    def test_without_permission(self, tmp_path):
        tmp_path.chmod(0o500)
        with pytest.raises(PermissionError, match="cannot be written to"):
            Lock(tmp_path).__enter__()

    def test_that_is_full_keeps_no_half_of_a_lock(self, tmp_path, monkeypatch):
        whole = open

        def full(file, *args, **kwargs):
            stream = whole(file, *args, **kwargs)
            if isinstance(file, int):
                stream.close()
                raise OSError(errno.ENOSPC, "No space left on device")
            return stream

        monkeypatch.setattr(module, "open", full, raising=False)
        with pytest.raises(OSError, match="No space left"):
            Lock(tmp_path).__enter__()
        assert not (tmp_path / ".lock").exists()


@posix_only
def test_of_many_that_find_a_dead_lock_one_at_a_time_gets_it(tmp_path):
    """Each run makes a file that must not be there yet; two at once would be seen."""
    script = f"""
import json, os, sys, time
from pathlib import Path
from eegic.study import lock
folder, ends = Path(sys.argv[1]), []
dead = json.dumps({{**lock._myself(), "pid": {DEAD}}})
def run():
    try:
        with lock.Lock(folder):
            os.close(os.open(folder / "inside", os.O_CREAT | os.O_EXCL))
            time.sleep(0.002)
            os.unlink(folder / "inside")
    except lock.Locked:
        return 3
    except FileExistsError:
        return 7
    return 0
for _ in range(15):
    (folder / ".lock").write_text(dead)
    begin, pids = time.monotonic() + 0.01, []
    for _ in range(5):
        pid = os.fork()
        if not pid:
            time.sleep(max(begin - time.monotonic(), 0))
            os._exit(run())
        pids.append(pid)
    ends.append([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids])
print(json.dumps(ends))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60, cwd=SRC
    )
    assert done.returncode == 0, done.stderr[-2000:]
    ends = json.loads(done.stdout)
    assert len(ends) == 15
    assert all(0 in rows for rows in ends), "somebody gets it"
    assert {end for rows in ends for end in rows} <= {0, 3}, "never two at once"
    assert sorted(os.listdir(tmp_path)) == [".lock.guard"]


def test_threads_of_one_process_are_kept_apart(tmp_path):
    refused = []

    def run():
        try:
            Lock(tmp_path).__enter__()
        except Locked as error:
            refused.append(error)

    with Lock(tmp_path):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert len(refused) == 1
