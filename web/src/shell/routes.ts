/** Which page answers which address. Every page is its own chunk, loaded when it is first asked for. */
import type { ComponentType } from "preact";
import { matchRoute, type Parameters } from "../kit/router";

export interface PageProps {
  parameters: Parameters;
  search: URLSearchParams;
}

type PageModule = { default: ComponentType<PageProps> };

export interface Route {
  pattern: string;
  load: () => Promise<PageModule>;
  /** Needs somebody logged in. */
  member?: boolean;
  /** The picture is the page: the rail steps back to icons. */
  immersive?: boolean;
  /** Stands in a frame of another site: nothing is around it. */
  isBare?: boolean;
}

const NOT_FOUND: Route = { pattern: "*", load: () => import("./not_found") };

export const ROUTES: readonly Route[] = [
  { pattern: "/", load: () => import("../home/page") },
  { pattern: "/explore", load: () => import("../explore/page") },
  { pattern: "/watch/{video}", load: () => import("../videos/watch_page"), immersive: true },
  { pattern: "/embed/{video}", load: () => import("../videos/embed_page"), isBare: true },
  { pattern: "/library", load: () => import("../history/library_page"), member: true },
  { pattern: "/playlist/{playlist}", load: () => import("../playlists/page") },
  { pattern: "/live", load: () => import("../live/list_page") },
  { pattern: "/live/{id}", load: () => import("../live/watch_page"), immersive: true },
  { pattern: "/studio/live/{id}", load: () => import("../studio/live_analytics_page"), member: true },
  { pattern: "/studio", load: () => import("../studio/page"), member: true },
  { pattern: "/studio/video/{video}", load: () => import("../studio/analytics_page"), member: true },
  { pattern: "/studio/subscribers", load: () => import("../studio/subscribers_page"), member: true },
  { pattern: "/studio/trash", load: () => import("../studio/trash_page"), member: true },
  { pattern: "/studio/live", load: () => import("../studio/live_page"), member: true, immersive: true },
  { pattern: "/post/{id}", load: () => import("../posts/page") },
  { pattern: "/u/{username}", load: () => import("../profile/page") },
  { pattern: "/admin", load: () => import("../admin/page"), member: true },
  { pattern: "/settings", load: () => import("../accounts/settings_page"), member: true },
  { pattern: "/login", load: () => import("../accounts/login_page") },
  { pattern: "/register", load: () => import("../accounts/register_page") },
];

/** The first route that fits, or the page that says that none does. */
export function decideRoute(path: string): { route: Route; parameters: Parameters } {
  for (const route of ROUTES) {
    const parameters = matchRoute(route.pattern, path);
    if (parameters) return { route, parameters };
  }
  return { route: NOT_FOUND, parameters: {} };
}
