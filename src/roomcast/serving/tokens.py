"""Which tokens a server takes, as options of its command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from roomcast.auth.settings import TokenSettings
from roomcast.serving.settings import origin, setting, warn

if TYPE_CHECKING:
    from collections.abc import Callable

    import click

AnyFunction = TypeVar("AnyFunction", bound="Callable[..., Any]")

SECTION = "Who gets in"
"""Under which heading the help has the options."""
OPTIONS = {
    "secret": "token_secret",
    "key": "token_key",
    "jwks": "jwks",
    "audience": "token_audience",
    "issuer": "token_issuer",
    "leeway": "token_leeway",
}
"""The option of each setting of tokens."""


def token_settings(function: AnyFunction) -> AnyFunction:
    """Give a command the options of `OPTIONS`."""
    options = [
        setting(
            "--token-secret",
            section=SECTION,
            metavar="SECRET",
            help="Let in who has a token that was signed with this secret (HS256). Better in the environment or a "
            "file: others on this machine can read a command line.",
        ),
        setting(
            "--token-key",
            section=SECTION,
            metavar="FILE",
            help="Let in who has a token of the key in this file: a public key or certificate in PEM (RS256, "
            "ES256), or a secret.",
        ),
        setting(
            "--jwks", section=SECTION, metavar="FILE|URL", help="Let in who has a token of a key in this JWKS."
        ),
        setting(
            "--token-audience",
            section=SECTION,
            metavar="NAMES",
            help="For whom tokens must be (aud): one of these names.",
        ),
        setting("--token-issuer", section=SECTION, metavar="NAME", help="From whom tokens must be (iss)."),
        setting(
            "--token-leeway",
            section=SECTION,
            metavar="SECONDS",
            help="How far the clock of who makes tokens may be off; not at all unless given.",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def settle_tokens(ctx: click.Context, chosen: dict[str, Any]) -> bool:
    """Let the app know which tokens to take, and say whether it is to take any.

    Args:
        ctx: the command's.
        chosen: the parameters of `token_settings`.

    Raises:
        ConfigurationError: for a setting that cannot be.
    """
    given = TokenSettings(**{name: chosen[option] or "" for name, option in OPTIONS.items()})
    names = {name: origin(ctx, option) for name, option in OPTIONS.items()}
    if given.authenticator(names) is None:
        return False
    for risk in given.risks(names):
        warn(risk)
    given.to_environment()
    return True
