"""What comes out of an archive stays in its folder, is complete, and is not more than was to be expected."""

import bz2
import errno
import gzip
import io
import lzma
import os
import shutil
import stat
import tarfile
import zipfile

import pytest

from eegic.datasets.public import archives as module
from eegic.datasets.public.archives import place, safe_path, unpack

FILES = {"CND/dataSub1.mat": b"recording" * 999, "CND/stim.mat": b"sound", "read me ä.txt": b""}
KINDS = ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"]


def make(path, files, kind="zip", **attributes):
    """An archive of (name, content) pairs; attributes go to every TarInfo or ZipInfo."""
    pairs = files.items() if isinstance(files, dict) else files
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in pairs:
                info = zipfile.ZipInfo(name)
                info.compress_type = zipfile.ZIP_DEFLATED
                for attribute, value in attributes.items():
                    setattr(info, attribute, value)
                archive.writestr(info, content)
    else:
        with tarfile.open(path, "w:" + kind.partition(".")[2]) as archive:
            for name, content in pairs:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                for attribute, value in attributes.items():
                    setattr(info, attribute, value)
                archive.addfile(info, io.BytesIO(content))
    return path


def contents(folder):
    """All files below, without those that are hidden."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_packed_is_unpacked(tmp_path, kind):
    archive = make(tmp_path / "no suffix", FILES, kind)
    paths = unpack(archive, tmp_path / "new" / "folder")
    assert contents(tmp_path / "new") == {f"folder/{name}": content for name, content in FILES.items()}
    assert [path.relative_to(tmp_path / "new" / "folder").as_posix() for path in paths] == list(FILES)


@pytest.mark.parametrize("kind", KINDS)
def test_some_members_under_other_paths(tmp_path, kind):
    archive = make(tmp_path / "a", {"./top/b.mat": b"b", "top/a.mat": b"a", "top/c": b"c"}, kind)
    unpack(archive, tmp_path / "x", members={"top/a.mat": "sub-01/a.mat", "top/b.mat": "b.mat"})
    assert contents(tmp_path / "x") == {"sub-01/a.mat": b"a", "b.mat": b"b"}
    unpack(archive, tmp_path / "y", members="top/c")
    assert contents(tmp_path / "y") == {"top/c": b"c"}
    with pytest.raises(ValueError, match=r"members: expected one of .*, got 'top/d.mat'. Did you mean"):
        unpack(archive, tmp_path / "z", members=["top/d.mat"])
    with pytest.raises(ValueError, match=r"'\.\./b': expected a path that stays in its folder"):
        unpack(archive, tmp_path / "z", members={"top/c": "../b"})
    assert not (tmp_path / "z").exists()


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../outside", "expected a path that stays in its folder, got one with '..'"),
        ("a/../../outside", "expected a path that stays in its folder"),
        ("/outside", "expected a relative path, got an absolute one"),
        ("C:/outside", "expected a relative path, got an absolute one"),
        ("c:outside", "expected a relative path, got an absolute one"),
        ("..\\outside", "expected / between folders, got a backslash"),
        (".", "expected the path of a file, got a folder"),
    ],
)
def test_what_would_leave_the_folder_is_refused(tmp_path, kind, name, why):
    archive = make(tmp_path / "a", [("good", b"good"), (name, b"bad")], kind)
    with pytest.raises(ValueError, match=rf"a: .*{why}"):
        unpack(archive, tmp_path / "inner" / "x")
    assert os.listdir(tmp_path) == ["a"], "the good one did not land, either"
    assert contents_after(archive, tmp_path / "y", ["good"]) == {"good": b"good"}


def contents_after(archive, folder, members):
    unpack(archive, folder, members=members)
    return contents(folder)


@pytest.mark.parametrize(
    ("type_", "why"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a device"),
    ],
)
def test_links_and_devices_are_refused(tmp_path, type_, why):
    archive = make(tmp_path / "a.tar", {"way": b""}, "tar", type=type_, linkname="good")
    with pytest.raises(ValueError, match=f"'way': expected a file, got {why}"):
        unpack(archive, tmp_path / "x")
    assert os.listdir(tmp_path) == ["a.tar"]


@pytest.mark.parametrize(("mode", "why"), [(stat.S_IFLNK, "a link"), (stat.S_IFCHR, "a device")])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, mode, why):
    archive = make(tmp_path / "a.zip", {"way": b"/etc/passwd"}, external_attr=(mode | 0o777) << 16)
    with pytest.raises(ValueError, match=f"'way': expected a file, got {why}"):
        unpack(archive, tmp_path / "x")


def test_a_link_then_a_file_through_it_does_not_leave(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "x" / "sub").symlink_to(tmp_path / "outside")
    archive = make(tmp_path / "a.zip", {"sub/file": b"bad"})
    with pytest.raises(ValueError, match=r"sub/file: a link leads out of .*x. Remove the link"):
        unpack(archive, tmp_path / "x")
    assert contents(tmp_path / "outside") == {}


def test_permissions_are_those_of_any_new_file(tmp_path):
    archive = make(tmp_path / "a.tar", {"run": b"#!"}, "tar", mode=0o6777, uid=12345)
    (path,) = unpack(archive, tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) & 0o7111 == 0
    assert path.stat().st_uid == os.getuid()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["a/b", "a/b"], "expected each path once, got 'a/b' again"),
        (["a/b", "./a//b"], "expected each path once, got 'a/b' again"),
        (["a/b", "a/B"], "'a/b' and 'a/B' are one path where capitals do not count"),
        (["Sub/a", "sub/b"], "'Sub' and 'sub' are one path"),
        (["e\u0301", "\u00e9"], "are one path"),
        (["a", "a/b"], "'a' is a file and a folder"),
    ],
)
def test_files_that_would_overwrite_each_other_are_refused(tmp_path, kind, names, why):
    archive = make(tmp_path / "x", [(name, b"1") for name in names], kind)
    with pytest.raises(ValueError, match=why):
        unpack(archive, tmp_path / "y")
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.xz"])
def test_a_bomb_is_refused(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(module, "_SMALL", 2**20)
    archive = make(tmp_path / "a", {"zeros": bytes(2**20 + 1)}, kind)
    with pytest.raises(ValueError, match=r"a: .* expand to 1\.\d MB or more, over 100 times as much.*most_ratio"):
        unpack(archive, tmp_path / "x")
    assert os.listdir(tmp_path) == ["a"]
    unpack(archive, tmp_path / "x", most_ratio=1e4)
    assert (tmp_path / "x" / "zeros").stat().st_size == 2**20 + 1


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_limits_on_bytes_and_files(tmp_path, kind):
    archive = make(tmp_path / "a", {str(i): b"12345" for i in range(10)}, kind)
    with pytest.raises(ValueError, match="expected at most 9 files, got more. If you trust it, raise most_files"):
        unpack(archive, tmp_path / "x", most_files=9)
    with pytest.raises(ValueError, match="expected at most 49 bytes in it, got more. If you trust it, raise most_b"):
        unpack(archive, tmp_path / "x", most_bytes=49)
    assert os.listdir(tmp_path) == ["a"]
    assert len(unpack(archive, tmp_path / "x", most_bytes=50, most_files=10)) == 10


def test_a_huge_header_is_not_read(tmp_path):
    """A tar may announce a name of gigabytes, for which its reader would ask at once."""
    info = tarfile.TarInfo("name")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2**33
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(2**12)))
    with pytest.raises(ValueError, match=r"damaged one or another file \(a header of 8589\d+ bytes\)"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "x")


def test_a_huge_announced_file_is_not_skipped_over(tmp_path):
    info = tarfile.TarInfo("file")
    info.size = 2**40
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(info.tobuf() + bytes(2**12)))
    with pytest.raises(ValueError, match="raise most_bytes"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "x")


def test_an_encrypted_member_is_refused(tmp_path):
    archive = make(tmp_path / "a.zip", {"secret": b"text"})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(ValueError, match="'secret': encrypted, which is not supported"):
        unpack(archive, tmp_path / "x")


def test_a_member_shorter_than_announced_is_refused(tmp_path):
    archive = make(tmp_path / "a.zip", {"one": b"recording"})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 24] += 1  # its size
    archive.write_bytes(content)
    with pytest.raises(ValueError, match="'one': expected 10 bytes, got 9. Fetch it again"):
        unpack(archive, tmp_path / "x")
    assert contents(tmp_path / "x") == {}


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_that_breaks_off_lands_nothing(tmp_path, kind, rng):
    whole = make(tmp_path / "a", {"one": rng.bytes(3000), "two": rng.bytes(3000)}, kind).read_bytes()
    for length in range(0, len(whole), len(whole) // 17):
        (tmp_path / "b").write_bytes(whole[:length])
        if kind == "tar" and length > 2 * 512 + 6 * 1024 + 512:
            continue  # nothing but padding is missing
        with pytest.raises(ValueError, match="expected a whole archive"):
            unpack(tmp_path / "b", tmp_path / "x")
        assert not (tmp_path / "x").exists() or contents(tmp_path / "x") == {}


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.xz"])
def test_no_damage_goes_unnoticed(tmp_path, kind, rng):
    """Any byte may flip: the answer is the same files, or one kind of error and no file."""
    files = {"one": rng.bytes(300), "two": b"2" * 300}
    whole = make(tmp_path / "a", files, kind).read_bytes()
    refused = 0
    for number in range(40):
        damaged, folder = bytearray(whole), tmp_path / f"x{number}"
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        (tmp_path / "b").write_bytes(damaged)
        try:
            unpack(tmp_path / "b", folder)
        except ValueError as error:
            assert str(tmp_path / "b") in str(error)
            assert contents(tmp_path) == {"a": whole, "b": bytes(damaged)}
            refused += 1
        else:
            assert set(contents(folder).values()) <= {*files.values()}
            shutil.rmtree(folder)
    assert refused > 12


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK no archive", bytes(99), b"\x1f\x8bno", b"BZh9no"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.zip: expected a whole archive \(zip, tar, tar.gz, tar.bz2, tar.xz\)"):
        unpack(tmp_path / "a.zip", tmp_path / "x")
    with pytest.raises(FileNotFoundError, match=r"b\.zip: no such file. Name an archive"):
        unpack(tmp_path / "b.zip", tmp_path / "x")


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_interrupted_call_can_be_repeated(tmp_path, kind, monkeypatch):
    archive, folder = make(tmp_path / "a", FILES, kind), tmp_path / "x"
    settle, settled = module.settle, []

    def interrupted(draft, target):
        if settled:
            raise KeyboardInterrupt
        settled.append(target)
        settle(draft, target)

    monkeypatch.setattr(module, "settle", interrupted)
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, folder)
    assert contents(folder) == {"CND/dataSub1.mat": FILES["CND/dataSub1.mat"]}, "one is there, and it is complete"
    monkeypatch.setattr(module, "settle", settle)
    (folder / ".unpacking-a").mkdir()  # as a kill leaves it
    (folder / ".unpacking-a" / "0").write_bytes(b"half")
    before = (folder / "CND" / "dataSub1.mat").stat()
    unpack(archive, folder)
    assert contents(folder) == FILES
    after = (folder / "CND" / "dataSub1.mat").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert not (folder / ".unpacking-a").exists()


@pytest.mark.parametrize("mine", [b"mine", b"SOUND"])
def test_another_file_is_not_overwritten(tmp_path, mine):
    archive = make(tmp_path / "a.zip", FILES)
    (tmp_path / "x" / "CND").mkdir(parents=True)
    (tmp_path / "x" / "CND" / "stim.mat").write_bytes(mine)
    with pytest.raises(
        FileExistsError, match=r"stim\.mat: another file is there than 'CND/stim.mat' of .*a\.zip. Move"
    ):
        unpack(archive, tmp_path / "x")
    assert contents(tmp_path / "x") == {"CND/stim.mat": mine}, "nothing else landed"


def test_a_full_disk_lands_nothing(tmp_path, monkeypatch):
    archive = make(tmp_path / "a.zip", FILES)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 5, 9))
    with pytest.raises(OSError, match=r"a\.zip: 8996 bytes more are needed .*, but 9 are free"):
        unpack(archive, tmp_path / "x")
    monkeypatch.undo()

    def full(stream, chunk):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_all", full)
    with pytest.raises(OSError, match=r"dataSub1\.mat of 8991 bytes does not fit on the disk.*Nothing was unpacked"):
        unpack(archive, tmp_path / "x")
    assert contents(tmp_path / "x") == {}


def test_what_file_managers_leave_is_left_there(tmp_path):
    litter = {".DS_Store": b"1", "CND/.DS_Store": b"2", "__MACOSX/CND/._stim.mat": b"3", "CND/Thumbs.db": b"4"}
    archive = make(tmp_path / "a.zip", {**FILES, **litter})
    unpack(archive, tmp_path / "x")
    assert contents(tmp_path / "x") == FILES
    assert len(unpack(archive, tmp_path / "y", members=list(litter))) == 4, "unless asked for"


def test_paths_that_stay_are_taken(tmp_path):
    for name in ("a", "./a/b.wav", "a b/ü '\"🎵", "..a/b..", "ab:c"):
        assert place(tmp_path, name).is_relative_to(tmp_path)
        assert safe_path(name) == safe_path(str(safe_path(name)))
    for name in ("", "a\0b", "a\nb", "\udce9", "a\\b", "/", "./", "a/..", "Z:a"):
        with pytest.raises(ValueError, match="expected"):
            safe_path(name)


def test_compression_is_told_by_content(tmp_path):
    """The three forms are what their own modules write, not only what tarfile does."""
    tar = make(tmp_path / "a.tar", FILES, "tar").read_bytes()
    for number, compress in enumerate((gzip.compress, bz2.compress, lzma.compress)):
        (tmp_path / "b.zip").write_bytes(compress(tar))
        unpack(tmp_path / "b.zip", tmp_path / str(number))
        assert contents(tmp_path / str(number)) == FILES
