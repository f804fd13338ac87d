"""Agreeing on permessage-deflate (RFC 7692, sections 5 and 7.1)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from roomcast.errors import ConfigurationError
from roomcast.protocol.deflate import LEVEL, MEMORY_LEVEL, DeflateParameters

if TYPE_CHECKING:
    from roomcast.protocol.headers import ExtensionOffer

NAME = "permessage-deflate"

_FLAGS = ("server_no_context_takeover", "client_no_context_takeover")
_WINDOWS = ("server_max_window_bits", "client_max_window_bits")
_WINDOW_BITS = {str(bits): bits for bits in range(8, 16)}


@dataclass(frozen=True, slots=True)
class DeflateOptions:
    """What this side wants of permessage-deflate.

    The default keeps no compressor and no window between messages. Takeover makes similar messages smaller,
    for the memory of a window and a compressor a connection.

    Attributes:
        server_context_takeover: the server keeps its window from message to message, if the client can.
        client_context_takeover: the client may keep its window from message to message.
        server_max_window_bits: the base-2 logarithm of the server's window in bytes, at most; 8 to 15.
        client_max_window_bits: that of the client's window; only a client that offers it can be asked for it.
        level: zlib's compression level, 0 to 9.
        memory_level: zlib's memory level for a compressor, 1 to 9.
    """

    server_context_takeover: bool = False
    client_context_takeover: bool = False
    server_max_window_bits: int = 15
    client_max_window_bits: int = 15
    level: int = LEVEL
    memory_level: int = MEMORY_LEVEL

    def __post_init__(self) -> None:
        for name, low, high in (
            ("server_max_window_bits", 8, 15),
            ("client_max_window_bits", 8, 15),
            ("level", 0, 9),
            ("memory_level", 1, 9),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigurationError(f"{name} is {value}: it must be {low} to {high}")


@dataclass(frozen=True, slots=True)
class DeflateAgreement:
    """What a server accepts.

    Attributes:
        parameters: for `Connection`.
        response: for the Sec-WebSocket-Extensions header of the response.
    """

    parameters: DeflateParameters
    response: str


def accept_deflate(offers: tuple[ExtensionOffer, ...], options: DeflateOptions) -> DeflateAgreement | None:
    """Accept the first offer of permessage-deflate that can be accepted, as a server.

    An offer with an unknown parameter, one twice, or one with a value it may not have is declined (RFC 7692,
    section 7.1): the connection goes on with the next offer, or without compression.

    Args:
        offers: what the client offers, in its order of preference.
        options: what this side wants.
    """
    for name, offered in offers:
        if name == NAME:
            agreement = _accept(offered, options)
            if agreement is not None:
                return agreement
    return None


def _accept(offered: tuple[tuple[str, str | None], ...], options: DeflateOptions) -> DeflateAgreement | None:
    parameters = read_parameters(offered)
    if parameters is None:
        return None
    # A client that offers a window without a value only says that it could take one (section 7.1.2.2).
    server_window = min(parameters.get("server_max_window_bits") or 15, options.server_max_window_bits)
    client_window = 15
    response = [NAME]
    server_forgets = "server_no_context_takeover" in parameters or not options.server_context_takeover
    client_forgets = "client_no_context_takeover" in parameters or not options.client_context_takeover
    if server_forgets:
        response.append("server_no_context_takeover")
    if client_forgets:
        response.append("client_no_context_takeover")
    if server_window < 15 or "server_max_window_bits" in parameters:
        response.append(f"server_max_window_bits={server_window}")
    if "client_max_window_bits" in parameters:
        client_window = min(parameters["client_max_window_bits"] or 15, options.client_max_window_bits)
        if client_window < 15:
            response.append(f"client_max_window_bits={client_window}")
    return _agreement(server_forgets, client_forgets, server_window, client_window, "; ".join(response), options)


@lru_cache(maxsize=256)
def _agreement(
    server_forgets: bool,
    client_forgets: bool,
    server_window: int,
    client_window: int,
    response: str,
    options: DeflateOptions,
) -> DeflateAgreement:
    """Build an agreement, or give the one that is there: most connections agree on the same."""
    parameters = DeflateParameters(
        server_forgets, client_forgets, server_window, client_window, options.level, options.memory_level
    )
    return DeflateAgreement(parameters, response)


def offer_deflate(options: DeflateOptions) -> str:
    """Write a client's offer, for its Sec-WebSocket-Extensions header."""
    offer = [NAME]
    if not options.server_context_takeover:
        offer.append("server_no_context_takeover")
    if not options.client_context_takeover:
        offer.append("client_no_context_takeover")
    if options.server_max_window_bits < 15:
        offer.append(f"server_max_window_bits={options.server_max_window_bits}")
    window = options.client_max_window_bits
    offer.append("client_max_window_bits" if window == 15 else f"client_max_window_bits={window}")
    return "; ".join(offer)


def accepted_deflate(response: tuple[ExtensionOffer, ...], options: DeflateOptions) -> DeflateParameters | None:
    """Read what a server made of the offer that `offer_deflate` wrote for the same options.

    Returns:
        What was agreed on, None where the server wants no compression.

    Raises:
        ValueError: the response accepts what was not offered, or is not of that form.
    """
    if not response:
        return None
    if len(response) > 1 or response[0][0] != NAME:
        raise ValueError("an extension that was not offered")
    parameters = read_parameters(response[0][1])
    if parameters is None or None in (parameters.get(name, 15) for name in _WINDOWS):
        raise ValueError("invalid parameters of permessage-deflate")
    server_window = parameters.get("server_max_window_bits") or 15
    client_window = parameters.get("client_max_window_bits") or 15
    if server_window > options.server_max_window_bits or (
        "server_no_context_takeover" not in parameters and not options.server_context_takeover
    ):
        raise ValueError("permessage-deflate with a larger window than was asked for")
    if client_window > options.client_max_window_bits and "client_max_window_bits" in parameters:
        raise ValueError("permessage-deflate with a larger window than was offered")
    return DeflateParameters(
        "server_no_context_takeover" in parameters,
        "client_no_context_takeover" in parameters or not options.client_context_takeover,
        server_window,
        min(client_window, options.client_max_window_bits),
        options.level,
        options.memory_level,
    )


def read_parameters(written: tuple[tuple[str, str | None], ...]) -> dict[str, int | None] | None:
    """Read the parameters of one offer or response; None where any of them may not be (section 7.1).

    A flag, and a window without a value, has None. Only client_max_window_bits may be without, in an offer.
    """
    parameters: dict[str, int | None] = {}
    for name, value in written:
        if name in parameters:
            return None
        if name in _FLAGS and value is None:
            parameters[name] = None
        elif name in _WINDOWS and value in _WINDOW_BITS:
            parameters[name] = _WINDOW_BITS[value]
        elif name == "client_max_window_bits" and value is None:
            parameters[name] = None
        else:
            return None
    return parameters
