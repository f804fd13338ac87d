"""Keys and tokens of the tests."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

SECRET = "a secret of the tests, which has more than 32 bytes"
EVERYWHERE = {"*": ["join", "publish", "presence", "history"]}


@dataclass(frozen=True)
class Pair:
    """A private key and its public half."""

    private: Any
    algorithm: str

    @property
    def pem(self) -> bytes:
        return bytes(self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    @property
    def public_pem(self) -> bytes:
        public = self.private.public_key()
        return bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def jwk(self, kid: str | None, **more: Any) -> dict[str, Any]:
        kind = jwt.get_algorithm_by_name(self.algorithm)
        made: dict[str, Any] = kind.to_jwk(self.private.public_key(), as_dict=True)
        return made | ({} if kid is None else {"kid": kid}) | more

    def sign(self, claims: dict[str, Any], kid: str | None = None) -> str:
        return jwt.encode(claims, self.private, self.algorithm, headers=None if kid is None else {"kid": kid})


@cache
def rsa_pair(_name: str = "first", bits: int = 2048) -> Pair:
    """An RSA key of that name: making one takes long."""
    return Pair(rsa.generate_private_key(65537, bits), "RS256")


@cache
def ec_pair(_name: str = "first") -> Pair:
    return Pair(ec.generate_private_key(ec.SECP256R1()), "ES256")


def claims(user: str = "ada", **more: Any) -> dict[str, Any]:
    """Claims of a token that is good for an hour; those of None are left out."""
    full = {"sub": user, "exp": int(time.time()) + 3600, "rooms": EVERYWHERE} | more
    return {name: value for name, value in full.items() if value is not None}


def token(user: str = "ada", *, secret: str = SECRET, **more: Any) -> str:
    return jwt.encode(claims(user, **more), secret, "HS256")


def encode(part: Any) -> str:
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(header: Any, payload: Any, key: bytes | None = None) -> str:
    """A token as no library would make it: of any header, signed with HS256, or not at all."""
    signed = f"{encode(header)}.{encode(payload)}"
    signature = b"" if key is None else hmac.digest(key, signed.encode(), hashlib.sha256)
    return f"{signed}.{encode(signature)}"
