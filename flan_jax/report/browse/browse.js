// The page: list and filters on one side, a dataset on the other, the address telling both; and the keyboard.

const START = { q: "", benchmark: "", cluster: "", kind: "", form: "", mixture: "", prepared: "" };
let filters = { ...START };
let place = { dataset: "", form: "", template: "" };
let view = null, listScroll = 0;

// #rte/3, #rte/plain/0, #rte?cluster=nli&q=premise
function parseAddress() {
  const [path, query] = location.hash.slice(1).split("?");
  const decode = (text) => { try { return decodeURIComponent(text); } catch { return text; } };
  const [dataset = "", ...rest] = path.split("/").map(decode);
  const at = rest.pop() ?? "";
  const numbered = /^(\d+|Documents)$/.test(at);
  const given = Object.fromEntries([...new URLSearchParams(query ?? "")].filter(([name]) => FILTERS.includes(name)));
  return { place: { dataset, form: numbered ? rest[0] ?? "" : at, template: numbered ? at : "" }, filters: { ...START, ...given } };
}

function address(dataset, form = "", template = "") {
  const query = new URLSearchParams(Object.entries(filters).filter(([, value]) => value)).toString();
  const path = [dataset, form, template].filter((part) => part !== "").map(encodeURIComponent).join("/");
  return `#${path}${query ? `?${query}` : ""}`;
}

function firstForm(dataset) {
  const number = index.numbers.get(dataset);
  return number === undefined ? "" : index.datasets[number].forms[0];
}

// The normal form is not named in addresses: #rte/3, not #rte/instructions/3.
function href(dataset, form = "", template = "") {
  return address(dataset, form === firstForm(dataset) ? "" : form, template);
}

function remember() {
  history.replaceState(null, "", href(place.dataset, place.form, place.template));
}

function drawFilters() {
  const selects = ["cluster", "kind", "form", "mixture", "benchmark", "prepared"].map((name) => {
    const choices = options(name);
    if (choices.length < 2) return "";
    const select = el("select", { name }, el("option", { value: "" }, "any"), choices.map(([value, title]) => el("option", { value }, title)));
    select.addEventListener("change", () => { filters[name] = select.value; changed(); });
    return el("label", {}, el("span", {}, name === "prepared" ? "in the store" : name), select);
  });
  const clear = el("button", { type: "button", id: "clear" }, "Clear all");
  clear.addEventListener("click", () => { filters = { ...START }; changed(); });
  byId("selects").append(...selects.filter(Boolean), clear);
  byId("q").addEventListener("input", () => { filters.q = byId("q").value; changed(); });
  byId("more").open = matchMedia("(min-width: 56rem)").matches;
}

function changed() {
  if (filters.form) place.form = "";
  remember();
  drawList();
  drawDetail(false);
}

function drawList() {
  const found = matching(filters);
  const shown = document.createDocumentFragment();
  let cluster = null, items = null;
  for (const { entry, hits: templates, role: use } of found) {
    if (entry.cluster !== cluster) {
      cluster = entry.cluster;
      items = el("ul", {});
      shown.append(el("h2", {}, index.titles[cluster]), items);
    }
    const ready = filters.form ? entry.prepared.includes(filters.form) : entry.prepared.length > 0;
    const about = [use, templates.length ? `in ${plural(templates.length, "template")}` : ""].filter(Boolean).join(", ");
    const form = filters.form || (templates[0]?.form ?? "");
    const link = el("a", { href: href(entry.name, form, templates.length ? String(templates[0].at) : ""), "data-name": entry.name,
      "aria-current": entry.name === place.dataset ? "true" : null },
      el("span", { class: ready ? "dot ready" : "dot", title: ready ? "prepared" : "not prepared" }),
      el("span", {}, entry.name, about ? el("small", {}, about) : ""), el("span", { class: "unseen" }, ready ? " (prepared)" : ""));
    items.append(el("li", {}, link));
  }
  byId("datasets").replaceChildren(shown);
  const ready = found.filter(({ entry }) => entry.prepared.length).length;
  byId("count").textContent = found.length ? `${plural(found.length, "dataset")}${found.length < index.datasets.length ? ` of ${count(index.datasets.length)}` : ""}, ${ready} prepared`
    : "No dataset matches; take away a word or a filter.";
  const active = ["benchmark", "cluster", "kind", "form", "mixture", "prepared"].filter((name) => filters[name]);
  byId("active").textContent = active.length ? `: ${active.map((name) => options(name).find(([value]) => value === filters[name])?.[1] ?? filters[name]).join(", ")}` : "";
  byId("clear").disabled = !active.length && !filters.q;
  if (byId("q").value !== filters.q) byId("q").value = filters.q;
  for (const select of byId("selects").querySelectorAll("select")) select.value = filters[select.name];
}

