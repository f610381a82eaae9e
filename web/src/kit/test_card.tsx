/** A full colour-bar test card, drawn in styles: the picture for "there is no picture". Decorative. */
import "./test_card.css";

export function TestCard({ label }: { label: string }) {
  return (
    <div class="test-card" aria-hidden="true">
      <div class="test-card-bars">
        {Array.from({ length: 7 }, (_, index) => (
          <i key={index} />
        ))}
      </div>
      <span class="test-card-label">{label}</span>
      <div class="test-card-ramp" />
    </div>
  );
}
