"""Has every fault happen, in its long form, round after round: `make faults`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import click

from tests.cluster.servers import SERVERS
from tests.faults.faults import COMMON, OF_REDIS, Fault, strike
from tests.faults.stage import NODES, set_up

FAULTS = {fault.__name__: fault for fault in COMMON + OF_REDIS}


@click.command()
@click.option("--rounds", default=1, show_default=True, help="How often each fault happens.")
@click.option(
    "--broker", "brokers", type=click.Choice(list(SERVERS)), multiple=True, help="Only with this broker."
)
@click.option("--fault", "names", type=click.Choice(list(FAULTS)), multiple=True, help="Only this fault.")
@click.option("--seconds", default=10.0, show_default=True, help="How long a fault lasts that ends by itself.")
@click.option("--nodes", default=NODES, show_default=True, help="How many nodes there are, at least two.")
def main(rounds: int, brokers: tuple[str, ...], names: tuple[str, ...], seconds: float, nodes: int) -> None:
    """Break brokers, nodes and the network between them under load, and check that nobody misses anything."""
    failed = 0
    for number in range(1, rounds + 1):
        for broker in brokers or tuple(SERVERS):
            possible = COMMON + OF_REDIS if broker == "redis" else COMMON
            chosen = [fault for fault in possible if not names or fault.__name__ in names]
            failed += asyncio.run(_round(f"{number}/{rounds} {broker}", broker, chosen, seconds, nodes))
    if failed:
        raise click.ClickException(f"{failed} faults were not survived: see above")
    click.echo("nothing was lost, nothing came twice, nothing out of order")


async def _round(title: str, broker: str, faults: list[Fault], seconds: float, nodes: int) -> int:
    """Have some faults happen on one stage, and count how many were not survived."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="roomcast-faults-") as folder:
        async with set_up(broker, Path(folder), outage=seconds, nodes=nodes) as stage:
            for fault in faults:
                start = time.monotonic()
                try:
                    told = await strike(stage, fault)
                except (AssertionError, TimeoutError) as error:
                    told = f"FAILED {error!r}"
                    failed += 1
                click.echo(f"{title} {fault.__name__}, {time.monotonic() - start:.1f} s: {told}")
                sys.stdout.flush()
    return failed


if __name__ == "__main__":
    main()
