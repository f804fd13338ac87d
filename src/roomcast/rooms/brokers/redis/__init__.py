"""The broker of many processes on Redis: alone, as a cluster, or watched by sentinels."""

from roomcast.rooms.brokers.redis.broker import RedisBroker

__all__ = ["RedisBroker"]
