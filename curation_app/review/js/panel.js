const VIEW_ACTS = {
  heat_map: (picture) => picture.toggle("heat"), smooth: (picture) => picture.toggle("smooth"),
  brighter: (picture) => picture.change("brightness", 10), darker: (picture) => picture.change("brightness", -10),
  more_contrast: (picture) => picture.change("contrast", 10), less_contrast: (picture) => picture.change("contrast", -10),
  as_stored: (picture) => picture.asStored(),
};

// The reviewing surface. Streamlit calls the function at the end again for every answer of the server.

class Panel {
  constructor(root) {
    this.root = root;
    this.home = location.pathname;
    this.data = null;
    this.outbox = new Outbox();
    this.journal = new Journal(this.outbox);
    this.post = new Post((number) => this.message(number), () => this.draw());
    this.status = new Status({ retry: () => this.#retry(), dismiss: () => this.#dismiss() });
    this.help = new Help();
    this.keyboard = new Keyboard(this);
    this.leaving = (event) => this.outbox.events.length && event.preventDefault();
    window.addEventListener("beforeunload", this.leaving);
    window.addEventListener("beforeunload", warnOfStored); // stays
    // Whoever comes back from another tab may have decided there.
    this.returned = () => document.visibilityState === "visible" && this.data && this.post.post();
    document.addEventListener("visibilitychange", this.returned);
    window.addEventListener("focus", this.returned);
  }

  close() {
    this.keyboard.close();
    this.post.close();
    this.view?.close?.();
    window.removeEventListener("beforeunload", this.leaving);
    document.removeEventListener("visibilitychange", this.returned);
    window.removeEventListener("focus", this.returned);
  }

  hear(data, send) {
    this.post.send = send;
    this.outbox.belongTo(data.who, data.reviewer);
    this.outbox.settle(data.acknowledged, data.refused);
    const fresh = data.round !== this.data?.round;
    const wasOpen = !fresh && this.view.hasOpen();
    this.data = data;
    this.journal.hear(data);
    if (fresh) this.#begin(data);
    const found = this.finder.hear(data.found);
    if (found !== null) this.view.goTo(found);
    this.view.hear(data);
    if (fresh) this.arriving = !data.linked; // the first face may come with a later answer
    const decidedElsewhere = wasOpen && !this.view.hasOpen(); // in another tab, say
    if (this.arriving || decidedElsewhere) this.arriving = !this.view.skipDecided();
    else if (data.number === this.post.number && data.at === null) this.#leaveLostPlace();
    this.draw();
    this.post.answered(data.number, data.failed);
    // A panel that begins says what it holds: the server may have answered one that is gone.
    if ((fresh || data.more) && !this.post.waiting) this.post.post();
  }

  // A key; true where it did something.
  press(key, event) {
    if (!this.data) return false;
    const action = this.#actionOf(key);
    if (this.help.root.open) return action === "help" && (this.help.toggle(this.data), true);
    if (this.view.closeup?.isOpen) return this.#pressCloseup(key, action);
    if (this.view.move?.(key, event.shiftKey)) return this.draw(), true;
    if (key === "Escape" && this.view.clear) return this.view.clear(), this.draw(), true;
    const decision = this.data.actions.find((one) => one.key === key);
    if (decision) return event.repeat || this.decide(decision), true;
    const act = this.acts[action];
    if (act) act();
    return Boolean(act);
  }

  // While a face of a page is shown large it can be looked at and selected; deciding is the page's.
  #pressCloseup(key, action) {
    if (action === "enlarge") this.view.closeup.root.close();
    else if (this.view.move(key, false)) this.view.enlarge();
    else if (action === "select" || action in VIEW_ACTS) this.acts[action]();
    else return false;
    this.draw();
    return true;
  }

  knows(key) {
    return this.#actionOf(key) !== undefined;
  }

  decide({ action, label }) {
    const faces = this.view.targets(action);
    if (!faces.length) return;
    const batch = this.data.layout === "page" ? crypto.randomUUID() : null;
    const elapsed = this.view.elapsed(faces.length);
    const events = faces.map((face) => ({
      event_id: crypto.randomUUID(), action, label, row: face.row, pixel_sha256: face.pixel_sha256,
      elapsed_ms: elapsed, batch, queue: this.data.queue.name, blind: this.data.blind, note: this.view.noteOf(face),
    }));
    for (const [index, event] of events.entries())
      this.journal.remember(event, { place: faces[index].place, at: this.view.at, row: event.row });
    this.outbox.add(events);
    this.view.noted?.(events);
    this.view.advance();
    this.draw();
    this.post.post();
  }

  undo() {
    const step = this.journal.steps().at(-1);
    if (!step) return;
    const events = step.map((one) => ({
      event_id: crypto.randomUUID(), action: "undo", undoes: one.event_id, row: one.row >= 0 ? one.row : null,
      queue: this.data.queue.name, blind: this.data.blind,
    }));
    for (const [index, event] of events.entries()) this.journal.remember(event, step[index]);
    this.outbox.add(events);
    this.view.takenBack?.(step);
    if (step[0].at !== null) this.view.goTo(step[0].at);
    this.draw();
    this.post.post();
  }

  // The given and the suggested label on the buttons: an outline, and words for those who do not see it.
  mark(given, suggested) {
    for (const one of this.decisions.querySelectorAll("[data-label]")) {
      one.classList.toggle("given", one.dataset.label === given);
      one.classList.toggle("suggested", one.dataset.label === suggested);
      one.title = one.dataset.label === suggested ? "the model suggests this" : one.dataset.label === given ? "the label" : "";
    }
    const keep = this.decisions.querySelector("[data-action=keep]");
    if (keep) keep.hidden = this.data.layout === "single" && given === null;
  }

  draw() {
    if (!this.data) return;
    this.view.draw();
    const decided = this.journal.decided();
    this.status.draw(this.data, decided, this.outbox, this.post);
    Object.assign(this.root.dataset, { outbox: this.outbox.events.length, decided, layout: this.data.layout });
    this.root.dataset.showing = this.view.body.hidden ? "message" : "face";
  }

  // A server that was started again does not know the place of a face that was jumped to.
  #leaveLostPlace() {
    if (this.view.at === null || this.view.held().includes(this.view.at)) return;
    this.view.goTo(null);
    this.view.hear(this.data);
  }

