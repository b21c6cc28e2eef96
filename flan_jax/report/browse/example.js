// A template's wording with its holes marked, and an example as the model reads it: tokens, loss, options.

const DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY"; // Z: as many, and more to come

function cut(text, cuts) {
  const tokens = [];
  let at = 0, length = 0;
  for (const digit of cuts) {
    if (digit === "Z") { length += DIGITS.length; continue; }
    length += DIGITS.indexOf(digit);
    tokens.push(text.slice(at, at + length));
    at += length;
    length = 0;
  }
  return tokens;
}

function pattern(pieces) {
  return pieces.map((piece, place) => (place % 2 ? el("span", { class: "hole" }, `{${piece}}`) : piece));
}

function wording(template) {
  const shown = [el("h4", {}, "Template"), el("pre", { class: "wording" }, pattern(template.inputs))];
  shown.push(el("p", { class: "arrow" }, "target"), el("pre", { class: "wording" }, pattern(template.targets)));
  if (template.words.length) {
    const spelt = template.words.map(([option, word]) => `“${option}” as “${word}”`).join(", ");
    shown.push(el("p", { class: "note" }, `Here the answer is written: ${spelt}.`));
  }
  return shown;
}

// Tokens take turns in their background (place even or odd), so that every boundary shows.
function tokens(part, start) {
  let place = start;
  return part.slice(2).flatMap(([text, cuts]) => {
    if (typeof text === "number") {
      const what = text ? `${plural(text, "token")}, ` : "";
      place += text;
      return el("span", { class: "gap" }, `[${what}${plural(cuts, "character")} left out here]`);
    }
    if (cuts === null) return text;
    return cut(text, cuts).map((token) => {
      const classes = ["t", place++ % 2 ? "odd" : "even"];
      if (token.includes("\n")) classes.push("line");
      if (!token) classes.push("byte");
      return el("span", { class: classes.join(" ") }, token);
    });
  });
}

function special(name, start) {
  return el("span", { class: `t special ${start % 2 ? "odd" : "even"}` }, name);
}

function documentOf(example) {
  const lead = index.bos ? 1 : 0, tokenised = example.targets[0] !== null;
  const inputs = example.inputs[0] ?? 0, targets = example.targets[0] ?? 0;
  const read = [tokenised && lead ? special("BOS", 0) : "", ...tokens(example.inputs, lead)];
  const learned = [...tokens(example.targets, lead + inputs), tokenised ? special("EOS", lead + inputs + targets) : ""];
  if (tokenised && !(lead + inputs)) read.push(learned.shift()); // nothing predicts the first token of a document
  return el("pre", { class: "document" }, read, el("mark", { class: "loss" }, learned));
}

function lengths(example) {
  const inputs = example.inputs[0], targets = example.targets[0];
  if (targets === null) return "not tokenised";
  const lead = index.bos ? 1 : 0, whole = lead + inputs + targets + 1;
  return `${lead ? "BOS + " : ""}${count(inputs)} + ${count(targets)} + EOS = ${plural(whole, "token")}, `
    + `${count(Math.min(targets + 1, whole - 1))} with loss`;
}

const plain = (part) => part.slice(2).map((stretch) => (typeof stretch[0] === "string" ? stretch[0] : " … ")).join("");

function optionList(example) {
  const items = example.options.map((option, place) => {
    const right = place === example.answer;
    const size = option[0] === null ? "" : el("small", {}, plural(option[0], "token"));
    return el("li", { class: right ? "right" : null }, el("span", {}, plain(option).trim(), right ? " ✓" : ""), " ", size,
      right ? el("span", { class: "unseen" }, " (the answer)") : "");
  });
  return [el("h5", {}, "Options, for rank classification"), el("ul", { class: "choices" }, items)];
}

function notes(example) {
  const found = [];
  const target = plain(example.targets).trim();
  const others = example.references.filter((reference) => reference !== target);
  if (others.length && !example.options.length) found.push(`Also right: ${others.slice(0, 6).map((text) => `“${text}”`).join(", ")}`
    + (others.length > 6 ? ` and ${others.length - 6} more` : "") + ".");
  if ([example.inputs, example.targets].some((part) => part[1])) {
    found.push("The vocabulary does not give this text back unchanged; shown is what its tokens say.");
  }
  if (example.joinedDiffers) found.push("Inputs and target would be other tokens if they were tokenised joined.");
  return found.map((text) => el("p", { class: "note" }, text));
}

function exampleOf(example) {
  return el("article", { class: "example" },
    el("p", { class: "about" }, el("b", {}, example.id), `in ${example.split}`, el("span", {}, lengths(example))),
    documentOf(example), example.options.length ? optionList(example) : "", notes(example));
}
