"""JWKS: the keys of tokens as their issuer publishes them (RFC 7517), in a file or at a URL."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jwt.exceptions import MissingCryptographyError

from roomcast import jsontext
from roomcast.auth.fetching import fetch
from roomcast.auth.keys import ALGORITHMS, key_of, read_key_file
from roomcast.auth.threads import Threads
from roomcast.complaints import Complaints
from roomcast.errors import ConfigurationError, Undecided

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from jwt import PyJWK

logger = logging.getLogger("roomcast.auth")

LIFESPAN = 300.0
"""For how many seconds the keys of a URL are used before they are fetched again."""
GRACE = 3600.0
"""For how many seconds they are used after that while the URL cannot be reached."""
FETCH_TIMEOUT = 4.0
"""How many seconds a fetch may take: less than an authenticator, so that the log says what was late."""
FETCHES = 3
"""How many fetches there may be in `FETCHES_WITHIN` seconds, whatever keys the tokens name."""
FETCHES_WITHIN = 30.0
MOST_KEYS = 256
"""How many keys a set may have."""


class KeySet:
    """The keys of one JWKS that tokens of this server may be signed with.

    Args:
        document: the JWKS, a JSON text.
        secrets: whether it may hold secrets (HS256), which what everybody can fetch may not.

    Raises:
        ConfigurationError: if it is none, or has no such key.
    """

    def __init__(self, document: bytes, *, secrets: bool) -> None:
        try:
            content = jsontext.loads(document.decode())
        except ValueError as error:
            raise ConfigurationError(f"this is no JWKS, because it is no JSON: {error}") from None
        listed = content.get("keys") if isinstance(content, dict) else None
        if not isinstance(listed, list) or len(listed) > MOST_KEYS:
            raise ConfigurationError(f'this is no JWKS: {{"keys": [...]}} with at most {MOST_KEYS} keys')
        keys = [key for jwk in listed if isinstance(jwk, dict) and (key := _usable(jwk)) is not None]
        self._keys = [key for key in keys if secrets or key.algorithm_name != "HS256"]
        if not self._keys:
            raise ConfigurationError(f"this JWKS has no key for tokens of {', '.join(ALGORITHMS)}")

    def find(self, kid: str | None, algorithm: str) -> list[PyJWK]:
        """Give the keys of the algorithm by the name that the token gives; for one without, the only key."""
        keys = [key for key in self._keys if key.algorithm_name == algorithm]
        if kid is None:
            return keys if len(keys) == 1 else []
        return [key for key in keys if key.key_id == kid]


class JWKSFile:
    """The keys in a file, which is read again when it has changed.

    Where what it has become is no JWKS, the keys from before go on, and that is logged.

    Args:
        path: the file.

    Raises:
        ConfigurationError: if it cannot be read now, or is no JWKS.
    """

    algorithms: Collection[str] = ALGORITHMS

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._complaints = Complaints(logger)
        self._version: tuple[int, int, int] | None = self._look()
        document = read_key_file(path)
        try:
            self._keys = KeySet(document, secrets=True)
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}: {error}") from None

    async def find(self, kid: str | None, algorithm: str) -> Sequence[PyJWK]:
        """Give the keys that a token may have been signed with."""
        version = self._look()
        if version != self._version:
            self._version = version
            try:
                self._keys = KeySet(read_key_file(self._path), secrets=True)
            except ConfigurationError as error:
                self._complaints.tell("the keys of tokens stay as they were: %s: %s", self._path, error)
        return self._keys.find(kid, algorithm)

    def _look(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


class JWKSUrl:
    """The keys at a URL: fetched when the first token comes, kept, and fetched again now and then.

    A token that names an unknown key has them fetched at once, as that is how keys change; but only a few times in
    half a minute, whatever strangers send. While the URL cannot be reached, the keys are used for an hour more;
    without any, tokens are refused with 503, and that is logged.

    Args:
        url: the URL, http or https, without a password in it.
        lifespan: for how many seconds keys are used before they are fetched again.
        grace: for how many seconds they are used after that while the URL cannot be reached.
        timeout: how many seconds a fetch may take.

    Raises:
        ConfigurationError: if it is no such URL.
    """

    algorithms: Collection[str] = ("RS256", "ES256")

    def __init__(
        self, url: str, *, lifespan: float = LIFESPAN, grace: float = GRACE, timeout: float = FETCH_TIMEOUT
    ) -> None:
        self._url = url
        self._place = _checked(url)
        self._lifespan = lifespan
        self._grace = grace
        self._timeout = timeout
        self._keys: KeySet | None = None
        self._fetched = 0.0
        self._tries: deque[float] = deque(maxlen=FETCHES)
        self._fetching: asyncio.Task[None] | None = None
        self._threads = Threads(FETCHES)
        self._complaints = Complaints(logger)

    async def find(self, kid: str | None, algorithm: str) -> Sequence[PyJWK]:
        """Give the keys that a token may have been signed with.

        Raises:
            Undecided: if there are none to choose from, because the URL cannot be reached.
        """
        found = self._find(kid, algorithm)
        if not found or self._age > self._lifespan:
            await self._refresh()
            found = self._find(kid, algorithm)
        if self._keys is None or self._age > self._lifespan + self._grace or (not found and self._is_failing):
            raise Undecided("the keys of tokens cannot be reached now: try again later")
        return found

    @property
    def _age(self) -> float:
        return time.monotonic() - self._fetched

    @property
    def _is_failing(self) -> bool:
        """Whether the last fetch brought nothing: whatever key it was for may be there by now."""
        return bool(self._tries) and self._tries[-1] > self._fetched

    def _find(self, kid: str | None, algorithm: str) -> list[PyJWK]:
        return [] if self._keys is None else self._keys.find(kid, algorithm)

    async def _refresh(self) -> None:
        """Fetch the keys, unless that was done too often; whoever comes meanwhile waits for the same fetch."""
        if self._fetching is None or self._fetching.done():
            now = time.monotonic()
            if len(self._tries) == FETCHES and now - self._tries[0] < FETCHES_WITHIN:
                return
            self._tries.append(now)
            self._fetching = asyncio.create_task(self._fetch())
        await asyncio.shield(self._fetching)

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                document = await self._threads.call(fetch, self._url, self._timeout)
            self._keys = KeySet(document, secrets=False)
        except TimeoutError:
            self._complaints.tell("the keys of tokens at %s did not come within %g s", self._place, self._timeout)
        except (OSError, ValueError) as error:
            self._complaints.tell("the keys of tokens at %s cannot be had: %s", self._place, error)
        else:
            self._fetched = time.monotonic()


def _checked(url: str) -> str:
    """Give the URL as it may be logged: a query may hold a secret."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigurationError("the URL of a JWKS is no URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError("the URL of a JWKS is https://HOST/PATH, or http:// for one on this machine")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("the URL of a JWKS has no user and no password: its keys are public")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{parts.path}"


def _usable(jwk: dict[str, Any]) -> PyJWK | None:
    try:
        return key_of(jwk)
    except MissingCryptographyError:
        raise ConfigurationError("RS256 and ES256 need more packages: pip install 'roomcast[crypto]'") from None
    except ConfigurationError as error:
        logger.warning("a key of a JWKS is left out: %s", error)
        return None
    except Exception:  # noqa: BLE001 - PyJWT raises what it happens to stumble over
        logger.debug("a key of a JWKS is left out, as it is none that is known here")
        return None
