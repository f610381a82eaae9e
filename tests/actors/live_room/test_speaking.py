"""What lets a line through: slow mode, membership, words, moderation with its deadline."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from msgspec.structs import replace

from actors.hosting.effects import Consulted, Requester, StorageAway
from actors.live_room.messages import ChatSend, MemberAct, Membership, ReactionSend, TypingSend
from actors.live_room.reactions import PER_WINDOW_MAX
from actors.live_room.review import PER_SPEAKER_MAX, Verdict
from kit.clock import ManualClock
from tests.actors.live_room.chat_stage import ADA, BOB, CYD, ChatStage, shown

pytestmark = pytest.mark.unit


@pytest.fixture
def stage(clock: ManualClock) -> ChatStage:
    return ChatStage(clock)


@pytest.fixture
def moderated(clock: ManualClock) -> ChatStage:
    return ChatStage(clock, {"is_moderated": True})


def test_slow_mode_refuses_a_second_line_within_the_window(
    stage: ChatStage, clock: ManualClock
) -> None:
    stage.rule(slow_mode_s=30)
    assert stage.answer(stage.say("one")) == "chat_message"
    clock.advance(29)
    error = stage.refusal(stage.say("two"))
    assert (error.code, error.retry_after_s, error.retryable) == ("slow_mode", 1, True)
    assert stage.answer(stage.say("other", CYD)) == "chat_message"
    clock.advance(1)
    assert stage.answer(stage.say("two")) == "chat_message"


def test_slow_mode_does_not_bind_moderators_and_survives_another_owner(
    stage: ChatStage, clock: ManualClock
) -> None:
    stage.rule(slow_mode_s=30)
    stage.act(MemberAct.APPOINT, CYD)
    for by in (ADA, CYD):
        assert stage.answer(stage.say("one", by)) == "chat_message"
        assert stage.answer(stage.say("two", by)) == "chat_message"
    stage.say("one")
    stage.room = stage.open(stage.entries, stage.room.talk.chat)
    assert stage.answer(stage.say("two")) == "slow_mode"


def test_a_former_owners_clock_that_was_ahead_makes_nobody_wait_longer(
    stage: ChatStage, clock: ManualClock
) -> None:
    stage.say("one")
    ahead = [
        replace(entry, created_at=entry.created_at + timedelta(hours=1)) for entry in stage.entries
    ]
    stage.room = stage.open(ahead, stage.room.talk.chat)
    assert stage.answer(stage.say("two")) == "chat_message"
    stage.rule(slow_mode_s=30)
    stage.room = stage.open(ahead, stage.room.talk.chat)
    assert stage.refusal(stage.say("three")).retry_after_s == 30


def test_a_line_that_was_not_stored_may_be_sent_again_in_slow_mode(stage: ChatStage) -> None:
    stage.rule(slow_mode_s=30)
    stage.do(ChatSend(BOB, "c", "one"), stored=False)
    stage.room.log.take_batch(10)
    stage.room.log.revert(StorageAway())
    assert stage.answer(stage.do(ChatSend(BOB, "c", "one"))) == "chat_message"


def test_followers_only_asks_for_the_membership_and_counts_its_age(
    stage: ChatStage, clock: ManualClock
) -> None:
    stage.rule(followers_only=True, follow_age_min_s=600)
    assert stage.answer(stage.say("hi")) == "membership_needed"
    assert stage.answer(stage.say("hi", membership=Membership(None, False))) == "followers_only"
    fresh = Membership(clock.now() - timedelta(seconds=590), False)
    error = stage.refusal(stage.say("hi", membership=fresh))
    assert (error.code, error.retry_after_s) == ("follow_too_fresh", 10)
    clock.advance(10)
    assert stage.answer(stage.say("hi", membership=fresh)) == "chat_message"
    assert stage.answer(stage.say("hi", ADA)) == "chat_message"


def test_subscribers_only_lets_subscribers_write(stage: ChatStage, clock: ManualClock) -> None:
    stage.rule(subscribers_only=True)
    assert stage.answer(stage.say("hi")) == "membership_needed"
    follower = Membership(clock.now(), False)
    assert stage.answer(stage.say("hi", membership=follower)) == "subscribers_only"
    assert stage.answer(stage.say("hi", membership=Membership(None, True))) == "chat_message"
    assert stage.answer(stage.say("hi", ADA)) == "chat_message"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("buy SPAM now", "word_refused"),
        ("buy \uff53\uff50\uff41\uff4d now", "word_refused"),
        ("spammer", "chat_message"),
        ("cheap   Gold", "word_refused"),
        ("gold is cheap", "chat_message"),
        ("maybe later", "message_held"),
        ("see https://example.org", "message_held"),
        ("see example.com", "message_held"),
        ("well.done", "chat_message"),
    ],
)
def test_words_and_links_are_refused_or_held(stage: ChatStage, text: str, answer: str) -> None:
    stage.rule(blocked_words=["spam", "cheap gold"], held_words=["Maybe"], holds_links=True)
    assert stage.answer(stage.say(text)) == answer
    assert stage.answer(stage.say(text, ADA)) == "chat_message"


def test_a_held_line_is_shown_to_nobody_until_approved_and_then_in_order(
    stage: ChatStage,
) -> None:
    stage.rule(held_words=["maybe"])
    assert stage.answer(stage.say("maybe", client_id="m")) == "message_held"
    stage.say("after")
    (held_id,) = stage.room.talk.chat.held
    assert stage.lines() == ["after"]
    told = next(event for event in stage.events() if event["kind"] == "message_held")
    assert set(told) == {"kind", "held_id", "at"}
    assert stage.answer(stage.judge(held_id, CYD, is_approved=True)) == "room_rank_too_low"
    assert stage.answer(stage.judge(held_id, is_approved=True)) == "done"
    shown = stage.entries[-1]
    assert (shown.user_id, shown.sender) == (BOB.user_id, None), "it is its writer's, and no repeat"
    assert stage.lines() == ["after", "maybe"]
    event = stage.events()[-1]
    assert (event["client_id"], event["user"]["username"]) == ("m", "bob")
    assert stage.answer(stage.judge(held_id, is_approved=True)) == "held_line_not_found"
    assert stage.lines() == ["after", "maybe"]


def test_a_refused_held_line_is_never_shown_and_its_writer_can_tell(stage: ChatStage) -> None:
    stage.rule(held_words=["maybe"])
    stage.say("maybe")
    (held_id,) = stage.room.talk.chat.held
    stage.judge(held_id, is_approved=False)
    event = stage.events()[-1]
    assert (event["kind"], event["held_id"]) == ("held_refused", str(held_id))
    assert stage.lines() == []
    assert stage.room.talk.chat.held == {}


def hear(stage: ChatStage, index: int, verdict: Verdict | None) -> None:
    """Give the room the port's answer to its n-th question."""
    question = stage.consults()[index].question
    stage.effects += stage.room.handle(Requester(""), Consulted(question, verdict))
    stage.store()


