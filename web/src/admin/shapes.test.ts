import { describe, expect, it } from "vitest";
import { canActOn, chooseStep, describeAct, describeLease, listChoices, rankOf, type Act, type Host, type Room, type Standing } from "./shapes";

const person: Standing = {
  id: "1",
  username: "mallory",
  display_name: "Mallory",
  email: "mallory@example.org",
  role: "moderator",
  created_at: "2026-01-01T12:00:00.000Z",
  banned_at: null,
  ban_reason: "",
};
const act: Act = {
  id: "1",
  at: "2026-01-01T12:00:00.000Z",
  actor: "ada",
  action: "user.ban",
  subject: "user:mallory",
  details: { reason: "Sells fake tickets." },
};

describe("who may act on whom", () => {
  it("reaches only those below", () => {
    expect(canActOn({ username: "ada", role: "admin" }, person)).toBe(true);
    expect(canActOn({ username: "bob", role: "moderator" }, person)).toBe(false);
    expect(canActOn(null, person)).toBe(false);
  });
  it("never reaches oneself", () => {
    expect(canActOn({ username: "mallory", role: "admin" }, person)).toBe(false);
  });
  it("gives an unknown role no reach", () => {
    expect(rankOf("owner")).toBe(-1);
    expect(rankOf(undefined)).toBe(-1);
  });
});

describe("the record", () => {
  it("reads as a sentence", () => {
    expect(describeAct(act)).toBe("banned @mallory: “Sells fake tickets.”");
    expect(describeAct({ ...act, action: "user.role", details: { before: "user", after: "admin" } })).toBe(
      "made @mallory admin (was user)",
    );
    const details = { title: "Cinema", owner: "mallory", reason: "Shows a film of others." };
    expect(describeAct({ ...act, action: "live.taken_down", subject: "live:1", details })).toBe(
      "took down “Cinema” of @mallory: “Shows a film of others.”",
    );
    expect(describeAct({ ...act, action: "host.drain", subject: "host:host-1@b" })).toBe("took host-1@b out of service");
  });
  it("names an act it does not know", () => {
    expect(describeAct({ ...act, action: "host.paint", subject: "host:host-1" })).toBe("host.paint host:host-1");
  });
});

describe("a host's lease", () => {
  const host: Host = {
    id: "host-0",
    node: "stage-1",
    incarnation: 7,
    state: "live",
    is_resting: false,
    lease_left_s: 4.2,
    started_at: "2026-01-01T12:00:00.000Z",
    objects: { room: 12 },
  };
  it("weighs more than the state", () => {
    expect(describeLease(host).text).toBe("live");
    expect(describeLease({ ...host, lease_left_s: -0.1 }).text).toBe("lease lapsed");
    expect(describeLease({ ...host, state: "draining" }).text).toBe("draining");
    expect(describeLease({ ...host, state: "fenced", lease_left_s: -90 }).text).toBe("ended");
    expect(describeLease({ ...host, state: "fenced", is_resting: true, lease_left_s: -90 }).text).toBe("out of service");
  });
  it("decides where a room may go", () => {
    const room = { host: "host-2" } as Room;
    const hosts = [host, { ...host, id: "host-1", state: "draining" as const }, { ...host, id: "host-3", lease_left_s: -1 }];
    expect(listChoices(room, hosts)).toEqual(["host-0", "host-2"]);
  });
  it("decides what may be done about it", () => {
    const other = { ...host, id: "host-1" };
    const ended = { ...other, state: "fenced" as const };
    expect(chooseStep(host, [host, other])).toBe("drain");
    expect(chooseStep(host, [host, ended])).toBe(null); // the last one stays
    expect(chooseStep(ended, [host, ended])).toBe(null); // nobody is there to come back
    expect(chooseStep({ ...ended, is_resting: true }, [host, ended])).toBe("resume");
    expect(chooseStep({ ...other, state: "draining" }, [host])).toBe(null);
  });
});
