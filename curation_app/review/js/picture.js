// The face, large, and how it is looked at: smooth or as stored, brightness and contrast. For viewing only.

class Picture {
  view = { brightness: 100, contrast: 100, smooth: false, heat: false };

  constructor(keys) {
    this.stage = element("div", "stage");
    this.heat = element("img", "heat");
    this.heat.alt = "heat map of what the model looked at";
    this.fault = element("p", "fault");
    this.brightness = this.#slider("Brightness", "brightness");
    this.contrast = this.#slider("Contrast", "contrast");
    this.smooth = button("Smooth", "small toggle", () => this.toggle("smooth"), keys.smooth);
    this.map = button("Heat map", "small toggle", () => this.toggle("heat"), keys.heat_map);
    this.reset = button("Reset", "small", () => this.asStored(), keys.as_stored);
    this.controls = group("view", "Viewing only", this.brightness.label, this.contrast.label, this.smooth, this.reset, this.map);
    this.root = element("div", "picture");
    this.root.append(this.stage, this.controls);
  }

  show(face) {
    this.stage.replaceChildren(face.picture ? face.image : this.fault);
    this.fault.textContent = face.fault ? `This picture cannot be read. ${face.fault}` : "";
    this.map.hidden = !face.heat_map;
    if (face.heat_map) {
      this.heat.src = face.heat_map;
      this.stage.append(this.heat);
    }
    this.#look();
  }

  change(name, by) {
    this.view[name] = Math.min(300, Math.max(20, this.view[name] + by));
    this.#look();
  }

  toggle(name) {
    this.view[name] = !this.view[name];
    this.#look();
  }

  asStored() {
    Object.assign(this.view, { brightness: 100, contrast: 100, smooth: false });
    this.#look();
  }

  #look() {
    const { brightness, contrast, smooth, heat } = this.view;
    const face = this.stage.querySelector(".face");
    if (face) {
      face.style.filter = brightness === 100 && contrast === 100 ? "" : `brightness(${brightness}%) contrast(${contrast}%)`;
      face.style.imageRendering = smooth ? "auto" : "pixelated";
    }
    this.heat.hidden = !heat;
    this.brightness.input.value = brightness;
    this.contrast.input.value = contrast;
    this.smooth.setAttribute("aria-pressed", smooth);
    this.map.setAttribute("aria-pressed", heat);
  }

  #slider(text, name) {
    const label = element("label", "slider", text);
    const input = element("input");
    Object.assign(input, { type: "range", min: 20, max: 300, step: 10, value: 100 });
    input.oninput = () => this.change(name, Number(input.value) - this.view[name]);
    label.append(input);
    return { label, input };
  }
}

// Decoded before it is needed: the key that brings a face up only hangs it on the stage.
function preparePicture(face, alt) {
  for (const strip of [face.mates, face.twins, face.neighbours, face.judge?.nearest])
    if (strip) strip.cuts = cutSheet(strip.sheet, strip.faces.length, strip.faces.length);
  if (!face.picture) return;
  face.image = element("img", "face");
  face.image.alt = alt;
  face.image.src = face.picture;
  face.image.decode().catch(() => undefined);
}

// The faces of a sheet, each on a canvas of its own: many faces, one picture to fetch and decode.
function cutSheet(sheet, columns, count) {
  const cuts = Array.from({ length: count }, () => element("canvas", "cut"));
  const image = new Image();
  image.src = sheet;
  const draw = () => {
    const side = image.naturalWidth / columns;
    for (const [index, cut] of cuts.entries()) {
      cut.width = cut.height = side;
      const [left, top] = [side * (index % columns), side * Math.floor(index / columns)];
      cut.getContext("2d").drawImage(image, left, top, side, side, 0, 0, side, side);
    }
  };
  image.decode().then(draw, () => undefined);
  return cuts;
}
