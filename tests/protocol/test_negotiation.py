from __future__ import annotations

from typing import Any

import pytest

from roomcast.errors import ConfigurationError
from roomcast.protocol.deflate import DeflateParameters
from roomcast.protocol.headers import parse_extensions
from roomcast.protocol.negotiation import DeflateOptions, accept_deflate, accepted_deflate, offer_deflate

TAKEOVER = DeflateOptions(server_context_takeover=True, client_context_takeover=True)
D = "permessage-deflate"


@pytest.mark.parametrize(
    ("offer", "options", "response", "parameters"),
    [
        (D, TAKEOVER, D, DeflateParameters(False, False)),
        (
            D,
            DeflateOptions(),
            f"{D}; server_no_context_takeover; client_no_context_takeover",
            DeflateParameters(True, True),
        ),
        (
            f"{D}; client_max_window_bits",
            TAKEOVER,
            D,
            DeflateParameters(False, False),
        ),
        (
            f"{D}; server_no_context_takeover",
            TAKEOVER,
            f"{D}; server_no_context_takeover",
            DeflateParameters(True, False),
        ),
        (
            f"{D}; client_no_context_takeover",
            TAKEOVER,
            f"{D}; client_no_context_takeover",
            DeflateParameters(False, True),
        ),
        (
            f"{D}; server_max_window_bits=10",
            TAKEOVER,
            f"{D}; server_max_window_bits=10",
            DeflateParameters(False, False, 10),
        ),
        (
            f"{D}; server_max_window_bits=15",
            TAKEOVER,
            f"{D}; server_max_window_bits=15",
            DeflateParameters(False, False),
        ),
        (
            f"{D}; server_max_window_bits=8",
            TAKEOVER,
            f"{D}; server_max_window_bits=8",
            DeflateParameters(False, False, 8),
        ),
        (
            f'{D}; client_max_window_bits="12"',
            TAKEOVER,
            f"{D}; client_max_window_bits=12",
            DeflateParameters(False, False, 15, 12),
        ),
        (
            f"{D}; client_max_window_bits",
            DeflateOptions(True, True, 11, 10),
            f"{D}; server_max_window_bits=11; client_max_window_bits=10",
            DeflateParameters(False, False, 11, 10),
        ),
        # A client that does not offer client_max_window_bits is not asked for it (section 7.1.2.2).
        (D, DeflateOptions(True, True, 15, 10), D, DeflateParameters(False, False)),
    ],
)
def test_an_offer_is_accepted_within_what_both_sides_want(
    offer: str, options: DeflateOptions, response: str, parameters: DeflateParameters
) -> None:
    agreement = accept_deflate(parse_extensions(offer), options)
    assert agreement is not None
    assert agreement.response == response
    assert agreement.parameters == parameters


@pytest.mark.parametrize(
    "parameters",
    [
        "unknown",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_no_context_takeover; server_no_context_takeover",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=1_0",
        "server_max_window_bits=+9",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=010",
        "client_max_window_bits=10; client_max_window_bits=10",
        "client_max_window_bits; client_max_window_bits",
        "Server_no_context_takeover",
    ],
)
def test_an_offer_that_rfc_7692_does_not_allow_is_declined_and_the_next_one_looked_at(
    parameters: str,
) -> None:
    assert accept_deflate(parse_extensions(f"{D}; {parameters}"), TAKEOVER) is None
    agreement = accept_deflate(parse_extensions(f"{D}; {parameters}, {D}; server_max_window_bits=9"), TAKEOVER)
    assert agreement is not None
    assert agreement.response == f"{D}; server_max_window_bits=9"


def test_the_first_offer_that_can_be_accepted_is() -> None:
    offers = parse_extensions(f"other; x=1, {D}; server_max_window_bits=9, {D}; server_max_window_bits=10")
    agreement = accept_deflate(offers, TAKEOVER)
    assert agreement is not None
    assert agreement.parameters.server_max_window_bits == 9


def test_other_extensions_are_declined() -> None:
    assert accept_deflate(parse_extensions("permessage-bzip2, x-webkit-deflate-frame"), TAKEOVER) is None


def test_connections_that_agree_on_the_same_share_it() -> None:
    one = accept_deflate(parse_extensions(D), DeflateOptions())
    assert one is accept_deflate(parse_extensions(f"{D}; client_max_window_bits"), DeflateOptions())


@pytest.mark.parametrize("server", [DeflateOptions(), TAKEOVER, DeflateOptions(True, True, 9, 10)])
@pytest.mark.parametrize("client", [DeflateOptions(), TAKEOVER, DeflateOptions(True, False, 12, 9)])
def test_both_sides_come_to_the_same(server: DeflateOptions, client: DeflateOptions) -> None:
    agreement = accept_deflate(parse_extensions(offer_deflate(client)), server)
    assert agreement is not None
    assert accepted_deflate(parse_extensions(agreement.response), client) == agreement.parameters


@pytest.mark.parametrize(
    ("response", "options"),
    [
        ("other", TAKEOVER),
        (f"{D}, {D}", TAKEOVER),
        (f"{D}; unknown", TAKEOVER),
        (f"{D}; client_max_window_bits", TAKEOVER),
        (f"{D}; server_max_window_bits=16", TAKEOVER),
        (f"{D}; server_max_window_bits=12", DeflateOptions(True, True, server_max_window_bits=11)),
        (D, DeflateOptions(True, True, server_max_window_bits=11)),
        (f"{D}; client_max_window_bits=12", DeflateOptions(True, True, client_max_window_bits=11)),
        (D, DeflateOptions(server_context_takeover=False)),
    ],
)
def test_a_response_to_what_was_not_offered_is_refused(response: str, options: DeflateOptions) -> None:
    with pytest.raises(ValueError, match=r"not offered|invalid parameters|larger window"):
        accepted_deflate(parse_extensions(response), options)


def test_no_response_is_no_compression() -> None:
    assert accepted_deflate((), TAKEOVER) is None


@pytest.mark.parametrize(
    "options",
    [
        {"server_max_window_bits": 7},
        {"client_max_window_bits": 16},
        {"level": 10},
        {"level": -1},
        {"memory_level": 0},
    ],
)
def test_options_that_zlib_does_not_know_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="must be"):
        DeflateOptions(**options)
