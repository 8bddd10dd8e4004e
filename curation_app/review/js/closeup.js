// One face of a page, large, with all that is known of it. What the page holds already is shown at once; the server is
// asked for the rest. Arrows go from face to face, and the face may be selected here.

class Closeup {
  asked = null; // what the server is asked for until it has answered: {number, place}
  #count = 0;
  #cards = new Map(); // by place, of this page
  #face = null;

  constructor(panel, data) {
    this.panel = panel;
    this.picture = new Picture(data.keys);
    this.title = element("h2");
    this.title.setAttribute("aria-live", "polite");
    this.tags = element("div", "tags");
    this.known = element("div", "known");
    this.beside = element("div", "beside");
    const right = element("div", "right");
    right.append(this.title, this.tags, this.known);
    const body = element("div", "single");
    const left = element("div", "left");
    left.append(this.picture.root);
    body.append(left, right, this.beside);
    this.root = element("dialog", "closeup");
    this.root.setAttribute("aria-label", "The face, large");
    this.root.tabIndex = -1;
    this.root.append(body, button("Close", "", () => this.root.close(), data.keys.enlarge));
  }

  get isOpen() {
    return this.root.open;
  }

  // What the page knows of a face, and the piece of its picture that shows it.
  show(face, cut, name) {
    this.#face = { ...face, earlier: [], picture: cut.toDataURL() };
    preparePicture(this.#face, name);
    this.title.textContent = name;
    const card = this.#cards.get(face.place);
    if (card) this.#face = card;
    else this.asked = { number: (this.#count += 1), place: face.place };
    if (!this.isOpen) {
      this.root.showModal();
      this.root.focus(); // no button of it: the space bar selects
    }
    this.#draw();
    if (!card) this.panel.post.post();
  }

  hear(looked) {
    if (!looked || looked.number !== this.asked?.number) return;
    this.asked = null;
    preparePicture(looked.face, this.title.textContent);
    this.#cards.set(looked.face.place, looked.face);
    if (!this.isOpen || looked.face.place !== this.#face.place) return;
    this.#face = looked.face;
    this.#draw();
  }

  // Another page begins, or something was decided: what was told of earlier decisions is no longer true.
  forget() {
    this.#cards.clear();
    this.root.close();
  }

  // The labels over the face, which selecting and deciding change.
  mark(outcome, chosen) {
    const tags = tagsOf(this.#face, outcome, this.panel.data.blind);
    if (chosen) tags.push(tag("on this page", "selected", "chosen"));
    this.tags.replaceChildren(...tags);
  }

  #draw() {
    this.picture.show(this.#face);
    const named = [this.#face.id, this.#face.size].filter(Boolean).join(" · ");
    this.known.replaceChildren(element("p", "facts", named), ...factsOf(this.#face), ...barsOf(this.panel.data.labels, this.#face));
    this.beside.replaceChildren(...besideOf(this.#face));
  }
}
