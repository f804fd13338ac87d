"""Which tokens a server takes, as the environment says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from roomcast.auth import TokenAuthenticator, auth_from_environment
from roomcast.auth.settings import VARIABLES, TokenSettings
from roomcast.errors import ConfigurationError, Unauthenticated
from tests.auth.signing import SECRET, claims, rsa_pair, token

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)


def test_where_no_keys_are_set_everybody_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert auth_from_environment() is None
    monkeypatch.setenv("ROOMCAST_TOKEN_SECRET", "")
    assert auth_from_environment() is None


async def test_a_secret_a_key_and_a_jwks_can_be_set_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key.pem").write_bytes(rsa_pair().public_pem)
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [rsa_pair("other").jwk("k")]}))
    monkeypatch.setenv("ROOMCAST_TOKEN_SECRET", SECRET)
    monkeypatch.setenv("ROOMCAST_TOKEN_KEY", str(tmp_path / "key.pem"))
    monkeypatch.setenv("ROOMCAST_JWKS", str(tmp_path / "jwks.json"))
    authenticator = TokenSettings.from_environment().authenticator()
    assert isinstance(authenticator, TokenAuthenticator)
    tokens = token("ada"), rsa_pair().sign(claims("bob")), rsa_pair("other").sign(claims("eve"), "k")
    assert [(await authenticator.identify(each)).user for each in tokens] == ["ada", "bob", "eve"]


async def test_the_audience_the_issuer_and_the_leeway_count() -> None:
    settings = TokenSettings(secret=SECRET, audience="chat beta", issuer="login", leeway="10")
    authenticator = settings.authenticator()
    assert authenticator is not None
    assert (await authenticator.identify(token(aud="beta", iss="login"))).user == "ada"
    for bad in (token(aud="chat beta", iss="login"), token(aud="beta", iss="x"), token(iss="login")):
        with pytest.raises(Unauthenticated):
            await authenticator.identify(bad)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (TokenSettings(key="/nothing/here"), "ROOMCAST_TOKEN_KEY: the key file /nothing/here cannot be read"),
        (TokenSettings(jwks="/nothing/here"), "ROOMCAST_JWKS: the key file /nothing/here cannot be read"),
        (TokenSettings(jwks="ftp://host/keys"), "ROOMCAST_JWKS: the URL of a JWKS is https://HOST/PATH"),
        (TokenSettings(secret=SECRET, leeway="soon"), "ROOMCAST_TOKEN_LEEWAY is 'soon'"),
        (TokenSettings(secret=SECRET, leeway="nan"), "ROOMCAST_TOKEN_LEEWAY is 'nan'"),
        (TokenSettings(audience="chat"), "ROOMCAST_TOKEN_AUDIENCE is of no use without keys"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_its_name(settings: TokenSettings, problem: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings.authenticator()
    assert str(refused.value).startswith(problem)
    assert SECRET not in str(refused.value)


def test_what_makes_it_easy_to_come_in_is_told() -> None:
    assert TokenSettings(secret=SECRET, jwks="https://login.example.org/keys").risks() == []
    assert TokenSettings(jwks="http://localhost:1/keys").risks() == []
    short, plain = TokenSettings(secret="secret", jwks="http://login.example.org/keys").risks()
    assert short.startswith("ROOMCAST_TOKEN_SECRET has fewer than 32 bytes")
    assert plain.startswith("ROOMCAST_JWKS: over http://")


def test_settings_show_no_secret() -> None:
    assert SECRET not in repr(TokenSettings(secret=SECRET))
