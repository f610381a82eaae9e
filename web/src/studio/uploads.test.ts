/** Uploads that are paused, resumed and given up before their bytes go, against an API and a tus client played here. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { UploadOptions } from "tus-js-client";
import type { Chosen, UploadChoice } from "./upload_choice";
import type { Video } from "../videos/shapes";
import { fingerprintOf } from "./upload_memory";

type Uploads = typeof import("./uploads");

const tus = vi.hoisted(() => ({ started: [] as PlayedTransfer[], removed: [] as string[] }));

interface PlayedTransfer {
  file: File;
  options: UploadOptions;
  isAborted: boolean;
}

vi.mock("./tus", () => {
  class Upload {
    isAborted = false;
    constructor(
      readonly file: File,
      readonly options: UploadOptions,
    ) {}
    start = () => void tus.started.push(this);
    abort = () => Promise.resolve(void (this.isAborted = true));
    static terminate = (url: string) => Promise.resolve(void tus.removed.push(url));
  }
  // A chunk takes a while to come.
  return { loadTus: () => new Promise((resolve) => setTimeout(resolve)).then(() => ({ Upload })) };
});

/** Videos that somebody asked to create, by their titles, and how each is answered. */
let asked: { title: string; answer: () => void; refuse: () => void }[];
/** What the API says of every video, and what it was asked to change. */
let said: Partial<Video>;
let changes: [string, string, unknown][];
let refusesChanges: boolean;
let shelf: Map<string, string>;
let uploads: Uploads;

function playFetch(path: string, init: RequestInit): Promise<Response> {
  if (init.method === "GET") {
    const id = path.split("/").at(-1) ?? "";
    const upload = { url: `http://edge/uploads/${id}` };
    return Promise.resolve(Response.json({ id, status: "uploading", upload, ...said }));
  }
  if (init.method !== "POST") {
    changes.push([init.method ?? "", path, init.body ? JSON.parse(String(init.body)) : null]);
    const refusal = { error: "publication_unfit", message: "Not then." };
    return Promise.resolve(refusesChanges ? Response.json(refusal, { status: 409 }) : Response.json({}));
  }
  const { title } = JSON.parse(String(init.body)) as { title: string };
  const created = { id: `v-${title}`, upload: { url: `http://edge/uploads/v-${title}` } };
  return new Promise((resolve) => {
    const answer = () => resolve(Response.json(created, { status: 201 }));
    asked.push({ title, answer, refuse: () => resolve(Response.json({}, { status: 500 })) });
  });
}

/** A page whose player reads no file. */
const PAGE = {
  createElement: () => ({
    onerror: null as (() => void) | null,
    removeAttribute: () => undefined,
    load: () => undefined,
    set src(_: string) {
      queueMicrotask(() => this.onerror?.());
    },
  }),
};

const ALL = new Set(["title", "visibility", "publishAt", "isProtected"] as const);

function choose(title: string): UploadChoice {
  const file = new File(["film"], `${title}.mp4`);
  return { file, title, visibility: "public", publishAt: null, isProtected: null, chosen: ALL };
}

const rows = () => uploads.uploads.get().map(({ videoId, state }) => `${videoId} ${state}`);
const titles = () => asked.map(({ title }) => title);
const sent = () => tus.started.map(({ file }) => file.name);

