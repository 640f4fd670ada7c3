// One view of the browser: wires the parts to the model. Views share nothing but the model.

/** Questions to the kernel, each with a number; says when the kernel is busy with a cell, or gone. */
function wire(model, said) {
  const me = Math.random().toString(36).slice(2, 10), open = new Map();
  let count = 0, dead = false, met = false;

  function send(op, more) {
    if (dead) return null;
    const id = `${me}:${++count}`;
    try {
      model.send({ op, id, ...more });
    } catch {
      dead = true;
      forget();
      said("dead");
      return null;
    }
    // Each has its own time: who clicks again and again is to be told as well.
    open.set(id, { heard: false, answer: null, timer: setTimeout(() => said(met ? "waiting" : "silent"), 1500) });
    return id;
  }

  function forget() {
    for (const each of open.values()) clearTimeout(each.timer);
    open.clear();
  }

  function take(message, buffers) {
    const question = open.get(message.ask);
    if (!question) return; // another view asked
    if (message.op === "nothing") open.delete(message.ask); // there is no answer to give; the foot says why
    else if (message.op === "heard") {
      question.heard = met = true;
      clearTimeout(question.timer);
      if (!question.answer) open.delete(message.ask);
      if (![...open.values()].some((each) => !each.heard)) said("heard");
    } else if (question.answer && question.answer((buffers || []).map((each) => new Uint8Array(each.buffer || each, each.byteOffset || 0, each.byteLength)), message) !== false) {
      open.delete(message.ask);
    }
  }
  model.on("msg:custom", take);
  return {
    ask: (op, more = {}) => { send(op, more); },
    wait: (op, more, answer) => { const id = send(op, more); if (id) open.get(id).answer = answer; },
    close: () => { forget(); model.off("msg:custom", take); },
  };
}

/** What ends a prefix, where that can be chosen: one of the usual ones, or another text. */
function delimiterView(model, choose) {
  const usual = [":", "/", ".", "-", "_", "|"], other = "other…", shown = (text) => text.replace(/ /g, "␣");
  const pick = h("select", { "aria-label": "delimiter", onchange: () => pick.value === other ? write() : choose(pick.value) });
  const box = h("input", { type: "text", "aria-label": "other delimiter", maxlength: 8, size: 3, hidden: true, autocomplete: "off", spellcheck: "false" });
  const element = h("span", { class: "choice", title: "what ends a prefix of the keys" }, h("span", { "aria-hidden": "true" }, "delimiter"), pick, box);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && box.value) { choose(box.value); done(); }
    if (event.key === "Escape") { event.stopPropagation(); done(); }
  });
  box.addEventListener("blur", draw);
  function write() { box.value = ""; box.hidden = false; box.focus(); pick.hidden = true; }
  function done() { pick.hidden = false; pick.focus(); draw(); }

  function draw() {
    const now = model.get("delimiter"), offered = !now || usual.includes(now) ? usual : [...usual, now];
    element.hidden = !now;
    pick.hidden = false;
    box.hidden = true;
    pick.replaceChildren(...[...offered, other].map((each) => h("option", { value: each, selected: each === now }, shown(each))));
  }
  return { element, draw };
}

const COSTS = {
  "compute size": "lists everything below this place, an object store with one request for every 1 000 objects; it can be cancelled",
  "exact count": "has the server count every record here, which takes long where there are many; it can be cancelled",
};

