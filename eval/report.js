"use strict";
const data = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "[]");

function made(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function drawn(name, attributes, text = "") {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  return node;
}

const rounded = (value) => Number(value.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });

// Tables: a click on a header sorts, a second one the other way round. What has no figure stays below.

function worth(cell) {
  const found = cell.textContent.replaceAll(",", "").match(/^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?/i);
  return found ? Number(found[0]) : null;
}

function sort(table, column, up) {
  const body = table.tBodies[0], rows = [...body.rows], sign = up ? 1 : -1;
  rows.sort((one, other) => {
    const [a, b] = [one.cells[column], other.cells[column]];
    if (column === 0) return sign * a.textContent.localeCompare(b.textContent, "en", { numeric: true });
    const [x, y] = [worth(a), worth(b)];
    return x === null || y === null ? (x === null) - (y === null) : sign * (x - y);
  });
  body.append(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").onclick = () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      sort(table, column, up);
    };
  });
}

// Charts: the legend shows the values where the pointer is, and switches lines off and on.

function ticks(low, high, log) {
  if (log) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
      for (const part of high < 300 * low ? [1, 2, 5] : [1]) found.push(part * 10 ** power);
    }
    return found.filter((value) => value >= low && value <= high);
  }
  const rough = (high - low) / 5, unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * ([1, 2, 5, 10].find((times) => times * unit >= rough));
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, k) => (first + k) * step);
}

class Chart {
  constructor(place, content) {
    this.place = place;
    this.content = content;
    this.hidden = new Set();
    this.at = null;
    this.lines = [...content.lines, ...content.levels.map(({ name, value }) =>
      ({ name, colour: "#111", dotted: true, values: content.x.map(() => value) }))];
    this.legend = made("div", { class: "legend" });
    this.svg = drawn("svg", { tabindex: 0, role: "img", "aria-label": `${content.up} by ${content.across}` });
    this.where = made("output");
    place.prepend(this.legend, this.svg, this.where);
    this.lines.forEach((line) => this.addToLegend(line));
    this.svg.onpointermove = (event) => this.point(event);
    this.svg.onpointerleave = () => this.show(null);
    this.svg.onkeydown = (event) => this.press(event);
    addEventListener("resize", () => this.draw());
    this.draw();
  }

  addToLegend(line) {
    const swatch = made("i", { class: line.dotted ? "dotted" : line.dashed ? "dashed" : "" });
    swatch.style.borderColor = line.colour;
    line.output = made("output");
    const button = made("button", { type: "button", "aria-pressed": true }, swatch, line.name, line.output);
    button.onclick = () => {
      if (!this.hidden.delete(line)) this.hidden.add(line);
      button.setAttribute("aria-pressed", !this.hidden.has(line));
      this.draw();
    };
    this.legend.append(button);
  }

  draw() {
    const { x } = this.content, wide = this.place.clientWidth, high = Math.min(320, Math.max(220, wide / 2));
    const shown = this.lines.filter((line) => !this.hidden.has(line));
    const values = shown.flatMap((line) => line.values).filter((value) => value !== null);
    const [least, top] = [Math.min(...values.filter((value) => value > 0)), Math.max(...values, 1e-9)];
    const log = this.content.log && top > 5 * least, low = log ? Math.max(least, top / 1e5) : Math.min(0, ...values);
    const scaled = (value) => log ? Math.log(Math.max(value, low)) : value; // exact zeros lie on the axis
    const left = 56, above = 26, bottom = high - 40, span = x.at(-1) - x[0] || 1;
    this.across = (value) => left + (x.at(-1) > x[0] ? (value - x[0]) / span : 0.5) * (wide - left - 12);
    const up = (value) => bottom - (scaled(value) - scaled(low)) / (scaled(top) - scaled(low) || 1) * (bottom - above);
    this.svg.replaceChildren();
    this.svg.setAttribute("viewBox", `0 0 ${wide} ${high}`);
    for (const value of ticks(low, top, log)) {
      this.svg.append(drawn("path", { d: `M${left} ${up(value)}H${wide - 12}`, stroke: "#e2e5ea" }));
      this.svg.append(drawn("text", { x: left - 6, y: up(value) + 4, "text-anchor": "end" }, rounded(value)));
    }
    for (const value of ticks(x[0], x.at(-1), false).filter(Number.isInteger)) {
      this.svg.append(drawn("text", { x: this.across(value), y: bottom + 17, "text-anchor": "middle" }, value));
    }
    this.svg.append(drawn("text", { x: wide - 12, y: bottom + 34, "text-anchor": "end" }, this.content.across));
    const scale = !log ? "" : Math.min(...values) < low ? " (log scale, zeros on the axis)" : " (log scale)";
    this.svg.append(drawn("text", { x: 2, y: 12 }, this.content.up + scale));
    for (const line of shown) this.drawLine(line, up);
    this.rule = drawn("path", { stroke: "#111", "stroke-width": 0.8 });
    this.rule.dataset.span = `${above} ${bottom}`;
    this.svg.append(this.rule);
    this.show(this.at);
  }

