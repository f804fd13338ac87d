"""make bench-attacks: how long honest clients wait for each other's messages, while somebody attacks.

The server is `roomcast serve` as it is without options. The honest clients come from 127.0.0.1, and the attackers,
in a process that gives way to theirs, from 127.0.0.2.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.attackers import ATTACKS, Target, attacked
from benchmarks.honest import Room, percentile
from benchmarks.processes import Cores, Failed, ServerProcess, free_port, running

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

MEMBERS = 100
MESSAGES_PER_SECOND = 20.0
ATTACKERS = 5
MOST = 2.0
"""How many times the calm p99 it may be."""


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench-attacks", description=__doc__.splitlines()[0])
    parser.add_argument("--attacks", metavar="A,B", help=f"only these: of {','.join(ATTACKS)}")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each takes (8)")
    parser.add_argument("--members", type=int, default=MEMBERS, help=f"honest clients ({MEMBERS})")
    parser.add_argument("--attackers", type=int, default=ATTACKERS, help=f"attackers ({ATTACKERS})")
    return parser.parse_args()


def main() -> int:
    """Measure each attack beside the calm; 1 where one of them made the p99 more than twice as long."""
    chosen = options()
    names = chosen.attacks.split(",") if chosen.attacks else list(ATTACKS)
    cores = Cores.of_this_machine()
    failed = False
    print(f"{'attack':<20}{'calm p99':>10}{'p99':>10}{'times':>7}{'longest':>10}{'MB more':>9}  outcomes")
    for name in names:
        port = free_port()
        command = [
            *(str(Path(sys.executable).with_name("roomcast")), "serve", "--port", str(port)),
            *("--broker", "memory://", "--log-level", "critical"),
        ]
        with (
            tempfile.TemporaryDirectory() as directory,
            running(command, port, cores.server, directory) as server,
        ):
            os.sched_setaffinity(0, {cores.load})
            failed |= not asyncio.run(measure(name, server, chosen))
            os.sched_setaffinity(0, {cores.server, cores.load})
    return int(failed)


async def measure(name: str, server: ServerProcess, chosen: argparse.Namespace) -> bool:
    """Measure one attack, print a line, and say whether it did no harm."""
    room = Room(Target(server.port, source="127.0.0.1", path="/ws/chat?room=general"), chosen.members)
    await room.open()
    await room.talk(1.0, MESSAGES_PER_SECOND)
    room.delays.clear()
    await room.talk(chosen.seconds, MESSAGES_PER_SECOND)
    calm = percentile(room.delays, 0.99)
    room.delays.clear()
    before = server.begin_peak()
    ours, theirs = multiprocessing.Pipe(duplex=False)
    attacker = multiprocessing.get_context("spawn").Process(
        target=attack, args=(name, server.port, chosen.attackers, chosen.seconds, theirs)
    )
    attacker.start()
    await asyncio.to_thread(ours.recv)
    await room.talk(chosen.seconds, MESSAGES_PER_SECOND)
    outcomes = await asyncio.to_thread(ours.recv)
    attacker.join()
    room.close()
    under = percentile(room.delays, 0.99)
    grown = (server.usage().peak - before) / 1e6
    told = ", ".join(f"{outcome}: {count}" for outcome, count in sorted(outcomes.items()))
    print(
        f"{name:<20}{calm * 1e3:>8.2f}ms{under * 1e3:>8.2f}ms{under / calm:>7.2f}{max(room.delays) * 1e3:>8.1f}ms"
        f"{grown:>9.1f}  {told}",
        flush=True,
    )
    return under <= calm * MOST


def attack(name: str, port: int, attackers: int, seconds: float, told: Connection) -> None:
    """Attack in a process of its own, which tells when it begins, and what came of it."""
    # Whoever else wants the core has it at once: the honest are not to wait for who attacks them, on one machine.
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    target = Target(port)
    told.send(None)
    asyncio.run(attacked(target, ATTACKS[name], attackers, seconds))
    told.send(dict(target.outcomes))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(f"make bench-attacks: {error}")
