"""binder/serving: the container, the cluster and the proxy ask for what there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from tfaas_nb.cli import parser
from tfaas_nb.repository import Repository
from tfaas_nb.serving.app import App
from tfaas_nb.serving.messages import Head
from tfaas_nb.serving.models import MOST_UPLOAD
from tfaas_nb.serving.security import TOKEN_VARIABLE, Access, check_listening
from tfaas_nb.serving.service import Service
from tfaas_nb.serving.shares import all_in

ROOT = Path(__file__).parent.parent
PLACE = ROOT / "binder" / "serving"
PYPROJECT = (ROOT / "pyproject.toml").read_text()
IMAGE = (PLACE / "Containerfile").read_text()
NGINX = (PLACE / "nginx.conf").read_text()


@pytest.fixture(scope="module")
def manifests() -> dict[str, Any]:
    """By kind."""
    found = list(yaml.safe_load_all((PLACE / "kubernetes.yaml").read_text()))
    return {manifest["kind"]: manifest for manifest in found}


@pytest.fixture(scope="module")
def pod(manifests: dict[str, Any]) -> Any:
    return manifests["Deployment"]["spec"]["template"]


@pytest.fixture(scope="module")
def container(pod: Any) -> Any:
    (found,) = pod["spec"]["containers"]
    return found


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with ThreadPoolExecutor(1) as threads:
        yield App(Service(Repository(tmp_path)), Access("secret"), all_in(threads))


def instructions(name: str) -> list[str]:
    lines = re.sub(r"\\\n\s*", "", IMAGE).splitlines()
    return [line.partition(" ")[2] for line in lines if line.startswith(f"{name} ")]


# --- the container ----------------------------------------------------------------------


def test_the_image_has_a_python_that_will_do() -> None:
    (base,) = instructions("FROM")
    python = base.removeprefix("python:").removesuffix("-slim")
    found = re.search(r'requires-python = "(.*)"', PYPROJECT)
    assert found
    assert python in SpecifierSet(found[1])
    assert (ROOT / "binder" / "runtime.txt").read_text().strip() == f"python-{python}"


def test_the_image_copies_what_there_is_and_all_that_the_build_needs() -> None:
    copied = {path for line in instructions("COPY") for path in line.split()[:-1]}
    assert all((ROOT / path).exists() for path in copied)
    needed = re.findall(r'^(?:readme|packages|license-files) = \[?"(.*?)"', PYPROJECT, re.MULTILINE)
    assert copied == {"pyproject.toml", "constraints.txt", *needed}


def test_the_image_installs_an_extra_that_exists() -> None:
    (line,) = [line for line in instructions("RUN") if line.startswith("pip install")]
    assert "--constraint constraints.txt" in line
    found = re.search(r"'\.\[(\w+)\]'", line)
    assert found
    assert re.search(rf"^{found[1]} = \[", PYPROJECT, re.MULTILINE)


def test_the_image_starts_a_server_as_somebody_else_than_root() -> None:
    assert instructions("USER") == ["10001"]
    (entry,) = instructions("ENTRYPOINT")
    (defaults,) = instructions("CMD")
    program, *arguments = [*yaml.safe_load(entry), *yaml.safe_load(defaults)]
    assert f'{program} = "tfaas_nb.cli:main"' in PYPROJECT
    options = parser().parse_args(arguments)
    check_listening(options.host, not options.no_token, options.plain_http)
    assert instructions("EXPOSE") == [str(options.port)]
    assert instructions("VOLUME") == [str(options.models)]
    assert TOKEN_VARIABLE in IMAGE


# --- the cluster ------------------------------------------------------------------------


def test_the_manifests_fit_together(manifests: dict[str, Any], pod: Any, container: Any) -> None:
    assert set(manifests) == {
        "PersistentVolumeClaim",
        "Service",
        "PodDisruptionBudget",
        "Deployment",
    }
    labels, deployment = pod["metadata"]["labels"], manifests["Deployment"]["spec"]
    assert manifests["Service"]["spec"]["selector"] == labels
    assert manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert deployment["selector"]["matchLabels"] == labels
    assert deployment["replicas"] == 3 > manifests["PodDisruptionBudget"]["spec"]["minAvailable"]
    claim = manifests["PersistentVolumeClaim"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert volumes["models"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    (port,) = manifests["Service"]["spec"]["ports"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports[port["targetPort"]] == port["port"]


def test_the_command_of_the_pods_is_one(pod: Any, container: Any) -> None:
    (program, command), arguments = container["command"], container["args"]
    assert f'{program} = "tfaas_nb.cli:main"' in PYPROJECT
    options = parser().parse_args([command, *arguments])
    assert options.host == "0.0.0.0"
    check_listening(options.host, not options.no_token, options.plain_http)
    assert options.port == container["ports"][0]["containerPort"]
    assert str(options.models) in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert not options.no_token
    assert options.token is None, "others would see it"
    grace = pod["spec"]["terminationGracePeriodSeconds"]
    assert options.drain > 0
    assert options.drain + options.grace < grace


def test_the_token_is_a_secret(container: Any) -> None:
    variables = {variable["name"]: variable for variable in container["env"]}
    secret = variables[TOKEN_VARIABLE]["valueFrom"]["secretKeyRef"]
    text = (PLACE / "kubernetes.yaml").read_text()
    assert f"kubectl create secret generic {secret['name']} --from-literal={secret['key']}=" in text
    names = set(re.findall(r"\$\((\w+)\)", " ".join(container["args"])))
    assert names <= set(variables)


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_probes_ask_for_what_is_told_without_a_token(app: App, container: Any, probe: str) -> None:
    asked = container[probe]["httpGet"]
    assert asked["port"] == container["ports"][0]["name"]
    # The kubelet asks by the pod's address.
    assert app.admit(Head("GET", asked["path"], b"", {b"host": b"10.1.2.3:8083"}))


def test_a_server_that_ends_gets_no_requests_but_lives(container: Any) -> None:
    assert container["readinessProbe"]["httpGet"]["path"] == "/health"
    assert container["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"


def test_the_pods_may_do_little(pod: Any, container: Any) -> None:
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert [str(pod["spec"]["securityContext"]["runAsUser"])] == instructions("USER")
    assert pod["spec"]["securityContext"]["fsGroup"] > 0
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}
    writable = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert writable == {"/models", "/tmp"}
    homes = re.findall(r"(?:HOME|MPLCONFIGDIR)=(\S+)", IMAGE)
    assert set(homes) == {"/tmp"}


# --- the proxy --------------------------------------------------------------------------


def location(path: str) -> str:
    """The block of nginx's configuration that answers for a path."""
    found = re.search(r"location ~ (\S+) \{(.*?)\}", NGINX, re.DOTALL)
    other = re.search(r"location / \{(.*?)\}", NGINX, re.DOTALL)
    assert found
    assert other
    return found[2] if re.match(found[1], path) else other[1]


