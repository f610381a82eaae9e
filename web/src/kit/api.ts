/**
 * The API client of every page: adds the access token, renews it once when it was refused, and
 * ends the session when it cannot be renewed. Lists come as `Page<T>`.
 */
import { ApiError } from "./errors";
import { requestJson, type JsonRequest } from "./http";
import { getAccessToken, refreshAccessToken } from "./session";

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

type Query = Record<string, string | number | null | undefined>;

interface CallOptions {
  query?: Query;
  signal?: AbortSignal | undefined;
  keepalive?: boolean;
}

/** `/v1` plus the path and its query; null and undefined parameters are left out. */
export function buildPath(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined) parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return `/v1${path}${text ? `?${text}` : ""}`;
}

async function call<T>(method: string, path: string, body: unknown, options: CallOptions = {}): Promise<T> {
  const request: JsonRequest = {
    method,
    path: buildPath(path, options.query),
    body,
    signal: options.signal,
    keepalive: options.keepalive,
  };
  const token = await getAccessToken();
  try {
    return await requestJson<T>({ ...request, token });
  } catch (error) {
    const refused = error instanceof ApiError && error.status === 401 && token !== null;
    if (!refused) throw error;
    const renewed = await refreshAccessToken(token);
    return requestJson<T>({ ...request, token: renewed });
  }
}

export const api = {
  get: <T>(path: string, options?: CallOptions) => call<T>("GET", path, undefined, options),
  post: <T>(path: string, body?: unknown, options?: CallOptions) => call<T>("POST", path, body, options),
  put: <T>(path: string, body: unknown, options?: CallOptions) => call<T>("PUT", path, body, options),
  patch: <T>(path: string, body: unknown) => call<T>("PATCH", path, body),
  delete: <T = void>(path: string) => call<T>("DELETE", path, undefined),
};
