"""Keys: what the signature of a token is held against."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jwt import PyJWK
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import PyJWTError

from roomcast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

ALGORITHMS = ("HS256", "RS256", "ES256")
"""The algorithms of tokens that are known here (RFC 7518, section 3.1)."""
SECRET_BYTES = 32
"""How long a secret is at the least, so that it cannot be guessed from a token (RFC 7518, section 3.2)."""
RSA_BITS = 2048
"""How long an RSA key is at the least (RFC 7518, section 3.3)."""
MAX_KEY_FILE = 1 << 20
"""How many bytes a file of keys may have."""

_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth")
_LENGTH = "an RSA key has {} bits at the least, and this one {}"


class Keys(Protocol):
    """Where the keys of tokens come from."""

    @property
    def algorithms(self) -> Collection[str]:
        """The algorithms that there may be keys for."""

    async def find(self, kid: str | None, algorithm: str) -> Sequence[PyJWK]:
        """Give the keys that a token may have been signed with: none, where it names one that is not there.

        Args:
            kid: the key that the token names, None where it names none. It comes from a stranger.
            algorithm: the token's, one of `algorithms`.

        Raises:
            Undecided: if the keys cannot be had now.
        """


class OneKey:
    """One key, whatever a token calls it: what `SecretKey` and `PublicKey` are.

    Args:
        key: the key.
    """

    def __init__(self, key: PyJWK) -> None:
        self.key = key

    @property
    def algorithms(self) -> Collection[str]:
        """The one algorithm of the key."""
        return (str(self.key.algorithm_name),)

    async def find(self, kid: str | None, algorithm: str) -> Sequence[PyJWK]:  # noqa: ARG002
        """Give the key, if it is one of the algorithm: no other algorithm is ever tried with it."""
        return [self.key] if algorithm == self.key.algorithm_name else []

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key.algorithm_name}>"


class SecretKey(OneKey):
    """A secret that whoever makes tokens has as well (HS256).

    Args:
        secret: the secret; 32 random bytes, or their text, are a good one.

    Raises:
        ConfigurationError: if it is empty, or the public key that it was mistaken for.
    """

    def __init__(self, secret: str | bytes) -> None:
        self.secret = secret.encode(errors="surrogateescape") if isinstance(secret, str) else secret
        if not self.secret:
            raise ConfigurationError("a secret of tokens must not be empty: take 32 random bytes")
        encoded = base64.urlsafe_b64encode(self.secret).rstrip(b"=").decode()
        key = PyJWK({"kty": "oct", "k": encoded}, "HS256")
        key.Algorithm = _AnyLength(HMACAlgorithm.SHA256)
        try:
            key.Algorithm.prepare_key(key.key)
        except PyJWTError:
            raise ConfigurationError(
                "a secret of tokens cannot be a public key, which others know: give that as a key file"
            ) from None
        super().__init__(key)

    @property
    def is_short(self) -> bool:
        """Whether it is shorter than RFC 7518 wants, and so might be guessed from a token."""
        return len(self.secret) < SECRET_BYTES


class _AnyLength(HMACAlgorithm):
    """HMAC that leaves it to the settings to warn of a short secret, once, and not at each token."""

    def check_key_length(self, key: bytes) -> str | None:  # noqa: ARG002 - as PyJWT declares it
        return None


class PublicKey(OneKey):
    """The public half of a key that tokens are signed with: RSA (RS256), or P-256 (ES256).

    Args:
        pem: the key, or a certificate that holds it, in PEM.

    Raises:
        ConfigurationError: if it is none of these.
    """

    def __init__(self, pem: str | bytes) -> None:
        data = pem.encode() if isinstance(pem, str) else pem
        super().__init__(_public_key(data))


def key_file(path: str | Path) -> SecretKey | PublicKey:
    """Read a key of tokens from a file: a public key or certificate in PEM; whatever else is in it is a secret.

    White space around a secret does not count.

    Raises:
        ConfigurationError: if it cannot be read, or holds no key.
    """
    data = read_key_file(path)
    try:
        return PublicKey(data) if b"-----BEGIN" in data else SecretKey(data.strip())
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def read_key_file(path: str | Path) -> bytes:
    """Give what is in a file of keys.

    Raises:
        ConfigurationError: if it cannot be read, or is too big to be one.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_KEY_FILE + 1)
    except OSError as error:
        raise ConfigurationError(f"the key file {path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_KEY_FILE:
        raise ConfigurationError(f"the key file {path} has more than {MAX_KEY_FILE >> 20} MiB: it is no key")
    return data


def key_of(jwk: dict[str, Any]) -> PyJWK | None:
    """Make a key of a JWK, the public half of it; None for one that is not for the tokens of this server.

    Raises:
        ConfigurationError: for an RSA key that is too short to be safe.
        Exception: if it is none: PyJWT raises what it happens to stumble over.
    """
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        return None
    key = PyJWK({name: value for name, value in jwk.items() if name not in _PRIVATE})
    if key.algorithm_name not in ALGORITHMS:
        return None
    if key.algorithm_name == "HS256":
        key.Algorithm = _AnyLength(HMACAlgorithm.SHA256)
    elif key.algorithm_name == "RS256" and key.key.key_size < RSA_BITS:
        raise ConfigurationError(_LENGTH.format(RSA_BITS, key.key.key_size))
    return key


def _public_key(pem: bytes) -> PyJWK:
    try:
        from cryptography import x509  # noqa: PLC0415 - an extra of the package
        from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415
        from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415
        from jwt.algorithms import ECAlgorithm, RSAAlgorithm  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError("RS256 and ES256 need more packages: pip install 'roomcast[crypto]'") from None
    if b"PRIVATE KEY-----" in pem:
        raise ConfigurationError(
            "this is a private key, which only those need who make tokens: `openssl pkey -pubout` makes the "
            "public one of it"
        )
    try:
        certificate = b"-----BEGIN CERTIFICATE-----" in pem
        key = x509.load_pem_x509_certificate(pem).public_key() if certificate else load_pem_public_key(pem)
    except ValueError:
        raise ConfigurationError("this is no public key, and no certificate, in PEM") from None
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < RSA_BITS:
            raise ConfigurationError(_LENGTH.format(RSA_BITS, key.key_size))
        return PyJWK(RSAAlgorithm.to_jwk(key, as_dict=True), "RS256")
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1":
        return PyJWK(ECAlgorithm.to_jwk(key, as_dict=True), "ES256")
    raise ConfigurationError("a key of tokens is RSA (RS256), or of the curve P-256 (ES256)")
