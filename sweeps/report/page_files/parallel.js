// Parallel coordinates: a line a trial. Dragging along an axis keeps the trials within; the handles move by keys.

const AXIS_ROOM = 96;
const SHOWN = 10;

function drawParallel(figure, data) {
  const plot = figure.querySelector(".plot");
  const room = Math.max(plot.clientWidth, data.axes.length * AXIS_ROOM);
  const [top, bottom, height] = [34, 290, 318];
  const frame = html("div", { class: "parallel", tabindex: "0", role: "group", "aria-label": "Parallel coordinates" });
  const drawing = svg("svg", { viewBox: `0 0 ${room} ${height}`, width: room, height }, null);
  frame.append(drawing);
  const status = html("p", { class: "status", role: "status" });
  const clear = html("button", { type: "button" }, "All trials");
  const found = html("div", {});
  plot.replaceChildren(html("p", { class: "title" }, data.title), frame, drawScale(data.scale), html("div", { class: "row" }, status, clear), found);

  const axes = data.axes.map((axis, i) => {
    const x = 48 + (i * (room - 96)) / Math.max(1, data.axes.length - 1);
    const values = data.trials.map((trial) => trial.values[i]);
    const spread = { names: [], ticks: [], low: null, high: null, log: false, whole: false, ...axis };
    return { ...axis, x, scale: scaleOf(spread, values, bottom, top), range: null };
  });
  const lines = data.trials.map((trial) => {
    const d = axes.map((axis, i) => `${i ? "L" : "M"}${axis.x.toFixed(1)} ${axis.scale.place(trial.values[i]).toFixed(1)}`).join("");
    const line = svg("path", { class: "trial", d }, drawing);
    line.style.stroke = shade(data.scale, trial.value);
    return line;
  });
  const inside = (trial) => axes.every((axis, i) => {
    if (!axis.range) return true;
    const at = axis.scale.place(trial.values[i]);
    return at >= axis.range[0] && at <= axis.range[1];
  });
  const update = () => {
    const kept = data.trials.filter(inside);
    lines.forEach((line, i) => line.classList.toggle("out", !inside(data.trials[i])));
    status.textContent = `${kept.length} of ${data.trials.length} trials selected.`;
    clear.disabled = axes.every((axis) => !axis.range);
    found.replaceChildren(selected(data, kept));
  };
  for (const axis of axes) axis.move = brush(drawing, axis, top, bottom, update);
  clear.onclick = () => {
    for (const axis of axes) axis.move(null);
    update();
  };
  update();
}

function selected(data, trials) {
  const best = [...trials].sort((a, b) => (data.maximize ? b.value - a.value : a.value - b.value)).slice(0, SHOWN);
  const labels = data.axes.map((axis) => axis.label);
  const head = html("tr", {}, ...["trial", "status", ...labels].map((text) => html("th", { scope: "col" }, text)));
  const rows = best.map((trial) => html("tr", {}, html("th", { scope: "row" }, trial.name), html("td", { "data-label": "status" }, trial.status),
    ...trial.shown.map((text, i) => html("td", { class: "number", "data-label": labels[i] }, text))));
  const table = html("table", {}, html("thead", {}, head), html("tbody", {}, ...rows));
  return html("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Best selected trials" }, table);
}

// One axis and its brush; returns what sets the range: pixels from the top down, or null.
function brush(drawing, axis, top, bottom, update) {
  svg("path", { class: "axis", d: `M${axis.x} ${top}V${bottom}` }, drawing);
  const end = axis.x > drawing.viewBox.baseVal.width - 60;
  svg("text", { class: "label", x: end ? axis.x + 44 : axis.x, y: 16, "text-anchor": end ? "end" : "middle" }, drawing).textContent = axis.label;
  for (const [value, name] of axis.scale.ticks)
    svg("text", { x: axis.x - 6, y: axis.scale.place(value) + 4, "text-anchor": "end" }, drawing).textContent = name;
  const range = svg("rect", { class: "range", x: axis.x - 9, width: 18, visibility: "hidden" }, drawing);
  const area = svg("rect", { class: "catch", x: axis.x - 16, y: top - 8, width: 32, height: bottom - top + 16 }, drawing);
  const handles = [0, 1].map((end) => svg("rect", {
    class: "handle", x: axis.x - 9, width: 18, height: 4, rx: 2, tabindex: 0, role: "slider", "aria-orientation": "vertical",
    "aria-label": `${axis.label}, ${end ? "lower" : "upper"} end of the selection`,
  }, drawing));
  const clamp = (at) => Math.min(bottom + 6, Math.max(top - 6, at));
  const move = (given) => {
    axis.range = given;
    const [a, b] = given || [top - 6, bottom + 6];
    range.setAttribute("y", a);
    range.setAttribute("height", b - a);
    range.setAttribute("visibility", given ? "visible" : "hidden");
    [a, b].forEach((at, end) => {
      handles[end].setAttribute("y", at - 2);
      handles[end].setAttribute("aria-valuenow", axis.scale.inverse(at).toPrecision(4));
    });
  };
  move(null);
  const atPointer = (event) => {
    const box = drawing.getBoundingClientRect();
    return clamp(((event.clientY - box.top) * drawing.viewBox.baseVal.height) / box.height);
  };
  area.onpointerdown = (event) => {
    area.setPointerCapture(event.pointerId);
    const start = atPointer(event);
    area.onpointermove = (moved) => {
      const now = atPointer(moved);
      move([Math.min(start, now), Math.max(start, now)]);
      update();
    };
    area.onpointerup = area.onpointercancel = (ended) => {
      area.onpointermove = area.onpointerup = area.onpointercancel = null;
      if (Math.abs(atPointer(ended) - start) < 3) move(null);
      update();
    };
  };
  handles.forEach((handle, end) => {
    handle.onkeydown = (event) => {
      const step = { ArrowUp: -8, ArrowDown: 8, PageUp: -40, PageDown: 40 }[event.key];
      if (event.key === "Escape") move(null);
      else if (!step) return;
      else {
        const ends = axis.range ? [...axis.range] : [top - 6, bottom + 6];
        ends[end] = clamp(ends[end] + step);
        move([Math.min(...ends), Math.max(...ends)]);
      }
      event.preventDefault();
      update();
    };
  });
  return move;
}
