/* Runs before the first paint: puts the chosen theme on <html>, so that a reload never flashes. */
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("sf.theme");
  } catch {
    // Storage may be forbidden; the system's own preference then decides.
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
