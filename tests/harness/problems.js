// What is cut, lies over something else, or is too wide in the browser on this page.
() => {
    const root = document.querySelector(".pvb"), problems = [];
    const name = (e) => e.dataset.focus || e.className || e.tagName;
    const wide = (e) => e.scrollWidth > e.clientWidth + 1;
    if (document.documentElement.scrollWidth > innerWidth) problems.push("the page scrolls");
    const plain = document.querySelector(".pvb table.plain") ? [".list > .scroll"] : [];
    for (const part of [".bar", ".foot", ".tree", ".middle", ".pane", ".controls", ".actions", ".legend", ...plain])
        for (const e of document.querySelectorAll(`.pvb ${part}`)) if (wide(e)) problems.push(`too wide: ${name(e)}`);
    for (const e of document.querySelectorAll(".pvb [aria-level='1'] .label")) if (wide(e)) problems.push(`cut: ${e.textContent}`);
    if (wide(root) || root.scrollHeight > root.clientHeight + 1) problems.push("more than the root has room for");
    // What is to be seen of an element, and whether it is cut where nobody can scroll.
    function seen(element) {
        let { left, right, top, bottom } = element.getBoundingClientRect(), cut = false;
        for (let box = element.parentElement; root.contains(box); box = box.parentElement) {
            const style = getComputedStyle(box), edge = box.getBoundingClientRect();
            if (style.overflowX === "visible") continue;
            cut = cut || ((left < edge.left - 1 || right > edge.right + 1) && style.overflowX === "hidden");
            cut = cut || ((top < edge.top - 1 || bottom > edge.bottom + 1) && style.overflowY === "hidden");
            [left, right] = [Math.max(left, edge.left), Math.min(right, edge.right)];
            [top, bottom] = [Math.max(top, edge.top), Math.min(bottom, edge.bottom)];
        }
        return { element, left, right, top, bottom, cut };
    }
    const parts = [...root.querySelectorAll("button, input, select, .bar, .foot, .tree, .pane, .extent, .plane, .points")];
    const boxes = parts.filter((e) => e.offsetWidth && e.offsetHeight).map(seen);
    for (const box of boxes) if (box.cut) problems.push(`cut: ${name(box.element)}`);
    for (const [i, one] of boxes.entries()) for (const two of boxes.slice(i + 1)) {
        if (one.element.contains(two.element) || two.element.contains(one.element)) continue;
        const across = Math.min(one.right, two.right) - Math.max(one.left, two.left);
        const down = Math.min(one.bottom, two.bottom) - Math.max(one.top, two.top);
        if (across > 1 && down > 1) problems.push(`${name(one.element)} lies over ${name(two.element)}`);
    }
    return problems; }
