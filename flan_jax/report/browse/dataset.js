// One dataset: facts, splits, mixtures, and its templates in one form, each opened when wanted.

const FORMS = {
  instructions: "Instructions", plain: "Fields alone", named: "Fields behind the dataset's name",
  continuation: "Continuation, for models without tuning",
};
const formTitle = (form) => FORMS[form] ?? words(form);

function facts(pairs) {
  return el("dl", { class: "facts" }, pairs.filter(([, value]) => value && value.length !== 0)
    .map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

function datasetFacts(entry, data) {
  const link = (name) => (index.numbers.has(name) ? el("a", { href: `#${encodeURIComponent(name)}` }, name) : name);
  const subsets = Object.entries(data.subsets).map(([task, chosen]) => el("span", { class: "subset" }, el("code", {}, task), `: ${chosen.join(", ")}`));
  return facts([
    ["Source", data.source], ["Licence", data.licence], ["Citation", data.citation], ["Scored by", data.metrics.map(words).join(", ")],
    ["Fields", data.fields.map((name) => el("code", { class: "hole" }, `{${name}}`)).flatMap((field) => [field, " "])],
    ["Counted as", data.family && data.family !== entry.name ? `a part of ${words(data.family)}` : ""],
    ["Same rows", data.sameRowsAs ? [link(data.sameRowsAs), " trains on these rows; mixtures take them once"] : ""],
    ["By hand", data.manual], ["Fewer templates", subsets],
  ]);
}

function splitTable(data, form) {
  const made = new Map(form.splits.map((split) => [split.split, split]));
  const rows = Object.entries(data.splits).map(([name, rule]) => {
    const split = made.get(name), size = split?.tokens;
    const mean = size ? count(Math.round((size.inputs + size.targets) / split.rows)) : "–";
    const kept = split ? [count(split.kept), split.seen === split.kept ? "" : el("small", {}, `of ${count(split.seen)}`)] : "not prepared";
    return el("tr", {}, el("th", { scope: "row" }, name, rule && rule !== name ? el("small", { class: "chance" }, rule) : ""),
      el("td", {}, kept), el("td", {}, split ? count(split.rows) : "–"), el("td", {}, mean), el("td", {}, size ? count(size.longest) : "–"),
      el("td", { class: "why" }, split && split.dropped.length ? split.dropped.map((why) => el("small", {}, why)) : "–"));
  });
  const heads = [["split", el("small", { class: "chance" }, "rows of the source")], "examples", "rows", "mean tokens", "longest", "left out"];
  return el("div", { class: "scroll splits", role: "region", "aria-label": "Splits", tabindex: "0" }, el("table", {},
    el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))), el("tbody", {}, rows)));
}

function histogram(form) {
  const split = form.splits.find(({ tokens }) => tokens);
  if (!split) return "";
  const most = Math.max(...split.tokens.histogram.map(([, rows]) => rows));
  const bars = split.tokens.histogram.map(([bin, rows], place, bins) => {
    const bar = el("span", { class: "bar" });
    bar.style.width = `${(100 * rows) / most}%`;
    const least = place ? Number(bins[place - 1][0]) + 1 : 1;
    return el("div", {}, el("dt", {}, `${count(least)}–${count(Number(bin))} tokens`), el("dd", {}, `${plural(rows, "row")}`),
      el("dd", { class: "track", "aria-hidden": "true" }, rows ? bar : ""));
  });
  return el("details", {}, el("summary", {}, `Lengths (${split.split})`), el("div", { class: "inside" }, el("dl", { class: "shares" }, bars)));
}

function mixtureLists(task) {
  const uses = { "Trained on in": [], "Held out and evaluated in": [], "Trained on and evaluated in": [] };
  for (const { name, train, evaluate } of index.mixtures) {
    if (train.has(task) && evaluate.has(task)) uses["Trained on and evaluated in"].push(name);
    else if (train.has(task)) uses["Trained on in"].push(name);
    else if (evaluate.has(task)) uses["Held out and evaluated in"].push(name);
  }
  const told = Object.entries(uses).filter(([, names]) => names.length);
  if (!told.length) return "";
  const total = told.reduce((sum, [, names]) => sum + names.length, 0);
  const link = (name) => el("a", { href: `#?mixture=${encodeURIComponent(name)}`, "data-mixture": name }, name);
  return el("details", { class: "mixtures" }, el("summary", {}, `In ${plural(total, "mixture")}`), el("div", { class: "inside" },
    told.map(([use, names]) => [el("h4", {}, `${use} ${count(names.length)}`), el("ul", { class: "names" }, names.map((name) => el("li", {}, link(name))))])));
}

