"""Limits and deadlines, from code and from the environment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import roomcast
from roomcast.errors import ConfigurationError
from roomcast.server.settings import CAN_BE_OFF, Settings
from roomcast.server.uvicorn import WebSocketProtocol
from tests.programs import Program
from tests.server.peer import close_frame, opened, text_frame
from tests.server.serving import Calls

if TYPE_CHECKING:
    from tests.server.serving import Serve

NUMBERS = {
    "max_url_bytes": "100",
    "max_header_bytes": "200",
    "max_waiting": "300",
    "request_timeout": "0.75",
    "message_timeout": "8",
    "inbound_bytes": "1",
    "outbound_bytes": "2",
    "max_fragments": "3",
    "max_control_frames": "4",
    "handshake_timeout": "0.5",
    "send_timeout": "6",
    "close_timeout": "7.5",
}


def test_every_number_can_be_set_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in NUMBERS.items():
        monkeypatch.setenv(f"ROOMCAST_WS_{name.upper()}", text)
    settings = Settings.from_environment()
    assert {name: getattr(settings, name) for name in NUMBERS} == {
        name: float(text) for name, text in NUMBERS.items()
    }


def test_what_the_environment_does_not_set_is_the_default() -> None:
    assert Settings.from_environment() == Settings()


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("text", ["", "soon", "0", "-1", "nan", "inf"])
def test_a_bad_value_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(f"ROOMCAST_WS_{name.upper()}", text)
    with pytest.raises(ConfigurationError, match=rf"ROOMCAST_WS_{name.upper()} is '{text}'.*number over 0"):
        Settings.from_environment()


@pytest.mark.parametrize("name", sorted(CAN_BE_OFF))
def test_a_limit_can_be_off(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"ROOMCAST_WS_{name.upper()}", "off")
    assert getattr(Settings.from_environment(), name) is None
    assert getattr(Settings(**{name: None}), name) is None  # type: ignore[arg-type]


def test_how_long_a_server_takes_to_go_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOMCAST_WS_DRAIN", "off")
    with pytest.raises(ConfigurationError, match="ROOMCAST_WS_DRAIN is 'off': it must be"):
        Settings.from_environment()
    with pytest.raises(ConfigurationError, match="drain is None"):
        Settings(drain=None)  # type: ignore[arg-type]


def test_half_a_byte_is_named() -> None:
    with pytest.raises(ConfigurationError, match="send_timeout is -1: it must be a number over 0"):
        Settings(send_timeout=-1)
    with pytest.raises(ConfigurationError, match="inbound_bytes is 0"):
        Settings(inbound_bytes=0)


async def test_a_server_without_bounds_serves(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CAN_BE_OFF:
        monkeypatch.setenv(f"ROOMCAST_WS_{name.upper()}", "off")
    async with serve(Calls(), ws=WebSocketProtocol) as server:
        peer, call = await opened(server)
        async with peer:
            await peer.send("x" * 100_000)
            event = await call.receive()
            assert len(event["text"]) == 100_000
            await call.send({"type": "websocket.send", "text": "y"})
            assert await peer.frame() == text_frame("y")
            await call.send({"type": "websocket.close"})
            assert await peer.frame() == close_frame(1000)


async def test_a_server_takes_the_environments_settings(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOMCAST_WS_CLOSE_TIMEOUT", "0.05")
    async with serve(Calls(), ws=WebSocketProtocol) as server:
        peer, call = await opened(server)
        async with peer:
            await call.send({"type": "websocket.close"})
            assert len(await peer.frames()) == 1


def test_a_bad_value_in_the_environment_stops_uvicorn_at_its_start(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("async def app(scope, receive, send): ...\n")
    env = {"ROOMCAST_WS_SEND_TIMEOUT": "soon", "PYTHONPATH": str(Path(roomcast.__file__).parents[1])}
    command = ("-m", "uvicorn", "main:app", "--port", "0", "--ws", "roomcast.server.uvicorn:WebSocketProtocol")
    with Program(sys.executable, *command, cwd=tmp_path, env=env) as program:
        assert program.wait() != 0
        assert "ROOMCAST_WS_SEND_TIMEOUT is 'soon': it must be a number over 0" in program.output
