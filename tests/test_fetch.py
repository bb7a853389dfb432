"""What a manifest lists comes to its place, is checked, and nothing comes that was not agreed to."""

import errno
import hashlib
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import zipfile
from types import SimpleNamespace

import pytest
import webserver
from filelock import FileLock

from eegic.datasets.public import download as downloads
from eegic.datasets.public import fetch_job as jobs
from eegic.datasets.public import landing
from eegic.datasets.public.archives import unpack
from eegic.datasets.public.fetch import Count, data_root, fetch, status, verify
from eegic.datasets.public.manifest import load_manifest

PARTS = {
    "sub-01/eeg.set": (b"recording of 01" * 99, "eeg", "01"),
    "sub-02/eeg.set": (b"recording of 02" * 99, "eeg", "02"),
    "stimuli/piece 1#.wav": (b"sound" * 50, "stim", "*"),
    "stimuli/heard by 02.wav": (b"noise" * 50, "stim", "02"),
    "participants.tsv": (b"participant_id\nsub-01\n", "meta", ""),
}


def sha(content):
    return hashlib.sha256(content).hexdigest()


def packed(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.fixture
def site(monkeypatch, tmp_path):
    monkeypatch.delenv("EEGIC_OFFLINE")
    monkeypatch.setenv("EEGIC_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(downloads, "_PAUSES", (0.0,) * 4)
    with webserver.serving() as site:
        site.files = {f"set/{name.replace(' ', '%20').replace('#', '%23')}": one[0] for name, one in PARTS.items()}
        yield site


@pytest.fixture
def write(tmp_path, site):
    """Write a manifest: rows of files.tsv, and lines of dataset.toml before and after the source."""

    def manifest(rows=None, top="", licence="CC0-1.0", sounds="CC-BY-4.0", source=None):
        folder = tmp_path / "manifests" / "toy"
        folder.mkdir(parents=True, exist_ok=True)
        source = f'[[source]]\nname = "here"\nbase = "{site.at("set/")}"\n' if source is None else source
        given = {"access": "open", "files_complete": "true", "verified": "true"}
        settings = {
            name: value if value == "true" else f'"{value}"' for name, value in given.items() if name not in top
        }
        (folder / "dataset.toml").write_text(
            f'id = "toy"\ntitle = "A toy"\ndoi = "10.1/toy"\nhomepage = "https://toy.org/all"\nlicence = "{licence}"\n'
            f'stimuli_licence = "{sounds}"\nlicence_source = "its readme"\n'
            + "".join(f"{name} = {value}\n" for name, value in settings.items())
            + f"{top}\n{source}"
        )
        rows = [row(name, *one) for name, one in PARTS.items()] if rows is None else rows
        head = "path bytes algo digest role participant source_path archive".split()
        (folder / "files.tsv").write_text("\n".join("\t".join(one) for one in (head, *rows)) + "\n")
        return load_manifest(folder)

    return manifest


def row(name, content, role="eeg", participant="*", source_path="", archive="", digest=True):
    known = ("sha256", sha(content)) if digest else ("", "")
    return (name, str(len(content)) if digest else "unknown", *known, role, participant, source_path, archive)


def names(folder):
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )


def states(verdicts):
    return {verdict.path: verdict.state for verdict in verdicts}


def test_everything_comes_to_its_place_once(write, site, tmp_path, capsys):
    manifest = write()
    done = fetch(manifest, accept_licence=True)
    assert done.root == tmp_path / "data" / "toy" == data_root(manifest)
    assert {path.relative_to(done.root).as_posix(): path.read_bytes() for path in done.files} == {
        name: one[0] for name, one in PARTS.items()
    }
    assert done.bytes == sum(len(one[0]) for one in PARTS.values())
    assert (done.already, len(site.asked)) == (0, 5)
    assert names(done.root) == sorted(PARTS), "and nothing else lies there"
    again = fetch(manifest)  # nothing is to be accepted where nothing comes
    assert (again.files, again.bytes, again.already, len(site.asked)) == (done.files, 0, 5, 5)
    assert set(states(verify(manifest)).values()) == {"ok"}
    assert capsys.readouterr() == ("", "")


def test_one_participant_comes_alone(write, tmp_path):
    manifest = write()
    fetch(manifest, tmp_path / "one", participants="sub-01", accept_licence=True)
    assert names(tmp_path / "one") == ["participants.tsv", "stimuli/piece 1#.wav", "sub-01/eeg.set"]
    assert set(states(verify(manifest, tmp_path / "one", participants=["01"])).values()) == {"ok"}
    assert states(verify(manifest, tmp_path / "one"))["sub-02/eeg.set"] == "missing"
    with pytest.raises(ValueError, match="toy: participants: expected one of '01', '02', got '1'"):
        fetch(manifest, participants="1")


def test_what_is_included(write, tmp_path):
    manifest = write()
    fetch(manifest, tmp_path / "x", include="stim", participants=["01"], accept_licence=True)
    assert names(tmp_path / "x") == ["stimuli/piece 1#.wav"]
    fetch(manifest, tmp_path / "y", include=["eeg", "meta"], accept_licence=True)
    assert names(tmp_path / "y") == ["participants.tsv", "sub-01/eeg.set", "sub-02/eeg.set"]
    with pytest.raises(ValueError, match="include: expected one of 'eeg', 'stim', 'meta', got 'stims'. Did you mean"):
        fetch(manifest, include="stims")


def test_licences_are_shown_until_they_are_accepted(write, site, tmp_path):
    manifest = write()
    with pytest.raises(PermissionError) as caught:
        fetch(manifest)
    assert str(caught.value) == (
        "toy, A toy (doi 10.1/toy): licence of the recordings: CC0-1.0; licence of the sounds: CC-BY-4.0 (source: its "
        f"readme). 5 files, 3.5 kB, would come to {tmp_path / 'data' / 'toy'}. If you may use them so, pass "
        "accept_licence=True."
    )
    with pytest.raises(TypeError, match="accept_licence: expected True or False, got 'yes'"):
        fetch(manifest, accept_licence="yes")
    assert (site.asked, os.path.exists(tmp_path / "data")) == ([], False)


def test_an_unknown_licence_is_accepted_by_its_own_name(write, site):
    manifest = write(sounds="unknown")
    with pytest.raises(
        PermissionError, match=r"sounds: unknown .* pass accept_unknown_licence=True and accept_licence="
    ):
        fetch(manifest)
    with pytest.raises(PermissionError, match=r"pass accept_unknown_licence=True\."):
        fetch(manifest, accept_licence=True)
    with pytest.raises(PermissionError, match=r"pass accept_licence=True\."):
        fetch(manifest, accept_unknown_licence=True)
    assert site.asked == []
    assert len(fetch(manifest, include="eeg", accept_licence=True).files) == 2, "the sounds are not in question"
    assert len(fetch(manifest, accept_licence=True, accept_unknown_licence=True).files) == 5


@pytest.mark.parametrize(("access", "why"), [("login", "a login is needed"), ("manual", "they are given by hand only")])
def test_what_no_address_gives_is_put_there_by_hand(write, site, tmp_path, access, why):
    page = '[[source]]\nname = "page"\nkind = "page"\nbase = "https://toy.org/login"\n'
    manifest = write(top=f'access = "{access}"', source=page)
    with pytest.raises(FileNotFoundError) as caught:
        fetch(manifest, tmp_path, participants="01", include="eeg", accept_licence=True)
    assert str(caught.value) == (
        f"toy: 1 files are missing, and {why}. Get them from https://toy.org/login and put them there: "
        f"{str(tmp_path / 'sub-01' / 'eeg.set')!r}."
    )
    (tmp_path / "sub-01").mkdir()
    (tmp_path / "sub-01" / "eeg.set").write_bytes(PARTS["sub-01/eeg.set"][0])
    assert fetch(manifest, tmp_path, participants="01", include="eeg").already == 1
    assert site.asked == []


def test_without_a_source_the_page_is_named(write):
    with pytest.raises(FileNotFoundError, match="Get them from https://toy.org/all and put them there"):
        fetch(write(source=""), accept_licence=True)


def test_a_manifest_without_files_says_where_to_begin(write):
    manifest = write(rows=[])
    with pytest.raises(
        ValueError, match="toy: no files are listed. Get the data set from https://toy.org/all; `eegic data add FOLDER"
    ):
        fetch(manifest)
    assert status(manifest).total == Count(0, 0, 0, 0, 0)
    assert verify(manifest) == []


@pytest.mark.parametrize(
    ("top", "of"),
    [("n_files = 20", "5 of 20 files, which is not"), ("", "5 of an unknown number of files, which may not")],
)
def test_a_manifest_that_lists_some_files_says_so_before_anything_starts(write, site, tmp_path, top, of):
    manifest = write(top=f"files_complete = false\n{top}")
    with pytest.raises(ValueError, match=f"toy: this manifest lists {of}") as caught:
        fetch(manifest, accept_licence=True)
    assert "Get the data set from https://toy.org/all, then `eegic data add FOLDER --id toy` completes" in str(
        caught.value
    )
    assert not site.asked and not (tmp_path / "data").exists()
    assert len(fetch(manifest, accept_licence=True, incomplete=True).files) == 5
    with pytest.raises(TypeError, match="incomplete: expected True or False, got 'yes'"):
        fetch(manifest, incomplete="yes")


def test_a_digest_nobody_published_is_kept_and_compared(write, site, tmp_path):
    rows = [row("a.txt", b"first", "meta", digest=False), row("b.txt", b"b", "meta")]
    site.files |= {"set/a.txt": b"first", "set/b.txt": b"b"}
    manifest = write(rows, top="verified = false")
    with pytest.raises(PermissionError, match="2 files, 1 bytes and 1 of unknown size, would come"):
        fetch(manifest, tmp_path / "x")
    fetch(manifest, tmp_path / "x", accept_licence=True)
    lock = (tmp_path / "x" / "digests.lock.tsv").read_text()
    assert lock == f"path\tbytes\talgo\tdigest\tarchive\na.txt\t5\tsha256\t{sha(b'first')}\t\n"
    assert states(verify(manifest, tmp_path / "x")) == {"a.txt": "unverified", "b.txt": "ok"}
    (tmp_path / "x" / "a.txt").write_bytes(b"First")
    (wrong, _) = verify(manifest, tmp_path / "x")
    assert (wrong.state, wrong.note) == (
        "wrong digest",
        f"expected sha256 {sha(b'first')}, got {sha(b'First')}",
    )
    site.files["set/a.txt"] = b"other"  # the source changed it meanwhile
    with pytest.raises(OSError, match=rf"expected sha256 {sha(b'first')}, got {sha(b'other')}.*delete their rows in"):
        fetch(manifest, tmp_path / "x", accept_licence=True)
    site.files["set/a.txt"] = b"first"
    fetch(manifest, tmp_path / "x", accept_licence=True)
    assert (tmp_path / "x" / "a.txt").read_bytes() == b"first"
    assert (tmp_path / "x" / "a.txt.bad").read_bytes() == b"First"


def test_digests_are_kept_call_by_call(write, site, tmp_path):
    rows = [row(f"{one}.set", b"eeg" + one.encode(), participant=one, digest=False) for one in ("01", "02")]
    site.files |= {"set/01.set": b"eeg01", "set/02.set": b"eeg02"}
    manifest = write(rows, top="verified = false")
    for one in ("02", "01"):
        fetch(manifest, tmp_path / "x", participants=one, accept_licence=True)
    lines = (tmp_path / "x" / "digests.lock.tsv").read_text().splitlines()
    assert [line.split("\t")[3] for line in lines[1:]] == [sha(b"eeg01"), sha(b"eeg02")]


def test_a_verified_manifest_leaves_no_digest_out(write):
    with pytest.raises(ValueError, match="has no digest"):
        fetch(write([row("a.txt", b"a", digest=False)]), accept_licence=True)


def test_verify_tells_what_is_wrong(write):
    manifest = write()
    root = fetch(manifest, accept_licence=True).root
    (root / "sub-01" / "eeg.set").unlink()
    (root / "sub-02" / "eeg.set").write_bytes(b"cut")
    (root / "participants.tsv").write_bytes(b"X" + PARTS["participants.tsv"][0][1:])
    found = {verdict.path: verdict for verdict in verify(manifest)}
    assert {path: one.state for path, one in found.items()} == {
        "sub-01/eeg.set": "missing",
        "sub-02/eeg.set": "wrong size",
        "stimuli/piece 1#.wav": "ok",
        "stimuli/heard by 02.wav": "ok",
        "participants.tsv": "wrong digest",
    }
    assert found["sub-02/eeg.set"].note == "expected 1485 bytes, got 3"
    fetch(manifest, accept_licence=True)
    assert set(states(verify(manifest)).values()) == {"ok"}


def test_status_counts_what_is_there_and_on_its_way(write, site, tmp_path):
    manifest = write()
    sizes = {name: len(one[0]) for name, one in PARTS.items()}
    before = status(manifest)
    assert before.total == Count(0, 5, 0, sum(sizes.values()), 0)
    fetch(manifest, participants="01", accept_licence=True)
    site.cuts["set/sub-02/eeg.set"], site.ranges = [100] * 9, False
    with pytest.raises(OSError, match="1 files could not be fetched"):
        fetch(manifest, accept_licence=True)
    now = status(manifest)
    assert now.root == tmp_path / "data" / "toy"
    assert now.roles["eeg"] == Count(
        1, 2, sizes["sub-01/eeg.set"], sizes["sub-01/eeg.set"] + sizes["sub-02/eeg.set"], 0
    )
    assert {one: (count.files, count.all_files) for one, count in now.participants.items()} == {
        "*": (2, 2),
        "01": (1, 1),
        "02": (1, 2),
    }
    assert now.parts == {"sub-02/eeg.set": 100}
    assert now.licences == {"recordings": "CC0-1.0", "sounds": "CC-BY-4.0"}
    one = status(manifest, participants="01", include="eeg")
    assert (one.total.files, one.total.all_files, one.licences) == (1, 1, {"recordings": "CC0-1.0"})
    (now.root / "sub-01" / "eeg.set").write_bytes(b"short")
    assert status(manifest).roles["eeg"].files == 0


def test_a_status_knows_of_sizes_it_does_not_know(write):
    manifest = write([row("a", b"a", digest=False), row("b", b"bb")], top="verified = false")
    assert status(manifest).total == Count(0, 2, 0, 2, 1)


def test_a_file_that_fails_does_not_keep_the_others_away(write, site, tmp_path):
    del site.files["set/sub-01/eeg.set"]
    with pytest.raises(OSError, match=r"toy: 1 files could not be fetched. .*sub-01/eeg.set: no source.*404"):
        fetch(write(), accept_licence=True)
    assert status(write()).total.files == 4
    site.files.clear()
    site.asked.clear()
    with pytest.raises(OSError, match="3 files could not be fetched"):
        fetch(write(), tmp_path / "elsewhere", accept_licence=True)
    assert len(site.asked) == 3, "several failures in a row are no matter of single files"


def test_failures_here_and_there_stop_nothing(write, site):
    for path in ("sub-01/eeg.set", "stimuli/piece%201%23.wav", "stimuli/heard%20by%2002.wav"):
        del site.files[f"set/{path}"]
    with pytest.raises(OSError, match="3 files could not be fetched"):
        fetch(write(), accept_licence=True)
    assert len(site.asked) == 5


NO_ADDRESSES = ["http://[bad", "https://[bad/x", f"https://{'a' * 64}.org/x", "https://\xe9/x", "\x80\xff"]


@pytest.mark.parametrize("there", NO_ADDRESSES)
def test_a_redirect_to_what_is_no_address_is_one_source_that_fails(site, tmp_path, there):
    site.redirects["a.bin"], site.files["mirror"] = there, b"whole"
    with pytest.raises(OSError, match=r"a\.bin: it, or what it leads to, cannot be read as an address \("):
        downloads.download(site.at("a.bin"), tmp_path / "a.bin")
    assert downloads.download([site.at("a.bin"), site.at("mirror")], tmp_path / "a.bin").read_bytes() == b"whole"


def test_a_length_that_no_file_has_tells_nothing(site, tmp_path):
    site.files["a.bin"], site.lengths, site.headers = b"whole", False, {"Content-Length": "9" * 5000}
    assert downloads.download(site.at("a.bin"), tmp_path / "a.bin").read_bytes() == b"whole"


@pytest.mark.parametrize("url", ["https://[bad/x", "https://a.org:port/x", "https://:443/x"])
def test_an_address_that_is_none_is_named(tmp_path, url):
    with pytest.raises(ValueError) as caught:
        downloads.download(url, tmp_path / "a.bin")
    assert str(caught.value) == f"urls: expected addresses that begin with https://, got {url!r}."


def test_a_mirror_without_https_is_refused_before_anything_comes(write, site):
    mirror = '[[source]]\nname = "mirror"\nbase = "http://mirror.org/set"\npriority = 2\n'
    with pytest.raises(ValueError, match=r"source\.1\.base: expected an address that starts with https://, got 'http:"):
        write(source=f'[[source]]\nname = "here"\nbase = "{site.at("set")}"\n{mirror}')
    page = mirror.replace("priority", 'kind = "page"\npriority')
    manifest = write(source=f'[[source]]\nname = "here"\nbase = "{site.at("set")}"\n{page}')
    assert len(fetch(manifest, accept_licence=True).files) == 5


def test_whatever_is_wrong_with_one_file_the_others_come(write, monkeypatch):
    def picky(urls, target, **known):
        if target.parent.name == "sub-01":
            raise ValueError(f"{target}: not to my taste.")
        return downloads.download(urls, target, **known)

    monkeypatch.setattr(jobs, "download", picky)
    with pytest.raises(OSError, match=r"toy: 1 files could not be fetched\. .*eeg\.set: not to my taste\.$"):
        fetch(write(), accept_licence=True)
    assert status(write()).total.files == 4


# ---- while another process is at work -------------------------------------------------------------------------------


@pytest.fixture
def other(monkeypatch):
    """Another one at work: it holds a lock until somebody is warned, does something, and lets go."""
    monkeypatch.setattr(landing, "_PATIENCE", 0.02)
    threads, warned = [], []

    def at_work(lock, work=lambda: None):
        held, heard = threading.Event(), threading.Event()

        def hold():
            with FileLock(lock):
                held.set()
                heard.wait(60)
                work()

        def warn(message, stacklevel):
            warned.append(message)
            heard.set()

        monkeypatch.setattr(landing, "warnings", SimpleNamespace(warn=warn))
        threads.append(threading.Thread(target=hold))
        threads[-1].start()
        held.wait(60)
        return warned

    yield at_work
    for thread in threads:
        thread.join()


def test_who_waits_for_a_download_says_so_once_and_fetches_nothing(site, tmp_path, other):
    target, lock = tmp_path / "a.bin", tmp_path / ".a.bin.lock"
    warned = other(lock, lambda: target.write_bytes(b"whole"))
    assert downloads.download(site.at("a.bin"), target, size=5).read_bytes() == b"whole"
    assert site.asked == []
    assert warned == [
        f"{target}: another process is downloading this file, and holds {lock}. Waiting until it has ended. If you "
        "know that there is none, stop this one, delete that file and run again."
    ]


def test_what_another_one_did_not_finish_is_fetched_after_it(site, tmp_path, other):
    site.files["a.bin"] = b"whole"
    warned = other(tmp_path / ".a.bin.lock")
    assert downloads.download(site.at("a.bin"), tmp_path / "a.bin", size=5).read_bytes() == b"whole"
    assert (len(site.asked), len(warned)) == (1, 1)


def test_who_need_not_wait_long_says_nothing(site, tmp_path):
    site.files["a.bin"], site.pauses["a.bin"] = b"whole" * 9, 0.1
    job = {"urls": site.at("a.bin"), "target": tmp_path / "a.bin"}
    threads = [threading.Thread(target=downloads.download, kwargs=job) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()  # a warning would be an error here
    assert len(site.asked) == 1


def test_who_waits_for_an_archive_to_be_unpacked_says_so(tmp_path, other):
    archive = tmp_path / "all.zip"
    archive.write_bytes(packed(MEMBERS))
    (tmp_path / "x").mkdir()
    warned = other(tmp_path / "x" / ".unpacking-all.zip.lock")
    assert len(unpack(archive, tmp_path / "x")) == 3
    assert len(warned) == 1
    assert warned[0].startswith(f"{archive}: another process is unpacking it into {tmp_path / 'x'}, and holds ")


def test_who_waits_to_write_down_digests_says_so(write, site, tmp_path, other):
    site.files["set/a.txt"] = b"first"
    (tmp_path / "x").mkdir()
    warned = other(tmp_path / "x" / ".digests.lock.tsv.lock")
    fetch(
        write([row("a.txt", b"first", "meta", digest=False)], top="verified = false"),
        tmp_path / "x",
        accept_licence=True,
    )
    assert [one.split(", and")[0] for one in warned] == [
        f"{tmp_path / 'x' / 'digests.lock.tsv'}: another process is writing it"
    ]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signal")
def test_who_waits_can_be_stopped(tmp_path):
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # jobs in the background ignore it
        "from eegic.datasets.public import landing; landing._PATIENCE = 0.02\n"
        "from eegic.datasets.public.download import download\n"
        f"download('https://example.org/a.bin', {str(tmp_path / 'a.bin')!r})\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "EEGIC_OFFLINE"}
    with (
        FileLock(tmp_path / ".a.bin.lock"),
        subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, env=environment) as waiting,
    ):
        try:
            assert "another process is downloading this file" in waiting.stderr.readline()
            waiting.send_signal(signal.SIGINT)
            assert waiting.wait(60) != 0
            assert waiting.stderr.read().rstrip().endswith("KeyboardInterrupt")
        finally:
            waiting.kill()
    assert os.listdir(tmp_path) == [".a.bin.lock"]


def test_what_another_one_unpacked_meanwhile_stays(write, site, monkeypatch):
    site.files["set/download/7"], rows = in_archive()
    manifest = write(rows)
    load, before = jobs.Job.load, []

    def after_another(job, files, progress):
        if not before:
            before.append(job)
            fetch(manifest, accept_licence=True)
        return load(job, files, progress)

    monkeypatch.setattr(jobs.Job, "load", after_another)
    root = fetch(manifest, accept_licence=True).root
    assert names(root) == ["all.zip", "stim.mat", "sub-01.mat", "sub-02.mat"], "none of them is called bad"
    assert len(site.asked) == 1


def test_sources_follow_their_priority(write, site):
    second = f'[[source]]\nname = "b"\nbase = "{site.at("set")}"\npriority = 2\n'
    first = f'[[source]]\nname = "a"\nbase = "{site.at("gone")}"\npriority = 1\n'
    page = f'[[source]]\nname = "c"\nkind = "page"\nbase = "{site.at("page")}"\npriority = 0\n'
    fetch(write(source=second + page + first), participants="01", include="eeg", accept_licence=True)
    assert site.paths_asked() == ["gone/sub-01/eeg.set", "set/sub-01/eeg.set"]


def test_offline_works_from_what_is_there(write, monkeypatch):
    manifest = write()
    fetch(manifest, participants="01", accept_licence=True)
    monkeypatch.setenv("EEGIC_OFFLINE", "1")
    monkeypatch.setattr(socket, "socket", None)
    assert fetch(manifest, participants="01").already == 3
    with pytest.raises(OSError, match="EEGIC_OFFLINE is set, so nothing is fetched"):
        fetch(manifest, accept_licence=True)


def test_a_small_disk_is_found_out_before_the_first_byte(write, site, tmp_path, monkeypatch):
    needed = sum(len(one[0]) for one in PARTS.values())
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(9, 9, needed - 1))
    with pytest.raises(OSError, match=rf"toy: {needed} bytes more are needed \(3.5 kB\), but {needed - 1} are free"):
        fetch(write(), accept_licence=True)
    assert site.asked == []
    assert not (tmp_path / "data").exists()
    part = tmp_path / "data" / "toy" / "sub-01" / ".eeg.set.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"r")  # one byte less is needed
    assert len(fetch(write(), accept_licence=True).files) == 5