function legend() {
  const box = el("input", { type: "checkbox", id: "boundaries" });
  box.checked = !document.body.classList.contains("whole");
  box.addEventListener("change", () => document.body.classList.toggle("whole", !box.checked));
  return el("p", { class: "legend" }, el("span", {}, "read by the model"), el("mark", { class: "loss" }, "read and learned: the loss is taken here"),
    index.vocabulary ? el("label", {}, box, " token boundaries ", el("kbd", {}, "t")) : "");
}

// Which datasets a mixture trains on, which it holds out, and which of the same benchmarks it does neither with.
function mixtureFacts() {
  const mixture = index.mixtures.find(({ name }) => name === filters.mixture);
  if (!mixture) return "";
  const roles = index.datasets.map((entry) => [entry, role(entry, mixture, "")]);
  const benchmarks = new Set(roles.filter(([, use]) => use).map(([entry]) => entry.benchmark));
  const left = roles.filter(([entry, use]) => !use && benchmarks.has(entry.benchmark) && entry.kind !== "documents").map(([entry]) => entry.name);
  return el("section", { class: "prepare" }, el("h3", {}, mixture.name),
    el("p", {}, `Trains on ${plural(mixture.train.size, "task")} and evaluates ${plural(mixture.evaluate.size, "task")}.`
      + (left.length ? ` Neither trained on nor evaluated: ${left.join(", ")}.` : "")), command(mixture.name, roles.every(([entry, use]) => !use || entry.generated)));
}

function overview() {
  const ready = index.datasets.filter((entry) => entry.prepared.length).length;
  const keys = [["/", "search"], ["↓ ↑", "along the list"], ["j k", "next, previous dataset"], ["n p", "next, previous template"], ["t", "token boundaries on, off"], ["Esc", "back to the list"]];
  return el("article", { class: "overview" }, mixtureFacts(),
    el("p", { class: "lead" }, `${plural(index.datasets.length, "dataset")} in ${plural(options("cluster").length, "cluster")}, each with its templates and what is known of it. ${ready ? `${plural(ready, "dataset")} in the store can be seen with real examples, token by token.` : "None is prepared yet: templates are shown with their fields as holes."}`),
    facts([["Tasks", el("code", {}, index.module)], ["Store", index.store], ["Vocabulary", index.vocabulary?.name ?? "none"]]),
    el("h2", {}, "Clusters"), el("div", { class: "clusters" }, options("cluster").map(([cluster, title]) => {
      const own = index.datasets.filter((entry) => entry.cluster === cluster);
      return el("section", {}, el("h3", {}, title), el("ul", { class: "names" }, own.map((entry) => el("li", {}, el("a", { href: href(entry.name), class: entry.prepared.length ? "ready" : null }, entry.name)))));
    })),
    el("h2", {}, "Keys"), el("dl", { class: "facts keys" }, keys.map(([key, what]) => [el("dt", {}, key.split(" ").map((one) => [el("kbd", {}, one), " "])), el("dd", {}, what)])));
}

// moved: the reader went to another dataset, so the focus goes there too.
function drawDetail(moved) {
  const number = index.numbers.get(place.dataset);
  document.body.dataset.view = place.dataset ? "dataset" : "list";
  if (number === undefined) {
    view = null;
    const unknown = place.dataset ? el("p", { class: "warning" }, `There is no dataset “${place.dataset}” in this catalogue.`) : "";
    byId("detail").replaceChildren(...[unknown, overview()].filter(Boolean));
    return;
  }
  const opened = new Set(view && view.dataset === place.dataset ? [...view.templates].filter(([, { shown }]) => shown.open).map(([name]) => name) : []);
  view = { dataset: place.dataset, ...datasetView(number, place.form || filters.form, href) };
  place.form = view.form.form;
  const first = [...view.templates.keys()][0];
  if (!opened.size) opened.add(view.templates.has(place.template) ? place.template : first);
  for (const [name, { shown, fill }] of view.templates) {
    if (opened.has(name)) { fill(); shown.open = true; }
    shown.addEventListener("toggle", () => { if (shown.open) fill(); mark(); });
    shown.querySelector("summary").addEventListener("click", () => { place.template = name; remember(); });
  }
  byId("detail").replaceChildren(view.element);
  if (moved && !view.templates.has(place.template)) {
    window.scrollTo(0, 0);
    view.element.querySelector("h2").focus({ preventScroll: true });
  } else if (moved) goTo(place.template);
  mark();
}

