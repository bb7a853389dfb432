"""Archives unpacked without trust: nothing leaves the folder, nothing grows without limit, nothing lands half."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import shutil
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from eegic import _checks
from eegic.datasets.public.landing import alone, amount, check_space, make_folder, minding_full_disk, settle, write_all

_CHUNK = 2**20
_SMALL = 2**24  # bytes to which any archive may expand, however small it is
_LITTER = re.compile(r"(.*/)?(\.DS_Store|Thumbs\.db)|__MACOSX/.*")  # what file managers leave in archives
_MOST_AT_ONCE = 2**24  # bytes that a reader of headers may ask for
_COMPRESSED: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
# what damaged archives make the readers raise; those of gzip and bz2 are kinds of OSError
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError)


@dataclass(frozen=True)
class _Member:
    """A file in an archive, not yet trusted."""

    name: str
    size: int
    trouble: str  # why it cannot be unpacked; "" if it can
    entry: Any


@dataclass(frozen=True)
class _Limits:
    n_bytes: int
    ratio: float
    n_files: int


def unpack(
    archive: str | PathLike[str],
    folder: str | PathLike[str],
    *,
    members: Sequence[str] | Mapping[str, str] | None = None,
    most_bytes: int = 10**11,
    most_ratio: float = 100.0,
    most_files: int = 100_000,
) -> tuple[Path, ...]:
    """Unpack a zip or tar archive: all of its files or some, or, if anything is wrong with these, none.

    Parameters
    ----------
    archive : str or Path
        A .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz file; what it is shows in its first bytes, not in its name.
    folder : str or Path
        Where the files go.
    members : sequence of str, or dict of str to str, optional
        Names in the archive; in a dict, with the path that each is to have under `folder`. All files by default.
    most_bytes : int
        Bytes to which the whole archive may expand.
    most_ratio : float
        How many times its size on disk it may expand to.
    most_files : int
        Number of files and folders it may hold.

    Returns
    -------
    tuple of Path
        The files, in the order of the archive.

    Raises
    ------
    ValueError
        If the archive is damaged or expands beyond a limit, or if a file in it would leave the folder, is a link or a
        device, is encrypted, stands there twice, or differs from another in capitals only.
    FileExistsError
        If another file stands where one is to go.

    Notes
    -----
    Files are unpacked into a hidden folder in `folder` and take their places one by one, each of them complete, after
    the last has been read without an error. Those that are there already, and the same, stay as they are, so an
    interrupted call can be repeated. Times, owners and permissions in the archive are ignored; so are
    files that file managers leave there (``.DS_Store``, ``__MACOSX``).

    Examples
    --------
    >>> import tempfile, zipfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with zipfile.ZipFile(folder / "sounds.zip", "w") as new:
    ...     new.writestr("stimuli/notes.txt", "A4 C5")
    >>> unpack(folder / "sounds.zip", folder)[0].read_text()
    'A4 C5'
    """
    archive, folder = Path(archive), Path(folder)
    limits = _Limits(
        _checks.count("most_bytes", most_bytes),
        _checks.positive("most_ratio", most_ratio, "times the size of the archive"),
        _checks.count("most_files", most_files),
    )
    with _opened(archive, limits) as (entries, read):
        chosen = _chosen(archive, entries, members)
        targets = {path: place(folder, path) for path in chosen}
        make_folder(folder, folder)
        draft = folder / f".unpacking-{archive.name}"
        with alone(Path(f"{draft}.lock"), f"{archive}: another process is unpacking it into {folder}"):
            try:
                _unpack(archive, chosen, targets, read, draft)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    return tuple(targets.values())


def safe_path(name: str) -> PurePosixPath:
    """Return a path of an archive or a manifest, or say why it could lead out of its folder.

    Examples
    --------
    >>> safe_path("./stimuli/audio01.wav")
    PurePosixPath('stimuli/audio01.wav')
    """
    if not name or re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", name):
        raise ValueError(f"{name!r}: expected the path of a file, in UTF-8 and without control characters.")
    if "\\" in name:
        raise ValueError(f"{name!r}: expected / between folders, got a backslash.")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        raise ValueError(f"{name!r}: expected a relative path, got an absolute one.")
    path = PurePosixPath(name)
    if ".." in path.parts:
        raise ValueError(f"{name!r}: expected a path that stays in its folder, got one with '..'.")
    if not path.parts:
        raise ValueError(f"{name!r}: expected the path of a file, got a folder.")
    return path


def place(folder: Path, path: str | PurePosixPath) -> Path:
    """Where a path of an archive or a manifest lies in a folder; links on the way must not lead out of it."""
    target = folder.joinpath(*safe_path(str(path)).parts)
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{target}: a link leads out of {folder}. Remove the link, or choose another folder.")
    return target


@contextmanager
def _opened(archive: Path, limits: _Limits) -> Iterator[tuple[list[_Member], Callable[[Any], IO[bytes] | None]]]:
    """Give what is in an archive, and how to read it; limits have been checked."""
    if not archive.is_file():
        raise FileNotFoundError(f"{archive}: no such file. Name an archive.")
    with open(archive, "rb") as stream:
        head = stream.read(6)
    if head.startswith(b"PK"):
        with _reading(archive):
            opened: Any = zipfile.ZipFile(archive)
        with opened:
            entries = opened.infolist()
            _check_limits(archive, len(entries), sum(entry.file_size for entry in entries), limits)
            yield [_zip_member(entry) for entry in entries if not entry.is_dir()], opened.open
        return
    opener = next((one for magic, one in _COMPRESSED.items() if head.startswith(magic)), None)
    with opener(archive) if opener else open(archive, "rb") as inner:
        guarded = _Guarded(inner, archive, limits)
        with _reading(archive):
            tar = tarfile.open(fileobj=cast("IO[bytes]", guarded), mode="r:")
        with tar:
            yield list(_tar_members(archive, tar, limits)), tar.extractfile


@contextmanager
def _reading(archive: Path) -> Iterator[None]:
    """Say of an archive that cannot be read what it is."""
    try:
        yield
    except _DAMAGED as error:
        why = str(error) or type(error).__name__
        raise ValueError(
            f"{archive}: expected a whole archive (zip, tar, tar.gz, tar.bz2, tar.xz), got a damaged one or another "
            f"file ({why}). Fetch it again."
        ) from error


def _tar_members(archive: Path, tar: tarfile.TarFile, limits: _Limits) -> Iterator[_Member]:
    """Files of a tar archive; limits are checked at each header, before what follows it is read."""
    n_files = n_bytes = 0
    with _reading(archive):
        for entry in tar:
            n_files, n_bytes = n_files + 1, n_bytes + entry.size
            _check_limits(archive, n_files, n_bytes, limits)
            if not entry.isdir():
                yield _Member(entry.name, entry.size, _tar_trouble(entry, archive.parent), entry)
        _check_end(tar)


def _check_end(tar: tarfile.TarFile) -> None:
    """Refuse an archive that breaks off: its reader would take a damaged header for the end."""
    stream = cast("_Guarded", tar.fileobj)
    stream.seek(tar.offset)
    if any(stream.read(tarfile.BLOCKSIZE)) or stream.tell() != tar.offset + tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it breaks off")
    while stream.read(_CHUNK):  # to the end, where a compressed file keeps its checksum
        pass


def _tar_trouble(entry: tarfile.TarInfo, folder: Path) -> str:
    if not entry.isreg():
        kind = "a link" if entry.issym() or entry.islnk() else "a device"
        return f"expected a file, got {kind}"
    try:
        tarfile.data_filter(entry, str(folder))
    except tarfile.FilterError as error:
        return str(error)
    return ""


def _zip_member(entry: zipfile.ZipInfo) -> _Member:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    trouble = ""
    if kind not in (0, stat.S_IFREG):
        trouble = f"expected a file, got {'a link' if kind == stat.S_IFLNK else 'a device'}"
    elif entry.flag_bits & 1:
        trouble = "encrypted, which is not supported"
    return _Member(entry.orig_filename, entry.file_size, trouble, entry)


def _check_limits(archive: Path, n_files: int, n_bytes: int, limits: _Limits) -> None:
    if n_files > limits.n_files:
        raise ValueError(
            f"{archive}: expected at most {limits.n_files} files, got more. If you trust it, raise most_files."
        )
    if n_bytes > limits.n_bytes:
        raise ValueError(
            f"{archive}: expected at most {amount(limits.n_bytes)} in it, got more. If you trust it, raise most_bytes."
        )
    _check_ratio(archive, n_bytes, limits)


def _check_ratio(archive: Path, n_bytes: int, limits: _Limits) -> None:
    size = archive.stat().st_size
    if n_bytes > max(_SMALL, limits.ratio * size):
        raise ValueError(
            f"{archive}: {amount(size)} expand to {amount(n_bytes)} or more, over {limits.ratio:g} times as much. "
            "Recordings and sounds do not; refused. If you trust it, raise most_ratio."
        )


def _chosen(
    archive: Path, entries: list[_Member], members: Sequence[str] | Mapping[str, str] | None
) -> dict[PurePosixPath, _Member]:
    """Members to unpack, under the paths they get; refused if anything is wrong with one of them."""
    pairs = [(entry.name, entry) for entry in entries if not _LITTER.fullmatch(entry.name)]
    if members is not None:
        members = {members: members} if isinstance(members, str) else members
        named = members if isinstance(members, Mapping) else {name: name for name in members}
        wanted = {name.removeprefix("./"): path for name, path in named.items()}
        pairs = [(wanted[name], entry) for entry in entries if (name := entry.name.removeprefix("./")) in wanted]
        known = [entry.name.removeprefix("./") for entry in entries]
        for name in wanted:
            _checks.one_of(f"{archive}: members", name, known)
    chosen: dict[PurePosixPath, _Member] = {}
    for name, entry in pairs:
        try:
            path = safe_path(name)
        except ValueError as error:
            raise ValueError(f"{archive}: {error} Refused.") from error
        if entry.trouble:
            raise ValueError(f"{archive}: {entry.name!r}: {entry.trouble}. Name the members you want.")
        if path in chosen:
            raise ValueError(f"{archive}: expected each path once, got {str(path)!r} again. Name another archive.")
        chosen[path] = entry
    _check_collisions(archive, chosen)
    return chosen


def _check_collisions(archive: Path, chosen: Mapping[PurePosixPath, _Member]) -> None:
    """Refuse paths that are one on some disks: they would overwrite each other there."""
    seen: dict[str, PurePosixPath] = {}
    for path in chosen:
        for part in (path, *path.parents[:-1]):
            other = seen.setdefault(unicodedata.normalize("NFC", str(part)).casefold(), part)
            if other != part:
                raise ValueError(
                    f"{archive}: {str(other)!r} and {str(part)!r} are one path where capitals do not count. "
                    "Name the members you want."
                )
            if part is not path and part in chosen:
                raise ValueError(f"{archive}: {str(part)!r} is a file and a folder. Name the members you want.")


def _unpack(
    archive: Path,
    chosen: Mapping[PurePosixPath, _Member],
    targets: Mapping[PurePosixPath, Path],
    read: Callable[[Any], IO[bytes] | None],
    draft: Path,
) -> None:
    shutil.rmtree(draft, ignore_errors=True)  # of a call that was killed
    draft.mkdir()
    needed = sum(entry.size for path, entry in chosen.items() if not targets[path].is_file())
    check_space(draft, archive, needed)
    new: list[tuple[Path, Path]] = []
    for number, (path, entry) in enumerate(chosen.items()):
        target = targets[path]
        if target.is_file() or target.is_dir():
            _check_same(archive, entry, target, read)
            continue
        new.append((draft / str(number), target))
        with minding_full_disk(target, entry.size, "Nothing was unpacked."):
            _extract(archive, entry, draft / str(number), read)
    for file, target in new:
        make_folder(target.parent, target)
        settle(file, target)


def _extract(archive: Path, entry: _Member, file: Path, read: Callable[[Any], IO[bytes] | None]) -> None:
    with open(file, "xb", buffering=0) as stream:
        for chunk in _chunks(archive, entry, read):
            write_all(stream, chunk)


def _check_same(archive: Path, entry: _Member, target: Path, read: Callable[[Any], IO[bytes] | None]) -> None:
    same = target.is_file() and target.stat().st_size == entry.size
    if same:
        with open(target, "rb") as there:
            same = all([there.read(len(chunk)) == chunk for chunk in _chunks(archive, entry, read)])
    if not same:
        raise FileExistsError(
            f"{target}: another file is there than {entry.name!r} of {archive}. Move it away and unpack again."
        )


def _chunks(archive: Path, entry: _Member, read: Callable[[Any], IO[bytes] | None]) -> Iterator[bytes]:
    """Bytes of a member, as many as announced; the reader compares checksums at the end."""
    with _reading(archive):
        stream = read(entry.entry)
    if stream is None:
        raise ValueError(f"{archive}: {entry.name!r}: expected a file.")
    length = 0
    with stream:
        while True:
            with _reading(archive):
                chunk = stream.read(_CHUNK)
            if not chunk:
                break
            length += len(chunk)
            yield chunk
    if length != entry.size:
        raise ValueError(f"{archive}: {entry.name!r}: expected {entry.size} bytes, got {length}. Fetch it again.")


class _Guarded:
    """The bytes of a tar archive for its reader, which would follow any header, however much it announces."""

    def __init__(self, stream: Any, archive: Path, limits: _Limits) -> None:
        self._stream, self._archive, self._limits = stream, archive, limits

    def read(self, n_bytes: int = -1) -> bytes:
        if not 0 <= n_bytes <= _MOST_AT_ONCE:
            raise tarfile.ReadError(f"a header of {n_bytes} bytes")
        _check_ratio(self._archive, self._stream.tell() + n_bytes, self._limits)
        return cast(bytes, self._stream.read(n_bytes))

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 0:
            _check_ratio(self._archive, offset, self._limits)
        return int(self._stream.seek(offset, whence))

    def tell(self) -> int:
        return int(self._stream.tell())
