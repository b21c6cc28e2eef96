"use strict";
// Elements from code: whatever comes from the data becomes a text node, never markup.

function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

const byId = (id) => document.getElementById(id);
const words = (identifier) => identifier.replaceAll("_", " ");
const count = (number) => number.toLocaleString("en");
const plural = (number, one, many = one + "s") => `${count(number)} ${number === 1 ? one : many}`;

const index = JSON.parse(byId("index").textContent);
index.titles = Object.fromEntries(index.clusters);
index.numbers = new Map(index.datasets.map((entry, number) => [entry.name, number]));
index.mixtures = index.mixtures.map(([name, train, evaluate]) => ({
  name, train: new Set(train.map((task) => index.tasks[task])), evaluate: new Set(evaluate.map((task) => index.tasks[task])),
}));

const parsed = new Map();
// A dataset's own data, read when it is first wanted: opening the page reads the index only.
function read(number) {
  if (!parsed.has(number)) parsed.set(number, JSON.parse(byId(`dataset-${number}`).textContent));
  return parsed.get(number);
}
