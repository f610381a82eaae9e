/** The page for an address that leads nowhere. */
import { useTitle } from "../kit/router";
import { TestCard } from "../kit/test_card";

export default function NotFound() {
  useTitle("No signal");
  return (
    <div class="page narrow" data-testid="error-state">
      <TestCard label="No signal" />
      <div class="stack">
        <h1>Nothing is broadcast at this address</h1>
        <p class="muted">The page may have been removed, or the link has a mistake in it.</p>
        <div class="row">
          <a class="button primary" href="/">
            Go home
          </a>
          <a class="button" href="/explore">
            Explore
          </a>
        </div>
      </div>
    </div>
  );
}
