"""The broker in a file: durable, for one process."""

from roomcast.rooms.brokers.sqlite.broker import SqliteBroker

__all__ = ["SqliteBroker"]
