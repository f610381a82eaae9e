/** Where rooms run: hosts with their leases, and every placed room with its host and rates. */
import { api } from "../kit/api";
import { useLoad, usePages } from "../kit/load";
import { Ago } from "../kit/prose";
import { Empty, Failure, ListEnd, Skeleton } from "../kit/states";
import { describeLease, type Host, type Room } from "./shapes";

export function Rooms() {
  const hosts = useLoad<{ items: Host[] }>("hosts", (signal) => api.get("/admin/hosts", { signal }));
  const rooms = usePages<Room>("/admin/rooms");
  const reload = () => {
    hosts.reload();
    rooms.reload();
  };
  return (
    <div class="stack loose">
      <section class="stack" aria-labelledby="hosts-title">
        <header class="row spread">
          <h2 id="hosts-title">Hosts</h2>
          <button type="button" class="button small" onClick={reload}>
            Look again
          </button>
        </header>
        {hosts.error !== null && <Failure error={hosts.error} onRetry={hosts.reload} />}
        {hosts.loading && !hosts.data && <Skeleton shape="line" count={2} />}
        <ul class="admin-rows">
          {hosts.data?.items.map((host) => (
            <HostRow key={host.id} host={host} />
          ))}
        </ul>
      </section>
      <section class="stack" aria-labelledby="rooms-title">
        <h2 id="rooms-title">Rooms</h2>
        <ul class="admin-rows">
          {rooms.items.map((room) => (
            <RoomRow key={room.id} room={room} />
          ))}
        </ul>
        {rooms.error !== null && <Failure error={rooms.error} onRetry={rooms.reload} />}
        {rooms.loading && rooms.items.length === 0 && <Skeleton shape="line" count={3} />}
        {!rooms.loading && rooms.error === null && rooms.items.length === 0 && (
          <Empty title="No room runs">
            <p class="muted">A room is placed on a host when somebody opens it.</p>
          </Empty>
        )}
        <ListEnd pages={rooms} />
      </section>
    </div>
  );
}

function HostRow({ host }: { host: Host }) {
  const lease = describeLease(host);
  return (
    <li data-testid="host">
      <div class="grow">
        <p>
          <strong>{host.id}</strong> <span class={`chip ${lease.tone}`}>{lease.text}</span>
        </p>
        <p class="data muted">
          {host.node} · incarnation {host.incarnation} · started <Ago at={host.started_at} />
        </p>
      </div>
      <p class="data">
        {Object.entries(host.objects).map(([kind, number]) => (
          <span key={kind} class="admin-count">
            {number} {kind}
            {number === 1 ? "" : "s"}
          </span>
        ))}
      </p>
    </li>
  );
}

function RoomRow({ room }: { room: Room }) {
  return (
    <li data-testid="room">
      <div class="grow">
        <p class="clip">
          <a href={`/live/${room.id}`}>
            <strong>{room.title}</strong>
          </a>{" "}
          <span class={`chip ${room.status === "live" ? "ready" : ""}`}>{room.status}</span>
        </p>
        <p class="data muted clip">
          @{room.owner} · {room.host}
          {room.is_owned ? "" : " (gone)"} · epoch {room.epoch.slice(0, 8)} · entry {room.head}
        </p>
      </div>
      <p class="data">
        <span class="admin-count">{room.viewers ?? "–"} watching</span>
        <span class="admin-count">{room.messages_per_minute} lines/min</span>
      </p>
    </li>
  );
}
