"""Encrypted servers, over real sockets, with certificates of the test's own authority."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import shutil
import socket
import ssl
import subprocess
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from cryptography.hazmat.primitives import serialization

from tests.certificates import Authority, Issued
from tests.graphs import serialized, weighted_sum
from tests.serving.test_http import get, received, statuses
from tfaas_nb.bundle import Bundle
from tfaas_nb.client import Client
from tfaas_nb.errors import Forbidden, ServerError, ServerUnreachable, Unauthorized
from tfaas_nb.serving import netron, thread, tls
from tfaas_nb.serving.server import Server
from tfaas_nb.serving.tls import Encrypted, Tls

JANE = [("DC", "ch"), ("OU", "Users"), ("CN", "jdoe"), ("CN", "123456"), ("CN", "Jane Doe")]
JANES = "/DC=ch/OU=Users/CN=jdoe/CN=123456/CN=Jane Doe"
EVENT = {"a": 1.0, "b": 1.0, "c": 1.0}

curl_is_needed = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@dataclass(frozen=True)
class Grid:
    """An authority, what it signed, and where it lies."""

    authority: Authority
    folder: Path
    ca: Path
    server: Path
    person: Issued

    def wallet(self, who: Issued, name: str) -> Path:
        return who.write(self.folder / f"{name}.pem")


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Grid:
    authority, folder = Authority(), tmp_path_factory.mktemp("grid")
    own = authority.server("localhost", "127.0.0.1", "tfaas.example").write(folder / "server.pem")
    ca = authority.write(folder / "ca.pem")
    return Grid(authority, folder, ca, own, authority.client(JANE))


@pytest.fixture(scope="module")
def small() -> Bundle:
    return Bundle.from_parts(
        b'{"name": "small", "features": ["a", "b", "c"]}', serialized(weighted_sum)
    )


@pytest.fixture(scope="module")
def encrypted(grid: Grid, small: Bundle) -> Iterator[Server]:
    with Server(grid.folder / "m", port=0, token="all", certfile=grid.server) as running:
        with contextlib.closing(running.client()) as client:
            client.upload(small)
        yield running


@pytest.fixture(scope="module")
def log(grid: Grid) -> Path:
    return grid.folder / "access.log"


@pytest.fixture(scope="module")
def guarded(grid: Grid, small: Bundle, log: Path) -> Iterator[Server]:
    """A server that asks for certificates besides the token, but not Jane for a token."""
    files = {"certfile": grid.server, "client_ca": grid.ca}
    options: dict[str, Any] = {**files, "admin_subject": JANES, "access_log": log}
    with Server(grid.folder / "g", port=0, token="all", **options) as running:
        yield running


def connect(server: Server, grid: Grid, wallet: Path | None = None) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=grid.ca)
    if wallet:
        context.load_cert_chain(wallet)
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    return context.wrap_socket(plain, server_hostname="localhost")


# --- encryption -------------------------------------------------------------------------


def test_its_own_client_knows_it(encrypted: Server) -> None:
    assert encrypted.is_encrypted
    assert encrypted.url == f"https://127.0.0.1:{encrypted.port}"
    assert repr(encrypted) == f"Server({encrypted.url}, 1 model: small)"
    with contextlib.closing(encrypted.client()) as client, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert client.predict("small", EVENT) == 6.0


def test_a_client_from_elsewhere_knows_its_authority(encrypted: Server, grid: Grid) -> None:
    client = Client(f"https://localhost:{encrypted.port}", "all", ca=grid.ca)
    assert client.predict("small", EVENT) == 6.0
    client.close()


def test_the_environment_may_name_the_authority(
    encrypted: Server, grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for requests itself; what a client was given counts before it."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(grid.ca))
    with contextlib.closing(Client(encrypted.url, "all")) as client:
        assert client.describe_models()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(grid.server))
    with contextlib.closing(Client(encrypted.url, "all", ca=grid.ca)) as client:
        assert client.describe_models()
    with contextlib.closing(encrypted.client()) as client:
        assert client.describe_models()


def test_who_does_not_know_the_authority_is_told_what_to_do(encrypted: Server) -> None:
    for client in (
        Client(encrypted.url, "all"),
        Client(encrypted.url, "all", fingerprint="0" * 64),
    ):
        with pytest.raises(ServerUnreachable, match=r"is not trusted, or speaks no TLS.*ca=FILE"):
            client.models()
        client.close()


@contextlib.contextmanager
def tunnel() -> Iterator[str]:
    """Address of a proxy that hands on encrypted connections, as CERN's and others' do."""
    listening = socket.create_server(("127.0.0.1", 0))
    handed_on = [listening]

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        with contextlib.suppress(OSError):  # also after a reset
            target.shutdown(socket.SHUT_WR)

    def hand_on() -> None:
        with contextlib.suppress(OSError):
            near, _ = listening.accept()
            handed_on.append(near)
            asked = b""
            while not asked.endswith(b"\r\n\r\n"):
                asked += near.recv(1)
            host, _, port = asked.split()[1].decode().partition(":")
            with near, socket.create_connection((host, int(port)), timeout=10) as far:
                near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=pump, args=(far, near))
                back.start()
                pump(near, far)
                back.join(10)

    thread = threading.Thread(target=hand_on)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    for (
        one
    ) in handed_on:  # a client that found the wrong server keeps its error, and the connection
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(10)


@pytest.mark.parametrize("is_right", [True, False])
def test_a_fingerprint_counts_through_a_proxy(
    encrypted: Server, grid: Grid, is_right: bool
) -> None:
    right = Tls(str(grid.server)).fingerprint()
    with tunnel() as proxy:
        client = Client(encrypted.url, "all", fingerprint=right if is_right else "0" * 64)
        client = pickle.loads(pickle.dumps(client))
        client._session.proxies = {"https": proxy}
        if is_right:
            assert client.describe_models()
        else:
            with pytest.raises(ServerUnreachable, match="is not trusted"):
                client.describe_models()
        client.close()


def test_a_name_that_is_not_in_the_certificate_is_told(grid: Grid, tmp_path: Path) -> None:
    file = grid.authority.server("elsewhere.example").write(tmp_path / "elsewhere.pem")
    with Server(tmp_path / "m", port=0, certfile=file) as server:
        client = Client(server.url, server.token, ca=grid.ca)
        with pytest.raises(ServerUnreachable, match="is not trusted"):
            client.models()
        client.close()
        with contextlib.closing(server.client()) as own:
            assert own.describe_models() == []


def test_a_client_whose_authority_is_not_there_is_told(encrypted: Server, tmp_path: Path) -> None:
    client = Client(encrypted.url, ca=tmp_path / "none.pem")
    with pytest.raises(ServerUnreachable, match=r"none\.pem"):
        client.models()


def test_the_names_in_the_certificate_are_answered(encrypted: Server, grid: Grid) -> None:
    with connect(encrypted, grid) as client:
        for host, status in (("tfaas.example", 200), ("other.example", 403)):
            head = f"GET /v2?token=all HTTP/1.1\r\nHost: {host}:{encrypted.port}\r\n\r\n"
            client.sendall(head.encode())
            assert statuses(client.recv(10_000)) == [status]


def test_wildcards_and_addresses_in_the_certificate_are_answered(
    tmp_path: Path, grid: Grid
) -> None:
    names = ("localhost", "*.tfaas.example", "2001:db8::a")
    file = grid.authority.server(*names).write(tmp_path / "own.pem")
    asked = {
        "one.tfaas.example": 200,
        "[2001:db8::a]": 200,
        "[2001:DB8:0::000A]": 200,
        "tfaas.example": 403,
        "two.one.tfaas.example": 403,
        ".tfaas.example": 403,
        "*.tfaas.example": 403,
        "one.other.example": 403,
        "[2001:db8::b]": 403,
    }
    with Server(tmp_path / "models", port=0, token="all", certfile=file) as server:
        for host, status in asked.items():
            with connect(server, grid) as client:
                head = f"GET /v2?token=all HTTP/1.1\r\nHost: {host}:{server.port}\r\n\r\n"
                client.sendall(head.encode())
                assert statuses(client.recv(10_000)) == [status], host


def test_the_page_shows_encrypted_addresses(encrypted: Server, grid: Grid) -> None:
    address = f"https://localhost:{encrypted.port}"
    with contextlib.closing(encrypted.client()) as client:
        assert client.predict("small", EVENT) == 6.0  # of a model in memory it knows the width
    page = requests.get(f"{address}/?token=all", verify=str(grid.ca), timeout=10).text
    assert f"{address}/json" in page
    assert "http://" not in page


@curl_is_needed
def test_curl_is_answered(encrypted: Server, grid: Grid) -> None:
    body = json.dumps({"keys": list(EVENT), "values": list(EVENT.values()), "model": "small"})
    address = f"https://localhost:{encrypted.port}/json"
    options = ["--cacert", grid.ca, "-H", "Authorization: Bearer all", "-d", body]
    asked = ["curl", "-sS", "--tlsv1.2", *options, address]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [6.0]


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_large_bodies_and_pipelined_requests_arrive(
    grid: Grid, small: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    if loop == "asyncio":  # as on Windows
        monkeypatch.setattr(thread, "_new_loop", asyncio.new_event_loop)
    files = {"certfile": grid.server, "client_ca": grid.ca}
    with Server(tmp_path, port=0, token="all", **files) as server:
        wallet = grid.wallet(grid.person.proxy(), "jane-proxy")
        client = Client(server.url, "all", ca=grid.ca, cert=wallet)
        client.upload(small)
        values = np.arange(900_000, dtype=np.float32).reshape(-1, 3) % 7
        scores = client.predict("small", values, keys=list(EVENT))
        np.testing.assert_allclose(scores, values @ [1, 2, 3], rtol=1e-6)
        client.close()
        with connect(server, grid, wallet) as raw:
            raw.sendall(get("/v2?token=all") * 30 + get("/v2?token=all", "Connection: close"))
            assert statuses(received(raw)) == [200] * 31


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"isolated": True}, {"workers": 2}], ids=str)
def test_its_processes_are_encrypted(grid: Grid, tmp_path: Path, options: dict[str, Any]) -> None:
    files = {"certfile": grid.server, "client_ca": grid.ca}
    with Server(tmp_path, port=0, token="all", **files, **options) as server:
        with contextlib.closing(server.client()) as own:
            assert own.describe_models() == []
            assert server.scored() == 0
        wallet = grid.wallet(grid.person, "jane")
        client = Client(server.url, "all", ca=grid.ca, cert=wallet)
        assert client.describe_models() == []
        client.close()
        with pytest.raises(Unauthorized, match="asks for a client certificate"):
            Client(server.url, "all", ca=grid.ca).models()


def test_less_than_version_1_2_is_refused(encrypted: Server) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", encrypted.port), timeout=10) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        old.wrap_socket(plain)


@pytest.mark.parametrize(
    "sent", [get("/health"), b"\0" * 100, b"\x16\x03\x01\x00\x05hello", b"\x80\x2e\x01\x00\x02"]
)
def test_what_is_no_tls_ends_the_connection(
    encrypted: Server, grid: Grid, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection(("127.0.0.1", encrypted.port), timeout=10) as plain:
        plain.sendall(sent)
        plain.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP" not in received(plain)
    with connect(encrypted, grid) as client:
        client.sendall(get("/health", "Connection: close"))
        assert statuses(received(client)) == [200]
    assert not caplog.records


def test_a_client_that_meets_plain_http_is_told(server: Server) -> None:
    client = Client(server.url.replace("http:", "https:"), "token")
    with pytest.raises(ServerUnreachable, match="is not trusted, or speaks no TLS"):
        client.models()


@pytest.mark.slow
def test_a_slow_handshake_is_ended(
    grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE_SECONDS", 0.3)
    with Server(tmp_path, port=0, certfile=grid.server) as server:
        for sent in (b"", b"\x16\x03\x01"):
            start = time.monotonic()
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
                plain.sendall(sent)
                with contextlib.suppress(ConnectionResetError):
                    received(plain)
            assert time.monotonic() - start < 5


@pytest.mark.slow
def test_stopping_does_not_wait_for_farewells(grid: Grid, tmp_path: Path) -> None:
    server = Server(tmp_path, port=0, token="all", certfile=grid.server).start()
    with connect(server, grid) as client:
        client.sendall(get("/v2?token=all"))
        assert statuses(client.recv(10_000)) == [200]
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < 3


@pytest.mark.slow
def test_a_renewed_certificate_is_shown(
    grid: Grid, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = grid.authority.server("localhost").write(tmp_path / "own.pem")
    with Server(tmp_path / "m", port=0, certfile=file) as server:

        def shown() -> bytes | None:
            with connect(server, grid) as client:
                return client.getpeercert(binary_form=True)

        def until(what: Any) -> None:
            end = time.monotonic() + 10
            while not what():
                assert time.monotonic() < end
                time.sleep(0.05)

        first = shown()
        file.write_text("being written")
        until(lambda: caplog.records)
        assert "holds no certificate" in caplog.text or "cannot be used" in caplog.text
        assert "the former certificate is still shown" in caplog.text
        assert shown() == first
        renewed = grid.authority.server("localhost")
        renewed.write(tmp_path / "new.pem").replace(file)
        until(lambda: shown() != first)
        assert shown() == renewed.certificate.public_bytes(serialization.Encoding.DER)
        with contextlib.closing(server.client()) as client:
            assert client.describe_models() == []


def test_a_certificate_that_vanishes_is_still_shown(grid: Grid, tmp_path: Path) -> None:
    file = grid.authority.server("localhost").write(tmp_path / "own.pem")
    found = Encrypted(Tls(str(file)))
    file.unlink()
    found.look()


# --- files ------------------------------------------------------------------------------


def test_certificate_and_key_may_be_apart(grid: Grid, tmp_path: Path) -> None:
    apart = grid.authority.server("localhost").write_apart(tmp_path / "c.pem", tmp_path / "k.pem")
    with (
        Server(tmp_path / "m", port=0, certfile=apart[0], keyfile=apart[1]) as server,
        contextlib.closing(server.client()) as client,
    ):
        assert client.describe_models() == []


def test_authorities_may_lie_in_a_folder(grid: Grid, tmp_path: Path) -> None:
    hashed = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", grid.ca], capture_output=True, text=True
    )
    folder = tmp_path / "certificates"
    folder.mkdir()
    shutil.copy(grid.ca, folder / f"{hashed.stdout.strip()}.0")
    files = {"certfile": grid.server, "client_ca": folder}
    with Server(tmp_path / "m", port=0, token=False, **files) as server:
        wallet = grid.wallet(grid.person, "jane")
        with contextlib.closing(Client(server.url, ca=folder, cert=wallet)) as client:
            assert client.describe_models() == []


class Files:
    """Files that are wrong, each in its way."""

    def __init__(self, grid: Grid, folder: Path) -> None:
        self.grid, self.folder = grid, folder
        self.good = grid.authority.server("localhost").write_apart(
            folder / "c.pem", folder / "k.pem"
        )

    def write(self, name: str, content: bytes) -> Path:
        (self.folder / name).write_bytes(content)
        return self.folder / name

    def issued(self, days: tuple[float, float]) -> Path:
        return self.grid.authority.server("localhost", days=days).write(self.folder / "days.pem")

    def encrypted_key(self) -> Path:
        key = self.grid.person.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
        return self.write("locked.pem", self.grid.person.certificate_pem + key)

    def folder_of_nothing(self) -> Path:
        (self.folder / "nothing").mkdir()
        return self.folder / "nothing"


WRONG = {
    "no file": (lambda f: {"certfile": "none.pem"}, r"certificate .*none\.pem cannot be read"),
    "no key": (
        lambda f: {"certfile": f.good[0], "keyfile": "none.key"},
        r"private key .*none\.key cannot be read: No such file",
    ),
    "folder": (lambda f: {"certfile": f.folder}, "cannot be read: Is a directory"),
    "garbage": (
        lambda f: {"certfile": f.write("x.pem", b"x")},
        r"certificate .*x\.pem with .* cannot be used",
    ),
    "key left out": (lambda f: {"certfile": f.good[0]}, r"c\.pem .*c\.pem cannot be used"),
    "another's key": (
        lambda f: {"certfile": f.good[0], "keyfile": f.grid.server},
        r"c\.pem with the private key .*server\.pem cannot be used: key values mismatch",
    ),
    "locked key": (
        lambda f: {"certfile": f.encrypted_key()},
        r"locked\.pem is encrypted.*openssl pkey -in",
    ),
    "expired": (
        lambda f: {"certfile": f.issued((-9, -1))},
        r"no client would trust the certificate .*days\.pem: certificate has expired; renew it",
    ),
    "too early": (lambda f: {"certfile": f.issued((1, 9))}, "certificate is not yet valid"),
    "a person's": (
        lambda f: {"certfile": f.grid.wallet(f.grid.person, "jane")},
        r"jane\.pem: unsuitable certificate purpose",
    ),
    "no authorities": (
        lambda f: {"certfile": f.grid.server, "client_ca": "none.pem"},
        r"file of authorities .*none\.pem cannot be read",
    ),
    "empty authorities": (
        lambda f: {"certfile": f.grid.server, "client_ca": f.write("empty.pem", b"")},
        r"file of authorities .*empty\.pem cannot be used",
    ),
    "no hashes": (
        lambda f: {"certfile": f.grid.server, "client_ca": f.folder_of_nothing()},
        r"no file in .*nothing is called by the hash .* openssl rehash",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_file_that_cannot_be_used_is_named(grid: Grid, tmp_path: Path, wrong: str) -> None:
    files, message = WRONG[wrong]
    server = Server(tmp_path / "m", port=0, **files(Files(grid, tmp_path)))
    with pytest.raises(ServerError, match=message):
        server.start()
    assert not server.is_running


# --- clients' certificates --------------------------------------------------------------


def test_a_certificate_and_a_token_are_asked_for(guarded: Server, grid: Grid) -> None:
    john = grid.wallet(grid.authority.client([("CN", "John")]), "john")
    asked = [(None, None), (None, "all"), (john, None), (john, "wrong"), (john, "all")]
    found = []
    for wallet, token in asked:
        with contextlib.closing(Client(guarded.url, token, ca=grid.ca, cert=wallet)) as client:
            try:
                found.append(type(client.describe_models()).__name__)
            except Unauthorized as error:
                found.append(str(error).partition(":")[0][:30])
    assert found == [
        *["this server asks for a client "] * 2,
        *["the token is missing or wrong"] * 2,
        "list",
    ]


def test_liveness_needs_no_certificate(guarded: Server, grid: Grid) -> None:
    for path, status in (("/health", 200), ("/v2/health/live", 200), ("/", 401), ("/v2", 401)):
        answer = requests.get(f"{guarded.url}{path}", verify=str(grid.ca), timeout=10)
        assert answer.status_code == status


@pytest.mark.parametrize("proxies", [0, 1, 2], ids=["certificate", "proxy", "proxy of a proxy"])
def test_an_admins_certificate_needs_no_token(
    guarded: Server, grid: Grid, small: Bundle, log: Path, proxies: int
) -> None:
    who = grid.person
    for number in range(proxies):
        who = who.proxy(str(1000 + number))
    wallet = grid.wallet(who, f"jane-{proxies}")
    with contextlib.closing(Client(guarded.url, ca=grid.ca, cert=wallet)) as client:
        client.upload(small, f"by_proxy_{proxies}")
        assert client.predict(f"by_proxy_{proxies}", EVENT) == 6.0
        client.delete(f"by_proxy_{proxies}")
    assert _logged(log, path="/delete")[-1]["subject"] == JANES


@curl_is_needed
def test_curl_shows_a_proxy(guarded: Server, grid: Grid) -> None:
    wallet = grid.wallet(grid.person.proxy(), "x509up")
    asked = ["curl", "-sS", "--cacert", grid.ca, "--cert", wallet, f"{guarded.url}/models"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_a_proxy_under_another_name_is_none(guarded: Server, grid: Grid) -> None:
    """Its name is its signer's with one more part: else everybody could sign for everybody."""
    john = grid.authority.client([("CN", "John")])
    proxy = john.proxy()
    in_her_name = john.proxy(of=grid.person)
    for who in (Issued(proxy.certificate, proxy.key, (grid.person.certificate,)), in_her_name):
        client = Client(guarded.url, ca=grid.ca, cert=grid.wallet(who, "forged"))
        with pytest.raises(ServerUnreachable):
            client.describe_models()
        client.close()


