"""Every event is one whole line, whoever writes and whatever it says."""

import json
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eegic.study.events import EVENTS, Events, Tail, as_json, read


@pytest.fixture
def log(tmp_path):
    return Events(tmp_path / "events.jsonl")


def test_a_line_says_when_what_and_who(log):
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    log.note("unit_finished", stage="tracking", label="sub-03", status="ok", seconds=1.5, error=None)
    (line,) = log.path.read_bytes().splitlines()
    event = json.loads(line)
    assert list(event) == ["time", "event", "pid", "host", "stage", "label", "status", "seconds", "error"]
    assert before <= datetime.fromisoformat(event.pop("time")) <= datetime.now(UTC)
    assert event.pop("host") == os.uname().nodename
    assert event == {
        "event": "unit_finished",
        "pid": os.getpid(),
        "stage": "tracking",
        "label": "sub-03",
        "status": "ok",
        "seconds": 1.5,
        "error": None,
    }


def test_times_are_utc_with_milliseconds(log, monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        log.note("run_started")
    finally:
        monkeypatch.undo()
        time.tzset()
    (event,) = read(log.path)
    assert len(event["time"]) == len("2026-01-31T12:00:00.000Z") and event["time"].endswith("Z")
    assert abs(datetime.fromisoformat(event["time"]) - datetime.now(UTC)) < timedelta(seconds=60)


@pytest.mark.parametrize(
    "text", ["", "ü 🎵", 'quote " and \\', "new\nline\r\u2028", "\x00\x1b[2J", os.fsdecode(b"latin \xe9")]
)
def test_any_text_comes_back_from_one_line(log, text):
    log.note("warning", label=text)
    log.note("run_finished")
    assert log.path.read_bytes().count(b"\n") == 2
    assert [event.get("label") for event in read(log.path)] == [text, None]
    log.path.read_bytes().decode("utf-8")


@pytest.mark.parametrize("text", ["x" * 50_000, "🎵" * 5000, "\x00" * 5000, '"\n' * 5000])
def test_long_texts_are_cut_and_say_so(log, text):
    log.note("unit_finished", stage="tracking", error=text, seconds=2.0)
    assert len(log.path.read_bytes()) <= 4095
    (event,) = read(log.path)
    kept, remark = event["error"].split(" ... (")
    assert text.startswith(kept) and len(kept) >= 256
    assert remark == f"cut: {len(text)} characters in all)"
    assert (event["stage"], event["seconds"]) == ("tracking", 2.0)


def test_only_what_is_too_long_is_cut(log):
    log.note("warning", first="a" * 2000, second="b" * 3000, numbers=list(range(1000)))
    (event,) = read(log.path)
    assert event["numbers"].startswith("[0, 1, 2") and "(cut: 4890 characters in all)" in event["numbers"]
    log.note("warning", first="a" * 2000, second="b" * 1900)
    assert len(list(read(log.path))[1]["first"]) == 2000, "what fits is not cut"


def test_too_many_fields_leave_a_line_that_says_so(log):
    log.note("warning", **{f"field_{i}": "x" * 100 for i in range(100)})
    (event,) = read(log.path)
    assert event["cut"].startswith("100 fields of 11") and "field_0" not in event


def test_what_json_does_not_know_is_told_in_words(log):
    log.note("warning", nan=math.nan, deep=[{"inf": -math.inf}], path=Path("a/b"), pair=(1, True))
    (event,) = read(log.path)
    assert {"nan": "nan", "deep": [{"inf": "-inf"}], "path": "a/b", "pair": [1, True]}.items() <= event.items()


def test_events_and_fields_have_their_names(log):
    with pytest.raises(ValueError, match="event: expected one of .* Did you mean 'unit_started'"):
        log.note("unit_start")
    with pytest.raises(ValueError, match="fields: 'host', 'pid' is what the log itself notes"):
        log.note("warning", pid=3, host="x")
    assert not log.path.exists()
    assert set(EVENTS) >= {"run_started", "interrupted"}


def test_a_half_line_is_passed_over_and_the_next_one_is_whole(log):
    log.note("run_started")
    whole = log.path.read_bytes()
    for cut in range(1, len(whole)):
        log.path.write_bytes(whole + whole[:cut])
        assert len(list(read(log.path))) == 1, "not even a line that lacks no more than its end"
        log.note("run_finished")
        found = [event["event"] for event in read(log.path)]
        assert found[0] == "run_started" and found[-1] == "run_finished"


@pytest.mark.parametrize("line", [b"[]", b"3", b"{}", b"", b"\xff\xfe", b"[" * 4000, b'{"event": "run_star', b"null"])
def test_what_is_no_event_is_passed_over(log, line):
    log.note("run_started")
    log.path.write_bytes(line + b"\n" + log.path.read_bytes() + line + b"\n")
    assert [event["event"] for event in read(log.path)] == ["run_started"]


def test_lines_of_many_writers_do_not_mix(log):
    script = (
        "import sys; from eegic.study.events import Events; log = Events(sys.argv[1])\n"
        "for i in range(600): log.note('warning', writer=int(sys.argv[2]), i=i, text='x' * (i * 37 % 3500))"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script, log.path, str(i)]) for i in range(2)]
    threads = [
        threading.Thread(target=lambda: [log.note("warning", writer=9, i=i) for i in range(150)]) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for one in (*processes, *threads):
        one.wait(60) if isinstance(one, subprocess.Popen) else one.join()
    events = list(read(log.path))
    assert len(events) == 2 * 600 + 2 * 150
    assert all(line.startswith(b'{"time"') for line in log.path.read_bytes().splitlines() if line)
    for writer in range(2):
        assert [event["i"] for event in events if event["writer"] == writer] == list(range(600))


def test_a_killed_writer_spoils_one_line_at_most(log):
    """Where a page of memory ends, the system may cut a write in two; the next line then begins anew."""
    script = (
        "import sys; from eegic.study.events import Events; log = Events(sys.argv[1])\n"
        "while True: log.note('warning', text='x' * 3000)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, log.path])
    while not log.path.exists() or log.path.stat().st_size < 100_000:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    log.note("run_finished")
    *before, last = read(log.path)
    n_lines = log.path.read_bytes().count(b"\n") - 1
    assert last["event"] == "run_finished"
    assert len(before) in (n_lines, n_lines - 1) and all(event["text"] == "x" * 3000 for event in before)


def test_only_the_path_is_pickled_and_nothing_stays_open(log):
    log.note("run_started")
    if Path("/proc/self/fd").exists():
        open_files = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
        assert str(log.path) not in open_files
    assert vars(pickle.loads(pickle.dumps(log))) == {"path": log.path}


def test_a_log_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none/events.jsonl: cannot be written \(No such file.*\)"):
        Events(tmp_path / "none" / "events.jsonl").note("run_started")
    with pytest.raises(FileNotFoundError, match=r"events.jsonl: no such file. A run writes it"):
        next(read(tmp_path / "events.jsonl"))


def test_a_full_disk_is_an_error_and_the_line_after_it_is_whole(log):
    """The limit on the size of files cuts the third line short, as a full disk does."""
    log.note("run_started")
    limit = 2 * log.path.stat().st_size + 20
    script = (
        "import resource, signal, sys; from eegic.study.events import Events; log = Events(sys.argv[1])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "log.note('run_started'); log.note('warning', label='lost')"
    )
    done = subprocess.run([sys.executable, "-c", script, log.path], capture_output=True, text=True, timeout=60)
    assert "cannot be written (only " in done.stderr and "Make room" in done.stderr
    log.note("run_finished")
    assert [event["event"] for event in read(log.path)] == ["run_started", "run_started", "run_finished"]


def test_a_tail_gives_each_event_once_and_waits_for_the_end_of_a_line(log):
    tail = Tail(log.path)
    assert tail.new() == []
    log.note("run_started")
    log.note("warning", i=1)
    assert [event["event"] for event in tail.new()] == ["run_started", "warning"]
    assert tail.new() == []
    line = as_json({"event": "warning", "i": 2}) + b"\n"
    with open(log.path, "ab", buffering=0) as stream:
        stream.write(line[:9])
        assert tail.new() == []
        stream.write(line[9:])
    assert [event["i"] for event in tail.new()] == [2]
    late = Tail(log.path, from_end=True)
    assert late.new() == []
    log.note("warning", i=3)
    assert [event["i"] for event in late.new()] == [3] == [event["i"] for event in tail.new()]
