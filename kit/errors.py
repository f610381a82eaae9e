"""The product's error shape.

Every refusal the outside can see is a subclass of `AppError`, one per fact, declared beside its
feature. The API, the edge and the command line turn it into their own form; none of them invents
codes of its own.
"""

from __future__ import annotations

from typing import ClassVar


class AppError(Exception):
    """A fact the caller must hear about; `code` is stable text clients may rely on."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    message: ClassVar[str] = "Something went wrong on our side."
    retryable: ClassVar[bool] = False

    def __init__(self, message: str | None = None, **details: object) -> None:
        self.text = message or type(self).message
        self.details = details
        super().__init__(self.text)

    @property
    def retry_after_s(self) -> int | None:
        """Seconds the caller should wait before trying again, when that is known."""
        value = self.details.get("retry_after_s")
        return int(value) if isinstance(value, int | float) else None


class MalformedRequest(AppError):
    """The request could not be read as what the route takes."""

    code, status, message = "malformed_request", 422, "The request is not in the expected form."


class NotAuthenticated(AppError):
    """No token, or one that does not count."""

    code, status, message = "not_authenticated", 401, "Log in first."


class PermissionDenied(AppError):
    """The caller is known and may not do this."""

    code, status, message = "permission_denied", 403, "You may not do this."


class NotFound(AppError):
    """The thing does not exist, or not for this caller."""

    code, status, message = "not_found", 404, "There is nothing here."


class Conflict(AppError):
    """The request contradicts the present state."""

    code, status, message = "conflict", 409, "This contradicts the present state."


class RateLimited(AppError):
    """More requests than the caller's tier allows."""

    code, status, message = "rate_limited", 429, "Too many requests; wait a little."
    retryable = True


class Unavailable(AppError):
    """A part we need is away or full right now."""

    code, status, message = "unavailable", 503, "This is not available right now; try again soon."
    retryable = True
