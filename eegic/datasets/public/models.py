"""What a manifest may say: records that are checked when they are made, and cannot be changed."""

from __future__ import annotations

import datetime
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    ValidationInfo,
)

from eegic.datasets.public import tables
from eegic.datasets.public.addresses import may_give_files
from eegic.datasets.public.tables import UNKNOWN, Row

_Unknown = Literal["unknown"]
_HEX = {"sha256": 64, "md5": 32}


def _url(text: str, source: ValidationInfo) -> str:
    """The address of a source; where it is for people, http will do."""
    if not re.fullmatch(r"https?://[^\s/]+\S*", text):
        raise ValueError(f"expected an address that starts with https://, got {text!r}.")
    if source.data.get("kind") == "http" and not may_give_files(text):
        raise ValueError(
            f"expected an address that starts with https://, got {text!r}, from which no file is taken. Give one of "
            'https, or write kind = "page" if it is for people.'
        )
    return text


def _by_priority(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    return tuple(sorted(sources, key=lambda one: one.priority))


class Record(BaseModel):
    """A record that is checked, refuses what it does not know, and cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class Eeg(Record):
    """The recordings, as far as they are known.

    Attributes
    ----------
    n_channels : int or "unknown"
        Of the scalp.
    montage, system, reference : str
        Where electrodes are (a name that mne knows), the amplifier, and the reference of the files.
    sfreq_original, sfreq_distributed : float or "unknown"
        Hertz, when recorded and in the files.
    line_freq : float or "unknown"
        Hertz of the mains.
    unit : {"V", "mV", "uV", "nV", "T", "unknown"}
        Unit of the numbers in the files; formats that store their unit leave it unknown.
    """

    n_channels: PositiveInt | _Unknown = UNKNOWN
    montage: str = UNKNOWN
    system: str = UNKNOWN
    sfreq_original: PositiveFloat | _Unknown = UNKNOWN
    sfreq_distributed: PositiveFloat | _Unknown = UNKNOWN
    reference: str = UNKNOWN
    line_freq: PositiveFloat | _Unknown = UNKNOWN
    unit: Literal["V", "mV", "uV", "nV", "T", "unknown"] = UNKNOWN


class Source(Record):
    """A place from which files come.

    Attributes
    ----------
    name : str
    kind : {"http", "page"}
        ``"http"``: `base`, a slash, and the path of a file make its address. ``"page"``: a page for people, from which
        nothing is fetched.
    base : str
        Address; of https where files come from it.
    priority : int
        The lowest is tried first.
    """

    name: str
    kind: Literal["http", "page"] = "http"
    base: Annotated[str, AfterValidator(_url)]
    priority: int = 1


class Loader(Record):
    """How to read the files.

    Attributes
    ----------
    reader : {"bids", "cnd", "fif", "none"}
    options : dict
        What the reader is to be told: keywords of `eegic.eeg.read_bids` or `eegic.eeg.read_cnd`.
    known_problems : tuple of str
        What a reader has to survive, in sentences.
    """

    reader: Literal["bids", "cnd", "fif", "none"] = "none"
    options: dict[str, Any] = {}
    known_problems: tuple[str, ...] = ()


class File(Record):
    """A file of a data set.

    Attributes
    ----------
    path : str
        Where it stands in the data set, with forward slashes.
    bytes : int or None
    algo : {"sha256", "md5"} or None
    digest : str or None
        In lower-case hexadecimal digits; None where it is not known.
    role : {"eeg", "stim", "meta"}
        A recording, something that was heard, or what is told about either.
    participant : str
        Without ``sub-``; "*" or "" where everybody shares the file.
    source_path : str
        Its path at the source where that differs from `path`; "" otherwise.
    archive : str
        Path of the archive that it is a member of; "" for none. `source_path` is then its name in there.
    """

    path: Annotated[str, AfterValidator(tables.inside)]
    bytes: NonNegativeInt | None = None
    algo: Literal["sha256", "md5"] | None = None
    digest: str | None = None
    role: Literal["eeg", "stim", "meta"]
    participant: str = "*"
    source_path: str = ""
    archive: str = ""

    def row(self) -> Row:
        """The file as a row of ``files.tsv``."""
        return {name: "" if value is None else str(value) for name, value in self.model_dump().items()}


class Manifest(Record):
    """What is known about a data set. Made by `load_manifest`.

    Attributes
    ----------
    id : str
        Name of the folder of the manifest.
    title, version, doi, homepage : str
    licence : str
        SPDX identifier of the licence of the EEG, or "unknown".
    licence_source : str
        Who says so.
    licence_verified : date or False
        When somebody looked it up at the source itself.
    stimuli_licence : str
        The licence of the EEG does not cover the music.
    citations : tuple of str
        DOIs, or references where there is none.
    access : {"open", "login", "manual"}
        Whether files can be fetched by their address, after a login, or by hand only.
    modality : str
    n_participants : int or "unknown"
    stimuli_kind : str
    stimuli_audio_included : bool, "midi" or "unknown"
        Whether the sounds come with the data set.
    format : {"bids", "cnd", "fif", "hdf5", "mat", "unknown"}
    size : int or "unknown"
        Bytes of the whole data set, as exact as its source tells.
    n_files : int or "unknown"
        How many (large) files these are.
    files_complete : bool
        Whether ``files.tsv`` lists every file.
    verified : bool
        Whether somebody fetched the files and found them to be what the manifest says. Otherwise digests may be empty.
    eeg : Eeg
    sources : tuple of Source
        In the order in which they are tried.
    loader : Loader
    folder : Path
        Where the manifest stands.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    title: str
    version: str = UNKNOWN
    doi: str = UNKNOWN
    homepage: str = UNKNOWN
    licence: str = UNKNOWN
    licence_source: str = UNKNOWN
    licence_verified: datetime.date | Literal[False] = False
    stimuli_licence: str = UNKNOWN
    citations: tuple[str, ...] = ()
    access: Literal["open", "login", "manual"] = "manual"
    modality: str = "eeg"
    n_participants: PositiveInt | _Unknown = UNKNOWN
    stimuli_kind: str = UNKNOWN
    stimuli_audio_included: bool | Literal["midi", "unknown"] = UNKNOWN
    format: Literal["bids", "cnd", "fif", "hdf5", "mat", "unknown"] = UNKNOWN
    size: NonNegativeInt | _Unknown = UNKNOWN
    n_files: NonNegativeInt | _Unknown = UNKNOWN
    files_complete: bool = False
    verified: bool = False
    eeg: Eeg = Eeg()
    sources: Annotated[tuple[Source, ...], Field(alias="source"), AfterValidator(_by_priority)] = ()
    loader: Loader = Loader()
    folder: Path

    @cached_property
    def files(self) -> tuple[File, ...]:
        """The files that are known, in the order of the table."""
        path = self.folder / "files.tsv"
        rows = self._rows("files")
        files = tuple(_file(row, f"{path}, line {number}") for number, row in enumerate(rows, start=2))
        paths = {file.path for file in files}
        for number, file in enumerate(files, start=2):
            if file.archive and file.archive not in paths:
                raise ValueError(f"{path}, line {number}: no row for the archive {file.archive!r}. Add one.")
            if self.verified and file.digest is None and not file.archive:
                raise ValueError(
                    f"{path}, line {number}: {file.path} has no digest. Give it one, or write verified = false."
                )
            self._check_participant(file.participant, f"{path}, line {number}")
        return files

    @cached_property
    def participants(self) -> tuple[Row, ...]:
        """Rows of ``participants.tsv``; ids without ``sub-``. Empty where ids are not known."""
        return self._rows("participants")

    @cached_property
    def stimuli(self) -> tuple[Row, ...]:
        """Rows of ``stimuli.tsv``."""
        return self._rows("stimuli")

    @cached_property
    def trials(self) -> tuple[Row, ...]:
        """Rows of ``trials.tsv``; participant "*" stands for everybody."""
        rows = self._rows("trials")
        sounds = {row["stim_id"] for row in self.stimuli}
        for number, row in enumerate(rows, start=2):
            where = f"{self.folder / 'trials.tsv'}, line {number}"
            if sounds and tables.is_known(row["stim_id"]) and row["stim_id"] not in sounds:
                raise ValueError(
                    f"{where}: {row['stim_id']!r} is not in stimuli.tsv. {tables.meant(row['stim_id'], sounds)}"
                )
            self._check_participant(row["participant"], where)
        return rows

    @cached_property
    def channels(self) -> tuple[Row, ...]:
        """Rows of ``channels.tsv``."""
        return self._rows("channels")

    @property
    def participant_ids(self) -> tuple[str, ...]:
        """Ids of the participants, without ``sub-``; empty where they are not known."""
        return tuple(row["participant_id"] for row in self.participants)

    def about(self) -> dict[str, Any]:
        """What stands in ``dataset.toml``, without the tables."""
        return self.model_dump(by_alias=True, exclude={"folder"})

    def _rows(self, table: str) -> tuple[Row, ...]:
        return tables.read_rows(self.folder / f"{table}.tsv", tables.TABLES[table])

    def _check_participant(self, participant: str, where: str) -> None:
        ids = self.participant_ids
        if ids and participant not in ("", "*", *ids):
            raise ValueError(f"{where}: {participant!r} is not in participants.tsv. {tables.meant(participant, ids)}")


def _file(row: Row, where: str) -> File:
    """A row of ``files.tsv``."""
    size, algo, digest = row["bytes"], row["algo"], row["digest"]
    if tables.is_known(size) and not re.fullmatch(r"\d+", size, re.ASCII):
        raise ValueError(f"{where}: bytes: expected a whole number, got {size!r}.")
    if tables.is_known(digest) and not re.fullmatch(f"[0-9a-f]{{{_HEX.get(algo, 0)}}}", digest):
        raise ValueError(
            f"{where}: expected the digest of sha256 (64 digits) or md5 (32), in lower case, got {algo} {digest!r}."
        )
    values: dict[str, Any] = {name: text if tables.is_known(text) else "" for name, text in row.items()}
    values["bytes"] = int(size) if tables.is_known(size) else None
    values["algo"], values["digest"] = (algo, digest) if tables.is_known(digest) else (None, None)
    try:
        return File.model_validate(values)
    except ValidationError as error:
        raise ValueError("\n".join(f"{where}: {one['loc'][0]}: {one['msg']}." for one in error.errors())) from None
