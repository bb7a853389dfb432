"""Equal content has one digest, other content another; a file is read once, and again if it may have changed."""

import hashlib
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from eegic.study import digests as module
from eegic.study.digests import Digests, canonical, digest_of


@pytest.fixture
def reads(monkeypatch):
    """Names of the files whose content was read for a digest, in order."""
    names, digest = [], hashlib.file_digest

    def counted(stream, kind):
        names.append(os.path.basename(stream.name))
        return digest(stream, kind)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    return names


@pytest.fixture
def settled(monkeypatch):
    """Files may be remembered as soon as they are written."""
    monkeypatch.setattr(module, "_SETTLED", 0.0)


def write(path, content=b"abc"):
    path.write_bytes(content)
    return path


def changed(path, content):
    """Write other content of the same size under the same date, once the clock of the disk has gone on."""
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (before.st_mtime_ns, before.st_size)


class TestOfFiles:
    def test_is_sha256_of_the_content(self, tmp_path, rng):
        content = rng.bytes(3_000_001)
        assert Digests(tmp_path / "i.json").of(write(tmp_path / "a", content)) == hashlib.sha256(content).hexdigest()

    def test_is_remembered_from_run_to_run(self, tmp_path, reads, settled):
        path, digests = write(tmp_path / "sound 🎵.wav"), Digests(tmp_path / "new" / "i.json")
        first = digests.of(path)
        assert digests.of(path) == first
        digests.save()
        assert Digests(tmp_path / "new" / "i.json").of(path) == first
        assert reads == [path.name]
        assert os.listdir(tmp_path / "new") == ["i.json"]

    def test_knows_a_file_by_any_way_of_naming_it(self, tmp_path, reads, settled, monkeypatch):
        path, digests = write(tmp_path / "a"), Digests(tmp_path / "i.json")
        monkeypatch.chdir(tmp_path)
        assert digests.of(path) == digests.of("a") == digests.of(Path("../") / tmp_path.name / "a")
        assert reads == ["a"]

    def test_of_a_touched_file_is_the_same(self, tmp_path, reads, settled):
        path, digests = write(tmp_path / "a"), Digests(tmp_path / "i.json")
        first = digests.of(path)
        os.utime(path, ns=(0, 0))
        assert digests.of(path) == first
        assert len(reads) == 2

    @pytest.mark.skipif(os.name != "posix", reason="Windows does not tell when the state of a file was changed")
    def test_of_other_content_differs_though_size_and_date_are_the_same(self, tmp_path, settled):
        path, digests = write(tmp_path / "a"), Digests(tmp_path / "i.json")
        os.utime(path, ns=(0, 0))
        digests.of(path)
        digests.save()
        changed(path, b"xyz")
        assert Digests(tmp_path / "i.json").of(path) == hashlib.sha256(b"xyz").hexdigest()
        assert digests.of(path) == hashlib.sha256(b"xyz").hexdigest()

    def test_of_what_was_just_written_is_not_remembered(self, tmp_path, reads, monkeypatch):
        path, digests = write(tmp_path / "a"), Digests(tmp_path / "i.json")
        now = path.stat().st_ctime_ns
        monkeypatch.setattr(time, "time_ns", lambda: now)
        digests.of(path), digests.of(path)
        assert reads == ["a", "a"], "it could have changed within the time that the disk can tell"
        monkeypatch.setattr(time, "time_ns", lambda: now + 3 * 10**9)
        digests.of(path), digests.of(path)
        assert reads == ["a", "a", "a"]

    def test_of_another_file_in_its_place(self, tmp_path, settled):
        path, digests = write(tmp_path / "a"), Digests(tmp_path / "i.json")
        digests.of(path)
        os.replace(write(tmp_path / "b", b"xyz"), path)
        assert digests.of(path) == hashlib.sha256(b"xyz").hexdigest()

    def test_is_refused_while_somebody_writes(self, tmp_path, monkeypatch):
        path, digest = write(tmp_path / "a"), hashlib.file_digest

        def meanwhile(stream, kind):
            found = digest(stream, kind)
            write(path, b"longer")
            return found

        monkeypatch.setattr(hashlib, "file_digest", meanwhile)
        with pytest.raises(OSError, match="a: changed while it was read. Wait until it is written"):
            Digests(tmp_path / "i.json").of(path)

    def test_is_of_files_only(self, tmp_path):
        digests = Digests(tmp_path / "i.json")
        with pytest.raises(IsADirectoryError, match="expected a file, got a folder. Name a file in it"):
            digests.of(tmp_path)
        for name in ("missing", "file/in"):
            write(tmp_path / "file")
            with pytest.raises(FileNotFoundError, match=rf"{name}: no such file. Check its name"):
                digests.of(tmp_path / name)
        if hasattr(os, "mkfifo"):
            os.mkfifo(tmp_path / "pipe")
            with pytest.raises(ValueError, match="pipe: expected a file, got a pipe or a device"):
                digests.of(tmp_path / "pipe")

    def test_of_a_file_that_is_gone_is_forgotten(self, tmp_path, settled):
        digests = Digests(tmp_path / "i.json")
        [digests.of(write(tmp_path / name)) for name in "ab"]
        (tmp_path / "a").unlink()
        with pytest.raises(FileNotFoundError):
            digests.of(tmp_path / "a")
        digests.save()
        assert list(json.loads((tmp_path / "i.json").read_text())["files"]) == [str(tmp_path / "b")]


