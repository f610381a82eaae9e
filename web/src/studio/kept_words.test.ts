/** What the studio says of a recording follows what the server says, never the wish to have one. */
import { describe, expect, test } from "vitest";
import type { Kept } from "../live/recording";
import { describeHlsOff, describeKept } from "./kept_words";

const ENDED: Kept = { record: true, recording_id: null, nothing_kept: false };

describe("what was kept of a broadcast", () => {
  test("is a video once the server names one", () => {
    expect(describeKept({ ...ENDED, recording_id: "v1" }, null)).toBe("It is kept as a video.");
    expect(describeKept(ENDED, null)).not.toContain("is kept");
  });

  test("is nothing when the server says so, with the codec where the page saw it", () => {
    const nothing = { ...ENDED, nothing_kept: true };
    expect(describeKept(nothing, { codec: "VP8" })).toBe(
      "Nothing of it was kept: the picture came in as VP8, which cannot be recorded. H.264 can.",
    );
    expect(describeKept(nothing, { codec: null })).toBe("Nothing of it was kept: no picture came in.");
    expect(describeKept(nothing, null)).toMatch(/^Nothing of it was kept: .*H\.264/);
  });

  test("was not wished for", () => {
    expect(describeKept({ ...ENDED, record: false }, { codec: "VP8" })).toBe("It was not recorded.");
  });
});

describe("the warning on air", () => {
  test("names the codec and what to do", () => {
    expect(describeHlsOff({ codec: "VP9" })).toMatch(/as VP9: .* nothing is recorded\. .* choose H\.264/);
    expect(describeHlsOff({ codec: null })).toMatch(/^No picture comes in/);
  });
});
