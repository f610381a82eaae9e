/** What a client does after a refusal of an edge. */
import { describe, expect, test } from "vitest";
import { ApiError } from "./errors";
import { decideRetry, EdgeRefused } from "./peer";

const full = new ApiError("edge_breathless", 503, "Busy.", null, null, 5);

describe("after a refusal", () => {
  test("a client goes on at another edge without waiting for the full one", () => {
    expect(decideRetry(new EdgeRefused(full, "http://a"), null, 100)).toEqual({ avoid: "http://a", delayMs: 100 });
    expect(decideRetry(new EdgeRefused(full, "http://b"), "http://a", 100)).toEqual({ avoid: "http://b", delayMs: 100 });
  });

  test("the same edge again, or the API, is given the time that it asks for", () => {
    const waited = { avoid: "http://a", delayMs: 5_000 };
    expect(decideRetry(new EdgeRefused(full, "http://a"), "http://a", 100)).toEqual(waited);
    expect(decideRetry(full, "http://a", 100)).toEqual(waited);
    expect(decideRetry(full, "http://a", 7_000)).toEqual({ avoid: "http://a", delayMs: 7_000 });
  });

  test("another refusal changes nothing", () => {
    const silent = new ApiError("room_not_live", 409, "Not yet.", null, null, 5);
    expect(decideRetry(new EdgeRefused(silent, "http://a"), null, 100)).toEqual({ avoid: null, delayMs: 100 });
  });
});
