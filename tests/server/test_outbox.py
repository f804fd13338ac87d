"""What waits to be written to one peer: its order, its bound, its policies, and the slices of a large room."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.backlog import MESSAGE_BYTES, SlowPolicy
from roomcast.protocol.prepared import PreparedMessage
from roomcast.server.outbox import Flusher, Outbox, flusher_of
from tests.server.peer import opened, text_frame, turn
from tests.server.serving import Calls
from tests.test_backlog import Counting

if TYPE_CHECKING:
    from tests.server.peer import Peer
    from tests.server.serving import Call, Serve, Serving

HIGH, LOW = 100, 25
# The module's own, which are no names of Python's where it is compiled.
FLUSH_AT, SLICE = 64 * 1024, 128


class Transport:
    """A transport whose peer reads when it is told to. It has limits as asyncio's have."""

    def __init__(self) -> None:
        self.outbox: Any = None
        self.writes: list[bytes] = []
        self.unread = 0
        self.aborted = False
        self._paused = False

    def write(self, data: bytes) -> None:
        assert type(data) is bytes
        self.writes.append(data)
        self.unread += len(data)
        if self.unread > HIGH and not self._paused:
            self._paused = True
            self.outbox.pause()

    def read(self, size: int) -> None:
        self.unread = max(0, self.unread - size)
        if self._paused and self.unread <= LOW:
            self._paused = False
            self.outbox.resume()

    def get_write_buffer_size(self) -> int:
        return self.unread

    def abort(self) -> None:
        self.aborted = True

    @property
    def written(self) -> bytes:
        return b"".join(self.writes)


class Loop:
    """An event loop whose turns the test takes."""

    def __init__(self) -> None:
        self.ready: list[Any] = []

    def call_soon(self, callback: Any) -> None:
        self.ready.append(callback)

    def turn(self) -> None:
        ready, self.ready = self.ready, []
        for callback in ready:
            callback()


def made(bound: int = 1000) -> tuple[Outbox, Transport, Loop]:
    loop, transport = Loop(), Transport()
    outbox = Outbox(transport, Flusher(loop), bound)  # type: ignore[arg-type]
    transport.outbox = outbox
    return outbox, transport, loop


def test_what_is_put_in_a_tick_is_one_write_at_its_end() -> None:
    outbox, transport, loop = made()
    for frame in (b"a", b"b", b"c"):
        outbox.put(frame)
    assert outbox.offer(b"d")
    assert transport.writes == []
    assert outbox.size() == 4
    loop.turn()
    assert transport.writes == [b"abcd"]
    loop.turn()
    assert (transport.writes, loop.ready) == ([b"abcd"], [])


def test_what_is_put_before_while_and_after_a_pause_keeps_its_order() -> None:
    outbox, transport, loop = made()
    outbox.put(b"a" * 200)
    loop.turn()  # which pauses it
    outbox.put(b"b")
    assert outbox.offer(b"c")
    loop.turn()
    assert transport.written == b"a" * 200
    assert outbox.is_full()
    outbox.put(b"d")
    transport.read(200)
    outbox.put(b"e")
    assert outbox.offer(b"f")
    loop.turn()
    assert transport.written == b"a" * 200 + b"bcdef"
    assert not outbox.is_full()


def test_what_was_put_in_the_tick_of_a_pause_waits() -> None:
    outbox, transport, loop = made()
    outbox.put(b"a")
    outbox.put(b"b")
    outbox.pause()
    outbox.put(b"c")
    loop.turn()
    assert transport.writes == []
    assert outbox.size() == 3
    outbox.resume()
    assert transport.written == b"abc"


def test_a_peer_that_keeps_up_again_gets_what_waits_in_steps() -> None:
    outbox, transport, loop = made(bound=10 * FLUSH_AT)
    outbox.put(b"a" * 200)
    loop.turn()
    for _ in range(100):
        assert outbox.offer(b"b" * 4096)
    transport.read(200)
    assert len(transport.writes[1]) == FLUSH_AT
    assert len(transport.writes) == 2  # the first step has paused it again
    transport.read(FLUSH_AT)
    assert len(transport.writes) == 3
    while outbox.size():
        transport.read(outbox.size())
    assert transport.written == b"a" * 200 + b"b" * 409_600


def test_who_can_wait_should_where_much_was_put_in_the_tick_or_anything_waits() -> None:
    outbox, transport, _ = made(bound=10)
    assert not outbox.is_full()
    outbox.put(b"a" * FLUSH_AT)
    assert outbox.is_full()
    outbox.flush()
    transport.read(FLUSH_AT)
    assert not outbox.is_full()
    assert outbox.offer(b"b" * 2000)  # over the bound, but nothing waits
    outbox.put(b"c")
    assert outbox.is_full()
    outbox.flush()
    transport.read(outbox.size())
    assert not outbox.is_full()


