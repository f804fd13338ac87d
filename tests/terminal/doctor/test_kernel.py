"""The kernel's limits, as files in a folder say them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from roomcast.terminal.doctor import kernel as module
from roomcast.terminal.doctor.check import Check, Verdict
from roomcast.terminal.doctor.kernel import kernel
from roomcast.terminal.doctor.software import hot_path

if TYPE_CHECKING:
    from pathlib import Path

GOOD = {
    "net/core/somaxconn": "4096",
    "net/ipv4/tcp_max_syn_backlog": "4096",
    "net/ipv4/ip_local_port_range": "1024\t65535",
    "net/ipv4/tcp_mem": "98304\t131072\t196608",
}


def look(tmp_path: Path, **changed: str) -> dict[str, Check]:
    for name, text in (GOOD | {key.replace("__", "/"): text for key, text in changed.items()}).items():
        file = tmp_path / "sys" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return {check.name: check for check in kernel(10_000, tmp_path) if check.name != "file descriptors"}


def test_a_machine_that_is_set_up_has_nothing_to_set(tmp_path: Path) -> None:
    checks = look(tmp_path)
    assert {check.verdict for check in checks.values()} == {Verdict.OK}
    assert checks["conntrack"].found == "not in use"
    assert checks["port range"].found == "1024 to 65535: 64,512 ports"


@pytest.mark.parametrize(
    ("name", "file", "text", "how"),
    [
        (
            "somaxconn",
            "net__core__somaxconn",
            "128",
            "sysctl -w net.core.somaxconn='4096'; to last, net.core.somaxconn = 4096 in",
        ),
        ("SYN backlog", "net__ipv4__tcp_max_syn_backlog", "512", "net.ipv4.tcp_max_syn_backlog='4096'"),
        (
            "port range",
            "net__ipv4__ip_local_port_range",
            "32768 40000",
            "net.ipv4.ip_local_port_range='1024 65535'",
        ),
        ("conntrack", "net__netfilter__nf_conntrack_max", "16384", "net.netfilter.nf_conntrack_max='32768'"),
        ("TCP memory", "net__ipv4__tcp_mem", "2000 4000 8000", "net.ipv4.tcp_mem='16384 21845 32768'"),
    ],
)
def test_what_is_too_low_is_told_with_what_would_be_right_and_how(
    tmp_path: Path, name: str, file: str, text: str, how: str
) -> None:
    check = look(tmp_path, **{file: text})[name]
    assert check.verdict is Verdict.WARNING
    assert how in check.how
    assert "/etc/sysctl.d/99-roomcast.conf" in check.how
    assert check.why
    assert check.wanted


def test_what_is_tracked_already_counts(tmp_path: Path) -> None:
    full = {"net__netfilter__nf_conntrack_max": "30000", "net__netfilter__nf_conntrack_count": "29000"}
    assert look(tmp_path, **full)["conntrack"].verdict is Verdict.WARNING
    empty = {**full, "net__netfilter__nf_conntrack_count": "10"}
    assert look(tmp_path, **empty)["conntrack"].verdict is Verdict.OK


def test_what_the_kernel_does_not_tell_is_not_guessed(tmp_path: Path) -> None:
    checks = look(tmp_path, net__core__somaxconn="?", net__ipv4__tcp_mem="")
    assert checks["somaxconn"].verdict is Verdict.UNKNOWN
    assert checks["TCP memory"].verdict is Verdict.UNKNOWN
    (check,) = (check for check in kernel(10, tmp_path / "nowhere") if check.name != "file descriptors")
    assert check.verdict is Verdict.UNKNOWN


def test_too_few_file_descriptors_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    check = module.descriptors(2000)
    assert check.verdict is Verdict.FAILED
    assert check.found == "1,024 (up to 4,096)"
    assert check.wanted == "2,064 or more"
    assert "after about 960 the server can accept none" in check.why
    assert check.how == "ulimit -n 2064 before the start; for a systemd unit: LimitNOFILE=2064"
    assert "as root" in module.descriptors(10_000).how
    assert module.descriptors(900).verdict is Verdict.OK
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert module.descriptors(10**6).found == "no limit (up to no limit)"


def test_an_interpreted_hot_path_is_a_warning_that_says_how_to_compile_it() -> None:
    assert hot_path(is_compiled=True).verdict is Verdict.OK
    check = hot_path(is_compiled=False)
    assert check.verdict is Verdict.WARNING
    assert "C compiler" in check.how
