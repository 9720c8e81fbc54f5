"use strict";
// What the checkpoints show: the value over a maze's positions, and the embeddings along an episode.

function figures(title, sub, nodes) {
  return nodes.length ? card(html("h3", {}, title), html("p", { class: "sub" }, sub), html("div", { class: "films" }, ...nodes)) : null;
}

function valueMaps(items) {
  return figures("Value over positions",
    "What the critic gives the policy's own action at each place, for the goal ★ farthest from the start ○: bright is high, walls are left out.",
    items.filter(({ group }) => group.maps.value_map).map((item) => html("figure", {}, mazePicture(item.group.maps.value_map),
      html("figcaption", {}, html("span", { class: "name" }, swatch(item), item.group.label), ` ${number(item.group.maps.value_map.low)} to ${number(item.group.maps.value_map.high)}`))));
}

function mazePicture(map) {
  const unit = 40, [rows, columns] = map.size, width = columns * unit, height = rows * unit;
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "value over positions", class: "maze" });
  svg("rect", { width, height, class: "walls" }, root);
  svg("image", { href: map.image, width, height, preserveAspectRatio: "none" }, root);
  svg("circle", { cx: map.start[0] * width, cy: map.start[1] * height, r: unit * 0.2, class: "mark hollow" }, root);
  svg("path", { d: star(map.goal[0] * width, map.goal[1] * height, unit * 0.34), class: "mark" }, root);
  return root;
}

function star(x, y, size) {
  const corner = (i) => {
    const angle = (Math.PI * i) / 5 - Math.PI / 2, far = i % 2 ? size * 0.42 : size;
    return `${(x + far * Math.cos(angle)).toFixed(1)} ${(y + far * Math.sin(angle)).toFixed(1)}`;
  };
  return `M${Array.from({ length: 10 }, (_, i) => corner(i)).join("L")}Z`;
}

function traces(items) {
  return figures("Embeddings along an episode",
    "The first two principal components of φ(s, a), from the first step (dark) to the last (bright), in the best of a few evaluation episodes; ★ is ψ(goal).",
    items.filter(({ group }) => group.maps.trace).map((item) => html("figure", {}, tracePicture(item.group.maps.trace),
      html("figcaption", {}, html("span", { class: "name" }, swatch(item), item.group.label), ` ${traceWords(item.group.maps.trace)}`))));
}

function traceWords(trace) {
  const percent = trace.shares.map((share) => `${Math.round(100 * share)}%`).join(", ");
  return `${trace.at_goal} steps at the goal; variance along 1, 2, 3: ${percent}`;
}

function tracePicture(trace) {
  const width = 300, height = 230, margin = 16;
  const places = [...trace.points, trace.goal];
  const [xLow, xHigh] = extent([places.map((p) => p[0])]), [yLow, yHigh] = extent([places.map((p) => p[1])]);
  // One scale for both axes: distances are what the critic is made of
  const scale = Math.min((width - 2 * margin) / (xHigh - xLow || 1), (height - 2 * margin) / (yHigh - yLow || 1));
  const px = (v) => width / 2 + (v - (xLow + xHigh) / 2) * scale, py = (v) => height / 2 - (v - (yLow + yHigh) / 2) * scale;
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "embeddings along an episode" });
  svg("path", { class: "run", stroke: "var(--soft)", d: path(trace.points.map((p) => p[0]), trace.points.map((p) => p[1]), px, py) }, root);
  trace.points.forEach((p, i) => {
    const t = i / Math.max(1, trace.points.length - 1);
    const dot = svg("circle", { cx: px(p[0]), cy: py(p[1]), r: 3.2, fill: `oklch(${(0.42 + 0.42 * t).toFixed(2)} 0.14 ${(300 - 190 * t).toFixed(0)})` }, root);
    dot.addEventListener("pointerenter", (event) => showTip(event, html("b", {}, `step ${trace.steps[i]}`), `${number(trace.distances[i])} from the goal`));
    dot.addEventListener("pointerleave", hideTip);
  });
  svg("path", { d: star(px(trace.goal[0]), py(trace.goal[1]), 9), class: "mark ink" }, root);
  return root;
}
