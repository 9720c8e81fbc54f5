"use strict";
// Charts as SVG: drawn from plain arrays, coloured by CSS, so that they follow dark mode and print sharp.

const SVG = "http://www.w3.org/2000/svg";
const DASHES = ["", "7 5", "2 4"];
const DASH_NAMES = ["", "dashed", "dotted"];

function svg(name, attributes, parent) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (parent) parent.append(node);
  return node;
}

function html(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function ticks(low, high, count) {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 1e9) return `${+(value / 1e9).toPrecision(3)}G`;
  if (size >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`;
  if (size >= 1e4) return `${+(value / 1e3).toPrecision(3)}k`;
  return `${size >= 100 ? Math.round(value) : +value.toPrecision(3)}`;
}

function flops(value) {
  if (value === null || value === undefined) return "–";
  const units = ["", "k", "M", "G", "T", "P", "E"], power = Math.min(6, Math.max(0, Math.floor(Math.log10(value || 1) / 3)));
  return `${+(value / 1000 ** power).toPrecision(3)} ${units[power]}FLOP`;
}

function bytes(value) {
  return value >= 2 ** 30 ? `${(value / 2 ** 30).toFixed(1)} GiB` : `${(value / 2 ** 20).toFixed(value < 2 ** 23 ? 1 : 0)} MiB`;
}

function duration(seconds) {
  if (seconds === null) return "–";
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")} h`;
}

// Seconds are marked at round minutes or hours.
function timeTicks(high, count) {
  const units = [1, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 172800, 432000];
  const step = units.find((unit) => unit >= high / count) || high / count;
  return Array.from({ length: Math.floor(high / step + 1e-9) + 1 }, (_, i) => i * step);
}

function extent(arrays) {
  let low = Infinity, high = -Infinity;
  for (const array of arrays) for (const v of array || []) if (v !== null) { if (v < low) low = v; if (v > high) high = v; }
  return low <= high ? [low, high] : [0, 1];
}

function path(x, y, px, py) {
  let d = "", pen = "M";
  for (let i = 0; i < x.length; i++) {
    if (y[i] === null || y[i] === undefined) { pen = "M"; continue; }
    d += `${pen}${px(x[i]).toFixed(1)} ${py(y[i]).toFixed(1)}`;
    pen = "L";
  }
  return d;
}

/* options: width, height, xLabel, yLabel, low, high (fixed y limits or null), time (x in seconds), xTicks (categories
   on a log axis), series: [{label, color, dash, x, y, lows, highs, runs: [[x, y], ...], marks, faint}] */
function lineChart(options) {
  const { width, height, series } = options;
  const left = 48, right = 14, top = 12, bottom = 38;
  const [xLow, xHigh] = extent(series.flatMap((s) => [s.x, ...(s.runs || []).map((r) => r[0])]));
  const [yMin, yMax] = extent(series.flatMap((s) => [s.y, s.lows, s.highs, ...(s.runs || []).map((r) => r[1])]));
  const margin = (yMax - yMin || Math.abs(yMax) || 1) * 0.06;
  const y0 = options.low ?? yMin - margin, y1 = options.high ?? yMax + margin;
  const scale = options.xTicks ? Math.log : (v) => v;
  const x0 = options.xTicks ? scale(xLow) - 0.12 : Math.min(0, xLow), x1 = scale(xHigh) + (options.xTicks ? 0.12 : 0);
  const px = (v) => left + ((scale(v) - x0) / (x1 - x0 || 1)) * (width - left - right);
  const py = (v) => height - bottom - ((v - y0) / (y1 - y0 || 1)) * (height - top - bottom);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${options.yLabel} over ${options.xLabel}` });
  const yTicks = ticks(y0, y1, Math.max(3, height / 60));
  const steps = Math.max(2, Math.floor(width / 110));
  const xTicks = options.xTicks || (options.time ? timeTicks(x1, steps) : ticks(x0, x1, steps));
  for (const t of yTicks) {
    svg("line", { class: "grid", x1: left, x2: width - right, y1: py(t), y2: py(t) }, root);
    svg("text", { x: left - 7, y: py(t) + 4, "text-anchor": "end" }, root).textContent = number(t);
  }
  svg("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }, root);
  for (const t of xTicks) {
    const text = svg("text", { x: px(t), y: height - bottom + 17, "text-anchor": "middle" }, root);
    text.textContent = options.time ? duration(t) : number(t);
  }
  svg("text", { x: width - right, y: height - 4, "text-anchor": "end" }, root).textContent = options.xLabel;
  for (const s of series) drawSeries(s, options, root, px, py);
  hover(root, options, series, px, py, { left, right, top, bottom });
  return root;
}

function drawSeries(s, options, root, px, py) {
  const g = svg("g", { "data-label": s.label }, root);
  for (const [x, y] of s.runs || []) svg("path", { class: "run", d: path(x, y, px, py), stroke: s.color }, g);
  if (s.lows && s.lows.some((v) => v !== null)) {
    const back = path([...s.x].reverse(), [...s.lows].reverse(), px, py).replace("M", "L");
    if (options.xTicks) s.x.forEach((x, i) => s.lows[i] !== null && svg("line", { x1: px(x), x2: px(x), y1: py(s.lows[i]), y2: py(s.highs[i]), stroke: s.color, "stroke-width": 2, opacity: 0.55 }, g));
    else svg("path", { class: "area", d: `${path(s.x, s.highs, px, py)}${back}Z`, fill: s.color }, g);
  }
  svg("path", { class: "curve", d: path(s.x, s.y, px, py), stroke: s.color, "stroke-dasharray": DASHES[s.dash || 0] }, g);
  if (s.marks || s.x.length === 1) s.x.forEach((x, i) => s.y[i] !== null && svg("circle", { cx: px(x), cy: py(s.y[i]), r: 3.6, fill: s.color }, g));
}

function hover(root, options, series, px, py, margins) {
  const { width, height } = options;
  const cross = svg("line", { class: "cross", y1: margins.top, y2: height - margins.bottom, visibility: "hidden" }, root);
  const dot = svg("circle", { r: 4.5, stroke: "var(--card)", "stroke-width": 1.5, visibility: "hidden" }, root);
  const area = svg("rect", { x: margins.left, y: 0, width: width - margins.left - margins.right, height: height - margins.bottom, fill: "transparent" }, root);
  area.addEventListener("pointermove", (event) => {
    const box = root.getBoundingClientRect();
    const mx = ((event.clientX - box.left) * width) / box.width, my = ((event.clientY - box.top) * height) / box.height;
    let best = null;
    for (const s of series) s.x.forEach((x, i) => {
      if (s.y[i] === null) return;
      const far = Math.hypot(px(x) - mx, (py(s.y[i]) - my) * 0.8);
      if (!best || far < best.far) best = { far, s, i };
    });
    if (!best) return;
    const { s, i } = best;
    cross.setAttribute("x1", px(s.x[i])); cross.setAttribute("x2", px(s.x[i])); cross.setAttribute("visibility", "visible");
    dot.setAttribute("cx", px(s.x[i])); dot.setAttribute("cy", py(s.y[i])); dot.setAttribute("fill", s.color); dot.setAttribute("visibility", "visible");
    highlight(root, s.label);
    const spread = s.lows && s.lows[i] !== null ? ` [${number(s.lows[i])}, ${number(s.highs[i])}]` : "";
    const at = options.time ? duration(s.x[i]) : number(s.x[i]);
    showTip(event, html("b", {}, s.label), `${number(s.y[i])}${spread} at ${at} ${options.time ? "" : options.xLabel}`);
  });
  area.addEventListener("pointerleave", () => {
    cross.setAttribute("visibility", "hidden"); dot.setAttribute("visibility", "hidden");
    highlight(root, null);
    hideTip();
  });
}

function highlight(root, label) {
  for (const g of root.querySelectorAll("[data-label]")) g.classList.toggle("dim", label !== null && g.dataset.label !== label);
}

function showTip(event, ...content) {
  const tip = document.getElementById("tip");
  tip.replaceChildren(...content);
  tip.hidden = false;
  tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${event.clientY > innerHeight / 2 ? event.clientY - tip.offsetHeight - 14 : event.clientY + 14}px`;
}

function hideTip() { document.getElementById("tip").hidden = true; }

/* One row of a forest plot: dots are runs, the bar is the interval, the tick the mean, a diamond what is published. */
function forest(estimate, scores, high, color, published = []) {
  const width = 240, height = 22, px = (v) => 6 + (v / (high || 1)) * (width - 12);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `score ${number(estimate[0])}` });
  svg("line", { class: "grid", x1: 6, x2: width - 6, y1: 11, y2: 11 }, root);
  if (estimate[1] !== null) svg("line", { x1: px(estimate[1]), x2: px(estimate[2]), y1: 11, y2: 11, stroke: color, "stroke-width": 5, opacity: 0.35, "stroke-linecap": "round" }, root);
  for (const s of scores) svg("circle", { cx: px(s), cy: 11, r: 3, fill: color, opacity: 0.45 }, root);
  svg("line", { x1: px(estimate[0]), x2: px(estimate[0]), y1: 3, y2: 19, stroke: color, "stroke-width": 2.6 }, root);
  for (const at of published) svg("path", { d: `M${px(at)} 4l5 7l-5 7l-5 -7Z`, fill: "none", stroke: "var(--ink)", "stroke-width": 1.3 }, root);
  return root;
}
