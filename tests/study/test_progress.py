"""A terminal shows what runs; what is no terminal gets few lines; both are told once what failed."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
import warnings
from dataclasses import dataclass

import pytest

from eegic.study import progress as shown
from eegic.study import terminal
from eegic.study.events import Events
from eegic.study.progress import Progress


@dataclass(frozen=True)
class Row:
    label: str
    status: str = "ok"
    stage: str = "tracking"
    seconds: float | None = 10.0
    error: str | None = None


class Terminal(io.StringIO):
    """Takes text as a terminal does, and knows what its screen shows."""

    encoding = "utf-8"
    size = (80, 24)

    def isatty(self):
        return True

    def fileno(self):
        raise io.UnsupportedOperation("fileno")

    @property
    def screen(self):
        """Lines of the screen; full lines wrap."""
        return rows_of(self.getvalue(), self.size[0])


class Paper(io.StringIO):
    """Takes text as a file does."""

    @property
    def screen(self):
        return self.getvalue().splitlines()


def rows_of(text, width):
    rows, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[\d*[A-Z]|.", text, flags=re.DOTALL):
        if part == "\r":
            column = 0
        elif part == "\n":
            row, column = row + 1, 0
            rows += [""] * (row + 1 - len(rows))
        elif part.endswith("A") and part[0] == "\x1b":
            row -= int(part[2:-1])
            assert row >= 0, "moved above the top"
        elif part == "\x1b[J":
            rows = [*rows[:row], rows[row][:column]]
        else:
            assert part.isprintable(), f"{part!r} reached the terminal"
            if column >= width:
                row, column = row + 1, 0
                rows += [""] * (row + 1 - len(rows))
            line = rows[row].ljust(column)
            rows[row] = line[:column] + part + line[column + 1 :]
            column += 1
    return rows


@pytest.fixture
def log(tmp_path):
    return Events(tmp_path / "events.jsonl")


@pytest.fixture
def screen(monkeypatch):
    """A terminal of which the size can be set, drawn often."""
    monkeypatch.setattr(shown, "_EVERY", 0.005)
    monkeypatch.setenv("TERM", "xterm")
    made = Terminal()
    monkeypatch.setattr(terminal.Screen, "size", property(lambda self: (made.size[0] - 1, made.size[1])))
    return made


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when they are told to."""
    now = [1000.0]
    monkeypatch.setattr(shown.time, "monotonic", lambda: now[0])

    def advance(seconds):
        now[0] += seconds

    return advance


def wait_for(screen, what):
    """The screen, once the text is in it."""
    until = time.perf_counter() + 60
    while time.perf_counter() < until:
        lines = screen.screen
        if what in "\n".join(lines):
            return lines
        time.sleep(0.003)
    raise AssertionError(f"{what!r} did not come: {screen.screen}")


def let_look(progress):
    """Wait until the log, as it is now, was read and what it tells was shown: it takes up to three rounds."""
    rounds, learn, until = [], progress._work.learn, time.perf_counter() + 60
    progress._work.learn = lambda events: rounds.append(learn(events))
    while len(rounds) < 3:
        assert time.perf_counter() < until, "nobody looks"
        time.sleep(0.003)
    progress._work.learn = learn


def started(log, *labels, stage="tracking"):
    for label in labels:
        log.note("unit_started", stage=stage, label=label)


def test_the_bar_tells_what_is_done_and_how_long_it_takes(log, screen, clock):
    screen.size = (100, 24)
    with Progress({"tracking": 40}, log.path, stream=screen) as progress:
        for i in range(10):
            progress.finished(Row(f"{i}", "cached", seconds=0.001))
        assert wait_for(screen, "10/40 units") == ["[########----------------------] 10/40 units, 0:00 passed"]
        clock(65)
        for label in "ab":
            progress.finished(Row(label, seconds=20.0))
        progress.finished(Row("c", "cached", seconds=0.001))
        progress.finished(Row("d", "failed", seconds=1.0, error="ValueError: no EEG"))
        lines = wait_for(screen, "14/40 units")
        assert lines[0].endswith("14/40 units, 1:05 passed, about 8:40 left, 1 failed"), "26 units of 20 s"
    assert screen.screen == ["failed: tracking d: ValueError: no EEG", ""], "only the failure is left"