def test_moderation_looks_before_anybody_sees_and_only_at_guests(moderated: ChatStage) -> None:
    number = moderated.say("hello")
    assert (moderated.answer(number), moderated.lines()) == ("nothing", [])
    assert not moderated.room.is_idle
    moderated.say("from the owner", ADA)
    assert [consult.question.text for consult in moderated.consults()] == ["hello"]
    hear(moderated, 0, Verdict.ALLOW)
    assert moderated.answer(number) == "chat_message"
    assert moderated.lines() == ["from the owner", "hello"]


def test_moderation_holds_and_refuses(moderated: ChatStage) -> None:
    held, refused = moderated.say("hmm"), moderated.say("no")
    hear(moderated, 0, Verdict.HOLD)
    hear(moderated, 1, Verdict.REFUSE)
    assert moderated.answer(held) == "message_held"
    assert moderated.answer(refused) == "line_refused"
    assert moderated.lines() == []


@pytest.mark.parametrize(
    ("default", "answer"),
    [("allow", "chat_message"), ("hold", "message_held"), ("refuse", "line_refused")],
)
def test_moderation_that_does_not_answer_in_time_takes_the_stated_default(
    clock: ManualClock, default: str, answer: str
) -> None:
    stage = ChatStage(clock, {"is_moderated": True, "moderation_default": default})
    number = stage.say("hello")
    hear(stage, 0, None)
    assert stage.answer(number) == answer


