// A map of faces on one canvas. A lasso, or a frame that arrow keys move, selects; the server is told its corners.

const SIDE = 65535;
const PIXELS = 1088; // of the canvas: sharp on a screen with two pixels for each
const STEP = SIDE / 40;
// Okabe and Ito's colours, which people who see colours differently can tell apart.
const COLOURS = ["#d55e00", "#009e73", "#8250df", "#e69f00", "#0072b2", "#cc79a7", "#6e7781", "#000000"];
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const maps = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  const canvas = parentElement.querySelector("canvas");
  let map = maps.get(canvas);
  if (map === undefined) {
    map = new FaceMap(canvas);
    maps.set(canvas, map);
  }
  map.tell = (polygon) => setStateValue("polygon", polygon);
  map.show(data, parentElement.querySelector("ul"));
}

class FaceMap {
  constructor(canvas) {
    this.canvas = canvas;
    this.lasso = [];
    this.drawing = false;
    this.frame = { x: SIDE / 2, y: SIDE / 2, half: SIDE / 10 };
    canvas.width = canvas.height = PIXELS;
    canvas.setAttribute("role", "application");
    canvas.setAttribute(
      "aria-label",
      "Map of the faces. Draw around some with the pointer; or move the frame with the arrow keys, + and - change its size, Enter selects.",
    );
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", () => this.end());
    canvas.addEventListener("pointercancel", () => this.end());
    canvas.addEventListener("keydown", (event) => this.press(event));
    canvas.addEventListener("focus", () => this.paint());
    canvas.addEventListener("blur", () => this.paint());
  }

  show(data, legend) {
    if (this.places !== undefined && data.places === this.sent) return;
    this.sent = data.places;
    this.places = new Uint16Array(bytes(data.places).buffer);
    this.codes = new Int8Array(bytes(data.codes).buffer);
    this.picture = picture(this.places, this.codes);
    legend.replaceChildren(...entries(data.words, this.codes));
    this.paint();
  }

  begin(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.drawing = true;
    this.lasso = [this.place(event)];
  }

  move(event) {
    if (!this.drawing) return;
    this.lasso.push(this.place(event));
    this.paint();
  }

  end() {
    if (!this.drawing) return;
    this.drawing = false;
    if (this.lasso.length < 3) this.lasso = [];
    this.paint();
    this.tell(this.lasso);
  }

  press(event) {
    const move = MOVES[event.key];
    if (move) {
      this.frame.x = between(this.frame.x + move[0] * STEP);
      this.frame.y = between(this.frame.y + move[1] * STEP);
    } else if (event.key === "+" || event.key === "-") {
      this.frame.half = Math.min(Math.max(this.frame.half + (event.key === "+" ? STEP : -STEP), STEP), SIDE / 2);
    } else if (event.key === "Enter") {
      this.lasso = corners(this.frame);
      this.tell(this.lasso);
    } else if (event.key === "Escape") {
      this.lasso = [];
      this.tell(this.lasso);
    } else return;
    event.preventDefault();
    this.paint();
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [between(((event.clientX - box.left) / box.width) * SIDE), between(((event.clientY - box.top) / box.height) * SIDE)];
  }

  paint() {
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, PIXELS, PIXELS);
    if (this.picture) pen.drawImage(this.picture, 0, 0);
    outline(pen, this.lasso, "#24292f", "rgba(43, 108, 176, 0.12)");
    if (this.canvas.matches(":focus-visible")) outline(pen, corners(this.frame), "#2b6cb0", "transparent");
  }
}

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

function between(value) {
  return Math.round(Math.min(Math.max(value, 0), SIDE));
}

function corners({ x, y, half }) {
  return [
    [x - half, y - half],
    [x + half, y - half],
    [x + half, y + half],
    [x - half, y + half],
  ].map((corner) => corner.map(between));
}

function outline(pen, polygon, line, fill) {
  if (polygon.length < 2) return;
  pen.beginPath();
  polygon.forEach(([x, y]) => pen.lineTo((x / SIDE) * PIXELS, (y / SIDE) * PIXELS));
  pen.closePath();
  pen.fillStyle = fill;
  pen.fill();
  pen.lineWidth = 3;
  pen.strokeStyle = line;
  pen.stroke();
}

// All points once, on a canvas that nobody sees: a lasso is then drawn over it without drawing them again.
function picture(places, codes) {
  const made = document.createElement("canvas");
  made.width = made.height = PIXELS;
  const pen = made.getContext("2d");
  pen.globalAlpha = codes.length > 5000 ? 0.45 : 0.8;
  const size = codes.length > 5000 ? 3 : 6;
  for (let index = 0; index < codes.length; index++) {
    pen.fillStyle = colour(codes[index]);
    pen.fillRect((places[2 * index] / SIDE) * (PIXELS - size), (places[2 * index + 1] / SIDE) * (PIXELS - size), size, size);
  }
  return made;
}

function colour(code) {
  return code < 0 ? "#afb8c1" : COLOURS[code % COLOURS.length];
}

function entries(words, codes) {
  const counts = new Map();
  codes.forEach((code) => counts.set(code, (counts.get(code) ?? 0) + 1));
  return words.flatMap((word, code) => (counts.has(code) ? [entry(word, code, counts.get(code))] : []));
}

function entry(word, code, count) {
  const made = document.createElement("li");
  const mark = document.createElement("span");
  mark.className = "mark";
  mark.style.background = colour(code);
  made.append(mark, `${word} ${count.toLocaleString("en")}`);
  return made;
}
