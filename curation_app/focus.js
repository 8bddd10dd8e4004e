// Streamlit's shortcuts are off while an input has the focus. A radio button or switch that was clicked with the mouse
// gives the focus back, so that the next key decides; who moves with the Tab key keeps it.

const SWITCH = "input[type=radio], input[type=checkbox]";
const AFTER_CLICK_MS = 50; // the browser moves the focus only after the click was handled

export default function () {
  const release = () =>
    setTimeout(() => {
      if (document.activeElement?.matches(SWITCH)) document.activeElement.blur();
    }, AFTER_CLICK_MS);
  document.addEventListener("pointerup", release, true);
  return () => document.removeEventListener("pointerup", release, true);
}
