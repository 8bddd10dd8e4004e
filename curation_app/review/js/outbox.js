// What was decided and is not acknowledged yet. It survives a reload, a cut line and a killed server in the tab's
// sessionStorage: ids, actions and notes, no pictures. An event leaves it when the server says that it is on the disk.

const STORED = "fer-outbox-";

class Outbox {
  who = null;
  reviewer = "";
  events = [];
  refused = [];
  version = 0; // rises with every change

  // Another reviewer, manifest or log has an outbox of its own: nothing is signed with another's name.
  belongTo(who, reviewer) {
    if (who === this.who) return;
    this.version += 1;
    this.who = who;
    this.reviewer = reviewer;
    this.events = readStored(STORED + who)?.events ?? [];
    this.refused = [];
  }

  add(events) {
    this.events.push(...events);
    this.#store();
  }

  settle(acknowledged, refused) {
    const gone = new Set([...acknowledged, ...refused.map((one) => one.event_id)]);
    const fresh = refused.filter((one) => this.events.some((event) => event.event_id === one.event_id));
    this.refused.push(...fresh);
    const before = this.events.length;
    this.events = this.events.filter((event) => !gone.has(event.event_id));
    if (this.events.length !== before) this.#store();
  }

  // Decisions that were signed with other names in this tab and still wait: [[reviewer, count] …].
  othersWaiting() {
    const found = storedKeys().filter((key) => key !== STORED + this.who).map((key) => readStored(key));
    return found.filter((one) => one?.events?.length).map((one) => [one.reviewer, one.events.length]);
  }

  #store() {
    this.version += 1;
    try {
      if (this.events.length)
        storage()?.setItem(STORED + this.who, JSON.stringify({ reviewer: this.reviewer, events: this.events }));
      else storage()?.removeItem(STORED + this.who);
    } catch {
      // No room in the browser: the events are still held here, and leaving the page warns.
    }
  }
}

function storage() {
  try {
    return window.sessionStorage;
  } catch {
    return null; // the browser forbids it
  }
}

function storedKeys() {
  return Object.keys(storage() ?? {}).filter((key) => key.startsWith(STORED));
}

// On the pages beside reviewing, too: a tab that is closed takes what waits in it along.
function warnOfStored(event) {
  if (storedKeys().length) event.preventDefault();
}

function readStored(key) {
  try {
    return JSON.parse(storage()?.getItem(key) ?? "null");
  } catch {
    return null;
  }
}

// Brings messages to the server: one on its way at a time, the newest state next, again where no answer comes.
class Post {
  static SILENCE_MS = 5000;
  static RETRY_MS = 3000;
  number = Math.floor(Math.random() * 1e9); // another page's answers are not taken for this one's
  waiting = false;
  again = false;
  silent = false;
  #timer = 0;

  constructor(compose, changed) {
    this.compose = compose;
    this.changed = changed;
    this.send = null;
  }

  post() {
    if (!this.send || this.waiting) {
      this.again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.number += 1;
    this.waiting = true;
    this.again = false;
    this.#timer = setTimeout(() => this.#late(), Post.SILENCE_MS);
    this.send("message", this.compose(this.number));
  }

  answered(number, failed) {
    if (number !== this.number) return;
    clearTimeout(this.#timer);
    this.waiting = this.silent = false;
    if (failed) this.#timer = setTimeout(() => this.post(), Post.RETRY_MS);
    else if (this.again) this.post();
  }

  // What was on its way is of no account: another reviewer or another queue begins.
  forget() {
    clearTimeout(this.#timer);
    this.waiting = this.again = this.silent = false;
  }

  close() {
    this.forget();
    this.send = null;
  }

  #late() {
    this.waiting = false;
    this.silent = true;
    this.post();
    this.changed();
  }
}
