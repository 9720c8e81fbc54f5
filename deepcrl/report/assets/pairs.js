// Which configurations differ: a row for each pair, the better one first.
function pairTable(task, items) {
  const seen = new Map(items.map((item) => [item.i, item]));
  const rows = task.pairs.filter(([a, b]) => seen.has(a) && seen.has(b)).map(([a, b, difference, probability, clear]) => html("tr", {},
    ...[a, b].map((i) => html("td", {}, html("span", { class: "name" }, swatch(seen.get(i)), seen.get(i).group.label))),
    html("td", {}, interval(difference)), html("td", {}, probability.toFixed(2)),
    html("td", {}, difference[1] === null ? "one run is not enough" : clear ? "yes" : "not shown")));
  if (!rows.length) return null;
  return card(html("h3", {}, "Which differ"),
    html("p", { class: "sub" }, "Difference of the final scores with its bootstrap interval; the chance that a run of the first beats one of the second. They differ where the interval leaves out 0."),
    html("div", { class: "scroll" }, html("table", {}, html("thead", {}, html("tr", {}, ...["better", "than", "difference", "chance", "differ"].map((h) => html("th", {}, h)))), html("tbody", {}, ...rows))));
}

// How many evaluations make a final score.
function lastOf(task) {
  const [fewest, most] = [Math.min(...task.num_final), Math.max(...task.num_final)];
  return fewest === most ? plural(most, "evaluation") : `${fewest} to ${most} evaluations`;
}
