"use strict";
// Puts the page together from its content; everything is drawn again when a control changes.

const CONTENT = JSON.parse(document.getElementById("content").textContent);
const [SCORE, SCORE_LABEL] = CONTENT.score;
const COUNTER_NAMES = { env_steps: "environment steps", grad_steps: "gradient steps", wall_seconds: "wall-clock time" };
const state = { filter: "", metric: SCORE, counter: 0, seeds: true, hidden: new Set(), sort: null };

const $ = (id) => document.getElementById(id);
const metricOf = (key) => CONTENT.metrics.find((m) => m[0] === key);
const capital = (text) => text[0].toUpperCase() + text.slice(1);
const isTime = () => CONTENT.counters[state.counter] === "wall_seconds";
const card = (...children) => html("section", { class: "card" }, ...children);
const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
const spelled = (v) => (typeof v === "number" ? `${+v.toPrecision(6)}` : String(v));
const idOf = (task, group) => `${task.name} ${group.label}`;
const refOf = (task, line) => `${task.name} published ${line.label}`;

function colors(task) {
  const ordered = task.keys.length === 1 && task.groups.every((g) => typeof g.values[0] === "number");
  return task.groups.map((_, i) => {
    if (!ordered || task.groups.length < 3) return { color: `var(--c${i % 8})`, dash: Math.floor(i / 8) % 3 };
    const t = i / (task.groups.length - 1);
    return { color: `oklch(calc(var(--ramp-light) + ${(0.14 * (t - 0.5)).toFixed(3)}) 0.16 ${(285 - 240 * t).toFixed(0)})`, dash: 0 };
  });
}

