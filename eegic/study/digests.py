"""What stands in a file or in settings, as one short text: equal content, equal digest."""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import time
from pathlib import Path

from eegic import _files

SCHEMA = "eegic.study.digests/1"
_SETTLED = 2.0  # seconds; on some disks a file that changes twice within them shows the same times
_N_STATE = 4  # numbers by which a file is known again


class Digests:
    """Sha256 of files, remembered from run to run, so that gigabytes are read once.

    Parameters
    ----------
    index : Path
        The .json file in which they are remembered. It may be missing. A damaged one is ignored, and written anew.

    Notes
    -----
    A file is known again by its absolute path, its size, when its content and its state were last changed, and its
    inode; if one of them differs it is read again. So a file that was only touched keeps its digest, and one that got
    other content of the same size, and its former date, does not. (Windows does not tell when the state of a file was
    changed: there a change that keeps size and date is not noticed.) What was changed less than two seconds ago is not
    remembered, for it could change once more without a trace.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "sound.wav").write_bytes(b"abc")
    >>> digests = Digests(folder / "digests.json")
    >>> digests.of(folder / "sound.wav")[:16]
    'ba7816bf8f01cfea'
    >>> digests.save()
    """

    def __init__(self, index: str | os.PathLike[str]) -> None:
        self.index = Path(index)
        self._known = _read(self.index)
        self._states: dict[str, tuple[int, ...]] = {}

    def of(self, path: str | os.PathLike[str]) -> str:
        """Return the sha256 of a file, as 64 hexadecimal digits."""
        name, begun = os.path.abspath(path), time.time_ns()
        before = state_of(name)
        self._states[name] = before
        state, digest = self._known.get(name, ((), ""))
        if state == before:
            return digest
        digest = content_of(name)
        if state_of(name) != before:
            raise OSError(f"{name}: changed while it was read. Wait until it is written, then run again.")
        if all(abs(begun - changed) > _SETTLED * 1e9 for changed in before[1:3]):
            self._known[name] = before, digest
        else:
            self._known.pop(name, None)
        return digest

    def state(self, path: str | os.PathLike[str]) -> tuple[int, ...]:
        """Return the state in which a file was when its digest was asked for last, as `state_of` gives it."""
        return self._states[os.path.abspath(path)]

    def save(self) -> None:
        """Write the index, without files that are gone; the old one stays until the new one is whole."""
        files = {name: [*state, digest] for name, (state, digest) in self._known.items() if os.path.isfile(name)}
        told = {"schema": SCHEMA, "files": files, "sha256": digest_of(files)}
        with _files.replacing(self.index) as draft:
            draft.write_bytes(json.dumps(told, indent=1, sort_keys=True).encode("ascii"))


def canonical(value: object, name: str = "value") -> str:
    """Return the one JSON text of a value: keys sorted, no spaces, ASCII, floats in the fewest digits that tell them.

    Parameters
    ----------
    value : object
        None, booleans, whole and finite numbers, strings, and lists, tuples (as lists) and dicts of them, with strings
        as keys. A path is refused: where a file lies says nothing about what is in it.
    name : str
        What the caller calls the value; starts the message if it is refused.

    Returns
    -------
    str
        Of equal values the same text; 1, 1.0 and True are three values.

    Examples
    --------
    >>> canonical({"lags": (0.0, 0.6), "band": None, "alphas": [1, 1e9]})
    '{"alphas":[1,1000000000.0],"band":null,"lags":[0.0,0.6]}'
    """
    _check_plain(value, name)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_of(value: object) -> str:
    """Return the sha256 of the canonical text of a value, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value).encode("ascii")).hexdigest()


def _check_plain(value: object, where: str) -> None:
    """Refuse what JSON would not give back, and say where it stands."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{where}: expected strings as keys, got {key!r} ({type(key).__name__}). Convert it.")
            _check_plain(inner, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            _check_plain(inner, f"{where}[{i}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where}: expected a finite number, got {value}. Leave it out, or write None.")
    elif isinstance(value, os.PathLike):
        raise TypeError(f"{where}: expected plain values, got a path ({value}). Give the digest of the file instead.")
    elif value is not None and not isinstance(value, (str, int, float)):
        raise TypeError(
            f"{where}: expected numbers, strings, None, lists and dicts of them, got {type(value).__name__}. "
            "Convert it."
        )


def content_of(path: str | os.PathLike[str]) -> str:
    """Sha256 of a file, read now."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def state_of(path: str) -> tuple[int, ...]:
    """Size, times of the last change of content and of state, and inode of a file; refuse what is none."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"{path}: no such file. Check its name, and whether the disk is connected.") from error
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(f"{path}: expected a file, got a folder. Name a file in it.")
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{path}: expected a file, got a pipe or a device. Save what it gives in a file first.")
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _read(index: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """What an index remembers: nothing if it is missing, damaged, or of another schema."""
    try:
        told = json.loads(index.read_bytes())
        if told["schema"] != SCHEMA or told["sha256"] != digest_of(told["files"]):
            return {}
        return {name: (tuple(row[:_N_STATE]), str(row[_N_STATE])) for name, row in told["files"].items()}
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return {}
