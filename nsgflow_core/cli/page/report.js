// The chart of the time line, and tables that a button in a heading sorts.
(() => {
  "use strict";
  const place = document.getElementById("chart");
  let chart = null;

  function draw() {
    const [times, inbound, outbound] = TIMELINE.columns;
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
    const bars = uPlot.paths.bars({ size: [0.9, Infinity], align: 1 });
    if (chart) chart.destroy();
    chart = new uPlot({
      width: Math.max(280, place.clientWidth),
      height: 240,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { show: false },
      legend: { show: false },
      scales: {
        x: { range: [times[0], times[times.length - 1] + TIMELINE.seconds] },
        y: { range: (_, low, high) => [0, Math.max(1, high * 1.05)] },
      },
      axes: [{ ...axis, space: 80, incrs: [1, 5, 10, 15, 30, 60, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 28800, 43200, 86400, 172800, 604800, 1209600, 2592000, 7776000], values: [[86400, "{YYYY}-{MM}-{DD}"], [3600, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}"], [60, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}"], [1, "{HH}:{mm}:{ss}", "\n{YYYY}-{MM}-{DD}"]].map((each) => [each[0], each[1], each[2], null, each[2], null, null, null, 1]) }, { ...axis, size: 70, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 1e8, 1e9], values: (_, marks) => marks.map((mark) => mark.toLocaleString("en")) }],
      series: [
        {},
        { stroke: colour("--in"), fill: colour("--in"), width: 0, paths: bars, points: { show: false } },
        { stroke: colour("--out"), fill: colour("--out"), width: 0, paths: bars, points: { show: false } },
      ],
      // Outbound stands in front of both together, so that the bars are stacked.
    }, [times, inbound.map((count, at) => count + outbound[at]), outbound], place);
  }

  if (place && TIMELINE.columns[0].length) {
    draw();
    new ResizeObserver(() => {
      if (chart && Math.abs(chart.width - Math.max(280, place.clientWidth)) > 1) draw();
    }).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }

  function compare(one, other) {
    if (one === other) return 0;
    if (one === "" || other === "") return one === "" ? 1 : -1;
    const [a, b] = [Number(one), Number(other)];
    if (!Number.isNaN(a) && !Number.isNaN(b)) return a - b;
    return one < other ? -1 : 1;
  }

  function sort(heading) {
    const table = heading.closest("table");
    const at = heading.cellIndex;
    const descending = heading.getAttribute("aria-sort") === "ascending";
    for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const value = (row) => row.cells[at].textContent.replace(/^([\d,]+)$/, (all) => all.replaceAll(",", ""));
    const rows = [...table.tBodies[0].rows].map((row) => [value(row), row]);
    rows.sort((a, b) => (descending ? -1 : 1) * compare(a[0], b[0]));
    table.tBodies[0].append(...rows.map((each) => each[1]));
  }

  for (const heading of document.querySelectorAll("table.sorted thead th")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sort(heading));
    heading.append(button);
  }
})();