def test_stages_have_their_own_times(log, screen, clock):
    with Progress({"sounds": 4, "tracking": 10}, log.path, n_jobs=4, stream=screen) as progress:
        for i in range(3):
            progress.finished(Row(f"{i}", "cached", stage="tracking" if i else "sounds"))
        progress.finished(Row("a", stage="sounds", seconds=6.0))
        wait_for(screen, "4/14 units, 0:00 passed, more than 0:06 left")  # 2 units of 6 s, at most 2 at a time
        progress.finished(Row("p1", seconds=600.0))
        wait_for(screen, "5/14 units, 0:00 passed, about 17:33 left")  # 7 of 600 s and 2 of 6 s, four at a time
        progress.finished(Row("b", stage="sounds", seconds=2.0))
        progress.finished(Row("c", "cached", stage="sounds", seconds=None))
        wait_for(screen, "7/14 units, 0:00 passed, about 17:30 left")


def test_a_time_of_which_nothing_is_known_is_not_told(log, screen, clock):
    with Progress({"sounds": 1, "tracking": 2}, log.path, stream=screen) as progress:
        progress.finished(Row("a", stage="sounds", seconds=0.01))
        assert wait_for(screen, "1/3 units")[0].endswith("1/3 units, 0:00 passed")
        progress.finished(Row("p1", seconds=60.0))
        wait_for(screen, "2/3 units, 0:00 passed, about 1:00 left")
        started(log, "p2")
        wait_for(screen, "tracking p2")
        clock(60)
        assert wait_for(screen, "tracking p2  1:00")[0].endswith("2/3 units, 1:00 passed")


def test_the_bar_is_full_at_the_end_only(log, screen):
    with Progress({"tracking": 62}, log.path, stream=screen) as progress:
        for i in range(61):
            progress.finished(Row(f"{i}", "cached"))
        assert wait_for(screen, "61/62")[0].startswith(f"[{'#' * 29}-]")
        progress.finished(Row("last", "cached"))
        assert wait_for(screen, "62/62")[0].startswith(f"[{'#' * 30}]")


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (60, "[######] 7/40 units, 9:00 passed, about 33:00 left, 1 failed"),
        (52, "7/40 units, 9:00 passed, about 33:00 left, 1 failed"),
        (50, "[#----] 7/40 units, about 33:00 left, 1 failed"),
        (38, "7/40 units, about 33:00 left, 1 failed"),
        (37, "[##--------] 7/40 units, 1 failed"),
        (20, "7/40 units, 1 failed"),
        (19, "[#-----] 7/40 units"),
        (9, "7/40 u..."),
    ],
)
def test_what_matters_least_gives_way_in_a_narrow_terminal(log, screen, clock, width, shown):
    screen.size = (width + 1, 24)
    with Progress({"tracking": 40}, log.path, stream=screen) as progress:
        for i in range(6):
            progress.finished(Row(f"{i}", seconds=60.0))
        progress.finished(Row("no", "failed"))
        clock(540)
        without_bar = shown.split("] ")[-1]
        line = wait_for(screen, without_bar)[0]
        assert line.endswith(without_bar) and line.startswith("[") == (width - len(without_bar) - 3 >= 5)


def test_processes_that_start_are_told_until_a_unit_runs(log, screen):
    with Progress({"tracking": 9}, log.path, n_jobs=2, stream=screen) as progress:
        progress.finished(Row("there", "cached"))
        assert wait_for(screen, "1/9 units")[1:] == ["  starting 2 processes"]
        started(log, "sub-01")
        assert len(wait_for(screen, "sub-01")) == 2 and "starting" not in "".join(screen.screen)
        log.note("unit_finished", stage="tracking", label="sub-01", status="ok")
        progress.finished(Row("sub-01"))
        assert len(wait_for(screen, "2/9 units")) == 1


@pytest.mark.parametrize(("n_jobs", "units"), [(1, 9), (2, 0)])
def test_no_process_starts_for_nothing(log, screen, n_jobs, units):
    with Progress({"tracking": units}, log.path, n_jobs=n_jobs, stream=screen):
        assert len(wait_for(screen, f"0/{units} units")) == 1