def test_what_is_too_much_for_a_tick_is_written_within_it() -> None:
    outbox, transport, _ = made(bound=150)
    assert outbox.offer(b"a" * 90)
    assert outbox.offer(b"b" * 5)
    assert transport.writes == []
    assert not outbox.offer(b"c" * 90)
    assert transport.writes == [b"a" * 90 + b"b" * 5]
    transport.read(95)
    assert outbox.offer(b"c" * 90)


def test_to_flush_all_hands_over_whatever_waits_and_goes_on_behind_it() -> None:
    outbox, transport, loop = made()
    outbox.put(b"a" * 200)
    loop.turn()
    outbox.put(b"b")
    outbox.put(b"c")
    outbox.flush_all()
    assert transport.written == b"a" * 200 + b"bc"
    outbox.put(b"d")
    loop.turn()
    transport.read(500)
    outbox.put(b"e")
    loop.turn()
    assert transport.written == b"a" * 200 + b"bcde"


def test_to_flush_all_where_nothing_waits_writes_nothing() -> None:
    outbox, transport, _ = made()
    outbox.flush_all()
    assert transport.writes == []


def test_what_is_cleared_is_dropped_but_not_what_the_transport_has() -> None:
    outbox, transport, loop = made()
    outbox.put(b"a" * 200)
    loop.turn()
    outbox.put(b"b")
    assert outbox.offer(b"c")
    outbox.clear()
    assert outbox.size() == 200
    outbox.put(b"d")
    transport.read(200)
    loop.turn()
    assert transport.written == b"a" * 200 + b"d"


def test_what_the_transport_has_counts_against_the_bound() -> None:
    outbox, _, loop = made(bound=300)
    outbox.put(b"a" * 200)
    loop.turn()
    assert outbox.offer(b"b" * 100)
    assert not outbox.offer(b"c")
    assert outbox.size() == 300


@pytest.mark.parametrize(
    ("policy", "written", "dropped"),
    [
        (SlowPolicy.DISCONNECT, b"bc", 0),
        (SlowPolicy.DROP_NEWEST, b"bc", 0),
        (SlowPolicy.DROP_OLDEST, b"cd", 1),
        (SlowPolicy.LATEST, b"d", 2),
    ],
)
def test_at_the_bound_the_recipients_policy_holds(policy: SlowPolicy, written: bytes, dropped: int) -> None:
    # Room for two of the small ones, with what each counts besides, behind what the transport has.
    outbox, transport, loop = made(bound=200 + 2 * 10 + MESSAGE_BYTES)
    recipient = Counting(policy)
    outbox.put(b"a" * 200)
    loop.turn()
    taken = [outbox.offer(letter * 10, recipient) for letter in (b"b", b"c", b"d")]
    assert taken == [True, True, policy in (SlowPolicy.DROP_OLDEST, SlowPolicy.LATEST)]
    assert recipient.dropped == dropped
    transport.read(200)
    assert transport.written == b"a" * 200 + b"".join(bytes([letter]) * 10 for letter in written)


@given(
    st.lists(
        st.tuples(st.just("put"), st.integers(1, 120))
        | st.tuples(st.just("offer"), st.integers(1, 120))
        | st.tuples(st.just("read"), st.integers(1, 300))
        | st.tuples(st.sampled_from(["turn", "flush", "flush_all"]), st.just(0)),
        max_size=40,
    ),
    st.sampled_from([None, *SlowPolicy]),
)
def test_what_is_taken_and_not_dropped_is_written_once_and_in_order(
    steps: list[tuple[str, int]], policy: SlowPolicy | None
) -> None:
    outbox, transport, loop = made(bound=250)
    recipient = None if policy is None else Counting(policy)
    put, offered = [], []
    for number, (step, size) in enumerate(steps):
        frame = bytes([number]) * size
        if step == "put":
            outbox.put(frame)
            put.append(number)
        elif step == "offer":
            if outbox.offer(frame, recipient):
                offered.append(number)
        elif step == "read":
            transport.read(size)
        elif step == "turn":
            loop.turn()
        else:
            getattr(outbox, step)()
    while outbox.size() or loop.ready:
        loop.turn()
        transport.read(1000)
    written = list(dict.fromkeys(transport.written))
    assert transport.written == b"".join(bytes([number]) * steps[number][1] for number in written)
    assert written == sorted(written)
    assert set(put) <= set(written) <= {*put, *offered}
    dropped = 0 if recipient is None else recipient.dropped
    assert len(written) == len(put) + len(offered) - dropped
    if policy is SlowPolicy.LATEST and offered:
        assert offered[-1] in written


async def test_a_room_of_thousands_is_written_in_slices_with_turns_for_others_in_between() -> None:
    loop = asyncio.get_running_loop()
    flusher = flusher_of(loop)
    assert flusher_of(loop) is flusher
    transports = []
    for number in range(3 * SLICE + 1):
        transport = Transport()
        transport.outbox = Outbox(transport, flusher, 1000)  # type: ignore[arg-type]
        transport.outbox.put(b"%d" % number)
        transports.append(transport)
    seen: list[int] = []
    while not seen or seen[-1] < len(transports):
        await asyncio.sleep(0)
        seen.append(sum(1 for transport in transports if transport.writes))
    assert seen == [SLICE, 2 * SLICE, 3 * SLICE, 3 * SLICE + 1]
    assert [transport.written for transport in transports] == [b"%d" % number for number in range(len(transports))]


