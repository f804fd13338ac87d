"""Rooms: members, publications, history and presence, for any ASGI app on any ASGI server."""

from roomcast.rooms.brokers.base import Broker
from roomcast.rooms.events import Encoder, Joined, Left, RoomEvent, publications_only
from roomcast.rooms.member import Member, MemberStats
from roomcast.rooms.nodes import NodeInfo
from roomcast.rooms.outlet import AsgiOutlet, Outlet
from roomcast.rooms.presence import Presence
from roomcast.rooms.publication import Position, Publication
from roomcast.rooms.retention import Retention
from roomcast.rooms.rooms import Rooms

__all__ = [
    "AsgiOutlet",
    "Broker",
    "Encoder",
    "Joined",
    "Left",
    "Member",
    "MemberStats",
    "NodeInfo",
    "Outlet",
    "Position",
    "Presence",
    "Publication",
    "Retention",
    "RoomEvent",
    "Rooms",
    "publications_only",
]
