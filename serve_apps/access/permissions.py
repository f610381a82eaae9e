"""What a route asks of its caller, and the one place that answers.

Every route names a `Permission`. Whether a particular row belongs to the caller is the feature's
own rule, in its service: `OWNER` says that the service checks it.
"""

from __future__ import annotations

import enum

from kit.errors import NotAuthenticated, PermissionDenied
from serve_apps.access.identity import Identity, Role


class Permission(enum.StrEnum):
    """What a route asks for."""

    PUBLIC = "public"
    USER = "user"
    OWNER = "owner"
    CREATOR = "creator"
    MODERATOR = "moderator"
    ADMIN = "admin"


RANKS = {role: rank for rank, role in enumerate(Role)}
ROLE_NEEDED = {
    Permission.USER: Role.USER,
    Permission.OWNER: Role.USER,
    Permission.CREATOR: Role.CREATOR,
    Permission.MODERATOR: Role.MODERATOR,
    Permission.ADMIN: Role.ADMIN,
}


def check_permission(permission: Permission, identity: Identity | None) -> None:
    """Refuse a caller who does not meet `permission`: NotAuthenticated or PermissionDenied."""
    needed = ROLE_NEEDED.get(permission)
    if needed is None:
        return
    if identity is None:
        raise NotAuthenticated
    if RANKS[identity.role] < RANKS[needed]:
        raise PermissionDenied(needed=str(needed))
