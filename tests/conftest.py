"""What holds for all tests."""

import signal

from hypothesis import settings

# How long one example takes says how busy the machine is, and nothing of the code.
settings.register_profile("roomcast", deadline=None)
settings.load_profile("roomcast")

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # As in the background of a shell. The programs that the tests start would inherit it, and some are tested with
    # SIGINT. A handler is not inherited; one that does nothing ignores the signal as well.
    signal.signal(signal.SIGINT, lambda *_: None)
