/** Where rooms run: hosts with their leases, and every placed room with its host and rates. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import { useLoad, usePages } from "../kit/load";
import { Ago } from "../kit/prose";
import { Empty, Failure, ListEnd, Skeleton } from "../kit/states";
import { showError, showToast } from "../kit/toasts";
import { chooseStep, describeLease, isInService, listChoices, type Host, type Room, type Running } from "./shapes";

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
            <HostRow key={host.id} host={host} hosts={hosts.data?.items ?? []} onChanged={reload} />
          ))}
        </ul>
      </section>
      <section class="stack" aria-labelledby="rooms-title">
        <h2 id="rooms-title">Rooms</h2>
        <ul class="admin-rows">
          {rooms.items.map((room) => (
            <RoomRow key={room.id} room={room} hosts={hosts.data?.items ?? []} onMoved={reload} />
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

interface HostProps {
  host: Host;
  hosts: Host[];
  onChanged: () => void;
}

function HostRow({ host, hosts, onChanged }: HostProps) {
  const [isChanging, setChanging] = useState(false);
  const [isOpen, setOpen] = useState(false);
  const lease = describeLease(host);
  const step = chooseStep(host, hosts);
  const change = async () => {
    setChanging(true);
    try {
      const path = `/admin/hosts/${host.id}/drain`;
      await (step === "drain" ? api.post(path) : api.delete(path));
      showToast(step === "drain" ? `${host.id} rests; its rooms open elsewhere.` : `${host.id} is back.`);
    } catch (error) {
      showError(error);
    } finally {
      setChanging(false);
      onChanged();
    }
  };
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
      {isInService(host) && (
        <button
          type="button"
          class="button small"
          data-testid="host-ask"
          aria-expanded={isOpen}
          onClick={() => setOpen(!isOpen)}
        >
          Rooms right now
          <span class="visually-hidden"> on {host.id}</span>
        </button>
      )}
      {step !== null && (
        <button type="button" class="button small" data-testid={`host-${step}`} disabled={isChanging} onClick={() => void change()}>
          {step === "drain" ? "Take out of service" : "Bring back"}
          <span class="visually-hidden"> {host.id}</span>
        </button>
      )}
      {isOpen && isInService(host) && <RunningRooms host={host} />}
    </li>
  );
}

/** What the host itself says, beside what the database knows of its rooms. */
function RunningRooms({ host }: { host: Host }) {
  const pages = usePages<Running>(`/admin/hosts/${host.id}/rooms`);
  return (
    <div class="stack admin-running" data-testid="running">
      {pages.error !== null && <Failure error={pages.error} onRetry={pages.reload} />}
      {pages.loading && pages.items.length === 0 && <Skeleton shape="line" count={1} />}
      {!pages.loading && pages.error === null && pages.items.length === 0 && (
        <p class="muted">No room runs here right now.</p>
      )}
      <ul class="admin-rows">
        {pages.items.map((room) => (
          <li key={room.id} data-testid="running-room">
            <a class="grow" href={`/live/${room.id}`}>
              room {room.id.slice(-8)}
            </a>
            <p class="data muted">
              <span class="admin-count">{room.viewers} watching</span>
              <span class="admin-count">
                {room.followers} edge{room.followers === 1 ? "" : "s"}
              </span>
              <span class="admin-count">{room.mailbox} waiting</span>
              <span class="admin-count">{room.entries_per_minute} per minute</span>
            </p>
          </li>
        ))}
      </ul>
      <ListEnd pages={pages} />
    </div>
  );
}

interface RoomProps {
  room: Room;
  hosts: Host[];
  onMoved: () => void;
}

function RoomRow({ room, hosts, onMoved }: RoomProps) {
  const [isMoving, setMoving] = useState(false);
  const move = async (host: string) => {
    setMoving(true);
    try {
      await api.post(`/admin/rooms/${room.id}/move`, { host });
      showToast(`${room.title} runs on ${host} now.`);
      onMoved();
    } catch (error) {
      showError(error);
    } finally {
      setMoving(false);
    }
  };
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
          @{room.owner} · epoch {room.epoch.slice(0, 8)} · entry {room.head}
          {room.is_owned ? "" : " · its host is gone"}
        </p>
      </div>
      <p class="data">
        <span class="admin-count">{room.viewers ?? "–"} watching</span>
        <span class="admin-count">{room.messages_per_minute} per minute</span>
      </p>
      <label>
        <span class="visually-hidden">Host of {room.title}; choose another one to move it</span>
        <select
          class="input small"
          data-testid="room-host"
          value={room.host}
          disabled={isMoving}
          onChange={(event) => void move(event.currentTarget.value)}
        >
          {listChoices(room, hosts).map((host) => (
            <option key={host} value={host}>
              {host}
            </option>
          ))}
        </select>
      </label>
    </li>
  );
}
