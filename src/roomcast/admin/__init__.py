"""The operator's page: what all nodes do, live, and what an operator can do about it."""

from roomcast.admin.app import admin_app

__all__ = ["admin_app"]
