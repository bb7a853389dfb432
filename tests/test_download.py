"""A file comes whole and right, or not at all, whatever the network does."""

import errno
import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading

import pytest
import requests
import webserver

from eegic.datasets.public import download as module
from eegic.datasets.public.download import download
from eegic.datasets.public.landing import Expected, amount, part_of, write_all


@pytest.fixture
def site(monkeypatch):
    monkeypatch.delenv("EEGIC_OFFLINE")
    monkeypatch.setattr(module, "_PAUSES", (0.0,) * 4)
    with webserver.serving() as site:
        yield site


@pytest.fixture
def data(rng):
    return rng.bytes(100_000)


@pytest.fixture
def known(data):
    return {"size": len(data), "algo": "sha256", "digest": sha(data)}


def sha(data):
    return hashlib.sha256(data).hexdigest()


def names(folder):
    return sorted(os.listdir(folder))


def leave_part(site, target, data, **known):
    """A first attempt that gets 30 % and then nothing."""
    site.files["a.bin"] = data
    site.cuts["a.bin"], site.statuses["a.bin"] = [30_000], []
    before = site.files["a.bin"]

    def gone(seconds):
        site.statuses["a.bin"] = [404]

    sleep, module.time.sleep = module.time.sleep, gone
    try:
        with pytest.raises(OSError, match="30000 bytes are kept: run again to go on from there"):
            download(site.at("a.bin"), target, **known)
    finally:
        module.time.sleep = sleep
    assert not target.exists()
    assert part_of(target).read_bytes() == before[:30_000]
    site.asked.clear()


def test_a_file_comes_whole_and_leaves_nothing_beside_it(site, data, known, tmp_path, capsys):
    site.files["a.bin"] = data
    target = tmp_path / "new" / "folder" / "ä b.bin"
    assert download(site.at("a.bin"), target, **known) == target
    assert target.read_bytes() == data
    assert names(target.parent) == ["ä b.bin"]
    assert capsys.readouterr() == ("", "")


def test_what_is_there_and_right_is_not_asked_for(data, known, tmp_path, monkeypatch):
    (tmp_path / "a.bin").write_bytes(data)
    monkeypatch.setattr(socket, "socket", None)
    assert os.environ["EEGIC_OFFLINE"] == "1"
    assert download("https://example.org/a.bin", tmp_path / "a.bin", **known).read_bytes() == data
    assert names(tmp_path) == ["a.bin"]


