"""Has two nodes and a Redis live through much for long, and looks at what became of them: `make soak`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from tests.soak.plot import draw
from tests.soak.soak import LONG, Result, soak
from tests.soak.verdict import LEAST, mib, of_descriptors, of_memory

NOTHING = "Nothing was lost. Redis has what was said in the last minute, and its keys"
"""What the plot says where there are no problems."""


@click.command()
@click.option("--minutes", default=60.0, show_default=True, help="For how long.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("build/soak.svg"),
    show_default=True,
    help="Where the plot goes.",
)
def main(minutes: float, report: Path) -> None:
    """Have members join, leave, publish, stall and come back on two nodes that break, and see what that leaves."""
    result = asyncio.run(soak(minutes * 60, LEAST, _tell))
    for name, looks in result.watch.rests.items():
        memory, descriptors = of_memory(looks), of_descriptors(looks)
        click.echo(
            f"{name} at rest: {mib(memory.early)} to {mib(memory.late)} MiB, "
            f"{descriptors.early:g} to {descriptors.late:g} file descriptors"
        )
    found = result.problems(LONG)
    report.parent.mkdir(parents=True, exist_ok=True)
    title = f"Two nodes and a Redis, for {result.watch.seconds / 60:.0f} minutes"
    report.write_text(draw(result.watch, title, _told(result, found)), encoding="utf-8")
    click.echo(f"the plot is in {report}")
    if found:
        raise click.ClickException("\n".join(found))
    click.echo("nothing was lost, and nobody has grown by more than they may")


def _told(result: Result, found: list[str]) -> list[str]:
    done = ", ".join(f"{count:,} {what}" for what, count in result.done.items())
    outcome = f"{len(found)} problems: {found[0]}" if found else NOTHING
    return [
        f"{result.episodes} episodes: {done}.",
        f"{outcome.partition(chr(10))[0]}. Made by: make soak",
    ]


def _tell(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
