from __future__ import annotations

import importlib.util

import pytest

from tfaas_nb.widgets import proxy


def test_on_a_hub_the_path_begins_with_its_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/me/")
    assert proxy.path(8083) == "/user/me/proxy/8083/"


@pytest.mark.parametrize(("found", "expected"), [(None, None), (object(), "proxy/8083/")])
def test_elsewhere_it_depends_on_the_proxy(
    monkeypatch: pytest.MonkeyPatch, found: object, expected: str | None
) -> None:
    monkeypatch.delenv("JUPYTERHUB_SERVICE_PREFIX", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: found)
    assert proxy.path(8083) == expected
