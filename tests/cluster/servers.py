"""The servers of brokers, as tests of many nodes need them: broken in the same ways, and asked the same things."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.brokers.nats_server import NatsServer
from tests.brokers.redis_server import RedisServer, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import TypeAlias

    Server: TypeAlias = "Redis | Nats"


class Redis(RedisServer):
    """A Redis.

    Attributes:
        keeps_all: whether it has all that it acknowledged after it was killed.
    """

    keeps_all = True

    def subscriptions(self) -> int:
        """How many channels somebody is subscribed to."""
        return len(self.command("PUBSUB", "CHANNELS"))


class Nats(NatsServer):
    """A NATS whose streams are in files, and that tells of its clients.

    Attributes:
        keeps_all: as of Redis; nats-server 2.9 may lack the newest few, on a busy machine.
    """

    keeps_all = False

    def __init__(self, folder: Path) -> None:
        self._monitor = free_port()
        super().__init__(folder, f"http: 127.0.0.1:{self._monitor}")

    def subscriptions(self) -> int:
        """How many subscriptions all clients have together."""
        with urlopen(f"http://127.0.0.1:{self._monitor}/connz", timeout=5) as told:
            return sum(client["subscriptions"] for client in json.load(told)["connections"])


SERVERS: Mapping[str, type[Redis | Nats]] = {"redis": Redis, "nats": Nats}
"""The server of each broker of many processes."""


def url_at(server: Server, port: int, **settings: object) -> str:
    """Give the URL of a broker for a server that is reached through another port."""
    url = server.url.replace(f":{server.port}", f":{port}")
    return f"{url}{'&' if '?' in url else '?'}{urlencode(settings)}" if settings else url
