"""Interface between a connection and the application that answers its requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tfaas_nb.errors import TfaasError
from tfaas_nb.serving.counts import Tally
from tfaas_nb.serving.messages import Done, Head, Request, Response
from tfaas_nb.serving.roles import Role


@dataclass(frozen=True, eq=False)
class Call:
    """Handler of an admitted request, with its limits.

    Attributes
    ----------
    most_bytes : int
        Largest body.
    answer : callable
        Takes the request and a function to call, now or later, with the answer.
    tally : Tally, optional
        Where the application counts the answers.
    role : Role
        Who may ask it.
    own_coding : str
        Content-Encoding that the handler itself reads.
    """

    most_bytes: int
    answer: Callable[[Request, Done], None]
    tally: Tally | None = None
    role: Role = Role.ADMIN
    own_coding: str = ""


class Application(Protocol):
    """Application that answers the requests of a server."""

    def admit(self, head: Head) -> Call:
        """Return the call that will answer; raises a `TfaasError` to refuse."""
        ...

    def refuse(self, error: TfaasError) -> Response:
        """The answer that tells an error."""
        ...

    def hold(self, more_to_come: bool) -> None:
        """Answer requests together that come until it is called with False."""
        ...

    def answered(
        self,
        request: Request | None,
        call: Call | None,
        response: Response,
        since: float,
        client: str,
    ) -> Response:
        """Take note of an answer, and give it back as it is to be sent.

        `request` is None if what came was no HTTP, `call` if it was not admitted; `since` is
        when it was whole, by `time.perf_counter`, and `client` the peer's address.
        """
        ...
