// Charts in the page's colours, times in the reader's zone, countries by name. No figure is made here.
(function () {
  "use strict";
  const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const element of document.querySelectorAll("time[datetime]")) {
    element.title = element.textContent;
    element.textContent = zone.format(new Date(element.dateTime));
  }
  const regions = new Intl.DisplayNames(undefined, { type: "region", fallback: "code" });
  for (const element of document.querySelectorAll("[data-country]")) {
    if (element.dataset.country !== "ZZ") element.textContent = regions.of(element.dataset.country);
  }

  const boxes = [...document.querySelectorAll("[data-chart]")];
  const views = new Map();

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  }
  // Charts name their colours (accent, good, bad, muted); the style sheet says what they are.
  function paint(value, key) {
    if (Array.isArray(value)) return value.map((item) => (key === "range" ? colour(item) || item : paint(item)));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, paint(item, name)]));
    }
    return value;
  }
  function config() {
    const text = colour("text");
    const soft = colour("soft");
    const line = colour("line");
    return {
      background: "transparent",
      font: getComputedStyle(document.body).fontFamily,
      view: { stroke: null },
      axis: { labelColor: soft, titleColor: soft, domainColor: line, tickColor: line, gridColor: line, titleFontWeight: 500 },
      axisX: { grid: false },
      legend: { labelColor: text },
      text: { color: text },
      mark: { tooltip: true },
    };
  }
  async function draw(box) {
    const source = document.getElementById("chart-" + box.dataset.chart);
    const drawn = await window.vegaEmbed(box, paint(JSON.parse(source.textContent)), {
      actions: false,
      ast: true, // expressions are interpreted, so that the page needs no eval
      config: config(),
      defaultStyle: false,
      mode: "vega-lite",
      renderer: "svg",
      tooltip: { disableDefaultStyle: true },
    });
    views.get(box)?.finalize();
    views.set(box, drawn);
    box.dataset.drawn = "yes";
  }
  function drawAll() {
    if (window.vegaEmbed) Promise.all(boxes.map(draw));
  }
  drawAll();
  document.addEventListener("themechange", drawAll);
})();
