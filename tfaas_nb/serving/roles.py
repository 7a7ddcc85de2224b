"""Roles, and the table of the role that each address asks for.

An address that does not stand here is the admins' alone, and a test misses its row.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType


class Role(IntEnum):
    """Role of a caller; each may do all that the roles before it may."""

    ANYBODY = 0
    READER = 1
    ADMIN = 2


_VERSION = "/v2/models/{name}[/versions/{version}]"
_SERVED = "/v1/models/{name}[/versions/{version}|/labels/{label}]"
_NETRON = "/netron[/k/{key}]"
_DIALECTS = ("json", "proto", "dataframe", "npy", "arrow", "image")

#: Method and address, as `Route.shown` writes it, → who may ask.
ROLES: Mapping[str, Role] = MappingProxyType(
    {
        # Liveness, for whoever looks after the process.
        "GET /health": Role.ANYBODY,
        "GET /v2/health/live": Role.ANYBODY,
        # Scores.
        **{f"POST /{dialect}": Role.READER for dialect in _DIALECTS},
        **{f"POST /predict/{dialect}": Role.READER for dialect in _DIALECTS},
        f"POST {_VERSION}/infer": Role.READER,
        f"POST {_SERVED}:predict": Role.READER,
        f"POST {_SERVED}:classify": Role.READER,
        f"POST {_SERVED}:regress": Role.READER,
        # What there is; a POST where a form or a body names it.
        "GET /": Role.READER,
        "GET /openapi.json": Role.READER,
        "GET /status": Role.READER,
        "GET /metrics": Role.READER,
        "GET /models": Role.READER,
        "GET /models/{name}/versions": Role.READER,
        "GET /params/{name}": Role.READER,
        "POST /params": Role.READER,
        "GET /bundle/{name}": Role.READER,
        "GET /netron/": Role.READER,
        "GET /netron/k/{key}/": Role.READER,
        f"GET {_NETRON}/{{file}}": Role.READER,
        f"GET {_NETRON}/models/{{name}}/{{version}}/{{file}}": Role.READER,
        "GET /v2": Role.READER,
        "GET /v2/health/ready": Role.READER,
        f"GET {_VERSION}": Role.READER,
        f"GET {_VERSION}/ready": Role.READER,
        "POST /v2/repository/index": Role.READER,
        f"GET {_SERVED}": Role.READER,
        f"GET {_SERVED}/metadata": Role.READER,
        # What changes it.
        "POST /upload": Role.ADMIN,
        "POST /bundle": Role.ADMIN,
        "DELETE /delete": Role.ADMIN,
        "DELETE /delete/{name}": Role.ADMIN,
        "PUT /models/{name}/labels/{label}": Role.ADMIN,
        "DELETE /models/{name}/labels/{label}": Role.ADMIN,
        "POST /v2/repository/models/{name}/load": Role.ADMIN,
        "POST /v2/repository/models/{name}/unload": Role.ADMIN,
    }
)

#: Addresses that answer without token or certificate.
OPEN = frozenset(key.partition(" ")[2] for key, role in ROLES.items() if role is Role.ANYBODY)


def role_of(method: str, address: str) -> Role:
    """Return the least role that may ask an address, as `Route.shown` writes it."""
    return ROLES.get(f"{method} {address}", Role.ADMIN)
