"""The protocol with independent implementations as the other side, for every set of permessage-deflate parameters.

zlib, which they deflate with, has no window of 8 bits: with that, only ours is asked to deflate.
"""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Final

import pytest

from roomcast.protocol.deflate import DeflateParameters
from tests.conformance.peers import (
    OPEN,
    OurClient,
    OurServer,
    WebsocketsClient,
    WebsocketsServer,
    WsprotoClient,
    WsprotoServer,
)
from tests.protocol.wire import chopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conformance.peers import Client, Message, Peer, Server

ALL_BITS: Final = range(8, 16)
ZLIB_BITS: Final = range(9, 16)
SIZES: Final = (0, 1, 125, 126, 127, 128, 300, 1000, 1000, 4000, 4000, 65_535, 65_536)

# What messages are cut from: a piece comes again near and far, so matches are found at every distance.
_WORDS = [random.Random(word).randbytes(3 + word % 9).hex() for word in range(3000)]
TEXT: Final = " ".join(random.Random(1).choices(["é€😀", *_WORDS], k=25_000))


def parameters(server_bits: range, client_bits: range) -> Iterator[DeflateParameters]:
    flags = (False, True)
    for server_forgets, client_forgets, server, client in itertools.product(
        flags, flags, server_bits, client_bits
    ):
        yield DeflateParameters(server_forgets, client_forgets, server, client)


def fragments(chance: random.Random, size: int) -> list[Message]:
    """Make a message, in one to three fragments."""
    at = chance.randrange(len(TEXT) - size)
    cuts = sorted(chance.randrange(size + 1) for _ in range(chance.choice((0, 0, 1, 2))))
    spans = list(itertools.pairwise((0, *cuts, size)))
    text = TEXT[at : at + size]
    kind = chance.randrange(4)
    if kind < 2:
        return [text[start:stop] for start, stop in spans]
    payload = chance.randbytes(size) if kind == 2 else text.encode()[:size]
    return [payload[start:stop] for start, stop in spans]


def converse(client: Client, server: Server, chance: random.Random, sizes: list[int]) -> None:
    """Send messages of these sizes in both directions, and check that they come."""
    for size in sizes:
        pairs: list[tuple[Peer, Peer]] = [(client, server), (server, client)]
        for sender, receiver in pairs:
            message = fragments(chance, size)
            stream = sender.send(message)
            pieces = chopped(stream, chance.randrange(1000)) if size <= 1000 else [stream[:1500], stream[1500:]]
            came = [received for piece in pieces for received in receiver.receive(piece)]
            whole = "".join(map(str, message)) if isinstance(message[0], str) else b"".join(map(bytes, message))  # type: ignore[arg-type]
            assert came == [whole]


def shake_hands(client: Client, server: Server) -> None:
    client.receive_response(server.receive_request(client.request()))


@pytest.mark.parametrize(
    ("make_client", "make_server", "asking", "server_bits", "client_bits"),
    [
        pytest.param(WebsocketsClient, OurServer, "client", ALL_BITS, ZLIB_BITS, id="websockets' client asks"),
        pytest.param(WebsocketsClient, OurServer, "server", ALL_BITS, ZLIB_BITS, id="websockets' client is asked"),
        pytest.param(OurClient, WebsocketsServer, "client", ZLIB_BITS, ALL_BITS, id="websockets' server is asked"),
        pytest.param(OurClient, WebsocketsServer, "server", ZLIB_BITS, ALL_BITS, id="websockets' server asks"),
        pytest.param(WsprotoClient, OurServer, "client", ZLIB_BITS, ZLIB_BITS, id="wsproto's client asks"),
        pytest.param(WsprotoClient, OurServer, "server", ZLIB_BITS, ZLIB_BITS, id="wsproto's client is asked"),
        pytest.param(OurClient, WsprotoServer, "client", ZLIB_BITS, ZLIB_BITS, id="wsproto's server is asked"),
        # It does not say so where it has a smaller window than the client asked for.
        pytest.param(OurClient, WsprotoServer, "server", range(15, 16), ZLIB_BITS, id="wsproto's server asks"),
    ],
)
def test_messages_come_both_ways_with_every_set_of_parameters(
    make_client: Callable[[DeflateParameters], Client],
    make_server: Callable[[DeflateParameters], Server],
    asking: str,
    server_bits: range,
    client_bits: range,
) -> None:
    for number, wanted in enumerate(parameters(server_bits, client_bits)):
        chance = random.Random(number)
        client = make_client(wanted if asking == "client" else OPEN)
        server = make_server(wanted if asking == "server" else OPEN)
        shake_hands(client, server)
        assert client.agreed == server.agreed == wanted
        converse(client, server, chance, chance.choices(SIZES, k=2))
        if number % 28 == 0:
            converse(client, server, chance, [200_000])


@pytest.mark.parametrize(
    ("make_client", "make_server"),
    [
        (WebsocketsClient, OurServer),
        (OurClient, WebsocketsServer),
        (WsprotoClient, OurServer),
        (OurClient, WsprotoServer),
    ],
)
@pytest.mark.parametrize("compressing", ["neither", "the client", "the server"])
def test_messages_come_both_ways_without_compression(
    make_client: Callable[[DeflateParameters | None], Client],
    make_server: Callable[[DeflateParameters | None], Server],
    compressing: str,
) -> None:
    client = make_client(OPEN if compressing == "the client" else None)
    server = make_server(OPEN if compressing == "the server" else None)
    shake_hands(client, server)
    assert client.agreed is server.agreed is None
    converse(client, server, random.Random(0), [*SIZES, 200_000])
