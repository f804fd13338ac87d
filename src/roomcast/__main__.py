"""`python -m roomcast` is the `roomcast` command."""

from roomcast.cli import main

# The workers and the reloader import this module once more, under another name, and must not start anew.
if __name__ == "__main__":
    main()
