"""Stream: one stream of JetStream's, and what the broker asks of it.

The requests are those of JetStream's own API, as nats-server 2.9 has them
(https://docs.nats.io/reference/reference-protocols/nats_api_reference).
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast.rooms.brokers.nats.failures import NO_MESSAGE_FOUND, Refused, Unreachable, answer_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roomcast.rooms.brokers.nats.connection import Message
    from roomcast.rooms.brokers.nats.link import Link

PAGE = 256
"""How many messages are read at once."""
PAGE_BYTES = 4 << 20
"""How many bytes of messages are read at once; more than that where one alone has more."""
PAGE_SECONDS = 1
"""For how many seconds the server waits for messages that were removed while they were asked for."""
READER_SECONDS = 30
"""For how many seconds the server remembers a reader that has gone away in the middle."""
EXPECTED = "Nats-Expected-Last-Subject-Sequence"
"""The header that says after which message of its subject a message is to come, 0 for none."""
ID = "Nats-Msg-Id"
"""The header by which the server knows a message that it has already."""


class Kept(NamedTuple):
    """A message of a stream.

    Attributes:
        sequence: its number in the stream.
        subject: its subject.
        time: when it was stored, in seconds since the Unix epoch, by the server's clock.
        headers: what was said beside it.
        data: what it says.
    """

    sequence: int
    subject: str
    time: float
    headers: Mapping[str, str]
    data: bytes


class Acknowledged(NamedTuple):
    """The answer to what was stored.

    Attributes:
        sequence: its number in the stream.
        duplicate: whether it was there already.
    """

    sequence: int
    duplicate: bool


class Stream:
    """One stream.

    Args:
        link: the way to it.
        name: its name.
    """

    def __init__(self, link: Link, name: str) -> None:
        self._link = link
        self.name = name
        self._asking: asyncio.Task[None] | None = None
        """The question to the leader that is under way, or was the last one."""
        self._catching_up: asyncio.Task[None] | None = None
        """The next question to the leader, which is not under way yet."""

    async def api(self, verb: str, request: Mapping[str, Any] | None = None, suffix: str = "") -> dict[str, Any]:
        """Ask JetStream for something about the stream, and give the answer.

        Raises:
            Refused: JetStream said no.
            NobodyThere: there is no JetStream.
            Unreachable: no answer came.
        """
        data = b"" if request is None else json.dumps(request).encode()
        return answer_of(await self._link.request(f"$JS.API.{verb}.{self.name}{suffix}", data))

    async def put(
        self, subject: str, data: bytes, headers: dict[str, str] | None = None, seconds: float | None = None
    ) -> Acknowledged:
        """Store a message.

        Raises:
            Refused, NobodyThere, Unreachable: as `api` does; after the last, it may be stored all the same.
        """
        answer = answer_of(await self._link.request(subject, data, headers, seconds))
        return Acknowledged(answer["seq"], answer.get("duplicate", False))

    async def last(self, subject: str) -> Kept | None:
        """Give the newest message of a subject."""
        return self._direct(await self._link.request(f"$JS.API.DIRECT.GET.{self.name}.{subject}"))

    async def at(self, sequence: int) -> Kept | None:
        """Give the message with that number."""
        return await self._get({"seq": sequence})

    async def next(self, subject: str, sequence: int) -> Kept | None:
        """Give the first message of a subject, which may have wildcards, that has that number or a higher one."""
        return await self._get({"seq": max(sequence, 1), "next_by_subj": subject})

    async def catch_up(self, subject: str) -> None:
        """Wait until the server that leads the stream knows of all that this node has subscribed to before.

        It does once it has answered anything, as each server tells the others in order. One question serves all
        who wait for it to be asked.

        Args:
            subject: any subject of the stream's; few messages with it are best.
        """
        if self._catching_up is None:
            self._catching_up = asyncio.create_task(self._ask_leader(self._asking, subject))
            self._catching_up.add_done_callback(lambda asked: asked.cancelled() or asked.exception())
        await asyncio.shield(self._catching_up)

    async def _ask_leader(self, before: asyncio.Task[None] | None, subject: str) -> None:
        if before is not None:
            await asyncio.wait([before])
        self._asking, self._catching_up = self._catching_up, None
        try:
            await self.api("STREAM.MSG.GET", {"last_by_subj": subject})
        except Refused as error:
            if error.code != NO_MESSAGE_FOUND:
                raise

    async def remove(self, sequence: int) -> None:
        """Remove a message, if it is there."""
        try:
            await self.api("STREAM.MSG.DELETE", {"seq": sequence, "no_erase": True})
        except Refused as error:
            if error.code not in (NO_MESSAGE_FOUND, 10043, 10057):
                raise

    async def purge(self, subject: str, before: int = 0) -> None:
        """Remove the messages of a subject, which may have wildcards: all, or those with lower numbers."""
        await self.api("STREAM.PURGE", {"filter": subject} | ({"seq": before} if before else {}))

    async def subjects(self, pattern: str) -> dict[str, int]:
        """Give the subjects that have messages, and how many."""
        found: dict[str, int] = {}
        while True:
            answer = await self.api("STREAM.INFO", {"subjects_filter": pattern, "offset": len(found)})
            page = answer["state"].get("subjects") or {}
            found |= page
            if not page or len(found) >= answer.get("total", 0):
                return found

    async def read(
        self, subject: str, since: int = 1, *, upto: int | None = None, headers_only: bool = False
    ) -> list[Kept]:
        """Read the messages of a subject, which may have wildcards, in their order.

        Args:
            subject: which messages.
            since: the number of the first one.
            upto: the number after which to stop; the end of the stream as it is now if None.
            headers_only: leave out what they say.
        """
        config = {
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": max(since, 1),
            "ack_policy": "none",
            "replay_policy": "instant",
            "filter_subject": subject,
            "headers_only": headers_only,
            "inactive_threshold": READER_SECONDS * 10**9,
            "mem_storage": True,
            "num_replicas": 1,
        }
        read: list[Kept] = []
        page = batch = pending = 0

        def hear(message: Message) -> bool:
            nonlocal page, pending
            if "Status" in message.headers:
                return True  # that was all there is
            pending, kept = _delivered(message)
            page += 1
            read.append(kept)
            return page == batch or not pending

        made = await self.api("CONSUMER.CREATE", {"stream_name": self.name, "config": config})
        reader, left = made["name"], made["num_pending"]
        inbox = await self._link.open_inbox(hear)
        most = max(PAGE_BYTES, 2 * self._link.max_payload)
        try:
            while left > 0 and (upto is None or not read or read[-1].sequence < upto):
                page, batch = 0, min(PAGE, left)
                # Not more than there is, and not without an end: what is removed meanwhile does not come.
                request = {"batch": batch, "max_bytes": most, "expires": PAGE_SECONDS * 10**9}
                asked = json.dumps(request).encode()
                await self._link.converse(inbox, f"$JS.API.CONSUMER.MSG.NEXT.{self.name}.{reader}", asked)
                if not page:
                    break
                left = min(left - page, pending)
        finally:
            await self._link.close_inbox(inbox)
            with suppress(Unreachable):
                await self._link.send(f"$JS.API.CONSUMER.DELETE.{self.name}.{reader}")
        return read if upto is None else [kept for kept in read if kept.sequence <= upto]

    async def _get(self, request: Mapping[str, Any]) -> Kept | None:
        return self._direct(
            await self._link.request(f"$JS.API.DIRECT.GET.{self.name}", json.dumps(request).encode())
        )

    @staticmethod
    def _direct(message: Message) -> Kept | None:
        headers = message.headers
        if "Nats-Sequence" not in headers:
            return None
        return Kept(
            int(headers["Nats-Sequence"]),
            headers["Nats-Subject"],
            datetime.fromisoformat(headers["Nats-Time-Stamp"]).timestamp(),
            headers,
            message.data,
        )


def _delivered(message: Message) -> tuple[int, Kept]:
    """Read a message as a reader gets it: what is about it stands in the subject for answers.

    `$JS.ACK.STREAM.CONSUMER.DELIVERED.SEQUENCE.CONSUMER_SEQUENCE.NANOSECONDS.PENDING`, with the domain and the
    account after `ACK` on newer servers.
    """
    tokens = message.reply.split(".")
    if len(tokens) > 9:
        del tokens[2:4]
    sequence, nanoseconds, pending = int(tokens[5]), int(tokens[7]), int(tokens[8])
    return pending, Kept(sequence, message.subject, nanoseconds / 1e9, message.headers, message.data)
