/**
 * Who is logged in. Owns the tokens: the access token lives in memory, the refresh token in
 * localStorage. Tokens rotate, so only one refresh runs at a time across all tabs (a Web Lock);
 * a tab that waited uses the token the other one stored. Nothing else reads or writes tokens.
 */
import { ApiError } from "./errors";
import { requestJson } from "./http";
import { Store } from "./store";

export interface SessionUser {
  id: string;
  username: string;
  display_name: string;
  bio?: string;
  email?: string;
  role?: string;
  plan?: string;
  presence_audience?: PresenceAudience;
}

/** Who may see whether somebody is there. */
export type PresenceAudience = "everyone" | "followers" | "nobody";

interface TokenAnswer {
  user?: SessionUser;
  access_token: string;
  refresh_token: string;
  expires_in: number;
}

const REFRESH_KEY = "sf.refresh";
const USER_KEY = "sf.user";
const EARLY_MS = 20_000;

/** The user as last known, or null; set before the first request so that pages need not wait. */
export const currentUser = new Store<SessionUser | null>(readStoredUser());

let accessToken: string | null = null;
let accessUntil = 0;
let refreshing: Promise<string | null> | null = null;

function readStoredUser(): SessionUser | null {
  if (typeof localStorage === "undefined" || !localStorage.getItem(REFRESH_KEY)) return null;
  try {
    return JSON.parse(localStorage.getItem(USER_KEY) ?? "null") as SessionUser | null;
  } catch {
    return null;
  }
}

function keepTokens(answer: TokenAnswer): void {
  accessToken = answer.access_token;
  accessUntil = Date.now() + answer.expires_in * 1000;
  localStorage.setItem(REFRESH_KEY, answer.refresh_token);
  if (answer.user) keepUser(answer.user);
}

/** Remembers what the profile looks like now (after login, `GET /me` or an edit). */
export function keepUser(user: SessionUser): void {
  localStorage.setItem(USER_KEY, JSON.stringify(user));
  currentUser.set(user);
}

function forget(): void {
  accessToken = null;
  localStorage.removeItem(REFRESH_KEY);
  localStorage.removeItem(USER_KEY);
  currentUser.set(null);
}

export async function register(username: string, email: string, password: string): Promise<void> {
  const body = { username, email, password };
  keepTokens(await requestJson<TokenAnswer>({ method: "POST", path: "/v1/auth/register", body }));
}

export async function login(name: string, password: string): Promise<void> {
  const body = { login: name, password };
  keepTokens(await requestJson<TokenAnswer>({ method: "POST", path: "/v1/auth/login", body }));
}

/** Forgets the session here at once and tells the server; a server that is away changes nothing. */
export async function logout(): Promise<void> {
  const refreshToken = localStorage.getItem(REFRESH_KEY);
  const token = accessToken;
  forget();
  if (!refreshToken) return;
  const body = { refresh_token: refreshToken };
  await requestJson<void>({ method: "POST", path: "/v1/auth/logout", body, token }).catch(() => undefined);
}

/** A token that is good for the next seconds, or null when nobody is logged in. */
export async function getAccessToken(): Promise<string | null> {
  if (accessToken && Date.now() < accessUntil - EARLY_MS) return accessToken;
  if (!localStorage.getItem(REFRESH_KEY)) return null;
  return refreshAccessToken(accessToken);
}

/** A token other than `refused`; null when the session is over. Throws when the server is away. */
export function refreshAccessToken(refused: string | null): Promise<string | null> {
  if (accessToken && accessToken !== refused && Date.now() < accessUntil - EARLY_MS) {
    return Promise.resolve(accessToken);
  }
  refreshing ??= runAlone(refreshOnce).finally(() => {
    refreshing = null;
  });
  return refreshing;
}

function runAlone(work: () => Promise<string | null>): Promise<string | null> {
  if (typeof navigator === "undefined" || !navigator.locks) return work();
  return navigator.locks.request("sf.refresh", work) as Promise<string | null>;
}

async function refreshOnce(): Promise<string | null> {
  const refreshToken = localStorage.getItem(REFRESH_KEY);
  if (!refreshToken) return null;
  const body = { refresh_token: refreshToken };
  try {
    keepTokens(await requestJson<TokenAnswer>({ method: "POST", path: "/v1/auth/refresh", body }));
    return accessToken;
  } catch (error) {
    if (error instanceof ApiError && (error.status === 401 || error.status === 403)) {
      forget();
      return null;
    }
    throw error;
  }
}

/** Follows logins and logouts made in other tabs. */
export function followOtherTabs(): void {
  window.addEventListener("storage", (event) => {
    if (event.key === REFRESH_KEY && event.newValue === null) forget();
    if (event.key === USER_KEY) {
      const stored = readStoredUser();
      if (stored?.id !== currentUser.get()?.id) accessToken = null;
      currentUser.set(stored);
    }
  });
}
