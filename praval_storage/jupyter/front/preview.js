// The record that is selected: what is known of it, what can be done with it, and its parts by kind.

function previewView({ model, ask, wait, root, say }) {
  const box = h("div", { class: "pane", role: "region", "aria-label": "Preview", tabindex: 0 });
  let urls = [];
  const release = () => { urls.forEach((url) => URL.revokeObjectURL(url)); urls = []; };

  // ---- parts

  function branch(node) {
    const name = node.name == null ? null : [h("span", { class: "field" }, node.name), ": "];
    const leaf = node.kind !== "object" && node.kind !== "array";
    if (leaf) return h("div", { class: "leaf" }, name, h("span", { class: `value ${node.kind}`, title: node.copy == null ? null : node.copy }, node.text));
    return h("details", { open: !!node.open }, h("summary", {}, name, h("span", { class: "value nested" }, node.text)),
      (node.nodes || []).map(branch), node.more ? h("div", { class: "leaf special" }, `${node.more} more`) : null);
  }

  const numeric = (part, i) => { const known = part.rows.map((row) => row[i].kind).filter((kind) => kind !== "null" && kind !== "nan"); return known.length > 0 && known.every((kind) => kind === "number" || kind === "infinite"); };
  const column = (each, number) => h("th", { scope: "col", class: number ? "number" : null }, each.name,
    h("div", { class: "marks" }, each.dtype + (each.nulls == null ? "" : each.nulls ? ` · ${each.nulls} null` : " · no null")));

  function frame(part) {
    const numbers = part.columns.map((_, i) => numeric(part, i));
    const rows = part.rows.map((row) => h("tr", {}, row.map((cell, i) => valueCell(cell, numbers[i]))));
    const shown = `${part.height == null ? "?" : part.height} rows × ${part.width} columns` +
      (part.height != null && part.rows.length < part.height ? `, first ${part.rows.length} rows` : "") +
      (part.columns.length < part.width ? `, first ${part.columns.length} columns` : "");
    return [h("div", { class: "scroll frame", tabindex: 0, role: "region", "aria-label": "Rows of the table" },
      h("table", {}, h("thead", {}, h("tr", {}, part.columns.map((each, i) => column(each, numbers[i])))), h("tbody", {}, rows))), h("p", { class: "dim" }, shown)];
  }

  function text(part) {
    // In full is up to 16 MB of a text, and 64 kB of a hex dump.
    const all = part.type === "text" || part.more < 65000 ? "show all" : "show more";
    const more = part.more ? button(`${all}, ${part.more} bytes more`, () => ask("in_full", { uri: model.get("selected") }), { "data-focus": "in full" }) : null;
    return [h("pre", { tabindex: 0, "aria-label": "Text" }, part.text), more];
  }

  function picture(part) {
    const image = h("img", { alt: part.alt, width: part.width, class: part.width ? "drawn" : null });
    wait("blob", { blob: part.blob }, ([bytes]) => {
      const url = URL.createObjectURL(new Blob([bytes], { type: part.mime }));
      urls.push(url);
      image.src = url;
    });
    return h("figure", {}, image, part.width ? h("figcaption", { class: "dim" }, part.alt) : null);
  }

  const sparkline = (part) => h("figure", {}, h("img", { class: "spark", src: part.src.startsWith("data:image/svg+xml;") ? part.src : null, alt: part.alt }),
    h("figcaption", { class: "dim" }, `${part.name}: ${part.alt}`));

  const neighbours = (part) => [h("p", { class: "subtitle" }, `Nearest by ${part.metric}`), h("ol", { class: "near" }, part.items.map((each) =>
    h("li", {}, button(each.key, () => ask("select", { uri: each.uri }), { class: "link", "data-focus": `near ${each.uri}` }),
      h("span", { class: "number" }, each.score.toFixed(3)))))];

  const PARTS = { tree: (part) => h("div", { class: "json" }, branch(part.root)), table: frame, text, hex: text, image: picture, sparkline, neighbours };

  // ---- what can be done

  function actions(preview, snippet) {
    const uri = preview.uri, asked = model.get("confirm"), words = model.get("read_only");
    if (asked.uri === uri) return question(asked);
    const copied = button("copy snippet", () => copy(preview.snippet, (word) => { copied.textContent = word; say(word); }, snippet), { "data-focus": "copy", title: "Python that reads this record" });
    const load = button("download", () => download(uri, snippet), { "data-focus": "download", title: "the bytes as they are stored" });
    const drop = words ? h("span", { class: "dim" }, `read-only: ${words}`) :
      button("delete…", () => ask("ask_delete", { uri }), { class: "act danger", "data-focus": "delete", title: "asks first" });
    return h("div", { class: "actions" }, copied, load, drop);
  }

  const question = (asked) => h("div", { class: "actions question", role: "alertdialog", "aria-label": "Confirm the deletion" },
    h("span", { class: "words" }, asked.words), asked.note ? h("span", { class: "dim" }, asked.note) : null, button("keep", () => ask("keep"), { "data-focus": "keep" }),
    button("delete", () => ask("delete", { uri: asked.uri }), { class: "act danger", "data-focus": "really delete" }));

  function download(uri, shown) {
    const pieces = [];
    wait("download", { uri }, ([bytes], message) => {
      if (message.op === "link") {
        if (/^https?:/.test(message.url)) save(message.name, message.url, true);
        else { shown.hidden = false; shown.textContent = message.words; say(message.words); }
        return true;
      }
      pieces[message.piece] = bytes;
      if (pieces.filter(Boolean).length < message.pieces) return false;
      const url = URL.createObjectURL(new Blob(pieces));
      save(message.name, url);
      setTimeout(() => URL.revokeObjectURL(url), 10000);
      return true;
    });
  }

  /** What has no body, as a row of a table or a hash, can be shown in one way only. */
  const formats = ({ formats: known = [], as }) => known.length ?
    choice("show as", [["", "automatic"], ...known], as, (format) => ask("show_as", { format }), "show as") : null;

  // ---- all of it

  function nothing() {
    const chosen = model.get("selected"), busy = model.get("busy");
    return h("p", { class: "empty" }, chosen && busy ? `${busy}…` : chosen ? "" : "Choose a record to see it here.");
  }

  function content() {
    const preview = model.get("preview");
    if (!preview.kind) return [nothing()];
    const snippet = h("pre", { class: "snippet", hidden: true, tabindex: 0, "aria-label": "Text to copy" });
    const facts = preview.facts.map(([key, value]) => [h("dt", {}, key), h("dd", {}, value)]);
    return [h("p", { class: "title", title: preview.uri }, preview.name), h("p", { class: "dim uri" }, preview.uri), actions(preview, snippet), snippet,
      h("dl", {}, facts), formats(preview), preview.notes.map((note) => h("p", { class: "note" }, note)), ...preview.parts.map((part) => (PARTS[part.type] || (() => null))(part))];
  }

  let drawn = null, slow;
  function draw() {
    const preview = model.get("preview"), confirm = model.get("confirm"), asked = confirm.uri || "", locked = model.get("read_only");
    // What is there stays: a redraw would close what was opened and fetch images anew.
    if (preview.kind && drawn && drawn.preview === preview && drawn.confirm === confirm && drawn.locked === locked) return settle(preview);
    clearTimeout(slow);
    // An old preview stays for a moment: a fast answer replaces it without a flash of nothing.
    if (!preview.kind && model.get("selected") && drawn && model.get("busy")) slow = setTimeout(show, 150);
    else show();
    function show() {
      const before = drawn && drawn.asked, same = drawn && drawn.preview === preview;
      release();
      redraw(box, () => box.replaceChildren(...content().flat(2).filter(Boolean)), () => box.querySelector(asked ? "[data-focus=keep]" : "[data-focus=delete]") || box);
      if (!same) box.scrollTop = 0;
      if (asked && asked !== before) box.querySelector("[data-focus=keep]").focus();
      drawn = { preview, asked, confirm, locked };
    }
  }
  /** A format that could not be had, because its provider failed, is not the one that is shown. */
  function settle(preview) {
    const pick = box.querySelector("[data-focus='show as']");
    if (pick && !model.get("busy")) pick.value = preview.as;
  }
  return { element: box, draw, close: () => { clearTimeout(slow); release(); } };
}
