/** Playback grants are a path prefix `/t/{grant}/`. Pure. */

const GRANT = /\/t\/[^/]+\//;

/** The same address with the grant that `fresh` carries; unchanged when either has none. */
export function rewriteGrant(url: string, fresh: string): string {
  const grant = GRANT.exec(fresh)?.[0];
  return grant && GRANT.test(url) ? url.replace(GRANT, () => grant) : url;
}

/** Whether an address opens only as long as the right in it lasts. */
export function hasGrant(url: string): boolean {
  return GRANT.test(url);
}

/** Where the keys of a protected video are asked for: beside its playlists, under the same right. */
export function findKeys(playlist: string): string {
  return new URL("keys", playlist).href;
}
