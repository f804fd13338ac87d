"""Fuzzes what reads tokens: where in a request they are, their verification, sets of keys, and what is logged.

    make fuzz TARGETS=tokens

The first byte of an input chooses what reads the rest. Nothing but a refusal in words may come of what is no good,
and nobody may come in with what was not signed; no words hold a part of the token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import sys
from pathlib import Path

import atheris
from starlette.requests import HTTPConnection

with atheris.instrument_imports(include=["roomcast.auth", "roomcast.redaction", "jwt"]):
    from roomcast.auth import EVERYTHING, Identity, SecretKey, TokenAuthenticator
    from roomcast.auth.jwks import KeySet
    from roomcast.auth.tokens import TokenPlaces
    from roomcast.errors import ConfigurationError, Unauthenticated
    from roomcast.redaction import REDACTED, loggable

SECRET = b"the secret of the fuzzer, of more than 32 bytes"
AUTHENTICATOR = TokenAuthenticator(SecretKey(SECRET))
PLACES = TokenPlaces()


def identify(token: str) -> Identity | None:
    """Have a token verified; its verification waits for nothing."""
    verifying = AUTHENTICATOR.identify(token)
    try:
        verifying.send(None)
    except StopIteration as returned:
        identity = returned.value
        assert isinstance(identity, Identity)
        return identity
    except Unauthenticated as refusal:
        said = str(refusal)
        assert len(said.encode()) <= 123, said
        assert not any(len(part) > 12 and part in said for part in token.split(".")), said
        return None
    raise AssertionError("it waits")


def encode(part: bytes) -> bytes:
    """Write a part of a token."""
    return base64.urlsafe_b64encode(part).rstrip(b"=")


def signature(signed: bytes) -> bytes:
    """Sign a token."""
    return encode(hmac.digest(SECRET, signed, hashlib.sha256))


def fuzz_token(data: bytes) -> None:
    """Read a token as it comes: whoever it lets in has one that is signed."""
    token = data.decode("latin-1")
    if identify(token) is not None:
        signed, _, end = data.rpartition(b".")
        assert end.rstrip(b"=") == signature(signed)


def fuzz_claims(data: bytes) -> None:
    """Read a token of any header and any claims, which is signed: what it lets do is only what it says."""
    header, _, claims = data.partition(b"\n")
    signed = encode(header) + b"." + encode(claims)
    identity = identify((signed + b"." + signature(signed)).decode())
    if identity is not None:
        assert identity.user
        assert identity.user.isprintable() or not any(ord(character) < 32 for character in identity.user)
        for action in EVERYTHING:
            assert identity.may(action, "general") <= (
                action in claims.decode(errors="replace") or b"\\u" in claims
            )


def fuzz_places(data: bytes) -> None:
    """Look for a token in a query and in headers: where there is one in the query, it is not logged."""
    query, *lines = data.split(b"\n")
    headers = [(name.lower(), value) for name, _, value in (line.partition(b":") for line in lines)]
    scope = {"type": "websocket", "query_string": query, "headers": headers}
    found = PLACES.find(HTTPConnection(scope))
    assert found is None or found
    if PLACES.find(HTTPConnection({**scope, "headers": []})) is not None:
        assert loggable(query.decode("latin-1")) == REDACTED


def fuzz_keys(data: bytes) -> None:
    """Read a JWKS."""
    try:
        keys = KeySet(data, secrets=True)
    except ConfigurationError:
        return
    for algorithm in ("HS256", "RS256", "ES256"):
        assert all(key.algorithm_name == algorithm for key in keys.find("k", algorithm))


def fuzz(data: bytes) -> None:
    """Take one input."""
    if not data:
        return
    read = (fuzz_token, fuzz_claims, fuzz_places, fuzz_keys)[data[0] % 4]
    read(data[1:])


if __name__ == "__main__":
    seeds = str(Path(__file__).with_name("corpus") / "tokens")
    logging.disable()  # of keys that are left out
    atheris.Setup([*sys.argv, seeds], fuzz)
    atheris.Fuzz()
