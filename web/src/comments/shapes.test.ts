/** What live events do to comments. */
import { expect, test } from "vitest";
import { applyNews, applyReplyNews, type Comment } from "./shapes";

function make(id: string, part: Partial<Comment> = {}): Comment {
  const author = { id: "u", username: "ada", display_name: "Ada" };
  const rest = { post_id: "p", video_id: null, parent_id: null, edited_at: null, pinned: false, likes: 0, replies: 0 };
  return { id, author, text: "x", created_at: "2026-01-01T00:00:00Z", ...rest, ...part };
}

test("a new comment comes first, once, behind the pinned one", () => {
  const known = [make("pin", { pinned: true }), make("a")];
  const once = applyNews(known, { kind: "written", comment: make("b") });
  const twice = applyNews(once, { kind: "written", comment: make("b") });
  expect(twice.map((comment) => comment.id)).toEqual(["pin", "b", "a"]);
});

test("a change keeps whether I like it, and one comment is pinned at most", () => {
  const known = [make("pin", { pinned: true }), make("a", { liked: true })];
  const changed = applyNews(known, { kind: "changed", comment: make("a", { likes: 3, pinned: true }) });
  expect(changed.map((comment) => [comment.id, comment.pinned])).toEqual([
    ["a", true],
    ["pin", false],
  ]);
  expect(changed[0]).toMatchObject({ liked: true, likes: 3 });
});

test("a reply counts on its thread and joins it at the end", () => {
  const reply = { kind: "written", comment: make("r", { parent_id: "a" }) } as const;
  expect(applyNews([make("a")], reply)[0]?.replies).toBe(1);
  expect(applyReplyNews([make("q")], "a", reply).map((comment) => comment.id)).toEqual(["q", "r"]);
  expect(applyReplyNews([], "other", reply)).toEqual([]);
});

test("what is deleted is gone", () => expect(applyNews([make("a")], { kind: "deleted", id: "a" })).toEqual([]));
