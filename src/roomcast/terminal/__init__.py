"""What the commands of the terminal do and show: `roomcast.cli` reads their options and calls this."""
