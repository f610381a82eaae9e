/**
 * What travels on the socket, made from the server's shapes by `make openapi`: change
 * `actors/live_room/events.py`, `serve_apps/edge/socket_answers.py` or `socket_words.py` instead.
 */

/** Say who you are, with an access token or a ticket of `join`. */
export interface Authenticate {
  type: "authenticate";
  token: string;
}

/** The last event a client has of a durable channel. */
export interface Position {
  epoch: string;
  offset: number;
}

/** Follow channels, from where the client left off. */
export interface Subscribe {
  type: "subscribe";
  channels: string[];
  since?: Record<string, Position>;
}

/** Stop following channels. */
export interface Unsubscribe {
  type: "unsubscribe";
  channels: string[];
}

/** Write a line in a room. */
export interface ChatSend {
  type: "chat_send";
  room: string;
  client_id: string;
  text: string;
}

/** Say that a line is being written. */
export interface Typing {
  type: "typing";
  room: string;
}

/** React to what happens in a room; only sums are shown. */
export interface Reaction {
  type: "react";
  room: string;
  reaction: string;
}

/** Act on a line (`message_id`), a person (`user_id`) or a held line (`held_id`). */
export interface Moderate {
  type: "moderate";
  room: string;
  client_id: string;
  act: "delete" | "pin" | "unpin" | "ban" | "time_out" | "pardon" | "approve" | "refuse";
  message_id?: string | null;
  user_id?: string | null;
  held_id?: string | null;
  duration_s?: number;
  reason?: string;
}

/** How watching a room went for this client's player since its last report. */
export interface WatchReport {
  type: "watch_report";
  room: string;
  way: "hls" | "webrtc";
  span_ms: number;
  freezes?: number;
  stalled_ms?: number;
  lost?: number;
  received?: number;
  latency_ms?: number | null;
  join_ms?: number | null;
  rung?: string;
}

/** Ask whether anybody is there, where a client cannot send the protocol's own ping. */
export interface Ping {
  type: "ping";
}

/** Say that somebody is at the page, though there is nothing else to say. */
export interface Active {
  type: "active";
}

/** Say that nobody is at the page: it has been hidden for a while. */
export interface Away {
  type: "away";
}

/** Whom a socket speaks for. */
export interface Me {
  id: string;
  username: string;
  display_name: string;
  role: string;
}

/** The login counts; null: the ticket was a stranger's. */
export interface Authenticated {
  type: "authenticated";
  user: Me | null;
}

/** These channels are not followed any more. */
export interface Unsubscribed {
  type: "unsubscribed";
  channels: string[];
}

/** A line is stored; `held`: it waits for a moderator. */
export interface Ack {
  type: "ack";
  client_id: string;
  message_id: string;
  epoch: string;
  offset: number;
  held?: boolean;
}

/** A moderator's act is stored. */
export interface Done {
  type: "done";
  client_id: string;
}

/** A line, an act, a channel or a word is refused. */
export interface Refusal {
  type: "error";
  error: string;
  message: string;
  retryable: boolean;
  client_id?: string;
  channel?: string;
  retry_after_s?: number;
}

/** What was missed cannot be replayed: load the channel's state anew. */
export interface Reload {
  type: "reload";
  channel: string;
  epoch: string;
  offset: number;
}

/** Somebody is there. */
export interface Pong {
  type: "pong";
}

/** The first message of a stream: what is posted to `/events` under this key is said there. */
export interface Stream {
  type: "stream";
  key: string;
}

/** The last message of a stream, in place of a close frame. */
export interface Closed {
  type: "closed";
  code: number;
  reason: string;
}

/** Where a channel stands for a subscriber; only durable ones have a position. */
export interface ChannelState {
  recovered: boolean;
  epoch?: string;
  offset?: number;
}

/** A person in a line. */
export interface Person {
  id: string;
  username: string;
  display_name: string;
}

/** A line. One that was approved names the id under which it waited; a deleted one is empty. */
export interface ChatMessage {
  id: string;
  room: string;
  user: Person;
  text: string;
  client_id: string | null;
  created_at: string;
  held_id?: string;
  deleted?: boolean;
}

/** The broadcast began, was interrupted or ended. */
export interface StateChange {
  status: "created" | "live" | "interrupted" | "ended";
  reason: string;
  at: string;
}

/** A line above the chat. */
export interface Pin {
  id: string;
  user: Person;
  text: string;
  created_at: string;
}

/** A line was taken down; the remaining pins, when it was pinned. */
export interface MessageDeleted {
  message_id: string;
  offset: number;
  by: Person;
  at: string;
  pins?: Pin[];
}

/** All pins as they are now. */
export interface PinsChanged {
  pins: Pin[];
  by: Person;
  at: string;
}

/** The rules of a chat as everybody may see them. */
export interface Rules {
  slow_mode_s: number;
  followers_only: boolean;
  follow_age_min_s: number;
  subscribers_only: boolean;
  holds_links: boolean;
}

/** The rules as they are now. */
export interface RulesChanged {
  rules: Rules;
  by: Person;
  at: string;
}

/** What somebody is in the room now. */
export interface MemberChanged {
  user: Person;
  role: "guest" | "moderator";
  is_banned: boolean;
  timed_out_until: string | null;
  reason: string;
  by: Person;
  at: string;
}

