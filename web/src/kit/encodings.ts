/** How many sizes of one picture a publisher sends (simulcast, RFC 8853). */

interface Picture {
  width?: number;
  height?: number;
}

/** A half picture needs about a third of the bits, a quarter an eighth. */
const HALF_SHARE = 0.3;
const QUARTER_SHARE = 0.12;
const THREE_FROM_LINES = 720;
const TWO_FROM_LINES = 360;

/** The smallest first, as browsers want them; one alone for small pictures or when more are unwanted. */
export function decideEncodings(
  picture: Picture,
  bitrateBps: number,
  sendsSeveral: boolean,
): RTCRtpEncodingParameters[] {
  const lines = Math.min(picture.width ?? 0, picture.height ?? 0);
  if (!sendsSeveral || lines < TWO_FROM_LINES) return [{ maxBitrate: bitrateBps }];
  const share = (part: number) => Math.round(bitrateBps * part);
  const half = { rid: "h", scaleResolutionDownBy: 2, maxBitrate: share(HALF_SHARE) };
  const full = { rid: "f", scaleResolutionDownBy: 1, maxBitrate: bitrateBps };
  if (lines < THREE_FROM_LINES) return [half, full];
  return [{ rid: "q", scaleResolutionDownBy: 4, maxBitrate: share(QUARTER_SHARE) }, half, full];
}
