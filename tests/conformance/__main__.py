"""Runs the Autobahn test suite against the server, on each event loop: `make conformance`."""

from __future__ import annotations

import asyncio
import os
import sys
import time

import click

from tests.conformance.report import table
from tests.conformance.suite import CLASS, GROUPS, QUICK, REPORTS, Run, copy_sources, execute, is_installed

SLOW = tuple((group,) for group in GROUPS if group not in QUICK)


@click.command()
@click.option("--loop", "loops", type=click.Choice(["uvloop", "asyncio"]), multiple=True, help="Only this loop.")
@click.option(
    "--group", "groups", type=click.Choice(list(map(str, GROUPS))), multiple=True, help="Only this group."
)
@click.option("--quick", is_flag=True, help="Only the groups that take seconds.")
@click.option("--interpreted", is_flag=True, help="Run the sources, also where they are compiled.")
@click.option("--jobs", default=os.cpu_count(), show_default=True, help="How many runs at a time.")
@click.option("--ws", default=CLASS, show_default=True, help="Another class for uvicorn to load, to compare.")
def main(
    loops: tuple[str, ...], groups: tuple[str, ...], quick: bool, interpreted: bool, jobs: int, ws: str
) -> None:
    """Run the Autobahn test suite against the server, all of it unless told otherwise."""
    if not is_installed():
        raise click.ClickException("the suite is not installed: scripts/install-autobahn, or make conformance")
    loops = loops or ("uvloop", "asyncio")
    parts = [tuple(map(int, groups))] if groups else [QUICK] if quick else [*reversed(SLOW), QUICK]
    sources = copy_sources(REPORTS) if interpreted else None
    runs = [Run(loop, part, sources, ws) for part in parts for loop in loops]
    asyncio.run(_execute(runs, jobs))
    for loop in loops:
        mine = [run for run in runs if run.loop == loop]
        server = f"{ws} on {loop}, Python {sys.version.split()[0]}"
        click.echo(f"\n{server}, {mine[0].build if ws == CLASS else 'to compare'}\n{table(mine)}")
    click.echo(f"\nThe suite's reports, with every byte of every case: {REPORTS}/*/index.html")
    if any(run.problems for run in runs):
        raise click.ClickException("not everything is as it should be: see above")
    click.echo(f"{sum(len(run.cases) for run in runs)} cases, all as they should be")


async def _execute(runs: list[Run], jobs: int) -> None:
    progress = asyncio.create_task(_tell_progress(runs))
    await execute(runs, jobs)
    progress.cancel()


async def _tell_progress(runs: list[Run]) -> None:
    start = time.monotonic()
    while True:
        await asyncio.sleep(10)
        seconds = int(time.monotonic() - start)
        active = "   ".join(f"{run.loop} {run.current}" for run in runs if run.current)
        waiting = sum(not run.build for run in runs)
        rest = f"   ({waiting} runs to come)" if waiting else ""
        click.echo(f"{seconds // 60:3}:{seconds % 60:02}   {active}{rest}")


if __name__ == "__main__":
    main()