def test_a_disk_that_fills_up_ends_it_at_once(write, site, monkeypatch):
    def full(stream, chunk):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(downloads, "write_all", full)
    with pytest.raises(OSError, match=r"sub-01/eeg.set of 1485 bytes does not fit on the disk") as caught:
        fetch(write(), accept_licence=True)
    assert caught.value.errno == errno.ENOSPC
    assert len(site.asked) == 1


MEMBERS = {"top/sub1.mat": b"one" * 99, "top/sub2.mat": b"two" * 99, "top/stim.mat": b"sound"}


def in_archive(**wrong):
    whole = packed(MEMBERS)
    rows = [row("all.zip", whole, source_path="download/7")]
    for path, (name, content) in zip(["sub-01.mat", "sub-02.mat", "stim.mat"], MEMBERS.items(), strict=True):
        person = path[4:6] if path.startswith("sub") else "*"
        rows.append(
            row(
                path,
                wrong.get(path[:-4].replace("-", ""), content),
                "eeg" if person != "*" else "stim",
                person,
                name,
                "all.zip",
            )
        )
    return whole, rows


def test_members_of_an_archive_come_out_where_the_manifest_wants_them(write, site, tmp_path):
    site.files["set/download/7"], rows = in_archive()
    manifest = write(rows)
    done = fetch(manifest, participants="01", accept_licence=True)
    assert names(done.root) == ["all.zip", "stim.mat", "sub-01.mat"]
    assert (done.root / "sub-01.mat").read_bytes() == MEMBERS["top/sub1.mat"]
    (done.root / "all.zip").unlink()
    assert fetch(manifest, participants="01").bytes == 0, "the archive is wanted for its members only"
    assert len(site.asked) == 1
    (done.root / "sub-01.mat").write_bytes(b"damaged")
    fetch(manifest, accept_licence=True)
    assert set(states(verify(manifest)).values()) == {"ok"}
    assert (done.root / "sub-01.mat.bad").read_bytes() == b"damaged"
    assert status(manifest).total.all_files == 3


