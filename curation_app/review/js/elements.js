// Small makers of elements. Whatever comes from data is set as text or as a style value, never as HTML.

function element(tag, kind, text) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text !== undefined && text !== null) made.textContent = text;
  return made;
}

function button(text, kind, act, key) {
  const made = element("button", kind, text);
  made.type = "button";
  made.onclick = act;
  made.onmousedown = (event) => event.preventDefault(); // a click leaves the focus, and so the keys, where they were
  if (key) made.append(element("kbd", "", printed(key)));
  return made;
}

function group(kind, label, ...children) {
  const made = element("div", kind);
  made.setAttribute("role", "group");
  made.setAttribute("aria-label", label);
  made.append(...children);
  return made;
}

function printed(key) {
  const names = { " ": "Space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };
  return names[key] ?? (key.length === 1 ? key.toUpperCase() : key);
}

function outcomeText([action, label]) {
  const words = { keep: "kept", drop: "dropped", unsure: "unsure", accept: "accepted", reject: "rejected" };
  return action === "relabel" ? `→ ${label}` : words[action];
}

function spellTime(seconds) {
  if (seconds < 90) return `about ${Math.round(seconds)} s`;
  const minutes = seconds / 60;
  return minutes < 90 ? `about ${Math.round(minutes)} minutes` : `about ${(minutes / 60).toFixed(1)} hours`;
}

function plural(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}
