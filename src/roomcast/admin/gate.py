"""Gate: who shows the token is an operator."""

from __future__ import annotations

import time
from collections import OrderedDict
from hmac import compare_digest
from typing import TYPE_CHECKING

from roomcast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_FAILURES = 10
"""How many wrong tokens may come from one address within `FORGET_SECONDS`. Then even the right one is refused."""
FORGET_SECONDS = 60.0
"""How long after its first wrong token an address begins anew."""
MOST_ADDRESSES = 10_000
"""Of how many addresses it is known that wrong tokens came from them: of those that came last."""


class Gate:
    """Compares tokens, and bounds how many an address can try.

    Args:
        token: the right one.
        clock: a monotonic clock, in seconds.

    Raises:
        ConfigurationError: if the token is empty.
    """

    def __init__(self, token: str, clock: Callable[[], float] = time.monotonic) -> None:
        if not token:
            raise ConfigurationError("the operator's page needs a token of one character or more")
        self._token = token.encode()
        self._clock = clock
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """By address: when the first of its wrong tokens came, and how many came since."""

    def has_closed_for(self, address: str) -> bool:
        """Whether too many wrong tokens came from this address lately."""
        since, failures = self._failures.get(address, (0.0, 0))
        if failures and self._clock() - since >= FORGET_SECONDS:
            del self._failures[address]
            return False
        return failures >= MOST_FAILURES

    def opens(self, address: str, token: str) -> bool:
        """Say whether the token is right, in a time that tells nothing of how much of it is."""
        if self.has_closed_for(address):
            return False
        if compare_digest(token.encode("utf-8", "surrogatepass"), self._token):
            self._failures.pop(address, None)
            return True
        since, failures = self._failures.get(address, (self._clock(), 0))
        self._failures[address] = since, failures + 1
        self._failures.move_to_end(address)
        if len(self._failures) > MOST_ADDRESSES:
            self._failures.popitem(last=False)
        return False
