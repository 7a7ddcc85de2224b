from __future__ import annotations

import pytest

from tfaas_nb.errors import Forbidden, ServerError, Unauthorized
from tfaas_nb.serving.roles import Role
from tfaas_nb.serving.security import (
    LOOPBACK,
    Access,
    Caller,
    check_listening,
    host_name,
    is_loopback,
    new_token,
)

HERE = {b"host": b"127.0.0.1:8083"}
OPEN = Access(None)
CLOSED = Access("secret")


def test_tokens_are_long_and_differ() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 32


def test_tokens_need_no_quoting_anywhere() -> None:
    tokens = [new_token() for _ in range(2000)]  # of base64's, one in 64 begins with a dash
    assert all(token.isalnum() for token in tokens)


@pytest.mark.parametrize(
    "headers",
    [
        {b"authorization": b"Bearer secret"},
        {b"authorization": b"bearer secret"},
        {b"authorization": b"BEARER secret "},
    ],
)
def test_the_token_is_taken_from_the_header(headers: dict[bytes, bytes]) -> None:
    CLOSED.check(HERE | headers, b"")


@pytest.mark.parametrize("query", [b"token=secret", b"model=ttbar&token=secret", b"token=s%65cret"])
def test_the_token_is_taken_from_the_address(query: bytes) -> None:
    """TFaaS's C++ client cannot send headers."""
    CLOSED.check(HERE, query)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, b""),
        ({}, b"token="),
        ({}, b"token=secre"),
        ({}, b"token=secrets"),
        ({}, b"Token=secret"),
        ({}, b"token=wrong&token=secret"),
        ({}, b"token=\xff"),
        ({b"authorization": b""}, b""),
        ({b"authorization": b"secret"}, b""),
        ({b"authorization": b"Basic secret"}, b""),
        ({b"authorization": b"Bearer"}, b""),
        ({b"authorization": b"Bearer wrong"}, b""),
        ({b"authorization": b"Bearer \xff"}, b""),
        ({b"authorization": b"Bearer wrong"}, b"token=secret"),
    ],
)
def test_without_the_token_nobody_gets_in(headers: dict[bytes, bytes], query: bytes) -> None:
    with pytest.raises(Unauthorized, match="the token is missing or wrong: send 'Authorization"):
        CLOSED.check(HERE | headers, query)


def test_each_token_has_its_role() -> None:
    access = Access("all", reader_tokens=("one", "two"), own_token="own")
    found = [
        access.check(HERE, f"token={token}".encode()) for token in ("all", "one", "two", "own")
    ]
    assert found == [
        ("admin", Role.ADMIN),
        ("reader 1", Role.READER),
        ("reader 2", Role.READER),
        ("own", Role.ADMIN),
    ]
    with pytest.raises(Unauthorized):
        access.check(HERE, b"token=three")
    assert OPEN.check(HERE, b"") == Caller("", Role.ADMIN)


JANE, JOHN = "/CN=Jane", "/CN=John"


@pytest.mark.parametrize(
    ("token", "query", "subject", "caller"),
    [
        # A certificate is asked for besides the token,
        ("all", b"", "", None),
        ("all", b"token=all", "", None),
        ("all", b"token=read", "", None),
        ("all", b"", JOHN, None),
        ("all", b"token=wrong", JOHN, None),
        ("all", b"token=all", JOHN, ("admin", Role.ADMIN)),
        ("all", b"token=read", JOHN, ("reader 1", Role.READER)),
        # which admins by their certificate need not show,
        ("all", b"", JANE, (JANE, Role.ADMIN)),
        ("all", b"token=read", JANE, (JANE, Role.ADMIN)),
        # nor others where there is none: they read.
        (None, b"", "", None),
        (None, b"", JOHN, (JOHN, Role.READER)),
        (None, b"", JANE, (JANE, Role.ADMIN)),
        # The server's own client has none.
        ("all", b"token=own", "", ("own", Role.ADMIN)),
        (None, b"token=own", "", ("own", Role.ADMIN)),
    ],
)
def test_certificates_and_tokens_make_roles(
    token: str | None, query: bytes, subject: str, caller: tuple[str, Role] | None
) -> None:
    readers = ("read",) if token else ()
    access = Access(token, LOOPBACK, readers, "own", certificates=True, admin_subjects={JANE})  # type: ignore[arg-type]
    if caller is None:
        with pytest.raises(Unauthorized, match="certificate" if not subject else "token"):
            access.check(HERE, query, subject)
    else:
        assert access.check(HERE, query, subject) == caller


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "LOCALHOST"])
def test_this_machine_is_let_in_by_anything(host: str) -> None:
    assert is_loopback(host)
    check_listening(host, is_closed=False, is_encrypted=False)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "192.0.2.1", "fe80::1%eth0", "example.org", "localhost.org"]
)
def test_others_are_let_in_by_a_token_over_tls(host: str) -> None:
    assert not is_loopback(host)
    check_listening(host, is_closed=True, is_encrypted=True)
    with pytest.raises(ServerError, match=r"anybody who reaches .* could upload.*--no-token"):
        check_listening(host, is_closed=False, is_encrypted=True)
    with pytest.raises(ServerError, match=r"whoever listens .*--certfile.*--plain-http"):
        check_listening(host, is_closed=True, is_encrypted=False)


