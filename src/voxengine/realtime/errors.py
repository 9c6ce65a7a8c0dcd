"""What the emulated vendor complains of, in the vendor's own form."""

from __future__ import annotations

from typing import Any

__all__ = ["Complaint", "http_error"]


class Complaint(Exception):
    """A request that cannot be done. It is answered with an `error` event; the socket stays open.

    Args:
        message: what is wrong, for people.
        code: what is wrong, for programs.
        param: the field that it is about.
        kind: the vendor's class of errors.
    """

    def __init__(
        self,
        message: str,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
        self.kind = kind

    def event(self, client_event_id: str | None) -> dict[str, Any]:
        """The `error` event, without its own event_id."""
        return {
            "type": "error",
            "error": {
                "type": self.kind,
                "code": self.code,
                "message": str(self),
                "param": self.param,
                "event_id": client_event_id,
            },
        }


def http_error(kind: str, code: str | None, message: str) -> dict[str, Any]:
    """The body of an HTTP answer that is a refusal."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
