"""Files from the web: whole and right under their final name, or not there at all."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from eegic import _checks, _files
from eegic.datasets.public.addresses import is_local, may_give_files
from eegic.datasets.public.landing import (
    Expected,
    alone,
    amount,
    bad_of,
    beside,
    check_space,
    make_folder,
    minding_full_disk,
    part_of,
    settle,
    write_all,
)

if TYPE_CHECKING:
    import requests

__all__ = ["amount", "download"]

_CHUNK = 2**18
_PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds before a source is asked once more
_MOST_REDIRECTS = 10
_BUSY = (408, 429, 500, 502, 503, 504)
_BAR_AFTER = 2.0  # seconds; what is there before needs no bar


def download(
    urls: str | Sequence[str],
    target: str | os.PathLike[str],
    *,
    size: int | None = None,
    algo: str | None = None,
    digest: str | None = None,
    timeout: float = 30.0,
    progress: bool = True,
) -> Path:
    """Fetch a file from the first source that has it; what an earlier attempt fetched is not fetched again.

    Parameters
    ----------
    urls : str or sequence of str
        Addresses of the same file, asked in this order: https, or http on this machine.
    target : str or Path
        Where the file shall lie. If it is there and right, nothing is fetched.
    size : int, optional
        Bytes it must have.
    algo : {"sha256", "md5"}, optional
        Kind of digest.
    digest : str, optional
        Digest that it must have, in hexadecimal.
    timeout : float
        Seconds of silence after which a connection counts as cut.
    progress : bool
        True shows a bar if this takes more than two seconds and the output is a terminal.

    Returns
    -------
    Path
        The file: complete, and of that size and digest.

    Raises
    ------
    OSError
        If no source gave the file (the message tells what each of them said), if the disk is full, or if
        EEGIC_OFFLINE is set, under which no connection is opened.

    Notes
    -----
    Bytes come into `.NAME.part` beside the target; `.NAME.part.json` tells whence. A cut connection is taken up where
    it ended, in the same call and in a later one, if the source says that its file is still the same one, or if a
    digest will tell. Of two calls for one file, the later waits until the earlier has ended, and after some seconds
    warns that it does. A file of the wrong digest is kept as `NAME.bad` and never gets the final name; so is a wrong
    file that stood under that name before.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "notes.txt")
    >>> _ = file.write_text("A4 C5")
    >>> download("https://example.org/notes.txt", file, size=5).name  # it is there already
    'notes.txt'
    """
    expected = Expected(size, algo, digest)
    addresses = _addresses(urls)
    target = Path(target)
    timeout = _checks.positive("timeout", timeout, "seconds")
    if _is_right(target, expected):
        return target
    if os.environ.get("EEGIC_OFFLINE"):
        raise OSError(
            f"{target}: EEGIC_OFFLINE is set, so nothing is fetched. Unset it, or put the file there by hand."
        )
    make_folder(target.parent, target)
    lock = beside(target, ".lock")
    with alone(lock, f"{target}: another process is downloading this file"):
        if not _is_right(target, expected):  # another process may have fetched it meanwhile
            _Download(target, expected, timeout, progress).from_any(addresses)
        with contextlib.suppress(OSError):  # who waits for it will find the file there
            lock.unlink()
    return target


class _RefusedError(Exception):
    """A source does not give the file; the next one is asked."""


class _CutError(Exception):
    """A source stopped before the end; it is asked again."""


@dataclass
class _Download:
    """One file on its way; nobody else writes its part."""

    target: Path
    expected: Expected
    timeout: float
    progress: bool
    moved: bool = field(default=False, init=False)  # whether the present source has sent anything

    def __post_init__(self) -> None:
        self.part = part_of(self.target)
        self.origin = beside(self.target, ".part.json")

    def from_any(self, urls: Sequence[str]) -> None:
        """Ask the sources in order until one gives the file."""
        import requests

        from eegic import __version__

        said = []
        with requests.Session() as self.session:
            self.session.headers["User-Agent"] = f"eegic/{__version__}"
            self.session.headers["Accept-Encoding"] = "identity"  # the bytes of the file, not of a compressed one
            for url in urls:
                try:
                    self._from(url)
                    return
                except _RefusedError as refused:
                    said.append(f"{url}: {refused}")
        kept = f" {self._length()} bytes are kept: run again to go on from there." if self._length() else ""
        raise OSError(f"{self.target}: no source gave the file. {'; '.join(said)}.{kept or ' Try again later.'}")

    def _from(self, url: str) -> None:
        self.moved = False
        resumed = self._length() > 0
        self._complete(url)
        wrong = self.expected.fault(self.part)
        if wrong and resumed:  # what was kept may have been damaged, or part of another file
            self._discard()
            self._complete(url)
            wrong = self.expected.fault(self.part)
        if wrong:
            bad = bad_of(self.target)
            os.replace(self.part, bad)
            self._discard()
            raise _RefusedError(f"{wrong}; what came is kept as {bad.name}")
        if self.target.is_file():  # a wrong one
            os.replace(self.target, bad_of(self.target))
        settle(self.part, self.target)
        self._discard()

    def _complete(self, url: str) -> None:
        """Have the source send until all is there; give up after some attempts that brought nothing new."""
        farthest, idle = self._length(), 0
        while True:
            try:
                return self._attempt(url)
            except _CutError as cut:
                idle = 1 if self._length() > farthest else idle + 1
                farthest = max(farthest, self._length())
                if idle > len(_PAUSES):
                    raise _RefusedError(f"{cut}, {idle} times") from cut
                time.sleep(_PAUSES[idle - 1])

    def _attempt(self, url: str) -> None:
        import requests
        import urllib3

        offset, conditions = self._where_to_go_on(url)
        if offset and offset == self.expected.size:
            return
        try:
            response = self._ask(url, conditions)
        except requests.RequestException as error:
            raise (_CutError if self.moved else _RefusedError)(_why(error)) from error
        except ValueError as error:  # of urllib and urllib3, above all where a redirect leads
            raise _RefusedError(f"it, or what it leads to, cannot be read as an address ({error})") from error
        with response:
            try:
                self._receive(response, url, offset)
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                raise _CutError(_why(error)) from error

    def _where_to_go_on(self, url: str) -> tuple[int, dict[str, str]]:
        """First byte to ask for, and the conditions under which the part that is there may be continued."""
        origin = self._origin()
        length = self._length()
        too_long = self.expected.size is not None and length > self.expected.size
        if not length or too_long or origin.get("digest") != self.expected.digest:
            self._discard()
            return 0, {}
        asked = {"Range": f"bytes={length}-"}
        if origin.get("url") == url and origin.get("version"):
            return length, {**asked, "If-Range": str(origin["version"])}
        if self.expected.digest:  # from another source, or from one that tells no versions: the digest will tell
            return length, asked
        self._discard()
        return 0, {}

    def _ask(self, url: str, headers: dict[str, str]) -> requests.Response:
        """Send the request, and follow redirects to where a file may come from."""
        here = url
        for _ in range(_MOST_REDIRECTS):
            response = self.session.get(here, headers=headers, stream=True, timeout=self.timeout, allow_redirects=False)
            if response.next is None:
                return response
            response.close()
            there = str(response.next.url)
            if not self._may_lead(here, there):
                raise _RefusedError(f"redirected to {there}, from where no file is taken")
            here = there
        raise _RefusedError(f"redirected more than {_MOST_REDIRECTS} times")

    def _may_lead(self, here: str, there: str) -> bool:
        scheme = urlsplit(there).scheme
        if is_local(there):
            return is_local(here) and scheme in ("http", "https")
        return scheme == "https" or (scheme == "http" and self.expected.digest is not None)

    def _receive(self, response: requests.Response, url: str, offset: int) -> None:
        """Write what the source sends, if it is what was asked for."""
        if response.status_code == 416 and offset:
            if response.headers.get("Content-Range", "").strip() == f"bytes */{offset}":
                return  # all of it is there
            self._discard()
            raise _CutError("the part that is there is not of this file")
        if response.status_code in _BUSY:
            raise _CutError(f"{response.status_code} {response.reason}")
        if response.status_code not in (200, 206):
            raise _RefusedError(f"{response.status_code} {response.reason}")
        self._check_kind(response)
        start, total = self._extent(response, offset)
        if total is not None and self.expected.size not in (None, total):
            raise _RefusedError(f"expected {self.expected.size} bytes, got a file of {total}")
        total = self.expected.size if total is None else total
        check_space(self.target.parent, self.target, (total or 0) - start)
        with minding_full_disk(self.target, total, "The part that came is kept."):
            self._write(response, url, start, total)

    def _check_kind(self, response: requests.Response) -> None:
        kind = response.headers.get("Content-Type", "")
        if kind.startswith("text/html") and self.target.suffix not in (".html", ".htm"):
            raise _RefusedError("expected a file, got a web page, perhaps one to log in. Look at it in a browser")

    def _extent(self, response: requests.Response, offset: int) -> tuple[int, int | None]:
        """First byte of the body, and bytes of the whole file if the source tells."""
        if response.status_code == 200:
            length = response.headers.get("Content-Length", "")
            return 0, int(length) if re.fullmatch(r"\d{1,18}", length, re.ASCII) else None
        told = re.fullmatch(r"bytes (\d{1,18})-\d+/(\d{1,18}|\*)", response.headers.get("Content-Range", "").strip())
        if told is None or int(told[1]) != offset:
            self._discard()
            raise _CutError("other bytes came than were asked for")
        return offset, None if told[2] == "*" else int(told[2])

    def _write(self, response: requests.Response, url: str, start: int, total: int | None) -> None:
        from tqdm import tqdm

        bar = tqdm(
            desc=self.target.name,
            total=total,
            initial=start,
            unit="B",
            unit_scale=True,
            leave=False,
            delay=_BAR_AFTER,
            disable=not (self.progress and sys.stderr.isatty()),
        )
        with bar, open(self.part, "r+b" if start else "wb", buffering=0) as stream:
            if not start:
                self._write_origin(response, url)
            stream.seek(start)
            for chunk in response.raw.stream(_CHUNK, decode_content=False):
                write_all(stream, chunk)
                self.moved = True
                bar.update(len(chunk))
                if total is not None and stream.tell() > total:
                    break
            end = stream.tell()
        if total is not None and end < total:
            raise _CutError(f"ended after {end} of {total} bytes")
        if total is not None and end > total:
            self._discard()
            raise _RefusedError(f"expected {total} bytes, got more")

    def _write_origin(self, response: requests.Response, url: str) -> None:
        tag = response.headers.get("ETag", "")
        version = tag if tag.startswith('"') else response.headers.get("Last-Modified", "")  # a weak tag proves nothing
        origin = {"url": url, "version": version, "digest": self.expected.digest, "size": self.expected.size}
        with _files.replacing(self.origin) as draft:
            draft.write_text(json.dumps(origin), encoding="utf-8")

    def _origin(self) -> dict[str, Any]:
        try:
            origin = json.loads(self.origin.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {"digest": ""}  # no digest is like this one: whence the part is, nobody knows
        return origin if isinstance(origin, dict) else {"digest": ""}

    def _length(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _discard(self) -> None:
        for path in (self.part, self.origin):
            path.unlink(missing_ok=True)


def _is_right(target: Path, expected: Expected) -> bool:
    if target.is_dir():
        raise IsADirectoryError(f"{target}: expected the name of a file, got a folder. Name a file in it.")
    return target.is_file() and not expected.fault(target)


def _addresses(urls: str | Iterable[str]) -> list[str]:
    urls = [urls] if isinstance(urls, str) else list(urls)
    if not urls:
        raise ValueError("urls: expected at least one address, got none.")
    for url in urls:
        if not may_give_files(url):
            raise ValueError(f"urls: expected addresses that begin with https://, got {url!r}.")
    return urls


def _why(error: BaseException) -> str:
    """The innermost reason that a failed connection gives, without names of objects."""
    while True:
        inner = getattr(error, "reason", None) or (error.args[0] if error.args else "")
        if not isinstance(inner, BaseException):
            return re.sub(r"^\w+\([^)]*\): ", "", str(inner)) or type(error).__name__
        error = inner