def test_time_that_running_units_took_is_not_left(log, screen, clock):
    with Progress({"tracking": 3}, log.path, stream=screen) as progress:
        progress.finished(Row("a", seconds=60.0))
        started(log, "b")
        wait_for(screen, "tracking b")
        clock(20)
        wait_for(screen, "0:20 passed, about 1:40 left")
        clock(200)
        wait_for(screen, "3:40 passed, about 1:00 left")  # b takes longer than others; c still takes as long


def test_units_that_run_are_lines_until_they_end(log, screen, clock):
    started(log, "of a run before")
    with Progress({"tracking": 9}, log.path, stream=screen) as progress:
        started(log, "sub-01")
        wait_for(screen, "sub-01")
        clock(5)
        started(log, "sub-02")
        wait_for(screen, "sub-02")
        clock(61)
        assert wait_for(screen, "1:06")[1:] == ["  tracking sub-01  1:06", "  tracking sub-02  1:01"]
        log.note("unit_finished", stage="tracking", label="sub-01", status="ok")
        progress.finished(Row("sub-02"))
        let_look(progress)
        assert len(wait_for(screen, "1/9 units")) == 1
        assert "run before" not in screen.getvalue()


def test_a_row_may_come_before_the_log_tells_that_its_unit_began(log, screen):
    with Progress({"tracking": 9}, log.path, stream=screen) as progress:
        progress.finished(Row("sub-01", "crashed", error="killed"))
        started(log, "sub-01", "sub-02")
        assert [line[:17] for line in wait_for(screen, "sub-02")[2:]] == ["  tracking sub-02"]


def test_units_of_a_process_that_is_gone_do_not_run(log, screen):
    script = "import sys; from eegic.study.events import Events\n"
    script += "Events(sys.argv[1]).note('unit_started', stage='tracking', label='gone')"
    with Progress({"tracking": 9}, log.path, stream=screen):
        started(log, "here")
        wait_for(screen, "here")
        subprocess.run([sys.executable, "-c", script, log.path], check=True)
        elsewhere = (
            log.path.read_bytes().splitlines()[-1].replace(b'"host": "', b'"host": "not-').replace(b"gone", b"far")
        )
        with open(log.path, "ab") as stream:
            stream.write(elsewhere + b"\n")
        lines = wait_for(screen, "far")
        assert sorted(line.split()[1] for line in lines[1:]) == ["far", "here"], "of another machine nothing is known"


@pytest.mark.parametrize(("height", "n_shown"), [(24, 8), (7, 4), (2, 0)])
def test_many_units_are_counted(log, screen, height, n_shown):
    screen.size = (80, height)
    with Progress({"tracking": 99}, log.path, stream=screen):
        started(log, *(f"sub-{i:02}" for i in range(30)))
        lines = wait_for(screen, f"and {30 - n_shown} more")
        assert len(lines) == 1 + n_shown + 1
        assert all("tracking sub-" in line for line in lines[1:-1])


@pytest.mark.parametrize("width", [200, 80, 40, 20, 8, 3, 2])
def test_no_line_is_wider_than_the_terminal(log, screen, width):
    screen.size = (width, 24)
    with Progress({"tracking": 1000}, log.path, stream=screen) as progress:
        progress.finished(Row("x"))
        for label in ("s" * 300, "short", "another", "one more"):
            started(log, label)
            let_look(progress)
        assert screen.getvalue().count("\x1b[J") >= 3
    for drawn in re.split(r"\r(?:\x1b\[\d+A)?\x1b\[J", screen.getvalue())[1:]:
        assert all(len(line) < width for line in drawn.split("\n")), drawn


@pytest.mark.parametrize(
    ("text", "width", "fits"),
    [
        ("tracking", 8, "tracking"),
        ("tracking", 7, "trac..."),
        ("音楽を聴く", 10, "音楽を聴く"),
        ("音楽を聴く", 9, "音楽を..."),
        ("音楽を聴く", 8, "音楽..."),
        ("é" * 5, 5, "é" * 5),
        ("tracking", 2, ".."),
        ("tracking", 0, ""),
        ("", 0, ""),
    ],
)
def test_wide_characters_take_two_columns(text, width, fits):
    assert terminal.fitted(text, width) == fits


