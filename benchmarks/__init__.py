"""The benchmark: what a WebSocket server costs, measured from outside. See docs/performance.md."""