def test_offline_opens_no_socket(known, tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    with pytest.raises(OSError, match=r"a\.bin: EEGIC_OFFLINE is set, so nothing is fetched. Unset it, or put"):
        download("https://example.org/a.bin", tmp_path / "new" / "a.bin", **known)
    assert names(tmp_path) == []


def test_a_cut_connection_is_taken_up_where_it_ended(site, data, known, tmp_path):
    site.files["a.bin"], site.cuts["a.bin"] = data, [30_000, 60_000]
    assert download(site.at("a.bin"), tmp_path / "a.bin", **known).read_bytes() == data
    assert site.ranges_asked() == [None, "bytes=30000-", "bytes=60000-"]


def test_a_later_call_goes_on(site, data, known, tmp_path):
    leave_part(site, tmp_path / "a.bin", data, **known)
    assert download(site.at("a.bin"), tmp_path / "a.bin", **known).read_bytes() == data
    assert site.ranges_asked() == ["bytes=30000-"]
    assert names(tmp_path) == ["a.bin"]


def test_an_interrupt_loses_nothing(site, data, known, tmp_path, monkeypatch):
    site.files["a.bin"] = data
    monkeypatch.setattr(module, "_CHUNK", 10_000)
    write = module.write_all

    def interrupted(stream, chunk):
        write(stream, chunk)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_all", interrupted)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            download(site.at("a.bin"), tmp_path / "a.bin", **known)
    monkeypatch.setattr(module, "write_all", write)
    assert download(site.at("a.bin"), tmp_path / "a.bin", **known).read_bytes() == data
    assert site.ranges_asked() == [None, "bytes=10000-", "bytes=20000-", "bytes=30000-"]


def test_a_server_without_ranges_sends_all_anew(site, data, known, tmp_path):
    site.files["a.bin"], site.cuts["a.bin"], site.ranges = data, [30_000, 20_000, 50_000], False
    assert download(site.at("a.bin"), tmp_path / "a.bin", **known).read_bytes() == data
    assert len(site.asked) == 4


def test_a_connection_that_is_always_cut_is_given_up(site, data, known, tmp_path):
    site.files["a.bin"], site.cuts["a.bin"], site.ranges = data, [30_000] * 99, False
    with pytest.raises(OSError, match=r"a\.bin: no source gave the file.*, 5 times.*30000 bytes are kept"):
        download(site.at("a.bin"), tmp_path / "a.bin", **known)
    assert 5 <= len(site.asked) <= 6
    assert not (tmp_path / "a.bin").exists()


def test_an_end_that_comes_too_early_shows_in_the_size(site, data, tmp_path):
    site.files["a.bin"], site.cuts["a.bin"], site.lengths, site.tags["a.bin"] = data, [30_000], False, '"one"'
    assert download(site.at("a.bin"), tmp_path / "a.bin", size=len(data)).read_bytes() == data
    assert site.ranges_asked() == [None, "bytes=30000-"]


def test_a_server_that_was_there_is_waited_for(site, data, known, tmp_path, monkeypatch):
    """A source that cannot be reached is passed over, but not one that has begun to send."""
    site.files["a.bin"], site.cuts["a.bin"] = data, [30_000]
    get, calls = requests.Session.get, []

    def sometimes(self, url, **settings):
        calls.append(url)
        if len(calls) in (2, 3):
            raise requests.ConnectionError("the network is down")
        return get(self, url, **settings)

    monkeypatch.setattr(requests.Session, "get", sometimes)
    assert download([site.at("a.bin"), site.at("b.bin")], tmp_path / "a.bin", **known).read_bytes() == data
    assert calls == [site.at("a.bin")] * 4


@pytest.mark.parametrize("other", [b"another recording " * 5000, b"short"])
@pytest.mark.parametrize("digest", [True, False])
def test_a_file_that_changed_between_the_parts_is_fetched_anew(site, data, tmp_path, digest, other):
    site.tags["a.bin"] = '"one"'
    leave_part(site, tmp_path / "a.bin", data)
    site.files["a.bin"], site.tags["a.bin"] = other, '"two"'
    known = {"algo": "sha256", "digest": sha(other)} if digest else {}
    assert download(site.at("a.bin"), tmp_path / "a.bin", **known).read_bytes() == other


def test_a_tag_lets_go_on_without_a_digest(site, data, tmp_path):
    site.tags["a.bin"] = '"one"'
    leave_part(site, tmp_path / "a.bin", data)
    assert download(site.at("a.bin"), tmp_path / "a.bin").read_bytes() == data
    assert site.ranges_asked() == ["bytes=30000-"]


@pytest.mark.parametrize("tag", ["", 'W/"weak"'])
def test_without_tag_and_digest_all_is_fetched_anew(site, data, tmp_path, tag):
    site.tags["a.bin"] = tag
    site.files["a.bin"], site.cuts["a.bin"] = data, [30_000]
    assert download(site.at("a.bin"), tmp_path / "a.bin").read_bytes() == data
    assert site.ranges_asked() == [None, None]


def test_another_source_goes_on_where_the_first_ended(site, data, known, tmp_path):
    leave_part(site, tmp_path / "a.bin", data, **known)
    site.files["mirror"] = data
    site.statuses["a.bin"] = [410]
    download([site.at("a.bin"), site.at("mirror")], tmp_path / "a.bin", **known)
    assert site.asked == [("a.bin", "bytes=30000-"), ("mirror", "bytes=30000-")]
    assert (tmp_path / "a.bin").read_bytes() == data


def test_a_part_that_was_damaged_is_found_out_and_fetched_anew(site, data, known, tmp_path):
    leave_part(site, tmp_path / "a.bin", data, **known)
    part_of(tmp_path / "a.bin").write_bytes(bytes(30_000))
    assert download(site.at("a.bin"), tmp_path / "a.bin", **known).read_bytes() == data
    assert site.ranges_asked() == ["bytes=30000-", None]
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("told", [None, "{", "[]", '{"digest": "0"}'])
def test_a_part_of_unknown_origin_is_not_used(site, data, known, tmp_path, told):
    site.files["a.bin"] = data
    part_of(tmp_path / "a.bin").write_bytes(data[:500])
    if told is not None:
        (tmp_path / ".a.bin.part.json").write_text(told)
    assert download(site.at("a.bin"), tmp_path / "a.bin", **known).read_bytes() == data
    assert site.ranges_asked() == [None]


def test_a_part_that_is_complete_needs_no_more_bytes(site, data, known, tmp_path):
    leave_part(site, tmp_path / "a.bin", data, **known)
    part_of(tmp_path / "a.bin").write_bytes(data)
    unsized = {name: known[name] for name in ("algo", "digest")}
    shutil.copytree(tmp_path, tmp_path / "copy")
    assert download(site.at("a.bin"), tmp_path / "copy" / "a.bin", **known).read_bytes() == data
    assert site.asked == []
    assert download(site.at("a.bin"), tmp_path / "a.bin", **unsized).read_bytes() == data
    assert site.ranges_asked() == ["bytes=100000-"]


def test_a_part_longer_than_the_file_is_dropped(site, data, known, tmp_path):
    leave_part(site, tmp_path / "a.bin", data, algo="sha256", digest=known["digest"])
    part_of(tmp_path / "a.bin").write_bytes(bytes(200_000))
    unsized = {name: known[name] for name in ("algo", "digest")}
    assert download(site.at("a.bin"), tmp_path / "a.bin", **unsized).read_bytes() == data
    assert site.ranges_asked() == ["bytes=200000-", None]


def test_a_part_longer_than_expected_is_not_continued(site, data, known, tmp_path):
    leave_part(site, tmp_path / "a.bin", data, **known)
    part_of(tmp_path / "a.bin").write_bytes(bytes(200_000))
    assert download(site.at("a.bin"), tmp_path / "a.bin", **known).read_bytes() == data
    assert site.ranges_asked() == [None]


def test_other_bytes_than_asked_for_are_not_joined(site, data, tmp_path):
    site.tags["a.bin"] = '"one"'
    leave_part(site, tmp_path / "a.bin", data)
    site.shift = 10
    assert download(site.at("a.bin"), tmp_path / "a.bin").read_bytes() == data
    assert site.ranges_asked() == ["bytes=30000-", None]


def test_a_wrong_digest_leaves_no_file_of_that_name(site, data, known, tmp_path):
    site.files["a.bin"] = bytes(len(data))
    with pytest.raises(OSError) as caught:
        download(site.at("a.bin"), tmp_path / "a.bin", **known)
    assert f"expected sha256 {known['digest']}, got {sha(bytes(len(data)))}; what came is kept as a.bin.bad" in str(
        caught.value
    )
    assert "a.bin" not in names(tmp_path)
    assert (tmp_path / "a.bin.bad").read_bytes() == bytes(len(data))
    assert len(site.asked) == 1, "what came whole is not asked for twice"
    md5 = hashlib.md5(data).hexdigest()
    site.files["mirror"] = data
    download([site.at("a.bin"), site.at("mirror")], tmp_path / "a.bin", algo="md5", digest=md5.upper())
    assert (tmp_path / "a.bin").read_bytes() == data


def test_a_wrong_file_of_that_name_stays_until_the_right_one_is_there_and_is_kept(site, data, known, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"mine")
    with pytest.raises(OSError, match="404 Not Found"):
        download(site.at("a.bin"), tmp_path / "a.bin", **known)
    assert (tmp_path / "a.bin").read_bytes() == b"mine"
    site.files["a.bin"] = data
    assert download(site.at("a.bin"), tmp_path / "a.bin", **known).read_bytes() == data
    assert (tmp_path / "a.bin.bad").read_bytes() == b"mine"


def test_sources_are_asked_in_order_and_the_error_tells_what_each_said(site, data, known, tmp_path):
    dead = webserver.closed_port() + "/a.bin"
    site.files["short"], site.redirects["file"] = data[:-1], "file:///etc/hostname"
    urls = [dead, site.at("missing"), site.at("short"), site.at("file")]
    with pytest.raises(OSError) as caught:
        download(urls, tmp_path / "a.bin", **known)
    said = str(caught.value)
    places = [said.index(f"{url}: ") for url in urls]
    assert places == sorted(places)
    for why in ("Connection refused", "404 Not Found", "expected 100000 bytes, got a file of 99999", "redirected to"):
        assert why in said
    assert "object at 0x" not in said
    assert said.endswith("Try again later.")
    site.files["mirror"] = data
    assert download([*urls, site.at("mirror")], tmp_path / "a.bin", **known).read_bytes() == data


def test_a_busy_server_is_asked_again(site, data, known, tmp_path):
    site.files["a.bin"], site.statuses["a.bin"] = data, [503, 429]
    assert download(site.at("a.bin"), tmp_path / "a.bin", **known).read_bytes() == data
    site.statuses["b"] = [503] * 99
    with pytest.raises(OSError, match=r"b: 503 Service Unavailable, 5 times\."):
        download(site.at("b"), tmp_path / "b.bin", **known)


def test_a_silent_server_counts_as_cut(site, data, known, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PAUSES", (0.0,))
    site.files["a.bin"], site.pauses["a.bin"] = data, 60.0
    site.files["mirror"] = data
    download([site.at("a.bin"), site.at("mirror")], tmp_path / "a.bin", timeout=0.75, **known)
    assert site.paths_asked()[-1] == "mirror"
    assert (tmp_path / "a.bin").read_bytes() == data


def test_a_redirect_is_followed(site, data, known, tmp_path):
    site.files["a.bin"], site.redirects["old"], site.cuts["a.bin"] = data, site.at("a.bin"), [30_000]
    assert download(site.at("old"), tmp_path / "a.bin", **known).read_bytes() == data
    assert site.ranges_asked() == [None, None, "bytes=30000-", "bytes=30000-"]
    site.redirects["loop"] = "/loop"
    with pytest.raises(OSError, match="redirected more than 10 times"):
        download(site.at("loop"), tmp_path / "b.bin", **known)


@pytest.mark.parametrize(
    ("there", "digest", "may"),
    [
        ("https://b.org/x", False, True),
        ("http://b.org/x", False, False),
        ("http://b.org/x", True, True),
        ("http://localhost/x", True, False),
        ("https://127.0.0.1/x", True, False),
        ("file:///etc/passwd", True, False),
        ("ftp://b.org/x", True, False),
    ],
)
def test_where_redirects_may_lead(tmp_path, there, digest, may):
    expected = Expected(algo="sha256", digest="0" * 64) if digest else Expected()
    assert module._Download(tmp_path / "a", expected, 1.0, False)._may_lead("https://a.org/x", there) is may


def test_a_web_page_is_no_recording(site, tmp_path):
    site.files["a.bin"], site.headers = b"<html>Please log in</html>", {"Content-Type": "text/html; charset=utf-8"}
    with pytest.raises(OSError, match="expected a file, got a web page, perhaps one to log in"):
        download(site.at("a.bin"), tmp_path / "a.bin")
    assert download(site.at("a.bin"), tmp_path / "a.html").read_bytes() == site.files["a.bin"]


def test_more_bytes_than_expected_are_not_taken(site, data, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 1000)
    site.files["a.bin"], site.lengths = data, False
    with pytest.raises(OSError, match="expected 5000 bytes, got more"):
        download(site.at("a.bin"), tmp_path / "a.bin", size=5000)
    assert not [name for name in names(tmp_path) if not name.endswith(".lock")]


def test_bytes_are_taken_as_they_are_stored(site, data, tmp_path):
    """A server that calls a .gz file compressed content must not make us unpack it."""
    site.files["a.gz"], site.headers = data, {"Content-Encoding": "gzip"}
    assert download(site.at("a.gz"), tmp_path / "a.gz").read_bytes() == data


def test_a_full_disk_is_found_out_before(site, data, known, tmp_path, monkeypatch):
    site.files["a.bin"] = data
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 5, 99_999))
    with pytest.raises(OSError, match=r"a\.bin: 100000 bytes more are needed \(100.0 kB\), but 99999 are free"):
        download(site.at("a.bin"), tmp_path / "a.bin", **known)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 5, 100_000))
    download(site.at("a.bin"), tmp_path / "a.bin", **known)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_that_fills_up_keeps_the_part(site, data, known, tmp_path, monkeypatch, code):
    site.files["a.bin"] = data
    monkeypatch.setattr(module, "_CHUNK", 10_000)
    write, written = module.write_all, []

    def full(stream, chunk):
        if len(written) == 4:
            raise OSError(code, os.strerror(code))
        write(stream, chunk)
        written.append(chunk)

    monkeypatch.setattr(module, "write_all", full)
    with pytest.raises(OSError, match=r"a\.bin of 100000 bytes does not fit on the disk.*part that came is kept") as e:
        download([site.at("a.bin"), site.at("b.bin")], tmp_path / "a.bin", **known)
    assert e.value.errno == code
    assert len(site.asked) == 1, "no other source, and no other attempt, makes room"
    assert not (tmp_path / "a.bin").exists()
    monkeypatch.setattr(module, "write_all", write)
    assert download(site.at("a.bin"), tmp_path / "a.bin", **known).read_bytes() == data
    assert site.ranges_asked() == [None, "bytes=40000-"]


