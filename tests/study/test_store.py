"""An entry is whole, as it was written, or it is not there: whoever is killed, whatever happens to the disk."""

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import killed as writers
import numpy as np
import pytest

from eegic.study import folders
from eegic.study.digests import digest_of
from eegic.study.store import Store

KEY = digest_of("what it follows from")
posix_only = pytest.mark.skipif(os.name != "posix", reason="Windows has no such files")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def write(store, *, stage="features", label="a song", key=KEY, about=None, text="0.1 0.4"):
    with store.write(stage, label, key, about=about) as folder:
        (folder / "envelope.txt").write_text(text)
        (folder / "inner" / "deep").mkdir(parents=True)
        (folder / "inner" / "deep" / "b.bin").write_bytes(bytes(range(256)) * 9)
    return store.path(stage, label, key)


def tree(root):
    """All that lies in a folder: the bytes of files, by their names."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


class TestAnEntry:
    def test_is_found_as_it_was_written(self, store):
        path = write(store, about={"sfreq": 64, "lags": (0.0, 0.6)})
        entry = store.find("features", "a song", KEY)
        assert entry.path == path == store.root / "features" / f"a-song-{KEY[:16]}"
        assert (entry.stage, entry.label, entry.key) == ("features", "a song", KEY)
        assert entry.about == {"sfreq": 64, "lags": [0.0, 0.6]}
        assert list(entry.files) == ["envelope.txt", "inner/deep/b.bin"]
        assert entry.files["envelope.txt"]["bytes"] == 7
        assert entry.file("envelope.txt").read_text() == "0.1 0.4"
        assert entry.file("inner/deep/b.bin").read_bytes() == bytes(range(256)) * 9
        assert store.size(path) == 7 + 9 * 256 + (path / "entry.json").stat().st_size
        with pytest.raises(ValueError, match=r"name: expected one of .*, got 'envelop'. Did you mean 'envelope.txt'"):
            entry.file("envelop")

    def test_that_was_never_written_is_not_there(self, store):
        assert store.find("features", "a song", KEY) is None
        write(store)
        assert store.find("features", "a song", digest_of("other settings")) is None
        assert store.find("tracking", "a song", KEY) is None

    def test_is_the_same_to_the_byte_whenever_it_is_written(self, store, tmp_path):
        write(store, about={"b": 1, "a": 2})
        other = Store(tmp_path / "other")
        write(other, about={"a": 2, "b": 1})
        assert tree(store.root) == tree(other.root)

    def test_keeps_what_is_found_out_while_it_is_made(self, store):
        about = {"sfreq": 64}
        with store.write("features", "a song", KEY, about=about) as folder:
            (folder / "x").touch()
            about["n_frames"] = 12
        assert store.find("features", "a song", KEY).about == {"sfreq": 64, "n_frames": 12}

    def test_may_have_no_files(self, store):
        with store.write("check", "a song", KEY, about={"fine": True}):
            pass
        assert store.find("check", "a song", KEY).about == {"fine": True}

    def test_takes_the_place_of_the_one_before(self, store):
        write(store, text="old")
        write(store, text="new")
        assert store.find("features", "a song", KEY).file("envelope.txt").read_text() == "new"
        assert len(os.listdir(store.root / "features")) == 1

    @posix_only
    def test_has_the_permissions_of_any_new_file(self, store):
        mask = os.umask(0o027)
        try:
            path = write(store)
        finally:
            os.umask(mask)
        modes = {stat.S_IMODE(found.stat().st_mode) for found in [path, *path.rglob("*")]}
        assert modes == {0o640, 0o750}

    def test_stays_whole_when_somebody_looks_into_its_folder(self, store):
        path = write(store)
        for name in (".DS_Store", "inner/Thumbs.db"):
            (path / name).write_bytes(b"where windows were on the screen")
        assert store.find("features", "a song", KEY) is not None


LABELS = [
    "two words",
    "a/b",
    "../../up",
    "/root",
    "back\\slash",
    'quote\'s "n"',
    "new\nline",
    "tab\t",
    "null\0",
    "🎵",
    "Für Élise",
    "交響曲",
    "CON",
    "nul.txt",
    ".",
    "..",
    "",
    ".hidden",
    "-rf",
    "trailing. ",
    "x" * 5000,
    "é" * 300,
    "\udcff not text",
    "<script>",
    "%00",
    "*?",
    "e\u0301",
]


class TestLabels:
    @pytest.mark.parametrize("label", LABELS, ids=ascii)
    def test_of_any_text_come_back(self, store, label):
        path = write(store, label=label, about={label: label})
        entry = store.find("features", label, KEY)
        assert (entry.label, entry.about) == (label, {label: label})
        assert path.parent == store.root / "features"
        assert os.listdir(path.parent) == [path.name]
        readable, _, key = path.name.rpartition("-")
        assert key == KEY[:16] and 1 <= len(readable) <= 40 and readable.isascii()
        assert set(readable) <= set("-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
        assert readable[0] != "-"

    def test_stay_apart_by_their_keys(self, store):
        keys = {label: digest_of(label) for label in ["Anna", "anna", "ANNA", "ann a", "ann/a", "Ånna", *LABELS]}
        folders = {store.path("features", label, key).name.lower() for label, key in keys.items()}
        assert len(folders) == len(keys)

    def test_that_look_alike_share_what_has_one_key(self, store):
        path = write(store, label="a song")
        entry = store.find("features", "a/song", KEY)
        assert (entry.path, entry.label) == (path, "a/song")

    @pytest.mark.parametrize("stage", ["", "..", "a/b", ".x", "A", "über", "a b"])
    def test_of_stages_are_plain(self, store, stage):
        with pytest.raises(ValueError, match="stage: expected small letters, digits and underscores, got"):
            store.path(stage, "a", KEY)

    @pytest.mark.parametrize("key", ["", "abc", KEY.upper(), KEY + "0", KEY[:-1] + "/"])
    def test_keys_are_digests(self, store, key):
        with pytest.raises(ValueError, match="key: expected 64 hexadecimal digits, got .*`digest_of`"):
            store.find("features", "a", key)

    @pytest.mark.parametrize(
        ("name", "texts"), [("stage", (1, "a", KEY)), ("label", ("a", None, KEY)), ("key", ("a", "a", b""))]
    )
    def test_are_strings(self, store, name, texts):
        with pytest.raises(TypeError, match=f"{name}: expected a string, got "):
            store.find(*texts)


def swap(path):
    """Exchange two files of one size."""
    (path / "twin.txt").rename(path / "third.txt")
    (path / "envelope.txt").rename(path / "twin.txt")
    (path / "third.txt").rename(path / "envelope.txt")


def retold(path, **changes):
    """Write a new, valid seal."""
    told = json.loads((path / "entry.json").read_bytes())
    del told["sha256"]
    (path / "entry.json").write_bytes(folders._render({**told, **changes}))


def replaced_by_a_link(path, target):
    (path / "envelope.txt").unlink()
    (path / "envelope.txt").symlink_to(target)


DAMAGES = {
    "it has no entry.json": lambda path: (path / "entry.json").unlink(),
    "its entry.json is not as it was written": lambda path: (path / "entry.json").write_bytes(b"[" * 100_000),
    "its entry.json is not of schema 'eegic.study.entry/1'": lambda path: retold(path, schema="eegic.study.entry/2"),
    f"it is features of the key {'0' * 64}": lambda path: retold(path, key="0" * 64),
    f"it is tracking of the key {KEY}": lambda path: retold(path, stage="tracking"),
    r"missing: 'envelope.txt'; left over: none": lambda path: (path / "envelope.txt").unlink(),
    r"missing: none; left over: 'inner/more.txt'": lambda path: (path / "inner" / "more.txt").touch(),
    r"missing: '../x'; left over: none": lambda path: retold(
        path, files={**json.loads((path / "entry.json").read_bytes())["files"], "../x": {"sha256": "", "bytes": 0}}
    ),
    r"'envelope.txt' has 3 bytes, not 7": lambda path: (path / "envelope.txt").write_text("0.1"),
    r"the content of 'envelope.txt' has changed": swap,
    r"'envelope.txt' is no plain file": lambda path: replaced_by_a_link(path, path / "twin.txt"),
    r"missing: none; left over: 'loop'": lambda path: (path / "loop").symlink_to(path),
}


class TestDamage:
    @pytest.mark.parametrize("what", DAMAGES)
    def test_is_told_and_mended(self, store, what):
        def whole():
            with store.write("features", "a song", KEY) as folder:
                (folder / "inner").mkdir()
                (folder / "envelope.txt").write_text("0.1 0.4")
                (folder / "twin.txt").write_text("0.1 0.5")

        whole()
        before = tree(store.root)
        DAMAGES[what](store.path("features", "a song", KEY))
        with pytest.warns(UserWarning) as told:
            assert store.find("features", "a song", KEY) is None
        path = store.path("features", "a song", KEY)
        assert str(told[0].message) == f"{path}: damaged ({what}); it is computed again."
        assert told[0].filename == __file__
        whole()
        assert store.find("features", "a song", KEY) is not None
        assert tree(store.root) == before

    @pytest.mark.parametrize("kind", ["file", "link", "empty folder"])
    def test_in_the_place_of_the_folder_is_mended(self, store, tmp_path, kind):
        path = store.path("features", "a song", KEY)
        path.parent.mkdir(parents=True)
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "mine.txt").write_text("mine")
        if kind == "link":
            path.symlink_to(tmp_path / "elsewhere")
        else:
            path.touch() if kind == "file" else path.mkdir()
        with pytest.warns(UserWarning, match="damaged .it (is no folder|has no entry.json)."):
            assert store.find("features", "a song", KEY) is None
        write(store)
        assert store.find("features", "a song", KEY) is not None
        assert os.listdir(path.parent) == [path.name]
        assert (tmp_path / "elsewhere" / "mine.txt").read_text() == "mine"

    def test_of_any_bit_is_noticed(self, store, rng):
        path = write(store, about={"ü": 1e-9, "path": "A/b"})
        seal = (path / "entry.json").read_bytes()
        for name in ("entry.json", "envelope.txt", "inner/deep/b.bin"):
            whole = (path / name).read_bytes()
            bits = range(8 * len(whole)) if len(whole) < 100 else rng.choice(8 * len(whole), 100, replace=False)
            for bit in bits:
                damaged = bytearray(whole)
                damaged[bit // 8] ^= 1 << bit % 8
                (path / name).write_bytes(damaged)
                with pytest.warns(UserWarning, match="damaged"):
                    assert store.find("features", "a song", KEY) is None, (name, bit)
            (path / name).write_bytes(whole)
        for n in range(0, len(seal), 29):
            (path / "entry.json").write_bytes(seal[:n])
            with pytest.warns(UserWarning, match="damaged"):
                assert store.find("features", "a song", KEY) is None
        (path / "entry.json").write_bytes(seal)
        assert store.find("features", "a song", KEY) is not None

    @posix_only
    def test_by_a_pipe_does_not_keep_the_reader_waiting(self, store):
        path = write(store)
        (path / "envelope.txt").unlink()
        os.mkfifo(path / "envelope.txt")
        with pytest.warns(UserWarning, match="'envelope.txt' is no plain file"):
            assert store.find("features", "a song", KEY) is None


class TestAFailure:
    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
    @pytest.mark.parametrize("before", [False, True])
    def test_changes_nothing(self, store, error, before):
        if before:
            write(store, text="old")
        held = tree(store.root)
        with pytest.raises(error, match="half way"), store.write("features", "a song", KEY) as folder:
            (folder / "envelope.txt").write_text("ne")
            raise error("half way")
        assert tree(store.root) == held
        assert not list(store.root.rglob(".*"))

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
    def test_for_want_of_room_says_how_much_there_is(self, store, code):
        write(store, text="old")
        held = tree(store.root)
        message = (
            rf"{KEY[:16]}: features of 'a song' could not be written \({os.strerror(code)}\). 100 bytes of it were, "
            r"and \d+ bytes are free. Make room, then run again."
        )
        with pytest.raises(OSError, match=message) as told, store.write("features", "a song", KEY) as folder:
            (folder / "envelope.txt").write_bytes(bytes(100))
            raise OSError(code, os.strerror(code), str(folder / "envelope.txt"))
        assert told.value.__cause__.errno == code
        assert tree(store.root) == held

    @pytest.mark.parametrize("step", ["fsync", "rename", "replace"])
    def test_of_a_step_at_the_end_changes_nothing(self, store, monkeypatch, step):
        write(store, text="old")
        held, whole = tree(store.root), getattr(os, step)

        def full(*args):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, step, full)
        with pytest.raises(OSError, match="Make room"):
            write(store, text="new")
        monkeypatch.setattr(os, step, whole)
        assert tree(store.root) == held

    def test_to_move_it_to_its_place_brings_the_old_one_back(self, store, monkeypatch):
        write(store, text="old")
        held, rename, done = tree(store.root), os.rename, []

        def third_fails(*paths):
            done.append(paths)
            if len(done) == 3:
                raise OSError(errno.EIO, "Input/output error")
            rename(*paths)

        monkeypatch.setattr(os, "rename", third_fails)
        with pytest.raises(OSError, match="Input/output error"):
            write(store, text="new")
        assert len(done) == 4
        assert tree(store.root) == held

    def test_of_numpy_that_gives_no_number_is_understood(self, store):
        with pytest.raises(OSError, match="Make room"), store.write("features", "a song", KEY):
            raise OSError("1000 requested and 12 written")

    def test_of_another_kind_is_passed_on(self, store):
        with pytest.raises(FileNotFoundError, match=r"\[Errno 2\]"), store.write("features", "a song", KEY) as folder:
            (folder / "missing").read_bytes()

    def test_to_describe_it_comes_before_the_work(self, store):
        for about, error, message in [
            ({"r": float("nan")}, ValueError, "about.r: expected a finite number, got nan"),
            ({"file": Path("a.wav")}, TypeError, "about.file: expected plain values, got a path"),
            ([1], TypeError, "about: expected a dict of plain values, got list"),
        ]:
            with pytest.raises(error, match=message), store.write("features", "a song", KEY, about=about):
                pytest.fail("the work has begun")
        assert not store.root.exists()

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda folder: (folder / "entry.json").touch(), "entry.json: this name is taken"),
            (lambda folder: (folder / "x").symlink_to("/etc/hostname"), "'x' is no plain file"),
            (lambda folder: (folder / "x").symlink_to("/"), "'x' is no plain file"),
        ],
    )
    def test_of_what_cannot_be_kept(self, store, spoil, message):
        with pytest.raises(ValueError, match=message), store.write("features", "a song", KEY) as folder:
            spoil(folder)
        assert tree(store.root) == {}

    def test_to_see_all_files_is_not_passed_over(self, store, monkeypatch):
        scan = os.scandir

        def closed(folder):
            if str(folder).endswith("inner"):
                raise PermissionError(13, "Permission denied", str(folder))
            return scan(folder)

        with pytest.raises(PermissionError), store.write("features", "a song", KEY) as folder:
            (folder / "inner").mkdir()
            (folder / "inner" / "a.txt").touch()
            monkeypatch.setattr(os, "scandir", closed)
        monkeypatch.undo()
        assert store.find("features", "a song", KEY) is None

    def test_a_draft_that_was_swept_away_is_not_sealed(self, tmp_path):
        """Whoever goes on writing makes its folders again; the files before that are lost."""
        store = Store(tmp_path)
        with (
            pytest.raises(FileNotFoundError, match=r"removed by another run before it was whole\. Run again"),
            store.write("group", "page", KEY) as draft,
        ):
            (draft / "first.txt").write_text("1")
            assert store.sweep() == [draft]
            (draft / "out").mkdir(parents=True)
            (draft / "out" / "second.txt").write_text("2")
        assert store.find("group", "page", KEY) is None

    def test_to_begin_names_the_entry_and_not_its_draft(self, tmp_path):
        (tmp_path / "file").write_text("mine")
        with (
            pytest.raises(NotADirectoryError, match=r"features/a-song-\w+: cannot be written \(Not a dir") as told,
            Store(tmp_path / "file").write("features", "a song", KEY),
        ):
            pytest.fail("the work has begun")
        assert "draft" not in str(told.value)


def test_all_is_on_disk_before_the_entry_takes_its_name(store, monkeypatch):
    done, fsync, rename = [], os.fsync, os.rename

    def named(handle):
        done.append(os.path.basename(os.readlink(f"/proc/self/fd/{handle}")))
        fsync(handle)

    if not os.path.exists("/proc/self/fd"):
        pytest.skip("the system does not tell which file is flushed")
    monkeypatch.setattr(os, "fsync", named)
    monkeypatch.setattr(os, "rename", lambda a, b: (done.append("move"), rename(a, b)))
    write(store)
    before, after = done[: done.index("move")], done[done.index("move") + 1 :]
    drafts = [name for name in before if name.startswith(".draft-")]
    assert {"envelope.txt", "b.bin", "deep", "inner"} <= set(before) and drafts
    seal = next(i for i, name in enumerate(before) if name.startswith(".entry-"))
    assert seal > max(before.index("envelope.txt"), before.index("b.bin")), "the seal is written last"
    assert before.index(drafts[-1]) > seal
    assert after == ["features"]


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """What `killed.py` tells, and the folder of its stores."""
    if os.name != "posix":
        pytest.skip("Windows has no fork")
    root = tmp_path_factory.mktemp("killed")
    done = subprocess.run([sys.executable, writers.__file__, root], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout), root


class TestKilled:
    def test_at_random_moments(self, killed, tmp_path):
        told = killed[0]["random"]
        assert told["kills"] == 25
        assert told["swept"] > 0, "nothing was half written, so nothing was shown"
        assert told["whole"] > 0
        assert told["left"] == 0
        spared = Store(tmp_path)
        for unit in writers.UNITS:
            writers.write(spared, unit)
        assert tree(killed[1] / "random") == tree(spared.root)

    def test_at_every_step_of_a_new_entry(self, killed):
        versions = killed[0]["new"]
        assert len(versions) > 15
        assert versions == sorted(versions), "first nothing, then the whole entry"
        assert set(versions) == {"", "new"}

    def test_at_every_step_of_one_that_replaces_another(self, killed):
        versions = killed[0]["replaced"]
        assert len(versions) > 25
        changes = [version for i, version in enumerate(versions) if i == 0 or versions[i - 1] != version]
        assert changes in (["old", "", "new"], ["old", "new"])
        assert versions.count("") <= 1, "the old one is gone only between two renames"

    def test_by_nobody_but_written_by_several_at_once(self, killed):
        told = killed[0]["at once"]
        assert told["last"] in {"v0", "v1", "v2"}
        assert len(told["names"]) == 1

    def test_by_no_signal_but_short_of_room(self, killed):
        told = killed[0]["small"]
        assert "(File too large). 20000 bytes of it were" in told["error"]
        assert (told["found"], told["left"]) == ("old", 0)


class TestSweep:
    def test_removes_what_runs_left_and_nothing_else(self, store):
        kept = [write(store), write(store, stage="tracking")]
        leftovers = [
            store.root / "features" / ".draft-0123456789abcdef",
            store.root / "features" / ".old-0123456789abcdef",
            store.root / "tracking" / ".old-fedcba9876543210",
        ]
        for path in leftovers[:2]:
            path.mkdir()
        (leftovers[0] / "inner").mkdir()
        (leftovers[0] / "inner" / "half").write_text("ha")
        leftovers[2].touch()
        others = [store.root / ".lock", store.root / "run.json", store.root / "features" / ".keep"]
        others += [store.root / ".state-0123456789abcdef.json", store.root / "features" / ".cache-0123456789abcdef"]
        others += [store.root / folder / ".draft-0123456789abcdef" for folder in ("Mine", ".mine-0123456789abcdef")]
        for path in others[-2:]:
            path.parent.mkdir()
        for path in others:
            path.touch()
        assert store.sweep() == leftovers
        assert not any(path.exists() for path in leftovers)
        assert all(path.exists() for path in [*kept, *others])
        assert store.sweep() == []

    def test_follows_no_links(self, store, tmp_path):
        write(store)
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "data.txt").write_text("mine")
        link = store.root / "features" / ".old-0123456789abcdef"
        link.symlink_to(tmp_path / "mine")
        assert store.sweep() == [link]
        assert (tmp_path / "mine" / "data.txt").read_text() == "mine"

    def test_of_nothing(self, store):
        assert store.sweep() == []
        assert not store.root.exists()


def test_unused_are_those_that_nobody_asks_for(store):
    other = digest_of("other settings")
    paths = [write(store), write(store, key=other), write(store, stage="tracking", label="-")]
    (store.root / "features" / ".old-0123456789abcdef").mkdir()
    (store.root / "features" / "notes.txt").touch()
    assert store.unused([]) == sorted(paths)
    assert store.unused([("features", KEY)]) == [paths[1], paths[2]]
    assert store.unused([("features", KEY), ("features", other), ("tracking", KEY)]) == []
    assert Store(store.root / "none").unused([]) == []


def test_what_is_told_of_an_entry_is_plain_text(store):
    path = write(store, about={"x": np.float64(0.1)})
    assert json.loads((path / "entry.json").read_text(encoding="ascii"))["about"] == {"x": 0.1}