/** Lets everything run that only waits for itself. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setTimeout(resolve));
}

async function answer(title: string): Promise<void> {
  asked.find((each) => each.title === title)?.answer();
  await settle();
}

beforeEach(async () => {
  asked = [];
  said = {};
  changes = [];
  refusesChanges = false;
  tus.started = [];
  tus.removed = [];
  vi.stubGlobal("fetch", playFetch);
  vi.stubGlobal("document", PAGE);
  shelf = new Map<string, string>();
  const getItem = (key: string) => shelf.get(key) ?? null;
  vi.stubGlobal("localStorage", { getItem, setItem: (key: string, value: string) => shelf.set(key, value) });
  vi.resetModules();
  uploads = await import("./uploads");
});
afterEach(() => void vi.unstubAllGlobals());

describe("a batch", () => {
  beforeEach(async () => {
    uploads.startBatch(["a", "b", "c"].map(choose));
    await settle();
  });

  test("is announced and sent two at a time, each row in its place", async () => {
    expect(titles()).toEqual(["a", "b"]);
    await answer("b");
    expect(rows()).toEqual(["waiting-1 starting", "v-b starting", "waiting-3 waiting"]);
    await answer("a");
    expect(rows()).toEqual(["v-a starting", "v-b starting", "waiting-3 waiting"]);
    expect(sent()).toEqual(["b.mp4", "a.mp4"]);
    tus.started[0]?.options.onSuccess?.({} as never);
    await settle();
    expect(titles()).toEqual(["a", "b", "c"]);
  });

  test("gives the turn of a row that is paused while it is announced to the next, and does not send it", async () => {
    uploads.pauseUpload("waiting-1");
    await answer("a");
    expect(titles()).toEqual(["a", "b", "c"]);
    expect(rows()).toEqual(["v-a paused", "waiting-2 starting", "waiting-3 starting"]);
    expect(sent()).toEqual([]);
    await uploads.resumeUpload("v-a");
    expect(rows()[0]).toBe("v-a starting");
    expect(sent()).toEqual(["a.mp4"]);
  });

  test("announces a row that is paused and resumed meanwhile once", async () => {
    uploads.pauseUpload("waiting-1");
    void uploads.resumeUpload("waiting-1");
    await settle();
    expect(titles().filter((title) => title === "a")).toEqual(["a"]);
    await answer("a");
    expect(rows()[0]).toBe("v-a starting");
    expect(sent()).toEqual(["a.mp4"]);
  });

  test("announces a row again that could not be announced", async () => {
    asked[0]?.refuse();
    await settle();
    expect(rows()[0]).toBe("waiting-1 failed");
    void uploads.resumeUpload("waiting-1");
    await settle();
    expect(titles()).toEqual(["a", "b", "c", "a"]);
  });

  test("removes what was announced for a row that was given up meanwhile", async () => {
    uploads.pauseUpload("waiting-1");
    const dropping = uploads.dropUpload("waiting-1");
    await answer("a");
    await dropping;
    expect(rows()).toEqual(["waiting-2 starting", "waiting-3 starting"]);
    expect(sent()).toEqual([]);
    expect(tus.removed).toEqual(["http://edge/uploads/v-a"]);
  });
});

describe("one upload", () => {
  /** Starts it, up to where its row is shown. */
  async function start(): Promise<void> {
    void uploads.startUpload(choose("a"));
    await settle();
    const shown = new Promise<void>((resolve) => {
      const unfollow = uploads.uploads.subscribe(() => {
        unfollow();
        resolve();
      });
    });
    asked[0]?.answer();
    await shown;
    expect(rows()).toEqual(["v-a starting"]);
  }

  test("that is paused before its transfer is there does not send until it is resumed", async () => {
    await start();
    uploads.pauseUpload("v-a");
    await settle();
    expect(rows()).toEqual(["v-a paused"]);
    expect(sent()).toEqual([]);
    await uploads.resumeUpload("v-a");
    expect(sent()).toEqual(["a.mp4"]);
  });

  test("that is resumed and paused again before the API answered does not send", async () => {
    await start();
    uploads.pauseUpload("v-a");
    const resuming = uploads.resumeUpload("v-a");
    uploads.pauseUpload("v-a");
    await resuming;
    await settle();
    expect(rows()).toEqual(["v-a paused"]);
    expect(sent()).toEqual([]);
  });

  test("that is given up before its transfer is there is removed, and does not send", async () => {
    await start();
    uploads.pauseUpload("v-a");
    await settle();
    await uploads.dropUpload("v-a");
    await settle();
    expect(rows()).toEqual([]);
    expect(sent()).toEqual([]);
    expect(tus.removed).toEqual(["http://edge/uploads/v-a"]);
  });

  test("sends no request that was being prepared when it was paused, and stays paused", async () => {
    await start();
    await settle();
    const [transfer] = tus.started;
    const prepared = transfer?.options.onBeforeRequest?.({ setHeader: () => undefined } as never);
    uploads.pauseUpload("v-a");
    expect(transfer?.isAborted).toBe(true);
    await expect(prepared).rejects.toThrow("paused");
    transfer?.options.onProgress?.(2, 4);
    transfer?.options.onError?.(new Error("late"));
    expect(rows()).toEqual(["v-a paused"]);
  });

  test("shows no speed while it stands still, and the new one afterwards", async () => {
    await start();
    await settle();
    vi.useFakeTimers();
    const send = (bytes: number) => tus.started[0]?.options.onProgress?.(bytes, 4_000_000);
    const speed = () => uploads.uploads.get()[0]?.speedBps;
    send(0);
    vi.advanceTimersByTime(1_000);
    send(1_000_000);
    expect(speed()).toBe(1_000_000);
    vi.advanceTimersByTime(10_000);
    expect(speed()).toBeNull();
    expect(rows()).toEqual(["v-a sending"]);
    send(1_500_000);
    vi.advanceTimersByTime(1_000);
    send(2_000_000);
    expect(speed()).toBe(500_000);
    vi.useRealTimers();
  });
});

