"""What posts refuse."""

from __future__ import annotations

from kit.errors import MalformedRequest, NotFound, PermissionDenied


class PostNotFound(NotFound):
    """No such post, or not for this viewer."""

    code, message = "post_not_found", "There is no such post."


class AuthorNotFound(NotFound):
    """Nobody has this name."""

    code, message = "user_not_found", "There is nobody with this name."


class PostEmpty(MalformedRequest):
    """Neither text nor a video."""

    code, message = "post_empty", "A post needs text or a video."


class TextTooLong(MalformedRequest):
    """More characters than this site takes."""

    code, message = "text_too_long", "The text is too long."


class PostVideoNotFound(NotFound):
    """A video to be shown does not exist or belongs to somebody else."""

    code, message = "video_not_found", "You have no such video to show in a post."


class NotYourPost(PermissionDenied):
    """Only its author or a moderator deletes a post."""

    code, message = "not_your_post", "Only its author may delete this post."