def test_the_refusal_does_not_tell_the_token() -> None:
    with pytest.raises(Unauthorized) as caught:
        CLOSED.check(HERE, b"token=wrong")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST", "localhost."])
@pytest.mark.parametrize("port", ["", ":8083"])
def test_this_machine_may_ask_under_its_own_names(host: str, port: str) -> None:
    OPEN.check({b"host": f"{host}{port}".encode()}, b"")


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8083",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example#localhost",
        "evil.example?127.0.0.1",
        "127.0.0.2",
        "0.0.0.0",
        "[::2]",
        "[::1",
        "\xff",
    ],
)
def test_a_rebound_name_is_refused(host: str) -> None:
    """A page of evil.example may let its name point here; its requests still carry the name."""
    with pytest.raises(Forbidden, match=r"does not answer for host .*--allow-host"):
        OPEN.check({b"host": host.encode("latin-1")}, b"")


def test_a_request_without_host_is_refused() -> None:
    with pytest.raises(Forbidden, match="for host ''"):
        OPEN.check({}, b"")


def test_a_name_that_was_allowed_is_answered() -> None:
    Access(None, LOOPBACK | {"swan.cern.ch"}).check({b"host": b"swan.cern.ch:443"}, b"")


def test_the_host_is_looked_at_before_the_token() -> None:
    with pytest.raises(Forbidden):
        CLOSED.check({b"host": b"evil.example", b"authorization": b"Bearer secret"}, b"")


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8083", "http://127.0.0.1:8083"),
        ("localhost", "http://localhost"),
        ("[::1]:8083", "http://[::1]:8083"),
        ("localhost:8083", "https://localhost:8083"),
    ],
)
def test_a_page_of_the_server_itself_may_ask(host: str, origin: str) -> None:
    OPEN.check({b"host": host.encode(), b"origin": origin.encode()}, b"")


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://127.0.0.1:8888",
        "http://127.0.0.1",
        "http://localhost:8083",
        "null",
        "",
        "http://[",
        "127.0.0.1:8083",
        "http://127.0.0.1:8083.evil.example",
        "http://evil.example/127.0.0.1:8083",
    ],
)
def test_a_page_of_another_site_may_not_ask(origin: str) -> None:
    with pytest.raises(Forbidden, match=r"pages of .* may not ask this server"):
        CLOSED.check(HERE | {b"origin": origin.encode(), b"authorization": b"Bearer secret"}, b"")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Example.ORG:80", "example.org"),
        ("[::1]:80", "::1"),
        ("[::1]", "::1"),
        ("[2001:DB8:0:0::0001]:80", "2001:db8::1"),
        ("localhost.", "localhost"),
        ("", ""),
        ("[", ""),
        ("localhost..", "localhost."),
        ("user@localhost", ""),
        ("localhost#x", ""),
        ("localhost:80:80", ""),
    ],
)
def test_names_are_taken_out_of_hosts(host: str, name: str) -> None:
    assert host_name(host) == name
