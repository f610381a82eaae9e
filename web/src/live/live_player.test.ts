import { describe, expect, it } from "vitest";
import { LivePlayer } from "./live_player";

describe("the player of a live", () => {
  it("begins with WebRTC as soon as the live is on air", () => {
    const player = new LivePlayer({
      video: {} as HTMLVideoElement,
      whep: "http://localhost/whep/1",
      token: () => Promise.resolve(null),
      hls: () => Promise.resolve(null),
      elapsedS: () => 12,
    });
    expect(player.state.get()).toMatchObject({ way: "webrtc", phase: "waiting" });
    player.setLive(true);
    return Promise.resolve()
      .then(() => new Promise((resolve) => setTimeout(resolve)))
      .then(() => {
        expect(player.state.get()).toMatchObject({ way: "webrtc", phase: "connecting", lengthS: 12 });
        player.stop();
      });
  });
});
