"""What comments refuse."""

from __future__ import annotations

from kit.errors import NotFound, PermissionDenied


class CommentNotFound(NotFound):
    """No such comment, or not for this viewer."""

    code, message = "comment_not_found", "There is no such comment."


class NotYourComment(PermissionDenied):
    """Only its author changes a comment; whose post or video it is, or a moderator, deletes it."""

    code = "not_your_comment"
    message = "Only its author may change this; also the owner of the page may delete or pin it."
