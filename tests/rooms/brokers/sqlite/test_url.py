from __future__ import annotations

from pathlib import Path

import pytest

from roomcast import ConfigurationError, UnknownBroker
from roomcast.rooms.brokers import broker_from_url, check_broker_url, serves_many_processes
from roomcast.rooms.brokers.sqlite import SqliteBroker
from roomcast.rooms.brokers.sqlite.url import Location


@pytest.mark.parametrize(
    ("url", "path", "synchronous"),
    [
        ("sqlite:///rooms.db", "rooms.db", "full"),
        ("sqlite:///data/rooms.db", "data/rooms.db", "full"),
        ("sqlite:////var/lib/rooms.db", "/var/lib/rooms.db", "full"),
        ("sqlite:///rooms.db?synchronous=normal", "rooms.db", "normal"),
        ("sqlite:///rooms.db?synchronous=full", "rooms.db", "full"),
        ("sqlite:///what%3F%20and%20%C3%A9.db", "what? and é.db", "full"),
        ("sqlite:///C:/rooms.db", "C:/rooms.db", "full"),
    ],
)
def test_a_url_names_a_file_and_how_sure_a_commit_is(url: str, path: str, synchronous: str) -> None:
    assert Location.parse(url) == Location(Path(path), synchronous)
    assert isinstance(broker_from_url(url), SqliteBroker)
    assert not serves_many_processes(url)
    assert not Path(path).exists()


FORMS = "write sqlite:///FILE for a file below the current directory, or sqlite:////FILE"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite://rooms.db", f"takes no host: {FORMS}"),
        ("sqlite://me:hunter2@host/rooms.db", f"takes no host: {FORMS}"),
        ("sqlite://", f"takes no host: {FORMS}"),
        ("sqlite:///", f"names no file: {FORMS}"),
        ("sqlite:///folder/", f"names no file: {FORMS}"),
        ("sqlite:///a%00b", f"names no file: {FORMS}"),
        ("sqlite:///:memory:", "memory:// keeps them in memory"),
    ],
)
def test_a_url_that_names_no_file_is_told_what_would(url: str, told: str) -> None:
    with pytest.raises(UnknownBroker) as caught:
        check_broker_url(url)
    assert told in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("sync=off", "has no setting 'sync': there is synchronous"),
        ("synchronous=off", "synchronous is full or normal, not 'off'"),
        ("synchronous=", "synchronous is full or normal, not ''"),
    ],
)
def test_a_setting_that_cannot_be_is_told_what_can(query: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        check_broker_url(f"sqlite:///rooms.db?{query}")