/** A line waits for a moderator; history says what it is to its author and to moderators. */
export interface MessageHeld {
  held_id: string;
  at: string;
  user?: Person;
  text?: string;
  client_id?: string;
}

/** A line that waited was not let through. */
export interface HeldRefused {
  held_id: string;
  by: Person;
  at: string;
}

/** Something is said in the room's name. */
export interface Announcement {
  id: string;
  room: string;
  text: string;
  user: Person;
  at: string;
}

/** Another live, as raids name it; `owner` is a username. */
export interface RoomPlace {
  id: string;
  title: string;
  owner: string;
  owner_name: string;
}

/** The viewers are sent on to another live. */
export interface Raid {
  target: RoomPlace;
  viewers: number;
  by: Person;
  at: string;
}

/** The viewers of another live come here. */
export interface Raided {
  source: RoomPlace;
  viewers: number;
  by: Person;
  at: string;
}

/** How many watch by which way. */
export interface Ways {
  webrtc: number;
  hls: number;
  chat: number;
}

/** How many watch and send right now. */
export interface ViewerCount {
  viewers: number;
  ways: Ways;
  publishers: number;
}

/** Somebody is writing. */
export interface TypingShown {
  user: Person;
}

/** Which reactions came since the last time, and how many of each. */
export interface Reactions {
  counts: Partial<Record<"❤️" | "🎉" | "👏" | "🔥" | "😂" | "😮", number>>;
}

/** The chat beyond its lines; entries up to `offset` are in it. */
export interface ChatShown {
  rules: Rules;
  pins: Pin[];
  moderators: Person[];
  offset: number;
}

/** Something a person is told; which of the last fields there are depends on its kind. */
export interface Notification {
  id: string;
  kind: string;
  created_at: string;
  user: Person;
  post_id?: string;
  video_id?: string;
  comment_id?: string;
  text?: string;
  live_id?: string;
  title?: string;
  until?: string;
}

/** Up to where somebody has seen what they were told, and how much came since. */
export interface NoticesSeen {
  offset: number;
  unseen: number;
}

/** Whether somebody is there. */
export interface PresenceShown {
  user_id: string;
  status: "online" | "away" | "offline";
}

/** A post's counts as they are now. */
export interface PostCounters {
  likes: number;
  comments: number;
}

/** A comment below a post or a video, as it was written or as it is now. */
export interface PostComment {
  id: string;
  post_id: string | null;
  video_id: string | null;
  parent_id: string | null;
  author: Person;
  text: string;
  created_at: string;
  edited_at: string | null;
  pinned: boolean;
  likes: number;
  replies: number;
}

/** A comment was taken down, with the replies to it. */
export interface PostCommentDeleted {
  id: string;
}

/** A video's counts as they are now. */
export interface VideoCounters {
  likes: number;
}

/** Why a video did not come through. */
export interface VideoFailure {
  code: string;
  message: string;
}

/** How far a video is, from 0 to 1. */
export interface VideoProgress {
  status: "failed" | "processing" | "queued" | "ready" | "uploading";
  progress: number;
  error: VideoFailure | null;
  quality?: string | null;
  speed?: number | null;
  left_s?: number | null;
}

/** How much of a video is made already, from 0 to 1, while its file still arrives. */
export interface VideoHeadStart {
  progress: number;
  reason: string | null;
}

/** How far the next version of a video is that plays already; `ready`: it plays now. */
export interface VideoReencoding {
  status: "failed" | "processing" | "queued" | "ready";
  progress: number;
  error: VideoFailure | null;
  quality?: string | null;
  speed?: number | null;
  left_s?: number | null;
}

/** There is a newer post. */
export interface FeedHint {
  post_id: string;
  author_id: string;
}

/** Everything a client may say. */
export type Words =
  | Authenticate
  | Subscribe
  | Unsubscribe
  | ChatSend
  | Typing
  | Reaction
  | Moderate
  | WatchReport
  | Ping
  | Active
  | Away;

/** What the edge answers; events are the rest. */
export type Answer =
  | Authenticated
  | Unsubscribed
  | Ack
  | Done
  | Refusal
  | Reload
  | Pong
  | Stream
  | Closed;

/** What each kind of event carries. */
export interface EventData {
  chat_message: ChatMessage;
  state: StateChange;
  message_deleted: MessageDeleted;
  pins_changed: PinsChanged;
  rules_changed: RulesChanged;
  member_changed: MemberChanged;
  message_held: MessageHeld;
  held_refused: HeldRefused;
  announcement: Announcement;
  raid: Raid;
  raided: Raided;
  viewer_count: ViewerCount;
  typing: TypingShown;
  reactions: Reactions;
  room: ChatShown;
  notification: Notification;
  notices_seen: NoticesSeen;
  presence: PresenceShown;
  post_counters: PostCounters;
  post_comment: PostComment;
  post_comment_changed: PostComment;
  post_comment_deleted: PostCommentDeleted;
  video_counters: VideoCounters;
  video_progress: VideoProgress;
  video_head_start: VideoHeadStart;
  video_reencoding: VideoReencoding;
  feed_hint: FeedHint;
}
