// A page of faces: one picture, cut into cells. Arrows move, space or a click selects, shift extends; a key decides
// what is selected, or all that is left, and the last decision turns the page.

class PageView {
  static SMALLEST_PX = 64;
  at = null;
  pages = new Map(); // by number
  ahead = [];
  selected = new Set(); // places
  drafts = new Map(); // page → note that is not sent yet
  cursor = 0;
  anchor = 0;
  columns = 8;
  #drawn = null;
  #cells = [];
  #shownAt = 0;

  constructor(panel, data) {
    this.panel = panel;
    this.closeup = new Closeup(panel, data);
    this.note = element("input", "note");
    Object.assign(this.note, { type: "text", maxLength: 2000, placeholder: `Note, saved with the next decision on this page (${printed(data.keys.note)})` });
    this.note.setAttribute("aria-label", "Note, saved with the next decision on this page");
    this.note.oninput = () => this.#page() && this.drafts.set(this.at, this.note.value);
    this.heading = element("h2");
    this.hint = element("p", "hint");
    this.hint.setAttribute("aria-live", "polite");
    this.grid = element("div", "grid");
    this.grid.tabIndex = 0;
    this.grid.setAttribute("role", "listbox");
    this.grid.setAttribute("aria-multiselectable", "true");
    this.grid.setAttribute("aria-label", "Faces of this page");
    this.message = element("p", "message");
    const line = element("div", "line");
    line.append(this.heading, this.hint, this.note);
    const keys = element("div", "line");
    panel.finder.root.before(panel.linkButton());
    keys.append(panel.decisions, panel.moves);
    this.body = element("div", "page");
    this.body.append(line, keys, this.grid);
    this.root = element("div");
    this.root.append(this.message, this.body, this.closeup.root);
    this.resized = () => this.#fit();
    this.observer = new ResizeObserver(this.resized); // the side may fold away without the window changing
    this.observer.observe(this.body);
    window.addEventListener("resize", this.resized);
  }

  close() {
    this.observer.disconnect();
    window.removeEventListener("resize", this.resized);
  }