  #begin(data) {
    this.post.forget();
    this.view?.close?.();
    this.finder = new Finder(() => this.post.post(), data.keys.jump);
    this.acts = this.#acts();
    this.decisions = this.#decisionButtons(data);
    this.moves = this.#moveButtons(data);
    this.view = data.layout === "page" ? new PageView(this, data) : new SingleView(this, data);
    this.view.at = data.at;
    this.root.replaceChildren(this.status.root, this.view.root, this.help.root);
    // What was changed at the side to get here gives the focus back, so that the next key decides.
    if (document.activeElement?.matches("input")) document.activeElement.blur();
  }

  message(number) {
    return {
      number, who: this.data.who, round: this.data.round, outbox: this.outbox.events, at: this.view.at,
      held: this.view.held(), find: this.finder.asked?.id ? this.finder.asked : null, look: this.view.closeup?.asked ?? null,
    };
  }

  #acts() {
    const look = (act) => () => this.view.looking() && act(this.view.looking());
    const go = (by) => () => (this.view.step(by), this.draw(), this.post.post());
    const page = this.data.layout === "page";
    return {
      undo: () => this.undo(),
      [page ? "previous_page" : "previous"]: go(-1),
      [page ? "next_page" : "next"]: go(1),
      note: () => this.view.note?.focus(),
      jump: () => this.finder.field.focus(),
      link: () => this.#copyLink(),
      help: () => this.help.toggle(this.data),
      ...(page && { select: () => (this.view.select(), this.draw()), enlarge: () => (this.view.enlarge(), this.draw()) }),
      ...Object.fromEntries(Object.entries(VIEW_ACTS).map(([name, act]) => [name, look(act)])),
    };
  }

  #actionOf(key) {
    return Object.keys(this.data.keys).find((action) => this.data.keys[action] === key);
  }

  #decisionButtons(data) {
    const made = data.actions.map((one) => {
      const decision = button(one.text, `decision ${one.action}`, () => this.decide(one), one.key);
      decision.dataset.action = one.action;
      if (one.label) decision.dataset.label = one.label;
      return decision;
    });
    return group("decisions", "Decide", ...made);
  }

  #moveButtons(data) {
    const page = data.layout === "page";
    const [back, next] = page ? ["previous_page", "next_page"] : ["previous", "next"];
    const made = [
      button(page ? "Previous page" : "Previous", "small", this.acts[back], data.keys[back]),
      button(page ? "Next page" : "Next", "small", this.acts[next], data.keys[next]),
      ...(page ? [button("Enlarge", "small", this.acts.enlarge, data.keys.enlarge)] : []),
      button("Undo", "small", this.acts.undo, data.keys.undo),
      button("Keys", "small", this.acts.help, data.keys.help),
    ];
    return group("moves", "Move", ...made, this.finder.root);
  }

  linkButton() {
    const made = button("Link", "small", this.acts.link, this.data.keys.link);
    made.hidden = this.data.blind; // it holds the id
    return made;
  }

  #copyLink() {
    const id = this.view.link();
    if (!id || this.data.blind) return;
    const query = new URLSearchParams({ queue: this.data.queue.name, sample: id });
    const link = `${location.origin}${location.pathname}?${query}`;
    navigator.clipboard?.writeText(link).then(() => setText(this.finder.answer, "link copied"), () => setText(this.finder.answer, link));
  }

  #retry() {
    this.post.waiting = false;
    this.post.post();
  }

  #dismiss() {
    this.outbox.refused = [];
    this.draw();
  }
}

// A line that is cut while the server answers ends that run before it has drawn the panel, and Streamlit takes the panel
// off the page. Asking again brings it back; not where the reviewer went to another page.
const RETURN_MS = 1500;
const RETURN_TRIES = 8;
let onPage = null;

function bringBack(message, send, home, tries = RETURN_TRIES) {
  if (onPage || !tries || location.pathname !== home) return;
  send("message", message);
  setTimeout(() => bringBack(message, send, home, tries - 1), RETURN_MS);
}

export default function ({ data, setStateValue, parentElement }) {
  const root = parentElement.querySelector(".review");
  const panel = (onPage = root.panel ??= new Panel(root));
  panel.hear(data, setStateValue);
  return () => {
    panel.close();
    delete root.panel;
    if (onPage === panel) onPage = null;
    const message = panel.message(panel.post.number);
    setTimeout(() => bringBack(message, setStateValue, panel.home), RETURN_MS);
  };
}
