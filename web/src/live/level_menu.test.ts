import { describe, expect, it } from "vitest";
import { LevelMenu, SOURCE_BEHIND_S, type Levels } from "./level_menu";

const level = (width: number, height: number, bitrate: number) => ({ width, height, bitrate });
// As hls.js sorts them: each size with Opus, and a little heavier with AAC.
const LEVELS = [level(426, 240, 400), level(426, 240, 401), level(1280, 720, 2500), level(1280, 720, 2501)];

function open(menu = new LevelMenu(), levels = LEVELS) {
  const hls = { levels, nextLevel: -1, startLevel: -1 } as unknown as Levels;
  menu.follow(hls);
  return { menu, hls };
}

describe("the qualities of a live by HLS", () => {
  it("are one of each size, the largest first, and it plays first", () => {
    const { menu, hls } = open();
    expect(menu.state.get().layers.map((layer) => layer.encodingId)).toEqual(["720p", "240p"]);
    expect([hls.startLevel, hls.nextLevel]).toEqual([2, -1]);
    menu.notePlaying(3);
    expect(menu.state.get().playing).toBe("720p");
  });

  it("are chosen by hand, also when the live is opened anew, and left to the connection again", () => {
    const { menu, hls } = open();
    void menu.choose("240p");
    expect([hls.nextLevel, menu.state.get().chosen]).toEqual([0, "240p"]);
    const again = open(menu).hls;
    expect([again.startLevel, again.nextLevel, menu.state.get().chosen]).toEqual([0, 0, "240p"]);
    void menu.choose(null);
    expect(again.nextLevel).toBe(-1);
  });

  it("are the source for who seeks back, and what was chosen near the live end", () => {
    const { menu, hls } = open();
    void menu.choose("240p");
    menu.noteBehind(SOURCE_BEHIND_S + 1);
    expect(hls.nextLevel).toBe(2);
    menu.noteBehind(3);
    expect(hls.nextLevel).toBe(0);
  });

  it("are left to the connection when the chosen one ends, and chosen again when it is back", () => {
    const { menu } = open();
    void menu.choose("240p");
    menu.noteOver();
    expect(menu.state.get().chosen).toBeNull();
    expect(open(menu, LEVELS.slice(2)).menu.state.get().chosen).toBeNull();
    expect(open(menu).menu.state.get().chosen).toBe("240p");
  });

  it("are none to choose from where the live comes in one size", () => {
    const { menu, hls } = open(new LevelMenu(), LEVELS.slice(2));
    menu.noteBehind(SOURCE_BEHIND_S + 1);
    expect([menu.state.get().layers.length, hls.startLevel, hls.nextLevel]).toEqual([1, -1, -1]);
  });
});
