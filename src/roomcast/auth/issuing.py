"""Issuing: making a token, for trying out and for tests; the server itself makes none."""

from __future__ import annotations

import time
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jwt

from roomcast.auth.identity import EVERYTHING, Identity
from roomcast.auth.keys import SecretKey
from roomcast.errors import ConfigurationError


def make_token(
    key: str | bytes,
    user: str,
    *,
    rooms: Mapping[str, Collection[str]] | Sequence[str] = (),
    name: str | None = None,
    expires: float | None = 3600,
    audience: str | None = None,
    issuer: str | None = None,
    kid: str | None = None,
) -> str:
    """Make a token that `TokenAuthenticator` takes.

    Args:
        key: the secret; or a private key in PEM, of RSA or of the curve P-256.
        user: the user.
        rooms: patterns of room names, and what may be done there; of patterns alone, everything may.
        name: the name to show.
        expires: in how many seconds it ends; None for never.
        audience: for whom it is.
        issuer: from whom it is.
        kid: what the key is called in the JWKS of the server.

    Raises:
        ConfigurationError: for a key or a claim that cannot be.
        InvalidUserName: for a user or a name that cannot be.
    """
    granted = rooms if isinstance(rooms, Mapping) else dict.fromkeys(rooms, EVERYTHING)
    now = time.time()
    end = None if expires is None else now + expires
    identity = Identity(user, name, granted, end)
    claims: dict[str, Any] = {
        "sub": identity.user,
        "name": name,
        "iat": int(now),
        "exp": None if end is None else int(end),
        "aud": audience,
        "iss": issuer,
        "rooms": {room: list(map(str, actions)) for room, actions in identity.rooms.items()},
    }
    given = {claim: value for claim, value in claims.items() if value is not None}
    data = key.encode() if isinstance(key, str) else key
    signing, algorithm = _private_key(data) if b"-----BEGIN" in data else (SecretKey(data).key, "HS256")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a short secret warns whoever is to take such tokens
        return jwt.encode(given, signing, algorithm, headers=None if kid is None else {"kid": kid})


def _private_key(pem: bytes) -> tuple[Any, str]:
    try:
        from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415 - an extra of the package
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError("RS256 and ES256 need more packages: pip install 'roomcast[crypto]'") from None
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        raise ConfigurationError("tokens are signed with a private key in PEM, without a password") from None
    if isinstance(key, rsa.RSAPrivateKey):
        return key, "RS256"
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1":
        return key, "ES256"
    raise ConfigurationError("a key of tokens is RSA (RS256), or of the curve P-256 (ES256)")