function command(name, generated) {
  const place = generated ? "" : "TFDS_DATA_DIR=/path/to/tensorflow_datasets ";
  return el("pre", {}, (place + index.prepare.replace("TASK", name)).replaceAll(" --gin.", " \\\n    --gin."));
}

function howToPrepare(entry, data, form) {
  const holes = form.wordings.length ? ", so the templates are shown with their fields as holes" : "";
  return el("aside", { class: "prepare" }, el("p", {}, `Not in the store yet${holes}. To see real examples, prepare it and write this page again:`),
    command(form.task, entry.generated), data.manual ? el("p", {}, `TFDS cannot download it: put ${data.manual} into its folder for manual downloads first.`) : "");
}

function templateOf(entry, form, template) {
  const examples = form.examples.filter((example) => example.template === template.index);
  const first = template.inputs.map((piece, place) => (place % 2 ? `{${piece}}` : piece)).join("").replace(/\s+/g, " ").trim();
  const tags = [template.turned ? "turned around" : "", template.unconditional ? "unconditional" : ""].filter(Boolean);
  const name = template.index === null ? "Documents" : String(template.index);
  const shown = el("details", { class: "template", "data-template": name },
    el("summary", {}, el("b", {}, name), tags.map((tag) => el("span", { class: "tag" }, tag)), el("span", { class: "first" }, first || "Examples")));
  const fill = () => {
    if (shown.childElementCount > 1) return;
    const left = template.inputs.length ? el("div", { class: "said" }, wording(template)) : "";
    const right = el("div", { class: "real" }, examples.length ? [el("h4", {}, plural(examples.length, "real example")), examples.map(exampleOf)]
      : el("p", { class: "note" }, form.splits.length ? "No row of the store has this template." : "No examples: not prepared."));
    shown.append(el("div", { class: left && examples.length ? "inside sides" : "inside" }, left, form.splits.length ? right : ""));
  };
  return { shown, fill, name };
}

// The whole view: {element, templates: Map(name -> {shown, fill})}.
function datasetView(number, formName, href) {
  const entry = index.datasets[number], data = read(number);
  const form = data.forms.find((one) => one.form === formName) ?? data.forms[0];
  const documents = { index: null, inputs: [], targets: [], words: [] };
  const known = form.wordings.length ? form.wordings : [documents];
  if (known[0] === documents) form.examples.forEach((example) => { example.template = null; });
  const templates = new Map(known.map((template) => templateOf(entry, form, template)).map((one) => [one.name, one]));
  const tabs = data.forms.map((one) => el("a", { href: href(entry.name, one.form), "aria-current": one === form ? "true" : null },
    formTitle(one.form), el("small", {}, one.splits.length ? "prepared" : plural(one.wordings.length, "template"))));
  const stale = form.stale ? el("p", { class: "warning" }, `The store's rows are older than ${form.stale}: flan-jax prepare makes them anew.`) : "";
  const element = el("article", { class: "dataset" },
    el("p", { class: "back" }, el("a", { href: href("") }, "← All datasets")),
    el("h2", { tabindex: "-1" }, entry.name),
    el("p", { class: "soft kinds" }, [index.titles[entry.cluster], entry.kind, words(entry.benchmark)].join(" · ")),
    data.caveats ? el("p", { class: "caveat" }, el("b", {}, "Good to know. "), data.caveats) : "",
    datasetFacts(entry, data), splitTable(data, form), histogram(form), mixtureLists(form.task),
    el("section", { class: "templates", "aria-label": "Templates" },
      el("h3", {}, data.forms.length > 1 ? "Ways to put it" : "Templates"),
      data.forms.length > 1 ? el("nav", { class: "tabs", "aria-label": "Forms" }, tabs) : "",
      el("p", { class: "soft file" }, form.file ? ["Templates in ", el("code", {}, form.file), `; as a task `, el("code", {}, form.task)] : ["As a task ", el("code", {}, form.task)]),
      stale, form.splits.length ? legend() : howToPrepare(entry, data, form),
      form.wordings.length || form.examples.length ? [...templates.values()].map(({ shown }) => shown) : ""));
  return { element, templates, form };
}
