"""Whether a broker can be reached."""

from __future__ import annotations

import asyncio
import time

from roomcast.errors import BrokerInUse, BrokerUnavailable, ConfigurationError
from roomcast.rooms.brokers import broker_from_url
from roomcast.terminal.doctor.check import Check, Verdict

TIMEOUT = 5.0
"""How many seconds a broker has."""
SLOW = 0.05
"""From how many seconds on a question to a broker is slow: each publish waits for one."""
_ROOM = "roomcast doctor"


def broker(url: str) -> Check:
    """Open a broker, and ask it for the history of a room that nobody has."""
    name = "broker"
    scheme = url.partition("://")[0]
    try:
        seconds = asyncio.run(_ask(url))
    except BrokerInUse as error:
        return Check(name, Verdict.OK, f"{scheme}:// is in use: {str(error).partition(',')[0]}")
    except (BrokerUnavailable, ConfigurationError) as error:
        return Check(
            name,
            Verdict.FAILED,
            f"{scheme}:// cannot be had: {error}",
            wanted="a broker that answers",
            why="a server with it does not start, or cannot publish",
        )
    except TimeoutError:
        return Check(
            name,
            Verdict.FAILED,
            f"{scheme}:// gave no answer within {TIMEOUT:g} s",
            wanted="a broker that answers",
            why="a server with it does not start, or cannot publish",
            how="see that it runs, and that nothing between here and there drops packets, such as a firewall",
        )
    found = f"{scheme}:// answers in {seconds * 1e3:.1f} ms"
    if seconds < SLOW:
        return Check(name, Verdict.OK, found)
    return Check(
        name,
        Verdict.WARNING,
        found,
        wanted=f"{SLOW * 1e3:.0f} ms or less",
        why="each publish waits for it so long, and each member of other servers gets its message later",
        how="put it into the same data centre, and see what else it does",
    )


async def _ask(url: str) -> float:
    """Ask twice: what the first question costs once is not what each costs."""
    asked = broker_from_url(url)
    async with asyncio.timeout(TIMEOUT):
        await asked.open(lambda *_: None)
        try:
            await asked.history(_ROOM, limit=0)
            began = time.perf_counter()
            await asked.history(_ROOM, limit=0)
            return time.perf_counter() - began
        finally:
            await asked.close()
