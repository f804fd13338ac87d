import pytest

from roomcast.errors import InvalidHeader
from roomcast.protocol.headers import elements, is_token, parse_extensions, write_headers, write_server_headers


def test_a_list_may_come_in_one_line_or_in_several() -> None:
    assert elements([b"a, b ,,\tc", b"", b"d"]) == ["a", "b", "c", "d"]


def test_a_token_has_no_separators() -> None:
    assert is_token("graphql-ws")
    assert not any(map(is_token, ("", "a b", "a,b", 'a"', "a/b", "ä", "a\n")))


@pytest.mark.parametrize(
    ("text", "extensions"),
    [
        ("foo", (("foo", ()),)),
        ("foo; a; b=1", (("foo", (("a", None), ("b", "1"))),)),
        (' foo ;a = "b\\c" , bar', (("foo", (("a", "bc"),)), ("bar", ()))),
        (",foo,,bar,", (("foo", ()), ("bar", ()))),
    ],
)
def test_extensions_are_parsed(text: str, extensions: object) -> None:
    assert parse_extensions(text) == extensions


@pytest.mark.parametrize(
    "text",
    ["", " , ", ";", "foo;", "foo; ;a", "foo a", "foo; a=", 'foo; a="', 'foo; a=""', 'foo; a="b c"', "foo=1"],
)
def test_extensions_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|unexpected|no extension|no token"):
        parse_extensions(text)


def test_headers_are_written_as_they_are() -> None:
    assert write_headers([(b"X-A", b"1"), (b"x-a", b"\xe4 b")]) == b"X-A: 1\r\nx-a: \xe4 b\r\n"


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\nb", b"a\rb", b"a\x00b", b"a\x7f", b"\x1b"])
def test_a_header_value_with_a_control_character_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidHeader, match="control character"):
        write_headers([(b"x", value)])


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\n", b"\xe4", b"a\x00"])
def test_a_header_name_that_is_no_token_is_refused(name: bytes) -> None:
    with pytest.raises(InvalidHeader, match="not a token"):
        write_headers([(name, b"1")])


def test_only_a_servers_own_headers_are_kept_as_they_were_written() -> None:
    headers = ((b"set-cookie", b"a secret that is longer than one byte"),)
    assert write_headers(headers) == write_server_headers(headers)
    assert write_server_headers(headers) is write_server_headers(headers)
    assert write_headers(headers) is not write_headers(headers)
    for number in range(100):
        write_server_headers(((b"date", b"%d" % number),))
    assert write_server_headers.cache_info().currsize <= 16


def test_a_servers_own_headers_are_checked_too() -> None:
    with pytest.raises(InvalidHeader, match="control character"):
        write_server_headers(((b"server", b"a\r\nb: c"),))
