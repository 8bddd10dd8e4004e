// One face at a time. The faces around the one on the screen are here already: a key needs no answer to show the next.

class SingleView {
  static UNSEEN_MS = 100; // nobody has seen a face sooner: a key that was pressed twice does not decide it
  static MOST_HELD = 48;
  at = null;
  faces = new Map(); // by place
  ahead = [];
  drafts = new Map(); // row → note that is not sent yet
  #drawn = null;
  #shownAt = 0;

  constructor(panel, data) {
    this.panel = panel;
    this.picture = new Picture(data.keys);
    this.place = element("p", "facts");
    const under = element("div", "under");
    under.append(this.place, panel.linkButton());
    this.tags = element("div", "tags");
    this.known = element("div", "known");
    this.beside = element("div", "beside");
    this.note = element("input", "note");
    Object.assign(this.note, { type: "text", maxLength: 2000, placeholder: `Note, saved with the decision (${printed(data.keys.note)})` });
    this.note.setAttribute("aria-label", "Note, saved with the decision");
    this.note.oninput = () => this.#face() && this.drafts.set(this.#face().row, this.note.value);
    const left = element("div", "left");
    left.append(this.picture.root, under);
    const right = element("div", "right");
    right.append(this.tags, this.known, panel.decisions, this.note, panel.moves);
    this.body = element("div", "single");
    this.body.append(left, right, this.beside);
    this.message = element("p", "message");
    this.root = element("div");
    this.root.append(this.message, this.body);
  }

  hear(data) {
    for (const [place, face] of Object.entries(data.faces)) {
      preparePicture(face, `face ${Number(place) + 1}`);
      this.faces.set(Number(place), face);
      if (Number(place) === this.at) this.#drawn = null;
    }
    this.ahead = data.ahead;
    if (this.faces.size > SingleView.MOST_HELD)
      for (const place of this.faces.keys())
        if (place !== this.at && !data.keep.includes(place)) this.faces.delete(place);
    if (this.at === null) this.goTo(this.#nextOpen());
  }

  held() {
    return [...this.faces.keys()];
  }

  goTo(place) {
    this.at = place;
    this.#shownAt = performance.now();
  }

  step(by) {
    const from = this.at ?? this.panel.data.total;
    const last = Math.max(this.panel.data.total, (this.at ?? -1) + 1) - 1;
    this.goTo(Math.min(last, Math.max(0, from + by)));
  }

  looking() {
    return this.picture;
  }

  // The faces that a decision is about, or none where there is nothing to decide yet.
  targets(action) {
    const face = this.#face();
    const seen = performance.now() - this.#shownAt >= SingleView.UNSEEN_MS && this.#drawn === face;
    return face && seen && !(action === "keep" && face.label === null) ? [face] : [];
  }

  elapsed() {
    return Math.round(performance.now() - this.#shownAt);
  }

  noteOf(face) {
    return this.drafts.get(face.row)?.trim() || null;
  }

  advance() {
    this.drafts.delete(this.#face().row);
    this.goTo(this.#nextOpen());
  }

  // The faces that are held here learn of their own decisions; the server tells them of others'.
  noted([event]) {
    const when = new Date().toISOString().slice(0, 16).replace("T", " ");
    const what = outcomeText([event.action, event.label]);
    this.#face().earlier.push({ event_id: event.event_id, who: "you", when, what, note: event.note ?? "" });
  }

  takenBack([{ event_id: id, place }]) {
    const past = this.faces.get(place)?.earlier.find((one) => one.event_id === id);
    if (past) past.what += " (taken back)";
    this.#drawn = null;
  }

  hasOpen() {
    const face = this.#face();
    return face !== null && !this.panel.journal.outcome(face.row);
  }

  // Past what was decided before the page was loaded and is still on its way.
  skipDecided() {
    const face = this.#face();
    if (face && this.panel.journal.outcome(face.row)) this.goTo(this.#nextOpen());
    return Boolean(face);
  }

  draw() {
    const face = this.#face();
    const { data } = this.panel;
    this.body.hidden = !face;
    this.message.hidden = Boolean(face);
    if (!face) {
      const finished = this.at === null && this.panel.journal.decided() >= data.total;
      setText(this.message, finished ? "Every face of this queue is decided." : "Fetching the face …");
      this.#drawn = null;
      return;
    }
    this.tags.replaceChildren(...tagsOf(face, this.panel.journal.outcome(face.row), data.blind));
    if (this.#drawn === face) return;
    this.#drawn = face;
    this.#shownAt = performance.now();
    this.picture.show(face);
    const outside = face.place >= data.total ? "outside this queue" : `${(face.place + 1).toLocaleString("en")} of ${data.total.toLocaleString("en")}`;
    this.place.textContent = [outside, face.id, face.size].filter(Boolean).join(" · ");
    this.known.replaceChildren(...factsOf(face), ...barsOf(data.labels, face));
    this.beside.replaceChildren(...besideOf(face));
    this.note.value = this.drafts.get(face.row) ?? "";
    this.panel.mark(face.label, face.suggestion);
    this.panel.root.dataset.place = face.place;
    this.panel.root.dataset.row = face.row;
  }

  link() {
    return this.#face()?.id;
  }

  #face() {
    return this.faces.get(this.at) ?? null;
  }

  // The next undecided face after this one, among those that the server named; null where it must be asked.
  #nextOpen() {
    const start = this.ahead.indexOf(this.at) + 1;
    const turned = [...this.ahead.slice(start), ...this.ahead.slice(0, start)];
    const open = (place) => this.faces.has(place) && !this.panel.journal.outcome(this.faces.get(place).row);
    return turned.find((place) => place !== this.at && open(place)) ?? null;
  }
}
