"""Tokens that are made for trying out."""

from __future__ import annotations

import time
from typing import Any

import pytest

from roomcast.auth import Keys, PublicKey, SecretKey, TokenAuthenticator, make_token
from roomcast.errors import ConfigurationError, InvalidUserName
from tests.auth.signing import ec_pair, rsa_pair


@pytest.mark.parametrize(
    ("key", "taken_by"),
    [
        ("secret", SecretKey("secret")),
        (rsa_pair().pem, PublicKey(rsa_pair().public_pem)),
        (ec_pair().pem, PublicKey(ec_pair().public_pem)),
    ],
    ids=["HS256", "RS256", "ES256"],
)
async def test_what_is_made_is_taken(key: Any, taken_by: Keys) -> None:
    made = make_token(
        key, "ada", rooms=["team-*"], name="Ada", expires=60, audience="chat", issuer="login", kid="k"
    )
    identity = await TokenAuthenticator(taken_by, audience="chat", issuer="login").identify(made)
    assert (identity.user, identity.name) == ("ada", "Ada")
    assert all(identity.may(action, "team-1") for action in ("join", "publish", "presence", "history"))
    assert not identity.may("join", "general")
    assert identity.expires is not None
    assert abs(identity.expires - time.time() - 60) < 5


async def test_what_it_allows_and_until_when_can_be_said() -> None:
    made = make_token("secret", "ada", rooms={"general": ["join"]}, expires=None)
    identity = await TokenAuthenticator(SecretKey("secret")).identify(made)
    assert identity.expires is None
    assert identity.may("join", "general")
    assert not identity.may("publish", "general")


@pytest.mark.parametrize("key", ["", rsa_pair().public_pem, b"-----BEGIN X-----"])
def test_a_key_that_signs_nothing_is_refused(key: Any) -> None:
    with pytest.raises(ConfigurationError):
        make_token(key, "ada")


def test_a_user_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidUserName):
        make_token("secret", "")
