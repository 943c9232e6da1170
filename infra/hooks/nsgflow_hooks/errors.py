"""What stops a hook."""

from __future__ import annotations


class HookError(Exception):
    """The hook cannot go on; its text is all that the user is told."""


class AzureError(Exception):
    """Azure refused, failed or gave no answer.

    Attributes:
        status: HTTP status, 0 where there was no answer.
        code: Azure's own code, such as AuthorizationFailed; empty where it gave none.
        message: in Azure's words, or what went wrong on the way.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code or status or 'no answer'}: {message}")
        self.status = status
        self.code = code
        self.message = message
