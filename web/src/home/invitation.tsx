/** What a visitor sees first. */
import { TestCard } from "../kit/test_card";
import "./invitation.css";

export function Invitation() {
  return (
    <section class="invitation full">
      <div class="stack">
        <h1>Put it on air.</h1>
        <p class="invitation-words">
          Upload a video, go live from this browser, and talk with whoever is watching. All of it runs on this one
          server.
        </p>
        <div class="row">
          <a class="button primary" href="/register">
            Create an account
          </a>
          <a class="button" href="/login">
            Log in
          </a>
        </div>
      </div>
      <TestCard label="Standby" />
    </section>
  );
}
