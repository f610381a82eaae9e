/** What the bell makes of the socket's words and the API's pages. */
import { describe, expect, test } from "vitest";
import type { ChannelEvent } from "../kit/frames";
import { addNotice, addPage, describeNotice, findPlace, readNotice, sayNotice, writeCount, type Notice } from "./shapes";

const bob = { id: "u2", username: "bob", display_name: "Bob" };
const like: Notice = {
  id: "n1",
  offset: 4,
  kind: "like",
  created_at: "2026-01-01T12:00:00.000Z",
  user: bob,
  post_id: "p1",
};
const nothing = { items: [], next_cursor: null, unseen: 0 };

describe("a notification on the socket", () => {
  const { offset, ...data } = like;
  const hear = (event: object) => readNotice({ channel: "user:u1", data, ...event } as unknown as ChannelEvent);

  test("is read with its place in the channel", () => {
    expect(hear({ type: "notification", epoch: "e", offset })).toEqual(like);
  });

  test("is nothing when it is something else, or not whole", () => {
    expect(hear({ type: "feed_hint" })).toBeNull();
    expect(hear({ type: "notification" })).toBeNull();
    expect(hear({ type: "notification", offset, data: { id: "n1" } })).toBeNull();
    expect(hear({ type: "notification", offset, data: null })).toBeNull();
  });
});

describe("what the bell knows", () => {
  test("grows by what is new, once", () => {
    const told = addNotice(nothing, like);
    expect(told).toEqual({ items: [like], next_cursor: null, unseen: 1 });
    expect(addNotice(told, like)).toBe(told);
  });

  test("takes an older page without repeating itself", () => {
    const older = { ...like, id: "n0", offset: 3 };
    const told = addPage({ items: [like], next_cursor: "c", unseen: 0 }, { items: [like, older], next_cursor: null, unseen: 2 });
    expect(told.items.map((notice) => notice.id)).toEqual(["n1", "n0"]);
    expect([told.next_cursor, told.unseen]).toEqual([null, 2]);
  });

  test("is counted in few letters", () => {
    expect([0, 1, 99, 100].map(writeCount)).toEqual(["", "1", "99", "99+"]);
  });
});

test("each kind says what happened and leads there", () => {
  const kinds = [
    like,
    { ...like, kind: "comment" },
    { ...like, post_id: null, video_id: "v1" },
    { ...like, kind: "comment", post_id: null, video_id: "v1" },
    { ...like, kind: "follow", post_id: null },
    { ...like, kind: "live", post_id: null, live_id: "l1" },
    { ...like, kind: "video", post_id: null, video_id: "v1", title: "A walk" },
    { ...like, kind: "subscription", post_id: null },
    { ...like, kind: "subscription", post_id: null, until: "2026-06-12T12:00:00.000Z" },
  ];
  expect(kinds.map(describeNotice)).toEqual([
    "likes your post",
    "wrote a comment on your post",
    "likes your video",
    "wrote a comment on your video",
    "follows you",
    "is live",
    "published a video",
    "gave you a subscription",
    expect.stringMatching(/^gave you a subscription until Fri, Jun 12/),
  ]);
  expect(kinds.map(findPlace)).toEqual(["/post/p1", "/post/p1", "/watch/v1", "/watch/v1", "/u/bob", "/live/l1", "/watch/v1", "/u/bob", "/u/bob"]);
  expect(sayNotice(like)).toBe("Bob likes your post");
});

test("a takedown says what is gone and why, and names no moderator", () => {
  const told = { ...like, kind: "takedown", post_id: null, title: "Harbour", text: "Shows a film of others." };
  expect(sayNotice(told)).toBe("A moderator took down your live “Harbour”: Shows a film of others.");
  expect(findPlace(told)).toBe("/studio");
});
