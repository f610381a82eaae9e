/** A person: who they are, their posts, their videos, and whom they know. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import { Avatar, nameOf, type Named } from "../kit/avatar";
import { Dialog } from "../kit/dialog";
import { ApiError } from "../kit/errors";
import { Icon } from "../kit/icons";
import { useLoad, usePages } from "../kit/load";
import { RichText } from "../kit/prose";
import { useTitle } from "../kit/router";
import { currentUser } from "../kit/session";
import { Empty, Failure, ListEnd, Skeleton } from "../kit/states";
import { useStore } from "../kit/store";
import { Tabs } from "../kit/tabs";
import { formatCount } from "../kit/words";
import { ContinueWatching } from "../history/continue_watching";
import { Upcoming } from "../live/upcoming";
import { PlaylistList } from "../playlists/list";
import { FeedList } from "../posts/feed_list";
import type { Post } from "../posts/shapes";
import { PresenceDot } from "../presence/dot";
import type { PageProps } from "../shell/routes";
import { VideoCard } from "../videos/card";
import type { Video } from "../videos/shapes";
import { FollowButton } from "./follow_button";
import type { Profile } from "./shapes";
import "./page.css";

type Side = "followers" | "following";

export default function ProfilePage({ parameters }: PageProps) {
  const username = parameters["username"] ?? "";
  const me = useStore(currentUser);
  const profile = useLoad<Profile>(`${username} ${me?.id ?? ""}`, (signal) =>
    api.get<Profile>(`/users/${encodeURIComponent(username)}`, { signal }),
  );
  useTitle(profile.data ? nameOf(profile.data) : `@${username}`);
  if (profile.error !== null && profile.data === null) {
    const isGone = profile.error instanceof ApiError && profile.error.status === 404;
    return (
      <div class="page narrow">
        <Failure
          level={1}
          title={isGone ? "Nobody has this name" : "The profile did not load"}
          error={profile.error}
          {...(isGone ? {} : { onRetry: profile.reload })}
        />
      </div>
    );
  }
  return (
    <div class="page profile">
      {profile.data ? (
        <>
          <ProfileHead profile={profile.data} isMe={me?.id === profile.data.id} onChange={profile.change} />
          {me?.id === profile.data.id && <ContinueWatching />}
          <Upcoming title="Coming up live" owner={username} />
          <ProfileWorks username={username} />
        </>
      ) : (
        <>
          <h1 class="visually-hidden">Profile</h1>
          <Skeleton shape="line" />
        </>
      )}
    </div>
  );
}

interface ProfileHeadProps {
  profile: Profile;
  isMe: boolean;
  onChange: (apply: (profile: Profile) => Profile) => void;
}

function ProfileHead({ profile, isMe, onChange }: ProfileHeadProps) {
  const [side, setSide] = useState<Side | null>(null);
  const applyFollow = (isFollowing: boolean) =>
    onChange((known) => ({
      ...known,
      is_following: isFollowing,
      counters: {
        ...known.counters,
        followers: Math.max(0, known.counters.followers + (isFollowing ? 1 : -1)),
      },
    }));
  return (
    <header class="profile-head">
      <Avatar user={profile} size={112} />
      <div class="stack">
        <div>
          <h1>
            {nameOf(profile)}
            <PresenceDot userId={profile.id} />
          </h1>
          <p class="muted">
            @{profile.username}
            {profile.follows_you && <span class="chip">follows you</span>}
            {profile.is_subscribed && (
              <span class="chip ready" data-testid="you-subscribe">
                you subscribe
              </span>
            )}
          </p>
        </div>
        {profile.bio && (
          <p class="prose">
            <RichText text={profile.bio} />
          </p>
        )}
        <ul class="counts">
          <li>
            <strong>{formatCount(profile.counters.posts)}</strong> {profile.counters.posts === 1 ? "post" : "posts"}
          </li>
          {(["followers", "following"] as const).map((name) => (
            <li key={name}>
              <button type="button" onClick={() => setSide(name)} data-testid={`${name}-count`}>
                <strong>{formatCount(profile.counters[name])}</strong>{" "}
                {name === "followers" && profile.counters.followers === 1 ? "follower" : name}
              </button>
            </li>
          ))}
        </ul>
        <div class="row">
          {isMe ? (
            <>
              <a class="button small" href="/settings">
                Edit profile
              </a>
              <a class="button small" href="/library">
                <Icon name="clock" size={18} /> Library
              </a>
            </>
          ) : (
            <FollowButton username={profile.username} isFollowing={profile.is_following} onChange={applyFollow} />
          )}
        </div>
      </div>
      {side && <PeopleDialog username={profile.username} side={side} onClose={() => setSide(null)} />}
    </header>
  );
}

function PeopleDialog({ username, side, onClose }: { username: string; side: Side; onClose: () => void }) {
  const people = usePages<Named & { id: string }>(`/users/${username}/${side}`);
  return (
    <Dialog title={side === "followers" ? "Followers" : "Following"} onClose={onClose}>
      {people.error !== null && people.items.length === 0 && <Failure error={people.error} onRetry={people.reload} />}
      {people.loading && people.items.length === 0 && <Skeleton shape="line" count={3} />}
      {!people.loading && people.error === null && people.items.length === 0 && <p class="muted">Nobody yet.</p>}
      <ul class="people">
        {people.items.map((person) => (
          <li key={person.id}>
            <a class="row tight plain" href={`/u/${person.username}`} onClick={onClose}>
              <Avatar user={person} />
              <span>
                <strong>{nameOf(person)}</strong> <span class="data muted">@{person.username}</span>
                <PresenceDot userId={person.id} />
              </span>
            </a>
          </li>
        ))}
      </ul>
      <ListEnd pages={people} />
    </Dialog>
  );
}

function ProfileWorks({ username }: { username: string }) {
  const [shown, setShown] = useState<"posts" | "videos" | "playlists">("posts");
  return (
    <Tabs
      label="What they made"
      tabs={[
        { value: "posts", label: "Posts" },
        { value: "videos", label: "Videos" },
        { value: "playlists", label: "Playlists" },
      ]}
      value={shown}
      onChange={setShown}
    >
      {shown === "posts" && <ProfilePosts username={username} />}
      {shown === "videos" && <ProfileVideos username={username} />}
      {shown === "playlists" && (
        <PlaylistList path={`/users/${username}/playlists`} empty={`Public playlists of @${username} appear here.`} />
      )}
    </Tabs>
  );
}

function ProfilePosts({ username }: { username: string }) {
  const pages = usePages<Post>(`/users/${username}/posts`);
  return (
    <div class="reading stack loose">
      <FeedList
        pages={pages}
        label={`Posts by ${username}`}
        empty={
          <Empty title="No posts yet">
            <p class="muted">What @{username} posts appears here.</p>
          </Empty>
        }
      />
    </div>
  );
}

function ProfileVideos({ username }: { username: string }) {
  const pages = usePages<Video>(`/users/${username}/videos`);
  if (pages.items.length === 0) {
    if (pages.error !== null) return <Failure error={pages.error} onRetry={pages.reload} />;
    if (pages.loading) return <Skeleton shape="video" />;
    return (
      <Empty title="No videos yet">
        <p class="muted">What @{username} uploads appears here.</p>
      </Empty>
    );
  }
  return (
    <>
      <div class="video-grid">
        {pages.items.map((video) => (
          <VideoCard key={video.id} video={video} />
        ))}
      </div>
      <ListEnd pages={pages} />
    </>
  );
}
