"""permessage-deflate from end to end (RFC 7692), against an independent client."""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from roomcast.protocol.negotiation import DeflateOptions
from tests.protocol.wire import BINARY, frame
from tests.server.peer import Peer, opened
from tests.server.serving import Calls, echo

if TYPE_CHECKING:
    from tests.server.serving import Serve

OFFER = [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]


@pytest.mark.parametrize("takeover", [False, True])
@pytest.mark.parametrize("window", [None, 9])
async def test_messages_of_every_kind_come_back_as_they_were(
    serve: Serve, takeover: bool, window: int | None
) -> None:
    options = DeflateOptions(server_context_takeover=takeover, client_context_takeover=takeover)
    factory = ClientPerMessageDeflateFactory(
        client_max_window_bits=window or True, server_max_window_bits=window, compress_settings={"memLevel": 5}
    )
    messages: list[str | bytes] = ["", b"", "x", "é" * 5000, bytes(100_000), os.urandom(50_000), "same " * 100]
    async with (
        serve(echo, settings={"deflate": options}) as server,
        connect(server.url, proxy=None, extensions=[factory], compression=None) as client,
    ):
        assert [extension.name for extension in client.protocol.extensions] == ["permessage-deflate"]
        for _ in range(3):
            for message in messages:
                await client.send(message)
                assert await client.recv() == message


async def test_uvicorn_can_be_told_not_to_compress(serve: Serve) -> None:
    async with (
        serve(echo, ws_per_message_deflate=False) as server,
        await Peer.ask(server.address, "/", OFFER) as peer,
    ):
        assert "Sec-WebSocket-Extensions" not in await peer.response()
        await peer.send("x" * 1000)
        echoed = await peer.frame()
        assert echoed is not None
        assert not echoed.compressed


async def test_without_an_offer_nothing_is_compressed(serve: Serve) -> None:
    async with serve(echo) as server, await Peer.ask(server.address) as peer:
        assert "Sec-WebSocket-Extensions" not in await peer.response()


async def test_a_compressed_frame_that_was_not_agreed_on_is_1002(serve: Serve) -> None:
    async with serve(Calls(), ws_per_message_deflate=False) as server:
        peer, call = await opened(server, "/", OFFER)
        async with peer:
            await peer.write(frame(BINARY, b"x", rsv=4))
            assert (await call.disconnected())[0] == 1002


async def test_a_message_that_inflates_over_the_limit_is_1009(serve: Serve) -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflate.compress(bytes(50_000_000)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    async with serve(Calls(), ws_max_size=1_000_000) as server:
        peer, call = await opened(server, "/", OFFER)
        async with peer:
            await peer.write(frame(BINARY, bomb[:-4], rsv=4))
            assert (await call.disconnected())[0] == 1009


async def test_deflated_data_that_is_none_is_1002(serve: Serve) -> None:
    async with serve(Calls()) as server:
        peer, call = await opened(server, "/", OFFER)
        async with peer:
            await peer.write(frame(BINARY, b"\xff\xff\xff\xff", rsv=4))
            assert (await call.disconnected())[0] == 1002