def test_a_terminal_that_becomes_narrower_is_left_clean(log, screen, clock):
    with Progress({"tracking": 1000}, log.path, stream=screen):
        started(log, "s" * 40)
        wide = wait_for(screen, "sss")
        assert len(wide) == 2
        before = len(screen.getvalue())
        screen.size = (30, 24)  # both lines now take two rows and more
        started(log, "next")
        wait_for(screen, "next")
    moves = re.findall(r"\x1b\[(\d+)A", screen.getvalue()[before:])
    wrapped = [rows_of("\n".join(wide), 30)]
    assert int(moves[0]) == len(wrapped[0]) - 1


@pytest.mark.parametrize("label", ["new\nline\r", "\x1b[2J\x1b[1;1H", "\x07bell\x00", "right\u202eleft", "\udce9"])
def test_names_cannot_move_the_cursor(log, screen, label):
    with Progress({"tracking": 9}, log.path, stream=screen) as progress:
        started(log, label)
        progress.finished(Row(label + "!", "failed", error=f"ValueError: {label}\nand more"))
        wait_for(screen, "failed: tracking")
        lines = wait_for(screen, "1/9")
        assert len(lines) <= 3
    assert "\u202e" not in screen.getvalue() and "\udce9" not in screen.getvalue()
    assert screen.screen[1:] == [""]


@pytest.fixture
def paper(monkeypatch):
    """A file, looked after often."""
    monkeypatch.setattr(shown, "_EVERY", 0.005)
    return Paper()


def test_a_file_gets_a_line_when_a_stage_begins_and_ends_and_one_a_minute(log, paper, clock):
    with Progress({"eeg": 2, "tracking": 20}, log.path, n_jobs=2, stream=paper) as progress:
        progress.finished(Row("sub-00", "cached", "eeg"))
        progress.finished(Row("sub-01", "cached", "eeg"))
        for i in range(3):
            progress.finished(Row(f"sub-{i}", "cached"))
        started(log, "sub-3", "sub-4")
        let_look(progress)
        assert wait_for(paper, "begins") == ["tracking begins: 20 units, 3 there already"], "what is there is no news"
        clock(59)
        progress.finished(Row("sub-3", seconds=230.0))
        let_look(progress)
        assert len(paper.screen) == 1
        clock(1)
        # 16 of 230 s, less 60 s of sub-4, two at a time
        assert wait_for(paper, "left")[1:] == ["tracking 4 of 20, about 30 min left"]
        clock(3600)
        let_look(progress)
        assert len(paper.screen) == 2, "nothing new"
        progress.finished(Row("sub-4", "failed", seconds=3660.0, error="no EEG"))
        assert wait_for(paper, "5 of 20")[2:] == ["tracking 5 of 20, about 29 min left, 1 failed"]
        for i in range(5, 20):
            progress.finished(Row(f"sub-{i}"))
        assert paper.screen[3:] == [
            "tracking ends after 1:01:00: 16 computed, 3 there already, 1 failed",
            "failed: tracking sub-4: no EEG",
        ]
    assert len(paper.screen) == 5


def test_hours_are_told_as_hours(log, paper, clock):
    with Progress({"sounds": 3, "tracking": 3}, log.path, stream=paper) as progress:
        progress.finished(Row("a", stage="sounds", seconds=4320.0))
        assert wait_for(paper, "begins") == ["sounds begins: 3 units"]
        clock(60)
        progress.finished(Row("b", stage="sounds", seconds=4320.0))
        assert wait_for(paper, "2 of 3")[1:] == ["sounds 2 of 3, more than 1 h 12 min left"]


def test_a_terminal_shows_what_failed_last_while_the_stage_goes_on(log, screen):
    with Progress({"eeg": 3, "tracking": 1}, log.path, stream=screen) as progress:
        progress.finished(Row("sub-01", "failed", "eeg", error="no EEG"))
        assert wait_for(screen, "failed: eeg")[1:] == ["  failed: eeg sub-01: no EEG"]
        progress.finished(Row("sub-02", "failed", "eeg", error="no EEG"))
        assert wait_for(screen, "sub-02")[1:] == ["  failed: eeg sub-02: no EEG"]
        progress.finished(Row("sub-03", "cached", "eeg"))
        told = "failed: eeg: 2 participants ('sub-01', 'sub-02'): no EEG"
        lines = wait_for(screen, "3/4 units")
        assert lines[0] == told and len(lines) == 2
    assert screen.screen == [told, ""]