  drawLine(line, up) {
    let path = "", broken = true;
    line.values.forEach((value, k) => {
      if (value !== null) path += `${broken ? "M" : "L"}${this.across(this.content.x[k]).toFixed(1)} ${up(value).toFixed(1)}`;
      broken = value === null;
    });
    const dash = line.dotted ? "2 4" : line.dashed ? "7 4" : "none";
    const style = { fill: "none", stroke: line.colour, "stroke-width": 2, "stroke-dasharray": dash, "stroke-linejoin": "round" };
    this.svg.append(drawn("path", { d: path, class: "line", ...style }));
    if (this.content.x.length > 30 || line.dotted) return;
    line.values.forEach((value, k) => value !== null &&
      this.svg.append(drawn("circle", { cx: this.across(this.content.x[k]), cy: up(value), r: 3, fill: line.colour })));
  }

  point(event) {
    const x = event.clientX - this.svg.getBoundingClientRect().left, apart = this.content.x.map((v) => Math.abs(this.across(v) - x));
    this.show(apart.indexOf(Math.min(...apart)));
  }

  press(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    this.show(Math.min(Math.max((this.at ?? -1) + step, 0), this.content.x.length - 1));
  }

  show(at) {
    this.at = at;
    const [top, bottom] = this.rule.dataset.span.split(" ");
    this.rule.setAttribute("d", at === null ? "" : `M${this.across(this.content.x[at])} ${top}V${bottom}`);
    this.where.textContent = at === null ? "" : `${this.content.across} ${this.content.x[at]}`;
    for (const line of this.lines) {
      line.output.textContent = at === null || line.values[at] === null ? "" : rounded(line.values[at]);
    }
  }
}

for (const content of data("charts")) new Chart(document.getElementById(`chart-${content.key}`), content);

// Films: truth and the runs side by side; the error is taken here, from the two pictures above and beside it.

class Film {
  constructor(place, content) {
    this.place = place;
    this.content = content;
    this.now = 0;
    this.timer = null;
    this.length = content.reward.length;
    [this.high, this.wide] = content.size;
    this.screens = made("div", { class: "screens" });
    this.truth = this.column("truth", "last frame seen", content.sheet);
    this.takes = content.takes.map((take) => ({ ...this.column(take.name, "|error|", take.sheet), ...take }));
    this.slider = made("input", { type: "range", min: 0, max: this.length - 1, value: 0, "aria-label": "time step" });
    this.button = made("button", { type: "button" }, "Play");
    this.state = made("output");
    place.prepend(this.screens, made("div", { class: "controls" }, this.button, this.slider, this.state));
    this.slider.oninput = () => this.go(Number(this.slider.value));
    this.button.onclick = () => this.play(this.timer === null);
    this.ready = Promise.all([this.truth, ...this.takes].map(({ picture }) => picture.decode())).then(() => this.go(0));
  }

  column(above, below, sheet) {
    const screens = [above, below].map((name) => {
      const canvas = made("canvas", { width: this.wide, height: this.high, "aria-label": name });
      return { name, canvas, note: made("span"), pen: canvas.getContext("2d", { willReadFrequently: true }) };
    });
    this.screens.append(made("div", {}, ...screens.flatMap(({ name, canvas, note }) => [made("b", {}, name), canvas, note])));
    const picture = new Image();
    picture.src = sheet;
    return { picture, screens };
  }

  draw(picture, pen, at) {
    const across = this.content.across, left = at % across * this.wide, top = Math.floor(at / across) * this.high;
    pen.drawImage(picture, left, top, this.wide, this.high, 0, 0, this.wide, this.high);
    return pen.getImageData(0, 0, this.wide, this.high);
  }

  go(at) {
    const { content, truth } = this, seen = at < content.context;
    this.now = at;
    this.slider.value = at;
    const true_ = this.draw(truth.picture, truth.screens[0].pen, at).data;
    this.draw(truth.picture, truth.screens[1].pen, Math.min(at, content.context - 1));
    truth.screens[0].note.textContent = `reward ${rounded(content.reward[at])}`;
    for (const { picture, screens: [imagined, error], reward, error: squared } of this.takes) {
      const pixels = this.draw(picture, imagined.pen, at);
      pixels.data.forEach((value, k) => { if (k % 4 < 3) pixels.data[k] = Math.abs(value - true_[k]); });
      error.pen.putImageData(pixels, 0, 0);
      imagined.note.textContent = `reward ${rounded(reward[at])}`;
      error.note.textContent = `squared error ${rounded(squared[at])}`;
    }
    this.place.classList.toggle("query", !seen);
    const before = content.context - at, query = this.length - content.context;
    this.state.textContent = seen ? `context, seen: ${before} ${before === 1 ? "step" : "steps"} before the query`
      : `query, imagined: step ${1 - before} of ${query}`;
  }

  play(on) {
    clearInterval(this.timer);
    if (on && this.now === this.length - 1) this.go(0);
    this.timer = on ? setInterval(() => this.now < this.length - 1 ? this.go(this.now + 1) : this.play(false), 80) : null;
    this.button.textContent = on ? "Pause" : "Play";
  }
}

const films = data("films").map((content) => new Film(document.getElementById(`film-${content.episode}`), content));
