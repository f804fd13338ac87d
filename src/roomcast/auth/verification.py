"""Verification: from a token to an identity, or to what is wrong with it in words."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import jwt
from jwt.exceptions import (
    DecodeError,
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuedAtError,
    InvalidIssuerError,
    InvalidSignatureError,
    InvalidSubjectError,
    MissingRequiredClaimError,
)

from roomcast.auth.identity import Identity
from roomcast.auth.keys import ALGORITHMS
from roomcast.auth.tokens import COOKIE, PARAMETER, TokenPlaces
from roomcast.errors import ConfigurationError, InvalidUserName, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from jwt import PyJWK
    from starlette.requests import HTTPConnection

    from roomcast.auth.keys import Keys

MAX_TOKEN = 8192
"""The longest token, in characters."""
MAX_KID = 255
"""The longest name of a key, in characters."""

NO_TOKEN = "no token: this server lets in who brings one"  # noqa: S105 - no secret
NO_JWT = "the token is no JWT: it may have been cut, or changed"
UNKNOWN_KEY = "the token names a key (kid) that this server does not know, or must name one"
WRONG_SIGNATURE = "the token's signature does not fit: it was made with another key, or changed"
WRONG_END = "the token's end (exp) is no time"
WRONG_BEGINNING = "the token's beginning (nbf) is no time"
WRONG_USER = "the token names nobody who can be a user: sub and name have 1 to 255 characters, and no controls"
WRONG_ROOMS = 'the token\'s rooms are not like {"team-*": ["join", "publish"]}'


class TokenAuthenticator:
    """Lets in who brings a JSON Web Token (RFC 7519) that is signed with a known key.

    `sub` is the user, and must be there; `name` the name to show; `exp` and `nbf` say when it holds; `rooms` says
    what may be done where: `{"team-*": ["join", "publish", "presence", "history"]}`.

    Args:
        keys: where keys come from: `SecretKey`, `PublicKey`, `JWKSFile`, `JWKSUrl`, asked in this order.
        audience: for whom a token must be (`aud`), one or several of them. Without one, a token must name none.
        issuer: from whom a token must be (`iss`); None for anybody who has a key.
        leeway: how many seconds the clock of who makes tokens may be ahead or behind.
        rooms: what a token without `rooms` allows; nothing unless given.
        parameter: the query parameter that may hold a token, None for none.
        cookie: the cookie that may hold a token, None for none.

    Raises:
        ConfigurationError: without any keys, or for a setting that cannot be.
    """

    def __init__(
        self,
        *keys: Keys,
        audience: str | Iterable[str] | None = None,
        issuer: str | None = None,
        leeway: float = 0,
        rooms: Mapping[str, Collection[str]] | None = None,
        parameter: str | None = PARAMETER,
        cookie: str | None = COOKIE,
    ) -> None:
        if not keys:
            raise ConfigurationError("a TokenAuthenticator needs keys, such as SecretKey(…)")
        if not leeway >= 0:
            raise ConfigurationError(f"leeway is {leeway}: it is a number of seconds, 0 or more")
        self._keys = keys
        self._algorithms = [name for name in ALGORITHMS if any(name in source.algorithms for source in keys)]
        self._audience = audience if audience is None or isinstance(audience, str) else tuple(audience)
        self._issuer = issuer
        self._leeway = leeway
        self._rooms = Identity("anybody", rooms=rooms or {}).rooms
        self._places = TokenPlaces(parameter, cookie)

    async def __call__(self, connection: HTTPConnection) -> Identity:
        """Say who makes a request.

        Raises:
            Unauthenticated: without a token, or with a bad one, and what is wrong with it.
            Undecided: if the keys cannot be reached.
        """
        token = self._places.find(connection)
        if token is None:
            raise Unauthenticated(NO_TOKEN)
        return await self.identify(token)

    async def identify(self, token: str) -> Identity:
        """Say whose token it is.

        Raises:
            Unauthenticated: if it is no good, and what is wrong with it.
            Undecided: if the keys cannot be reached.
        """
        kid, algorithm = self._header(token)
        tried = False
        for source in self._keys:
            if algorithm not in source.algorithms:
                continue
            for key in await source.find(kid, algorithm):
                tried = True
                claims = self._claims(token, key)
                if claims is not None:
                    return self._identity(claims)
        raise Unauthenticated(WRONG_SIGNATURE if tried else UNKNOWN_KEY)

    def _header(self, token: str) -> tuple[str | None, str]:
        """Give the key that the token names, and its algorithm, which this server takes."""
        if len(token) > MAX_TOKEN:
            raise Unauthenticated(f"the token is too long: {MAX_TOKEN} characters are the most")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise Unauthenticated(NO_JWT) from None
        kid, algorithm = header.get("kid"), header.get("alg")
        if algorithm not in self._algorithms:
            taken = ", ".join(self._algorithms)
            given = algorithm if algorithm in (*ALGORITHMS, "none") else "another algorithm"
            raise Unauthenticated(f"the token is signed with {given}, and this server takes {taken}")
        if kid is not None and len(kid) > MAX_KID:
            raise Unauthenticated("the token's name of its key (kid) is too long")
        return kid, algorithm

    def _claims(self, token: str, key: PyJWK) -> dict[str, Any] | None:
        """Give what the token says; None if it was not signed with this key."""
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[str(key.algorithm_name)],
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
                options={"require": ["sub"]},
            )
        except InvalidSignatureError:
            return None
        except Exception as error:  # noqa: BLE001 - whatever a token brings up, the token is at fault
            raise Unauthenticated(_told(error)) from None

    def _identity(self, claims: dict[str, Any]) -> Identity:
        name = claims.get("name")
        try:
            expires = None if "exp" not in claims else float(claims["exp"]) + self._leeway
        except OverflowError:
            raise Unauthenticated(WRONG_END) from None
        if expires is not None and not isfinite(expires):
            raise Unauthenticated(WRONG_END)
        try:
            name = name if isinstance(name, str) and name else None
            return Identity(claims["sub"], name, claims.get("rooms", self._rooms), expires, claims)
        except InvalidUserName:
            raise Unauthenticated(WRONG_USER) from None
        except ConfigurationError:
            raise Unauthenticated(WRONG_ROOMS) from None


_PROBLEMS: tuple[tuple[type[Exception], str], ...] = (
    (ExpiredSignatureError, "the token has expired: get a fresh one"),
    (ImmatureSignatureError, "the token is not valid yet"),
    (InvalidAudienceError, "the token is for another audience (aud)"),
    (InvalidIssuerError, "the token is from another issuer (iss)"),
    (InvalidIssuedAtError, "the token's time of issue (iat) is no time"),
    (InvalidSubjectError, "the token names no user: its sub is no text"),
)


def _told(error: Exception) -> str:
    """Say what is wrong in words of our own: PyJWT's may hold what is in the token."""
    if isinstance(error, MissingRequiredClaimError):
        return f"the token lacks the claim {error.claim}"
    if isinstance(error, DecodeError):  # of which PyJWT has no kinds
        for claim, words in (("(exp)", WRONG_END), ("(nbf)", WRONG_BEGINNING)):
            if claim in str(error):
                return words
    return next((words for kind, words in _PROBLEMS if isinstance(error, kind)), NO_JWT)
