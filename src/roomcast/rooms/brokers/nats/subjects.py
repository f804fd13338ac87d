"""Subjects: what rooms, members and nodes are called in NATS."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,255}")


class Subjects:
    """The streams and subjects of one prefix.

    - `PREFIX.log.ROOM` is where a room's publications are stored, in the stream `PREFIX-log`.
    - `PREFIX.live.ROOM` is where they are carried: the server repeats there what it has stored.
    - `PREFIX.loss` is where a node notes that the server has lost what it had stored, in the stream `PREFIX-log`.
    - `PREFIX.presence.NODE.ROOM.MEMBER` is a member, in the stream `PREFIX-presence`.
    - `PREFIX.node.NODE` is a node's sign of life, and `PREFIX.undertaker.NODE` says which node clears up after it,
      both in the stream `PREFIX-nodes`, which forgets them in time.

    Args:
        prefix: letters, digits, - and _.
    """

    def __init__(self, prefix: str) -> None:
        self.log_stream = f"{prefix}-log"
        self.presence_stream = f"{prefix}-presence"
        self.nodes_stream = f"{prefix}-nodes"
        self.logs = f"{prefix}.log.*"
        self.repeated = (f"{prefix}.log.>", f"{prefix}.live.>")
        self.loss = f"{prefix}.loss"
        self.presences = f"{prefix}.presence.*.*.*"
        self.nodes = f"{prefix}.node.*"
        self.undertakers = f"{prefix}.undertaker.*"
        self._prefix = prefix

    def log(self, room: str) -> str:
        """Give the subject where a room's publications are stored."""
        return f"{self._prefix}.log.{token_of(room)}"

    def live(self, room: str) -> str:
        """Give the subject where a room's publications are carried."""
        return f"{self._prefix}.live.{token_of(room)}"

    def member(self, node: str, room: str, member: str) -> str:
        """Give the subject of a node's member in a room."""
        return f"{self._prefix}.presence.{node}.{token_of(room)}.{token_of(member)}"

    def members_of_room(self, room: str) -> str:
        """Give the subjects of all members in a room."""
        return f"{self._prefix}.presence.*.{token_of(room)}.*"

    def members_of_node(self, node: str) -> str:
        """Give the subjects of all members of a node."""
        return f"{self._prefix}.presence.{node}.*.*"

    def node(self, node: str) -> str:
        """Give the subject of a node's signs of life."""
        return f"{self._prefix}.node.{node}"

    def undertaker(self, node: str) -> str:
        """Give the subject of who clears up after a node."""
        return f"{self._prefix}.undertaker.{node}"


def token_of(name: str) -> str:
    """Write any name as one token of a subject: as it is if it can be, else as `=` and its UTF-8 in base64."""
    if _PLAIN.fullmatch(name):
        return name
    return "=" + urlsafe_b64encode(name.encode()).rstrip(b"=").decode()


def name_of(token: str) -> str:
    """Read what `token_of` wrote."""
    if not token.startswith("="):
        return token
    encoded = token[1:]
    return urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