async def test_what_is_put_while_a_slice_waits_for_its_turn_is_written_with_it() -> None:
    loop = Loop()
    flusher = Flusher(loop)  # type: ignore[arg-type]
    transports = [Transport() for _ in range(SLICE + 1)]
    for transport in transports:
        transport.outbox = Outbox(transport, flusher, 1000)  # type: ignore[arg-type]
        transport.outbox.put(b"a")
    loop.turn()
    transports[0].outbox.put(b"b")
    transports[-1].outbox.put(b"b")
    loop.turn()
    assert [transports[0].writes, transports[-1].writes] == [[b"a", b"b"], [b"ab"]]
    assert loop.ready == []


async def test_an_answer_does_not_wait_for_the_end_of_what_goes_to_thousands() -> None:
    loop = Loop()
    flusher = Flusher(loop)  # type: ignore[arg-type]
    room = [Transport() for _ in range(4 * SLICE)]
    for transport in room:
        transport.outbox = Outbox(transport, flusher, 1000)  # type: ignore[arg-type]
        transport.outbox.put(b"a")
    loop.turn()
    other = Transport()
    other.outbox = Outbox(other, flusher, 1000)  # type: ignore[arg-type]
    other.outbox.put(b"answer")
    loop.turn()
    assert other.writes == [b"answer"]
    assert sum(1 for transport in room if transport.writes) == 2 * SLICE
    # Nor is the room left waiting by what comes anew in each turn, however much it is.
    busy = [Transport() for _ in range(2 * SLICE)]
    for transport in busy:
        transport.outbox = Outbox(transport, flusher, 1000)  # type: ignore[arg-type]
    for slices in (3, 4):
        for transport in busy:
            transport.outbox.put(b"b")
        loop.turn()
        assert sum(1 for transport in room if transport.writes) == slices * SLICE


async def test_an_answer_goes_before_what_goes_to_thousands_in_the_same_turn() -> None:
    loop = Loop()
    flusher = Flusher(loop)  # type: ignore[arg-type]
    room = [Transport() for _ in range(4 * SLICE)]
    for transport in room:
        transport.outbox = Outbox(transport, flusher, 1000)  # type: ignore[arg-type]
        assert transport.outbox.offer(b"a", Counting(SlowPolicy.DISCONNECT))
    other = Transport()
    other.outbox = Outbox(other, flusher, 1000)  # type: ignore[arg-type]
    other.outbox.put(b"answer")
    loop.turn()
    assert other.writes == [b"answer"]
    assert sum(1 for transport in room if transport.writes) == SLICE - 1


async def stalled(server: Serving) -> tuple[Peer, Call, asyncio.Future[None]]:
    """Open a WebSocket whose peer does not read, and fill what the kernel takes for it."""
    peer, call = await opened(server, receive_buffer=4096)
    filling = asyncio.ensure_future(call.raw_send({"type": "websocket.send", "text": "f" * 200_000}))
    await turn()
    assert not filling.done()
    return peer, call, filling


@pytest.mark.parametrize("policy", SlowPolicy)
async def test_a_member_that_stalls_and_reads_again_gets_what_its_policy_says(
    serve: Serve, policy: SlowPolicy
) -> None:
    async with serve(Calls(), settings={"outbound_bytes": 600_000}, send_buffer=16_384) as server:
        peer, call, filling = await stalled(server)
        async with peer:
            recipient = Counting(policy)
            texts = [str(number).zfill(4) * 250 for number in range(2000)]
            taken = [call.outlet.offer(PreparedMessage(text), recipient) for text in texts]
            assert call.outlet.queued_bytes <= 600_000
            assert call.outlet.closed is (policy is SlowPolicy.DISCONNECT)
            if policy is SlowPolicy.DISCONNECT:
                assert taken == sorted(taken, reverse=True)
                filling.cancel()
                return
            end = asyncio.ensure_future(call.text("the end"))  # it waits until what is before it has gone
            got = []
            while (one := await peer.frame()) != text_frame("the end"):
                assert one is not None
                got.append(one.payload.decode())
            await asyncio.gather(end, filling)
            assert got.pop(0) == "f" * 200_000
            assert len(got) == sum(taken) - recipient.dropped
            expected = {
                SlowPolicy.DROP_NEWEST: texts[: len(got)],
                SlowPolicy.DROP_OLDEST: texts[len(texts) - len(got) :],
                SlowPolicy.LATEST: texts[-1:],
            }
            assert got == expected[policy]
            assert len(got) > 300 or policy is SlowPolicy.LATEST
