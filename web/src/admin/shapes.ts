/** What the administration API answers, and who is shown its pages. */
export interface Standing {
  id: string;
  username: string;
  display_name: string;
  email: string;
  role: Role;
  created_at: string;
  banned_at: string | null;
  ban_reason: string;
}

export interface Act {
  id: string;
  at: string;
  actor: string | null;
  action: string;
  subject: string;
  details: Record<string, unknown>;
}

export interface Host {
  id: string;
  node: string;
  incarnation: number;
  state: "live" | "draining" | "fenced";
  /** It was drained and can be brought back; a host whose process ended cannot. */
  is_resting: boolean;
  lease_left_s: number;
  started_at: string;
  objects: Record<string, number>;
}

export interface Room {
  id: string;
  title: string;
  owner: string;
  status: string;
  host: string;
  incarnation: number;
  is_owned: boolean;
  placed_at: string;
  epoch: string;
  head: number;
  viewers: number | null;
  viewers_peak: number;
  messages_per_minute: number;
}

/** A room as its host runs it: edges that follow it, commands that wait. */
export interface Running {
  id: string;
  epoch: string;
  head: number;
  followers: number;
  mailbox: number;
  entries_per_minute: number;
  viewers: number;
}

export const ROLES = ["user", "creator", "moderator", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** How far up a role reaches; an unknown one reaches nothing. */
export function rankOf(role: string | undefined): number {
  return ROLES.findIndex((known) => known === role);
}

/** Whether somebody of `role` may act on `person`: never on themselves, only on those below. */
export function canActOn(user: { username: string; role?: string } | null, person: Standing): boolean {
  return user !== null && user.username !== person.username && rankOf(person.role) < rankOf(user.role);
}

const SENTENCES: Record<string, (act: Act) => string> = {
  "user.ban": (act) => `banned ${nameSubject(act)}: “${String(act.details.reason ?? "")}”`,
  "user.unban": (act) => `lifted the ban of ${nameSubject(act)}`,
  "room.move": (act) => `moved the room ${act.subject.slice(-8)} to ${String(act.details.host ?? "")}`,
  "host.drain": (act) => `took ${nameHost(act)} out of service`,
  "host.resume": (act) => `brought ${nameHost(act)} back into service`,
  "live.taken_down": (act) =>
    `took down “${String(act.details.title ?? "")}” of @${String(act.details.owner ?? "")}: “${String(act.details.reason ?? "")}”`,
  "user.role": (act) =>
    `made ${nameSubject(act)} ${String(act.details.after ?? "")} (was ${String(act.details.before ?? "")})`,
};

/** An act as a sentence without its subject; one this page does not know is shown by its name. */
export function describeAct(act: Act): string {
  return SENTENCES[act.action]?.(act) ?? `${act.action} ${act.subject}`;
}

function nameSubject(act: Act): string {
  return `@${act.subject.replace(/^user:/, "")}`;
}

function nameHost(act: Act): string {
  return act.subject.replace(/^host:/, "");
}

/** A host's state in a word and a tone: a lease that lapsed weighs more than what the row says. */
export function describeLease(host: Host): { text: string; tone: "ready" | "busy" | "failed" } {
  if (host.is_resting) return { text: "out of service", tone: "busy" };
  if (host.state === "fenced") return { text: "ended", tone: "failed" };
  if (host.lease_left_s < 0) return { text: "lease lapsed", tone: "failed" };
  if (host.state === "draining") return { text: "draining", tone: "busy" };
  return { text: "live", tone: "ready" };
}

/** Whether a host takes objects. */
export function isInService(host: Host): boolean {
  return host.state === "live" && host.lease_left_s >= 0;
}

/** What may be done about a host: it is taken out of service while another one is left. */
export function chooseStep(host: Host, hosts: readonly Host[]): "drain" | "resume" | null {
  if (!isInService(host)) return host.is_resting ? "resume" : null;
  return hosts.some((other) => other.id !== host.id && isInService(other)) ? "drain" : null;
}

/** Where a room may go: hosts that take objects, and where it is now. */
export function listChoices(room: Room, hosts: readonly Host[]): string[] {
  const living = hosts.filter(isInService).map((host) => host.id);
  return [...new Set([room.host, ...living])].sort();
}
