// The tree of providers and places.

function treeView({ model, ask, root }) {
  const box = h("div", { class: "tree", role: "tree", "aria-label": "Providers and places" });
  const home = () => box.querySelector("[role=treeitem]") || root;

  const badge = ({ state, text, title } = {}) => {
    if (!state) return null;
    const sign = { up: "●", slow: "●", down: "✕", unknown: "?" }[state];
    return h("span", { class: `badge ${state}`, title }, h("span", { "aria-hidden": "true" }, `${sign} `), text || state);
  };

  function item(line) {
    if (line.more)
      return h("div", { role: "treeitem", class: "item more", "data-focus": line.id, "data-more": line.more, tabindex: -1,
        "aria-level": line.level, style: `--level:${line.level}`, onclick: () => ask("more", { path: line.more }) }, "load more");
    const counted = line.count || line.size, here = model.get("path") === line.id;
    return h("div", { role: "treeitem", class: "item", "data-focus": line.id, tabindex: -1, "aria-level": line.level,
      "aria-expanded": line.open == null ? null : String(line.open), "aria-selected": String(here),
      style: `--level:${line.level}`, title: [line.label, line.records, line.size, line.note].filter(Boolean).join(" · "),
      onclick: (event) => event.target.closest(".twisty") ? ask("open", { path: line.id }) : ask("go", { path: line.id }) },
      h("span", { class: "twisty", "aria-hidden": "true" }, line.open == null ? "" : line.open ? "▾" : "▸"),
      icon(line.kind), h("span", { class: "label" }, line.label),
      (line.level === 1 ? badge(model.get("badges")[line.id]) : null) || (counted ? h("span", { class: "badge" }, counted) : null));
  }

  let shown = "";
  function draw() {
    redraw(box, () => box.replaceChildren(...model.get("tree").map(item)), home);
    const active = box.getRootNode().activeElement;
    const here = box.querySelector("[aria-selected=true]");
    rove(box, "[role=treeitem]", box.contains(active) ? active : here);
    if (here && shown !== model.get("path")) {
      shown = model.get("path");
      box.scrollTop = Math.max(Math.min(box.scrollTop, here.offsetTop - box.offsetTop), here.offsetTop - box.offsetTop + here.offsetHeight - box.clientHeight);
    }
  }

  box.addEventListener("keydown", (event) => {
    const items = [...box.querySelectorAll("[role=treeitem]")], current = event.target.closest("[role=treeitem]");
    if (!current) return;
    const go = (wanted) => { rove(box, "[role=treeitem]", wanted); wanted.focus(); };
    const open = current.getAttribute("aria-expanded"), level = Number(current.getAttribute("aria-level"));
    const above = () => items.slice(0, items.indexOf(current)).findLast((each) => Number(each.getAttribute("aria-level")) < level);
    const keys = {
      Enter: () => current.click(), " ": () => current.click(),
      ArrowRight: () => open === "false" ? ask("open", { path: current.dataset.focus, want: true }) : open && go(items[items.indexOf(current) + 1] || current),
      ArrowLeft: () => open === "true" ? ask("open", { path: current.dataset.focus, want: false }) : above() && go(above()),
    };
    if (keys[event.key]) keys[event.key]();
    else if (!travel(event, items, go)) return;
    event.preventDefault();
  });
  return { element: box, draw };
}
