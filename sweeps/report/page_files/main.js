// Draws every figure of the page, again when its width changes.

const KINDS = { chart: drawChart, parallel: drawParallel, puzzle: drawPuzzle };

(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  for (const figure of document.querySelectorAll("figure[data-kind]")) {
    const draw = () => KINDS[figure.dataset.kind](figure, data[figure.dataset.name]);
    draw();
    if (figure.dataset.kind !== "chart") continue;
    let width = figure.clientWidth;
    new ResizeObserver(() => {
      if (figure.clientWidth === width) return;
      width = figure.clientWidth;
      requestAnimationFrame(draw);
    }).observe(figure);
  }
})();
