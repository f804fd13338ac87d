from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from roomcast import ConfigurationError, UnknownBroker
from roomcast.rooms.brokers.redis.url import Location, Settings, Tls

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("redis://host", Location(addresses=(("host", 6379),))),
        ("redis://host:1234/5", Location(addresses=(("host", 1234),), database=5)),
        ("redis://[::1]:1234", Location(addresses=(("::1", 1234),))),
        ("redis://[::1]", Location(addresses=(("::1", 6379),))),
        ("redis://:p%40%3A@host", Location(addresses=(("host", 6379),), password="p@:")),
        ("redis://me:p@ss@host", Location(addresses=(("host", 6379),), username="me", password="p@ss")),
        ("unix:///a/b.sock", Location(addresses=(), path="/a/b.sock")),
        ("unix://me:pw@/b.sock?db=2", Location("server", (), "/b.sock", database=2, username="me", password="pw")),
        ("rediss://host?tls_verify=no", Location(addresses=(("host", 6379),), tls=Tls(verify=False))),
        ("redis+cluster://a,b:1", Location("cluster", (("a", 6379), ("b", 1)))),
        ("rediss+cluster://a", Location("cluster", (("a", 6379),), tls=Tls())),
        ("redis+sentinel://a:1,b/main", Location("sentinel", (("a", 1), ("b", 26379)), name="main")),
        ("redis+sentinel://a/main/3", Location("sentinel", (("a", 26379),), name="main", database=3)),
        (
            "redis://host?timeout=1.5&presence_ttl=9&key_ttl=60&prefix=app",
            Location(addresses=(("host", 6379),), settings=Settings(1.5, 9.0, 60.0, "app")),
        ),
    ],
)
def test_a_url_says_where_redis_is(url: str, location: Location) -> None:
    assert Location.parse(url) == location
    assert location.password == "" or location.password not in f"{location!r} {location}"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://", "names no host"),
        ("redis://:secret@", "names no host"),
        ("redis://host:port", "has a port that is none"),
        ("redis://host:0", "has a port that is none"),
        ("redis://host/secret", "has a path that is no database's number"),
        ("redis://host/1/2", "has a path that is no database's number"),
        ("redis://a,b", "names several servers: redis\\+cluster:// and redis\\+sentinel:// do"),
        ("redis+cluster://a/1", "has a path: a cluster has one database only"),
        ("redis+sentinel://a", "does not say what the sentinels call the master"),
        ("unix://host/secret", "has no path of a socket"),
        ("unix://", "has no path of a socket"),
    ],
)
def test_a_url_that_names_none_is_told_what_would(url: str, told: str) -> None:
    with pytest.raises(UnknownBroker, match=f"{told}.*: write ") as caught:
        Location.parse(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://host?timeout=0", "timeout is a number of seconds"),
        ("redis://host?timeout=soon", "timeout is a number of seconds"),
        ("redis://host?presence_ttl=nan", "presence_ttl is a number of seconds"),
        ("redis://host?prefix=", "prefix is some characters"),
        ("redis://host?prefix={x}", "prefix is some characters"),
        ("redis://host?colour=red", "has no setting 'colour': there are key_ttl, prefix, presence_ttl, timeout"),
        ("redis://host?tls_ca=x", "has no setting 'tls_ca'"),
        ("rediss://host?tls_ca=/nosuch", "tls_ca names a file, and there is none of that name"),
        ("rediss://host?tls_verify=maybe", "tls_verify is yes or no"),
        ("unix:///s?db=x", "db is the number of a database"),
    ],
)
def test_a_setting_that_cannot_be_is_told(url: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Location.parse(url)


def test_a_certificate_comes_with_its_key(tmp_path: Path) -> None:
    (tmp_path / "cert").touch()
    with pytest.raises(ConfigurationError, match="tls_cert and tls_key belong together"):
        Location.parse(f"rediss://host?tls_cert={tmp_path}/cert")