function goTo(template) {
  const { shown, fill } = view.templates.get(template);
  fill();
  shown.open = true;
  place.template = template;
  remember();
  shown.scrollIntoView({ block: "start" });
  shown.querySelector("summary").focus({ preventScroll: true });
}

// What was searched for, highlighted where the browser can do so without touching the text.
function mark() {
  if (!window.Highlight || !CSS.highlights) return;
  CSS.highlights.delete("found");
  const sought = wanted(filters.q);
  if (!sought.length || !view) return;
  const ranges = [];
  const blocks = view.element.querySelectorAll("pre, dd, .first, .caveat, .choices li");
  for (const block of blocks) {
    const nodes = [], walker = document.createTreeWalker(block, NodeFilter.SHOW_TEXT);
    let text = "";
    while (walker.nextNode()) { nodes.push([text.length, walker.currentNode]); text += walker.currentNode.data; }
    const lower = text.toLowerCase();
    if (lower.length !== text.length) continue; // a character whose lower case is longer: places would not fit
    const find = (at) => nodes.findLast(([start]) => start <= at);
    for (const word of sought) {
      for (let at = lower.indexOf(word); at >= 0; at = lower.indexOf(word, at + word.length)) {
        const range = new Range(), [from, first] = find(at), [to, last] = find(at + word.length - 1);
        range.setStart(first, at - from);
        range.setEnd(last, at + word.length - to);
        ranges.push(range);
      }
    }
  }
  CSS.highlights.set("found", new Highlight(...ranges));
}

function route() {
  const leaving = place.dataset, told = parseAddress();
  if (!leaving) listScroll = window.scrollY;
  const moved = told.place.dataset !== leaving || told.place.form !== (place.form === firstForm(leaving) ? "" : place.form) || told.place.template !== place.template;
  filters = told.filters;
  place = told.place;
  drawList();
  drawDetail(moved && place.dataset !== "");
  const current = byId("datasets").querySelector("[aria-current]");
  if (current && byId("list").scrollHeight > byId("list").clientHeight) current.scrollIntoView({ block: "nearest" });
  if (leaving && !place.dataset) {
    window.scrollTo(0, listScroll);
    byId("datasets").querySelector(`[data-name="${CSS.escape(leaving)}"]`)?.focus();
  }
}

function step(items, current, by) {
  const at = items.indexOf(current);
  return items[at < 0 ? (by > 0 ? 0 : items.length - 1) : at + by];
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input:not([type=checkbox]), select");
  const links = [...byId("datasets").querySelectorAll("a")];
  const search = byId("q");
  let handled = true;
  if (event.key === "Escape") {
    if (event.target === search && filters.q) { filters.q = ""; changed(); }
    else if (place.dataset && !typing) location.hash = href("");
    else event.target.blur();
  } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && (event.target === search || links.includes(event.target))) {
    const by = event.key === "ArrowDown" ? 1 : -1;
    (step(links, event.target === search ? null : event.target, by) ?? (by < 0 ? search : null))?.focus();
  } else if (event.key === "Enter" && event.target === search) {
    if (links.length) location.hash = links[0].hash;
  } else if (typing) return;
  else if (event.key === "/") { search.focus(); search.select(); }
  else if (event.key === "j" || event.key === "k") {
    const next = step(links, links.find((link) => link.hasAttribute("aria-current")), event.key === "j" ? 1 : -1);
    if (next) location.hash = next.hash;
  } else if ((event.key === "n" || event.key === "p") && view) {
    const names = [...view.templates.keys()], open = event.target.closest?.(".template")?.dataset.template ?? place.template;
    const next = step(names, open, event.key === "n" ? 1 : -1);
    if (next !== undefined) goTo(next);
  } else if (event.key === "t" && byId("boundaries")) byId("boundaries").click();
  else handled = false;
  if (handled) event.preventDefault();
}

drawFilters();
route();
window.addEventListener("hashchange", route);
document.addEventListener("keydown", key);
document.querySelector("a.skip").addEventListener("click", (event) => { event.preventDefault(); byId("detail").focus(); });
document.addEventListener("click", (event) => {
  const name = event.target.closest?.("a[data-mixture]")?.dataset.mixture;
  if (!name) return;
  event.preventDefault();
  filters = { ...START, mixture: name };
  place = { dataset: "", form: "", template: "" };
  history.pushState(null, "", href(""));
  drawList();
  drawDetail(false);
  byId("more").open = true;
  window.scrollTo(0, 0);
  byId("q").focus();
});
