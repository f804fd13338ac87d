"""Presence: who is in a room, as everybody there may know it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from roomcast import jsontext


@dataclass(frozen=True, slots=True)
class Presence:
    """One member, as others see it.

    Attributes:
        id: the member's id, unique among all members of all nodes.
        user: the user it belongs to, if the app said so; a user may have several members.
        info: what the app tells about it: anything that JSON can carry.
        since: when it joined, in seconds since the Unix epoch.
    """

    id: str
    user: str | None
    info: Any
    since: float

    def to_bytes(self) -> bytes:
        """Write it as brokers carry it.

        Raises:
            TypeError, ValueError: if JSON cannot carry `info`.
        """
        fields = {"id": self.id, "user": self.user, "info": self.info, "since": self.since}
        return jsontext.dumps(fields).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Presence:
        """Read what `to_bytes` wrote."""
        return cls(**json.loads(data))
