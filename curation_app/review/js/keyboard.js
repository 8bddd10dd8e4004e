// Keys act wherever the focus is, but not while somebody types, and never with Ctrl, Alt or the system key.

const TYPING = "input:not([type=radio], [type=checkbox], [type=range]), textarea, [contenteditable='true']";
const MOVING = "input, [role=listbox] *, [role=combobox], [role=option], [role=slider], [role=tab]"; // these need arrows
const PRESSED_BY = ["Enter", " "];
const SWITCH = "input[type=radio], input[type=checkbox]";
const AFTER_CLICK_MS = 50; // the browser moves the focus only after the click was handled

class Keyboard {
  constructor(panel) {
    this.panel = panel;
    this.pressed = (event) => this.#press(event);
    // A radio button or switch of the sidebar that was clicked gives the focus back, so that the next key decides.
    this.clicked = () => setTimeout(() => document.activeElement?.matches(SWITCH) && document.activeElement.blur(), AFTER_CLICK_MS);
    document.addEventListener("keydown", this.pressed, true);
    document.addEventListener("pointerup", this.clicked, true);
  }

  close() {
    document.removeEventListener("keydown", this.pressed, true);
    document.removeEventListener("pointerup", this.clicked, true);
  }

  #press(event) {
    const target = event.composedPath()[0];
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (target.matches?.(TYPING)) {
      if (event.key === "Escape" && this.panel.root.contains(target)) target.blur();
      return;
    }
    const key = this.#name(event);
    const inside = this.panel.root.contains(target);
    if (PRESSED_BY.includes(event.key) && target.matches?.("button, a, summary")) return;
    if (key.startsWith("Arrow") && target.matches?.(inside ? "input[type=range]" : MOVING)) return;
    if (event.key === " " && !inside && target.matches?.(MOVING)) return;
    if (this.panel.press(key, event)) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
  }

  // Digits by their place too: some keyboards write them only with shift.
  #name(event) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const digit = /^Digit(\d)$/.exec(event.code);
    return digit && !event.shiftKey && !this.panel.knows(key) ? digit[1] : key;
  }
}
