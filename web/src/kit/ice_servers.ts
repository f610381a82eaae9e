/**
 * TURN servers that an edge names in its answers (RFC 9725 §4.6), for networks that let no UDP out. They are asked for
 * an address only where there is no other path: each address costs the server, and the viewer a second.
 */
import { readLinks } from "./links";

/** So long sessions begin with the servers right away that the last one needed; credentials last a day. */
const KEPT_MS = 3_600_000;

/** The TURN servers in a Link header; STUN is of no use towards an edge, which has a public address. */
export function findRelays(header: string | null): RTCIceServer[] {
  return readLinks(header)
    .filter(({ target, parameters }) => parameters["rel"] === "ice-server" && /^turns?:/.test(target))
    .map(({ target, parameters }) => ({
      urls: target,
      username: parameters["username"] ?? "",
      credential: parameters["credential"] ?? "",
    }));
}

/** The servers that this tab's sessions needed lately. */
export class NeededRelays {
  #servers: RTCIceServer[] = [];
  #untilMs = 0;

  list(nowMs: number): RTCIceServer[] {
    return nowMs < this.#untilMs ? this.#servers : [];
  }

  keep(servers: RTCIceServer[], nowMs: number): void {
    this.#servers = servers;
    this.#untilMs = nowMs + KEPT_MS;
  }

  forget(): void {
    this.#untilMs = 0;
  }
}
