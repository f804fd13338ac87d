"""Independent implementations of WebSocket, both sides of each, behind one face; and ours behind the same.

All of them do no I/O: what one side writes is handed to the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import wsproto
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
from wsproto import events as wsproto_events
from wsproto.extensions import Extension as WsprotoExtension
from wsproto.extensions import PerMessageDeflate as WsprotoDeflate

from roomcast.protocol.client_handshake import ClientHandshake
from roomcast.protocol.connection import Connection
from roomcast.protocol.deflate import DeflateParameters
from roomcast.protocol.handshake import ServerHandshake, read_request
from roomcast.protocol.negotiation import DeflateOptions
from roomcast.protocol.sending import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

Message: TypeAlias = str | bytes

OPEN = DeflateParameters(False, False, 15, 15)
"""Permessage-deflate without any restriction."""


class Peer(Protocol):
    """One side of a connection.

    Attributes:
        agreed: what was agreed on, after the handshake; None for no compression.
    """

    agreed: DeflateParameters | None

    def receive(self, data: bytes) -> list[Message]:
        """Take what the other side wrote, and return the messages that are whole."""

    def send(self, fragments: Sequence[Message]) -> bytes:
        """Return the bytes that send one message, in these fragments."""


class Client(Peer, Protocol):
    def request(self) -> bytes:
        """Return the request."""

    def receive_response(self, response: bytes) -> None:
        """Take the response."""


class Server(Peer, Protocol):
    def receive_request(self, request: bytes) -> bytes:
        """Take the request, and return the response."""


def _options(wanted: DeflateParameters | None) -> DeflateOptions | None:
    if wanted is None:
        return None
    return DeflateOptions(
        server_context_takeover=not wanted.server_no_context_takeover,
        client_context_takeover=not wanted.client_no_context_takeover,
        server_max_window_bits=wanted.server_max_window_bits,
        client_max_window_bits=wanted.client_max_window_bits,
    )


class _Ours:
    def __init__(self, wanted: DeflateParameters | None) -> None:
        self.agreed: DeflateParameters | None = None
        self._options = _options(wanted)
        self._connection = Connection(Role.SERVER)

    def receive(self, data: bytes) -> list[Message]:
        messages: list[Message] = []
        for event in self._connection.receive_data(data):
            assert isinstance(event, str | bytes), event
            messages.append(event)
        return messages

    def send(self, fragments: Sequence[Message]) -> bytes:
        """Send the message in one frame: this implementation writes no fragments."""
        if isinstance(fragments[0], str):
            return self._connection.send_text("".join(map(str, fragments)))
        return self._connection.send_bytes(b"".join(part for part in fragments if isinstance(part, bytes)))


class OurClient(_Ours):
    def __init__(self, wanted: DeflateParameters | None) -> None:
        super().__init__(wanted)
        self._handshake = ClientHandshake(b"localhost", deflate=self._options)

    def request(self) -> bytes:
        return self._handshake.request()

    def receive_response(self, response: bytes) -> None:
        self.agreed = self._handshake.read_response(response).deflate
        self._connection = Connection(Role.CLIENT, deflate=self.agreed)


class OurServer(_Ours):
    def receive_request(self, request: bytes) -> bytes:
        first, *lines = request.removesuffix(b"\r\n\r\n").split(b"\r\n")
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
        handshake = read_request("GET", first.split()[1], "1.1", headers)
        assert isinstance(handshake, ServerHandshake), handshake
        agreement = None if self._options is None else handshake.accept_deflate(self._options)
        if agreement is not None:
            self.agreed = agreement.parameters
        self._connection = Connection(Role.SERVER, deflate=self.agreed)
        return handshake.response(deflate=agreement)


class _Websockets:
    def __init__(self, protocol: ClientProtocol | ServerProtocol) -> None:
        self._protocol: Any = protocol
        self._parts: list[bytes] = []
        self._is_text = False

    @property
    def agreed(self) -> DeflateParameters | None:
        for extension in self._protocol.extensions:
            assert isinstance(extension, PerMessageDeflate)
            local = (extension.local_no_context_takeover, extension.local_max_window_bits)
            remote = (extension.remote_no_context_takeover, extension.remote_max_window_bits)
            server, client = (remote, local) if isinstance(self._protocol, ClientProtocol) else (local, remote)
            return DeflateParameters(server[0], client[0], server[1], client[1])
        return None

    def receive(self, data: bytes) -> list[Message]:
        messages: list[Message] = []
        self._protocol.receive_data(data)
        assert self._protocol.parser_exc is None, self._protocol.parser_exc
        for frame in self._protocol.events_received():
            assert isinstance(frame, Frame)
            assert frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT), frame
            if frame.opcode is not Opcode.CONT:
                self._is_text = frame.opcode is Opcode.TEXT
            self._parts.append(bytes(frame.data))
            if frame.fin:
                payload = b"".join(self._parts)
                messages.append(payload.decode() if self._is_text else payload)
                self._parts.clear()
        return messages

    def send(self, fragments: Sequence[Message]) -> bytes:
        for number, fragment in enumerate(fragments, 1):
            is_text = isinstance(fragment, str)
            payload = fragment.encode() if isinstance(fragment, str) else fragment
            last = number == len(fragments)
            if number > 1:
                self._protocol.send_continuation(payload, fin=last)
            elif is_text:
                self._protocol.send_text(payload, fin=last)
            else:
                self._protocol.send_binary(payload, fin=last)
        return b"".join(self._protocol.data_to_send())


class WebsocketsClient(_Websockets):
    """The `websockets` library, as a client."""

    def __init__(self, wanted: DeflateParameters | None) -> None:
        offers = []
        if wanted is not None:
            offers.append(
                ClientPerMessageDeflateFactory(
                    wanted.server_no_context_takeover,
                    wanted.client_no_context_takeover,
                    wanted.server_max_window_bits,
                    wanted.client_max_window_bits,
                )
            )
        self._client = ClientProtocol(parse_uri("ws://localhost/"), extensions=offers or None, max_size=None)
        super().__init__(self._client)

    def request(self) -> bytes:
        self._client.send_request(self._client.connect())
        return b"".join(self._client.data_to_send())

    def receive_response(self, response: bytes) -> None:
        self._client.receive_data(response)
        (event,) = self._client.events_received()
        assert isinstance(event, Response)
        assert self._client.handshake_exc is None, self._client.handshake_exc


class WebsocketsServer(_Websockets):
    """The `websockets` library, as a server."""

    def __init__(self, wanted: DeflateParameters | None) -> None:
        accepted = []
        if wanted is not None:
            accepted.append(
                ServerPerMessageDeflateFactory(
                    wanted.server_no_context_takeover,
                    wanted.client_no_context_takeover,
                    wanted.server_max_window_bits,
                    wanted.client_max_window_bits,
                )
            )
        self._server = ServerProtocol(extensions=accepted or None, max_size=None)
        super().__init__(self._server)

    def receive_request(self, request: bytes) -> bytes:
        self._server.receive_data(request)
        (event,) = self._server.events_received()
        assert isinstance(event, Request)
        self._server.send_response(self._server.accept(event))
        assert self._server.handshake_exc is None, self._server.handshake_exc
        return b"".join(self._server.data_to_send())


class _Wsproto:
    def __init__(self, side: wsproto.ConnectionType, wanted: DeflateParameters | None) -> None:
        self._connection = wsproto.WSConnection(side)
        self._extensions: list[WsprotoExtension] = []
        if wanted is not None:
            self._extensions.append(
                WsprotoDeflate(
                    wanted.client_no_context_takeover,
                    wanted.client_max_window_bits,
                    wanted.server_no_context_takeover,
                    wanted.server_max_window_bits,
                )
            )
        self._parts: list[Any] = []

    @property
    def agreed(self) -> DeflateParameters | None:
        for extension in self._extensions:
            assert isinstance(extension, WsprotoDeflate)
            if extension.enabled():
                return DeflateParameters(
                    extension.server_no_context_takeover,
                    extension.client_no_context_takeover,
                    extension.server_max_window_bits,
                    extension.client_max_window_bits,
                )
        return None

    def receive(self, data: bytes) -> list[Message]:
        messages: list[Message] = []
        self._connection.receive_data(data)
        for event in self._connection.events():
            assert isinstance(event, wsproto_events.TextMessage | wsproto_events.BytesMessage), event
            self._parts.append(event.data)
            if event.message_finished:
                empty: Any = "" if isinstance(event, wsproto_events.TextMessage) else b""
                messages.append(empty.join(self._parts))
                self._parts.clear()
        return messages

    def send(self, fragments: Sequence[Message]) -> bytes:
        stream = b""
        for number, fragment in enumerate(fragments, 1):
            last = number == len(fragments)
            if isinstance(fragment, str):
                stream += self._connection.send(wsproto_events.TextMessage(fragment, message_finished=last))
            else:
                stream += self._connection.send(wsproto_events.BytesMessage(fragment, message_finished=last))
        return stream


class WsprotoClient(_Wsproto):
    """wsproto, as a client."""

    def __init__(self, wanted: DeflateParameters | None) -> None:
        super().__init__(wsproto.ConnectionType.CLIENT, wanted)

    def request(self) -> bytes:
        return self._connection.send(
            wsproto_events.Request(host="localhost", target="/", extensions=self._extensions)
        )

    def receive_response(self, response: bytes) -> None:
        self._connection.receive_data(response)
        (event,) = self._connection.events()
        assert isinstance(event, wsproto_events.AcceptConnection), event


class WsprotoServer(_Wsproto):
    """wsproto, as a server."""

    def __init__(self, wanted: DeflateParameters | None) -> None:
        super().__init__(wsproto.ConnectionType.SERVER, wanted)

    def receive_request(self, request: bytes) -> bytes:
        self._connection.receive_data(request)
        (event,) = self._connection.events()
        assert isinstance(event, wsproto_events.Request), event
        return self._connection.send(wsproto_events.AcceptConnection(extensions=self._extensions))