def test_a_wrong_member_does_not_get_its_name(write, site):
    site.files["set/download/7"], rows = in_archive(sub01=b"something else")
    manifest = write(rows)
    with pytest.raises(
        OSError, match=r"sub-01\.mat: expected 14 bytes, got 297. It came out of all.zip and is kept as"
    ):
        fetch(manifest, accept_licence=True)
    assert states(verify(manifest))["sub-01.mat"] == "missing"


def test_every_wrong_member_is_put_aside_and_the_others_are_remembered(write, site):
    site.files["set/download/7"], rows = in_archive(sub01=b"something else", sub02=b"something, too")
    rows[-1] = (rows[-1][0], "", "", "", *rows[-1][4:])
    manifest = write(rows, top="verified = false")
    with pytest.raises(
        OSError, match=r"toy: 1 archives could not be unpacked\. .*sub-01\.mat: .*sub-02\.mat: expected"
    ):
        fetch(manifest, accept_licence=True)
    root = data_root(manifest)
    assert names(root) == ["all.zip", "digests.lock.tsv", "stim.mat", "sub-01.mat.bad", "sub-02.mat.bad"]
    assert sha(b"sound") in (root / "digests.lock.tsv").read_text()


def test_what_fails_keeps_no_archive_from_being_unpacked(write, site):
    """One file is not there, one archive is damaged, one holds a wrong member: what is right is there afterwards."""
    damaged = b"PK but nothing else"
    site.files |= {"set/bad.zip": damaged, "set/one.zip": packed(MEMBERS), "set/two.zip": packed(MEMBERS)}
    member = {"participant": "*", "source_path": "top/stim.mat"}
    manifest = write(
        [
            row("gone.zip", b"gone"),
            row("bad.zip", damaged),
            row("wrong.mat", b"else", archive="one.zip", **member),
            row("one.zip", packed(MEMBERS)),
            row("right.mat", b"sound", archive="two.zip", **member),
            row("two.zip", packed(MEMBERS)),
            row("lost.mat", b"sound", archive="away.zip", **member),
            row("away.zip", b"away"),
        ]
    )
    with pytest.raises(OSError) as caught:
        fetch(manifest, accept_licence=True, accept_unknown_licence=True)
    said = str(caught.value)
    assert "toy: 2 files could not be fetched. " in said
    assert "2 archives could not be unpacked. " in said
    for name in (
        "gone.zip: no source",
        "away.zip: no source",
        "bad.zip: expected a whole",
        "wrong.mat: expected 4 bytes",
    ):
        assert name in said
    assert names(data_root(manifest)) == ["bad.zip", "one.zip", "right.mat", "two.zip", "wrong.mat.bad"]


