/** A person's public profile as the API gives it. */

export interface Profile {
  id: string;
  username: string;
  display_name: string;
  bio: string;
  created_at: string;
  counters: { followers: number; following: number; posts: number };
  is_following: boolean;
  follows_you: boolean;
  /** Whether one subscribes to them. */
  is_subscribed: boolean;
}
