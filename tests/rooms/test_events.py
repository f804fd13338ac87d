from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roomcast import Joined, Left, Position, Presence, Publication
from roomcast.rooms.events import excluded, from_envelope, publications_only, to_envelope

patient = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For machines under load: it is the examples that count, not how long they take."""

ADA = Presence("n-1", "ada", {"name": "Ada"}, 12.5)

TEXT = st.text()
IDS = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=40)
INFO = st.recursive(st.none() | st.booleans() | st.integers() | TEXT, st.lists, max_leaves=5)
PRESENCE = st.builds(Presence, IDS, st.none() | TEXT, INFO, st.floats(allow_nan=False, allow_infinity=False))
EVENTS = (
    st.builds(
        Publication,
        st.just("r"),
        TEXT | st.binary(),
        st.floats(allow_nan=False),
        st.none() | st.builds(Position, st.integers(1), IDS),
        st.none() | IDS,
    )
    | st.builds(Joined, st.just("r"), PRESENCE)
    | st.builds(Left, st.just("r"), PRESENCE)
)


@patient
@given(EVENTS)
def test_an_event_comes_out_of_its_envelope_as_it_went_in(event: Any) -> None:
    position = event.position if isinstance(event, Publication) else None
    assert from_envelope("r", position, to_envelope(event)) == event


@patient
@given(st.binary(max_size=400))
def test_an_id_of_any_length_never_fails_a_publication(name: bytes) -> None:
    exclude = name.hex()
    back = from_envelope("r", None, to_envelope(Publication("r", "x", 1.0, exclude=exclude)))
    assert isinstance(back, Publication)
    assert back.data == "x"
    assert back.exclude == (exclude if 0 < len(exclude) <= 255 else None)


def test_who_is_left_out_of_an_event() -> None:
    assert excluded(Publication("r", "x", 1.0, exclude="n-1")) == "n-1"
    assert excluded(Publication("r", "x", 1.0)) is None
    assert excluded(Joined("r", ADA)) == excluded(Left("r", ADA)) == "n-1"


def test_text_without_a_utf8_form_has_no_envelope() -> None:
    with pytest.raises(UnicodeEncodeError):
        to_envelope(Publication("r", "\ud800", 1.0))


def test_what_is_no_event_has_no_envelope() -> None:
    event: Any = "hello"
    with pytest.raises(TypeError, match="expected a room event, not str"):
        to_envelope(event)


def test_an_envelope_of_an_unknown_kind_is_named() -> None:
    envelope = to_envelope(Publication("r", "x", 1.0))
    with pytest.raises(ValueError, match="kind b'z', which this version does not know"):
        from_envelope("r", None, b"z" + envelope[1:])


def test_the_default_encoder_writes_publications_and_nothing_else() -> None:
    assert publications_only(Publication("r", "x", 1.0)) == "x"
    assert publications_only(Publication("r", b"\x00", 1.0)) == b"\x00"
    assert publications_only(Joined("r", ADA)) is None
    assert publications_only(Left("r", ADA)) is None
