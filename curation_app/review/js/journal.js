// What stands: what the server said last, and over it what is in the outbox. So a decision counts at once, and what
// the server acknowledges or knows from elsewhere corrects it.

class Journal {
  said = { outcomes: {}, steps: [], decided: 0, total: 0 };
  #overlay = new Map(); // row → what the outbox makes of it
  #overlaid = -1;
  #whereabouts = new Map(); // event id → the face that it is about; only of this page's own events

  constructor(outbox) {
    this.outbox = outbox;
  }

  hear(data) {
    this.said = data;
    const waiting = new Set(this.outbox.events.map((event) => event.event_id));
    for (const id of this.#whereabouts.keys()) if (!waiting.has(id)) this.#whereabouts.delete(id);
  }

  remember(event, face) {
    this.#whereabouts.set(event.event_id, face);
  }

  // [action, label] that stands on a row, or null.
  outcome(row) {
    const waiting = this.#waiting();
    return waiting.has(row) ? waiting.get(row) : (this.said.outcomes[row] ?? null);
  }

  // Steps that can be taken back, the last one last.
  steps() {
    let steps = this.said.steps;
    for (const event of this.outbox.events) {
      if (event.action === "undo") {
        steps = steps.map((step) => step.filter((one) => one.event_id !== event.undoes));
        steps = steps.filter((step) => step.length);
        continue;
      }
      const one = { place: null, at: null, ...this.#whereabouts.get(event.event_id), event_id: event.event_id };
      one.batch = event.batch;
      const last = steps.at(-1);
      if (event.batch && last?.[0].batch === event.batch) steps = [...steps.slice(0, -1), [...last, one]];
      else steps = [...steps, [one]];
    }
    return steps;
  }

  // How many faces of the queue are decided.
  decided() {
    const inQueue = new Set();
    for (const face of this.#whereabouts.values())
      if (face.place !== null && face.place < this.said.total) inQueue.add(face.row);
    let count = this.said.decided;
    for (const [row, stands] of this.#waiting())
      if (inQueue.has(row)) count += (stands ? 1 : 0) - (this.said.outcomes[row] ? 1 : 0);
    return count;
  }

  #waiting() {
    if (this.#overlaid === this.outbox.version) return this.#overlay;
    this.#overlaid = this.outbox.version;
    this.#overlay = new Map();
    for (const event of this.outbox.events)
      if (event.row !== null) this.#overlay.set(event.row, event.action === "undo" ? null : [event.action, event.label]);
    return this.#overlay;
  }
}
