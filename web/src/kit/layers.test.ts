import { describe, expect, it } from "vitest";
import { countLinesMin, decideEncodings, fitEncodings } from "./encodings";
import { findLayerAddress, nameLayer } from "./layers";

const HD = { bitrateBps: 2_000_000, linesMax: 720 };
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
    decideEncodings({ width, height }, HD, several).map((encoding) => encoding.rid);
  const read = (encodings: RTCRtpEncodingParameters[]) =>
    encodings.map(({ rid, scaleResolutionDownBy, maxBitrate }) => [rid, scaleResolutionDownBy, maxBitrate]);

  it("are as many as the picture is large, the smallest first", () => {
    expect(rids(1280, 720)).toEqual(["q", "h", "f"]);
    expect(rids(720, 1280)).toEqual(["q", "h", "f"]);
    expect(rids(640, 360)).toEqual(["h", "f"]);
  });

  it("are one without a name where more make no sense or are unwanted", () => {
    expect(rids(320, 240)).toEqual([undefined]);
    expect(rids(1920, 1080, false)).toEqual([undefined]);
    expect(decideEncodings({}, HD, true)).toEqual([{ maxBitrate: 2_000_000, scaleResolutionDownBy: 1 }]);
  });

  it("are no larger than was chosen, and as many as that is large", () => {
    const small = { bitrateBps: 800_000, linesMax: 360 };
    expect(read(decideEncodings({ width: 1280, height: 720 }, small, true))).toEqual([
      ["h", 4, 240_000],
      ["f", 2, 800_000],
    ]);
    expect(read(decideEncodings({ width: 1280, height: 720 }, small, false))).toEqual([[undefined, 2, 800_000]]);
    expect(read(decideEncodings({ width: 640, height: 480 }, { ...small, linesMax: 720 }, false))).toEqual([
      [undefined, 1, 800_000],
    ]);
    expect(read(decideEncodings({ width: 3840, height: 2160 }, { ...small, linesMax: Infinity }, false))).toEqual([
      [undefined, 1, 800_000],
    ]);
  });

  it("stay as many as they are while another size is chosen", () => {
    const source = { width: 1280, height: 720 };
    const three = decideEncodings(source, HD, true);
    const fitted = fitEncodings(source, { bitrateBps: 1_000_000, linesMax: 360 }, three.length);
    expect(read(fitted)).toEqual([
      ["q", 8, 120_000],
      ["h", 4, 300_000],
      ["f", 2, 1_000_000],
    ]);
    expect(source.height).toBeGreaterThanOrEqual(countLinesMin(three.length));
    expect([1, 2].map(countLinesMin)).toEqual([0, 360]);
  });
});
