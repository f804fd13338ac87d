"""Real-time WebSockets for ASGI."""
