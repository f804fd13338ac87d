"""`roomcast token`: makes a token, to try out a server that wants one."""

from __future__ import annotations

import re

import click

from roomcast.auth.identity import EVERYTHING
from roomcast.auth.issuing import make_token
from roomcast.auth.keys import read_key_file
from roomcast.errors import ConfigurationError, InvalidUserName

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = 10 * 365 * 86400
"""The longest time that a token can be told to hold, in seconds."""

HELP = """Print a token, with which to try out a server that wants one.

The server is told the same secret, or the public half of the key.

\b
Examples:
  export ROOMCAST_TOKEN_SECRET=$(openssl rand -hex 32)
  roomcast serve &
  roomcast token --user ada --room 'team-*'
  roomcast token --user bob --room general --can join --can history --expires 5m
  roomcast token --key private.pem --kid 2026 --user ada --room '*'
"""


@click.command(help=HELP, short_help="Print a token, to try out a server that wants one.")
@click.option(
    "--secret",
    metavar="SECRET",
    envvar="ROOMCAST_TOKEN_SECRET",
    show_envvar=True,
    help="The secret to sign it with (HS256).",
)
@click.option(
    "--key", "key_file", metavar="FILE", help="A private key in PEM to sign it with (RS256, ES256), or a secret."
)
@click.option("--kid", metavar="NAME", help="What the key is called in the server's JWKS.")
@click.option("--user", metavar="NAME", required=True, help="The user whose token it is (sub).")
@click.option("--name", metavar="NAME", help="The name to show.")
@click.option(
    "--room", "rooms", metavar="PATTERN", multiple=True, help="A room, or a pattern of rooms, such as 'team-*'."
)
@click.option(
    "--can",
    "actions",
    metavar="ACTION",
    multiple=True,
    help="What may be done there: join, publish, presence, history. All of it unless given.",
)
@click.option("--expires", default="1h", metavar="TIME", show_default=True, help="In 90s, 5m, 1h, 30d; or never.")
@click.option("--audience", metavar="NAME", envvar="ROOMCAST_TOKEN_AUDIENCE", help="For whom it is (aud).")
@click.option("--issuer", metavar="NAME", envvar="ROOMCAST_TOKEN_ISSUER", help="From whom it is (iss).")
def token(
    *,
    secret: str | None,
    key_file: str | None,
    kid: str | None,
    user: str,
    name: str | None,
    rooms: tuple[str, ...],
    actions: tuple[str, ...],
    expires: str,
    audience: str | None,
    issuer: str | None,
) -> int:
    """Print a token, and return the exit code."""
    if key_file is not None:
        data = read_key_file(key_file)
        key = data if b"-----BEGIN" in data else data.strip()
    elif secret:
        key = secret.encode(errors="surrogateescape")
    else:
        raise ConfigurationError("a token is signed: set --secret, ROOMCAST_TOKEN_SECRET or --key FILE")
    can = [action for given in actions for action in re.split(r"[,\s]+", given) if action]
    try:
        click.echo(
            make_token(
                key,
                user,
                rooms=dict.fromkeys(rooms, can) if can else rooms,
                name=name,
                expires=_seconds(expires),
                audience=audience.split()[0] if audience else None,
                issuer=issuer,
                kid=kid,
            )
        )
    except InvalidUserName as error:
        raise ConfigurationError(str(error)) from None
    if not rooms:
        click.echo(
            "Note: this token opens no room: say which it opens with --room, such as --room 'team-*'", err=True
        )
    if others := [action for action in can if action not in EVERYTHING]:
        known = ", ".join(EVERYTHING)
        what = ", ".join(map(repr, others))
        click.echo(f"Note: --can {what} is for an app of your own: Roomcast itself knows {known}", err=True)
    return 0


def _seconds(text: str) -> float | None:
    if text == "never":
        return None
    match = re.fullmatch(r"(\d{1,9})([smhd]?)", text)
    seconds = int(match[1]) * UNITS[match[2]] if match else 0
    if not 0 < seconds <= LONGEST:
        raise ConfigurationError(f"--expires is {text!r}: write it like 90s, 5m, 1h or 30d, or never")
    return seconds
