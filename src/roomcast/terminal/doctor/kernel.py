"""The kernel's limits: what each means for a server with many connections."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from roomcast.terminal.doctor.check import Check, Verdict
from roomcast.terminal.files import SPARE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BACKLOG = 2048
"""How many connections our server has the kernel keep waiting until it takes them."""
KERNEL_BYTES = 4096
"""What a quiet connection takes of the kernel's memory for TCP, about."""
PAGE = 4096


def kernel(connections: int, proc: Path) -> Iterator[Check]:
    """Look at the limits.

    Args:
        connections: how many connections one server is to have.
        proc: where the kernel's files are: /proc.
    """
    yield descriptors(connections)
    if not (proc / "sys/net").is_dir():
        yield Check("kernel", Verdict.UNKNOWN, f"there is no {proc}/sys/net: only Linux tells of its limits there")
        return
    yield _backlog(proc)
    yield _half_open(proc)
    yield _ports(connections, proc)
    yield _conntrack(connections, proc)
    yield _memory(connections, proc)


def descriptors(connections: int) -> Check:
    """Look at how many file descriptors a process may have: each connection is one."""
    name = "file descriptors"
    if sys.platform == "win32":
        return Check(name, Verdict.UNKNOWN, "Windows has no such limit")
    import resource  # noqa: PLC0415  # there is none on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + SPARE
    found = f"{_number(soft)} (up to {_number(hard)})"
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return Check(name, Verdict.OK, found)
    raisable = hard == resource.RLIM_INFINITY or hard >= needed
    return Check(
        name,
        Verdict.FAILED,
        found,
        wanted=f"{needed:,} or more",
        why=f"each connection is one; after about {max(0, soft - SPARE):,} the server can accept none",
        how=f"ulimit -n {needed} before the start"
        + ("" if raisable else ", as root")
        + f"; for a systemd unit: LimitNOFILE={needed}",
    )


def _backlog(proc: Path) -> Check:
    found = _read(proc, "net/core/somaxconn")
    return _at_least(
        "somaxconn",
        found,
        BACKLOG,
        name="net.core.somaxconn",
        why="when many come back at once, as after a restart, the kernel turns away whom the server has not taken",
    )


def _half_open(proc: Path) -> Check:
    found = _read(proc, "net/ipv4/tcp_max_syn_backlog")
    return _at_least(
        "SYN backlog",
        found,
        BACKLOG,
        name="net.ipv4.tcp_max_syn_backlog",
        why="so many handshakes of TCP can be under way; what is over them has to try again, a second later",
    )


def _ports(connections: int, proc: Path) -> Check:
    name = "port range"
    found = _read(proc, "net/ipv4/ip_local_port_range")
    if len(found) != 2:
        return Check(name, Verdict.UNKNOWN, "the kernel does not tell")
    count = found[1] - found[0] + 1
    said = f"{found[0]} to {found[1]}: {count:,} ports"
    if count >= connections:
        return Check(name, Verdict.OK, said)
    return Check(
        name,
        Verdict.WARNING,
        said,
        wanted="1024 to 65535",
        why=(
            f"it does not bind a server, but a proxy on this machine can have no more than {count:,} connections "
            "to one address and port of it, and roomcast bench neither"
        ),
        how=_sysctl("net.ipv4.ip_local_port_range", "1024 65535")
        + "; beyond that, more upstream ports or addresses, or a Unix socket",
    )


def _conntrack(connections: int, proc: Path) -> Check:
    name = "conntrack"
    found = _read(proc, "net/netfilter/nf_conntrack_max")
    if not found:
        return Check(name, Verdict.OK, "not in use")
    used = (_read(proc, "net/netfilter/nf_conntrack_count") or [0])[0]
    needed = 2 * connections  # behind a proxy on the same machine each has two
    said = f"{found[0]:,} connections are tracked at the most, {used:,} are"
    if found[0] - used >= needed:
        return Check(name, Verdict.OK, said)
    return Check(
        name,
        Verdict.WARNING,
        said,
        wanted=f"{needed + used:,} or more",
        why="what comes when the table is full is dropped (“nf_conntrack: table full” in the kernel's log)",
        how=_sysctl("net.netfilter.nf_conntrack_max", _round_up(needed + used)),
    )


def _memory(connections: int, proc: Path) -> Check:
    name = "TCP memory"
    found = _read(proc, "net/ipv4/tcp_mem")
    if len(found) != 3:
        return Check(name, Verdict.UNKNOWN, "the kernel does not tell")
    pressure = found[1] * PAGE
    needed = connections * KERNEL_BYTES
    said = f"{_mib(pressure)} before the kernel becomes sparing, {_mib(found[2] * PAGE)} at the most"
    if pressure >= needed:
        return Check(name, Verdict.OK, said)
    pages = _round_up(needed // PAGE)
    return Check(
        name,
        Verdict.WARNING,
        said,
        wanted=f"{_mib(needed)} or more",
        why=f"{connections:,} quiet connections take about that; with less, the kernel shortens buffers and drops",
        how=_sysctl("net.ipv4.tcp_mem", f"{pages} {pages * 4 // 3} {pages * 2}"),
    )


def _at_least(what: str, found: list[int], wanted: int, *, name: str, why: str) -> Check:
    if not found:
        return Check(what, Verdict.UNKNOWN, "the kernel does not tell")
    if found[0] >= wanted:
        return Check(what, Verdict.OK, f"{found[0]:,}")
    return Check(
        what,
        Verdict.WARNING,
        f"{found[0]:,}",
        wanted=f"{wanted:,} or more",
        why=why,
        how=_sysctl(name, 2 * wanted),
    )


def _sysctl(name: str, value: int | str) -> str:
    """Say how to set one of the kernel's variables, now and for good."""
    return f"sysctl -w {name}='{value}'; to last, {name} = {value} in /etc/sysctl.d/99-roomcast.conf"


def _read(proc: Path, name: str) -> list[int]:
    """Read the numbers of a file of the kernel's; none where there is no such file."""
    try:
        return [int(word) for word in (proc / "sys" / name).read_text().split()]
    except (OSError, ValueError):
        return []


def _number(limit: int) -> str:
    return "no limit" if limit < 0 or limit >= 1 << 62 else f"{limit:,}"


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"


def _round_up(value: int) -> int:
    power = 1024
    while power < value:
        power *= 2
    return power
