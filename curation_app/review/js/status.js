// The line at the top: queue, progress, time to the end, and whether all that was decided is saved.

class Status {
  constructor(actions) {
    this.title = element("h1");
    this.count = element("span", "count");
    this.word = element("span", "word");
    this.word.setAttribute("role", "status");
    this.word.setAttribute("aria-live", "polite");
    this.retry = button("Try again now", "small", actions.retry);
    this.dismiss = button("Dismiss", "small", actions.dismiss);
    this.others = element("div", "others");
    this.others.setAttribute("role", "alert");
    this.bar = element("span");
    const track = element("div", "track");
    track.append(this.bar);
    const line = element("div", "top");
    line.append(this.title, this.count, this.word, this.retry, this.dismiss);
    this.root = element("div", "status");
    this.root.append(line, track, this.others);
  }

  draw(data, decided, outbox, post) {
    const left = data.total - decided;
    const time = data.seconds_each !== null && left ? ` · ${spellTime(left * data.seconds_each)}` : "";
    setText(this.title, data.queue.title);
    this.title.title = data.queue.why;
    setText(
      this.count,
      `${decided.toLocaleString("en")} of ${data.total.toLocaleString("en")} decided · ${left.toLocaleString("en")} left${time}`,
    );
    this.bar.style.width = `${(100 * decided) / Math.max(data.total, 1)}%`;
    const [kind, words] = Status.#say(data, outbox, post);
    this.word.className = `word ${kind}`;
    setText(this.word, words);
    this.retry.hidden = kind !== "failed" || !outbox.events.length;
    this.dismiss.hidden = !outbox.refused.length;
    const others = outbox.othersWaiting().map(([name, count]) => `${plural(count, "decision")} signed “${name}”`);
    setText(this.others, others.length ? `NOT saved yet: ${others.join(", ")}. Sign with that name to save them.` : "");
  }

  static #say(data, outbox, post) {
    const count = outbox.events.length;
    if (outbox.refused.length) {
      const [first] = outbox.refused;
      return ["failed", `NOT saved: ${plural(outbox.refused.length, "decision")} refused: ${first.why}`];
    }
    if (count && post.silent)
      return ["failed", `NOT saved: the server does not answer; ${plural(count, "decision")} kept in this tab, tried again`];
    if (count && data.failed) return ["failed", `NOT saved: ${data.failed}`];
    return count ? ["saving", `${count} being saved …`] : ["saved", "saved"];
  }
}

// Text is set only where it changes, so that a screen reader hears changes and nothing else.
function setText(place, words) {
  if (place.textContent !== words) place.textContent = words;
}
