"""Every address has a role, and each role what it may, over the application and over sockets."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.graphs import serialized, weighted_sum
from tests.serving.test_app import Answer, ask
from tfaas_nb.bundle import Bundle
from tfaas_nb.client import Client
from tfaas_nb.errors import Forbidden, ModelNotFound, Unauthorized
from tfaas_nb.repository import Repository
from tfaas_nb.serving.app import App
from tfaas_nb.serving.roles import OPEN, ROLES, Role, role_of
from tfaas_nb.serving.security import Access
from tfaas_nb.serving.server import Server
from tfaas_nb.serving.service import Service
from tfaas_nb.serving.shares import all_in


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with ThreadPoolExecutor(2) as threads:
        access = Access("for-admins", reader_tokens=("for-readers", "for-others"))
        repository = Repository(tmp_path_factory.mktemp("roles"))
        yield App(Service(repository), access, all_in(threads))


def target(address: str) -> str:
    """An address of a model that is not there."""
    return re.sub(r"\{\w+\}", "nothing", re.sub(r"\[[^]]*\]", "", address))


def told(app: App, row: str, token: str | None) -> Answer:
    method, _, address = row.partition(" ")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return ask(app, method, target(address), headers=headers)


def test_every_address_has_a_role(app: App) -> None:
    """Whoever adds an address decides in `tfaas_nb.serving.roles` whose it is."""
    assert {f"{method} {address}" for method, address in app.methods} == set(ROLES)


def test_what_has_no_role_is_the_admins() -> None:
    assert role_of("POST", "/new") is Role.ADMIN


def test_liveness_alone_is_anybodys() -> None:
    assert sorted(OPEN) == ["/health", "/v2/health/live"]


@pytest.mark.parametrize("row", ROLES)
def test_an_address_answers_its_roles(app: App, row: str) -> None:
    role = ROLES[row]
    assert (told(app, row, None).status == 401) == (role > Role.ANYBODY)
    for token in ("for-readers", "for-others"):
        answer = told(app, row, token)
        assert (answer.status == 403) == (role > Role.READER)
        if answer.status == 403:
            assert "is for admins: this token or certificate may only predict" in answer.error
            assert answer.error.startswith("Forbidden: ")
        assert answer.status != 401
    assert told(app, row, "for-admins").status not in (401, 403)


def test_who_may_not_is_told_so_whether_or_not_there_is_a_model(app: App) -> None:
    """And of an address that is not there, only who was let in."""
    assert told(app, "POST /nowhere", "for-readers").status == 404
    assert told(app, "POST /nowhere", None).status == 401
    assert told(app, "PUT /upload", "for-readers").status == 405


@pytest.mark.slow
def test_readers_predict_and_change_nothing(tmp_path: Path) -> None:
    small = Bundle.from_parts(
        b'{"name": "small", "features": ["a", "b", "c"]}', serialized(weighted_sum)
    )
    readers = ["one-reader", "another-reader"]
    with Server(tmp_path, port=0, token="all", reader_token=readers) as server:
        admin = server.client()
        admin.upload(small)
        for token in readers:
            reader = Client(server.url, token)
            for _ in range(2):  # the second time the heads are known
                assert reader.predict("small", {"a": 1, "b": 1, "c": 1}) == 6.0
                with pytest.raises(Forbidden, match="POST /upload is for admins"):
                    reader.upload(small)
            with pytest.raises(Forbidden, match="DELETE /delete is for admins"):
                reader.delete("small")
            with pytest.raises(Forbidden, match="is for admins"):
                reader.label("small", "production")
            assert [row[:2] for row in reader.models().rows] == [("small", 1)]
            assert reader.download("small").name == "small"
            with pytest.raises(ModelNotFound):
                reader.params("none")
            reader.close()
        with pytest.raises(Unauthorized):
            Client(server.url, "a-reader").models()
        admin.label("small", "production")
        admin.unlabel("small", "production")
        admin.delete("small")
        admin.close()


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"isolated": True}, {"workers": 2}], ids=str)
def test_processes_know_the_roles(tmp_path: Path, options: dict[str, Any]) -> None:
    with Server(tmp_path, port=0, token="all", reader_token="some", **options) as server:
        for _ in range(8):  # of several connections, so that each worker is asked
            with contextlib.closing(Client(server.url, "some")) as reader:
                assert reader.describe_models() == []
                with pytest.raises(Forbidden, match="is for admins"):
                    reader.delete("none")
            with contextlib.closing(server.client()) as admin, pytest.raises(ModelNotFound):
                admin.delete("none")
