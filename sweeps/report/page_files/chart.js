// A chart: panels side by side where there is room, below each other where there is not.

const PANEL_WIDTH = 300;

function drawChart(figure, chart) {
  const plot = figure.querySelector(".plot");
  plot.replaceChildren(html("p", { class: "title" }, chart.title));
  const width = plot.clientWidth || 640;
  const columns = Math.max(1, Math.min(chart.panels.length, Math.floor(width / PANEL_WIDTH)));
  const targets = [];
  const grid = html("div", { class: "panels", style: `grid-template-columns:repeat(${columns},1fr)` });
  plot.append(grid);
  chart.panels.forEach((panel, i) => {
    const labelled = !chart.same_y || i % columns === 0;
    grid.append(drawPanel(chart, panel, Math.floor(width / columns) - (columns > 1 ? 8 : 0), labelled, targets));
  });
  const legend = drawLegend(chart);
  if (legend) plot.append(legend);
  if (chart.scale) plot.append(drawScale(chart.scale));
  if (targets.length) letPoint(plot, chart, targets);
}

function sharedValues(chart, panel, side) {
  const panels = chart.same_y && side === "y" ? chart.panels : [panel];
  const values = [];
  for (const one of panels) for (const layer of one.layers) layerValues(layer, side, values);
  return values;
}

function layerValues(layer, side, values) {
  if (layer.kind === "points") {
    const errors = layer[side + "_error"];
    layer[side].forEach((value, i) => {
      const error = errors.length ? errors[i] : 0;
      values.push(value - error, value + error);
    });
  } else if (layer.kind === "lines") {
    for (const line of layer.lines) values.push(...line[side === "x" ? 0 : 1]);
  } else if (layer.kind === "horizontal" && side === "y") {
    values.push(layer.y);
  } else if (layer.kind === "bars" && side === "x") {
    layer.start.forEach((start, i) => values.push(start, start + layer.length[i]));
  }
}

function drawPanel(chart, panel, width, labelled, targets) {
  const longest = panel.y.names.flatMap((name) => name.split("\n")).reduce((a, b) => Math.max(a, b.length), 0);
  const left = panel.y.names.length ? Math.min(width * 0.42, 12 + longest * 6.6) : 52;
  const top = chart.panels.some((one) => one.y.label) ? 30 : 12;
  const lines = panel.y.names.length;
  const height = lines ? Math.max(120, lines * 46 + 70) : Math.max(250, Math.min(380, width * 0.62));
  const bottom = height - 44;
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, width: "100%", "aria-hidden": "true" });
  const x = scaleOf(panel.x, sharedValues(chart, panel, "x"), left, width - 14);
  const y = lines
    ? scaleOf(panel.y, [], top, bottom)
    : scaleOf(panel.y, sharedValues(chart, panel, "y"), bottom, top);
  drawAxes(drawing, panel, x, y, { left, top, bottom, width, height, labelled });
  const state = { drawing, panel, x, y, chart, left, right: width - 14, targets };
  for (const layer of panel.layers) DRAW[layer.kind](layer, state);
  return drawing;
}

function drawAxes(drawing, panel, x, y, box) {
  for (const [value, name] of y.ticks) {
    const at = y.place(value);
    if (!panel.y.names.length) svg("path", { class: "grid", d: `M${box.left} ${at}H${box.width - 14}` }, drawing);
    const parts = name.split("\n");
    parts.forEach((part, i) => {
      const shift = 4 + (i - (parts.length - 1) / 2) * 13;
      const label = svg("text", { x: box.left - 7, y: at + shift, "text-anchor": "end" }, drawing);
      label.textContent = part;
    });
  }
  for (const [value, name] of x.ticks) {
    const at = x.place(value);
    if (panel.y.names.length) svg("path", { class: "grid", d: `M${at} ${box.top}V${box.bottom}` }, drawing);
    svg("path", { class: "axis", d: `M${at} ${box.bottom}v4` }, drawing);
    svg("text", { x: at, y: box.bottom + 17, "text-anchor": "middle" }, drawing).textContent = name;
  }
  svg("path", { class: "axis", d: `M${box.left} ${box.top}V${box.bottom}H${box.width - 14}` }, drawing);
  const middle = (box.left + box.width - 14) / 2;
  svg("text", { class: "label", x: middle, y: box.height - 7, "text-anchor": "middle" }, drawing).textContent = panel.x.label;
  if (box.labelled && panel.y.label) svg("text", { class: "label", x: 2, y: 14 }, drawing).textContent = panel.y.label;
}

