"""Keys that change while the server runs: in a file, and at a URL that may not be there."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from roomcast.auth import JWKSFile, JWKSUrl, TokenAuthenticator
from roomcast.auth.jwks import FETCHES, KeySet
from roomcast.errors import ConfigurationError, Unauthenticated, Undecided
from tests.auth.signing import SECRET, claims, ec_pair, encode, forged, rsa_pair
from tests.rooms.guests import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OCT = {"kty": "oct", "alg": "HS256", "kid": "s", "k": encode(SECRET.encode())}


def jwks(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


class Issuer:
    """A server that publishes keys, and counts how often it is asked."""

    def __init__(self) -> None:
        self.body = jwks()
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked = 0
        self.answer = threading.Event()
        self.answer.set()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                issuer.answer.wait(10)
                self.send_response(issuer.status)
                for name, value in issuer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(issuer.body)

            def log_message(self, *_: Any) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys?secret=hidden"


@contextmanager
def serving() -> Iterator[Issuer]:
    issuer = Issuer()
    thread = threading.Thread(target=issuer.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield issuer
    finally:
        issuer.answer.set()
        issuer.server.shutdown()
        thread.join()
        issuer.server.server_close()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serving() as issuer:
        yield issuer


async def user_of(authenticator: TokenAuthenticator, token: str) -> str:
    return (await authenticator.identify(token)).user


# What a set has


def test_a_key_is_found_by_its_name_and_the_algorithm() -> None:
    keys = KeySet(jwks(rsa_pair().jwk("a"), ec_pair().jwk("a"), OCT), secrets=True)
    assert [key.algorithm_name for key in keys.find("a", "RS256")] == ["RS256"]
    assert [key.algorithm_name for key in keys.find("a", "ES256")] == ["ES256"]
    assert [key.algorithm_name for key in keys.find(None, "HS256")] == ["HS256"]
    assert keys.find("s", "RS256") == []
    assert keys.find("b", "RS256") == []


def test_what_is_for_something_else_is_left_out() -> None:
    keys = KeySet(
        jwks(
            rsa_pair().jwk("encryption", use="enc"),
            rsa_pair().jwk("wrapping", key_ops=["wrapKey"]),
            rsa_pair().jwk("longer", alg="RS512"),
            rsa_pair(bits=1024).jwk("short"),
            {"kty": "RSA", "kid": "broken"},
            {"kty": "EC", "kid": "curve", "crv": "P-384", "x": "AA", "y": "AA"},
            {"kid": "nothing"},
            {"kty": "RSA", "n": 7, "e": []},
            {"kty": "oct"},
            {"kty": "oct", "k": ""},
            {"kty": [], "alg": {}},
            {"kty": "RSA", "key_ops": 7},
            rsa_pair().jwk("good"),
        ),
        secrets=True,
    )
    assert [key.key_id for key in keys.find("good", "RS256")] == ["good"]
    for kid in ("encryption", "wrapping", "longer", "short", "broken", "nothing"):
        assert keys.find(kid, "RS256") == []


def test_the_private_half_of_a_key_is_not_needed() -> None:
    import jwt  # noqa: PLC0415

    private = jwt.get_algorithm_by_name("RS256").to_jwk(rsa_pair().private, as_dict=True)
    assert "d" in private
    (key,) = KeySet(jwks(private | {"kid": "k", "key_ops": ["verify"]}), secrets=True).find("k", "RS256")
    assert not hasattr(key.key, "private_numbers")


def test_what_everybody_can_fetch_holds_no_secret() -> None:
    assert KeySet(jwks(OCT, rsa_pair().jwk("a")), secrets=False).find("s", "HS256") == []
    with pytest.raises(ConfigurationError, match="has no key for tokens"):
        KeySet(jwks(OCT), secrets=False)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (b"", "no JSON"),
        (b"<html>", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "is no JWKS"),
        (b"{}", "is no JWKS"),
        (b'{"keys": {}}', "is no JWKS"),
        (json.dumps({"keys": [OCT] * 257}).encode(), "at most 256 keys"),
        (b'{"keys": []}', "has no key"),
        (b'{"keys": [1, null]}', "has no key"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_jwks_is_refused(document: bytes, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        KeySet(document, secrets=True)


# A file


async def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks(rsa_pair().jwk("old")))
    authenticator = TokenAuthenticator(JWKSFile(file))
    old, new = rsa_pair().sign(claims("ada"), "old"), ec_pair().sign(claims("bob"), "new")
    assert await user_of(authenticator, old) == "ada"
    with pytest.raises(Unauthenticated, match="does not know"):
        await authenticator.identify(new)

    replace(file, jwks(rsa_pair().jwk("old"), ec_pair().jwk("new")))
    assert await user_of(authenticator, new) == "bob"
    assert await user_of(authenticator, old) == "ada"

    replace(file, jwks(ec_pair().jwk("new")))
    with pytest.raises(Unauthenticated, match="kid"):
        await authenticator.identify(old)

    for content in (b"broken", b""):
        replace(file, content)
        assert await user_of(authenticator, new) == "bob"
    file.unlink()
    assert await user_of(authenticator, new) == "bob"
    assert len([record for record in caplog.records if "stay as they were" in record.message]) == 1


def replace(file: Path, content: bytes) -> None:
    """Put another file in the place of one, as who rotates keys does."""
    other = file.with_suffix(".new")
    other.write_bytes(content)
    other.replace(file)


def test_a_file_that_is_no_jwks_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    with pytest.raises(ConfigurationError, match="No such file"):
        JWKSFile(file)
    file.write_bytes(b"{}")
    with pytest.raises(ConfigurationError, match="is no JWKS"):
        JWKSFile(file)


# A URL


async def test_the_keys_of_a_url_are_fetched_once_and_again_when_a_token_names_a_new_one(issuer: Issuer) -> None:
    issuer.body = jwks(rsa_pair().jwk("old"))
    authenticator = TokenAuthenticator(JWKSUrl(issuer.url))
    old, new = rsa_pair().sign(claims("ada"), "old"), ec_pair().sign(claims("bob"), "new")
    assert {await user_of(authenticator, old) for _ in range(5)} == {"ada"}
    assert issuer.asked == 1
    issuer.body = jwks(ec_pair().jwk("new"))
    assert await user_of(authenticator, new) == "bob"
    assert issuer.asked == 2
    with pytest.raises(Unauthenticated, match="kid"):
        await authenticator.identify(old)


async def test_many_that_come_at_once_wait_for_one_fetch(issuer: Issuer) -> None:
    issuer.body = jwks(rsa_pair().jwk("k"))
    issuer.answer.clear()
    authenticator = TokenAuthenticator(JWKSUrl(issuer.url))
    token = rsa_pair().sign(claims("ada"), "k")
    waiting = [asyncio.ensure_future(user_of(authenticator, token)) for _ in range(50)]
    await until(lambda: issuer.asked)
    issuer.answer.set()
    assert await asyncio.gather(*waiting) == ["ada"] * 50
    assert issuer.asked == 1


async def test_strangers_cannot_have_the_keys_fetched_again_and_again(issuer: Issuer) -> None:
    issuer.body = jwks(rsa_pair().jwk("k"))
    authenticator = TokenAuthenticator(JWKSUrl(issuer.url))
    for number in range(50):
        bad = forged({"alg": "RS256", "kid": f"unknown-{number}"}, claims())
        with pytest.raises(Unauthenticated, match="does not know"):
            await authenticator.identify(bad)
    assert issuer.asked == FETCHES
    assert await user_of(authenticator, rsa_pair().sign(claims("ada"), "k")) == "ada"


async def test_without_keys_tokens_are_refused_with_503_and_that_is_logged_once(
    issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.status = 500
    authenticator = TokenAuthenticator(JWKSUrl(issuer.url))
    token = rsa_pair().sign(claims("ada"), "k")
    for _ in range(10):
        with pytest.raises(Undecided) as refused:
            await authenticator.identify(token)
        assert (refused.value.code, refused.value.status) == (1013, 503)
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "cannot be had" in line
    assert "500" in line
    assert "hidden" not in caplog.text


async def test_a_url_that_nobody_serves_is_a_refusal_with_503() -> None:
    with serving() as issuer:
        pass
    with pytest.raises(Undecided):
        await TokenAuthenticator(JWKSUrl(issuer.url)).identify(rsa_pair().sign(claims(), "k"))


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (302, {"location": "http://127.0.0.1:1/"}, b""),
        (200, {}, b"<html>"),
        (200, {}, b"[" + b" " * (2 << 20) + b"]"),
        (404, {}, b""),
    ],
    ids=["redirect", "page", "big", "missing"],
)
async def test_what_is_not_the_keys_is_a_refusal(
    issuer: Issuer, status: int, headers: dict[str, str], body: bytes
) -> None:
    issuer.status, issuer.headers, issuer.body = status, headers, body
    with pytest.raises(Undecided):
        await TokenAuthenticator(JWKSUrl(issuer.url)).identify(rsa_pair().sign(claims(), "k"))


async def test_a_url_that_does_not_answer_is_given_up_and_holds_nothing_else_up(issuer: Issuer) -> None:
    issuer.answer.clear()
    authenticator = TokenAuthenticator(JWKSUrl(issuer.url, timeout=0.05))
    with pytest.raises(Undecided):
        await authenticator.identify(rsa_pair().sign(claims(), "k"))


async def test_keys_are_used_on_while_the_url_is_away_but_not_for_ever(issuer: Issuer) -> None:
    issuer.body = jwks(rsa_pair().jwk("k"))
    token, other = rsa_pair().sign(claims("ada"), "k"), rsa_pair().sign(claims("ada"), "other")
    lasting = TokenAuthenticator(JWKSUrl(issuer.url, lifespan=0))
    ending = TokenAuthenticator(JWKSUrl(issuer.url, lifespan=0, grace=0))
    assert await user_of(lasting, token) == "ada"
    issuer.status = 500
    assert await user_of(lasting, token) == "ada"
    with pytest.raises(Undecided):  # whether there is such a key cannot be found out
        await lasting.identify(other)
    with pytest.raises(Undecided):
        await ending.identify(token)


@pytest.mark.parametrize(
    "url", ["ftp://host/keys", "file:///etc/passwd", "https://", "https://me:secret@host/keys", "https://host:x/"]
)
def test_a_url_that_cannot_be_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        JWKSUrl(url)
    assert "secret" not in str(refused.value)
