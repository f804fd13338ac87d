"""The report of a benchmark: one page of HTML, which needs nothing but itself."""

from __future__ import annotations

from html import escape
from importlib.metadata import version
from typing import TYPE_CHECKING

from roomcast.terminal.bench import plots
from roomcast.terminal.bench.result import PERCENTILES, ms
from roomcast.terminal.bench.show import headline

if TYPE_CHECKING:
    from roomcast.terminal.bench.result import Result

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --faint: #59636e; --line: #d0d7de; --page: #fff; --a: #0969da;
  --b: #bc4c00; --c: #8250df }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --faint: #9198a1; --line: #30363d; --page: #0d1117;
  --a: #4493f8; --b: #f0883e; --c: #ab7df8 } }
body { font: 15px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; color: var(--ink);
  background: var(--page); max-width: 900px; margin: 2.5rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: 0; overflow-wrap: anywhere } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
p { margin: .4rem 0 } .faint, td:first-child { color: var(--faint) } .doubt, .failure { font-weight: 600 }
.doubt { color: var(--b) } .failure { color: #d1242f }
table { border-collapse: collapse; font-variant-numeric: tabular-nums } th, td { padding: .25rem 1.2rem .25rem 0;
  text-align: right } th:first-child, td:first-child { text-align: left }
tr + tr { border-top: 1px solid var(--line) } .wide { overflow-x: auto }
@media (max-width: 600px) { body { margin: 1.25rem auto } th, td { padding-right: .8rem; white-space: nowrap } }
svg { width: 100%; height: auto } svg text { font: 12px system-ui, sans-serif; fill: var(--faint) }
.grid { stroke: var(--line) } .bar { fill: var(--a) }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round }
.l0 { stroke: var(--a) } .l1 { stroke: var(--b) } .l2 { stroke: var(--c) }
svg text.l0 { fill: var(--a) } svg text.l1 { fill: var(--b) } svg text.l2 { fill: var(--c) }
svg text { stroke: none }
"""


def report(result: Result, when: str) -> str:
    """Write the page.

    Args:
        result: what was measured.
        when: the date and time, as people read it.
    """
    said = [f'<p class="failure">{escape(failure)}</p>' for failure in result.failures()]
    said += [f'<p class="doubt">{escape(doubt)}</p>' for doubt in result.doubts()]
    per_second = result.latency.count / result.elapsed if result.elapsed else 0.0
    newline = "\n"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{escape(result.url)}: {escape(headline(result.plan))}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(result.url)}</h1>
<p>{escape(headline(result.plan))}</p>
<p class="faint">{escape(when)}, roomcast {escape(version("roomcast"))}. {per_second:,.0f} deliveries a second
  came, and this program used {result.cpu:.0%} of a core. A latency is counted from when its message was due.</p>
{newline.join(said)}
<h2>Percentiles</h2>
{_table(result)}
<h2>Latency over time</h2>
{plots.over_time(result)}
<h2>How often which latency came</h2>
{plots.histogram(result)}
<h2>Latency by percentile</h2>
{plots.by_percentile(result)}
</body>
</html>
"""


def _table(result: Result) -> str:
    heads = ["", *(f"p{percent:g}" for percent in PERCENTILES), "max", "of"]
    rows = ["".join(f"<th>{head}</th>" for head in heads)]
    for name, histogram in (
        ("latency", result.latency),
        ("sent late", result.lateness),
        ("handshake", result.opening),
    ):
        values = [*(ms(histogram.percentile(percent)) for percent in PERCENTILES), ms(histogram.highest)]
        cells = [name, *values, f"{histogram.count:,}"]
        rows.append("".join(f"<td>{cell}</td>" for cell in cells))
    lines = "\n".join(f"<tr>{row}</tr>" for row in rows)
    box = '<div class="wide" tabindex="0" role="region" aria-label="Percentiles">'
    return f"{box}\n<table>\n{lines}\n</table>\n</div>"