def test_a_disk_that_fills_up_ends_unpacking_at_once(write, site, monkeypatch):
    def full(archive, folder, **_):
        tried.append(archive.name)
        raise OSError(errno.ENOSPC, f"{archive} does not fit on the disk")

    tried = []
    site.files |= {"set/one.zip": packed(MEMBERS), "set/two.zip": packed(MEMBERS)}
    monkeypatch.setattr(jobs, "unpack", full)
    with pytest.raises(OSError, match="does not fit on the disk") as caught:
        fetch(write([row(name, packed(MEMBERS)) for name in ("one.zip", "two.zip")]), accept_licence=True)
    assert (caught.value.errno, tried) == (errno.ENOSPC, ["one.zip"])


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ("1.5\tsha256\t" + "0" * 64, "invalid literal"),
        ("5\tsha256\tcut", "64 hexadecimal"),
        ("5\tcrc\t0", "one of 'sha256'"),
    ],
)
def test_a_row_of_the_lock_that_cannot_be_read_is_named(write, tmp_path, cells, why):
    manifest = write([row("a.txt", b"first", "meta", digest=False)], top="verified = false")
    (tmp_path / "a.txt").write_bytes(b"first")
    (tmp_path / "digests.lock.tsv").write_text(f"path\tbytes\talgo\tdigest\tarchive\na.txt\t{cells}\t\n")
    with pytest.raises(
        ValueError, match=rf"digests\.lock\.tsv: expected the bytes and .* a\.txt .*{why}.*Delete its row\.$"
    ):
        fetch(manifest, tmp_path)


