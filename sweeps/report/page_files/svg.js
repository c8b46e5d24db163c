"use strict";
// What every drawing needs: elements, numbers as text, scales, shades, marks.

function svg(name, attributes = {}, parent = null) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (parent) parent.append(element);
  return element;
}

function html(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function tickText(value, log = false) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6) return +(value / 1e6).toPrecision(3) + "M";
  if (size >= 1e4) return +(value / 1e3).toPrecision(3) + "k";
  return String(+value.toPrecision(log ? 2 : 6));
}

function niceTicks(low, high, room, spacing, whole) {
  const wanted = Math.max(2, Math.floor(room / spacing));
  let step = Math.pow(10, Math.floor(Math.log10((high - low) / wanted || 1)));
  for (const factor of [2, 2.5, 2, 2]) if ((high - low) / step > wanted) step *= factor;
  if (whole) step = Math.max(1, Math.round(step));
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(i * step);
  return ticks;
}

function logTicks(low, high, room) {
  const ticks = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power++)
    for (const digit of high - low < 2 ? [1, 2, 5] : [1]) ticks.push(digit * Math.pow(10, power));
  const inside = ticks.filter((tick) => Math.log10(tick) >= low - 1e-9 && Math.log10(tick) <= high + 1e-9);
  const every = Math.ceil(inside.length / Math.max(2, Math.floor(room / 48)));
  return inside.filter((_, i) => i % every === 0);
}

// An axis over pixels: from a value to its place, with the ticks that it shows.
function scaleOf(axis, values, start, end) {
  const turn = axis.log ? Math.log10 : (value) => value;
  const room = Math.abs(end - start);
  let low, high;
  if (axis.names.length) {
    [low, high] = [-0.6, axis.names.length - 0.4];
  } else {
    const turned = [...values, ...axis.ticks].map(turn).filter(Number.isFinite);
    low = turned.reduce((a, b) => Math.min(a, b), Infinity);
    high = turned.reduce((a, b) => Math.max(a, b), -Infinity);
    if (!(low <= high)) [low, high] = [0, 1];
    const margin = (high - low || Math.abs(low) || 1) * 0.05;
    low = axis.low === null ? low - margin : turn(axis.low);
    high = axis.high === null ? high + margin : turn(axis.high);
  }
  const place = (value) => start + ((turn(value) - low) / (high - low)) * (end - start);
  const inverse = (pixel) => {
    const value = low + ((pixel - start) / (end - start)) * (high - low);
    return axis.log ? Math.pow(10, value) : value;
  };
  let ticks;
  if (axis.names.length) ticks = axis.names.map((name, i) => [i, name]);
  else if (axis.ticks.length) ticks = thinned(axis.ticks, place).map((tick) => [tick, tickText(tick, true)]);
  else if (axis.log) ticks = logTicks(low, high, room).map((tick) => [tick, tickText(tick, true)]);
  else ticks = niceTicks(low, high, room, start > end ? 42 : 64, axis.whole).map((tick) => [tick, tickText(tick)]);
  return { place, inverse, ticks };
}

function thinned(ticks, place) {
  const kept = [];
  for (const tick of ticks)
    if (!kept.length || Math.abs(place(tick) - place(kept[kept.length - 1])) > 46) kept.push(tick);
  return kept;
}

const VIRIDIS = ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6dcd59", "#b4de2c", "#fde725"];
// Without the end that the paper would swallow.
const RAMP = matchMedia("(prefers-color-scheme: dark)").matches ? VIRIDIS.slice(2) : VIRIDIS.slice(0, -1);

function shade(scale, value) {
  const turn = scale.log ? Math.log10 : (x) => x;
  const [low, high] = [turn(scale.low), turn(scale.high)];
  const share = high > low ? (turn(value) - low) / (high - low) : 0.5;
  const at = Math.min(1, Math.max(0, share)) * (RAMP.length - 1);
  const i = Math.min(RAMP.length - 2, Math.floor(at));
  const parts = (colour) => [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));
  const [a, b] = [parts(RAMP[i]), parts(RAMP[i + 1])];
  return `rgb(${a.map((part, k) => Math.round(part + (b[k] - part) * (at - i))).join(",")})`;
}

function markPath(mark, r) {
  if (mark === "square") return `M${-r} ${-r}H${r}V${r}H${-r}Z`;
  if (mark === "diamond") return `M0 ${-1.2 * r}L${1.2 * r} 0L0 ${1.2 * r}L${-1.2 * r} 0Z`;
  if (mark === "triangle") return `M0 ${-1.1 * r}L${r} ${0.9 * r}H${-r}Z`;
  if (mark === "down") return `M0 ${1.1 * r}L${r} ${-0.9 * r}H${-r}Z`;
  if (mark === "cross") return `M${-r} ${-r}L${r} ${r}M${-r} ${r}L${r} ${-r}`;
  return `M${-r} 0A${r} ${r} 0 1 1 ${r} 0A${r} ${r} 0 1 1 ${-r} 0Z`;
}

function drawMark(parent, layer, x, y, fill) {
  const mark = svg("path", { d: markPath(layer.mark, layer.size * 0.62), transform: `translate(${x} ${y})` }, parent);
  const open = layer.hollow || layer.mark === "cross";
  mark.style.fill = open ? "none" : fill;
  mark.style.stroke = open ? fill : "var(--outline)";
  mark.style.strokeWidth = open ? 1.6 : 0.6;
  return mark;
}

const colourOf = (name) => `var(--${name})`;
