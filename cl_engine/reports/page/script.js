"use strict";
(() => {
  const root = document.documentElement;
  const all = (query, from = document) => [...from.querySelectorAll(query)];
  const one = (query, from = document) => from.querySelector(query);
  const data = JSON.parse(one("#page-data").textContent);
  const state = { metric: data.metrics[0], policy: data.policies.length > 1 ? "both" : data.policies[0] || "", budget: data.budget, scenario: data.scenario, off: new Set(), against: "" };
  const hiding = document.head.appendChild(document.createElement("style"));
  root.classList.add("js");

  // What is shown: everything is in the page, and switches only hide.
  function show() {
    for (const part of all("[data-metric],[data-policy],[data-budget],[data-scenario]")) {
      if (part.closest(".bar")) continue;
      const { metric, policy, budget, scenario } = part.dataset;
      part.hidden =
        (metric && metric !== state.metric) ||
        (policy && state.policy !== "both" && policy !== state.policy) ||
        (scenario && scenario !== state.scenario) ||
        (budget && budget !== String(state.budget)) || false;
    }
    hiding.textContent = [...state.off]
      .map((i) => `svg [stroke="var(--s${i})"],svg [fill="var(--s${i})"],svg [fill="var(--t${i})"],tr:has([data-s="${i}"]),.strategy[data-s="${i}"]{display:none}`)
      .join("");
    for (const button of all(".bar [data-set]")) {
      button.setAttribute("aria-pressed", String(state[button.dataset.set] === button.value));
    }
    for (const chip of all(".chips [data-chip]")) chip.setAttribute("aria-pressed", String(!state.off.has(chip.value)));
    pick();
    forget();
  }
  for (const button of all(".bar [data-set]")) {
    button.addEventListener("click", () => { state[button.dataset.set] = button.value; show(); });
  }
  for (const chip of all(".chips [data-chip]")) {
    chip.addEventListener("click", () => { if (!state.off.delete(chip.value)) state.off.add(chip.value); show(); });
  }
  one("#everything")?.addEventListener("click", () => { state.off.clear(); show(); });
  one("#budget")?.addEventListener("change", (event) => { state.budget = event.target.value; show(); });
  one("#scenario")?.addEventListener("change", (event) => { state.scenario = event.target.value; show(); });
  one("#theme")?.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  for (const tabs of all(".tabs")) {
    const views = all("[data-view]", tabs.parentElement);
    const choose = (name) => {
      for (const view of views) view.hidden = view.dataset.view !== name;
      for (const tab of all("button", tabs)) tab.setAttribute("aria-pressed", String(tab.value === name));
    };
    for (const tab of all("button", tabs)) tab.addEventListener("click", () => choose(tab.value));
    choose(one("button", tabs).value);
  }

  // Tables: a heading sorts, words filter.
  const number = (cell) => (cell?.dataset.v === undefined ? NaN : Number(cell.dataset.v));
  function sort(head) {
    const column = head.cellIndex, body = one("tbody", head.closest("table"));
    const words = head.dataset.sort === "text";
    const up = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") !== "ascending" : words;
    for (const other of all("th[aria-sort]", head.parentElement)) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...body.rows].map((row) => {
      const cell = row.cells[column];
      return { row, key: words ? cell.textContent : number(cell) };
    });
    rows.sort((a, b) => {
      if (words) return up ? a.key.localeCompare(b.key) : b.key.localeCompare(a.key);
      if (isNaN(a.key) || isNaN(b.key)) return isNaN(a.key) - isNaN(b.key);
      return up ? a.key - b.key : b.key - a.key;
    });
    body.append(...rows.map((entry) => entry.row));
  }
  function sortable(table) {
    for (const head of all("th[data-sort]", table)) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(head));
    }
  }
  all("table.sortable").forEach(sortable);
  const filter = one("#filter");
  filter?.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    const rows = all("#cells tbody tr");
    for (const row of rows) {
      row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
      left += !row.hidden;
    }
    one("#filtered").textContent = `${left} of ${rows.length} cells`;
  });

  // Differences to a strategy of the reader's choice.
  const element = (name, text, attributes = {}) => {
    const made = document.createElement(name);
    made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const signed = (value) => {
    const text = Math.abs(value).toFixed(2);
    return (Number(text) === 0 ? "" : value > 0 ? "+" : "-") + text;
  };
  function pick() {
    for (const part of all(".pairs")) {
      const contest = Number(part.dataset.contest), place = one(".picked", part);
      one(".static", part).hidden = state.against !== "";
      place.replaceChildren();
      if (state.against === "" || part.hidden) continue;
      const against = Number(state.against);
      const rows = [];
      for (const [c, budget, a, b, mean, low, high, wins, ties, n, p, verdict] of data.pairs) {
        const words = data.verdicts[verdict];
        if (c !== contest || budget !== Number(state.budget)) continue;
        if (b === against) rows.push([a, mean, low, high, wins, ties, n, p, words]);
        if (a === against) rows.push([b, -mean, high === null ? null : -high, low === null ? null : -low, n - wins - ties, ties, n, p, words]);
      }
      rows.sort((x, y) => y[1] - x[1]);
      const table = element("table", "", { class: "sortable" });
      const title = `Minus ${data.labels[against]}, ${data.budgets[state.budget] || "without a budget"}; paired over the shared seeds, 95 % t interval, two-sided p (not corrected).`;
      table.setAttribute("aria-label", title);
      const head = table.appendChild(document.createElement("thead")).insertRow();
      for (const [text, kind] of [["strategy", "text"], ["difference, points", "number"], ["higher on seeds", "number"], ["p", ""], ["what it means", ""]]) {
        head.append(element("th", text, kind ? { scope: "col", "data-sort": kind } : { scope: "col" }));
      }
      const body = table.appendChild(document.createElement("tbody"));
      for (const [i, mean, low, high, wins, ties, n, p, words] of rows) {
        const row = body.insertRow();
        const name = element("th", data.labels[i], { scope: "row", "data-s": i });
        name.prepend(one(`.chips [value="${i}"] svg`).cloneNode(true));
        const range = low === null ? "" : ` [${signed(low)}, ${signed(high)}]`;
        row.append(name, element("td", signed(mean) + range, { class: "n", "data-v": mean }));
        row.append(element("td", `${wins} of ${n}${ties ? `, ${ties} equal` : ""}`, { class: "n", "data-v": wins + ties / 2 }), element("td", p, { class: "n" }), element("td", words));
      }
      const wrap = element("div", "", { class: "wrap", tabindex: "0" });
      wrap.append(rows.length ? table : element("p", "It has no run to compare within this budget."));
      place.append(element("p", title, { class: "caption" }), wrap);
      sortable(table);
    }
  }
  one("#against")?.addEventListener("change", (event) => { state.against = event.target.value; pick(); });

  // Points: the label that a screen reader reads is shown under the pointer and for the arrow keys.
  const tip = document.body.appendChild(element("div", "", { id: "tip", "aria-hidden": "true" }));
  const spoken = document.body.appendChild(element("div", "", { class: "unseen", "aria-live": "polite", id: "spoken" }));
  let here = null;
  function forget() {
    tip.style.display = "none";
    here?.classList.remove("here");
    here = null;
  }
  function tell(mark, speak) {
    forget();
    here = mark;
    mark.classList.add("here");
    tip.textContent = mark.getAttribute("aria-label");
    tip.style.display = "block";
    const box = mark.getBoundingClientRect(), own = tip.getBoundingClientRect();
    const left = Math.min(Math.max(4, box.left + box.width / 2 - own.width / 2), innerWidth - own.width - 4);
    tip.style.left = left + "px";
    tip.style.top = (box.top > own.height + 12 ? box.top - own.height - 8 : box.bottom + 8) + "px";
    if (speak) spoken.textContent = tip.textContent;
  }
  const marked = (target) => target.closest?.(".role-mark [aria-label]");
  document.addEventListener("mouseover", (event) => { const mark = marked(event.target); if (mark) tell(mark, false); });
  document.addEventListener("mouseout", (event) => { if (marked(event.target)) forget(); });
  document.addEventListener("click", (event) => { const mark = marked(event.target); if (mark) tell(mark, false); });
  const colour = (mark) => (mark.getAttribute("stroke") || "").startsWith("var(--s") ? mark.getAttribute("stroke") : mark.getAttribute("fill");
  const middle = (mark) => { const b = mark.getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2]; };
  for (const figure of all("figure[tabindex]")) {
    figure.addEventListener("keydown", (event) => {
      const across = { ArrowLeft: -1, ArrowRight: 1 }[event.key], along = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (event.key === "Escape") { forget(); figure.blur(); return; }
      if (!across && !along) return;
      event.preventDefault();
      const marks = all(".role-mark [aria-label]", figure).filter((m) => m.getBoundingClientRect().width > 0)
        .map((mark) => ({ mark, key: colour(mark), at: middle(mark) }));
      if (!marks.length) return;
      const now = marks.find((m) => m.mark === here);
      let next;
      if (!now) {
        next = marks.reduce((a, b) => (b.at[0] < a.at[0] - 1 || (Math.abs(b.at[0] - a.at[0]) <= 1 && b.at[1] < a.at[1]) ? b : a));
      } else if (across) {
        const row = marks.filter((m) => m.key === now.key).sort((a, b) => a.at[0] - b.at[0] || a.at[1] - b.at[1]);
        next = row[Math.min(row.length - 1, Math.max(0, row.indexOf(now) + across))];
      } else {
        const nearest = new Map();
        for (const m of marks) {
          const best = nearest.get(m.key);
          if (m.key === now.key) nearest.set(m.key, now);
          else if (!best || Math.abs(m.at[0] - now.at[0]) < Math.abs(best.at[0] - now.at[0])) nearest.set(m.key, m);
        }
        const column = [...nearest.values()].sort((a, b) => a.at[1] - b.at[1]);
        next = column[(column.indexOf(now) + along + column.length) % column.length];
      }
      next.mark.scrollIntoView({ block: "nearest", inline: "nearest" });
      tell(next.mark, true);
    });
    figure.addEventListener("blur", forget);
  }
  addEventListener("scroll", () => { if (!document.activeElement?.matches("figure")) forget(); }, { passive: true });
  show();
})();