function matches(task, group) {
  const text = [task.name, group.label, ...group.runs.map((r) => r.name)].join(" ").toLowerCase();
  return state.filter.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function shown(task) {
  const looks = colors(task);
  return task.groups.map((group, i) => ({ group, i, ...looks[i] })).filter(({ group }) => matches(task, group));
}

function swatch({ color, dash }) {
  return html("span", { class: `key ${DASH_NAMES[dash]}`, style: `border-color:${color}` });
}

function series(task, items, metric = state.metric) {
  return items.filter(({ group }) => !state.hidden.has(idOf(task, group))).flatMap(({ group, color, dash }) => {
    const curves = group.runs.map((r) => r.curves[metric]).filter(Boolean).map((c) => [c[state.counter], c[3]]);
    const band = (group.bands[metric] || [])[state.counter];
    if (!curves.length) return [];
    if (!band) return curves.map(([x, y]) => ({ label: group.label, color, dash, x, y }));
    const [x, y, lows, highs] = band;
    return [{ label: group.label, color, dash, x, y, lows, highs, runs: state.seeds ? curves : [] }];
  });
}

function learningCurves(task, items, width) {
  const [, label, low, high] = metricOf(state.metric);
  const lines = series(task, items);
  const published = publishedCurves(task, items, lines), finals = publishedLines(task, items);
  const kept = finals.filter((line) => !state.hidden.has(refOf(task, line))).map((line) => acrossChart(line, lines));
  const box = card(html("h3", {}, label[0].toUpperCase() + label.slice(1)));
  if (lines.length) box.append(lineChart({
    width, height: Math.max(250, Math.min(400, width * 0.42)), series: [...lines, ...published, ...kept], low, high, time: isTime(),
    xLabel: COUNTER_NAMES[CONTENT.counters[state.counter]], yLabel: label,
  }));
  else box.append(html("p", { class: "empty" }, "No run shown has measured this."));
  box.append(html("div", { class: "legend" }, ...items.map((item) => legendButton(task, item, box))), ...publishedLegends(task, finals, box));
  const note = publishedNotes(task, published, finals);
  if (note) box.append(note);
  return box;
}

function legendButton(task, item, box) {
  const n = item.group.runs.length;
  return toggle(idOf(task, item.group), item, item.group.label, `${item.group.label}${n > 1 ? ` (${n} runs)` : ""}`, box);
}

function toggle(id, look, label, text, box) {
  return html("button", {
    type: "button", "aria-pressed": String(!state.hidden.has(id)), title: "show or hide",
    onclick: () => { state.hidden.has(id) ? state.hidden.delete(id) : state.hidden.add(id); render(); },
    onpointerenter: () => highlight(box, label), onpointerleave: () => highlight(box, null),
  }, swatch(look), text);
}

function interval(estimate, digits) {
  if (!estimate) return html("span", {}, "–");
  const [value, low, high] = estimate.map((v) => (v === null ? null : digits === undefined ? number(v) : v.toFixed(digits)));
  return html("span", {}, value, low === null ? null : html("small", {}, ` [${low}, ${high}]`));
}

function scoreTable(task, items) {
  const high = Math.max(1, ...task.groups.flatMap((g) => [...g.scores, g.final[SCORE][2] || 0]), ...task.groups.flatMap((_, i) => diamonds(task, i)));
  const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
  const columns = [
    ["configuration", null, (i) => html("span", { class: "name" }, swatch(i), i.group.label)],
    ["runs", (g) => g.runs.length, ({ group: g }) => String(g.runs.length)],
    [`0 to ${number(high)}`, null, ({ group: g, color, i }) => forest(g.final[SCORE], g.scores, high, color, diamonds(task, i))],
    [SCORE_LABEL, (g) => g.final[SCORE][0], ({ group: g }) => interval(g.final[SCORE])],
    ["sampled actions", (g) => g.final["eval_sampled/time_at_goal"]?.[0], ({ group: g }) => interval(g.final["eval_sampled/time_at_goal"])],
    ["goal reached", (g) => g.final["eval/success_any"]?.[0], ({ group: g }) => interval(g.final["eval/success_any"], 2)],
    ["final distance", (g) => g.final["eval/final_distance"]?.[0], ({ group: g }) => interval(g.final["eval/final_distance"], 2)],
    ["env steps", (g) => median(g.runs.map((r) => r.last[0])), ({ group: g }) => number(median(g.runs.map((r) => r.last[0])))],
    ["wall time", (g) => median(g.runs.map((r) => r.last[2])), ({ group: g }) => duration(median(g.runs.map((r) => r.last[2])))],
    ["parameters", (g) => g.parameters, ({ group: g }) => number(g.parameters)],
  ];
  const rows = sorted(items, columns);
  const head = columns.map(([name, key], c) => html("th", key ? {
    class: "sortable", tabindex: "0", "aria-sort": state.sort?.column === c ? state.sort.order : null,
    onclick: () => sortBy(c), onkeydown: (e) => e.key === "Enter" && sortBy(c),
  } : {}, name));
  const body = rows.map((item) => html("tr", { "data-group": item.group.label }, ...columns.map(([, , cell], c) => html("td", c === 2 ? { class: "plot" } : {}, cell(item)))));
  return card(html("h3", {}, "Final scores"),
    html("p", { class: "sub" }, `Dots are runs, the bar the ${CONTENT.method}; a score is the mean of the last ${lastOf(task)} of a run.${diamondNote(task)}`),
    html("div", { class: "scroll" }, html("table", {}, html("thead", {}, html("tr", {}, ...head)), html("tbody", {}, ...body))));
}

function sorted(items, columns) {
  if (!state.sort) return items;
  const key = columns[state.sort.column][1], sign = state.sort.order === "ascending" ? 1 : -1;
  return [...items].sort((a, b) => sign * ((key(a.group) ?? -Infinity) - (key(b.group) ?? -Infinity)));
}

function sortBy(column) {
  const again = state.sort?.column === column && state.sort.order === "descending";
  state.sort = { column, order: again ? "ascending" : "descending" };
  render();
}

// One small chart per number that was varied, a line for each choice of everything else.
function scoreAgainst(task, items) {
  const charts = task.keys.map(([key, name], k) => {
    const values = [...new Set(items.map(({ group }) => group.values[k]))];
    if (values.length < 2 || values.some((v) => typeof v !== "number" || v <= 0)) return null;
    const lines = new Map();
    for (const item of items) {
      const rest = item.group.values.filter((_, j) => j !== k).join(", ");
      if (!lines.has(rest)) lines.set(rest, []);
      lines.get(rest).push(item);
    }
    const drawn = [...lines.entries()].filter(([, members]) => members.length > 1).slice(0, 24);
    if (!drawn.length) return null;
    const ours = drawn.map(([rest, members], i) => {
      members.sort((a, b) => a.group.values[k] - b.group.values[k]);
      const finals = members.map(({ group }) => group.final[SCORE]);
      return { label: rest || name, color: `var(--c${i % 8})`, dash: Math.floor(i / 8) % 3, marks: true, groups: members.map(({ i: at }) => at), x: members.map(({ group }) => group.values[k]),
        y: finals.map((f) => f[0]), lows: finals.map((f) => f[1]), highs: finals.map((f) => f[2]) };
    });
    const published = key === "encoder.depth" ? publishedByDepth(task, ours, values) : [];
    const chart = lineChart({ width: 360, height: 230, series: [...ours, ...published], low: 0, high: null, xTicks: values.sort((a, b) => a - b), xLabel: `${name} (log)`, yLabel: SCORE_LABEL });
    return card(html("h3", {}, `${capital(SCORE_LABEL)} by ${name}`), chart, byDepthNote(published));
  }).filter(Boolean);
  return charts.length ? html("div", { class: "tiles" }, ...charts) : null;
}

// Two settings varied: a square for each pair, the setting of more values down the page.
function scoreGrid(task, items) {
  if (task.keys.length !== 2) return null;
  const values = (k) => [...new Set(items.map(({ group }) => group.values[k]))];
  const [down, across] = values(0).length < values(1).length ? [1, 0] : [0, 1];
  const [rows, columns] = [values(down), values(across)];
  if (rows.length < 2 || columns.length < 2) return null;
  const high = Math.max(...items.map(({ group }) => group.final[SCORE][0])) || 1;
  const cell = (r, c) => {
    const found = items.find(({ group }) => group.values[down] === r && group.values[across] === c);
    if (!found) return html("td", { class: "heat" }, "–");
    const value = found.group.final[SCORE][0], share = Math.round((value / high) * 62);
    return html("td", { class: "heat", style: `background:color-mix(in oklab, var(--c0) ${share}%, var(--card))`, title: found.group.label }, number(value));
  };
  const names = [down, across].map((k) => task.keys[k][1]);
  return card(html("h3", {}, `${capital(SCORE_LABEL)} by ${names[0]} and ${names[1]}`), html("div", { class: "scroll" }, html("table", {},
    html("thead", {}, html("tr", {}, html("th", {}, `${names[0]} ↓  ${names[1]} →`), ...columns.map((c) => html("th", { style: "text-align:center" }, spelled(c))))),
    html("tbody", {}, ...rows.map((r) => html("tr", {}, html("td", {}, spelled(r)), ...columns.map((c) => cell(r, c))))))));
}

function costTable(task, items) {
  if (!task.thresholds.length && items.every(({ group: g }) => g.memory === null && g.flops === null)) return null;
  const cell = (at) => (at[0] === null ? html("td", {}, "–") : html("td", {}, duration(at[2]), html("br"),
    html("small", {}, `${at[3] === null ? "" : `${flops(at[3])}, `}${number(at[1])} gradient, ${number(at[0])} env steps`)));
  const own = ({ group: g }) => [g.memory === null ? "–" : bytes(g.memory), flops(g.update), flops(g.flops)].map((text) => html("td", {}, text));
  const head = ["configuration", "memory", "a gradient step", "all steps", ...task.thresholds.map((t) => `≥ ${number(t)}`)];
  const reached = task.thresholds.length ? " Beyond: median over runs of the first evaluation with at least that score; – where fewer than half get there." : "";
  return card(html("h3", {}, "Cost of a score"),
    html("p", { class: "sub" }, `Memory as planned: ring, networks, gradients, Adam, activations. FLOP of matrix products, acting and learning.${reached}`),
    html("div", { class: "scroll" }, html("table", {},
      html("thead", {}, html("tr", {}, ...head.map((h) => html("th", {}, h)))),
      html("tbody", {}, ...items.map((item) => html("tr", {}, html("td", {}, html("span", { class: "name" }, swatch(item), item.group.label)), ...own(item), ...item.group.reaching.map(cell)))))));
}

function differences(task, items) {
  if (!task.keys.length || items.length < 2) return null;
  const rows = items.map((item) => html("tr", {}, html("td", {}, swatch(item)), ...item.group.values.map((v) => html("td", {}, v === null ? "–" : spelled(v)))));
  return card(html("h3", {}, "What differs"), html("p", { class: "sub" }, "Settings that are not the same everywhere; seed, length and machine aside."),
    html("div", { class: "scroll" }, html("table", { class: "wide" }, html("thead", {}, html("tr", {}, html("th", {}, ""), ...task.keys.map(([key]) => html("th", {}, key)))), html("tbody", {}, ...rows))));
}

function blockNorms(items) {
  const names = [...new Set(items.flatMap(({ group }) => Object.keys(group.blocks)))];
  const charts = names.map((name) => {
    const lines = items.filter(({ group }) => group.blocks[name]).map(({ group, color, dash }) => ({
      label: group.label, color, dash, marks: group.blocks[name].length < 40, x: group.blocks[name].map((_, i) => i), y: group.blocks[name] }));
    return card(html("h3", {}, name.replaceAll("_", " ")), lineChart({ width: 360, height: 220, series: lines, low: null, high: null, xLabel: "block", yLabel: name }));
  });
  return charts.length ? html("div", { class: "tiles" }, ...charts) : null;
}

function pictures(title, figures) {
  return figures.length ? card(html("h3", {}, title), html("div", { class: "films" }, ...figures)) : null;
}

function films(items) {
  return pictures("Films", items.filter(({ group }) => group.film).map(({ group: { film } }) => html("figure", {},
    film.data ? html("img", { src: film.data, alt: `film of ${film.name}`, loading: "lazy", decoding: "async" }) : html("a", { href: film.link }, film.link),
    html("figcaption", {}, film.name))));
}

function runTable(task, items) {
  const rows = items.flatMap((item) => item.group.runs.map((run) => html("tr", {}, html("td", {}, html("span", { class: "name" }, swatch(item), html("code", {}, run.name))),
    html("td", {}, String(run.seed)), html("td", {}, number(run.last[0])), html("td", {}, number(run.last[1])), html("td", {}, duration(run.last[2])),
    html("td", {}, html("code", {}, run.revision || "–")), html("td", {}, run.machine || "–"), html("td", {}, String(run.bad)))));
  const head = ["run", "seed", "env steps", "gradient steps", "wall time", "revision", "machine", "bad lines"];
  return card(html("details", {}, html("summary", {}, rows.length === 1 ? "The run" : `All ${rows.length} runs`), html("div", { class: "scroll" },
    html("table", {}, html("thead", {}, html("tr", {}, ...head.map((h) => html("th", {}, h)))), html("tbody", {}, ...rows)))));
}

function across() {
  const rows = CONTENT.across.filter((row) => state.filter.toLowerCase().split(/\s+/).every((w) => row.label.toLowerCase().includes(w)));
  if (!rows.length) return [];
  return [html("h2", {}, "All tasks together"), html("p", {}, "Share of the episode at the goal, over the tasks that have the configuration."), card(html("div", { class: "scroll" }, html("table", {}, html("tbody", {},
    ...rows.map((row, i) => html("tr", {}, html("td", {}, row.label), html("td", { class: "plot" }, forest(row.final, row.scores, 1, `var(--c${i % 8})`)), html("td", {}, interval(row.final, 3))))))))];
}

function notes() {
  if (!CONTENT.notes.length) return [];
  const open = CONTENT.notes.length < 6 ? "" : null;
  return [card(html("details", { open }, html("summary", {}, `${plural(CONTENT.notes.length, "remark")} on the data`), html("ul", {}, ...CONTENT.notes.map((note) => html("li", {}, note)))))];
}

function section(task, width) {
  const items = shown(task);
  if (!items.length) return [];
  const count = items.reduce((sum, { group }) => sum + group.runs.length, 0);
  const parts = [learningCurves(task, items, width), scoreTable(task, items), pairTable(task, items), scoreGrid(task, items), scoreAgainst(task, items), costTable(task, items), ...publishedTables(task, items),
    methodCharts(task, items), films(items), valueMaps(items), traces(items), blockNorms(items), differences(task, items), runTable(task, items)];
  return [html("h2", { id: task.name }, task.name), html("p", {}, `${plural(count, "run")} of ${plural(items.length, "configuration")}, scored over episodes of ${task.episode_length} steps`), ...parts.filter(Boolean)];
}

function render() {
  hideTip();
  const main = $("main");
  const width = Math.max(300, Math.min(main.clientWidth, 1180) - 64);
  const sections = CONTENT.tasks.flatMap((task) => section(task, width));
  const first = notes();
  first.forEach((node) => node.classList.add("notes"));
  main.replaceChildren(...first, ...across(), ...sections, ...(sections.length ? [] : [html("p", { class: "empty" }, `Nothing matches “${state.filter}”.`)]));
}

function start() {
  const runs = CONTENT.tasks.reduce((sum, task) => sum + task.groups.reduce((n, g) => n + g.runs.length, 0), 0);
  const groups = CONTENT.tasks.reduce((sum, task) => sum + task.groups.length, 0);
  $("summary").textContent = [plural(runs, "run"), plural(groups, "configuration"), plural(CONTENT.tasks.length, "task"), CONTENT.made].join(" · ");
  $("footer").textContent = `Curves and scores: ${CONTENT.method}. Made by deepcrl ${CONTENT.version}.`;
  for (const [key, label] of CONTENT.metrics) $("metric").append(html("option", { value: key }, label));
  CONTENT.counters.forEach((name, i) => $("counter").append(html("option", { value: i }, COUNTER_NAMES[name])));
  $("filter").addEventListener("input", (e) => { state.filter = e.target.value.trim(); render(); });
  $("metric").addEventListener("change", (e) => { state.metric = e.target.value; render(); });
  $("counter").addEventListener("change", (e) => { state.counter = +e.target.value; render(); });
  $("seeds").addEventListener("change", (e) => { state.seeds = e.target.checked; render(); });
  let wide = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== wide) { wide = innerWidth; render(); } });
  render();
}

start();
