/** Ways around the product: a rail beside wide pages, a bar below narrow ones, and the person's own menu. */
import { rankOf } from "../admin/shapes";
import { Avatar, nameOf } from "../kit/avatar";
import { Icon, type IconName } from "../kit/icons";
import "../kit/menu.css";
import { usePopover } from "../kit/popover";
import { navigate } from "../kit/router";
import { currentUser, logout, type SessionUser } from "../kit/session";
import { Bars } from "../kit/states";
import { useStore } from "../kit/store";
import { isDarkNow, setTheme, theme } from "../kit/theme";
import { showToast } from "../kit/toasts";
import { Bell } from "../notices/bell";
import "./navigation.css";

interface Place {
  href: string;
  label: string;
  icon: IconName;
  isHere: (path: string) => boolean;
}

const PLACES: readonly Place[] = [
  { href: "/", label: "Home", icon: "home", isHere: (path) => path === "/" },
  { href: "/explore", label: "Explore", icon: "explore", isHere: (path) => path.startsWith("/explore") },
  { href: "/live", label: "Live", icon: "live", isHere: (path) => path.startsWith("/live") },
  { href: "/studio", label: "Studio", icon: "studio", isHere: (path) => path.startsWith("/studio") },
];

export function Navigation({ path }: { path: string }) {
  const user = useStore(currentUser);
  return (
    <header class="rail">
      <a class="brand plain" href="/" aria-label="Social Flow, home">
        <Bars />
        <span class="brand-name">Social Flow</span>
      </a>
      <nav aria-label="Main" class="places">
        <ul>
          {PLACES.map((place) => (
            <PlaceLink key={place.href} place={place} path={path} />
          ))}
          {user && <PlaceLink place={profilePlace(user)} path={path} />}
        </ul>
      </nav>
      <div class="rail-tools">
        <ThemeButton />
        {user && <Bell key={user.id} userId={user.id} />}
        {user ? (
          <UserMenu user={user} />
        ) : (
          <a class="button small" href="/login">
            Log in
          </a>
        )}
      </div>
    </header>
  );
}

function profilePlace(user: SessionUser): Place {
  const href = `/u/${user.username}`;
  return { href, label: "Profile", icon: "person", isHere: (path) => path === href || path === "/settings" };
}

function PlaceLink({ place, path }: { place: Place; path: string }) {
  return (
    <li>
      <a class="place" href={place.href} title={place.label} aria-current={place.isHere(path) ? "page" : undefined}>
        <Icon name={place.icon} />
        <span>{place.label}</span>
      </a>
    </li>
  );
}

function ThemeButton() {
  useStore(theme);
  const isDark = isDarkNow();
  return (
    <button
      type="button"
      class="icon-button"
      aria-label={isDark ? "Use the light theme" : "Use the dark theme"}
      data-testid="theme-toggle"
      onClick={() => setTheme(isDark ? "light" : "dark")}
    >
      <Icon name={isDark ? "sun" : "moon"} />
    </button>
  );
}

function UserMenu({ user }: { user: SessionUser }) {
  const { root, isOpen, toggle, close, onKeyDown } = usePopover();
  return (
    <div ref={root} class="user-menu" onKeyDown={onKeyDown}>
      <button
        type="button"
        class="user-button"
        aria-expanded={isOpen}
        aria-controls="user-menu"
        data-testid="user-menu"
        onClick={toggle}
      >
        <Avatar user={user} size={34} />
        <span class="user-name clip">{nameOf(user)}</span>
        <span class="visually-hidden">, your menu</span>
      </button>
      {isOpen && (
        <div id="user-menu" class="menu">
          <p class="data muted clip">@{user.username}</p>
          <a href={`/u/${user.username}`} onClick={close}>
            <Icon name="person" size={18} /> Profile
          </a>
          <a href="/library" onClick={close}>
            <Icon name="clock" size={18} /> Library
          </a>
          <a href="/settings" onClick={close}>
            <Icon name="gear" size={18} /> Settings
          </a>
          {rankOf(user.role) >= rankOf("moderator") && (
            <a href="/admin" data-testid="admin-link" onClick={close}>
              <Icon name="shield" size={18} /> Administration
            </a>
          )}
          <button type="button" data-testid="logout" onClick={() => leave(close)}>
            <Icon name="out" size={18} /> Log out
          </button>
        </div>
      )}
    </div>
  );
}

async function leave(close: () => void): Promise<void> {
  close();
  navigate("/");
  await logout();
  showToast("You are logged out.");
}