function render({ model, el }) {
  const root = h("div", { class: "pvb", role: "region", "aria-label": "Storage browser", tabindex: -1 });
  el.classList.add("pvb-host");
  el.append(root);
  const clean = [];
  const listen = (target, name, handler) => { target.addEventListener(name, handler); clean.push(() => target.removeEventListener(name, handler)); };

  // ---- the line above: path, filter, what is being done
  const crumbs = h("nav", { class: "crumbs", "aria-label": "Path" });
  const filter = h("input", { type: "search", placeholder: "Filter by name, or {\"field\": value}   ( / )", "aria-label": "Filter", autocomplete: "off", spellcheck: "false", maxlength: 10000 });
  const spin = h("span", { class: "spin", hidden: true, "aria-hidden": "true" }), doing = h("span", { class: "doing", role: "status" });
  const filterNote = h("p", { class: "note filter-note", hidden: true });
  const delimiter = delimiterView(model, (by) => ask("delimit", { by }));
  const mapped = button("map", () => ask("chart", {}), { "data-focus": "map", hidden: true, title: "the vectors in the plane: reads up to 2 000 records with their vectors" });
  const reload = button("refresh", () => ask("refresh"), { "data-focus": "refresh", title: "asks for this page again, and which providers there are" });

  // ---- the line below: errors, counts, pages
  const problem = h("span", { class: "problem", role: "alert", tabindex: -1 }), retry = button("retry", () => ask("retry"), { hidden: true, "data-focus": "retry" });
  const extent = h("span", { class: "extent" }), measured = h("span", { class: "extent" });
  const measure = button("", () => ask("measure"), { hidden: true, "data-focus": "measure" }), stop = button("cancel", () => ask("stop"), { hidden: true, "data-focus": "stop" });
  const further = button("scan more", () => ask("scan_on"), { hidden: true, title: "looks at up to 10 000 more keys, from where the search stopped", "data-focus": "further" });
  const previous = button("‹ prev", () => ask("page", { page: model.get("page") - 1 }), { "data-focus": "previous" });
  const next = button("next ›", () => ask("page", { page: model.get("page") + 1 }), { "data-focus": "next" });
  const live = h("span", { class: "aloud", role: "status", "aria-live": "polite" });
  const say = (words) => { live.textContent = words; };

  let state = "";
  const { ask, wait, close } = wire(model, (now) => { state = now; drawBusy(); if (now === "dead") die(); });
  clean.push(close);

  const parts = { model, ask, wait, root, say, ticking };
  const tree = treeView(parts), table = tableView(parts), preview = previewView(parts), chart = chartView(parts);
  const middle = h("div", { class: "middle" }, chart.element, table.element);
  root.append(h("div", { class: "bar" }, crumbs, filter, delimiter.element, mapped, reload, spin, doing), filterNote, tree.element, middle, preview.element,
    h("div", { class: "foot" }, problem, retry, h("span", { class: "space" }), measured, measure, stop, extent, further, previous, next), live);

  // ---- filter
  let typing;
  filter.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => ask("query", { text: filter.value }), 150); });
  filter.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { clearTimeout(typing); ask("query", { text: filter.value }); }
    if (event.key === "ArrowDown") { event.preventDefault(); table.focus(); }
  });
  clean.push(() => clearTimeout(typing));

  // ---- keys: none of them is for the notebook while the focus is in here
  root.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
    const writing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "/" && !writing) { event.preventDefault(); filter.focus(); filter.select(); }
    if (event.key !== "Escape") return;
    if (model.get("confirm").uri) ask("keep");
    else if (filter.value) { filter.value = ""; clearTimeout(typing); ask("query", { text: "" }); }
  });

  // ---- what counts down does so here, without the kernel
  const counting = new Map();
  function ticking(row) {
    if (row.expires_in == null) return h("span", { class: "dim" }, "no limit");
    const shown = h("span", {}, "");
    counting.set(shown, { uri: row.uri, until: performance.now() + row.expires_in, asked: row.expires_in <= 0 });
    tick();
    return shown;
  }
  function tick() {
    const now = performance.now(), over = [];
    for (const [shown, each] of counting) {
      const rest = each.until - now;
      if (each.drawn && !root.contains(shown)) { counting.delete(shown); continue; }
      each.drawn = each.drawn || root.contains(shown);
      shown.textContent = rest <= 0 ? "expired" : rest < 60000 ? `${left(rest)} soon` : left(rest);
      shown.title = rest <= 0 ? "expired" : `expires in ${Math.ceil(rest / 1000)} s`;
      shown.className = rest < 60000 ? "soon" : "";
      if (rest <= 0 && !each.asked) { each.asked = true; over.push(each.uri); }
    }
    if (over.length) ask("expired", { uris: over }); // these alone: a page that was scanned for stays as it is
  }
  const clock = setInterval(tick, 1000);
  clean.push(() => clearInterval(clock));

  // ---- drawing
  function drawCrumbs() {
    const steps = [["", "all"], ...model.get("crumbs")];
    redraw(crumbs, () => crumbs.replaceChildren(...steps.map(([path, label], i) => h("span", {}, i ? h("span", { class: "sep", "aria-hidden": "true" }, "/") : null,
      h("button", { type: "button", class: "crumb", "data-focus": `crumb ${path}`, title: path || "all providers", "aria-current": i === steps.length - 1 ? "page" : null, onclick: () => ask("go", { path }) }, label.replace(/\/$/, "") || label)))), () => root);
  }

  function drawFoot() {
    const info = model.get("table"), size = info.measured || {}, failed = model.get("error");
    const mapping = !!model.get("chart").drawn;
    extent.textContent = mapping ? "" : info.extent || "";
    previous.hidden = next.hidden = mapping;
    previous.disabled = model.get("page") === 0;
    next.disabled = !info.next;
    further.hidden = !info.stopped;
    further.textContent = info.filtered ? "keep looking" : "scan more";
    measured.textContent = size.text || "";
    measure.hidden = !info.measures || !!size.running;
    measure.textContent = info.measures || "";
    measure.title = COSTS[info.measures] || "";
    stop.hidden = !size.running;
    mapped.hidden = !info.mapped || mapping;
    filterNote.textContent = info.filter_note || "";
    filterNote.hidden = !info.filter_note;
    filter.setAttribute("aria-invalid", String(!!info.filter_note));
    if (state === "dead") return;
    const told = [`${failed.title}: ${failed.class}: ${failed.text}${failed.where ? ` (${failed.where})` : ""}`, ...(failed.also || [])];
    problem.textContent = failed.title ? told.join(" Also: ") : "";
    problem.title = problem.textContent;
    problem.tabIndex = failed.title ? 0 : -1; // a long one scrolls
    retry.hidden = !failed.retry;
  }

  let slow;
  function drawBusy() {
    const busy = model.get("busy");
    root.setAttribute("aria-busy", String(!!busy));
    clearTimeout(slow);
    if (state === "waiting") show("kernel busy, waiting…");
    else if (state === "silent") show("no answer yet: the kernel is busy, or run the cell");
    else if (busy && state !== "dead") slow = setTimeout(() => show(`${busy}…`), 150);
    else show("");
    function show(words) { spin.hidden = !words; doing.textContent = words; doing.title = words; }
  }
  clean.push(() => clearTimeout(slow));

  function die() {
    problem.textContent = "The kernel was restarted or is gone: run the cell again.";
    retry.hidden = true;
    root.classList.add("dead");
    for (const each of root.querySelectorAll("button, input, select")) each.disabled = true;
  }

  function drawFilter() {
    if (filter.getRootNode().activeElement !== filter) filter.value = model.get("query");
  }

  const on = (names, draw) => {
    draw();
    for (const name of names.split(" ")) { model.on(`change:${name}`, draw); clean.push(() => model.off(`change:${name}`, draw)); }
  };
  on("crumbs path", drawCrumbs);
  on("tree path badges", tree.draw);
  on("rows table selected sort path busy error", table.draw);
  on("preview confirm selected read_only busy", preview.draw);
  on("chart", () => { root.classList.toggle("mapping", !!model.get("chart").drawn); chart.draw(); });
  on("preview selected_ids", chart.highlight);
  on("table page chart error", drawFoot);
  on("busy", drawBusy);
  on("query path", drawFilter);
  on("delimiter", delimiter.draw);
  on("notice", () => say(model.get("notice")));

  // A canvas does not follow the theme by itself.
  const themes = new MutationObserver(() => chart.paint());
  for (const node of [document.body, document.documentElement]) themes.observe(node, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class", "theme", "data-vscode-theme-kind"] });
  clean.push(() => themes.disconnect(), preview.close, chart.close);
  ask("hello");
  return () => { clean.forEach((undo) => undo()); root.remove(); };
}

export default { render };
