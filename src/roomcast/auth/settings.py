"""Settings: which tokens are taken, as the environment or a command line says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from roomcast.auth.access import Auth
from roomcast.auth.jwks import JWKSFile, JWKSUrl
from roomcast.auth.keys import SECRET_BYTES, SecretKey, key_file
from roomcast.auth.verification import TokenAuthenticator
from roomcast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roomcast.auth.keys import Keys

VARIABLES = {
    "secret": "ROOMCAST_TOKEN_SECRET",
    "key": "ROOMCAST_TOKEN_KEY",
    "jwks": "ROOMCAST_JWKS",
    "audience": "ROOMCAST_TOKEN_AUDIENCE",
    "issuer": "ROOMCAST_TOKEN_ISSUER",
    "leeway": "ROOMCAST_TOKEN_LEEWAY",
}
"""Where each setting is in the environment. An empty variable is one that is not set."""
_KEYS = ("secret", "key", "jwks")


@dataclass(frozen=True, slots=True, repr=False)
class TokenSettings:
    """Which tokens are taken: all of it as text.

    Attributes:
        secret: the secret of tokens (HS256).
        key: the path of a file with a public key or a secret.
        jwks: the path or the URL of a JWKS.
        audience: for whom tokens must be; several with spaces between them.
        issuer: from whom tokens must be.
        leeway: how many seconds the clock of who makes tokens may be off.
    """

    secret: str = ""
    key: str = ""
    jwks: str = ""
    audience: str = ""
    issuer: str = ""
    leeway: str = ""

    @classmethod
    def from_environment(cls) -> Self:
        """Take what the environment sets."""
        return cls(**{name: os.environ.get(variable, "") for name, variable in VARIABLES.items()})

    def to_environment(self) -> None:
        """Leave it for the processes that serve."""
        for name, variable in VARIABLES.items():
            if value := getattr(self, name):
                os.environ[variable] = value
            else:
                os.environ.pop(variable, None)

    def authenticator(self, names: Mapping[str, str] = VARIABLES) -> TokenAuthenticator | None:
        """Make what takes such tokens; None where no keys are set.

        Args:
            names: what the user calls each setting, for errors.

        Raises:
            ConfigurationError: for a setting that cannot be, or one that is of no use without keys.
        """
        keys = [self._keys(name, names[name]) for name in _KEYS if getattr(self, name)]
        if not keys:
            for name in ("audience", "issuer", "leeway"):
                if getattr(self, name):
                    wanted = ", ".join(names[key] for key in _KEYS)
                    raise ConfigurationError(f"{names[name]} is of no use without keys: set one of {wanted}")
            return None
        return TokenAuthenticator(
            *keys,
            audience=self.audience.split() or None,
            issuer=self.issuer or None,
            leeway=_seconds(self.leeway or "0", names["leeway"]),
        )

    def risks(self, names: Mapping[str, str] = VARIABLES) -> list[str]:
        """Say what of the settings makes it easy to come in uninvited.

        Args:
            names: what the user calls each setting.
        """
        risks = []
        if self.secret and SecretKey(self.secret).is_short:
            risks.append(
                f"{names['secret']} has fewer than {SECRET_BYTES} bytes, and might be guessed from a token: "
                "`openssl rand -hex 32` makes a better one"
            )
        host = urlsplit(self.jwks).hostname if self.jwks.startswith("http://") else None
        if host is not None and host not in {"localhost", "127.0.0.1", "::1"}:
            risks.append(
                f"{names['jwks']}: over http:// anybody on the way can put keys of their own in: use https://"
            )
        return risks

    def _keys(self, name: str, called: str) -> Keys:
        value: str = getattr(self, name)
        try:
            if name == "secret":
                return SecretKey(value)
            if name == "key":
                return key_file(value)
            return JWKSUrl(value) if "://" in value else JWKSFile(value)
        except ConfigurationError as error:
            raise ConfigurationError(f"{called}: {error}") from None


def auth_from_environment() -> Auth | None:
    """Make an `Auth` of the tokens that the environment sets, as `roomcast serve --token-…` does for its app.

    Returns:
        None where the environment sets no keys: everybody is let in.

    Raises:
        ConfigurationError: for a variable that cannot be.
    """
    authenticator = TokenSettings.from_environment().authenticator()
    return None if authenticator is None else Auth(authenticator)


def _seconds(text: str, called: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise ConfigurationError(f"{called} is {text!r}: it is a number of seconds, 0 to 3600")
    return seconds
