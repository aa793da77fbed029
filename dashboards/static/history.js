// History: draws the plots of a page from the numbers that stand in it (uPlot), with a mark for each act of an operator.
// Without it the page has the same as a table. Times are seconds since 1970 (UTC), or minutes from a start.

const HEIGHT_PX = 220;
const DAY_S = 86400;

performance.mark("history-data");
const { relative, t, plots, marks } = JSON.parse(document.getElementById("drawn").textContent);
const root = document.getElementById("plots");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const long = t.length > 1 && t.at(-1) - t[0] > DAY_S;
let drawn = [];

function clock(at, whole = false) {
  if (at == null) return "";
  if (relative) return `${Math.round(at)} min`;
  const text = new Date(at * 1000).toISOString();
  return whole || !long ? text.slice(whole ? 5 : 11, 16).replace("T", " ") : text.slice(5, at % DAY_S ? 16 : 10).replace("T", " ");
}

// Each act is a dashed line with its number, which the list below the plots explains.
function mark(colour, paper, font) {
  return (plot) => {
    const { ctx } = plot;
    const ratio = devicePixelRatio;
    let free = -Infinity;
    ctx.save();
    ctx.font = font;
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    for (const { t: at, n } of marks) {
      const x = Math.round(plot.valToPos(at, "x", true));
      if (!(x >= plot.bbox.left && x <= plot.bbox.left + plot.bbox.width)) continue;
      ctx.strokeStyle = ctx.fillStyle = colour;
      ctx.lineWidth = ratio;
      ctx.setLineDash([3 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(x, plot.bbox.top);
      ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
      ctx.stroke();
      const half = 8 * ratio;
      if (x - half < free) continue;
      free = x + half;
      ctx.setLineDash([]);
      ctx.beginPath();
      ctx.arc(x, plot.bbox.top + half, half, 0, 2 * Math.PI);
      ctx.fill();
      ctx.fillStyle = paper;
      ctx.fillText(n, x, plot.bbox.top + half);
    }
    ctx.restore();
  };
}

function draw() {
  for (const plot of drawn) plot.destroy();
  root.hidden = false;
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const font = `12px ${style.fontFamily}`;
  const axis = { stroke: colour("--soft"), font, grid: { stroke: colour("--edge"), width: 1 }, ticks: { show: false } };
  const hooks = { draw: [mark(colour("--ink"), colour("--card"), `bold ${Math.round(10 * devicePixelRatio)}px ${style.fontFamily}`)] };
  const places = plots.map(({ key }) => root.querySelector(`[data-plot="${CSS.escape(key)}"]`));
  // All widths are read before anything is drawn: a plot between two readings would lay the page out again for each.
  const widths = places.map((place) => Math.max(160, place.clientWidth));
  drawn = plots.map(({ lines }, index) => new uPlot({
    width: widths[index],
    height: HEIGHT_PX,
    cursor: { points: { size: 6 }, drag: { x: false, y: false }, sync: { key: "history" } },
    scales: { x: { time: false }, y: { range: (_plot, _low, high) => [0, Math.max(1, (high ?? 0) * 1.1)] } },
    hooks,
    axes: [
      { ...axis, space: long ? 90 : 60, size: 30, incrs: relative ? [1, 2, 5, 10, 15, 30, 60, 120, 240, 720, 1440] : [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, DAY_S, 2 * DAY_S, 7 * DAY_S, 14 * DAY_S, 30 * DAY_S], values: (_plot, ticks) => ticks.map((at) => clock(at)) },
      { ...axis, size: 46, values: (_plot, ticks) => ticks.map((value) => short.format(value)) },
    ],
    series: [
      { label: relative ? "From the start" : "UTC", value: (_plot, at) => clock(at, true) },
      ...lines.map(({ label, colour: name, dashed }) => ({
        label,
        stroke: colour(name),
        width: 1.75,
        dash: dashed ? [6, 4] : undefined,
        points: { show: true, size: 3, filter: alone },
        spanGaps: false,
        value: (_plot, value) => (value == null ? "–" : short.format(value)),
      })),
    ],
  }, [t, ...lines.map(({ values }) => values)], places[index]));
}

// Points only where a value stands between two holes: no line would show it.
function alone(plot, series) {
  const values = plot.data[series];
  const found = [];
  for (let at = 0; at < values.length; at += 1) if (values[at] != null && values[at - 1] == null && values[at + 1] == null) found.push(at);
  return found;
}

function fit() {
  const widths = drawn.map((plot) => Math.max(160, plot.root.parentElement.clientWidth));
  drawn.forEach((plot, index) => { if (widths[index] !== plot.width) plot.setSize({ width: widths[index], height: HEIGHT_PX }); });
}

if (globalThis.uPlot && t.length) {
  draw();
  new ResizeObserver(fit).observe(root);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  requestAnimationFrame(() => requestAnimationFrame(() => {
    performance.measure("history", "history-data");
    root.dataset.drawn = String(drawn.length);
  }));
}
