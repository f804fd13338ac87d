"""What holds for all tests."""

from hypothesis import settings

# How long one example takes says how busy the machine is, and nothing of the code.
settings.register_profile("roomcast", deadline=None)
settings.load_profile("roomcast")
