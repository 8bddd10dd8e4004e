// The sheet of keys, and the field that jumps to an id.

const KEY_WORDS = {
  keep: "keep the label", drop: "drop the face", unsure: "unsure", accept: "accept the face", reject: "reject the face",
  undo: "take back the last step, also after a restart", previous: "previous face", next: "next face",
  previous_page: "previous page", next_page: "next page", select: "select the face", enlarge: "the face large, with what is known of it", note: "write a note",
  jump: "jump to an id", link: "copy a link to this face", heat_map: "heat map", smooth: "smooth or as stored",
  brighter: "brighter", darker: "darker", more_contrast: "more contrast", less_contrast: "less contrast",
  as_stored: "view as stored", help: "these keys",
};
const ONLY_IN = {
  single: ["previous", "next"],
  page: ["previous_page", "next_page", "select", "enlarge"],
};
const DECISIONS = ["keep", "drop", "unsure", "accept", "reject"];

class Help {
  constructor() {
    this.root = element("dialog", "help");
    this.root.setAttribute("aria-label", "Keys");
  }

  toggle(data) {
    if (this.root.open) return this.root.close();
    const list = element("dl");
    for (const [key, what] of Help.#lines(data)) list.append(element("dt", "", printed(key)), element("dd", "", what));
    const words = data.layout === "page"
      ? "Arrows move, shift extends the selection, Esc clears it. A key decides what is selected, or all that is left. A double click shows a face large, too; there arrows go on, the view can be changed, and Esc closes."
      : "A decision brings up the next face that is not decided. Esc leaves a field.";
    const close = button("Close", "", () => this.root.close());
    this.root.replaceChildren(element("h2", "", "Keys"), list, element("p", "", words), close);
    this.root.showModal();
    this.root.scrollTop = 0; // the focus is on the button at its end
  }

  static *#lines(data) {
    const offered = new Set(data.actions.map((one) => one.action));
    for (const one of data.actions) if (one.label && one.key) yield [one.key, `the face shows ${one.label}`];
    const other = ONLY_IN[data.layout === "page" ? "single" : "page"];
    for (const [action, what] of Object.entries(KEY_WORDS)) {
      if (other.includes(action) || (DECISIONS.includes(action) && !offered.has(action))) continue;
      if (action === "link" && data.blind) continue;
      yield [data.keys[action], what];
    }
  }
}

// Jump to an id: the server knows where it is.
class Finder {
  asked = null;

  constructor(post, key) {
    this.field = element("input", "jump");
    Object.assign(this.field, { type: "search", placeholder: `Jump to id (${printed(key)})`, maxLength: 300 });
    this.field.setAttribute("aria-label", "Jump to an id");
    this.answer = element("span", "answer");
    this.answer.setAttribute("role", "status");
    this.root = element("span", "finder");
    this.root.append(this.field, this.answer);
    this.field.onkeydown = (event) => {
      if (event.key !== "Enter" || !this.field.value.trim()) return;
      this.asked = { number: (this.asked?.number ?? 0) + 1, id: this.field.value.trim() };
      this.field.blur();
      post();
    };
  }

  // Where the server found it, or null.
  hear(found) {
    if (!found || !this.asked?.id || found.number !== this.asked.number) return null;
    this.asked = { number: found.number, id: null };
    setText(this.answer, found.why ?? "");
    if (found.why === null) this.field.value = "";
    return found.at;
  }
}
