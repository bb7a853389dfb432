"""The work behind `eegic.datasets.fetch`: which files are wanted, what may be done, and what is known of each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from eegic import _checks, _files
from eegic.datasets.public import tables
from eegic.datasets.public.archives import place, unpack
from eegic.datasets.public.download import download
from eegic.datasets.public.landing import Expected, alone, amount, bad_of, check_space, digest_of, part_of
from eegic.datasets.public.manifest import File, Manifest, data_home, load_manifest

ROLES = ("eeg", "stim", "meta")
SHARED = ("", "*")
LOCK = "digests.lock.tsv"
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_MOST_FAILURES = 3  # one after another; then it is the network, not a file
_LOCK_COLUMNS = tables.Columns(
    needed=("path", "bytes", "algo", "digest"), more=("archive",), key="path", numbers=("bytes",), paths=("path",)
)


@dataclass(frozen=True)
class Count:
    """How much is there.

    Parameters
    ----------
    files, all_files : int
        Files that are there, in their full size, and those of the manifest.
    bytes, all_bytes : int
        Their bytes, as far as the manifest tells them.
    unsized : int
        Files of the manifest whose bytes it does not tell.
    """

    files: int
    all_files: int
    bytes: int
    all_bytes: int
    unsized: int


def data_root(manifest: Manifest | str) -> Path:
    """Folder in which a data set is kept: its id under EEGIC_DATA, under ``eegic`` in MNE_DATA, or under ~/eegic-data.

    Parameters
    ----------
    manifest : Manifest or str
        Or its id.
    """
    return data_home() / (manifest.id if isinstance(manifest, Manifest) else load_manifest(manifest).id)


def check_listed(manifest: Manifest) -> None:
    """Say where to begin if the manifest lists no files."""
    if not manifest.files:
        raise ValueError(
            f"{manifest.id}: no files are listed. Get the data set from {_whence(manifest)}; `eegic data add FOLDER "
            f"--id {manifest.id}` then lists them."
        )


def check_complete(manifest: Manifest, incomplete: bool) -> None:
    """Refuse, before anything comes, what nobody could analyse, unless that is wanted."""
    _checks.flag("incomplete", incomplete)
    if not manifest.files_complete and not incomplete:
        enough = "may not be enough" if manifest.n_files == tables.UNKNOWN else "is not enough"
        raise ValueError(
            f"{manifest.id}: this manifest lists {n_listed(manifest)}, which {enough} to analyse. Get the data "
            f"set from {_whence(manifest)}, then `eegic data add FOLDER --id {manifest.id}` completes the list. To "
            "fetch what is listed all the same, pass incomplete=True."
        )


def n_listed(manifest: Manifest) -> str:
    """How many files a manifest lists, and of how many, as far as that is known."""
    n, of = len(manifest.files), manifest.n_files
    return f"{n} of {'an unknown number of' if of == tables.UNKNOWN else of} files"


class Job:
    """Some files of a data set, and the folder in which they belong."""

    def __init__(self, manifest: Manifest, root: Path, files: list[File]) -> None:
        self.manifest, self.root, self.files = manifest, root, files
        self.by_path = {file.path: file for file in manifest.files}
        for file in manifest.files:
            place(root, file.path)

    @classmethod
    def of(
        cls,
        manifest: Manifest | str,
        root: str | os.PathLike[str] | None,
        participants: str | Sequence[str] | None,
        include: str | Sequence[str],
    ) -> Job:
        """The files wanted; an archive whose members are listed is wanted only for these."""
        manifest = manifest if isinstance(manifest, Manifest) else load_manifest(manifest)
        roles = {
            _checks.one_of("include", role, ROLES) for role in ([include] if isinstance(include, str) else include)
        }
        people = _people(manifest, participants)
        containers = {file.archive for file in manifest.files}
        files = [
            file
            for file in manifest.files
            if file.path not in containers
            and file.role in roles
            and (people is None or file.participant in (*SHARED, *people))
        ]
        return cls(manifest, data_root(manifest) if root is None else Path(root).expanduser(), files)

    @cached_property
    def lock(self) -> dict[str, tables.Row]:
        """Digests that files had when they came, by path."""
        rows = {row["path"]: row for row in tables.read_rows(self.root / LOCK, _LOCK_COLUMNS)}
        for path, row in rows.items():
            try:
                locked(row)
            except ValueError as error:
                raise ValueError(
                    f"{self.root / LOCK}: expected the bytes and the digest that {path} had when it came, got what "
                    f"cannot be read ({error}). Delete its row."
                ) from error
        return rows

    def target(self, file: File) -> Path:
        """Where a file lies."""
        return self.root / file.path

    def expected(self, file: File) -> Expected:
        """What is known of a file: from the manifest, or else from when it came first."""
        if file.digest is None and file.path in self.lock:
            known = locked(self.lock[file.path])
            return Expected(known.size if file.bytes is None else file.bytes, known.algo, known.digest)
        return Expected(file.bytes, file.algo, file.digest)

    def is_right(self, file: File) -> bool:
        """Whether a file is there, and all that is known of it is right; it is read from end to end."""
        return self.target(file).is_file() and not self.expected(file).fault(self.target(file))

    def count(self, files: Iterable[File]) -> Count:
        """Count files, and those that are there."""
        files = list(files)
        there = [
            file for file in files if self.target(file).is_file() and not Expected(file.bytes).fault(self.target(file))
        ]
        return Count(
            len(there),
            len(files),
            sum(file.bytes or 0 for file in there),
            sum(file.bytes or 0 for file in files),
            sum(file.bytes is None for file in files),
        )

    def check_access(self, files: Sequence[File]) -> None:
        """Say how to get by hand what no address gives."""
        if self.manifest.access == "open" and self._bases():
            return
        needed = "a login is needed" if self.manifest.access == "login" else "they are given by hand only"
        raise FileNotFoundError(
            f"{self.manifest.id}: {len(files)} files are missing, and {needed}. Get them from "
            f"{_whence(self.manifest)} and put them there: {_checks.listed([str(self.target(f)) for f in files])}."
        )

    def check_licence(self, loads: Sequence[File], missing: Sequence[File], known: bool, unknown: bool) -> None:
        """Show the licences of what is missing, and what is to come, unless they were accepted."""
        _checks.flag("accept_licence", known)
        _checks.flag("accept_unknown_licence", unknown)
        one = self.manifest
        licences = self.licences(missing)
        asked = {
            "accept_unknown_licence=True": any(text == tables.UNKNOWN for text in licences.values()) and not unknown,
            "accept_licence=True": any(text != tables.UNKNOWN for text in licences.values()) and not known,
        }
        if any(asked.values()):
            says = "; ".join(f"licence of the {of}: {text}" for of, text in licences.items())
            raise PermissionError(
                f"{one.id}, {one.title} (doi {one.doi}): {says} (source: {one.licence_source}). {len(loads)} files, "
                f"{_total(loads)}, would come to {self.root}. If you may use them so, pass "
                f"{' and '.join(flag for flag, needed in asked.items() if needed)}."
            )

    def licences(self, files: Sequence[File]) -> dict[str, str]:
        """Licences of files; an archive may hold sounds, too, where nobody lists its members."""
        licences = {"recordings": self.manifest.licence} if any(file.role != "stim" for file in files) else {}
        if any(file.role == "stim" or self.is_unlisted_archive(file) for file in files):
            licences["sounds"] = self.manifest.stimuli_licence
        return licences

    def check_room(self, loads: Sequence[File], missing: Sequence[File]) -> None:
        """Find out before the first byte whether there is room for all."""
        parts = [part_of(self.target(file)) for file in loads]
        there = sum(part.stat().st_size for part in parts if part.is_file())
        needed = sum(file.bytes or 0 for file in {f.path: f for f in (*loads, *missing)}.values())
        folder = next(one for one in (self.root, *self.root.absolute().parents) if one.is_dir())
        check_space(folder, self.root, max(0, needed - there))

    def load(self, files: Sequence[File], progress: bool) -> dict[str, str]:
        """Fetch files; tell by path why some did not come, which keeps no others away unless several fail in a row."""
        from tqdm import tqdm

        failed: dict[str, str] = {}
        row = 0
        bar = tqdm(files, desc=self.manifest.id, unit="file", delay=2, disable=None if progress else True)
        for file in bar:
            known = self.expected(file)
            size = {"size": known.size, "algo": known.algo, "digest": known.digest}
            try:
                path = download(self._urls(file), self.target(file), progress=progress, **size)  # type: ignore[arg-type]
            except (OSError, ValueError) as error:
                if _is_full(error) or os.environ.get("EEGIC_OFFLINE"):
                    raise
                failed[file.path] = str(error)
                row += 1
                if row == _MOST_FAILURES:
                    bar.close()
                    self.check_failures(failed)
                continue
            row = 0
            self._keep([(file.path, path, "")] if known.digest is None else [])
        bar.close()
        return failed

    def unpack_archives(self, archives: Iterable[File], missing: Sequence[File]) -> list[str]:
        """Unpack what is missing of archives, or all where members are not listed; tell why some cannot be unpacked."""
        damaged = []
        for archive in archives:
            members = [file for file in missing if file.archive == archive.path]
            try:
                if members:
                    self._unpack_members(archive, members)
                else:
                    self._unpack_all(archive)
            except (OSError, ValueError) as error:
                if _is_full(error):
                    raise
                damaged.append(str(error))
        return damaged

    def check_failures(self, failed: Mapping[str, str], damaged: Sequence[str] = ()) -> None:
        """Say at the end which files did not come, and which archives could not be unpacked."""
        said = [f"{len(failed)} files could not be fetched.", *failed.values()] if failed else []
        said += [f"{len(damaged)} archives could not be unpacked.", *damaged] if damaged else []
        if any(self.by_path[path].digest is None and path in self.lock for path in failed):
            said.append(f"If the source has published other files, delete their rows in {self.root / LOCK}.")
        if said:
            raise OSError(f"{self.manifest.id}: {' '.join(said)}")

    def _unpack_members(self, archive: File, files: Sequence[File]) -> None:
        """Unpack listed members, and check that they are what the manifest says."""
        files = [file for file in files if not self.is_right(file)]  # another process may have unpacked some meanwhile
        if not files:
            return
        for file in files:
            if self.target(file).is_file():  # a wrong one
                os.replace(self.target(file), bad_of(self.target(file)))
        unpack(self.target(archive), self.root, members={file.source_path or file.path: file.path for file in files})
        wrong: dict[str, str] = {}
        for file in files:
            if fault := self.expected(file).fault(self.target(file)):
                bad = bad_of(self.target(file))
                os.replace(self.target(file), bad)
                wrong[file.path] = (
                    f"{self.target(file)}: {fault}. It came out of {archive.path} and is kept as {bad.name}."
                )
        right = [file for file in files if file.path not in wrong]
        self._keep([(file.path, self.target(file), "") for file in right if self.expected(file).digest is None])
        if wrong:
            raise OSError(f"{' '.join(wrong.values())} Correct the manifest, or ask who made the archive.")

    def is_unlisted_archive(self, file: File) -> bool:
        """Whether a wanted file is an archive; it is wanted itself only if the manifest lists none of its members."""
        return not file.archive and file.path.lower().endswith(_ARCHIVES)

    def _unpack_all(self, file: File) -> None:
        """Unpack an archive whose members nobody lists, unless all that came out of it is still there."""
        known = [(place(self.root, path), row) for path, row in self.lock.items() if row.get("archive") == file.path]
        if known and all(path.is_file() and not locked(row).size_fault(path) for path, row in known):
            return
        folder = self.target(file).parent
        paths = unpack(self.target(file), folder)
        self._keep([(path.relative_to(self.root).as_posix(), path, file.path) for path in paths])

    def _keep(self, files: Sequence[tuple[str, Path, str]]) -> None:
        """Write down the digests of files that came."""
        if not files:
            return
        rows = {
            name: {
                "path": name,
                "bytes": str(path.stat().st_size),
                "algo": "sha256",
                "digest": digest_of(path),
                "archive": archive,
            }
            for name, path, archive in files
        }
        with alone(self.root / f".{LOCK}.lock", f"{self.root / LOCK}: another process is writing it"):
            self.__dict__.pop("lock", None)  # others may have added to it
            known = {**self.lock, **rows}
            tables.write_rows(self.root / LOCK, _LOCK_COLUMNS, [known[name] for name in sorted(known)])
            self.__dict__.pop("lock", None)

    def _urls(self, file: File) -> list[str]:
        return [f"{base.rstrip('/')}/{quote(file.source_path or file.path)}" for base in self._bases()]

    def _bases(self) -> list[str]:
        return [source.base for source in self.manifest.sources if source.kind == "http"]


def _people(manifest: Manifest, participants: str | Sequence[str] | None) -> set[str] | None:
    if participants is None:
        return None
    asked = [participants] if isinstance(participants, str) else participants
    known = {*manifest.participant_ids, *(file.participant for file in manifest.files)} - set(SHARED)
    return {
        _checks.one_of(f"{manifest.id}: participants", str(one).removeprefix("sub-"), sorted(known)) for one in asked
    }


def _is_full(error: Exception) -> bool:
    """Whether the disk has no room: no other file has, either."""
    return isinstance(error, OSError) and error.errno in _files.NO_ROOM


def locked(row: tables.Row) -> Expected:
    """What a row of the lock file says of a file."""
    return Expected(int(row["bytes"]), row["algo"], row["digest"])


def _whence(manifest: Manifest) -> str:
    pages = [source.base for source in manifest.sources if source.kind == "page"]
    if pages or manifest.homepage != tables.UNKNOWN:
        return " or ".join(pages or [manifest.homepage])
    return f"https://doi.org/{manifest.doi}" if manifest.doi != tables.UNKNOWN else "whoever published them"


def _total(files: Sequence[File]) -> str:
    sizes = [file.bytes for file in files if file.bytes is not None]
    unsized = [f"{len(files) - len(sizes)} of unknown size"] if len(sizes) < len(files) else []
    return " and ".join(([amount(sum(sizes))] if sizes else []) + unsized)
