"use strict";
(() => {
  const list = document.getElementById("hosts");
  const find = (selector) => [...document.querySelectorAll(selector)];
  const search = document.getElementById("search");
  const select = document.getElementById("sort");
  const opener = document.getElementById("open");
  const AT_ONCE = 100;

  // A host's details are text until they are wanted: a browser that runs scripts makes no elements of noscript.
  const rows = [...list.children].map((element, rank) => {
    const hidden = element.querySelector(":scope > noscript");
    return {
      element,
      hidden,
      keys: [-rank, ...element.dataset.k.split(",").map(Number)],
      state: element.dataset.s,
      text: null,
      shown: true,
    };
  });
  const byElement = new Map(rows.map((row) => [row.element, row]));

  const textOf = (row) => {
    if (row.text === null) {
      const source = row.element.firstElementChild.innerHTML + " " + (row.hidden ? row.hidden.textContent : row.element.innerHTML);
      row.text = source.replace(/<[^>]*>/g, " ").toLowerCase();
    }
    return row.text;
  };

  const fill = (row) => {
    if (!row.hidden) return;
    textOf(row);
    const holder = document.createElement("template");
    holder.innerHTML = row.hidden.textContent;
    row.hidden.replaceWith(holder.content);
    row.hidden = null;
  };

  list.addEventListener("toggle", (event) => {
    const row = byElement.get(event.target);
    if (row && event.target.open) fill(row);
  }, true);

  // Sorting: more comes first, names go upwards; the same again turns it round.
  let sortedBy = 0;
  let turned = false;
  const order = (by, turn) => {
    sortedBy = by;
    turned = turn;
    const sign = turn ? -1 : 1;
    const value = by === 1 ? (row) => -row.keys[1] : (row) => row.keys[by];
    rows.sort((a, b) => sign * (value(b) - value(a)) || b.keys[2] - a.keys[2] || b.keys[0] - a.keys[0]);
    const all = document.createDocumentFragment();
    for (const row of rows) all.append(row.element);
    list.append(all);
    for (const button of find(".head [data-sort]")) {
      const own = Number(button.dataset.sort) === by;
      button.setAttribute("aria-pressed", own);
      button.dataset.turned = own && turn ? "yes" : "";
    }
    select.value = by;
  };
  for (const button of find(".head [data-sort]")) {
    const by = Number(button.dataset.sort);
    button.addEventListener("click", () => order(by, by === sortedBy && !turned));
  }
  select.addEventListener("change", () => order(Number(select.value), false));

  // Filters: one state at a time, and words that must all be there.
  let state = "";
  const escaped = (words) => words.replace(/[&<>"']/g, (one) => `&${{ "&": "amp", "<": "lt", ">": "gt", '"': "#34", "'": "#39" }[one]};`);
  const filter = () => {
    const words = escaped(search.value.toLowerCase()).split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      row.shown = (!state || row.state === state) && words.every((word) => textOf(row).includes(word));
      if (row.element.hidden === row.shown) row.element.hidden = !row.shown;
      if (row.shown) count += 1;
    }
    document.getElementById("shown").textContent = count === rows.length ? "" : `${count} of ${rows.length} hosts`;
    document.getElementById("nothing").hidden = count > 0;
    opener.disabled = count > AT_ONCE;
    opener.title = count > AT_ONCE ? `Filter to ${AT_ONCE} hosts or fewer first` : "";
    label();
  };
  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 100);
  });
  const choose = (wanted) => {
    state = wanted;
    for (const button of find("[data-state]")) button.setAttribute("aria-pressed", button.dataset.state === state);
    filter();
  };
  for (const button of find("[data-state]")) {
    button.addEventListener("click", () => choose(state === button.dataset.state ? "" : button.dataset.state));
  }
  document.getElementById("all").addEventListener("click", () => {
    search.value = "";
    choose("");
  });

  const shown = () => rows.filter((row) => row.shown);
  const label = () => {
    opener.textContent = shown().every((row) => row.element.open) ? "Close all" : "Open all";
  };
  opener.addEventListener("click", () => {
    const open = !shown().every((row) => row.element.open);
    for (const row of shown()) {
      if (open) fill(row);
      row.element.open = open;
    }
    label();
  });

  const theme = document.getElementById("theme");
  const isDark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const tell = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
  theme.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    tell();
  });

  for (const element of find(".js")) element.hidden = false;
  for (const row of rows) if (row.element.open) fill(row);
  tell();
  filter();
})();
