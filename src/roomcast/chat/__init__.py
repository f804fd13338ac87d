"""The chat: what `roomcast serve` starts when it is given no app."""

from roomcast.chat.app import create_app

__all__ = ["create_app"]