@pytest.mark.parametrize("who", ["stranger", "expired"])
def test_a_certificate_that_is_not_trusted_ends_the_connection(
    guarded: Server, grid: Grid, who: str
) -> None:
    if who == "stranger":
        issued = Authority([("CN", "Somebody")]).client(JANE)
    else:
        issued = grid.authority.client(JANE, days=(-9, -1))
    client = Client(guarded.url, "all", ca=grid.ca, cert=grid.wallet(issued, who))
    with pytest.raises(ServerUnreachable):
        client.describe_models()
    client.close()


@pytest.mark.slow
def test_what_one_certificate_may_the_next_may_not(guarded: Server, grid: Grid) -> None:
    """Send the bytes of a known head with the certificate of somebody else."""
    request = get("/models", "Connection: keep-alive")
    wallets = [grid.wallet(grid.person, "jane"), None]
    wallets.append(grid.wallet(grid.authority.client([("CN", "John")]), "john"))
    for _ in range(2):
        found = []
        for wallet in wallets:
            with connect(guarded, grid, wallet) as client:
                for _ in range(2):
                    client.sendall(request)
                    found += statuses(client.recv(10_000))
        assert found == [200, 200, 401, 401, 401, 401]


def test_without_a_token_a_certificate_may_read(grid: Grid, small: Bundle, tmp_path: Path) -> None:
    files = {"certfile": grid.server, "client_ca": grid.ca, "admin_subject": [JANES]}
    with Server(tmp_path, port=0, token=False, **files) as server:
        john = grid.wallet(grid.authority.client([("CN", "John")]), "john")
        jane = grid.wallet(grid.person, "jane")
        reader = Client(server.url, ca=grid.ca, cert=john)
        admin = Client(server.url, ca=grid.ca, cert=jane)
        admin.upload(small)
        assert reader.predict("small", EVENT) == 6.0
        with pytest.raises(Forbidden, match="is for admins"):
            reader.delete("small")
        with contextlib.closing(server.client()) as own:
            own.delete("small")
        nobody = Client(server.url, ca=grid.ca)
        with pytest.raises(Unauthorized):
            nobody.models()
        # Netron's key would be made from no token.
        path = f"{server.url}/netron/k/{netron.key('')}/index.html"
        assert requests.get(path, verify=str(grid.ca), timeout=10).status_code == 401
        for client in (reader, admin, nobody):
            client.close()


