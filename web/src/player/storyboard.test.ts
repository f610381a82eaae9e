/** Small pictures whose right to be seen ran out. */
import { expect, test } from "vitest";
import { SheetRenewal, type Tile } from "./storyboard";

const FRESH = "http://edge:8001/t/new.grant/v/1/master.m3u8";

function makeTiles(base: string): Tile[] {
  return [0, 1].map((at) => {
    const place = { startS: at * 10, left: 0, top: 0, width: 160, height: 90 };
    return { ...place, sheet: `${base}/v/1/storyboard/0000${at}.jpg` };
  });
}

function makeRenewal(fresh: string | null): { renewal: SheetRenewal; count: () => number } {
  let asked = 0;
  const renew = () => ((asked += 1), fresh === "" ? Promise.reject(new Error("offline")) : Promise.resolve(fresh));
  return { renewal: new SheetRenewal(renew), count: () => asked };
}

test("a sheet that does not come brings all of them under a fresh right", async () => {
  const { renewal, count } = makeRenewal(FRESH);
  const old = makeTiles("http://edge:8001/t/old.grant");
  const mended = await renewal.mend(old, old[1]?.sheet ?? "", 0);
  expect(mended).toEqual(makeTiles("http://edge:8001/t/new.grant"));
  expect(count()).toBe(1);
});

test("one that is broken under a fresh right, too, is not asked for again at once", async () => {
  const { renewal, count } = makeRenewal(FRESH);
  const tiles = makeTiles("http://edge:8001/t/old.grant");
  const sheet = tiles[0]?.sheet ?? "";
  await renewal.mend(tiles, sheet, 0);
  expect(await renewal.mend(tiles, sheet, 29_000)).toBeNull();
  expect(count()).toBe(1);
  expect(await renewal.mend(tiles, sheet, 30_000)).not.toBeNull();
});

test("where nobody needs a right, or none is given, nothing changes", async () => {
  const open = makeTiles("http://edge:8001");
  const { renewal, count } = makeRenewal(FRESH);
  expect(await renewal.mend(open, open[0]?.sheet ?? "", 0)).toBeNull();
  expect(count()).toBe(0);
  const old = makeTiles("http://edge:8001/t/old.grant");
  for (const fresh of [null, ""]) {
    expect(await makeRenewal(fresh).renewal.mend(old, old[0]?.sheet ?? "", 0)).toBeNull();
  }
});
