/** Names and memory of uploads, and why a camera does not open. */
import { expect, test } from "vitest";
import { describeMediaError } from "./camera";
import { fitInside } from "./picture_dialog";
import { decodeText, nameLanguage } from "./subtitles_dialog";
import { nameFromAddress } from "./import_form";
import { nameFromFile } from "./upload_choice";
import { fingerprintOf, UploadMemory } from "./upload_memory";
import { describeRest, UploadPace } from "./upload_pace";

function makeShelf(): Pick<Storage, "getItem" | "setItem"> {
  const values = new Map<string, string>();
  return { getItem: (key) => values.get(key) ?? null, setItem: (key, value) => void values.set(key, value) };
}

test.each([
  ["my_first_film.final.mp4", "my first film.final"],
  [".mp4", ".mp4"],
  ["holiday", "holiday"],
])("%s is called %s", (filename, title) => expect(nameFromFile(filename)).toBe(title));

test("an unfinished upload is found again by the same file only", () => {
  const memory = new UploadMemory(makeShelf());
  const file = { name: "a.mp4", size: 5, lastModified: 7 };
  memory.keep(fingerprintOf(file), { videoId: "v1", url: "http://edge/uploads/1" });
  expect(memory.find(fingerprintOf(file))?.videoId).toBe("v1");
  expect(memory.find(fingerprintOf({ ...file, size: 6 }))).toBeNull();
  memory.forget(fingerprintOf(file));
  expect(memory.find(fingerprintOf(file))).toBeNull();
});

test("the memory is bounded and survives a broken shelf", () => {
  const shelf = makeShelf();
  const memory = new UploadMemory(shelf);
  for (let index = 0; index < 30; index += 1) memory.keep(`f${index}`, { videoId: `v${index}`, url: "" });
  expect(memory.find("f0")).toBeNull();
  expect(memory.find("f29")?.videoId).toBe("v29");
  shelf.setItem("sf.uploads", "{broken");
  expect(memory.find("f29")).toBeNull();
});

test.each([
  ["NotAllowedError", /may not use the camera/],
  ["NotFoundError", /No camera/],
  ["NotReadableError", /in use/],
  ["Other", /could not be opened/],
])("%s is explained", (name, words) => {
  const error = new Error();
  error.name = name;
  expect(describeMediaError(error)).toMatch(words);
});

test("the speed is that of the last ten seconds, and the rest takes as long as it says", () => {
  const pace = new UploadPace();
  expect(pace.note(0, 0)).toBeNull();
  expect(pace.note(100_000, 100)).toBeNull();
  expect(pace.note(1_000_000, 1_000)).toBe(1_000_000);
  for (let second = 2; second <= 12; second += 1) pace.note(1_000_000 + (second - 1) * 100_000, second * 1_000);
  expect(pace.note(2_200_000, 13_000)).toBeCloseTo(100_000, -3);
  expect(describeRest(30_000_000, 2_000_000)).toBe("2.0 MB/s / 15 s left");
  expect(describeRest(0, 2_000_000)).toBe("2.0 MB/s");
});

test("a picture is sent no larger than the server keeps it", () => {
  expect(fitInside(4000, 3000)).toEqual({ width: 1280, height: 960 });
  expect(fitInside(640, 480)).toEqual({ width: 640, height: 480 });
});

test("subtitles are read as UTF-8, or as older tools wrote them", () => {
  expect(decodeText(new TextEncoder().encode("Grüße").buffer as ArrayBuffer)).toBe("Grüße");
  expect(decodeText(new Uint8Array([0x47, 0x72, 0xfc, 0xdf, 0x65]).buffer)).toBe("Grüße");
});

test("a language is named in itself", () => {
  expect(nameLanguage("de")).toBe("Deutsch");
  expect(nameLanguage("fr")).toBe("Français");
});

test("an import is named after the last part of its address", () => {
  expect(nameFromAddress("https://example.org/a/my%20film_1.mp4?x=1")).toBe("my film 1");
  expect(nameFromAddress("https://example.org/100%.mp4")).toBe("100%");
  expect(nameFromAddress("no address")).toBe("");
});
