"""The broker on NATS with JetStream: durable, for many processes."""

from roomcast.rooms.brokers.nats.broker import NatsBroker

__all__ = ["NatsBroker"]
