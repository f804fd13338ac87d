"""The broker's streams: how they are made, and whether those that are there will do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast.errors import BrokerUnavailable
from roomcast.rooms.brokers.nats.failures import (
    NAME_IN_USE,
    NOT_ENABLED,
    STREAM_NOT_FOUND,
    NobodyThere,
    Refused,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roomcast.rooms.brokers.nats.link import Link
    from roomcast.rooms.brokers.nats.stream import Stream
    from roomcast.rooms.brokers.nats.subjects import Subjects
    from roomcast.rooms.brokers.nats.url import Location

LEAST_AGE = 2 * 86400.0
"""How many seconds everything is stored at the least: an epoch of a day must not come twice."""
SAFE_REPLICAS = (2, 11)
"""From which version on the server lets one of two messages only be the next one, where a stream has replicas."""
SPANS = {"duplicate_window", "max_age"}
"""For how many nanoseconds a stream remembers what."""


class Found(NamedTuple):
    """The streams as they are.

    Attributes:
        created: when the log was made.
        age: for how many seconds it stores everything.
        presence_ttl: for how many seconds a sign of life is remembered.
    """

    created: str
    age: float
    presence_ttl: float


async def find_or_make(
    link: Link, location: Location, subjects: Subjects, log: Stream, members: Stream, nodes: Stream, age: float
) -> Found:
    """Find the three streams of a prefix, or make them.

    Args:
        link: the way to them.
        location: what the URL says.
        subjects: what they are called.
        log: the stream of publications.
        members: the stream of members.
        nodes: the stream of signs of life.
        age: for how many seconds any room keeps anything at the most.

    Raises:
        BrokerUnavailable: they cannot be made, or what is there is something else; it says what would help.
    """
    try:
        log_info = await _settle(log, location, _log_config(location, subjects, age))
        await _settle(members, location, _members_config(subjects))
        nodes_info = await _settle(nodes, location, _nodes_config(location, subjects))
    except NobodyThere:
        raise BrokerUnavailable(_not_enabled(location)) from None
    except Refused as error:
        if error.code in NOT_ENABLED:
            raise BrokerUnavailable(_not_enabled(location)) from None
        raise BrokerUnavailable(f"{location} cannot have the streams of {location.prefix!r}: {error}") from None
    if log_info["config"]["num_replicas"] > 1 and link.server_version < SAFE_REPLICAS:
        raise BrokerUnavailable(
            f"{location}: the stream {log.name!r} has replicas, on which this version of nats-server can take two "
            "publications for the same place: upgrade it to 2.11, or set the replicas to 1"
        )
    age = log_info["config"]["max_age"] / 1e9 or math.inf
    ttl = nodes_info["config"]["max_age"] / 1e9
    return Found(log_info["created"], age, ttl)


async def _settle(stream: Stream, location: Location, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Make the stream, or see to it that the one that is there will do; returns what it is.

    What is there may remember for longer than is wanted: another program, with other settings, may need it to.
    """
    config = _COMMON | {"name": stream.name} | dict(wanted)
    try:
        info = await stream.api("STREAM.INFO")
    except Refused as error:
        if error.code != STREAM_NOT_FOUND:
            raise
        try:
            return await stream.api("STREAM.CREATE", config | {"num_replicas": location.replicas})
        except Refused as conflict:
            if conflict.code != NAME_IN_USE:
                raise
            info = await stream.api("STREAM.INFO")  # another node was first
    there = info["config"]
    changes = {key: config[key] for key in SPANS & config.keys() if not _covers(there.get(key, 0), config[key])}
    for key, value in config.items():
        if key not in SPANS and there.get(key, _ABSENT.get(key)) != value:
            raise BrokerUnavailable(
                f"{location} has a stream {stream.name!r} that is none of Roomcast's: its {key} is "
                f"{there.get(key)!r}, not {value!r}; choose another prefix (?prefix=NAME), or remove it"
            )
    return await stream.api("STREAM.UPDATE", there | changes) if changes else info


def _covers(there: int, wanted: int) -> bool:
    """Whether a stream remembers for long enough; 0 is for ever."""
    return there == 0 or (wanted != 0 and there >= wanted)


_COMMON: dict[str, Any] = {
    "retention": "limits",
    "storage": "file",
    "discard": "new",
    "max_msgs": -1,
    "max_consumers": -1,
    "allow_direct": True,
    "deny_delete": False,
    "deny_purge": False,
}
_ABSENT: Mapping[str, Any] = {"allow_direct": False, "deny_delete": False, "deny_purge": False}


def _log_config(location: Location, subjects: Subjects, age: float) -> dict[str, Any]:
    source, destination = subjects.repeated
    return {
        "subjects": [subjects.logs, subjects.loss],
        "republish": {"src": source, "dest": destination},
        "max_msgs_per_subject": -1,
        "max_age": 0 if math.isinf(age) else int(max(age, LEAST_AGE) * 1e9),
        "duplicate_window": int(location.key_ttl * 1e9),
    }


def _members_config(subjects: Subjects) -> dict[str, Any]:
    return {"subjects": [subjects.presences], "discard": "old", "max_msgs_per_subject": 1, "max_age": 0}


def _nodes_config(location: Location, subjects: Subjects) -> dict[str, Any]:
    return {
        "subjects": [subjects.nodes, subjects.undertakers],
        "discard": "old",
        "max_msgs_per_subject": 1,
        "max_age": int(location.presence_ttl * 1e9),
    }


def _not_enabled(location: Location) -> str:
    return (
        f"{location} has no JetStream, which keeps the rooms: start nats-server with --jetstream, or with "
        "jetstream {} in its configuration"
    )
