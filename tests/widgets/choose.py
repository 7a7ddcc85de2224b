"""What the browser sets when a person chooses a file."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any


def chosen(name: str, content: bytes) -> tuple[dict[str, Any], ...]:
    return (
        {
            "name": name,
            "type": "application/octet-stream",
            "size": len(content),
            "content": memoryview(content),
            "last_modified": datetime(2026, 1, 1, tzinfo=timezone.utc),
        },
    )