def test_members_without_digests_are_kept_and_compared(write, site):
    site.files["set/download/7"], rows = in_archive()
    rows = [rows[0], *((one[0], "", "", "", *one[4:]) for one in rows[1:])]
    manifest = write(rows)
    root = fetch(manifest, accept_licence=True).root
    assert set(states(verify(manifest)).values()) == {"unverified"}
    (root / "stim.mat").write_bytes(b"SOUND")
    assert states(verify(manifest))["stim.mat"] == "wrong digest"
    fetch(manifest)
    assert (root / "stim.mat").read_bytes() == b"sound"
    assert len(site.asked) == 1


def test_an_archive_whose_members_nobody_lists_is_unpacked_where_it_lies(write, site, monkeypatch):
    site.files["set/cnd/all.zip"] = packed(MEMBERS)
    manifest = write([row("cnd/all.zip", packed(MEMBERS))], sounds="unknown")
    with pytest.raises(PermissionError, match="licence of the sounds: unknown"):
        fetch(manifest, accept_licence=True)  # nobody knows that there are none
    root = fetch(manifest, accept_licence=True, accept_unknown_licence=True).root
    inside = [f"cnd/{name}" for name in MEMBERS]
    assert names(root) == sorted(["cnd/all.zip", "digests.lock.tsv", *inside])
    assert states(verify(manifest)) == {"cnd/all.zip": "ok", **dict.fromkeys(inside, "unverified")}
    (root / inside[0]).unlink()
    assert states(verify(manifest))[inside[0]] == "missing"
    fetch(manifest)
    assert (root / inside[0]).read_bytes() == MEMBERS["top/sub1.mat"]
    monkeypatch.setattr(jobs, "unpack", None)
    fetch(manifest)  # all is there