def test_only_what_changes_nothing_is_sent_twice(app: App) -> None:
    changes = {
        path.replace("{name}", "x").replace("{label}", "y")
        for method, path in routes(app)
        if method in ("PUT", "DELETE") or path.endswith(("/load", "/unload"))
    } | {"/upload", "/bundle"}
    assert len(changes) > 5
    for path in changes:
        assert "non_idempotent" not in location(path), path
        assert "http://changes" in location(path)
    for path in ("/json", "/predict/proto", "/v2/models/x/infer", "/v1/models/x:predict", "/npy"):
        assert "non_idempotent" in location(path)


def routes(app: App) -> Iterator[tuple[str, str]]:
    for path, methods in app._calls.items():
        yield from ((method, path) for method in methods)
    for route in app._named:
        yield route.method, route.shown


def test_the_proxy_lets_uploads_pass() -> None:
    found = re.search(r"client_max_body_size (\d+)m;", NGINX)
    assert found
    assert int(found[1]) << 20 == MOST_UPLOAD


def test_every_location_passes_the_host_on() -> None:
    """A location with a header of its own takes none from around it."""
    blocks = re.findall(r"location .*?\{(.*?)\}", NGINX, re.DOTALL)
    assert len(blocks) == 2
    assert all("proxy_set_header Host $http_host;" in block for block in blocks)
