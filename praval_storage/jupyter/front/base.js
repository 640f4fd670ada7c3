// Building blocks. Text from stores only ever becomes a text node: nothing here parses HTML.

const FOCUSABLE = /^(a|button|input|select|summary|textarea)$/;

/** An element: properties are attributes, `class`, or listeners (`onclick`); children are elements or texts. */
function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  // JupyterLab looks for this mark on the focused element itself before one-letter shortcuts act on cells.
  if (props.tabindex != null || FOCUSABLE.test(tag)) element.setAttribute("data-lm-suppress-shortcuts", "true");
  element.append(...children.flat(2).filter((child) => child != null && child !== false));
  return element;
}

const ICONS = {
  provider: "M3 4.2c0-1.2 2.2-2 5-2s5 .8 5 2v7.6c0 1.2-2.2 2-5 2s-5-.8-5-2zM3 4.2c0 1.2 2.2 2 5 2s5-.8 5-2M3 8c0 1.2 2.2 2 5 2s5-.8 5-2",
  bucket: "M2.5 4h11l-1.3 9.2H3.8zM2.5 4c0-1 2.5-1.7 5.5-1.7s5.5.7 5.5 1.7",
  folder: "M1.8 3.5h4.4l1.4 1.6h6.6v8H1.8z",
  schema: "M2.5 2.5h4v4h-4zM9.5 9.5h4v4h-4zM4.5 6.5v5h5",
  table: "M2 3h12v10H2zM2 6.3h12M2 9.6h12M6.5 6.3V13",
  view: "M1.5 8s2.4-4 6.5-4 6.5 4 6.5 4-2.4 4-6.5 4-6.5-4-6.5-4zM8 6.3a1.7 1.7 0 1 1 0 3.4 1.7 1.7 0 0 1 0-3.4z",
  prefix: "M5.2 4.2a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM8 8h6M11.5 8v2.6",
  collection: "M4 4.5h.1M8 3h.1M11.5 5.5h.1M5 9h.1M9 8h.1M12.5 10h.1M3.5 12.5h.1M8 12.5h.1",
  record: "M3.5 1.8h6l3 3v9.4h-9zM9.5 1.8v3h3",
};

/** A decorative icon; what it means always stands beside it in words. */
function icon(kind) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of Object.entries({ viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true", class: `icon ${kind}` }))
    svg.setAttribute(name, value);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[kind] || ICONS.record);
  svg.append(path);
  return svg;
}

const button = (label, onclick, props = {}) => h("button", { type: "button", class: "act", onclick, ...props }, label);

/** A list to choose from, with its label before it. Options are pairs of value and words. */
const choice = (label, options, current, change, mark) => h("label", { class: "choice" }, label,
  h("select", { "data-focus": mark, onchange: (event) => change(event.target.value) },
    options.map(([value, words]) => h("option", { value, selected: value === current }, words))));

/** Only one of many elements is a tab stop; arrows go from one to the next. */
function rove(box, selector, wanted) {
  const items = [...box.querySelectorAll(selector)];
  const stop = items.includes(wanted) ? wanted : items[0];
  for (const item of items) item.tabIndex = item === stop ? 0 : -1;
  return items;
}

/** Moves the focus for an arrow key, Home or End; says whether the key was one of these. */
function travel(event, items, go) {
  const at = items.indexOf(event.target);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (at < 0 || to === undefined) return false;
  go(items[Math.max(0, Math.min(items.length - 1, to))]);
  return true;
}

/** Redraws a part without losing the focus: an element that went would hand the next key to the notebook. */
function redraw(box, draw, fallback) {
  const active = box.getRootNode().activeElement;
  const had = box.contains(active) ? active.dataset.focus : undefined;
  const scrolled = [box.scrollTop, box.scrollLeft];
  draw();
  [box.scrollTop, box.scrollLeft] = scrolled;
  if (had === undefined) return;
  const again = [...box.querySelectorAll("[data-focus]")].find((each) => each.dataset.focus === had);
  (again && !again.disabled ? again : fallback()).focus({ preventScroll: true });
}

/** `40 s`, `5 min`, `2 h`, `3 d`, `2 y`: how long ago. */
function ago(seconds) {
  if (seconds == null) return "-";
  for (const [unit, size] of [["y", 31557600], ["d", 86400], ["h", 3600], ["min", 60]])
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  return `${Math.max(0, Math.floor(seconds))} s`;
}

/** `04:59`, `2 h 05 min`, `3 d 4 h`: how long still. */
function left(milliseconds) {
  const seconds = Math.ceil(milliseconds / 1000), two = (number) => String(number).padStart(2, "0");
  if (seconds < 3600) return `${two(Math.floor(seconds / 60))}:${two(seconds % 60)}`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

/** Copies a text; where the page may not, the text appears, selected. */
async function copy(text, said, shown) {
  try {
    await navigator.clipboard.writeText(text);
    said("copied");
  } catch {
    shown.hidden = false;
    shown.textContent = text;
    getSelection().selectAllChildren(shown);
    said("press Ctrl+C or ⌘C");
  }
}

/** Hands a file to the browser. A link to another host opens in a tab of its own: it must not replace the notebook. */
function save(name, url, elsewhere = false) {
  h("a", { href: url, download: name, rel: "noopener noreferrer", target: elsewhere ? "_blank" : null }).click();
}
