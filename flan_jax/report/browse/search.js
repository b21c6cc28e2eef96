// What the list shows: the filters as an object, which datasets pass them, and which templates a search hits.

const FILTERS = ["q", "benchmark", "cluster", "kind", "form", "mixture", "prepared"];

function options(name) {
  const distinct = (values) => [...new Set(values)].map((value) => [value, words(value)]);
  if (name === "cluster") return index.clusters.filter(([cluster]) => index.datasets.some((d) => d.cluster === cluster));
  if (name === "form") return distinct(index.datasets.flatMap((d) => d.forms));
  if (name === "mixture") return index.mixtures.map((mixture) => [mixture.name, mixture.name]);
  if (name === "prepared") return [["yes", "prepared"], ["no", "not prepared"]];
  return distinct(index.datasets.map((d) => d[name]));
}

const texts = new Map();
// Lower-case text of a dataset: its facts, and of every template of every form its wording and its examples.
function searchable(number) {
  if (texts.has(number)) return texts.get(number);
  const entry = index.datasets[number], data = read(number);
  const facts = [entry.name, words(entry.name), index.titles[entry.cluster], entry.kind, entry.benchmark, data.source,
    data.licence, data.citation, data.caveats, data.manual, data.family, data.fields, data.metrics].flat().join("\n").toLowerCase();
  const stretches = (part) => part.slice(2).map((stretch) => (typeof stretch[0] === "string" ? stretch[0] : "\n")).join("");
  const forms = data.forms.map((form) => {
    const templates = new Map(form.wordings.map((w) => [w.index, [w.inputs.join(""), w.targets.join("")]]));
    for (const example of form.examples) {
      if (!templates.has(example.template)) templates.set(example.template, []);
      const parts = [example.inputs, example.targets, ...example.options];
      templates.get(example.template).push(example.id, ...parts.map(stretches));
    }
    return { form: form.form, templates: new Map([...templates].map(([at, found]) => [at, found.join("\n").toLowerCase()])) };
  });
  texts.set(number, { facts, forms });
  return texts.get(number);
}

const wanted = (q) => q.toLowerCase().split(/\s+/).filter(Boolean);

// The templates (form/index) that hold every word the facts do not, or null if the dataset does not match.
function hits(number, filters) {
  const { facts, forms } = searchable(number);
  const missing = wanted(filters.q).filter((word) => !facts.includes(word));
  if (!missing.length) return [];
  const found = forms.filter(({ form }) => !filters.form || form === filters.form).flatMap(({ form, templates }) =>
    [...templates].filter(([, text]) => missing.every((word) => text.includes(word))).map(([at]) => ({ form, at })));
  return found.length ? found : null;
}

// How a mixture uses a dataset, in any of its forms or in one: "trained", "held out", "both" or "".
function role(entry, mixture, form) {
  const tasks = form ? entry.tasks.filter((task, place) => entry.forms[place] === form) : entry.tasks;
  const trained = tasks.some((task) => mixture.train.has(task));
  const evaluated = tasks.some((task) => mixture.evaluate.has(task));
  return trained && evaluated ? "trained and evaluated" : trained ? "trained on" : evaluated ? "held out" : "";
}

// [{number, entry, hits, role}] in the order of the page.
function matching(filters) {
  const mixture = index.mixtures.find(({ name }) => name === filters.mixture);
  const order = new Map(index.clusters.map(([cluster], place) => [cluster, place]));
  return index.datasets.map((entry, number) => ({ entry, number, hits: [], role: "" })).filter((item) => {
    const { entry } = item;
    if (["benchmark", "cluster", "kind"].some((name) => filters[name] && entry[name] !== filters[name])) return false;
    if (filters.form && !entry.forms.includes(filters.form)) return false;
    const ready = filters.form ? entry.prepared.includes(filters.form) : entry.prepared.length > 0;
    if (filters.prepared && ready !== (filters.prepared === "yes")) return false;
    if (filters.mixture) {
      item.role = mixture ? role(entry, mixture, filters.form) : "";
      if (!item.role) return false;
    }
    if (filters.q) item.hits = hits(item.number, filters);
    return item.hits !== null;
  }).sort((a, b) => order.get(a.entry.cluster) - order.get(b.entry.cluster) || a.number - b.number);
}
