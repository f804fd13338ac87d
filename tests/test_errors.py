from __future__ import annotations

import builtins
import copy
import inspect
import pickle
import re

import pytest

from roomcast import errors
from roomcast.errors import (
    AlreadyJoined,
    BrokerInUse,
    BrokerUnavailable,
    ConfigurationError,
    Disconnected,
    InvalidClose,
    InvalidHandshake,
    InvalidJSON,
    InvalidKey,
    InvalidRoomName,
    InvalidUserName,
    LimitReached,
    NotKept,
    OutOfOrder,
    ReceiveTimeout,
    RoomcastError,
    RoomsClosed,
    UnexpectedMessage,
    UnknownBroker,
    Unpublishable,
    UnsupportedData,
)

EVERY_ERROR = [
    found
    for _, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, Exception) and found.__module__ == errors.__name__
]
RAISED = [
    Disconnected(4020, "too slow"),
    OutOfOrder("a call"),
    InvalidHandshake("a header"),
    UnexpectedMessage("text", b"\x00\x01"),
    InvalidJSON("{", "it ends too early"),
    UnsupportedData("a set"),
    InvalidClose("1005"),
    ReceiveTimeout(2.5),
    RoomsClosed("not open"),
    InvalidRoomName("empty"),
    InvalidUserName("empty"),
    InvalidKey("too long"),
    AlreadyJoined("in it"),
    LimitReached("full"),
    Unpublishable("a set"),
    BrokerUnavailable("gone"),
    NotKept("full"),
    ConfigurationError("no"),
    UnknownBroker("nosuch://"),
    BrokerInUse("taken"),
]


@pytest.mark.parametrize("error", EVERY_ERROR)
def test_every_error_is_a_roomcast_error(error: type[Exception]) -> None:
    assert issubclass(error, RoomcastError)


@pytest.mark.parametrize("error", EVERY_ERROR)
def test_the_hierarchy_in_the_docstring_names_every_error(error: type[Exception]) -> None:
    assert re.search(rf"\b{error.__name__}\b", errors.__doc__ or "")


def test_the_docstring_tells_the_built_in_error_that_each_one_also_is() -> None:
    told = re.findall(r"(\w+) +\((\w+)\) ", errors.__doc__ or "")
    assert len(told) >= 14
    for name, built_in in told:
        assert issubclass(getattr(errors, name), getattr(builtins, built_in))


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_error_survives_pickling(error: Exception, protocol: int) -> None:
    back = pickle.loads(pickle.dumps(error, protocol))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_every_error_survives_copying(error: Exception) -> None:
    assert str(copy.copy(error)) == str(error)


def test_disconnected_carries_code_and_reason_and_is_an_oserror() -> None:
    error = Disconnected(4001, "no token")
    assert isinstance(error, OSError)
    assert (error.code, error.reason) == (4001, "no token")
    assert str(error) == "the connection is over: close code 4001 (no token)"


def test_disconnected_without_more_is_a_connection_lost_without_a_close_frame() -> None:
    error = Disconnected()
    assert (error.code, error.reason) == (1006, "")
    assert str(error) == "the connection is over: close code 1006"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UnexpectedMessage("text", b"abc"), "expected a text message, but a binary message of 3 bytes came"),
        (UnexpectedMessage("binary", "abc"), "expected a binary message, but a text message of 3 characters came"),
    ],
)
def test_an_unexpected_message_says_what_was_expected_and_what_came(error: Exception, message: str) -> None:
    assert str(error) == message


def test_an_unexpected_message_is_not_lost() -> None:
    assert UnexpectedMessage("text", b"abc").message == b"abc"


def test_invalid_json_shows_the_start_of_a_long_message_and_keeps_all_of_it() -> None:
    error = InvalidJSON("x" * 1000, "no value")
    assert len(str(error)) < 100
    assert error.message == "x" * 1000


def test_a_receive_timeout_says_how_long_was_waited() -> None:
    error = ReceiveTimeout(0.25)
    assert isinstance(error, TimeoutError)
    assert str(error) == "no message came within 0.25 s"
