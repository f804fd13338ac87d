"""`roomcast doctor` on this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from roomcast.protocol import compiled
from tests.cli.piped import complaint, roomcast
from tests.programs import Program

if TYPE_CHECKING:
    from pathlib import Path

import pytest

NAMES = ["versions", "extras", "hot path", "event loop", "file descriptors"]


def checks(*arguments: str, status: int = 0) -> dict[str, dict[str, str]]:
    done = roomcast("doctor", *arguments, "--json")
    assert done.returncode == status, done
    assert done.stderr == ""
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {check["name"]: check for check in found}


def test_it_looks_at_everything(tmp_path: Path) -> None:
    found = checks("--connections", "10", "--broker", f"sqlite:///{tmp_path}/rooms.db")
    assert list(found)[: len(NAMES)] == NAMES
    assert {"somaxconn", "port range", "conntrack", "TCP memory", "broker"} < found.keys()
    assert found["hot path"]["found"] == ("compiled" if compiled() else "interpreted")
    assert "uvicorn" in found["versions"]["found"]
    assert found["broker"]["found"].startswith("sqlite:// answers in ")


def test_a_person_reads_what_to_set() -> None:
    done = roomcast("doctor", "--connections", "9000000")
    assert done.returncode == 1
    assert "✗" in done.stdout
    text = " ".join(done.stdout.split())
    assert "file descriptors: 9,000,064 or more why each connection is one;" in text
    assert "how ulimit -n 9000064 before the start, as root; for a systemd unit: LimitNOFILE=9000064" in text


def test_a_broker_that_cannot_be_had_fails(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/missing/rooms.db"
    found = checks("--connections", "10", "--broker", url, status=1)["broker"]
    assert found["verdict"] == "failed"
    assert "does not exist" in found["found"]


def test_a_file_that_a_server_has_is_in_use_and_that_is_well(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/rooms.db"
    with Program.roomcast("serve", "--port", "0", "--broker", url) as server:
        server.wait_for_line("^Roomcast chat on ")
        found = checks("--connections", "10", "--broker", url)["broker"]
    assert found["verdict"] == "ok"
    assert f"belongs to process {server.pid}" in found["found"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--connections", "many"], "--connections: 'many' is no number of connections"),
        (["--broker", "nosuch://"], "--broker: the broker URL has scheme 'nosuch'"),
    ],
    ids=["connections", "broker"],
)
def test_what_cannot_be_asked_for_is_refused(arguments: list[str], problem: str) -> None:
    assert complaint("doctor", *arguments, status=2).startswith(problem)
