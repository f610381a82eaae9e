"""Who may what: permissions, visibility, rate tiers. All pure."""

from __future__ import annotations

import uuid

import pytest

from kit.errors import NotAuthenticated, PermissionDenied
from serve_apps.access.identity import Identity, Role
from serve_apps.access.permissions import Permission, check_permission
from serve_apps.access.rates import RateTier, list_limits, make_rate_key
from serve_apps.access.visibility import Visibility, can_view

pytestmark = pytest.mark.unit

OWNER, OTHER = uuid.uuid4(), uuid.uuid4()


def someone(role: Role = Role.USER, plan: str = "free") -> Identity:
    return Identity(OTHER, uuid.uuid4(), "someone", role, plan)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("permission", list(Permission))
def test_each_role_includes_those_below_it(permission: Permission, role: Role):
    ranks = [Role.USER, Role.CREATOR, Role.MODERATOR, Role.ADMIN]
    needed = {"public": 0, "user": 0, "owner": 0, "creator": 1, "moderator": 2, "admin": 3}
    if ranks.index(role) >= needed[permission]:
        check_permission(permission, someone(role))
    else:
        with pytest.raises(PermissionDenied):
            check_permission(permission, someone(role))


@pytest.mark.parametrize("permission", list(Permission))
def test_anonymous_callers_reach_public_routes_alone(permission: Permission):
    if permission is Permission.PUBLIC:
        check_permission(permission, None)
    else:
        with pytest.raises(NotAuthenticated):
            check_permission(permission, None)


@pytest.mark.parametrize(
    ("visibility", "sees"),
    [
        (Visibility.PUBLIC, {"anonymous", "stranger", "follower", "subscriber", "owner"}),
        (Visibility.UNLISTED, {"anonymous", "stranger", "follower", "subscriber", "owner"}),
        (Visibility.FOLLOWERS, {"follower", "owner"}),
        (Visibility.SUBSCRIBERS, {"subscriber", "owner"}),
        (Visibility.PRIVATE, {"owner"}),
        ("something else", {"owner"}),
    ],
)
def test_visibility(visibility: str, sees: set[str]):
    people = {"anonymous": None, "owner": OWNER}
    found = {
        who
        for who in ("anonymous", "stranger", "follower", "subscriber", "owner")
        if can_view(
            visibility,
            OWNER,
            people.get(who, OTHER),
            follows=who == "follower",
            subscribes=who == "subscriber",
        )
    }
    assert found == sees


def test_a_plan_decides_how_far_the_standard_tier_reaches():
    assert [limit.calls for limit in list_limits(RateTier.STANDARD, someone())] == [
        60,
        1_000,
        10_000,
    ]
    assert list_limits(RateTier.STANDARD, someone(plan="enterprise")) == ()
    assert list_limits(RateTier.STANDARD, someone(plan="unheard of"))[0].calls == 60
    assert list_limits(RateTier.NONE, someone()) == ()


def test_who_logged_in_may_look_at_as_much_as_a_stranger():
    strangers = list_limits(RateTier.PUBLIC, None)
    assert [limit.calls for limit in strangers] == [300]
    assert list_limits(RateTier.PUBLIC, someone()) == strangers
    assert list_limits(RateTier.PUBLIC, someone(plan="enterprise")) == ()


@pytest.mark.parametrize("tier", list(RateTier))
def test_every_tier_has_limits_for_people_and_for_strangers(tier: RateTier):
    list_limits(tier, None)
    list_limits(tier, someone())


def test_login_is_counted_by_address_whoever_calls():
    who = someone()
    assert make_rate_key(RateTier.AUTH, who, "192.0.2.1") == "auth:address:192.0.2.1"
    assert make_rate_key(RateTier.STANDARD, who, "192.0.2.1") == f"standard:user:{who.user_id}"
    assert make_rate_key(RateTier.STANDARD, None, "192.0.2.1") == "standard:address:192.0.2.1"
