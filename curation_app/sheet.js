// A page of faces: one picture, cut into cells by CSS. Selection lives here; only decisions go to the server.
// Whatever comes from data is set as text or as a style value, never as HTML.

const TYPING = "input:not([type=radio], [type=checkbox]), textarea, [contenteditable='true']";
const MOVING = "input, [role=listbox] *, [role=combobox], [role=option]"; // these need the arrows and the space bar

export default function ({ data, setTriggerValue, parentElement }) {
  const root = parentElement.querySelector(".page");
  root.release?.(); // Streamlit calls this function again for new data, and cleans up only at the end
  const before = root.sheet ?? { page: null, selected: new Set(), cursor: 0, anchor: 0 };
  const same = before.page === data.page;
  const state = {
    page: data.page,
    selected: same ? new Set([...before.selected].filter((index) => !data.faces[index].decided)) : new Set(),
    cursor: same ? before.cursor : 0,
    anchor: same ? before.anchor : 0,
    waiting: false,
  };
  root.sheet = state;

  const grid = element("div", "grid");
  grid.tabIndex = 0;
  grid.setAttribute("role", "listbox");
  grid.setAttribute("aria-multiselectable", "true");
  grid.style.gridTemplateColumns = `repeat(${data.columns}, minmax(0, 1fr))`;
  const cells = data.faces.map((face, index) => makeCell(data, face, index));
  grid.append(...cells);
  const hint = element("div", "hint");
  hint.setAttribute("role", "status");
  const bar = element("div", "actions");
  for (const action of data.actions) {
    const button = element("button", action.action, action.text);
    button.append(element("kbd", "", action.key));
    button.onclick = () => decide(action);
    bar.append(button);
  }
  root.replaceChildren(bar, hint, grid);
  if (!document.activeElement?.matches(TYPING)) grid.focus({ preventScroll: true });
  paint();

  cells.forEach((cell, index) => {
    cell.onclick = (event) => {
      if (event.shiftKey) range(state.anchor, index);
      else toggle(index);
      state.cursor = index;
      paint();
    };
  });

  const listener = (event) => {
    const target = event.composedPath()[0];
    if (event.ctrlKey || event.altKey || event.metaKey || target.matches?.(TYPING)) return;
    const elsewhere = !root.contains(target) && target.matches?.(MOVING);
    if ((!elsewhere && move(event)) || choose(event, elsewhere)) {
      event.preventDefault();
      event.stopImmediatePropagation();
      paint();
    }
  };
  document.addEventListener("keydown", listener, true);
  root.release = () => document.removeEventListener("keydown", listener, true);
  return () => root.release();

  function move(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -data.columns, ArrowDown: data.columns };
    const next = state.cursor + (steps[event.key] ?? NaN);
    if (!(event.key in steps)) return false;
    if (next >= 0 && next < cells.length) {
      state.cursor = next;
      if (event.shiftKey) range(state.anchor, next);
      else state.anchor = next;
    }
    return true;
  }

  function choose(event, elsewhere) {
    if (event.key === " ") {
      if (elsewhere || event.composedPath()[0].tagName === "BUTTON") return false;
      toggle(state.cursor);
    } else if (event.key === "Escape") {
      state.selected.clear();
    } else {
      const action = data.actions.find((one) => one.key.toLowerCase() === event.key.toLowerCase());
      if (!action || event.repeat) return false;
      decide(action);
    }
    return true;
  }

  function toggle(index) {
    state.anchor = index;
    if (data.faces[index].decided) return;
    if (!state.selected.delete(index)) state.selected.add(index);
  }

  function range(from, to) {
    for (let index = Math.min(from, to); index <= Math.max(from, to); index++)
      if (!data.faces[index].decided) state.selected.add(index);
  }

  function left() {
    return data.faces.flatMap((face, index) => (face.decided ? [] : [index]));
  }

  function decide(action) {
    if (state.waiting) return; // until the server has answered, a key would be about a page that has changed
    const chosen = state.selected.size ? [...state.selected].sort((a, b) => a - b) : left();
    if (!chosen.length) return;
    state.waiting = true;
    state.selected.clear();
    setTriggerValue("decide", { page: data.page, chosen, action: action.action, label: action.label });
    paint();
  }

  function paint() {
    cells.forEach((cell, index) => {
      cell.classList.toggle("selected", state.selected.has(index));
      cell.classList.toggle("cursor", state.cursor === index);
      cell.setAttribute("aria-selected", state.selected.has(index));
    });
    const count = state.selected.size;
    hint.textContent = state.waiting
      ? "saving …"
      : count
        ? `${count} selected: a key decides these`
        : `none selected: a key decides all ${left().length} that are left on this page`;
  }
}

function makeCell(data, face, index) {
  const cell = element("div", face.decided ? "cell decided" : "cell");
  cell.setAttribute("role", "option");
  const picture = element("div", "picture");
  const rows = Math.ceil(data.faces.length / data.columns);
  const column = index % data.columns;
  const row = Math.floor(index / data.columns);
  picture.style.backgroundImage = `url("${data.sheet}")`;
  picture.style.backgroundSize = `${100 * data.columns}% ${100 * rows}%`;
  picture.style.backgroundPosition =
    `${data.columns > 1 ? (100 * column) / (data.columns - 1) : 0}% ${rows > 1 ? (100 * row) / (rows - 1) : 0}%`;
  cell.append(picture, element("span", "caption", face.decided ?? face.caption));
  return cell;
}

function element(tag, kind, text) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  return made;
}
