"""What `roomcast serve` does once it knows what is wanted: find the app, listen, run uvicorn.

Every mistake of the user's is a `roomcast.errors.ConfigurationError` whose message is one line, for
`roomcast.cli` to print.
"""
