"""A file is the old one or the new one, and reading it runs nothing."""

import os
import stat
import threading
import zipfile

import numpy as np
import pytest

from eegic import _files

SCHEMA = "eegic.Test/1"
ARRAYS = {"schema": np.array(SCHEMA), "x": np.arange(6.0).reshape(2, 3), "y": np.array(["a", "ü"])}


@pytest.mark.parametrize("compress", [True, False])
def test_what_is_written_is_read(tmp_path, compress):
    _files.write_npz(tmp_path / "a.npz", ARRAYS, compress=compress)
    read = _files.read_npz(tmp_path / "a.npz", SCHEMA, ("x", "y"))
    assert set(read) == {"x", "y"}
    np.testing.assert_array_equal(read["x"], ARRAYS["x"])
    np.testing.assert_array_equal(read["y"], ARRAYS["y"])
    assert os.listdir(tmp_path) == ["a.npz"]
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        kinds = {member.compress_type for member in archive.infolist()}
    assert kinds == {zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED}


@pytest.mark.parametrize(
    "name", ["no suffix", 'quote\'s "n".npz', "new\nline.npz", "emoji 🎵.npz", "ä" * 100 + ".npz", ".hidden"]
)
def test_odd_names(tmp_path, name):
    _files.write_npz(tmp_path / "new" / "folder" / name, ARRAYS)
    assert os.listdir(tmp_path / "new" / "folder") == [name]
    _files.read_npz(str(tmp_path / "new" / "folder" / name), SCHEMA, ("x",))


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="half way"), _files.replacing(path) as draft:
        draft.write_text("ne")
        raise RuntimeError("half way")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    _files.write_npz(path, ARRAYS)
    before = path.read_bytes()

    def no_space(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        _files.write_npz(path, {**ARRAYS, "x": np.zeros(99)})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.npz"]


def test_the_file_is_on_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("flush"), fsync(handle))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("move"), replace(a, b))[1])
    _files.write_npz(tmp_path / "a.npz", ARRAYS)
    assert done[:2] == ["flush", "move"]
    assert done[2:] == (["flush"] if os.name == "posix" else [])  # the folder, so that the name survives a power cut


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_permissions_are_those_of_any_new_file(tmp_path):
    mask = os.umask(0o027)
    try:
        threads = [threading.Thread(target=_files.write_npz, args=(tmp_path / f"{i}.npz", ARRAYS)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert os.umask(0o027) == 0o027, "writing changed the umask of the process"
    finally:
        os.umask(mask)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o640}


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(
        IsADirectoryError, match="expected the name of a file to write, got a folder. Name a file in it"
    ):
        _files.write_npz(tmp_path, ARRAYS)
    with pytest.raises(IsADirectoryError, match="expected an .npz file, got a folder. Name a file in it"):
        _files.read_npz(tmp_path, SCHEMA, ("x",))
    with pytest.raises(FileNotFoundError, match="no such file"):
        _files.read_npz(tmp_path / "missing.npz", SCHEMA, ("x",))


def test_what_cannot_be_written_is_named_and_not_its_draft(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(
        FileExistsError, match=r"file/a\.npz: cannot be written \(File exists\). Choose a folder that can"
    ):
        _files.write_npz(tmp_path / "file" / "a.npz", ARRAYS)

    def denied(path, exist_ok):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(type(tmp_path), "touch", denied)
    with pytest.raises(PermissionError, match=r"^\S*/a\.npz: cannot be written \(Permission denied\)") as caught:
        _files.write_npz(tmp_path / "a.npz", ARRAYS)
    assert ".a-" not in str(caught.value)


def test_foreign_files_are_named(tmp_path):
    path = tmp_path / "a.npz"
    _files.write_npz(path, ARRAYS)
    with pytest.raises(ValueError, match=r"a\.npz: expected a file of schema 'eegic.Other/1', got 'eegic.Test/1'\."):
        _files.read_npz(path, "eegic.Other/1", ("x",))
    with pytest.raises(ValueError, match="got 'eegic.Test/1' without z"):
        _files.read_npz(path, SCHEMA, ("x", "z"))
    np.savez(path, x=np.zeros(3))
    with pytest.raises(ValueError, match="got 'none' without y"):
        _files.read_npz(path, SCHEMA, ("x", "y"))


def test_optional_arrays_may_be_absent_but_no_others_present(tmp_path):
    path = tmp_path / "a.npz"
    _files.write_npz(path, ARRAYS)
    assert set(_files.read_npz(path, SCHEMA, ("x",), optional=("y", "z"))) == {"x", "y"}
    with pytest.raises(ValueError, match=r"expected a file of schema 'eegic.Test/1', got 'eegic.Test/1' with 'y'\."):
        _files.read_npz(path, SCHEMA, ("x",), optional=("z",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected an .npz file, got an empty file. Name a file"),
        (b"not a zip", "expected an .npz file, got a file that begins with b'not a zi'. Name a file"),
        (b"PKWARE", "expected an .npz file, got a file that begins with b'PKWARE'. Name a file"),
        (b"\x80\x04N.", r"expected an .npz file, got a file that begins with b'\\x80\\x04N.'. Name a file"),
        (b"\x93NUMPY", "expected an .npz file, got a single array. Name a file"),
        (b"PK\x03\x04" + bytes(40), r"cannot be read as an .npz file \(File is not a zip file\). Write it again"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path, content, message):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.npz: {message}") as caught:
        _files.read_npz(path, SCHEMA, ("x",))
    assert "allow_pickle" not in str(caught.value)


def test_all_arrays_come_if_asked_and_only_arrays(tmp_path):
    path = tmp_path / "a.npz"
    _files.write_npz(path, ARRAYS)
    assert set(_files.read_npz(path, SCHEMA, ("x",), others=True)) == {"x", "y"}
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("z", "text")
    assert set(_files.read_npz(path, SCHEMA, ("x",))) == {"x"}
    with pytest.raises(ValueError, match=r"cannot be read as an .npz file \('z' is no array\)"):
        _files.read_npz(path, SCHEMA, ("x",), others=True)


def test_a_single_array_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    with open(path, "wb") as stream:
        np.save(stream, np.zeros(3))
    with pytest.raises(ValueError, match="expected an .npz file, got a single array. Name"):
        _files.read_npz(path, SCHEMA, ("x",))


def test_no_damage_goes_unnoticed(tmp_path, rng):
    """Any byte may flip, any tail may be lost: the answer is the same arrays, or one kind of error."""
    path = tmp_path / "a.npz"
    _files.write_npz(path, {**ARRAYS, "x": rng.standard_normal((20, 3))})
    whole = path.read_bytes()
    truth = _files.read_npz(path, SCHEMA, ("x",))["x"]
    flipped = [bytearray(whole) for _ in range(400)]
    for damaged in flipped:
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
    refused = 0
    for damaged in [*flipped, *(whole[:n] for n in range(0, len(whole), 41))]:
        path.write_bytes(damaged)
        try:
            read = _files.read_npz(path, SCHEMA, ("x",))["x"]
        except ValueError as error:
            assert "a.npz" in str(error)
            refused += 1
        else:
            np.testing.assert_array_equal(read, truth)
    assert refused > 200


class Canary:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_nothing_is_unpickled(tmp_path):
    path, canary = tmp_path / "a.npz", tmp_path / "canary"
    np.savez(path, schema=np.array(SCHEMA), x=np.array([Canary(str(canary))], dtype=object))
    with pytest.raises(ValueError, match=r"\(it holds Python objects, which are not unpickled: that could run code\)"):
        _files.read_npz(path, SCHEMA, ("x",))
    assert not canary.exists()
    np.load(path, allow_pickle=True)["x"][0].close()
    assert canary.exists(), "the canary would not have sung"


def test_nothing_is_pickled(tmp_path):
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        _files.write_npz(tmp_path / "a.npz", {"x": np.array([None])})
    assert os.listdir(tmp_path) == []
