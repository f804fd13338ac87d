"""Presence: who is in a room, as everybody there may know it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, Self

from roomcast import jsontext
from roomcast.errors import Unpublishable


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

    @classmethod
    def of(cls, member: str, user: str | None, info: Any) -> Self:  # noqa: ANN401 - whatever JSON can carry
        """Give the presence of a member that joins now, as the others get it.

        So what the app does to `info` later does not change who leaves.

        Raises:
            Unpublishable: if JSON cannot carry `info`.
        """
        try:
            return cls.from_bytes(cls(member, user, info, time.time()).to_bytes())
        except (TypeError, ValueError) as error:
            raise Unpublishable(f"info must be something that JSON can carry: {error}") from None

    def to_bytes(self) -> bytes:
        """Write it as brokers carry it.

        Raises:
            TypeError, ValueError: if JSON cannot carry `info`.
        """
        fields = {"id": self.id, "user": self.user, "info": self.info, "since": self.since}
        return jsontext.dumps(fields).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote."""
        return cls(**json.loads(data))