def test_on_a_disk_that_is_really_too_small(site, tmp_path, monkeypatch, rng):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], capture_output=True
    ).returncode
    if mounted != 0:
        pytest.skip("mounting is not permitted here")
    try:
        data = rng.bytes(2**21)
        site.files["a.bin"] = data
        with pytest.raises(OSError, match="bytes more are needed"):
            download(site.at("a.bin"), tmp_path / "a.bin", algo="sha256", digest=sha(data))
        monkeypatch.setattr(module, "check_space", lambda *_: None)  # somebody else fills the disk meanwhile
        with pytest.raises(OSError, match=r"a\.bin of 2097152 bytes does not fit on the disk"):
            download(site.at("a.bin"), tmp_path / "a.bin", algo="sha256", digest=sha(data))
        part = (tmp_path / ".a.bin.part").read_bytes()
        assert part == data[: len(part)]
        assert len(part) > 500_000
        subprocess.run(["mount", "-o", "remount,size=5m", tmp_path], check=True)
        assert download(site.at("a.bin"), tmp_path / "a.bin", algo="sha256", digest=sha(data)).read_bytes() == data
        assert site.ranges_asked()[-1] == f"bytes={len(part)}-"
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_several_at_once_fetch_it_once(site, data, known, tmp_path):
    site.files["a.bin"], site.pauses["a.bin"] = data, 0.05
    threads = [
        threading.Thread(target=download, args=(site.at("a.bin"), tmp_path / "a.bin"), kwargs=known) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a.bin").read_bytes() == data
    assert len(site.asked) == 1


def test_the_file_is_on_disk_before_it_takes_its_name(site, data, known, tmp_path, monkeypatch):
    site.files["a.bin"] = data
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append(os.fstat(handle).st_ino), fsync(handle))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append(os.fspath(b)), replace(a, b))[1])
    download(site.at("a.bin"), tmp_path / "a.bin", **known)
    last = done.index(str(tmp_path / "a.bin"))
    assert done[last - 1] == (tmp_path / "a.bin").stat().st_ino
    assert done[last + 1 :] == ([tmp_path.stat().st_ino] if os.name == "posix" else [])


