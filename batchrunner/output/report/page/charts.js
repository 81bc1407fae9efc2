// Charts as SVG: what happened over time, without the pauses, and how long generations took.

const SVG = "http://www.w3.org/2000/svg";
const WIDE = 480, HIGH = 150, LEFT = 44, BOTTOM = 20, TOP = 8; // the drawing's own units

function shape(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

const across = (part) => LEFT + part * (WIDE - LEFT - 6);
const up = (part) => HIGH - BOTTOM - part * (HIGH - BOTTOM - TOP);

function chart(title, summary, highest, labels, shapes) {
  const svg = shape("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": `${title}: ${summary}` });
  svg.append(shape("line", { x1: LEFT, x2: WIDE - 6, y1: up(0), y2: up(0), class: "axis" }), ...shapes,
    shape("text", { x: LEFT - 5, y: TOP + 8, "text-anchor": "end" }, highest),
    shape("text", { x: LEFT - 5, y: up(0), "text-anchor": "end" }, "0"));
  for (const [part, text, anchor] of labels) svg.append(shape("text", { x: across(part), y: HIGH - 5, "text-anchor": anchor }, text));
  return make("figure", { className: "chart" }, make("h3", {}, title), svg, make("figcaption", { className: "soft" }, summary));
}

function showCharts() {
  const { timeline: line, currency, times } = data.charts;
  const row = byId("chart-row");
  byId("charts").hidden = !line.edges.length;
  if (!line.edges.length) return;
  const number = line.edges.length, seconds = Math.max(...line.ends.map((end, index) => end - line.edges[index]));
  const labels = [[0, moment(line.edges[0] * 1000), "start"], [1, moment(line.ends.at(-1) * 1000), "end"]];
  const place = (index) => across(index / number);
  const pauses = line.edges.flatMap((edge, index) => (index && edge > line.ends[index - 1] + 1 ? [index] : []))
    .map((index) => {
      const mark = shape("line", { x1: place(index), x2: place(index), y1: TOP, y2: up(0), class: "pause" });
      mark.append(shape("title", {}, `pause of ${span(line.edges[index] - line.ends[index - 1])}`));
      return mark;
    });
  const paused = pauses.length ? `; ${counted(pauses.length, "pause")} left out` : "";

  const most = Math.max(...line.collected), all = line.collected.reduce((sum, count) => sum + count, 0);
  const bars = line.collected.map((count, index) => {
    const bar = shape("rect", { x: place(index) + .4, width: (WIDE - LEFT - 6) / number - .8, y: up(count / (most || 1)), height: up(0) - up(count / (most || 1)), class: "bar" });
    bar.append(shape("title", {}, `${moment(line.edges[index] * 1000)}: ${counted(count, "video")}`));
    return bar;
  });
  row.append(chart("Videos collected", `${counted(all, "video")}, each bar ${pauses.length ? "at most " : ""}${span(seconds)}${paused}`, most, labels, [...bars, ...pauses]));

  const highest = Math.max(...line.in_flight), full = Math.max(highest, 1);
  const points = line.in_flight.map((value, index) => `${place(index)},${up(value / full)} ${place(index + 1)},${up(value / full)}`).join(" ");
  const length = (index) => line.ends[index] - line.edges[index];
  const busy = line.in_flight.reduce((sum, value, index) => sum + value * length(index), 0);
  const mean = busy / line.edges.reduce((sum, edge, index) => sum + length(index), 0);
  row.append(chart("Generations in flight", `${mean.toFixed(1)} on average, up to ${highest.toFixed(1)} averaged over ${span(seconds)}${paused}`, full.toFixed(full < 10 ? 1 : 0), labels,
    [shape("polygon", { points: `${across(0)},${up(0)} ${points} ${across(1)},${up(0)}`, class: "area" }), ...pauses]));

  const total = line.spent.at(-1);
  if (total > 0) {
    const curve = [`${across(0)},${up(0)}`, ...line.spent.map((value, index) => `${place(index + 1)},${up(value / total)}`)].join(" ");
    row.append(chart("Spent", `${money(total, currency)} until the end${paused}`, total < 10 ? total.toFixed(2) : Math.round(total), labels,
      [shape("polyline", { points: curve, class: "curve" }), ...pauses]));
  }
  if (times) row.append(timesChart(times));
}

function timesChart(times) {
  const most = Math.max(...times.counts), number = times.counts.length;
  const bars = times.counts.map((count, index) => {
    const bar = shape("rect", { x: across(index / number) + .5, width: (WIDE - LEFT - 6) / number - 1, y: up(count / most), height: up(0) - up(count / most), class: "bar" });
    const from = times.start + index * times.width;
    bar.append(shape("title", {}, `${from} to ${from + times.width} s: ${counted(count, "video")}`));
    return bar;
  });
  const labels = [[0, `${times.start} s`, "start"], [1, `${times.start + number * times.width} s`, "end"]];
  return chart("Generation time", `half within ${span(times.median)}, 95 % within ${span(times.slow)}`, most, labels, bars);
}
