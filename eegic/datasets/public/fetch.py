"""Data sets by their manifests: fetch what is wanted, tell what is there, check that it is right."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eegic.datasets.public.archives import place
from eegic.datasets.public.fetch_job import (
    ROLES,
    SHARED,
    Count,
    Job,
    check_complete,
    check_listed,
    data_root,
    locked,
)
from eegic.datasets.public.landing import Expected, part_of
from eegic.datasets.public.manifest import Manifest, load_manifest

__all__ = ["Count", "Fetched", "Status", "Verdict", "data_root", "fetch", "status", "verify"]


@dataclass(frozen=True)
class Fetched:
    """What `fetch` did.

    Parameters
    ----------
    root : Path
        Folder of the data set.
    files : tuple of Path
        All files that were wanted; they are there.
    bytes : int
        Bytes fetched now.
    already : int
        How many of the files were there before.
    """

    root: Path
    files: tuple[Path, ...]
    bytes: int
    already: int


@dataclass(frozen=True)
class Verdict:
    """What `verify` found of one file.

    Parameters
    ----------
    path : str
        Path in the data set.
    state : {"ok", "missing", "wrong size", "wrong digest", "unverified"}
        ``"unverified"`` is a file whose digest nobody has published; it is still the one that was fetched first.
    note : str
        What was expected and what came, where anything is to be said.
    """

    path: str
    state: str
    note: str = ""


@dataclass(frozen=True)
class Status:
    """What `status` found.

    Parameters
    ----------
    root : Path
        Folder of the data set.
    total : Count
        All files that were asked about.
    roles, participants : dict of str to Count
        The same by role, and by participant; "*" is what they share.
    parts : dict of str to int
        Bytes of files that are on their way; `fetch` goes on from there.
    licences : dict of str to str
        Licences of the recordings and of the sounds that were asked about: that of the EEG does not cover the music.
    """

    root: Path
    total: Count
    roles: dict[str, Count]
    participants: dict[str, Count]
    parts: dict[str, int]
    licences: dict[str, str]


def fetch(
    manifest: Manifest | str,
    root: str | os.PathLike[str] | None = None,
    *,
    participants: str | Sequence[str] | None = None,
    include: str | Sequence[str] = ROLES,
    accept_licence: bool = False,
    accept_unknown_licence: bool = False,
    incomplete: bool = False,
    progress: bool = True,
) -> Fetched:
    """Fetch the files of a data set that are not there yet, or those that some participants need.

    Parameters
    ----------
    manifest : Manifest or str
        Or its name.
    root : str or Path, optional
        Folder of the data set; `data_root` by default.
    participants : str or sequence of str, optional
        Whose files are wanted, with those that all share; everybody's by default.
    include : str or sequence of str
        Recordings ("eeg"), what was heard ("stim"), and what is told about either ("meta").
    accept_licence : bool
        True if you have read the licences and accept them. The error that asks for it shows them.
    accept_unknown_licence : bool
        True if you have found out yourself what may be done with data whose licence the manifest does not know.
    incomplete : bool
        True fetches what is listed, also where the manifest does not list all files of the data set.
    progress : bool
        True shows bars if this takes more than two seconds and the output is a terminal.

    Returns
    -------
    Fetched

    Raises
    ------
    ValueError
        If the manifest lists no files; or not all of them, and `incomplete` is False. Nothing is fetched then.
    PermissionError
        If something is to be fetched whose licence was not accepted.
    FileNotFoundError
        If files are missing that can be fetched only by hand. The message says whence, and where to put them.
    OSError
        If files could not be fetched, or archives not unpacked. What has come is kept: call again to go on.

    Notes
    -----
    Files that are there are read and compared with their digests; a wrong one is fetched again, and the old kept as
    `NAME.bad`. Digests that nobody has published are taken from the first file that comes, and written to
    ``digests.lock.tsv`` in the folder. Of an archive, the wanted members that the manifest lists are unpacked;
    where it lists none, all files, where the archive lies.
    """
    manifest = manifest if isinstance(manifest, Manifest) else load_manifest(manifest)
    check_listed(manifest)
    check_complete(manifest, incomplete)
    job = Job.of(manifest, root, participants, include)
    missing = [file for file in job.files if not job.is_right(file)]
    archives = {file.archive: job.by_path[file.archive] for file in missing if file.archive}
    loads = [file for file in missing if not file.archive] + [a for a in archives.values() if not job.is_right(a)]
    failed: dict[str, str] = {}
    if loads:
        job.check_access(loads)
        job.check_licence(loads, missing, accept_licence, accept_unknown_licence)
        job.check_room(loads, missing)
        failed = job.load(loads, progress)
    packed = [*archives.values(), *filter(job.is_unlisted_archive, job.files)]
    damaged = job.unpack_archives([archive for archive in packed if archive.path not in failed], missing)
    job.check_failures(failed, damaged)
    fetched = sum(job.target(file).stat().st_size for file in loads)
    return Fetched(job.root, tuple(map(job.target, job.files)), fetched, len(job.files) - len(missing))


def verify(
    manifest: Manifest | str,
    root: str | os.PathLike[str] | None = None,
    *,
    participants: str | Sequence[str] | None = None,
    include: str | Sequence[str] = ROLES,
) -> list[Verdict]:
    """Read every file of a data set and compare it with what the manifest says.

    Parameters
    ----------
    manifest : Manifest or str
        Or its name.
    root : str or Path, optional
        Folder of the data set; `data_root` by default.
    participants, include
        As for `fetch`.

    Returns
    -------
    list of Verdict
        One per file, in the order of the manifest; then files unpacked from archives whose members it does not list.
    """
    job = Job.of(manifest, root, participants, include)
    verdicts = [_verdict(file.path, job.target(file), job.expected(file), bool(file.digest)) for file in job.files]
    for path, row in job.lock.items():
        if row.get("archive") in {file.path for file in job.files}:
            verdicts.append(_verdict(path, place(job.root, path), locked(row), False))
    return verdicts


def status(
    manifest: Manifest | str,
    root: str | os.PathLike[str] | None = None,
    *,
    participants: str | Sequence[str] | None = None,
    include: str | Sequence[str] = ROLES,
) -> Status:
    """Tell how much of a data set is there; sizes are compared, nothing is read.

    Parameters
    ----------
    manifest : Manifest or str
        Or its name.
    root : str or Path, optional
        Folder of the data set; `data_root` by default.
    participants, include
        As for `fetch`.

    Returns
    -------
    Status
    """
    job = Job.of(manifest, root, participants, include)
    people = {file.participant if file.participant not in SHARED else "*" for file in job.files}
    parts = {file.path: part_of(job.target(file)) for file in job.manifest.files}
    return Status(
        root=job.root,
        total=job.count(job.files),
        roles={role: job.count(file for file in job.files if file.role == role) for role in ROLES},
        participants={one: job.count(f for f in job.files if (f.participant or "*") == one) for one in sorted(people)},
        parts={path: part.stat().st_size for path, part in parts.items() if part.is_file()},
        licences=job.licences(job.files),
    )


def _verdict(name: str, path: Path, expected: Expected, published: bool) -> Verdict:
    if not path.is_file():
        return Verdict(name, "missing")
    if wrong := expected.size_fault(path):
        return Verdict(name, "wrong size", wrong)
    if wrong := expected.digest_fault(path):
        return Verdict(name, "wrong digest", wrong)
    if published:
        return Verdict(name, "ok")
    return Verdict(name, "unverified", "no digest is published" + (", as it came first" if expected.digest else ""))
