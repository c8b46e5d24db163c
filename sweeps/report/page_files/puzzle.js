// Several models at the same held-out puzzles: their answers after each segment, to step through.

function drawPuzzle(figure, data) {
  const plot = figure.querySelector(".plot");
  const last = Math.max(...data.puzzles[0].arms.map((arm) => arm.segments.length));
  let [puzzle, segment] = [0, last];
  const boards = html("div", { class: "boards" });
  const status = html("p", { role: "status" });
  const slider = html("input", { type: "range", min: 0, max: last, step: 1, "aria-label": "Segment" });
  const back = html("button", { type: "button" }, "Back");
  const next = html("button", { type: "button" }, "Next segment");
  const choices = data.puzzles.map((_, i) => html("button", { type: "button" }, `Puzzle ${i + 1}`));
  const show = () => {
    slider.value = segment;
    back.disabled = segment === 0;
    next.disabled = segment === last;
    choices.forEach((choice, i) => choice.setAttribute("aria-pressed", String(i === puzzle)));
    status.textContent = segment === 0 ? "The puzzle as given." : `After segment ${segment} of ${last}.`;
    boards.replaceChildren(...data.puzzles[puzzle].arms.map((arm) => board(data, data.puzzles[puzzle], arm, segment)));
  };
  const go = (to) => {
    segment = Math.min(last, Math.max(0, to));
    show();
  };
  back.onclick = () => go(segment - 1);
  next.onclick = () => go(segment + 1);
  slider.oninput = () => go(+slider.value);
  choices.forEach((choice, i) => (choice.onclick = () => { puzzle = i; show(); }));
  plot.replaceChildren(html("div", { class: "row" }, ...choices), html("div", { class: "row" }, back, slider, next), status, boards);
  show();
}

function board(data, puzzle, arm, segment) {
  const at = arm.segments[Math.min(segment, arm.segments.length) - 1] || null;
  const before = arm.segments[Math.min(segment, arm.segments.length) - 2] || null;
  const open = puzzle.given.map((text) => text === "");
  let right = 0;
  const body = html("tbody");
  for (let start = 0; start < puzzle.given.length; start += data.columns) {
    const line = html("tr");
    for (let i = start; i < Math.min(start + data.columns, puzzle.given.length); i++) {
      const answer = open[i] ? (at ? at.cells[i] : "") : puzzle.given[i];
      const cell = html("td", {}, answer);
      const row = Math.floor(i / data.columns);
      if (!open[i]) cell.classList.add("given");
      else if (at) {
        const good = answer === puzzle.solution[i];
        right += good;
        cell.classList.add(good ? "right" : "wrong");
        cell.title = `${good ? "right" : `wrong, should be ${puzzle.solution[i]}`}; the model gives it ${Math.round(at.confidence[i] * 100)}%`;
        if (before && before.cells[i] !== answer) cell.classList.add("changed");
      }
      if (data.box_columns && (i + 1) % data.box_columns === 0 && (i + 1) % data.columns) cell.classList.add("box-right");
      if (data.box_rows && (row + 1) % data.box_rows === 0 && i + data.columns < puzzle.given.length) cell.classList.add("box-below");
      line.append(cell);
    }
    body.append(line);
  }
  const count = open.filter(Boolean).length;
  const said = at ? `${right} of ${count} open cells right; would stop with chance ${Math.round(at.halt * 100)}%` : `${count} open cells`;
  return html("div", { class: "board" }, html("p", {}, html("strong", {}, arm.name), html("br"), said), html("table", {}, body));
}