describe("a file that was begun before", () => {
  const SOON = "2026-01-01T18:00:00.000Z";
  const WAITS = { visibility: "private", publication: { at: "2026-01-01T18:00:00Z", visibility: "public" } } as const;

  /** Chooses it again, whose video stands as given, and sends it. */
  async function again(video: Partial<Video>, chosen: Partial<UploadChoice>): Promise<UploadChoice> {
    const choice = { ...choose("a"), ...chosen };
    said = { title: "a", visibility: "public", publication: null, protected: false, ...video };
    const known = { videoId: "v-old", url: "http://edge/uploads/v-old", isProtected: null };
    shelf.set("sf.uploads", JSON.stringify({ [fingerprintOf(choice.file)]: known }));
    uploads.startBatch([choice]);
    await settle();
    return choice;
  }

  test("is sent on at once where nothing else was chosen", async () => {
    await again({}, {});
    expect([titles(), changes]).toEqual([[], []]);
    expect(rows()).toEqual(["v-old starting"]);
    expect(sent()).toEqual(["a.mp4"]);
  });

  test.each<[string, Partial<Video>, Partial<UploadChoice>, [string, string, unknown][]]>([
    ["private, under another name", {}, { visibility: "private", title: "b" },
      [["PATCH", "/v1/videos/v-old", { title: "b", visibility: "private" }]]],
    ["at a time", {}, { publishAt: SOON },
      [["PUT", "/v1/videos/v-old/publication", { at: SOON, visibility: "public" }]]],
    ["at the same time", WAITS, { publishAt: SOON }, []],
    ["at the same time, for others", WAITS, { publishAt: SOON, visibility: "followers" },
      [["PUT", "/v1/videos/v-old/publication", { at: SOON, visibility: "followers" }]]],
    ["at once instead of at a time", WAITS, {}, [
      ["DELETE", "/v1/videos/v-old/publication", null],
      ["PATCH", "/v1/videos/v-old", { visibility: "public" }],
    ]],
    ["private instead of at a time", WAITS, { visibility: "private" },
      [["DELETE", "/v1/videos/v-old/publication", null]]],
    ["under the name it was given meanwhile", { title: "c" }, { title: null }, []],
  ])("becomes %s", async (_, video, chosen, wanted) => {
    await again(video, chosen);
    expect(changes).toEqual(wanted);
    expect(sent()).toEqual(["a.mp4"]);
    expect(uploads.uploads.get()[0]?.title).toBe(chosen.title ?? video.title ?? "a");
  });

  test.each<[string, Partial<Video>, Chosen[], Partial<UploadChoice>, [string, string, unknown][]]>([
    ["its audience", { visibility: "private" }, [], {}, []],
    ["its time", WAITS, ["title"], { title: "b" }, [["PATCH", "/v1/videos/v-old", { title: "b" }]]],
    ["its time for other people", WAITS, ["visibility"], { visibility: "followers" },
      [["PUT", "/v1/videos/v-old/publication", { at: "2026-01-01T18:00:00Z", visibility: "followers" }]]],
    ["its name", { title: "c" }, ["visibility"], { visibility: "private" },
      [["PATCH", "/v1/videos/v-old", { visibility: "private" }]]],
    ["its protection", { protected: true }, [], { isProtected: false }, []],
  ])("keeps %s where that is only proposed", async (_, video, chosen, choice, wanted) => {
    await again(video, { ...choice, chosen: new Set(chosen) });
    expect([titles(), changes]).toEqual([[], wanted]);
    expect(sent()).toEqual(["a.mp4"]);
  });

  test("of somebody else, or that nobody waits for any more, is begun anew", async () => {
    await again({ upload: null }, {});
    expect([titles(), changes]).toEqual([["a"], []]);
  });

  test("is not sent while its video does not become so, and says why", async () => {
    refusesChanges = true;
    await again({}, { visibility: "private" });
    expect(sent()).toEqual([]);
    expect(uploads.uploads.get()).toMatchObject([{ state: "failed", error: "Not then." }]);
    refusesChanges = false;
    await uploads.resumeUpload("waiting-1");
    await settle();
    expect(changes).toHaveLength(2);
    expect(rows()).toEqual(["v-old starting"]);
  });

  test("is begun anew with another protection, and what was begun is given up", async () => {
    const { file } = await again({}, { isProtected: true });
    expect([titles(), tus.removed]).toEqual([["a"], []]);
    await answer("a");
    expect(tus.removed).toEqual(["http://edge/uploads/v-old"]);
    expect(uploads.uploads.get()).toMatchObject([{ videoId: "v-a", state: "starting", error: null }]);
    expect(JSON.parse(shelf.get("sf.uploads") ?? "")).toMatchObject({
      [fingerprintOf(file)]: { videoId: "v-a", isProtected: true },
    });
  });

  test("goes on where the site protects as is wanted now", async () => {
    await again({ protected: true }, { isProtected: true });
    expect(titles()).toEqual([]);
    expect(sent()).toEqual(["a.mp4"]);
  });

  test("stops what is still sent of it here while it changes", async () => {
    const choice = await again({}, {});
    refusesChanges = true;
    await expect(uploads.startUpload({ ...choice, visibility: "private" })).rejects.toThrow("Not then.");
    expect(tus.started[0]?.isAborted).toBe(true);
    expect(rows()).toEqual(["v-old paused"]);
  });

  test("is proposed as its video stands", async () => {
    const { file } = await again({ ...WAITS, title: "c" }, { title: null });
    const other = new File(["other"], "other.mp4");
    expect(await uploads.recallChoice(file)).toEqual({
      title: "c",
      visibility: "public",
      publishAt: "2026-01-01T18:00:00Z",
      isProtected: null,
    });
    expect(await uploads.recallChoice(other)).toBeNull();
  });
});
