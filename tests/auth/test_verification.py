"""Tokens, good and bad: what is wrong with one is told in words, and never with a part of it."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from starlette.requests import HTTPConnection

from roomcast.auth import PublicKey, SecretKey, TokenAuthenticator
from roomcast.auth.jwks import KeySet
from roomcast.auth.verification import MAX_TOKEN
from roomcast.errors import ConfigurationError, Unauthenticated
from tests.auth.signing import EVERYWHERE, SECRET, claims, ec_pair, encode, forged, rsa_pair, token

if TYPE_CHECKING:
    from roomcast.auth.keys import Keys

HS256 = {"alg": "HS256", "typ": "JWT"}


class Set:
    """The keys of a JWKS, from nowhere."""

    algorithms = ("HS256", "RS256", "ES256")

    def __init__(self, *keys: dict[str, Any]) -> None:
        self._keys = KeySet(json.dumps({"keys": keys}).encode(), secrets=True)

    async def find(self, kid: str | None, algorithm: str) -> Any:
        return self._keys.find(kid, algorithm)


async def problem_of(bad: str, *keys: Keys, **settings: Any) -> str:
    """What a refusal says, which holds nothing of the token."""
    authenticator = TokenAuthenticator(*(keys or (SecretKey(SECRET),)), **settings)
    with pytest.raises(Unauthenticated) as refused:
        await authenticator.identify(bad)
    assert (refused.value.code, refused.value.status) == (4001, 401)
    said = str(refused.value)
    assert len(said.encode()) <= 123
    assert not any(len(part) > 8 and part in said for part in bad.split("."))
    assert refused.value.__cause__ is None
    return said


async def test_a_good_token_says_who_it_is_and_what_they_may() -> None:
    end = int(time.time()) + 60
    authenticator = TokenAuthenticator(SecretKey(SECRET))
    identity = await authenticator.identify(
        token("ada", name="Ada Löve", exp=end, rooms={"team-*": ["join", "publish"], "team-1": ["history"]})
    )
    assert (identity.user, identity.name, identity.expires) == ("ada", "Ada Löve", end)
    assert identity.may("join", "team-1")
    assert identity.may("history", "team-1")
    assert not identity.may("history", "team-2")
    assert not identity.may("join", "general")
    assert not identity.may("presence", "team-1")
    assert identity.claims["sub"] == "ada"


@pytest.mark.parametrize("pair", [rsa_pair, ec_pair])
async def test_a_token_of_a_key_pair_is_taken(pair: Any) -> None:
    authenticator = TokenAuthenticator(PublicKey(pair().public_pem))
    assert (await authenticator.identify(pair().sign(claims("bob")))).user == "bob"
    assert "signature does not fit" in await problem_of(
        pair("another").sign(claims("bob")), PublicKey(pair().public_pem)
    )


async def test_several_keys_are_tried_in_order() -> None:
    keys = SecretKey("x" * 32), SecretKey(SECRET), PublicKey(rsa_pair().public_pem)
    authenticator = TokenAuthenticator(*keys)
    assert (await authenticator.identify(token("ada"))).user == "ada"
    assert (await authenticator.identify(rsa_pair().sign(claims("bob")))).user == "bob"


# Attacks


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, 0, ["HS256"], "HS512", "RS256"])
async def test_no_other_algorithm_is_taken_and_none_least_of_all(algorithm: Any) -> None:
    for key in (None, b"", SECRET.encode()):
        said = await problem_of(forged({"alg": algorithm}, claims(), key))
        assert "this server takes HS256" in said


async def test_a_header_without_an_algorithm_is_refused() -> None:
    assert "this server takes HS256" in await problem_of(forged({}, claims(), SECRET.encode()))


@pytest.mark.parametrize("pair", [rsa_pair, ec_pair])
async def test_a_public_key_is_no_secret(pair: Any) -> None:
    pem = pair().public_pem
    for confused in (pem, pem.strip(), pem.replace(b"\n", b""), pem + b"\n"):
        said = await problem_of(forged(HS256, claims(), confused), PublicKey(pem))
        assert "is signed with HS256, and this server takes" in said
    # Also where secrets are taken as well, no public key is tried as one.
    said = await problem_of(forged(HS256, claims(), pem), PublicKey(pem), SecretKey(SECRET))
    assert "signature does not fit" in said
    said = await problem_of(forged({**HS256, "kid": "k"}, claims(), pem), Set(pair().jwk("k")))
    assert "does not know" in said


def test_a_public_key_that_is_set_as_a_secret_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cannot be a public key"):
        SecretKey(rsa_pair().public_pem)


async def test_a_key_in_the_token_itself_is_not_asked() -> None:
    attacker = rsa_pair("attacker")
    for header in ({"jwk": attacker.jwk("k")}, {"jku": "http://127.0.0.1:1/keys"}, {"x5u": "http://127.0.0.1:1"}):
        bad = jwt.encode(claims(), attacker.private, "RS256", headers={**header, "kid": "k"})
        assert "signature does not fit" in await problem_of(bad, Set(rsa_pair().jwk("k")))


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "/dev/null",
        "/etc/passwd",
        "file:///dev/null",
        "http://127.0.0.1:1/key",
        "k' OR '1'='1",
        "k\x00",
        "",
        "K",
        "%6b",
        "x" * 256,
    ],
)
async def test_a_key_is_found_by_its_name_alone(kid: str) -> None:
    for secret in (b"", b"\x00", SECRET.encode()):
        said = await problem_of(forged({**HS256, "kid": kid}, claims(), secret), Set(oct_jwk("k")))
        assert "kid" in said


@pytest.mark.parametrize("kid", [None, 1, [], {}, True])
async def test_a_name_of_a_key_that_is_no_text_is_refused(kid: Any) -> None:
    bad = forged({**HS256, "kid": kid}, claims(), SECRET.encode())
    said = await problem_of(bad, Set(oct_jwk("k"), oct_jwk("l")))
    assert "no JWT" in said or "must name one" in said


def oct_jwk(kid: str, secret: str = SECRET) -> dict[str, str]:
    return {"kty": "oct", "alg": "HS256", "kid": kid, "k": encode(secret.encode())}


async def test_a_token_that_names_no_key_has_the_only_one_tried() -> None:
    assert (await TokenAuthenticator(Set(oct_jwk("k"))).identify(token())).user == "ada"


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"exp": int(time.time()) - 1}, "the token has expired: get a fresh one"),
        ({"exp": 0}, "has expired"),
        ({"nbf": int(time.time()) + 7200}, "not valid yet"),
        ({"iat": int(time.time()) + 7200}, "not valid yet"),
        ({"sub": None}, "lacks the claim sub"),
        ({"sub": 7}, "names no user"),
        ({"sub": ""}, "nobody who can be a user"),
        ({"sub": "x" * 256}, "nobody who can be a user"),
        ({"sub": "a\nb"}, "nobody who can be a user"),
        ({"sub": "\ud800"}, "nobody who can be a user"),
        ({"name": "a\x1b[2J"}, "nobody who can be a user"),
        ({"aud": "elsewhere"}, "another audience"),
        ({"rooms": []}, "rooms are not like"),
        ({"rooms": "*"}, "rooms are not like"),
        ({"rooms": {"*": "join"}}, "rooms are not like"),
        ({"rooms": {"*": [1]}}, "rooms are not like"),
        ({"rooms": {"": ["join"]}}, "rooms are not like"),
        ({"rooms": {key: [] for key in map(str, range(300))}}, "rooms are not like"),
        ({"exp": "soon"}, "end (exp) is no time"),
        ({"exp": float("inf")}, "end (exp) is no time"),
        ({"exp": float("nan")}, "end (exp) is no time"),
        ({"exp": 10**400}, "end (exp) is no time"),
        ({"exp": "9" * 400}, "end (exp) is no time"),
        ({"exp": []}, "end (exp) is no time"),
        ({"nbf": "soon"}, "beginning (nbf) is no time"),
        ({"iat": "soon"}, "is no time"),
    ],
    ids=lambda value: re.sub(r"\d{10}", "TIME", repr(value)[:40]),
)
async def test_what_is_wrong_with_a_token_is_told_in_words(bad: dict[str, Any], said: str) -> None:
    given = {name: value for name, value in (claims() | bad).items() if value is not None}
    assert said in await problem_of(forged(HS256, given, SECRET.encode()))


@pytest.mark.parametrize(
    ("claim", "what"), [("exp", "end (exp)"), ("nbf", "beginning (nbf)"), ("iat", "time of issue (iat)")]
)
async def test_a_time_that_is_null_is_no_time(claim: str, what: str) -> None:
    bad = forged(HS256, claims() | {claim: None}, SECRET.encode())
    assert f"{what} is no time" in await problem_of(bad)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "\x00",
        "é.é.é",
        "\ud800",
        "🙂" * 100,
        "Bearer x",
        encode({"alg": "HS256"}) + "..",
        encode([]) + ".e30." + "x" * 43,
        encode(b"[" * 4000) + ".e30." + "x" * 43,
        encode(b"{" * 10) + ".e30." + "x" * 43,
        encode(b'{"alg":"HS256","kid":' + b"[" * 2000) + ".e30.x",
        encode({"alg": "HS256", "crit": ["exp"], "exp": 1}) + ".e30.x",
        encode({"alg": "HS256", "b64": False, "crit": ["b64"]}) + "..x",
    ],
    ids=lambda value: ascii(value)[:30],
)
async def test_what_is_no_token_is_refused(bad: str) -> None:
    assert await problem_of(bad)


@pytest.mark.parametrize("payload", [b"[]", b"1", b"null", b"{", b"\xff", b"[" * 5000], ids=repr)
async def test_a_payload_that_is_no_object_is_refused(payload: bytes) -> None:
    assert "no JWT" in await problem_of(forged(HS256, payload, SECRET.encode()))


async def test_a_token_that_is_too_long_is_refused_unread() -> None:
    assert "too long" in await problem_of(token(padding="x" * MAX_TOKEN))
    assert "too long" in await problem_of("x" * 10_000_000)


async def test_a_token_that_was_changed_is_refused() -> None:
    header, payload, signature = token().split(".")
    other = encode(claims("admin"))
    assert "signature does not fit" in await problem_of(f"{header}.{other}.{signature}")
    assert "signature does not fit" in await problem_of(f"{header}.{payload}.{encode(b'x' * 32)}")


async def test_the_audience_and_the_issuer_must_be_those_that_are_set() -> None:
    settings: dict[str, Any] = {"audience": ["chat", "beta"], "issuer": "login"}
    authenticator = TokenAuthenticator(SecretKey(SECRET), **settings)
    assert (await authenticator.identify(token(aud=["x", "beta"], iss="login"))).user == "ada"
    assert "another audience" in await problem_of(token(aud="x", iss="login"), **settings)
    assert "lacks the claim aud" in await problem_of(token(iss="login"), **settings)
    assert "another issuer" in await problem_of(token(aud="chat", iss="x"), **settings)
    assert "lacks the claim iss" in await problem_of(token(aud="chat"), **settings)


async def test_the_leeway_is_for_clocks_that_differ() -> None:
    authenticator = TokenAuthenticator(SecretKey(SECRET), leeway=30)
    now = int(time.time())
    identity = await authenticator.identify(token(exp=now - 10, nbf=now + 10))
    assert identity.expires == now + 20
    assert "has expired" in await problem_of(token(exp=now - 60), leeway=30)


async def test_a_token_without_rooms_allows_nothing_unless_it_is_said_what() -> None:
    assert not (await TokenAuthenticator(SecretKey(SECRET)).identify(token(rooms=None))).may("join", "general")
    open_to_all = TokenAuthenticator(SecretKey(SECRET), rooms=EVERYWHERE)
    assert (await open_to_all.identify(token(rooms=None))).may("join", "general")
    assert not (await open_to_all.identify(token(rooms={}))).may("join", "general")


async def test_without_a_token_a_request_is_refused_and_told_what_is_missing() -> None:
    connection = HTTPConnection({"type": "websocket", "headers": [], "query_string": b""})
    with pytest.raises(Unauthenticated, match="no token"):
        await TokenAuthenticator(SecretKey(SECRET))(connection)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="needs keys"):
        TokenAuthenticator()
    with pytest.raises(ConfigurationError, match="leeway"):
        TokenAuthenticator(SecretKey(SECRET), leeway=-1)
