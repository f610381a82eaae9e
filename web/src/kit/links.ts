/** Link headers (RFC 8288), as WHIP and WHEP answers use them: layers, ICE servers. */

export interface Link {
  target: string;
  parameters: Readonly<Record<string, string>>;
}

/** The links of a header, several of them joined by commas as fetch hands them out. */
export function readLinks(header: string | null): Link[] {
  const links: Link[] = [];
  for (const part of (header ?? "").split(/,\s*(?=<)/)) {
    const found = /^<([^>]*)>(.*)$/.exec(part.trim());
    if (!found) continue;
    const pairs = [...(found[2] ?? "").matchAll(/;\s*([a-z-]+)=(?:"([^"]*)"|([^;]*))/g)];
    const parameters = Object.fromEntries(pairs.map(([, name, quoted, bare]) => [name ?? "", quoted ?? bare ?? ""]));
    links.push({ target: found[1] ?? "", parameters });
  }
  return links;
}
