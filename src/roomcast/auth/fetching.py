"""Fetching: a small document from a URL, in a thread, within a deadline and a bound."""

from __future__ import annotations

import time
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

MAX_DOCUMENT = 1 << 20
"""How many bytes a document may have."""


class _NoRedirects(HTTPRedirectHandler):
    """A redirect could lead from https to anywhere: it is an error, which names its status."""

    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401 - as urllib declares it
        return None


_opener = build_opener(_NoRedirects)


def fetch(url: str, seconds: float) -> bytes:
    """Give what is at an http or https URL. To be called in a thread, as it waits.

    Raises:
        OSError: if it cannot be had: the server is not there, answers with an error or a redirect, or sends more
            than a MiB or for longer than the deadline.
    """
    deadline = time.monotonic() + seconds
    request = Request(url, headers={"Accept": "application/json", "User-Agent": "roomcast"})  # noqa: S310 - checked
    document = bytearray()
    try:
        with _opener.open(request, timeout=seconds) as response:
            while chunk := response.read1(1 << 16):
                document += chunk
                if len(document) > MAX_DOCUMENT:
                    raise OSError(f"it has more than {MAX_DOCUMENT >> 20} MiB")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"it did not come within {seconds:g} s")
    except HTTPError as error:
        with error:  # it holds the connection
            raise OSError(f"the server answers with status {error.code}") from None
    except HTTPException as error:
        raise OSError(f"it is no HTTP: {type(error).__name__}") from None
    return bytes(document)
