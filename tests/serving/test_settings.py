from __future__ import annotations

import json

from tfaas_nb.serving.rate import Rate
from tfaas_nb.serving.settings import DEFAULT_GRACE, Settings
from tfaas_nb.serving.tls import Tls

SETTINGS = Settings(
    "/models",
    "secret",
    ("localhost", "one.example"),
    preload=True,
    drain=2.0,
    reader_tokens=("reader-secret", "another-secret"),
    own_token="own-secret",
    certfile="/c.pem",
    keyfile="/k.pem",
    client_ca="/ca",
    admin_subjects=("/CN=Jane",),
    rate=2.5,
    burst=7,
)


def test_settings_survive_the_way_to_another_process() -> None:
    assert Settings.from_values(json.loads(json.dumps(SETTINGS.to_values()))) == SETTINGS


def test_the_token_is_not_shown() -> None:
    assert "secret" not in repr(SETTINGS)


def test_they_say_who_may_ask() -> None:
    assert SETTINGS.access.token == "secret"
    assert SETTINGS.access.hosts == {"localhost", "one.example"}
    assert SETTINGS.access.reader_tokens == ("reader-secret", "another-secret")
    assert SETTINGS.access.own_token == "own-secret"
    assert SETTINGS.access.certificates
    assert SETTINGS.access.admin_subjects == {"/CN=Jane"}
    assert not Settings("/models", None, ()).access.certificates


def test_they_say_how_often_and_over_what() -> None:
    assert SETTINGS.tls == Tls("/c.pem", "/k.pem", "/ca")
    assert SETTINGS.most == Rate(2.5, 7)
    bare = Settings("/models", None, ())
    assert (bare.tls, bare.most) == (None, None)


def test_they_say_how_long_the_end_may_take() -> None:
    assert SETTINGS.ending == 2.0 + DEFAULT_GRACE
