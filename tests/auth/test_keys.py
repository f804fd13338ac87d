"""Keys from text and from files."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from roomcast.auth import PublicKey, SecretKey, TokenAuthenticator, key_file
from roomcast.errors import ConfigurationError
from tests.auth.signing import Pair, claims, ec_pair, rsa_pair, token

if TYPE_CHECKING:
    from pathlib import Path


def test_a_secret_may_be_short_and_says_so() -> None:
    assert SecretKey("secret").is_short
    assert SecretKey("x" * 31).is_short
    assert not SecretKey(b"x" * 32).is_short
    with pytest.raises(ConfigurationError, match="must not be empty"):
        SecretKey("")


async def test_a_short_secret_is_taken_without_a_warning_at_each_token() -> None:
    assert (await TokenAuthenticator(SecretKey("s")).identify(token_of_short_secret())).user == "ada"


def token_of_short_secret() -> str:
    from roomcast.auth import make_token  # noqa: PLC0415

    return make_token("s", "ada")


@pytest.mark.parametrize("pair", [rsa_pair(), ec_pair()], ids=["RS256", "ES256"])
async def test_a_file_has_a_public_key_a_certificate_or_a_secret(tmp_path: Path, pair: Pair) -> None:
    file = tmp_path / "key"
    file.write_bytes(pair.public_pem)
    assert (await TokenAuthenticator(key_file(file)).identify(pair.sign(claims()))).user == "ada"
    file.write_bytes(certificate(pair))
    assert (await TokenAuthenticator(key_file(file)).identify(pair.sign(claims()))).user == "ada"
    file.write_text("a secret of the tests, which has more than 32 bytes\n")
    assert (await TokenAuthenticator(key_file(file)).identify(token())).user == "ada"


def certificate(pair: Pair) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(pair.private.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(pair.private, hashes.SHA256())
    )
    return built.public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (rsa_pair().pem, "this is a private key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key, and no certificate"),
        (b"-----BEGIN NOTHING-----", "no public key"),
        (rsa_pair(bits=1024).public_pem, "2048 bits at the least, and this one 1024"),
        (Pair(ec.generate_private_key(ec.SECP384R1()), "ES384").public_pem, "of the curve P-256"),
        (Pair(ed25519.Ed25519PrivateKey.generate(), "EdDSA").public_pem, "of the curve P-256"),
        (b"", "must not be empty"),
        (b" \n", "must not be empty"),
        (bytes(1 << 21), "has more than 1 MiB"),
    ],
    ids=["private", "broken", "nothing", "short", "P-384", "Ed25519", "empty", "blank", "big"],
)
def test_a_file_that_holds_no_key_is_refused_by_its_name(tmp_path: Path, content: bytes, problem: str) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=problem) as refused:
        key_file(file)
    assert str(file) in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        key_file(tmp_path / "key")


def test_a_key_is_never_printed() -> None:
    assert "secret" not in repr(SecretKey("secret"))
    assert repr(PublicKey(rsa_pair().public_pem)) == "<PublicKey RS256>"
