/** Tokens: one refresh at a time, and a session that ends only when the server says so. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";

type Session = typeof import("./session");

let shelf: Map<string, string>;
let answers: (() => Response)[];
let asked: { path: string; body: unknown }[];

const tokens =
  (name: string, expiresIn = 900) =>
  () =>
    Response.json({
      access_token: `A-${name}`,
      refresh_token: `R-${name}`,
      expires_in: expiresIn,
      user: { id: "u1", username: "ada", display_name: "" },
    });
const refusal = (status: number) => () => Response.json({ error: "no", message: "No." }, { status });

async function openSession(): Promise<Session> {
  vi.resetModules();
  return import("./session");
}

beforeEach(() => {
  shelf = new Map();
  answers = [];
  asked = [];
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => shelf.get(key) ?? null,
    setItem: (key: string, value: string) => shelf.set(key, value),
    removeItem: (key: string) => shelf.delete(key),
  });
  vi.stubGlobal("fetch", (path: string, init: RequestInit) => {
    asked.push({ path, body: JSON.parse((init.body as string | null) ?? "null") as unknown });
    const answer = answers.shift();
    return answer ? Promise.resolve(answer()) : Promise.reject(new TypeError("network"));
  });
});
afterEach(() => vi.unstubAllGlobals());

test("logging in keeps the refresh token on the shelf and the access token in memory", async () => {
  const session = await openSession();
  answers = [tokens("1")];
  await session.login("ada", "secret");
  expect(shelf.get("sf.refresh")).toBe("R-1");
  expect([...shelf.values()].join()).not.toContain("A-1");
  expect(await session.getAccessToken()).toBe("A-1");
  expect(session.currentUser.get()?.username).toBe("ada");
});

test("many callers share one refresh", async () => {
  shelf.set("sf.refresh", "R-0");
  const session = await openSession();
  answers = [tokens("1")];
  const found = await Promise.all([session.getAccessToken(), session.getAccessToken(), session.getAccessToken()]);
  expect(found).toEqual(["A-1", "A-1", "A-1"]);
  expect(asked).toEqual([{ path: "/v1/auth/refresh", body: { refresh_token: "R-0" } }]);
});

test("a token that is about to end is renewed first", async () => {
  const session = await openSession();
  answers = [tokens("1", 5), tokens("2")];
  await session.login("ada", "secret");
  expect(await session.getAccessToken()).toBe("A-2");
});

test("a refused refresh ends the session", async () => {
  shelf.set("sf.refresh", "R-0");
  const session = await openSession();
  answers = [refusal(401)];
  expect(await session.getAccessToken()).toBeNull();
  expect(shelf.has("sf.refresh")).toBe(false);
  expect(session.currentUser.get()).toBeNull();
});

test("a server that is away ends nothing", async () => {
  shelf.set("sf.refresh", "R-0");
  const session = await openSession();
  await expect(session.getAccessToken()).rejects.toMatchObject({ code: "offline" });
  expect(shelf.get("sf.refresh")).toBe("R-0");
});

test("logging out forgets at once, whatever the server says", async () => {
  const session = await openSession();
  answers = [tokens("1"), refusal(503)];
  await session.login("ada", "secret");
  await session.logout();
  expect(shelf.size).toBe(0);
  expect(await session.getAccessToken()).toBeNull();
});