def test_a_stage_in_which_nothing_is_tried_is_no_line(log, paper):
    with Progress({"sounds": 2, "eeg": 1}, log.path, stream=paper) as progress:
        for i in range(2):
            progress.finished(Row(f"{i}", "cached", stage="sounds"))
        progress.finished(Row("sub-01", "skipped", stage="eeg", error="not there: 'a (sounds)'. Mend it."))
    assert paper.screen == ["skipped: eeg sub-01: not there: 'a (sounds)'. Mend it."]


def test_one_reason_is_one_line_for_everybody(log, paper):
    people = [f"sub-{i:02}" for i in range(20)]
    with Progress(dict.fromkeys(("eeg", "tracking", "group"), 20), log.path, stream=paper) as progress:
        for who in people:
            progress.finished(Row(who, "failed", "eeg", error="no sound: 'melody-02'."))
        for who in people:
            progress.finished(Row(who, "skipped", error=f"not there: '{who} (eeg)', 'a: b (features)' and 3 more"))
        progress.finished(Row("group", "skipped", "group", error="not there: 'sub-01 (tracking)'. Mend it."))
    named = ", ".join(f"'{who}'" for who in people[:8])
    assert paper.screen[1:] == [
        f"failed: eeg: 20 participants ({named} and 12 more): no sound: 'melody-02'.",
        "skipped: tracking: 20 wait for eeg, features",
        "skipped: group: not there: 'sub-01 (tracking)'. Mend it.",
    ]


def test_reasons_that_differ_by_the_name_only_are_one_and_others_are_not(log, paper):
    with Progress({"eeg": 5, "sounds": 2}, log.path, stream=paper) as progress:
        for who in ("01", "02", "03"):
            progress.finished(Row(f"sub-{who}", "failed", "eeg", error=f"raw/sub-{who}.fif: no such file."))
        progress.finished(Row("sub-04", "failed", "eeg", error="raw/sub-04.fif: no FIF file."))
        progress.finished(Row("sub-05", "crashed", "eeg", error=None))
        for name in "ab":
            progress.finished(Row(name, "failed", "sounds", error="silent"))
    assert [line for line in paper.screen if "ends" not in line] == [
        "failed: eeg: 3 participants ('sub-01', 'sub-02', 'sub-03'), the first: raw/sub-01.fif: no such file.",
        "failed: eeg sub-04: raw/sub-04.fif: no FIF file.",
        "crashed: eeg sub-05: no reason given",
        "failed: sounds: 2 sounds ('a', 'b'): silent",
    ]


def test_a_run_that_is_stopped_tells_what_failed_until_then(log, paper):
    with pytest.raises(KeyboardInterrupt), Progress({"tracking": 3}, log.path, stream=paper) as progress:
        progress.finished(Row("sub-01"))
        progress.finished(Row("sub-02", "failed", error="two\nlines"))
        raise KeyboardInterrupt
    assert [line for line in paper.screen if "begins" not in line] == ["failed: tracking sub-02: two lines"]


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_nothing_is_written_where_nothing_is_wanted(log, stream):
    stream, n_threads = stream(), threading.active_count()
    with Progress({"tracking": 3}, log.path, stream=stream, verbose=False) as progress:
        assert threading.active_count() == n_threads
        progress.finished(Row("sub-01", "failed", error="ValueError: no EEG"))
    assert stream.getvalue() == ""


