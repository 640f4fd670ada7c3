// The table of places and records.

/** What a cell of a stored value looks like: the kinds that are easily confused are words, dimmed. */
function valueCell(cell, number = cell.kind === "number") {
  const special = { null: 1, nan: 1, nat: 1, infinite: 1, empty: 1, blank: 1, bytes: 1 }[cell.kind];
  return h("td", { class: [special ? "special" : "", number ? "number" : ""].join(" ").trim() || null,
    title: cell.text.length > 24 ? cell.text : null, "data-copy": cell.copy == null ? null : cell.copy }, cell.text);
}

function tableView({ model, ask, root, ticking }) {
  const head = h("tr"), body = h("tbody"), statement = h("div", { class: "statement" }), note = h("p", { class: "note", hidden: true });
  const grid = h("table", { role: "grid", "aria-label": "Places and records" }, h("thead", {}, head), body);
  const box = h("div", { class: "list" }, statement, note, h("div", { class: "scroll" }, grid));
  const rows = () => [...body.querySelectorAll("tr[data-focus]")];
  const home = () => rows()[0] || root;

  function header(column) {
    const sort = model.get("table").ordered === false ? "" : model.get("sort"), up = sort === column.path, down = sort === `-${column.path}`;
    const now = model.get("sort"), next = now === column.path ? `-${column.path}` : now === `-${column.path}` ? "" : column.path;
    return h("th", { scope: "col", class: { number: "number", format: "kind" }[column.kind === "number" ? "number" : column.path], "aria-sort": up ? "ascending" : down ? "descending" : "none" },
      // The rows of a search are in the order of their scores as they are.
      column.path === "score" ? column.name : h("button", { type: "button", class: "sort", "data-focus": `sort ${column.path}`, onclick: () => ask("sort", { by: next }) },
        column.name, h("span", { class: "arrow", "aria-hidden": "true" }, up ? " ▲" : down ? " ▼" : "")),
      column.note ? h("div", { class: "marks" }, column.note) : null);
  }

  function place(line, columns) {
    const rest = columns.slice(1).map((column) => column.path === "format" ? h("td", { class: "kind dim" }, line.kind)
      : h("td", { class: "number dim" }, column.path === "size" ? line.size : ""));
    return h("tr", { class: "place", tabindex: -1, "data-focus": `place ${line.id}`, "aria-selected": "false", onclick: () => ask("go", { path: line.id }) },
      h("td", { class: "name", title: [line.name, line.count].filter(Boolean).join(" · ") }, icon(line.kind), line.name, h("span", { class: "dim many" }, line.count)), rest);
  }

  function cells(row, columns) {
    let field = 0;
    return columns.map((column) => {
      if (column.kind === "data") return valueCell(row.cells[field++] || { text: "", kind: "null" });
      if (column.path === "key") return h("td", { class: "name", title: row.name }, row.name);
      if (column.path === "score") return h("td", { class: "number" }, row.score);
      if (column.path === "size") return h("td", { class: "number" }, row.size_text);
      if (column.path === "format") return h("td", { class: "kind" }, h("span", { class: "tag" }, row.kind));
      if (column.path === "expires_at") return h("td", { class: "ttl" }, ticking(row));
      return h("td", { class: "dim", title: row.updated || "not known" }, ago(row.age));
    });
  }

  const record = (row, columns) => h("tr", { tabindex: -1, "data-focus": row.uri, "data-uri": row.uri, "aria-selected": "false",
    onclick: () => ask("select", { uri: row.uri }) }, cells(row, columns));

  function nothing(table) {
    const path = model.get("path");
    if (!path) return "Open a provider on the left.";
    if (model.get("error").title && !table.columns) return "";
    if (model.get("busy") && !table.columns) return "";
    if (table.filtered) return table.stopped ? "Nothing matches so far." : "Nothing here matches the filter.";
    return table.places && table.places.length ? "No records directly here: open a place above." : "Nothing here yet.";
  }

  let drawn = [];
  function draw() {
    const table = model.get("table"), columns = table.columns || [], places = table.places || [], records = model.get("rows");
    // The rows, which may be many, are another array only when they are others.
    const now = [records, JSON.stringify({ ...table, measured: null, filter_note: null }), model.get("sort"), model.get("path"), records.length ? "" : nothing(table)];
    if (now.some((each, i) => each !== drawn[i])) {
      drawn = now;
      grid.className = columns.some((each) => each.kind === "data") ? "" : "plain";
      redraw(grid, () => {
        head.replaceChildren(...columns.map(header));
        const found = [...places.map((each) => place(each, columns)), ...records.map((row) => record(row, columns))];
        const words = records.length ? "" : nothing(table);
        body.replaceChildren(...found, ...(words ? [h("tr", {}, h("td", { class: "empty", colspan: Math.max(1, columns.length) }, words))] : []));
      }, home);
      drawStatement(table);
      note.textContent = table.note || "";
      note.hidden = !table.note;
    }
    mark();
  }

  function mark() {
    const selected = model.get("selected"), active = box.getRootNode().activeElement;
    let shown;
    for (const row of rows()) {
      const is = !!selected && row.dataset.uri === selected;
      row.setAttribute("aria-selected", String(is));
      if (is) shown = row;
    }
    rove(body, "tr[data-focus]", body.contains(active) ? active : shown);
  }

  function drawStatement(table) {
    if (!table.statement) return statement.replaceChildren(...structure(table));
    const whole = table.parameters && table.parameters.length ? `${table.statement}\n-- parameters: ${table.parameters.join(", ")}` : table.statement;
    const shown = h("pre", { hidden: true, tabindex: 0, "aria-label": "Statement to copy" });
    const copied = button("copy", () => copy(whole, (word) => { copied.textContent = word; }, shown), { "data-focus": "copy statement", "aria-label": "copy the statement" });
    statement.replaceChildren(h("details", {}, h("summary", { title: "what ran on the backend" }, h("code", {}, table.statement.replace(/\s+/g, " "))), h("pre", {}, whole)), ...structure(table), copied, shown);
  }

  const structure = ({ fields = [] }) => fields.length ? [h("details", { class: "fields" }, h("summary", {}, `${fields.length} columns`),
    h("dl", {}, fields.map(([name, marks]) => [h("dt", {}, name), h("dd", {}, marks)])))] : [];

  body.addEventListener("keydown", (event) => {
    const items = rows(), current = event.target.closest("tr[data-focus]");
    if (!current) return;
    const go = (wanted) => { rove(body, "tr[data-focus]", wanted); wanted.focus(); };
    const keys = {
      Enter: () => current.click(), " ": () => current.click(),
      PageDown: () => model.get("table").next && ask("page", { page: model.get("page") + 1 }),
      PageUp: () => model.get("page") > 0 && ask("page", { page: model.get("page") - 1 }),
      Delete: () => current.dataset.uri && (current.click(), ask("ask_delete", { uri: current.dataset.uri })),
    };
    if (keys[event.key]) keys[event.key]();
    else if (!travel(event, items, go)) return;
    event.preventDefault();
  });
  return { element: box, draw, focus: () => home().focus() };
}
