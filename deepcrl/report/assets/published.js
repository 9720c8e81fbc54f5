"use strict";
// What studies published, beside ours: dotted curves, dashed final means, diamonds and tables, all of other simulators.

const onScore = () => state.metric === SCORE;

// Learning curves over env steps, as far as ours go.
function publishedCurves(task, items, lines) {
  if (!onScore() || state.counter !== 0 || !lines.length) return [];
  const end = 1.01 * Math.max(...lines.map((s) => s.x[s.x.length - 1]));
  return task.published.flatMap((study) => study.curves).filter((curve) => isShown(task, items, curve[1])).map(([label, , x, y]) => {
    const inside = x.filter((v) => v <= end).length;
    return { label, color: "var(--faint)", dash: 2, x: x.slice(0, inside), y: y.slice(0, inside) };
  }).filter((s) => s.x.length);
}

// Final means across the whole chart, each in the colour of its configuration where it is of one.
function publishedLines(task, items) {
  if (!onScore()) return [];
  return task.published.flatMap((study) => study.lines).filter(([, , groups]) => isShown(task, items, groups)).map(([where, label, groups, value]) => {
    const own = items.filter((item) => groups.includes(item.i));
    return { label: `${where}: ${label}`, where, short: label, value, color: own.length === 1 ? own[0].color : "var(--faint)", dash: 1 };
  });
}

function acrossChart(line, lines) {
  const [low, high] = extent(lines.map((s) => s.x));
  return { ...line, x: [Math.min(0, low), high], y: [line.value, line.value] };
}

// A row of buttons for each study, under what they have in common.
function publishedLegends(task, lines, box) {
  return [...new Set(lines.map((line) => line.where))].map((where) => html("div", { class: "legend" }, html("span", { class: "sub" }, `${where[0].toUpperCase()}${where.slice(1)}:`),
    ...lines.filter((line) => line.where === where).map((line) => toggle(refOf(task, line), line, line.label, `${line.short}: ${number(line.value)}`, box))));
}

function isShown(task, items, groups) {
  return items.some((item) => groups.includes(item.i) && !state.hidden.has(idOf(task, item.group)));
}

// Final means by depth, over the depths that a chart of ours has.
function publishedByDepth(task, drawn, depths) {
  return task.published.flatMap((study) => study.tables).flatMap(([label, groups, at, means, lows, highs]) => {
    const own = drawn.filter((line) => line.groups.some((i) => groups.includes(i)));
    const kept = at.map((depth, k) => k).filter((k) => depths.includes(at[k]));
    if (!own.length || !kept.length) return [];
    const [x, y, l, h] = [at, means, lows, highs].map((column) => kept.map((k) => column[k]));
    return [{ label, color: own.length === 1 ? own[0].color : "var(--faint)", dash: 1, marks: true, x, y, lows: l, highs: h }];
  });
}

function publishedNotes(task, curves, lines) {
  const names = task.published.filter((study) => study.curves.some(([label]) => curves.some((c) => c.label === label)));
  const notes = names.map(({ name, simulator }) => `Dotted grey: the ${name}'s means at the same depths, ${simulator} physics.`);
  for (const { lines: own, simulator, env_steps, source } of task.published) {
    if (own.some(([where]) => lines.some((line) => line.where === where)))
      notes.push(`Dashed: final means published in another simulator (${simulator}), after ${number(env_steps)} env steps. ${source}`);
  }
  return notes.length ? html("p", { class: "sub" }, notes.join(" ")) : null;
}

const diamonds = (task, i) => task.published.map((study) => study.groups[i]?.[2] ?? null).filter((at) => at !== null);

function diamondNote(task) {
  const names = task.published.filter((study) => study.groups.some((own) => own && own[2] !== null)).map(({ name }) => `the ${name}'s`);
  return names.length ? ` A diamond is ${names.join(" or ")} score after as many env steps.` : "";
}

function publishedTables(task, items) {
  return task.published.map((study) => {
    const rows = items.map((item) => {
      const [method, depth, at, score] = study.groups[item.i] || [null, null, null, null];
      return html("tr", {}, html("td", {}, html("span", { class: "name" }, swatch(item), item.group.label)), html("td", {}, method ?? "–"), html("td", {}, String(depth ?? "–")),
        html("td", {}, interval(item.group.final[SCORE])), html("td", {}, number(Math.min(...item.group.runs.map((r) => r.last[0])))),
        html("td", {}, number(at)), html("td", {}, spread(score)));
    });
    const head = ["configuration", "method", "depth", "ours", "env steps", `${study.name}, same env steps`, `${study.name}, ${number(study.env_steps)}`];
    return card(html("h3", {}, study.title), html("p", { class: "sub" }, `Time at goal. ${study.source}`),
      html("div", { class: "scroll" }, html("table", {}, html("thead", {}, html("tr", {}, ...head.map((h) => html("th", {}, h)))), html("tbody", {}, ...rows))));
  });
}

function spread(score) {
  if (!score) return "–";
  const [mean, low, high] = score.map(number);
  return high === undefined ? `${mean} ± ${low}` : html("span", {}, mean, html("small", {}, ` [${low}, ${high}]`));
}

function byDepthNote(lines) {
  const found = [...new Set(lines.map((line) => line.label.split(": ")[0]))];
  return found.length ? html("p", { class: "sub" }, `Dashed: ${found.join("; ")}; bars from the lowest seed to the highest.`) : null;
}

// What only some methods measure has small charts of its own, beside the one of the chosen metric.
function methodCharts(task, items) {
  const charts = CONTENT.of_methods.map((key) => {
    const [, label, low, high] = metricOf(key);
    const lines = series(task, items, key);
    return lines.length ? card(html("h3", {}, label[0].toUpperCase() + label.slice(1)), lineChart({
      width: 360, height: 220, series: lines, low, high, time: isTime(), xLabel: COUNTER_NAMES[CONTENT.counters[state.counter]], yLabel: label })) : null;
  }).filter(Boolean);
  return charts.length ? html("div", { class: "tiles" }, ...charts) : null;
}