def test_an_archive_put_there_by_hand_is_unpacked(write, tmp_path):
    whole, rows = in_archive()
    manifest = write(rows, top='access = "manual"', source="")
    with pytest.raises(FileNotFoundError, match=r"put them there: '.*all\.zip'"):
        fetch(manifest, tmp_path)
    (tmp_path / "all.zip").write_bytes(whole)
    assert {path.name for path in fetch(manifest, tmp_path).files} == {"sub-01.mat", "sub-02.mat", "stim.mat"}


def test_paths_stay_in_the_folder(write, tmp_path):
    with pytest.raises(ValueError, match=r"files\.tsv, line 2: expected a path that stays"):
        fetch(write([row("../outside", b"bad")]), accept_licence=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "sub-01").symlink_to(tmp_path / "outside")
    with pytest.raises(ValueError, match="sub-01/eeg.set: a link leads out of"):
        fetch(write(), tmp_path / "x", accept_licence=True)
    assert os.listdir(tmp_path / "outside") == []


def test_the_folder_of_a_data_set(write, tmp_path, monkeypatch):
    manifest = write()
    monkeypatch.setenv("EEGIC_MANIFESTS", str(manifest.folder.parent))
    assert data_root("toy") == data_root(manifest) == tmp_path / "data" / "toy"
    monkeypatch.delenv("EEGIC_DATA")
    monkeypatch.setenv("MNE_DATA", str(tmp_path / "mne"))
    assert data_root(manifest) == tmp_path / "mne" / "eegic" / "toy"
    monkeypatch.delenv("MNE_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_root(manifest) == tmp_path / "eegic-data" / "toy"
    with pytest.raises(FileNotFoundError, match="no manifest of that name"):
        fetch("../toy")
