"""Connection: one connection to a NATS server, by nats-py. Nothing else here knows that library.

What comes is handed over in the order in which it came, as it is read: nats-py's own way, a queue and a task for
each subscription, would let the answer to a publish overtake the publication, and cost a task for each room.
"""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoServersError

from roomcast.errors import BrokerUnavailable, ConfigurationError
from roomcast.rooms.brokers.nats.failures import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from roomcast.rooms.brokers.nats.url import Location

PENDING_BYTES = 64 << 20
"""How many bytes may wait to be written: more than the broker ever has under way."""
NO_HEADERS: Mapping[str, str] = {}


class Message(NamedTuple):
    """What came.

    Attributes:
        number: of the subscription that it came by.
        subject: what it was sent to; of what is read from a stream, what it was stored under.
        reply: where an answer would go.
        data: what it says.
        headers: what is said beside it.
    """

    number: int
    subject: str
    reply: str
    data: bytes
    headers: Mapping[str, str]


class Connection(Client):
    """One connection, which is not renewed once it is lost.

    Args:
        receive: is given each message, in the order in which they come; returns without waiting.
        lost: is called once when the connection is over, whoever ended it.
    """

    def __init__(self, receive: Callable[[Message], None], lost: Callable[[], None]) -> None:
        super().__init__()
        self._hand_over = receive
        self._tell_lost = lost
        self._trouble: Exception | None = None
        self.forbidden = ""
        """What the server said that this user may not do, "" for nothing."""

    async def open(self, location: Location, host: str, port: int) -> None:
        """Connect to one server.

        Raises:
            BrokerUnavailable: it did not answer, or does not let this one in.
            ConfigurationError: what is needed for it is not there.
        """
        options: dict[str, Any] = {}
        if location.user:
            options |= {"user": location.user, "password": location.password}
        elif location.token:
            options["token"] = location.token
        if location.credentials is not None:
            options["user_credentials"] = str(location.credentials)
        if location.secure:
            options |= {"tls": _context(location), "tls_hostname": host}
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            await self.connect(
                servers=[f"{'tls' if location.secure else 'nats'}://{address}"],
                name="roomcast",
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=10,  # whoever calls has a shorter one
                ping_interval=3600,  # and sees by itself whether the server is still there
                pending_size=PENDING_BYTES,
                skip_subject_validation=True,  # a room's subject cannot have what it looks for
                error_cb=self._note_trouble,
                closed_cb=self._note_closed,
                **options,
            )
        except NoServersError:
            raise Unreachable(f"NATS at {address} cannot be reached: {_told(self._trouble)}") from None
        except ImportError as error:
            raise ConfigurationError(
                f"nats://: credentials are signed with the package nkeys, which is not installed ({error}): "
                "pip install nkeys"
            ) from None
        except (NatsError, OSError) as error:
            raise _refused(address, location, error) from None

    async def send(
        self, subject: str, data: bytes = b"", reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Send a message.

        Raises:
            Unreachable: the connection is over.
        """
        try:
            await self.publish(subject, data, reply, headers)
        except (NatsError, OSError, AttributeError) as error:  # the last where it is being closed
            raise Unreachable(f"the connection to NATS is over: {_told(error)}") from None

    async def hear(self, subject: str) -> int:
        """Subscribe to a subject; returns what to give to `ignore`.

        Raises:
            Unreachable: the connection is over.
        """
        try:
            subscription = await self.subscribe(subject)
        except (NatsError, OSError, AttributeError) as error:
            raise Unreachable(f"the connection to NATS is over: {_told(error)}") from None
        number: int = subscription._id  # it has no other name for itself
        return number

    async def ignore(self, number: int) -> None:
        """Unsubscribe; where the connection is over, so is the subscription."""
        if (subscription := self._subs.get(number)) is not None:
            with suppress(NatsError, OSError, AttributeError):
                await subscription.unsubscribe()

    def abort(self) -> None:
        """Cut the connection: who waits for a server that does not read is let go."""
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> None:
        """Stand in for what nats-py makes of a message, and queues: None tells it that nothing is to be queued."""
        self._hand_over(Message(sid, subject.decode(), reply.decode(), data, headers or NO_HEADERS))

    async def _note_trouble(self, error: Exception) -> None:
        self._trouble = error
        if "permissions violation" in str(error):
            self.forbidden = _told(error)

    async def _note_closed(self) -> None:
        self._tell_lost()


def _context(location: Location) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=location.tls_ca)
        if location.tls_cert is not None:
            context.load_cert_chain(location.tls_cert, location.tls_key)
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(f"nats+tls://: a certificate cannot be used: {error}") from None
    return context


def _refused(address: str, location: Location, error: Exception) -> BrokerUnavailable:
    told = _told(error)
    if "authorization" in told.lower():
        given = (
            f"user {location.user!r}"
            if location.user
            else "that token"
            if location.token
            else "those credentials"
            if location.credentials
            else "anybody without a user and password, or a token"
        )
        return BrokerUnavailable(
            f"NATS at {address} does not let {given} in: write them in the URL, as USER:PASSWORD@ or TOKEN@"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return BrokerUnavailable(
            f"NATS at {address} has a certificate that is not believed ({error.verify_message}): "
            "name who signed it by tls_ca"
        )
    if not location.secure and "tls" in told.lower():
        return BrokerUnavailable(f"NATS at {address} speaks TLS only: write nats+tls://")
    return Unreachable(f"NATS at {address} cannot be reached: {told}")


def _told(error: Exception | None) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return (str(error) or type(error).__name__).removeprefix("nats: ").strip("'\"") if error else "no reason given"
