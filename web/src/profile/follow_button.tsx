/** Follow and unfollow. Knows the present state from its caller, or asks for it. */
import { useEffect, useState } from "preact/hooks";
import { api } from "../kit/api";
import { useLoad } from "../kit/load";
import { location, navigate } from "../kit/router";
import { currentUser } from "../kit/session";
import { useStore } from "../kit/store";
import { showError } from "../kit/toasts";
import { follows, noteFollow } from "./follows";
import type { Profile } from "./shapes";

interface FollowButtonProps {
  username: string;
  isFollowing?: boolean;
  onChange?: (isFollowing: boolean) => void;
}

export function FollowButton({ username, isFollowing, onChange }: FollowButtonProps) {
  const me = useStore(currentUser);
  const mustAsk = isFollowing === undefined && me !== null;
  const asked = useLoad<Profile>(mustAsk ? username : null, (signal) =>
    api.get<Profile>(`/users/${username}`, { signal }),
  );
  const said = useStore(follows)[username];
  const known = said ?? isFollowing ?? asked.data?.is_following ?? false;
  const [state, setState] = useState(known);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => setState(known), [known]);
  useEffect(() => {
    const answer = isFollowing ?? asked.data?.is_following;
    if (answer !== undefined) noteFollow(username, answer);
  }, [username, isFollowing, asked.data]);
  const toggle = async () => {
    if (!me) return navigate(`/login?next=${encodeURIComponent(location.get().path)}`);
    const next = !state;
    setBusy(true);
    setState(next);
    try {
      if (next) await api.post(`/users/${username}/follow`);
      else await api.delete(`/users/${username}/follow`);
      noteFollow(username, next);
      onChange?.(next);
    } catch (error) {
      setState(!next);
      showError(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <button
      type="button"
      class={state ? "button small" : "button small primary"}
      aria-pressed={state}
      disabled={isBusy}
      data-testid="follow-button"
      onClick={toggle}
    >
      {state ? "Following" : "Follow"}
      <span class="visually-hidden"> {username}</span>
    </button>
  );
}
