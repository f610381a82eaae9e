/** How many sizes of one picture a publisher sends (simulcast, RFC 8853), and what each may take. Pure. */

interface Picture {
  width?: number;
  height?: number;
}

/** What the largest encoding may be; the others follow from it. */
export interface LargestPicture {
  bitrateBps: number;
  /** Of the shorter side; a larger source is made smaller. Infinity: the source's own size. */
  linesMax: number;
}

/** The smallest first, as browsers want them. A half picture needs about a third of the bits, a quarter an eighth. */
const SIZES = [
  { rid: "q", divisor: 4, share: 0.12 },
  { rid: "h", divisor: 2, share: 0.3 },
  { rid: "f", divisor: 1, share: 1 },
] as const;
const THREE_FROM_LINES = 720;
const TWO_FROM_LINES = 360;

/** What to begin with; one alone for small pictures or when more are unwanted. */
export function decideEncodings(
  source: Picture,
  largest: LargestPicture,
  sendsSeveral: boolean,
): RTCRtpEncodingParameters[] {
  const lines = Math.min(countLines(source), largest.linesMax);
  if (!sendsSeveral || lines < TWO_FROM_LINES) return fitEncodings(source, largest, 1);
  return fitEncodings(source, largest, lines < THREE_FROM_LINES ? 2 : 3);
}

/** As many as a session has: their number and names stay as they were agreed on. */
export function fitEncodings(source: Picture, largest: LargestPicture, count: number): RTCRtpEncodingParameters[] {
  const shrink = Math.max(1, countLines(source) / largest.linesMax);
  return SIZES.slice(-count).map(({ rid, divisor, share }) => ({
    ...(count > 1 ? { rid } : {}),
    scaleResolutionDownBy: divisor * shrink,
    maxBitrate: Math.round(largest.bitrateBps * share),
  }));
}

/**
 * The fewest lines a source keeps while so many encodings are sent: of a smaller one Chromium leaves out the
 * largest (libwebrtc, `LimitSimulcastLayerCount`).
 */
export function countLinesMin(encodings: number): number {
  if (encodings > 2) return THREE_FROM_LINES;
  return encodings > 1 ? TWO_FROM_LINES : 0;
}

function countLines(picture: Picture): number {
  return Math.min(picture.width ?? 0, picture.height ?? 0);
}