def test_graphs_are_drawn_for_certificates_only(guarded: Server, grid: Grid) -> None:
    path = f"{guarded.url}/netron/k/{netron.key('all')}/index.html"
    john = str(grid.wallet(grid.authority.client([("CN", "John")]), "john"))
    for cert, status in ((None, 401), (john, 200)):
        answer = requests.get(path, verify=str(grid.ca), cert=cert, timeout=10)
        assert answer.status_code == status


def test_a_subject_writes_no_line_of_its_own(guarded: Server, grid: Grid, log: Path) -> None:
    odd = grid.authority.client([("O", 'a"\n{"status":200}'), ("CN", "x/CN=root\x1b[2J\u202e")])
    wallet = grid.wallet(odd, "odd")
    with contextlib.closing(Client(guarded.url, "all", ca=grid.ca, cert=wallet)) as client:
        client.describe_models()
    line = _logged(log, path="/models")[-1]
    shown = '/O=a"\\u000a{"status":200}/CN=x\\/CN=root\\u001b[2J\\u202e'
    assert line["subject"] == shown


def _logged(log: Path, path: str) -> list[dict[str, Any]]:
    """Lines of the access log, which is written a moment later."""
    end = time.monotonic() + 5
    time.sleep(0.05)
    while True:
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        found = [line for line in lines if line["path"] == path]
        if found or time.monotonic() > end:
            return found
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ((), "/"),
        (((("commonName", "host/cms.example"),),), "/CN=host/cms.example"),
        (((("commonName", "a/CN=b"),),), "/CN=a\\/CN=b"),
        (((("commonName", "a"),), (("commonName", "b"),)), "/CN=a/CN=b"),
        (((("commonName", "a\\/CN=b"),),), "/CN=a\\\\\\/CN=b"),
        (((("commonName", "a"), ("userId", "b")),), "/CN=a+UID=b"),
        (((("commonName", "a+UID=b"),),), "/CN=a\\+UID=b"),
        (((("emailAddress", "a@b"),),), "/emailAddress=a@b"),
        (((("commonName", "Zoë"),),), "/CN=Zoë"),
        (((("commonName", "\\u000a"),),), "/CN=\\\\u000a"),
    ],
)
def test_no_two_names_look_the_same(name: Any, shown: str) -> None:
    assert tls.written(name) == shown