class TestTheIndex:
    def test_is_not_trusted_after_any_damage(self, tmp_path, settled, rng):
        path, digests = write(tmp_path / "a"), Digests(tmp_path / "i.json")
        right = digests.of(path)
        digests.save()
        whole = (tmp_path / "i.json").read_bytes()
        assert Digests(tmp_path / "i.json")._known
        for bit in rng.choice(8 * len(whole), 150, replace=False):
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
            (tmp_path / "i.json").write_bytes(damaged)
            assert Digests(tmp_path / "i.json").of(path) == right

    @pytest.mark.parametrize(
        "content", [b"", b"null", b"[]", b'{"schema": 1}', b"\xff", b"[" * 99_999, b'{"files": {"a": [1]}}']
    )
    def test_that_is_none_is_written_anew(self, tmp_path, settled, content):
        write(tmp_path / "i.json", content)
        digests = Digests(tmp_path / "i.json")
        first = digests.of(write(tmp_path / "a"))
        digests.save()
        assert Digests(tmp_path / "i.json")._known[str(tmp_path / "a")][1] == first

    def test_stays_when_it_cannot_be_written(self, tmp_path, settled, monkeypatch):
        digests = Digests(tmp_path / "i.json")
        digests.of(write(tmp_path / "a"))
        digests.save()
        before = (tmp_path / "i.json").read_bytes()
        digests.of(write(tmp_path / "b"))

        def full(handle):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            digests.save()
        assert (tmp_path / "i.json").read_bytes() == before
        assert sorted(os.listdir(tmp_path)) == ["a", "b", "i.json"]


class TestOfValues:
    def test_does_not_depend_on_the_order_of_keys_nor_on_the_kind_of_list(self):
        assert canonical({"b": (1, 2), "a": {"z": None, "y": True}}) == '{"a":{"y":true,"z":null},"b":[1,2]}'
        assert digest_of({"b": (1, 2), "a": 0}) == digest_of({"a": 0, "b": [1, 2]})
        assert digest_of([1, 2]) != digest_of([2, 1])

    def test_is_that_of_the_text(self):
        assert digest_of({"ü": "é\n"}) == hashlib.sha256(rb'{"\u00fc":"\u00e9\n"}').hexdigest()

    @pytest.mark.parametrize("number", [0.1, 1e-300, 1 / 3, 5e-324, 1.7976931348623157e308, 2.0**53 + 2, -0.0])
    def test_of_floats_loses_nothing(self, number):
        back = json.loads(canonical(number))
        assert back == number and np.signbit(back) == np.signbit(number)
        assert digest_of(number) != digest_of(np.nextafter(number, 9.0))
        assert digest_of(np.float64(number)) == digest_of(number)

    def test_tells_apart_what_looks_alike(self):
        values = [1, 1.0, True, "1", [1], None, "", [], {}, "None", {"1": 1}, [[1]], [1, 1], 0, False, -0.0, 0.0]
        assert len({digest_of(value) for value in values}) == len(values)

    def test_of_any_text_exists(self):
        for text in ["\udcff", "\0", "🎵", "</script>", "\u2028"]:
            assert json.loads(canonical({text: text})) == {text: text}

    @pytest.mark.parametrize(
        ("value", "error", "message"),
        [
            (
                {"trf": {"alphas": [1.0, np.nan]}},
                ValueError,
                r"^value.trf.alphas\[1\]: expected a finite number, got n",
            ),
            ([float("-inf")], ValueError, r"^value\[0\]: expected a finite number, got -inf. Leave it out"),
            (
                {"a": Path("x.wav")},
                TypeError,
                r"^value.a: .* got a path \(x.wav\). Give the digest of the file",
            ),
            ({"a": {1: 2}}, TypeError, r"^value.a: expected strings as keys, got 1 \(int\). Convert it"),
            ({None: 2}, TypeError, r"^value: expected strings as keys, got None"),
            ([{1, 2}], TypeError, r"^value\[0\]: expected numbers, strings, None, lists and dicts of them, got set"),
            (np.int64(1), TypeError, r"^value: .* got int64. Convert it"),
            (b"x", TypeError, r"^value: .* got bytes"),
            ({"x": np.zeros(2)}, TypeError, r"^value.x: .* got ndarray"),
        ],
    )
    def test_says_where_a_value_has_no_text(self, value, error, message):
        with pytest.raises(error, match=message):
            digest_of(value)

    def test_calls_the_value_as_the_caller_does(self):
        with pytest.raises(ValueError, match="^settings.tmin: expected a finite number"):
            canonical({"tmin": np.inf}, "settings")
