"""Who may do what in a chat, and what becomes of lines and people."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from actors.hosting.effects import StorageAway
from actors.live_room.members import MODERATORS_MAX
from actors.live_room.messages import (
    Announce,
    LineDelete,
    LinePin,
    MemberAct,
    MemberChange,
    RaidArrive,
    RaidStart,
)
from actors.live_room.moderation import PINS_MAX
from kit.clock import ManualClock
from tests.actors.live_room.chat_stage import ADA, ADMIN, BOB, CYD, DAN, GUARD, ChatStage, Speaker

pytestmark = pytest.mark.unit


@pytest.fixture
def stage(clock: ManualClock) -> ChatStage:
    return ChatStage(clock)


@pytest.mark.parametrize("by", [ADA, ADMIN, GUARD, BOB], ids=lambda by: by.username)
def test_a_line_is_taken_down_by_its_writer_or_a_moderator(stage: ChatStage, by: Speaker) -> None:
    stage.say("oh no")
    line = stage.last_line()
    assert stage.answer(stage.delete(line, by)) == "done"
    event = stage.events()[-1]
    assert (event["kind"], event["message_id"], event["offset"]) == (
        "message_deleted",
        str(line.id),
        line.seq,
    )


def test_a_guest_takes_down_nobody_elses_line(stage: ChatStage) -> None:
    stage.say("mine")
    assert stage.answer(stage.delete(stage.last_line(), CYD)) == "room_rank_too_low"


def test_a_deleted_line_is_blank_for_whoever_comes_later_and_cannot_be_pinned(
    stage: ChatStage,
) -> None:
    stage.say("oh no")
    line = stage.last_line()
    stage.delete(line)
    entry = stage.room.log.find_entry(line.seq)
    assert entry is not None
    assert (entry.body["text"], entry.body["deleted"]) == ("", True)
    assert stage.answer(stage.delete(line)) == "done"
    assert stage.answer(stage.pin(line)) == "done"
    assert stage.snapshot()["pins"] == []
    assert [event["kind"] for event in stage.events()].count("message_deleted") == 1


def test_deleting_a_pinned_line_unpins_it(stage: ChatStage) -> None:
    stage.say("rules of the house", ADA)
    line = stage.last_line()
    stage.pin(line)
    assert [pin["text"] for pin in stage.snapshot()["pins"]] == ["rules of the house"]
    stage.delete(line)
    assert stage.snapshot()["pins"] == []
    event = stage.events()[-1]
    assert (event["kind"], event["pins"]) == ("message_deleted", [])


def test_a_room_shows_so_many_pins_and_each_once(stage: ChatStage) -> None:
    for number in range(PINS_MAX):
        stage.say(f"pin {number}", ADA)
        stage.pin(stage.last_line())
        assert stage.answer(stage.pin(stage.last_line())) == "done"
    stage.say("one more", ADA)
    assert stage.answer(stage.pin(stage.last_line())) == "too_many_pins"
    assert len(stage.snapshot()["pins"]) == PINS_MAX


def test_a_banned_person_is_refused_until_pardoned(stage: ChatStage) -> None:
    assert stage.answer(stage.act(MemberAct.BAN, BOB)) == "done"
    assert stage.answer(stage.say("hello")) == "room_banned"
    event = stage.events()[-1]
    assert (event["kind"], event["user"]["id"], event["is_banned"]) == (
        "member_changed",
        str(BOB.user_id),
        True,
    )
    stage.act(MemberAct.PARDON, BOB)
    assert stage.answer(stage.say("hello again")) == "chat_message"


def test_a_ban_counts_before_it_is_stored_and_not_when_storing_fails(stage: ChatStage) -> None:
    stage.do(MemberChange(ADA, BOB, MemberAct.BAN), stored=False)
    assert stage.answer(stage.say("quick", client_id="q")) == "room_banned"
    assert stage.room.talk.chat.members[BOB.user_id].is_banned
    number = stage.do(MemberChange(ADA, CYD, MemberAct.BAN), stored=False)
    stage.room.log.take_batch(100)
    stage.effects += stage.room.log.revert(StorageAway())
    assert stage.answer(number) == "storage_away"
    assert stage.answer(stage.say("still here", CYD)) == "chat_message"


def test_what_was_decided_on_the_strength_of_a_refused_change_is_refused_with_it(
    stage: ChatStage,
) -> None:
    stage.say("read this", ADA)
    line = stage.last_line()
    stage.pin(line)
    stage.do(LinePin(ADA, line, False), stored=False)
    stage.room.log.take_batch(1)
    number = stage.do(LineDelete(ADA, line), stored=False)
    stage.effects += stage.room.log.revert(StorageAway())
    assert stage.answer(number) == "storage_away"
    stage.store()
    assert [pin["text"] for pin in stage.snapshot()["pins"]] == ["read this"]
    stage.delete(line)
    assert stage.snapshot()["pins"] == []


def test_a_time_out_ends_by_itself_and_says_when(stage: ChatStage, clock: ManualClock) -> None:
    stage.act(MemberAct.TIME_OUT, BOB, duration_s=60)
    error = stage.refusal(stage.say("hello"))
    assert (error.code, error.retry_after_s) == ("room_timed_out", 60)
    clock.advance(60)
    assert stage.answer(stage.say("back")) == "chat_message"


@pytest.mark.parametrize("duration_s", [0, 14 * 24 * 3600 + 1])
def test_a_time_out_has_a_length_within_limits(stage: ChatStage, duration_s: int) -> None:
    number = stage.act(MemberAct.TIME_OUT, BOB, duration_s=duration_s)
    assert stage.answer(number) == "time_out_invalid"


def test_only_the_owner_and_admins_appoint_moderators(stage: ChatStage) -> None:
    assert stage.answer(stage.act(MemberAct.APPOINT, CYD)) == "done"
    assert stage.answer(stage.act(MemberAct.APPOINT, DAN, by=CYD)) == "room_rank_too_low"
    assert stage.answer(stage.act(MemberAct.APPOINT, DAN, by=GUARD)) == "room_rank_too_low"
    assert stage.answer(stage.act(MemberAct.APPOINT, DAN, by=ADMIN)) == "done"
    names = [person["username"] for person in stage.snapshot()["moderators"]]
    assert names == ["cyd", "dan"]
    assert stage.answer(stage.act(MemberAct.DISMISS, CYD)) == "done"
    assert stage.answer(stage.act(MemberAct.BAN, BOB, by=CYD)) == "room_rank_too_low"


def test_nobody_acts_on_the_owner_or_on_their_like(stage: ChatStage) -> None:
    stage.act(MemberAct.APPOINT, CYD)
    stage.act(MemberAct.APPOINT, DAN)
    for person in (ADA, DAN, CYD):
        assert stage.answer(stage.act(MemberAct.BAN, person, by=CYD)) == "room_rank_too_low"
    assert stage.answer(stage.act(MemberAct.BAN, ADA, by=ADMIN)) == "room_rank_too_low"
    assert stage.answer(stage.act(MemberAct.BAN, DAN)) == "done"
    assert [p["username"] for p in stage.snapshot()["moderators"]] == ["cyd"]


def test_a_room_has_so_many_moderators(stage: ChatStage) -> None:
    for number in range(MODERATORS_MAX):
        stage.act(MemberAct.APPOINT, Speaker(uuid.UUID(int=1000 + number), f"m{number}", ""))
    assert stage.answer(stage.act(MemberAct.APPOINT, DAN)) == "too_many_members"


def test_only_the_owner_changes_rules_and_only_what_is_named(stage: ChatStage) -> None:
    stage.act(MemberAct.APPOINT, CYD)
    assert stage.answer(stage.rule(by=CYD, slow_mode_s=5)) == "room_rank_too_low"
    assert stage.answer(stage.rule(slow_mode_s=5)) == "done"
    assert stage.answer(stage.rule(holds_links=True)) == "done"
    rules = stage.snapshot()["rules"]
    assert (rules["slow_mode_s"], rules["holds_links"]) == (5, True)
    count = len(stage.entries)
    assert stage.answer(stage.rule(slow_mode_s=5)) == "done"
    assert len(stage.entries) == count


def test_the_words_of_a_filter_are_told_to_nobody(stage: ChatStage) -> None:
    stage.rule(blocked_words=["Spam"], held_words=["maybe"])
    event = stage.events()[-1]
    assert event["kind"] == "rules_changed"
    assert not {"blocked_words", "held_words"} & {*event["rules"], *stage.snapshot()["rules"]}
    assert stage.room.talk.chat.rules.blocked_words == ("spam",)


@pytest.mark.parametrize(
    "rules",
    [
        {"slow_mode_s": 3601},
        {"slow_mode_s": "often"},
        {"follow_age_min_s": -1},
        {"blocked_words": ["x"]},
        {"blocked_words": [f"word {n}" for n in range(201)]},
    ],
)
def test_rules_outside_their_limits_are_refused(stage: ChatStage, rules: dict[str, object]) -> None:
    assert stage.answer(stage.rule(**rules)) == "rules_invalid"
    assert stage.entries == []


def test_an_announcement_is_a_moderators_and_repeats_count_once(stage: ChatStage) -> None:
    assert stage.answer(stage.do(Announce(BOB, "a", "hear me"))) == "room_rank_too_low"
    assert stage.answer(stage.do(Announce(ADA, "a", "hear me"))) == "announcement"
    assert stage.answer(stage.do(Announce(ADA, "a", "hear me"))) == "announcement"
    assert [e["text"] for e in stage.events() if e["kind"] == "announcement"] == ["hear me"]


def test_a_raid_is_told_once_whoever_repeats_it(stage: ChatStage) -> None:
    """Another admin's was another raid."""
    target = {"id": str(uuid.uuid4()), "title": "Next door"}
    assert stage.answer(stage.do(RaidStart(GUARD, "r", target))) == "room_rank_too_low"
    for who in (ADA, ADMIN):
        assert stage.answer(stage.do(RaidStart(who, "r", target))) == "raid"
    assert stage.answer(stage.do(RaidStart(GUARD, "r", target))) == "room_rank_too_low"
    for who in (DAN, ADMIN):
        assert stage.answer(stage.do(RaidArrive(who, "s", target, 7))) == "raided"
    kinds = [event["kind"] for event in stage.events()]
    assert kinds == ["raid", "raided"]
    assert stage.events()[-1]["viewers"] == 7


def test_people_of_whom_nothing_is_left_to_remember_are_forgotten(
    stage: ChatStage, clock: ManualClock
) -> None:
    stage.act(MemberAct.TIME_OUT, BOB, duration_s=10)
    stage.act(MemberAct.BAN, CYD)
    chat = stage.room.talk.chat
    chat.forget_plain(clock.now() + timedelta(seconds=11))
    assert list(chat.members) == [CYD.user_id]
