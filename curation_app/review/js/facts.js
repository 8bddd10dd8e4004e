// What is known of a face besides its picture: labels, reasons, probabilities, votes, what lies beside it, its past.

function tag(what, value, kind) {
  const made = element("span", `tag ${kind}`);
  made.append(element("small", "", what), element("b", "", value));
  return made;
}

function tagsOf(face, outcome, blind) {
  const tags = blind ? [tag("blind", "label and opinion are hidden", "hidden")] : [tag("label", face.label ?? "none", "given")];
  if (!blind && face.suggestion && face.suggestion !== face.label) tags.push(tag("model suggests", face.suggestion, "suggested"));
  if (outcome) tags.push(tag("you decided", outcomeText(outcome), "decided"));
  return tags;
}

function factsOf(face) {
  const made = [];
  if (face.why) made.push(element("p", "why", `Why: ${face.why}`));
  if (face.facts?.length) made.push(element("p", "facts", face.facts.join(" · ")));
  return made;
}

// Probabilities and votes of each label side by side; the given and the suggested label are named, not only coloured.
function barsOf(labels, face) {
  if (!face.probabilities && !face.votes) return [];
  const votes = face.votes ?? {};
  const most = Math.max(1, ...Object.values(votes));
  const bars = element("table", "bars");
  bars.setAttribute("aria-label", "Opinion of the model, and votes");
  for (const [index, label] of labels.entries()) {
    const role = label === face.suggestion ? "suggested" : label === face.label ? "given" : "";
    const row = element("tr", role);
    const share = face.probabilities?.[index];
    row.append(element("th", "", label));
    row.append(barCell(share, share === undefined ? "" : `${Math.round(100 * share)} %`));
    if (face.votes) row.append(barCell((votes[label] ?? 0) / most, votes[label] ? plural(votes[label], "vote") : ""));
    row.append(element("td", "role", role === "given" ? "label" : role));
    bars.append(row);
  }
  return [bars];
}

function barCell(share, words) {
  const cell = element("td", "bar");
  const fill = element("span", "fill");
  fill.style.width = `${100 * (share ?? 0)}%`;
  cell.append(fill, element("span", "share", words));
  return cell;
}

function besideOf(face) {
  const judge = face.judge ?? {};
  const made = [
    stripOf("Belongs together", face.mates, "large"),
    stripOf("Nearest training face", judge.nearest, "large"),
    stripOf("Same picture, other rows", face.twins),
    stripOf("Nearest in feature space", face.neighbours),
  ].filter(Boolean);
  if (judge.words?.length) made.unshift(element("p", "why", judge.words.join(" · ")));
  if (face.earlier.length) made.push(pastOf(face.earlier));
  return made;
}

function stripOf(title, strip, size = "") {
  if (!strip) return null;
  const cells = strip.faces.map((one, index) => {
    const cell = element("figure", `small-face ${size}`);
    cell.title = one.id;
    cell.append(strip.cuts[index], element("figcaption", "", [one.label, one.split].filter(Boolean).join(" · ")));
    return cell;
  });
  const row = element("div", "row");
  row.append(...cells);
  return group("strip", title, element("h2", "", title), row);
}

function pastOf(earlier) {
  const made = group("past", "Earlier decisions", element("h2", "", "Earlier decisions"));
  const list = element("ol");
  for (const one of earlier) {
    const who = [one.when, one.who].filter(Boolean).join(" ");
    const words = `${who}${who ? ": " : ""}${one.what}${one.note ? ` — “${one.note}”` : ""}`;
    list.append(element("li", "", words));
  }
  made.append(list);
  return made;
}