def test_a_terminal_that_cannot_draw_over_lines_gets_the_failures(log, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with Progress({"tracking": 3}, log.path, stream=stream) as progress:
        progress.finished(Row("sub-01"))
        progress.finished(Row("sub-02", "failed", error="ValueError: ü"))
    assert stream.getvalue().splitlines()[-1] == "failed: tracking sub-02: ValueError: ü"
    assert "\x1b" not in stream.getvalue()


def test_standard_error_is_the_stream(log, capsys, clock):
    with Progress({"tracking": 3}, log.path) as progress:
        progress.finished(Row("sub-02", "failed", error="ValueError: no EEG"))
    told = "tracking ends after 0:00: 1 failed\nfailed: tracking sub-02: ValueError: no EEG\n"
    assert capsys.readouterr() == ("", told)


def test_what_the_stream_cannot_write_is_replaced(log):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with Progress({"tracking": 3}, log.path, stream=stream) as progress:
        progress.finished(Row("süb-1", "failed", error="ValueError: 🎵"))
    assert stream.buffer.getvalue().splitlines()[-1] == b"failed: tracking s?b-1: ValueError: ?"


def test_a_stream_that_breaks_does_not_stop_the_run(log, screen):
    with Progress({"tracking": 3}, log.path, stream=screen) as progress:
        wait_for(screen, "0/3")
        screen.write = lambda text: (_ for _ in ()).throw(BrokenPipeError(32, "Broken pipe"))
        progress.finished(Row("sub-02", "failed", error="ValueError: no EEG"))
        let_look(progress)


def test_an_error_in_the_block_passes_and_the_thread_ends(log, screen):
    n_threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt), Progress({"tracking": 3}, log.path, stream=screen):
        wait_for(screen, "0/3")
        assert threading.active_count() == n_threads + 1
        raise KeyboardInterrupt
    assert threading.active_count() == n_threads
    assert screen.screen == [""]


def test_warnings_stand_above_the_bar(log, screen, monkeypatch):
    def show(message, *where):
        print(f"Warning: {message}", file=screen)

    monkeypatch.setattr(warnings, "showwarning", show)
    with warnings.catch_warnings(), Progress({"tracking": 3}, log.path, stream=screen):
        warnings.simplefilter("always")
        started(log, "sub-01")
        wait_for(screen, "sub-01")
        warnings.showwarning("damaged", UserWarning, "a.py", 1)
        lines = wait_for(screen, "sub-01")
        assert [line[:17] for line in lines] == ["Warning: damaged", "[----------------", "  tracking sub-01"]
        with pytest.warns(UserWarning, match="caught"):
            warnings.warn("caught", stacklevel=1)
    assert screen.screen == ["Warning: damaged", ""]
    assert warnings.showwarning is show


def test_numbers_of_units_are_checked(log):
    with pytest.raises(ValueError, match="total: expected at least 0, got -1"):
        Progress({"tracking": -1}, log.path)
    with pytest.raises(TypeError, match="total: expected a whole number, got 1.5"):
        Progress({"tracking": 1.5}, log.path)
    with pytest.raises(ValueError, match="n_jobs: expected at least 1, got 0"):
        Progress({"tracking": 3}, log.path, n_jobs=0)


def test_nothing_to_do_is_done(log, screen, clock):
    with Progress({"tracking": 0}, log.path, stream=screen):
        assert wait_for(screen, "0/0 units") == ["[------------------------------] 0/0 units, 0:00 passed"]


def test_a_real_terminal_of_forty_columns(log):
    """A pseudo-terminal: its size is asked for, lines fit, and nothing stays but the failure."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 40, 0, 0))
    script = (
        "import sys, time; from types import SimpleNamespace; from eegic.study import progress\n"
        "from eegic.study.events import Events\n"
        "progress._EVERY = 0.01; log = Events(sys.argv[1])\n"
        "with progress.Progress({'tracking': 9}, log.path) as shown:\n"
        "    log.note('unit_started', stage='tracking', label='a very long name of a participant who listens')\n"
        "    until = time.monotonic() + 120\n"
        "    while len(shown._screen._drawn) < 2 and time.monotonic() < until: time.sleep(0.01)\n"
        "    shown.finished(SimpleNamespace(stage='tracking', label='b', status='failed', seconds=1, error='no EEG'))\n"
    )
    environment = {**os.environ, "TERM": "xterm"}
    done = subprocess.run([sys.executable, "-c", script, log.path], stderr=follower, env=environment, timeout=240)
    os.close(follower)
    written = os.read(leader, 100_000).decode()
    os.close(leader)
    assert done.returncode == 0
    text = written.replace("\r\n", "\n")
    assert rows_of(text, 40) == ["failed: tracking b: no EEG", ""]
    assert "  tracking a very long name of a ...  0:00" not in text and "...  0:00" in text
    drawn = re.split(r"\r(?:\x1b\[\d+A)?\x1b\[J", text)
    assert max(len(line) for lines in drawn for line in lines.split("\n")) == 39
