"""Addresses from which files may come: https, or http on this machine."""

from __future__ import annotations

from urllib.parse import urlsplit

_LOCAL = ("localhost", "127.0.0.1", "::1")


def may_give_files(url: str) -> bool:
    """Whether files are fetched from an address.

    Examples
    --------
    >>> may_give_files("https://example.org/a.wav"), may_give_files("http://example.org/a.wav")
    (True, False)
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # to read the port is to check it
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_local(url)))


def is_local(url: str) -> bool:
    """Whether an address is on this machine."""
    return urlsplit(url).hostname in _LOCAL