const DRAW = {
  points(layer, { drawing, x, y, chart, targets }) {
    const colour = colourOf(layer.colour);
    layer.x.forEach((value, i) => {
      const [px, py] = [x.place(value), y.place(layer.y[i])];
      for (const side of ["x", "y"]) {
        const error = layer[side + "_error"][i];
        if (!error) continue;
        const scale = side === "x" ? x : y;
        const centre = side === "x" ? value : layer.y[i];
        const [a, b] = [scale.place(centre - error), scale.place(centre + error)];
        const d = side === "x" ? `M${a} ${py}H${b}M${a} ${py - 4}v8M${b} ${py - 4}v8` : `M${px} ${a}V${b}M${px - 4} ${a}h8M${px - 4} ${b}h8`;
        const bar = svg("path", { d, fill: "none", "stroke-width": 1.8 }, drawing);
        bar.style.stroke = colour;
      }
      const mark = drawMark(drawing, layer, px, py, layer.shades.length ? shade(chart.scale, layer.shades[i]) : colour);
      if (layer.tooltips.length) targets.push({ mark, tooltip: layer.tooltips[i], drawing });
    });
  },
  lines(layer, { drawing, x, y }) {
    const parts = layer.lines.map(([xs, ys]) =>
      xs.map((value, i) => {
        const [px, py] = [x.place(value).toFixed(1), y.place(ys[i]).toFixed(1)];
        return i === 0 ? `M${px} ${py}` : layer.steps ? `H${px}V${py}` : `L${px} ${py}`;
      }).join(""));
    const line = svg("path", { d: parts.join(""), fill: "none", "stroke-width": layer.width + 0.2 }, drawing);
    line.style.stroke = colourOf(layer.colour);
    if (layer.dashed) line.setAttribute("stroke-dasharray", "6 4");
  },
  horizontal(layer, { drawing, y, left, right }) {
    const line = svg("path", { d: `M${left} ${y.place(layer.y)}H${right}`, "stroke-dasharray": "6 4" }, drawing);
    line.style.stroke = colourOf(layer.colour);
  },
  bars(layer, { drawing, x, y, targets }) {
    layer.at.forEach((at, i) => {
      const [a, b] = [x.place(layer.start[i]), x.place(layer.start[i] + layer.length[i])];
      const [c, d] = [y.place(at - layer.height / 2), y.place(at + layer.height / 2)];
      const mark = svg("rect", { x: Math.min(a, b), y: c, width: Math.abs(b - a), height: d - c }, drawing);
      mark.style.fill = colourOf(layer.colour);
      if (layer.tooltips.length) targets.push({ mark, tooltip: layer.tooltips[i], drawing });
    });
  },
};

function drawLegend(chart) {
  const named = new Map();
  for (const panel of chart.panels) for (const layer of panel.layers) if (layer.name && !named.has(layer.name)) named.set(layer.name, layer);
  if (!named.size) return null;
  const list = html("ul", { class: "legend" });
  for (const [name, layer] of named) {
    const sample = svg("svg", { width: 26, height: 14, "aria-hidden": "true" });
    const colour = colourOf(layer.colour);
    if (layer.kind === "points") drawMark(sample, { ...layer, size: Math.min(layer.size, 8) }, 13, 7, colour);
    else if (layer.kind === "bars") svg("rect", { x: 6, y: 2, width: 14, height: 10, style: `fill:${colour}` }, sample);
    else {
      const dashed = layer.kind === "horizontal" || layer.dashed;
      svg("path", { d: "M2 7H24", style: `stroke:${colour}`, "stroke-width": layer.width || 1.4, "stroke-dasharray": dashed ? "5 3" : "none" }, sample);
    }
    list.append(html("li", {}, sample, name));
  }
  return list;
}

function drawScale(scale) {
  const bar = html("span", { class: "shades", style: `background:linear-gradient(90deg,${RAMP.join(",")})` });
  return html("p", { class: "scale" }, tickText(scale.low, true), bar, tickText(scale.high, true), html("span", { class: "what" }, scale.label));
}

// Pointing at a mark tells of it; with the keyboard, the arrow keys go from mark to mark.
function letPoint(plot, chart, targets) {
  const bubble = html("div", { class: "bubble", hidden: "" });
  plot.append(bubble);
  plot.tabIndex = 0;
  plot.setAttribute("role", "group");
  plot.setAttribute("aria-label", `${chart.title}. Arrow keys go from mark to mark.`);
  const live = html("span", { class: "unseen", "aria-live": "polite" });
  plot.append(live);
  let current = -1;
  const show = (i) => {
    if (current >= 0) targets[current].mark.classList.remove("pointed");
    current = i;
    bubble.hidden = i < 0;
    if (i < 0) return;
    const target = targets[i];
    target.mark.classList.add("pointed");
    bubble.textContent = target.tooltip;
    const [at, frame] = [target.mark.getBoundingClientRect(), plot.getBoundingClientRect()];
    const x = at.left + at.width / 2 - frame.left;
    bubble.style.left = `${Math.max(0, Math.min(x - bubble.offsetWidth / 2, frame.width - bubble.offsetWidth))}px`;
    bubble.style.top = `${at.top - frame.top - bubble.offsetHeight - 8}px`;
  };
  plot.onpointermove = plot.onpointerdown = (event) => show(nearest(targets, event));
  plot.onpointerleave = () => show(-1);
  plot.onblur = () => show(-1);
  plot.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") show(-1);
    if (!step) return;
    event.preventDefault();
    show((current + step + targets.length) % targets.length);
    live.textContent = targets[current].tooltip;
  };
}

function nearest(targets, event) {
  let found = -1;
  let best = 16;
  targets.forEach((target, i) => {
    const box = target.mark.getBoundingClientRect();
    const dx = Math.max(box.left - event.clientX, 0, event.clientX - box.right);
    const dy = Math.max(box.top - event.clientY, 0, event.clientY - box.bottom);
    const distance = Math.hypot(dx, dy) + Math.hypot(event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2) / 1000;
    if (distance < best) [found, best] = [i, distance];
  });
  return found;
}
