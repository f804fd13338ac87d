"""Whatever a peer sends, the server answers as the protocol says or ends the connection, and others go on."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.protocol.wire import frame
from tests.server.peer import Peer, request, text_frame
from tests.server.serving import echo, serving

if TYPE_CHECKING:
    from tests.server.serving import Serve

BYTES = st.binary(max_size=400)
FRAMES = st.lists(
    st.builds(
        frame,
        st.integers(0, 15),
        st.binary(max_size=200),
        fin=st.booleans(),
        rsv=st.sampled_from([0, 0, 0, 4, 1]),
        length=st.one_of(st.none(), st.integers(0, 1 << 62)),
        form=st.sampled_from([None, None, 8]),
    ),
    max_size=8,
).map(b"".join)
STREAM = st.lists(st.one_of(BYTES, FRAMES), max_size=6)
DEFLATE = [("Sec-WebSocket-Extensions", "permessage-deflate")]


async def try_out(server: Any, witness: Peer, pieces: list[bytes], *, deflate: bool, reset: bool) -> None:
    """Send a stream to the server, in pieces; the witness sees that it goes on."""
    async with await Peer.ask(server.address, "/", DEFLATE if deflate else []) as peer:
        await peer.opened()
        for piece in pieces:
            try:
                await peer.write(piece)
            except OSError:
                break
            await asyncio.sleep(0)
        if reset:
            peer.reset()
        else:
            try:
                peer.shut()
                await peer.rest()
            except OSError:
                pass
    await witness.send("and you?")
    assert await witness.frame() == text_frame("and you?")


async def test_no_stream_of_bytes_hurts_the_server(serve: Serve) -> None:
    async with serve(echo) as server, await Peer.ask(server.address) as witness:
        await witness.opened()
        examples: list[tuple[list[bytes], bool, bool]] = []

        @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(STREAM, st.booleans(), st.booleans())
        def collect(pieces: list[bytes], deflate: bool, reset: bool) -> None:
            examples.append((pieces, deflate, reset))

        collect()
        for pieces, deflate, reset in examples:
            await try_out(server, witness, pieces, deflate=deflate, reset=reset)


async def echo_or_404(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """What is asked for may have become plain HTTP."""
    if scope["type"] == "websocket":
        await echo(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


async def test_no_request_hurts_the_server(serve: Serve, http: str, log: Any) -> None:
    chance = random.Random(7)
    good = request("/a?b", [("Sec-WebSocket-Protocol", "x"), *DEFLATE])
    async with serve(echo_or_404, http=http) as server, await Peer.ask(server.address) as witness:
        await witness.opened()
        for _ in range(150):
            bad = bytearray(good)
            for _ in range(chance.randrange(1, 4)):
                at = chance.randrange(len(bad))
                match chance.randrange(3):
                    case 0:
                        bad[at] = chance.randrange(256)
                    case 1:
                        del bad[at : at + chance.randrange(1, 20)]
                    case _:
                        bad[at:at] = chance.randbytes(chance.randrange(1, 5))
            async with await Peer.connect(server.address) as peer:
                await peer.write(bytes(bad))
                peer.shut()
                await peer.rest()
        await witness.send("and you?")
        assert await witness.frame() == text_frame("and you?")
    known = ("Invalid HTTP request received.", "Unsupported upgrade request.")
    assert [complaint for complaint in log.complaints() if complaint not in known] == []


async def test_peers_that_come_and_go_leave_nothing_behind() -> None:
    async with serving(echo, settings={"close_timeout": 0.2}) as server:
        chance = random.Random(3)

        async def visit() -> None:
            peer = await Peer.ask(server.address)
            if chance.random() < 0.7:
                await peer.opened()
            if chance.random() < 0.7:
                await peer.send("x" * chance.randrange(1000))
            if chance.random() < 0.5:
                await peer.close()
            if chance.random() < 0.5:
                peer.reset()
            else:
                peer.vanish()

        for _ in range(20):
            await asyncio.gather(*(visit() for _ in range(20)))
        await server.idle()