  hear(data) {
    for (const [number, page] of Object.entries(data.pages)) {
      page.cells = this.#makeCells(page); // before the page is turned
      this.pages.set(Number(number), page);
    }
    this.ahead = data.ahead;
    this.closeup.hear(data.looked);
    for (const number of this.pages.keys())
      if (number !== this.at && !data.keep.includes(number)) this.pages.delete(number);
    if (this.at === null) this.goTo(this.#nextOpen());
  }

  held() {
    return [...this.pages.keys()];
  }

  goTo(number) {
    if (number === this.at) return;
    this.at = number;
    this.selected.clear();
    this.cursor = this.anchor = 0;
    this.closeup.forget();
    this.#shownAt = performance.now();
  }

  step(by) {
    const from = this.at ?? this.panel.data.count;
    this.goTo(Math.min(this.panel.data.count - 1, Math.max(0, from + by)));
  }

  targets() {
    const page = this.#page();
    if (!page || this.#drawn !== page || performance.now() - this.#shownAt < SingleView.UNSEEN_MS) return [];
    const chosen = page.faces.filter((face) => this.selected.has(face.place));
    return chosen.length ? chosen : this.#left();
  }

  elapsed(count) {
    return Math.round((performance.now() - this.#shownAt) / count);
  }

  noteOf() {
    return this.note.value.trim() || null;
  }

  advance() {
    this.selected.clear();
    this.drafts.delete(this.at);
    this.note.value = "";
    this.closeup.forget();
    this.#shownAt = performance.now();
    if (!this.#left().length) this.goTo(this.#nextOpen());
  }

  hasOpen() {
    return this.#left().length > 0;
  }

  skipDecided() {
    if (this.#page() && !this.#left().length) this.goTo(this.#nextOpen());
    return Boolean(this.#page());
  }

  draw() {
    const page = this.#page();
    const { data, journal } = this.panel;
    this.body.hidden = !page;
    this.message.hidden = Boolean(page);
    if (!page) {
      const finished = this.at === null && journal.decided() >= data.total;
      setText(this.message, finished ? "Every face of this queue is decided." : "Fetching the page …");
      return;
    }
    if (this.#drawn !== page) this.#lay(page);
    for (const [index, face] of page.faces.entries()) this.#paint(this.#cells[index], face, index, journal.outcome(face.row));
    this.grid.setAttribute("aria-activedescendant", `cell-${this.cursor}`);
    const left = this.#left().length;
    setText(
      this.hint,
      this.selected.size ? `${this.selected.size} selected: a key decides these` : `none selected: a key decides all ${left} that are left`,
    );
    const face = page.faces[this.cursor];
    if (this.closeup.isOpen) this.closeup.mark(journal.outcome(face.row), this.selected.has(face.place));
  }

  // Moves the cursor; false where the key is none of these.
  move(key, extend) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns };
    if (!(key in steps) || !this.#page()) return false;
    const next = this.cursor + steps[key];
    if (next >= 0 && next < this.#cells.length) {
      this.cursor = next;
      if (extend) this.#range(this.anchor, next);
      else this.anchor = next;
      this.#cells[next].scrollIntoView({ block: "nearest" });
    }
    return true;
  }

  select() {
    this.#toggle(this.cursor);
  }

  clear() {
    this.selected.clear();
  }

  // The picture whose view can be changed: the one that is shown large, or none.
  looking() {
    return this.closeup.isOpen ? this.closeup.picture : null;
  }

  // The face under the cursor, large.
  enlarge() {
    const face = this.#page()?.faces[this.cursor];
    if (face) this.closeup.show(face, this.#cells[this.cursor].firstChild, `face ${this.cursor + 1} of ${this.#cells.length}`);
  }

  link() {
    return this.#page()?.faces[this.cursor]?.id;
  }

  #page() {
    return this.pages.get(this.at) ?? null;
  }

  #left() {
    return this.#page()?.faces.filter((face) => !this.panel.journal.outcome(face.row)) ?? [];
  }

  #nextOpen() {
    const open = (number) => this.pages.get(number)?.faces.some((face) => !this.panel.journal.outcome(face.row));
    return this.ahead.find((number) => number !== this.at && open(number)) ?? null;
  }

  #lay(page) {
    this.#drawn = page;
    this.#shownAt = performance.now();
    this.heading.textContent =
      (page.suggestion ? `The model suggests ${page.suggestion} · ` : "") + `page ${(page.number + 1).toLocaleString("en")} of ${this.panel.data.count.toLocaleString("en")}`;
    this.#cells = page.cells;
    this.grid.replaceChildren(...this.#cells);
    this.panel.mark(null, page.suggestion);
    this.panel.root.dataset.page = page.number;
    this.note.value = this.drafts.get(page.number) ?? "";
    this.#fit();
  }

  #makeCells(page) {
    return cutSheet(page.sheet, page.columns, page.faces.length).map((cut, index) => {
      const cell = element("div", "cell");
      cell.id = `cell-${index}`;
      cell.setAttribute("role", "option");
      cell.append(cut, element("span", "caption"));
      cell.onclick = (event) => this.#click(index, event.shiftKey);
      cell.ondblclick = () => (this.enlarge(), this.panel.draw()); // its two clicks took each other back
      return cell;
    });
  }

  #click(index, extend) {
    if (extend) this.#range(this.anchor, index);
    else this.#toggle(index);
    this.cursor = index;
    this.panel.draw();
  }

  #paint(cell, face, index, outcome) {
    const chosen = this.selected.has(face.place);
    cell.className = `cell${chosen ? " selected" : ""}${index === this.cursor ? " cursor" : ""}${outcome ? " decided" : ""}`;
    cell.setAttribute("aria-selected", chosen);
    const words = outcome ? outcomeText(outcome) : given(face, this.panel.data.blind);
    setText(cell.lastChild, words);
    cell.setAttribute("aria-label", `face ${index + 1}${words ? `, ${words}` : ""}`);
  }

  #toggle(index) {
    this.anchor = index;
    const face = this.#page().faces[index];
    if (!this.panel.journal.outcome(face.row) && !this.selected.delete(face.place)) this.selected.add(face.place);
  }

  #range(from, to) {
    const faces = this.#page().faces.slice(Math.min(from, to), Math.max(from, to) + 1);
    for (const face of faces) if (!this.panel.journal.outcome(face.row)) this.selected.add(face.place);
  }

  // As many columns as show the whole page without scrolling, if the faces stay large enough to be seen.
  #fit() {
    const count = this.#cells.length;
    if (!count || !this.body.clientWidth) return;
    const wide = this.body.clientWidth;
    const high = window.innerHeight - this.grid.getBoundingClientRect().top - 16;
    const side = (columns) => Math.min(wide / columns, high / Math.ceil(count / columns));
    const choices = Array.from({ length: 16 }, (_, index) => index + 4);
    const best = choices.reduce((one, other) => (side(other) > side(one) + 1 ? other : one));
    const small = Math.max(4, Math.floor(wide / PageView.SMALLEST_PX));
    this.columns = side(best) >= PageView.SMALLEST_PX ? best : Math.min(small, 10);
    this.grid.style.gridTemplateColumns = `repeat(${this.columns}, minmax(0, 1fr))`;
    const most = side(best) >= PageView.SMALLEST_PX ? side(best) * this.columns : wide;
    this.grid.style.maxWidth = `${Math.floor(most)}px`;
  }
}

/** The label of a face in words, with its split where copies stand side by side. */
function given(face, blind) {
  if (blind) return "";
  return [face.label ?? "no label", face.split].filter(Boolean).join(" · ");
}
