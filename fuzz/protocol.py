"""Fuzzes what reads from the network: the parser, the handshakes, the negotiation of permessage-deflate.

    make fuzz                                  all fuzzers, for three minutes each
    make fuzz TARGETS=protocol SECONDS=3600    this one, for an hour

The first byte of an input chooses what reads the rest. Beside crashes it looks for broken promises: that a
stream means the same however it is cut, that the limit holds, that what is answered is itself valid.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["roomcast.protocol", "roomcast.errors"]):
    from roomcast.errors import HandshakeFailed, ProtocolError
    from roomcast.protocol.client_handshake import ClientHandshake
    from roomcast.protocol.connection import Connection
    from roomcast.protocol.deflate import DeflateParameters
    from roomcast.protocol.events import Close
    from roomcast.protocol.handshake import Refusal, read_request
    from roomcast.protocol.headers import parse_extensions
    from roomcast.protocol.negotiation import DeflateOptions, accept_deflate, accepted_deflate, offer_deflate
    from roomcast.protocol.sending import Role

LIMIT = 100_000
PARAMETERS = (None, DeflateParameters(), DeflateParameters(False, False, 9, 9))
OPTIONS = DeflateOptions(server_context_takeover=True, client_context_takeover=True)


def told(events: list[object], deflated: bool) -> list[object]:
    """Make events comparable.

    A deflated message that is wrong in two ways may be failed for either, as inflate looks ahead: only the
    place of the error is told.
    """
    return [
        event if not isinstance(event, ProtocolError) else event.position if deflated else str(event)
        for event in events
    ]


def fuzz_connection(choice: int, data: bytes) -> None:
    """Read a stream whole and cut, and have the other side read the answers."""
    role = Role(choice & 1)
    deflate = PARAMETERS[(choice >> 1) % 3]
    whole = Connection(role, max_message_size=LIMIT, max_fragments=50, deflate=deflate)
    events = whole.receive_data(data)
    answers = whole.data_to_send()
    step = (choice >> 4) + 1
    cut = Connection(role, max_message_size=LIMIT, max_fragments=50, deflate=deflate)
    pieces: list[object] = []
    for at in range(0, len(data), step):
        pieces += cut.receive_data(data[at : at + step])
    assert told(pieces, deflate is not None) == told(list(events), deflate is not None), (pieces, events)
    for event in events:
        if isinstance(event, bytes):
            assert len(event) <= LIMIT
        elif isinstance(event, str):
            assert len(event.encode()) <= LIMIT
    peer = Connection(Role.SERVER if role is Role.CLIENT else Role.CLIENT)
    assert not any(isinstance(event, ProtocolError) for event in peer.receive_data(answers))
    ended = [isinstance(event, Close | ProtocolError) for event in events + whole.receive_eof()]
    assert ended.count(True) == 1
    assert ended[-1]


def fuzz_server_handshake(data: bytes) -> None:
    """Read a request: a target in the first line, headers in the others."""
    target, *lines = data.split(b"\n")
    headers = []
    for line in lines:
        name, _, value = line.partition(b":")
        headers.append((name.lower(), value))
    answer = read_request("GET", target, "1.1", headers)
    if isinstance(answer, Refusal):
        assert answer.response().count(b"\r\n\r\n") == 1
    else:
        agreement = answer.accept_deflate(OPTIONS)
        chosen = answer.subprotocols[-1] if answer.subprotocols else None
        response = answer.response(subprotocol=chosen, deflate=agreement)
        assert response.index(b"\r\n\r\n") == len(response) - 4


def fuzz_client_handshake(data: bytes) -> None:
    """Read a response."""
    client = ClientHandshake(b"example.org", subprotocols=["a", "b"], deflate=OPTIONS)
    try:
        client.read_response(data)
    except HandshakeFailed:
        return


def fuzz_negotiation(data: bytes) -> None:
    """Accept what is offered; whatever was accepted is a response to an offer that allows everything."""
    try:
        offers = parse_extensions(data.decode("latin-1"))
    except ValueError:
        return
    agreement = accept_deflate(offers, OPTIONS)
    if agreement is not None:
        assert accepted_deflate(parse_extensions(agreement.response), OPTIONS) == agreement.parameters
    assert accept_deflate(parse_extensions(offer_deflate(OPTIONS)), OPTIONS) is not None


def fuzz(data: bytes) -> None:
    """Take one input."""
    if not data:
        return
    choice, rest = data[0], data[1:]
    if choice < 200:
        fuzz_connection(choice, rest)
    elif choice < 220:
        fuzz_server_handshake(rest)
    elif choice < 235:
        fuzz_client_handshake(rest)
    else:
        fuzz_negotiation(rest)


if __name__ == "__main__":
    seeds = str(Path(__file__).with_name("corpus") / "protocol")
    atheris.Setup([*sys.argv, seeds], fuzz)
    atheris.Fuzz()
