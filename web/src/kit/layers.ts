/**
 * The encodings of a WHEP session: where its address is told, what there is, and the choice by hand
 * (WHEP's layer extension, draft-murillo-whep-01 §4.8.2; the list is our edge's own).
 */
import { requestJson } from "./http";
import { readLinks } from "./links";

const LAYER_RELATION = "urn:ietf:params:whep:ext:core:layer";

export interface Layer {
  encodingId: string;
  width: number;
  height: number;
  bitrate: number;
  /** Whether it comes now; publishers pause what their connection cannot carry. */
  active: boolean;
}

export interface LayerChoice {
  /** Best first; empty where the publisher sends one encoding alone. */
  layers: Layer[];
  playing: string | null;
  /** Chosen by hand; null: the viewer's connection decides. */
  chosen: string | null;
}

/** The session's layer address in a Link header (RFC 8288), or null where the server has none. */
export function findLayerAddress(links: string | null, base: string): string | null {
  const found = readLinks(links).find(({ parameters }) => parameters["rel"] === LAYER_RELATION);
  return found ? new URL(found.target, base).href : null;
}

export function readLayers(address: string, signal: AbortSignal): Promise<LayerChoice> {
  return requestJson<LayerChoice>({ method: "GET", path: address, signal });
}

/** Asks for an encoding, or with null for the automatic choice. */
export function sendLayer(address: string, encodingId: string | null, signal: AbortSignal): Promise<LayerChoice> {
  const body = encodingId === null ? {} : { encodingId };
  return requestJson<LayerChoice>({ method: "POST", path: address, body, signal });
}

/** "720p": the shorter side, which is how people name a picture's quality. */
export function nameLayer(layer: { width: number; height: number }): string {
  return `${Math.min(layer.width, layer.height)}p`;
}
