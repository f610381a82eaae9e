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
