from __future__ import annotations

import json

from tfaas_nb.serving.settings import DEFAULT_GRACE, Settings

SETTINGS = Settings("/models", "secret", ("localhost", "one.example"), preload=True, drain=2.0)


def test_settings_survive_the_way_to_another_process() -> None:
    assert Settings.from_values(json.loads(json.dumps(SETTINGS.to_values()))) == SETTINGS


def test_the_token_is_not_shown() -> None:
    assert "secret" not in repr(SETTINGS)


def test_they_say_who_may_ask() -> None:
    assert SETTINGS.access.token == "secret"
    assert SETTINGS.access.hosts == {"localhost", "one.example"}


def test_they_say_how_long_the_end_may_take() -> None:
    assert SETTINGS.ending == 2.0 + DEFAULT_GRACE
