"""One GET over HTTP: for what a command reads of a server beside its WebSockets."""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING, NamedTuple

from roomcast.client.tls import explained
from roomcast.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roomcast.client.address import Address

TIMEOUT = 5.0
"""How many seconds a server has for each part of its answer."""
MAX_BODY = 16 << 20
"""The most bytes in an answer."""


class Answer(NamedTuple):
    """What a server answered.

    Attributes:
        status: the HTTP status.
        reason: its phrase.
        body: the body.
    """

    status: int
    reason: str
    body: str


def get(address: Address, headers: Mapping[str, str], tls: ssl.SSLContext | None = None) -> Answer:
    """Ask for a resource, and wait for it.

    Raises:
        Unreachable: there is no server, or none that speaks HTTP, or it cannot be trusted, or it says too much.
    """
    where = f"{address.host}, port {address.port}"
    connection: http.client.HTTPConnection
    if address.secure:
        connection = http.client.HTTPSConnection(address.host, address.port, timeout=TIMEOUT, context=tls)
    else:
        connection = http.client.HTTPConnection(address.host, address.port, timeout=TIMEOUT)
    try:
        connection.request("GET", address.target, headers=dict(headers))
        response = connection.getresponse()
        body = response.read(MAX_BODY + 1)
    except TimeoutError:
        raise Unreachable(f"no answer from {where} within {TIMEOUT:g} s") from None
    except ssl.SSLError as error:
        raise Unreachable(explained(error, address.host)) from None
    except http.client.HTTPException:
        raise Unreachable(f"what answers at {where} does not speak HTTP") from None
    except ConnectionRefusedError:
        raise Unreachable(f"nothing listens on {where}: is the server running there?") from None
    except OSError as error:
        raise Unreachable(f"{where} cannot be reached: {error.strerror or error}") from None
    finally:
        connection.close()
    if len(body) > MAX_BODY:
        raise Unreachable(f"{where} answers with more than {MAX_BODY >> 20} MiB")
    return Answer(response.status, response.reason, body.decode("utf-8", "replace"))
