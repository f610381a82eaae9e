/**
 * The frame around every page: rail or bottom bar, skip link, the page itself, toasts. Loads the
 * page's chunk and keeps the old page on screen until the new one is there.
 */
import type { ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../kit/errors";
import { location, navigate, type Parameters } from "../kit/router";
import { currentUser } from "../kit/session";
import { Failure } from "../kit/states";
import { useStore } from "../kit/store";
import { Toasts } from "../kit/toasts";
import { OnAirBar } from "./on_air_bar";
import { Navigation } from "./navigation";
import { decideRoute, type PageProps, type Route } from "./routes";
import "./app.css";

interface Shown {
  route: Route;
  parameters: Parameters;
  search: string;
  path: string;
  Page: ComponentType<PageProps>;
}

function describeLostChunk(): ApiError {
  if (!navigator.onLine) return new ApiError("offline", 0, "You are offline. Connect again, then try once more.");
  return new ApiError("chunk_lost", 0, "A part of the page could not be loaded. It may have been updated.");
}

export function App() {
  const { shown, failed, loading } = useShownPage();
  const main = useRef<HTMLElement>(null);
  useFocusOnArrival(main, location.get().path, shown?.path);
  if (shown?.route.isBare && !failed) {
    return (
      <main id="main" ref={main} tabIndex={-1}>
        <shown.Page key={shown.path} parameters={shown.parameters} search={new URLSearchParams(shown.search)} />
      </main>
    );
  }
  return (
    <div class={shown?.route.immersive ? "shell immersive" : "shell"}>
      <a class="skip" href="#main">
        Skip to the page
      </a>
      {loading && <div class="signal" aria-hidden="true" />}
      <Navigation path={shown?.path ?? location.get().path} />
      <OnAirBar path={shown?.path ?? ""} />
      <main id="main" ref={main} tabIndex={-1}>
        {failed ? (
          <div class="page narrow">
            <Failure level={1} error={describeLostChunk()} onRetry={() => window.location.reload()} />
          </div>
        ) : (
          shown && (
            <shown.Page key={shown.path} parameters={shown.parameters} search={new URLSearchParams(shown.search)} />
          )
        )}
      </main>
      <Toasts />
    </div>
  );
}

/** Moves the focus to a new page as it arrives, unless the person moved it meanwhile. */
function useFocusOnArrival(main: { current: HTMLElement | null }, asked: string, arrived: string | undefined): void {
  const heldByLeaving = useRef<Element | null>(null);
  const isFirst = useRef(true);
  useEffect(() => {
    heldByLeaving.current = document.activeElement;
  }, [asked]);
  useEffect(() => {
    if (arrived === undefined) return;
    const held = document.activeElement;
    const isFree = held === null || held === document.body || held === heldByLeaving.current;
    if (!isFirst.current && isFree) main.current?.focus({ preventScroll: true });
    isFirst.current = false;
  }, [arrived]);
}

function useShownPage(): { shown: Shown | null; failed: boolean; loading: boolean } {
  const { path, search } = useStore(location);
  const user = useStore(currentUser);
  const [shown, setShown] = useState<Shown | null>(null);
  const [failed, setFailed] = useState(false);
  const { route, parameters } = decideRoute(path);
  const mayShow = !route.member || user !== null;
  useEffect(() => {
    if (!mayShow) {
      navigate(`/login?next=${encodeURIComponent(path + search)}`, true);
      return undefined;
    }
    let isCurrent = true;
    setFailed(false);
    route.load().then(
      (module) => isCurrent && setShown({ route, parameters, search, path, Page: module.default }),
      () => isCurrent && setFailed(true),
    );
    return () => {
      isCurrent = false;
    };
  }, [path, search, mayShow]);
  return { shown, failed, loading: !failed && shown?.path !== path };
}
