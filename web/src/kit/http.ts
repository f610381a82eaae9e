/**
 * One JSON request with a deadline. Used by the session (which has no token yet) and by the api
 * client (which adds one). Throws `ApiError` and nothing else, cancellation excepted.
 */
import { ApiError, readError } from "./errors";

export const REQUEST_TIMEOUT_MS = 15_000;

export interface JsonRequest {
  method: string;
  path: string;
  body?: unknown;
  token?: string | null;
  signal?: AbortSignal | undefined;
  headers?: Record<string, string>;
  /** Arrives even when the page is left meanwhile. */
  keepalive?: boolean | undefined;
}

/** Sends the request and gives back the parsed body (`undefined` for 204). */
export async function requestJson<T>(request: JsonRequest): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json", ...request.headers };
  if (request.body !== undefined) headers["Content-Type"] = "application/json";
  if (request.token) headers["Authorization"] = `Bearer ${request.token}`;
  const deadline = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  let response: Response;
  try {
    response = await fetch(request.path, {
      method: request.method,
      keepalive: request.keepalive ?? false,
      headers,
      body: request.body === undefined ? null : JSON.stringify(request.body),
      signal: request.signal ? AbortSignal.any([request.signal, deadline]) : deadline,
    });
  } catch (error) {
    if (request.signal?.aborted) throw error;
    const late = deadline.aborted;
    throw new ApiError(
      late ? "timeout" : "offline",
      0,
      late ? "The server took too long to answer." : "The server cannot be reached. Are you online?",
    );
  }
  const text = await response.text();
  const body = parseJson(text);
  if (!response.ok) throw readError(response.status, body, response.headers);
  return body as T;
}

function parseJson(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
