// Live stock: the numbers on the page follow /live while the page is in view. Without JavaScript they stand still.
const shown = document.querySelectorAll("[data-left]");
if (shown.length && "EventSource" in window) {
  let source = null;
  const follow = () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (!source) {
      source = new EventSource("/live");
      source.onmessage = ({ data }) => {
        for (const [slug, left] of Object.entries(JSON.parse(data))) {
          for (const text of document.querySelectorAll(`[data-left="${CSS.escape(slug)}"]`)) text.textContent = left;
          for (const bar of document.querySelectorAll(`[data-share="${CSS.escape(slug)}"]`)) {
            bar.style.inlineSize = `${(100 * left) / Number(bar.dataset.seats)}%`;
          }
        }
      };
    }
  };
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", () => source?.close());
  follow();
}