def test_the_origin_of_a_part_is_told_beside_it(site, data, known, tmp_path):
    site.tags["a.bin"] = '"one"'
    leave_part(site, tmp_path / "a.bin", data, **known)
    told = json.loads((tmp_path / ".a.bin.part.json").read_text())
    assert told == {"url": site.at("a.bin"), "version": '"one"', "digest": known["digest"], "size": len(data)}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("after", "progress", "shown"), [(0.0, True, True), (0.0, False, False), (2.0, True, False)])
def test_a_bar_is_shown_in_a_terminal_if_it_takes_long(site, data, tmp_path, monkeypatch, after, progress, shown):
    site.files["a.bin"], site.pauses["a.bin"] = data, 0.12
    monkeypatch.setattr(module, "_BAR_AFTER", after)
    monkeypatch.setattr(sys, "stderr", Terminal())
    download(site.at("a.bin"), tmp_path / "a.bin", progress=progress)
    assert ("a.bin" in sys.stderr.getvalue()) is shown


@pytest.mark.parametrize(
    ("urls", "known", "message"),
    [
        ([], {}, "urls: expected at least one address, got none"),
        ("http://example.org/a", {}, "urls: expected addresses that begin with https://, got 'http://example.org/a'"),
        ("file:///etc/passwd", {}, "expected addresses that begin with https://"),
        ("a.bin", {}, "expected addresses that begin with https://"),
        ("https://a.org/a", {"size": -1}, "size: expected at least 0"),
        ("https://a.org/a", {"digest": "0" * 64}, "expected algo and digest, or neither"),
        ("https://a.org/a", {"algo": "md5", "digest": "0" * 64}, "expected 32 hexadecimal digits for md5"),
        ("https://a.org/a", {"algo": "sha1", "digest": "0" * 40}, "expected one of 'sha256', 'md5', got 'sha1'"),
        ("https://a.org/a", {"timeout": 0}, "timeout: expected a finite positive number of seconds"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, urls, known, message):
    with pytest.raises(ValueError, match=message):
        download(urls, tmp_path / "a.bin", **known)


def test_folders_in_the_way_are_named(site, tmp_path):
    with pytest.raises(IsADirectoryError, match="expected the name of a file, got a folder"):
        download(site.at("a.bin"), tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match=r"file/a\.bin: cannot be written .* Choose a folder that can be"):
        download(site.at("a.bin"), tmp_path / "file" / "a.bin")


def test_amounts_are_those_people_read():
    assert [amount(n) for n in (0, 999, 1000, 31_322_156, 228_795_478_460, 10**15)] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "31.3 MB",
        "228.8 GB",
        "1000.0 TB",
    ]


def test_every_byte_is_written_where_a_disk_takes_few_at_a_time():
    class Slow(io.BytesIO):
        def write(self, some):
            return super().write(some[:3])

    stream = Slow()
    write_all(stream, b"0123456789")
    assert stream.getvalue() == b"0123456789"
