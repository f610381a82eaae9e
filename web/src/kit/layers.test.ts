import { describe, expect, it } from "vitest";
import { decideEncodings } from "./encodings";
import { findLayerAddress, nameLayer } from "./layers";

const LAYER = '</sessions/a/layer>; rel="urn:ietf:params:whep:ext:core:layer"';

describe("the encodings that are watched", () => {
  it("are found in the answer's links, whichever else there are", () => {
    const base = "http://edge:8001/whep/1?ticket=t";
    const turn = '<turn:t.example:3478?transport=tcp>; rel="ice-server"; username="1:a"; credential="b,c"';
    expect(findLayerAddress(LAYER, base)).toBe("http://edge:8001/sessions/a/layer");
    expect(findLayerAddress(`${turn}, ${LAYER}`, base)).toBe("http://edge:8001/sessions/a/layer");
    expect(findLayerAddress(turn, base)).toBeNull();
    expect(findLayerAddress(null, base)).toBeNull();
  });

  it("are named by the shorter side of the picture", () => {
    const layer = { encodingId: "f", bitrate: 0, active: true };
    expect(nameLayer({ ...layer, width: 1280, height: 720 })).toBe("720p");
    expect(nameLayer({ ...layer, width: 720, height: 1280 })).toBe("720p");
  });
});

describe("the encodings that are sent", () => {
  const rids = (width: number, height: number, several = true) =>
    decideEncodings({ width, height }, 2_000_000, several).map((encoding) => encoding.rid);

  it("are as many as the picture is large, the smallest first", () => {
    expect(rids(1280, 720)).toEqual(["q", "h", "f"]);
    expect(rids(720, 1280)).toEqual(["q", "h", "f"]);
    expect(rids(640, 360)).toEqual(["h", "f"]);
  });

  it("are one without a name where more make no sense or are unwanted", () => {
    expect(rids(320, 240)).toEqual([undefined]);
    expect(rids(1920, 1080, false)).toEqual([undefined]);
    expect(decideEncodings({}, 2_000_000, true)).toEqual([{ maxBitrate: 2_000_000 }]);
  });
});
