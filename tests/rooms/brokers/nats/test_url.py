from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from roomcast import ConfigurationError, UnknownBroker
from roomcast.rooms.brokers import broker_from_url, check_broker_url, serves_many_processes
from roomcast.rooms.brokers.nats import NatsBroker, broker
from roomcast.rooms.brokers.nats.url import Location

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from pathlib import Path


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("nats://localhost", Location()),
        ("nats://localhost:4222/", Location()),
        ("nats://one:1,two", Location((("one", 1), ("two", 4222)))),
        ("nats://[::1]:1,[fe80::2]", Location((("::1", 1), ("fe80::2", 4222)))),
        ("nats://u:p%40:s@localhost", Location(user="u", password="p@:s")),
        ("nats://t%2Fk@localhost", Location(token="t/k")),
        ("nats+tls://localhost", Location(secure=True)),
        (
            "nats://localhost?prefix=app-1&replicas=3&timeout=1.5&presence_ttl=2&key_ttl=60",
            Location(prefix="app-1", replicas=3, timeout=1.5, presence_ttl=2.0, key_ttl=60.0),
        ),
    ],
)
def test_a_url_says_where_as_whom_and_how(url: str, location: Location) -> None:
    assert Location.parse(url) == location


def test_files_are_named_in_the_query(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).touch()
    location = Location.parse(
        f"nats+tls://h?tls_ca={tmp_path}/a&tls_cert={tmp_path}/b&tls_key={tmp_path}/c&credentials={tmp_path}/d"
    )
    assert [location.tls_ca, location.tls_cert, location.tls_key, location.credentials] == [
        tmp_path / name for name in ("a", "b", "c", "d")
    ]


@pytest.mark.parametrize(
    "url", ["nats://", "nats://:4222", "nats://h:port", "nats://h:0", "nats://h/db", "nats://@h"]
)
def test_a_url_that_names_no_server_is_told_what_would(url: str) -> None:
    with pytest.raises(UnknownBroker, match="write nats://"):
        check_broker_url(url)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("nosuch=1", "no setting 'nosuch': there are prefix, replicas, timeout, presence_ttl"),
        ("prefix=a.b", "prefix is 1 to 64 letters, digits, - and _, not 'a.b'"),
        ("replicas=2", "replicas is 1, 3 or 5, not '2'"),
        ("timeout=0", "timeout is a number of seconds from 0.1 to 60, not '0'"),
        ("timeout=nan", "timeout is a number of seconds"),
        ("presence_ttl=soon", "presence_ttl is a number of seconds from 0.5 to 3600, not 'soon'"),
        ("credentials=/nosuch", "credentials is a file that is there, not '/nosuch'"),
        ("tls_ca=/etc/hostname", r"tls_ca, tls_cert and tls_key are for nats\+tls://"),
    ],
)
def test_a_setting_that_cannot_be_is_told_what_can(setting: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        check_broker_url(f"nats://localhost?{setting}")


def test_a_certificate_has_a_key() -> None:
    with pytest.raises(ConfigurationError, match="tls_cert and tls_key belong together"):
        check_broker_url("nats+tls://localhost?tls_cert=/etc/hostname")


@pytest.mark.parametrize("url", ["nats://u:hunter2@", "nats://hunter2@h:x", "nats://u:hunter2@h?nosuch=1"])
def test_a_password_in_a_url_is_never_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_broker_url(url)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(Location.parse("nats://u:hunter2@h"))
    assert "hunter2" not in repr(Location.parse("nats://hunter2@h"))


def test_it_serves_many_processes() -> None:
    assert isinstance(broker_from_url("nats://localhost"), NatsBroker)
    assert serves_many_processes("nats+tls://localhost")


def test_where_nats_py_is_not_installed_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(_name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(broker, "find_spec", not_found)
    with pytest.raises(ConfigurationError, match=r"nats-py: pip install 'roomcast\[nats\]'"):
        check_broker_url("nats://localhost")
