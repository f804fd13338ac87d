"""`roomcast bench`: load on a schedule, and how long the answers take."""
