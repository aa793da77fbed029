/**
 * Times: clocks on pages that the server has made: how long until a sale opens or a reservation ends.
 *
 * `data-until` is a moment in ms, `data-now` on <main> the server's moment of making the page; `data-then` on the clock
 * says what happens at zero: "reload" or nothing; `data-days` is the text for two days and more.
 */

const main = document.getElementById("main");
// The server's moment was true when the answer began to come.
const since = Number(main?.dataset.now) - (performance.getEntriesByType("navigation")[0]?.responseStart ?? 0);
const clocks = [...document.querySelectorAll("[data-until]")];
const two = (n) => String(n).padStart(2, "0");

function tick() {
  for (const clock of clocks) {
    const left = Math.ceil((Number(clock.dataset.until) - since - performance.now()) / 1000);
    if (left <= 0 && clock.dataset.then === "reload" && !clock.dataset.over) {
      clock.dataset.over = "1";
      setTimeout(() => location.reload(), 300 + Math.random() * 1500);
    }
    const seconds = Math.max(0, left), days = Math.floor(seconds / 86_400);
    const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    const text = days >= 2 ? clock.dataset.days.replace("{n}", days)
      : hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
    if (clock.textContent !== text) clock.textContent = text;
  }
}

if (clocks.length) {
  tick();
  setInterval(tick, 1000);
}
