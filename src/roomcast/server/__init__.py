"""The WebSocket protocol on a transport, speaking ASGI."""
