// The map of a collection of vectors: points on a canvas, and the same points as a list.

const SAMPLES = [500, 2000, 5000, 20000];
const LISTED = 100;

function chartView({ model, ask, wait, root }) {
  const controls = h("div", { class: "controls" }), canvas = h("canvas", { role: "img" }), tip = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
  const legend = h("div", { class: "legend", role: "group", "aria-label": "Legend" }), list = h("tbody");
  const facts = h("p", { class: "dim facts" });
  const titled = h("th", { scope: "col" }, "title");
  const table = h("table", { role: "grid", "aria-label": "Points of the map" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "point"), titled, h("th", { scope: "col" }, "colour"))), list);
  const box = h("div", { class: "chart", hidden: true }, controls, h("div", { class: "plane" }, canvas, tip), facts, legend, h("div", { class: "scroll points" }, table));
  let points = null, keys = [], names = [], titles = [], values = [], codes = null, number = -1, hidden = new Set(), hover = -1, drag = null, listed = LISTED;

  const chart = () => model.get("chart");
  const shown = (i) => !codes || !hidden.has(codes[i]);
  const selectedKey = () => (model.get("preview").uri === model.get("selected") ? model.get("preview").key : undefined);
  const nearKeys = () => new Set((model.get("preview").parts || []).filter((part) => part.type === "neighbours").flatMap((part) => part.items.map((each) => each.key)));

  // ---- controls

  const pick = (label, options, current, change) => choice(label, options, current, change, `chart ${label}`);

  function drawControls() {
    const { vectors = [], vector, fields = [], colour = {}, sample_text: text, total, sampled } = chart();
    const again = (more) => ask("chart", { vector, colour: colour.field, sample: wanted(sampled), seed: chart().drawn, ...more });
    redraw(controls, () => controls.replaceChildren(
      ...[vectors.length > 1 && pick("vector", vectors.map((each) => [each, each || "default"]), vector, (value) => again({ vector: value, seed: 0 })),
        pick("colour by", [["", "nothing"], ...fields.map((each) => [each, each])], colour.field || "", (field) => ask("colour", { field })),
        total > SAMPLES[0] && pick("sample", SAMPLES.filter((each, i) => !i || SAMPLES[i - 1] < total).map((each) => [String(each), String(each)]), String(wanted(sampled)), (sample) => again({ sample: Number(sample) })),
        h("span", { class: "dim" }, text || ""), total > sampled && button("resample", () => again({}), { "data-focus": "resample", title: "another sample: reads as many records with their vectors again" }),
        button("show rows", () => ask("undraw"), { "data-focus": "undraw", title: "the table of the records again" })].filter(Boolean)), () => box);
  }

  const wanted = (sampled) => SAMPLES.find((each) => each >= sampled) || SAMPLES[SAMPLES.length - 1];

  const mark = (entry) => {
    const swatch = h("span", { class: "swatch", "aria-hidden": "true" }, SHAPES[entry.shape] || "●");
    swatch.style.color = entry.colour;
    return swatch;
  };

  function drawLegend() {
    const entries = (chart().colour || {}).legend || [];
    redraw(legend, () => legend.replaceChildren(...entries.map((entry, code) => [entry, code]).filter(([entry]) => entry.count).map(([entry, code]) => {
      return h("button", { type: "button", class: "act", "data-focus": `legend ${code}`, "aria-pressed": String(!hidden.has(code)),
        onclick: () => { if (!hidden.delete(code)) hidden.add(code); drawLegend(); drawList(); paint(); } }, mark(entry), ` ${entry.label} `, h("span", { class: "dim" }, String(entry.count)));
    })), () => box);
  }

  const SHAPES = { circle: "●", square: "■", triangle: "▲", diamond: "◆", cross: "✚", star: "★", plus: "✚", down: "▼", ring: "○", hexagon: "⬢", pentagon: "⬟", dot: "•" };

  function drawList() {
    const near = nearKeys(), anchor = selectedKey(), colour = (chart().colour || {}).legend || [];
    const order = keys.map((_, i) => i).filter(shown);
    const some = order.slice(0, listed);
    titled.hidden = !titles.some(Boolean);
    const value = (i) => codes && colour[codes[i]] ? [mark(colour[codes[i]]), ` ${values[i] || colour[codes[i]].label}`] : [];
    redraw(table, () => list.replaceChildren(...some.map((i) => h("tr", { tabindex: -1, "data-focus": `point ${keys[i]}`, "data-key": keys[i], "aria-selected": String(keys[i] === anchor), onclick: () => ask("select_key", { key: keys[i] }) },
      h("td", { class: "name", title: names[i] }, names[i], near.has(keys[i]) ? h("span", { class: "tag" }, "neighbour") : null), titled.hidden ? null : h("td", { class: "words", title: titles[i] }, titles[i]), h("td", {}, ...value(i)))),
      ...(order.length > some.length ? [h("tr", {}, h("td", { colspan: 3 }, button(`show ${Math.min(LISTED, order.length - some.length)} more of ${order.length}`, () => { listed += LISTED; drawList(); }, { "data-focus": "more points" })))] : [])),
      () => list.querySelector("tr") || root);
    rove(list, "tr[data-focus]", list.querySelector("[aria-selected=true]"));
  }

  list.addEventListener("keydown", (event) => {
    const items = [...list.querySelectorAll("tr[data-focus]")], current = event.target.closest("tr[data-focus]");
    if (!current) return;
    if (event.key === "Enter" || event.key === " ") { if (event.target === current) { current.click(); event.preventDefault(); } }
    else if (travel(event, items, (wanted) => { rove(list, "tr[data-focus]", wanted); wanted.focus(); })) event.preventDefault();
  });

  // ---- the canvas

  function geometry() {
    const { clientWidth: width, clientHeight: height } = canvas, side = Math.max(10, Math.min(width, height) / 2 - 10);
    return { width, height, at: (i) => [width / 2 + points[2 * i] * side, height / 2 - points[2 * i + 1] * side] };
  }

  function paint() {
    if (!points || !canvas.clientWidth) return;
    const scale = window.devicePixelRatio || 1, { width, height, at } = geometry(), pen = canvas.getContext("2d");
    canvas.width = width * scale;
    canvas.height = height * scale;
    pen.scale(scale, scale);
    // Read when drawing, so that another theme takes effect.
    const style = getComputedStyle(root), ink = style.getPropertyValue("--pv-fg"), accent = style.getPropertyValue("--pv-accent");
    const colours = ((chart().colour || {}).legend || []).map((entry) => entry.colour), anchor = selectedKey(), near = nearKeys();
    const chosen = new Set(model.get("selected_ids")), some = chosen.size || (anchor !== undefined && keys.includes(anchor));
    const size = points.length > 20000 ? 2 : points.length > 4000 ? 2.6 : 3.4, bright = [];
    for (let i = 0; i < keys.length; i++) {
      if (!shown(i)) continue;
      if (keys[i] === anchor || near.has(keys[i]) || chosen.has(keys[i])) { bright.push(i); continue; }
      dot(i, some ? 0.18 : 0.75, size);
    }
    for (const i of bright) {
      dot(i, 1, size + 1.5);
      const [x, y] = at(i);
      pen.globalAlpha = 1;
      pen.strokeStyle = keys[i] === anchor ? accent : ink;
      pen.lineWidth = keys[i] === anchor ? 2.5 : 1;
      pen.beginPath(); pen.arc(x, y, size + (keys[i] === anchor ? 5 : 3), 0, 7); pen.stroke();
    }
    if (drag) {
      pen.globalAlpha = 1; pen.strokeStyle = accent; pen.setLineDash([4, 3]);
      pen.strokeRect(drag.x, drag.y, drag.to[0] - drag.x, drag.to[1] - drag.y);
    }
    function dot(i, alpha, radius) {
      const [x, y] = at(i);
      pen.globalAlpha = alpha;
      pen.fillStyle = (codes && colours[codes[i]]) || accent;
      pen.beginPath(); pen.arc(x, y, radius, 0, 7); pen.fill();
    }
  }

  const where = (event) => { const { left: x, top: y } = canvas.getBoundingClientRect(); return [event.clientX - x, event.clientY - y]; };

  function nearest(event) {
    const [x, y] = where(event), { at } = geometry();
    let best = -1, least = 100;
    for (let i = 0; i < keys.length; i++) {
      if (!shown(i)) continue;
      const [px, py] = at(i), distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < least) { least = distance; best = i; }
    }
    return best;
  }

  canvas.addEventListener("pointermove", (event) => {
    if (!points) return;
    if (drag) { drag.to = where(event); paint(); return; }
    hover = nearest(event);
    tip.hidden = hover < 0;
    if (hover < 0) return;
    const [x, y] = geometry().at(hover);
    tip.textContent = [names[hover], titles[hover], values[hover]].filter(Boolean).join(" · ");
    tip.style.left = `${Math.min(x + 10, canvas.clientWidth - 40)}px`;
    tip.style.top = `${y + 10}px`;
  });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  canvas.addEventListener("pointerdown", (event) => {
    if (!event.shiftKey || !points) return;
    const [x, y] = where(event);
    drag = { x, y, to: [x, y] };
    canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!points) return;
    if (!drag) {
      const found = nearest(event);
      if (found < 0) { ask("choose", { keys: [] }); ask("select", { uri: "" }); }
      else ask("select_key", { key: keys[found] });
      return;
    }
    const { at } = geometry(), [x0, x1] = [drag.x, drag.to[0]].sort((a, b) => a - b), [y0, y1] = [drag.y, drag.to[1]].sort((a, b) => a - b);
    drag = null;
    const inside = (i) => { const [x, y] = at(i); return shown(i) && x >= x0 && x <= x1 && y >= y0 && y <= y1; };
    ask("choose", { keys: keys.filter((_, i) => inside(i)) });
    paint();
  });
  canvas.addEventListener("pointercancel", () => { drag = null; paint(); });

  // ---- all of it

  function draw() {
    const map = chart(), on = !!map.drawn;
    box.hidden = !on;
    if (!on) { points = null; number = -1; hidden = new Set(); return; }
    drawControls();
    const words = [map.explained_text, `${map.size} dimensions, ${map.metric}`, ...(map.notes || [])].filter(Boolean).join(" · ");
    facts.textContent = words;
    canvas.setAttribute("aria-label", `Map of ${map.title}, ${words}; the same points are in the list below`);
    if (map.drawn === number) return highlight();
    number = map.drawn;
    listed = LISTED;
    hidden = new Set();
    drawLegend();
    wait("points", {}, (buffers) => {
      if (buffers.length < 3) return;
      const floats = buffers[0];
      points = new Float32Array(floats.buffer.slice(floats.byteOffset, floats.byteOffset + floats.byteLength));
      codes = new Uint8Array(buffers[1].buffer, buffers[1].byteOffset, buffers[1].byteLength);
      if (!codes.length) codes = null;
      ({ keys, names, titles, values } = JSON.parse(new TextDecoder().decode(buffers[2])));
      drawList();
      paint();
    });
  }
  const highlight = () => { if (points) { drawList(); paint(); } };
  const watcher = new ResizeObserver(paint);
  watcher.observe(canvas);
  return { element: box, draw, highlight, paint, close: () => watcher.disconnect() };
}