def test_one_persons_lines_stay_in_order_however_moderation_answers(
    moderated: ChatStage,
) -> None:
    for number in range(3):
        moderated.say(f"b{number}")
    moderated.say("c0", CYD)
    hear(moderated, 2, Verdict.ALLOW)
    assert moderated.lines() == []
    hear(moderated, 3, Verdict.ALLOW)
    assert moderated.lines() == ["c0"]
    hear(moderated, 1, Verdict.ALLOW)
    hear(moderated, 0, Verdict.ALLOW)
    assert moderated.lines() == ["c0", "b0", "b1", "b2"]


def test_a_repeat_of_a_line_that_waits_hears_the_same(moderated: ChatStage) -> None:
    first = moderated.say("hello", client_id="c")
    second = moderated.say("hello", client_id="c")
    assert len(moderated.consults()) == 1
    hear(moderated, 0, Verdict.ALLOW)
    hear(moderated, 0, Verdict.ALLOW)
    assert moderated.answer(first) == moderated.answer(second) == "chat_message"
    assert moderated.lines() == ["hello"]


def test_a_ban_counts_for_lines_that_wait(moderated: ChatStage) -> None:
    number = moderated.say("hello")
    moderated.act(MemberAct.BAN, BOB)
    hear(moderated, 0, Verdict.ALLOW)
    assert moderated.answer(number) == "room_banned"


def test_so_many_lines_of_one_person_wait(moderated: ChatStage) -> None:
    moderated.room = ChatStage(
        moderated.clock, {"is_moderated": True, "chat_per_10_s_max": 100}
    ).room
    for _ in range(PER_SPEAKER_MAX):
        moderated.say("x")
    assert moderated.answer(moderated.say("one more")) == "object_busy"


def test_reactions_are_summed_per_showing_and_bounded_per_person(
    stage: ChatStage, clock: ManualClock
) -> None:
    for _ in range(PER_WINDOW_MAX + 5):
        stage.do(ReactionSend(BOB, "🔥"))
    stage.do(ReactionSend(CYD, "👏"))
    stage.do(ReactionSend(CYD, "<b>"))
    assert shown(stage.effects, "reactions") == []
    effects = stage.room.pass_time()
    assert shown(effects, "reactions") == [{"counts": {"🔥": PER_WINDOW_MAX, "👏": 1}}]
    assert shown(stage.room.pass_time(), "reactions") == []
    clock.advance(10)
    stage.do(ReactionSend(BOB, "🔥"))
    assert shown(stage.room.pass_time(), "reactions") == [{"counts": {"🔥": 1}}]


def test_who_may_not_write_shows_no_sign_of_life(stage: ChatStage) -> None:
    stage.act(MemberAct.BAN, BOB)
    stage.effects.clear()
    stage.do(TypingSend(BOB))
    stage.do(ReactionSend(BOB, "🔥"))
    assert shown(stage.effects, "typing") == []
    assert shown(stage.room.pass_time(), "reactions") == []


def test_unknown_lines_are_no_ones(stage: ChatStage) -> None:
    assert stage.answer(stage.judge(uuid.uuid4(), is_approved=True)) == "held_line_not_found"
