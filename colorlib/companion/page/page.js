// The page: reads a photograph, colors it in workers, shows it, takes hints, saves a labeled copy.
// A photograph's ab holds a and b of each pixel in turn; L is that of CIE LAB, in [0, 100].

const element = id => document.getElementById(id);
const fromBase64 = text => Uint8Array.from(atob(text), character => character.charCodeAt(0));
const DATA = JSON.parse(element("data").textContent);
const NAMES = {lightweight: "lightweight network", paper: "paper’s network", table: "look-up table", gray: "gray"};
const LONG = 15;  // seconds from which on the page asks before it begins
const SHOWN = 1400;  // pixels on the longer side of what is drawn on the screen
const STRIP = 128;  // rows that are saved at once
const workers = [];
const secondsPerPixel = {};
let photo = null, hints = [], job = null;

// Colors: the constants of colorlib.color

const FROM_RGB = [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]];
const TO_RGB = inverse(FROM_RGB);
const WHITE = [0.95047, 1, 1.08883];
const linear = value => value > 0.04045 ? ((value + 0.055) / 1.055) ** 2.4 : value / 12.92;
const LINEAR = Float64Array.from({length: 256}, (_, i) => linear(i / 255));
const f = ratio => ratio > 0.008856 ? Math.cbrt(ratio) : 7.787 * ratio + 16 / 116;
const inverseF = value => value > 0.2068966 ? value ** 3 : (value - 16 / 116) / 7.787;
const encode = value => value > 0.0031308 ? 1.055 * value ** (1 / 2.4) - 0.055 : 12.92 * value;
const toByte = value => Math.round(255 * Math.min(Math.max(encode(value), 0), 1));

function inverse([[a, b, c], [d, e, g], [h, i, j]]) {
  const rows = [[e * j - g * i, c * i - b * j, b * g - c * e], [g * h - d * j, a * j - c * h, c * d - a * g],
    [d * i - e * h, b * h - a * i, a * e - b * d]];
  const determinant = a * rows[0][0] + b * rows[1][0] + c * rows[2][0];
  return rows.map(row => row.map(value => value / determinant));
}

function lightness(rgba) {
  const found = new Float32Array(rgba.length / 4), [red, green, blue] = FROM_RGB[1];
  for (let i = 0, j = 0; i < found.length; i++, j += 4) {
    found[i] = 116 * f(red * LINEAR[rgba[j]] + green * LINEAR[rgba[j + 1]] + blue * LINEAR[rgba[j + 2]]) - 16;
  }
  return found;
}

// a and b of linear RGB
function chroma(red, green, blue) {
  const [x, y, z] = FROM_RGB.map((row, i) => f((row[0] * red + row[1] * green + row[2] * blue) / WHITE[i]));
  return [500 * (x - y), 200 * (y - z)];
}

function toLinear(light, a, b) {
  const fy = (light + 16) / 116;
  const x = WHITE[0] * inverseF(fy + a / 500), y = inverseF(fy), z = WHITE[2] * inverseF(fy - b / 200);
  return TO_RGB.map(row => row[0] * x + row[1] * y + row[2] * z);
}

const chromaOf = color => chroma(...[1, 3, 5].map(i => LINEAR[parseInt(color.slice(i, i + 2), 16)]));

// Hints: the arithmetic of colorlib.hints

// The mean L of 7 x 7 pixels around a place.
function lightAt({x, y}) {
  const row = Math.min(Math.floor(y * photo.height), photo.height - 1);
  const column = Math.min(Math.floor(x * photo.width), photo.width - 1);
  let sum = 0, count = 0;
  for (let v = Math.max(row - 3, 0); v <= Math.min(row + 3, photo.height - 1); v++) {
    for (let u = Math.max(column - 3, 0); u <= Math.min(column + 3, photo.width - 1); u++, count++) {
      sum += photo.L[v * photo.width + u];
    }
  }
  return sum / count;
}

// Hints on a picture of any size, with their weights by place in rows and columns.
function place(width, height) {
  const reach = Math.max(0.12, 0.45 * hints.length ** -0.3) * Math.max(photo.width, photo.height);
  const weights = (count, side, at) => Float64Array.from({length: count},
    (_, i) => Math.exp(-0.5 * (((i + 0.5) / count - at) * side / reach) ** 2));
  return hints.map(hint => ({
    across: weights(width, photo.width, hint.x),
    down: weights(height, photo.height, hint.y),
    light: lightAt(hint),
    ab: chromaOf(hint.color),
  }));
}

// Write rows of a picture as RGBA, with the hints and the saturation.
function paint(rgba, picture, ab, placed, saturation, first, last) {
  const {width, L} = picture;
  for (let y = first, i = first * width, j = 0; y < last; y++) {
    for (let x = 0; x < width; x++, i++, j += 4) {
      let a = saturation * ab[2 * i], b = saturation * ab[2 * i + 1];
      if (placed.length) {
        let total = 0.2;
        a *= 0.2;
        b *= 0.2;
        for (const hint of placed) {
          const near = hint.down[y] * hint.across[x];
          if (near < 1e-9) continue;
          const weight = near * Math.exp(-0.5 * ((L[i] - hint.light) / 12) ** 2);
          total += weight;
          a += weight * hint.ab[0];
          b += weight * hint.ab[1];
        }
        a /= total;
        b /= total;
      }
      const [red, green, blue] = toLinear(L[i], a, b);
      rgba[j] = toByte(red);
      rgba[j + 1] = toByte(green);
      rgba[j + 2] = toByte(blue);
      rgba[j + 3] = picture.rgba[4 * i + 3];
    }
  }
}

// Networks

async function start() {
  const kernel = fromBase64(DATA.kernel);
  const networks = Object.fromEntries(Object.entries(DATA.networks).map(
    ([name, {plan, weights}]) => [name, {plan, weights: new Uint16Array(fromBase64(weights).buffer)}]));
  const url = URL.createObjectURL(new Blob([JSON.parse(element("worker").textContent)], {type: "text/javascript"}));
  const count = Math.min(navigator.hardwareConcurrency || 2, 4);
  for (let i = 0; i < count; i++) workers.push(new Worker(url));
  await Promise.all(workers.map(worker => ask(worker, {kernel, networks})));
  // Measure the speed of each network, all workers at once; the first call is slow, because it is compiled
  for (const [network, side] of [["lightweight", 96], ["paper", 40]]) {
    for (let i = 0; i < 2; i++) {
      const begun = performance.now();
      await Promise.all(workers.map(worker =>
        ask(worker, {network, light: new Float32Array(side * side), height: side, width: side})));
      secondsPerPixel[network] = (performance.now() - begun) / 1000 / side ** 2;
    }
  }
  element("file").disabled = false;
  for (const button of document.querySelectorAll("[data-example]")) button.disabled = false;
  say("Ready. Choose a photograph, drop one here, or paste one.", "ready");
}

function ask(worker, message) {
  return new Promise((done, fail) => {
    worker.onerror = event => fail(new Error(event.message || "a worker did not start"));
    worker.onmessage = ({data}) => data.error ? fail(new Error(data.error)) : done(data.found);
    worker.postMessage(message, message.light ? [message.light.buffer] : []);
  });
}

// Parts of a photograph with the context that the network sees around them, so that the result is that of the whole.
function parts(plan, width, height) {
  const columns = Math.ceil(width / plan.tile);
  const rows = Math.max(Math.ceil(height / plan.tile), Math.ceil(workers.length / columns));
  const tall = Math.max(Math.ceil(height / rows / plan.stride) * plan.stride, 64), found = [];
  for (let top = 0; top < height; top += tall) {
    for (let left = 0; left < width; left += plan.tile) {
      const bottom = Math.min(top + tall, height), right = Math.min(left + plan.tile, width);
      found.push({
        top, left, bottom, right,
        seen: {
          top: Math.max(top - plan.halo, 0), left: Math.max(left - plan.halo, 0),
          bottom: Math.min(bottom + plan.halo, height), right: Math.min(right + plan.halo, width),
        },
      });
    }
  }
  return found;
}

const pixelsOf = all => all.reduce((sum, {seen}) => sum + (seen.bottom - seen.top) * (seen.right - seen.left), 0);

// Seconds that a network needs for a photograph of this size.
function estimate(network, width, height) {
  const {view} = DATA.networks[network].plan;
  if (view) return view ** 2 * secondsPerPixel[network];
  const all = parts(DATA.networks[network].plan, width, height);
  return pixelsOf(all) * secondsPerPixel[network] / Math.min(workers.length, all.length);
}

// What a network of each target says of a pixel, as linear RGB in [0, 1].
const DECODE = {
  lab: (found, at, light) => toLinear(light, 110 * found[at], 110 * found[at + 1]).map(value => Math.min(Math.max(value, 0), 1)),
  rgb: (found, at) => [0, 1, 2].map(c => linear(found[at + c])),
};

async function predict(network, picture) {
  const {plan} = DATA.networks[network];
  return plan.view ? predictView(network, picture) : predictParts(network, picture);
}

// The network sees the whole photograph as a small square; what it finds there is enlarged.
async function predictView(network, {L, width, height}) {
  const {plan: {view, channels, target}} = DATA.networks[network], ab = new Float32Array(2 * width * height);
  const light = shrink(L, width, height, view, view).map(value => value / 100);
  const found = await ask(workers[0], {network, light, height: view, width: view});
  const rows = between(height, view), columns = between(width, view), pixel = new Float32Array(channels);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      for (let c = 0; c < channels; c++) pixel[c] = bilinear(found, view, channels, c, rows[y], columns[x]);
      [ab[2 * i], ab[2 * i + 1]] = chroma(...DECODE[target](pixel, 0, L[i]));
    }
  }
  return ab;
}

async function predictParts(network, {L, width, height}) {
  const {plan} = DATA.networks[network], ab = new Float32Array(2 * width * height), todo = parts(plan, width, height);
  const total = todo.length, pixels = pixelsOf(todo), busy = Math.min(workers.length, total), begun = performance.now();
  const own = job = {stopped: false}, decode = DECODE[plan.target];
  let done = 0;
  await Promise.all(workers.map(async worker => {
    while (todo.length && !own.stopped) {
      const {top, left, bottom, right, seen} = todo.shift(), wide = seen.right - seen.left;
      const light = new Float32Array((seen.bottom - seen.top) * wide);
      for (let y = seen.top; y < seen.bottom; y++) {
        for (let x = seen.left; x < seen.right; x++) light[(y - seen.top) * wide + x - seen.left] = L[y * width + x] / 100;
      }
      const found = await ask(worker, {network, light, height: seen.bottom - seen.top, width: wide});
      for (let y = top; y < bottom; y++) {
        for (let x = left; x < right; x++) {
          const i = y * width + x;
          const rgb = decode(found, plan.channels * ((y - seen.top) * wide + x - seen.left), L[i]);
          [ab[2 * i], ab[2 * i + 1]] = chroma(...rgb);
        }
      }
      element("progress").value = ++done / total;
    }
  }));
  job = null;
  if (own.stopped) return null;
  secondsPerPixel[network] = (performance.now() - begun) / 1000 / pixels * busy;
  return ab;
}

// L at half the size, the mean of 2 x 2 pixels.
function half({L, width, height}) {
  const w = Math.ceil(width / 2), h = Math.ceil(height / 2), small = new Float32Array(w * h);
  for (let y = 0; y < h; y++) {
    const rows = [2 * y, Math.min(2 * y + 1, height - 1)];
    for (let x = 0; x < w; x++) {
      const columns = [2 * x, Math.min(2 * x + 1, width - 1)];
      small[y * w + x] = rows.reduce((sum, v) => sum + columns.reduce((part, u) => part + L[v * width + u], 0), 0) / 4;
    }
  }
  return {L: small, width: w, height: h};
}

// a and b enlarged bilinearly to twice the size.
function double(ab, small, {width, height}) {
  const found = new Float32Array(2 * width * height);
  const rows = between(height, small.height, 2), columns = between(width, small.width, 2);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 2; c++, i++) found[i] = bilinear(ab, small.width, 2, c, rows[y], columns[x]);
    }
  }
  return found;
}

// For each place on a side: the two places on a side that is smaller by a factor, between which it lies, and how far.
function between(side, small, factor = side / small) {
  return Array.from({length: side}, (_, at) => {
    const position = Math.min(Math.max((at + 0.5) / factor - 0.5, 0), small - 1), low = Math.floor(position);
    return [low, Math.min(low + 1, small - 1), position - low];
  });
}

function bilinear(values, width, channels, channel, [above, below, down], [left, right, across]) {
  const value = (v, u) => values[channels * (v * width + u) + channel];
  const high = value(above, left) * (1 - across) + value(above, right) * across;
  const low = value(below, left) * (1 - across) + value(below, right) * across;
  return high * (1 - down) + low * down;
}

// Values resized bilinearly, each a mean over what it is shrunk from: colorlib.color.resize.
function shrink(values, width, height, toWidth, toHeight) {
  const narrow = new Float32Array(height * toWidth), found = new Float32Array(toHeight * toWidth);
  means(width, toWidth).forEach(([first, weights], x) => {
    for (let y = 0; y < height; y++) {
      narrow[y * toWidth + x] = weights.reduce((sum, weight, i) => sum + weight * values[y * width + first + i], 0);
    }
  });
  means(height, toHeight).forEach(([first, weights], y) => {
    for (let x = 0; x < toWidth; x++) {
      found[y * toWidth + x] = weights.reduce((sum, weight, i) => sum + weight * narrow[(first + i) * toWidth + x], 0);
    }
  });
  return found;
}

// For each place on a resized side: the first place that it is a mean of, and the weights of those from there on.
function means(side, resized) {
  const scale = side / resized, reach = Math.max(scale, 1);
  return Array.from({length: resized}, (_, at) => {
    const center = (at + 0.5) * scale;
    const first = Math.max(Math.floor(center - reach + 0.5), 0), last = Math.min(Math.floor(center + reach + 0.5), side);
    const weights = Array.from({length: last - first}, (_, i) => Math.max(1 - Math.abs(first + i + 0.5 - center) / reach, 0));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return [first, weights.map(weight => weight / total)];
  });
}

// Give the photograph a and b of a method; false if that was stopped.
async function color(method) {
  if (photo.ab[method]) return true;
  const count = photo.width * photo.height;
  if (method == "gray") photo.ab.gray = new Float32Array(2 * count);
  else if (method == "table") {
    const ab = photo.ab.table = new Float32Array(2 * count), levels = DATA.table.ab;
    for (let i = 0; i < count; i++) ab.set(levels[Math.min(Math.max(Math.round(photo.L[i] / 100 * (levels.length - 1)), 0), levels.length - 1)], 2 * i);
  } else {
    // Ask how, if it takes long
    const small = {width: Math.ceil(photo.width / 2), height: Math.ceil(photo.height / 2)};
    const full = estimate(method, photo.width, photo.height), less = estimate(method, small.width, small.height);
    const size = full > LONG ? await choose(method, full, less) : "full";
    if (!size) return false;
    // Color
    say(`Coloring ${photo.width} × ${photo.height} pixels with the ${NAMES[method]}, about ${seconds(size == "full" ? full : less)} …`, "busy");
    element("running").hidden = false;
    element("progress").value = 0;
    try {
      const seen = size == "full" ? photo : half(photo), ab = await predict(method, seen);
      if (!ab) return false;
      photo.ab[method] = size == "full" ? ab : double(ab, seen, photo);
      photo.half[method] = size == "half";
    } finally {
      element("running").hidden = true;
    }
  }
  return true;
}

const seconds = value => value < 90 ? `${Math.max(Math.round(value), 1)} s` : `${Math.round(value / 60)} minutes`;

// Let the person decide between the full size, half of it and neither.
function choose(method, full, less) {
  const megapixels = (photo.width * photo.height / 1e6).toFixed(1);
  element("question").textContent = `This photograph has ${megapixels} megapixels. With the ${NAMES[method]} that takes about ${seconds(full)}; with the colors computed at half the size about ${seconds(less)}, and nothing gets less sharp.`;
  element("large").hidden = false;
  say("This photograph is large: choose how to color it.", "asking");
  element("half").focus();
  return new Promise(done => {
    for (const size of ["full", "half", "neither"]) {
      element(size).onclick = () => { element("large").hidden = true; done(size == "neither" ? null : size); };
    }
  });
}

// The photograph

let queue = Promise.resolve();
const enqueue = work => queue = queue.then(work).catch(error => {
  element("large").hidden = true;
  say(error instanceof RangeError ? "This photograph is too large for this browser; choose a smaller copy." : `That did not work: ${error.message || error}`, "failed");
});

async function open(file, example = null) {
  say(`Reading ${file.name || "the photograph"} …`, "busy");
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, {imageOrientation: "from-image"});
  } catch {
    throw new Error(`${file.name || "this file"} is no photograph that this browser can read; choose a JPEG, PNG or WebP`);
  }
  const {width, height} = bitmap, canvas = document.createElement("canvas");
  Object.assign(canvas, {width, height});
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(bitmap, 0, 0);
  const {data: rgba} = context.getImageData(0, 0, width, height);
  bitmap.close();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  const sha256 = [...digest].map(value => value.toString(16).padStart(2, "0")).join("");
  photo = {name: file.name || "photograph.png", sha256, width, height, rgba, L: lightness(rgba), ab: {}, half: {}, example};
  element("why-section").hidden = !example;
  element("ask").checked = false;
  element("plane").toggleAttribute("hidden", true);
  hints = [];
  await color("gray");
  element("work").hidden = false;
  listHints();
  show();
  await update();
  element("view").scrollIntoView({block: "nearest"});
}

// Color the two sides as chosen, and show them.
async function update() {
  const begun = performance.now();
  for (const side of ["before", "after"]) {
    const method = element(side).value;
    if (method != "own" && !(await color(method))) {
      element(side).value = side == "before" ? "gray" : "table";
      await color(element(side).value);
    }
  }
  show();
  const method = element("after").value, size = photo.half[method] ? ", its colors computed at half the size" : "";
  say(`${photo.name}: ${photo.width} × ${photo.height} pixels, ${NAMES[method]}, ${((performance.now() - begun) / 1000).toFixed(1)} s${size}.`, "done");
}

// The photograph at the size of the screen.
function screenSize() {
  if (photo.screen) return photo.screen;
  const factor = Math.max(1, Math.max(photo.width, photo.height) / SHOWN);
  const width = Math.max(Math.round(photo.width / factor), 1), height = Math.max(Math.round(photo.height / factor), 1);
  const at = new Uint32Array(width * height);
  for (let y = 0; y < height; y++) {
    const row = Math.min(Math.floor((y + 0.5) * photo.height / height), photo.height - 1) * photo.width;
    for (let x = 0; x < width; x++) at[y * width + x] = row + Math.min(Math.floor((x + 0.5) * photo.width / width), photo.width - 1);
  }
  const pick = (values, channels) => {
    const found = new values.constructor(channels * at.length);
    for (let i = 0; i < at.length; i++) for (let c = 0; c < channels; c++) found[channels * i + c] = values[channels * at[i] + c];
    return found;
  };
  return photo.screen = {width, height, L: pick(photo.L, 1), rgba: pick(photo.rgba, 4), ab: {}, pick};
}

// Draw the two sides; one that is not colored yet is gray.
function show() {
  const picture = screenSize(), {width, height} = picture;
  for (const side of ["before", "after"]) {
    const chosen = element(side).value, method = chosen == "own" || photo.ab[chosen] ? chosen : "gray";
    const image = new ImageData(width, height), canvas = element(`${side}-picture`);
    if (method == "own") image.data.set(picture.rgba);
    else {
      const ab = picture.ab[method] ||= picture.pick(photo.ab[method], 2), after = side == "after";
      paint(image.data, picture, ab, after ? place(width, height) : [], after ? saturation() : 1, 0, height);
    }
    Object.assign(canvas, {width, height});
    canvas.getContext("2d").putImageData(image, 0, 0);
  }
  element("view").style.setProperty("--shape", width / height);
  divide();
}

let waiting = false;
function showSoon() {
  if (waiting || !photo) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; show(); });
}

const saturation = () => element("saturation").value / 100;
const sideName = side => element(side).selectedOptions[0].textContent;

function divide() {
  const share = element("divider").value / 10;
  element("before-picture").style.clipPath = `inset(0 ${100 - share}% 0 0)`;
  element("edge").style.left = `${share}%`;
  element("divider").setAttribute("aria-valuetext", `${Math.round(share)} % ${sideName("before")}, the rest ${sideName("after")}`);
}

function say(text, state) {
  element("status").textContent = text;
  document.body.dataset.state = state;
}

// Hints

function tell(x, y) {
  const share = value => Math.min(Math.max(Math.round(value * 1e4) / 1e4, 0), 1);
  hints.push({x: share(x), y: share(y), color: element("color").value});
  listHints();
}

function listHints() {
  element("hints").replaceChildren(...hints.map((hint, i) => {
    const item = document.createElement("li"), label = document.createElement("label"), remove = document.createElement("button");
    const pick = Object.assign(document.createElement("input"), {type: "color", value: hint.color});
    pick.oninput = () => { hint.color = pick.value; mark(); showSoon(); };
    label.append(pick, ` ${(100 * hint.x).toFixed(0)} % from the left, ${(100 * hint.y).toFixed(0)} % from the top`);
    Object.assign(remove, {type: "button", textContent: "Remove"});
    remove.setAttribute("aria-label", `Remove color ${i + 1}`);
    remove.onclick = () => { hints.splice(i, 1); listHints(); (element("hints").querySelector("button") || element("view")).focus(); };
    item.append(label, remove);
    return item;
  }));
  element("save-hints").hidden = !hints.length;
  element("told").textContent = hints.length ? `${hints.length} color${hints.length > 1 ? "s" : ""} placed.` : "";
  mark();
  showSoon();
}

function mark() {
  element("marks").replaceChildren(...hints.map(hint => {
    const dot = document.createElement("span");
    Object.assign(dot.style, {left: `${100 * hint.x}%`, top: `${100 * hint.y}%`, backgroundColor: hint.color});
    return dot;
  }));
}

function setColor(color) {
  element("color").value = color;
  for (const swatch of document.querySelectorAll("[data-color]")) swatch.setAttribute("aria-pressed", swatch.dataset.color == color);
}

// Why a color: like patches of the training photographs, at the nearest place of the grid

function decide(x, y) {
  const {rows, columns, ab} = photo.example, {spacing, kept, photos} = DATA.examples;
  const along = (share, side, count) => Math.min(Math.max(Math.round((share * side - spacing / 2) / spacing), 0), count - 1);
  const row = along(y, photo.height, rows), column = along(x, photo.width, columns), at = (row * columns + column) * kept;
  const pixel = (spacing / 2 + row * spacing) * photo.width + spacing / 2 + column * spacing, L = photo.L[pixel];
  const css = (a, b) => `rgb(${toLinear(L, a, b).map(toByte).join(" ")})`;
  const shape = (kind, more) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [name, value] of Object.entries({stroke: "#000", "stroke-width": 0.6, ...more})) made.setAttribute(name, value);
    return made;
  };
  const like = Array.from({length: kept}, (_, i) => [ab[2 * (at + i)], ab[2 * (at + i) + 1]]);
  const mean = [0, 1].map(i => like.reduce((sum, one) => sum + one[i], 0) / kept);
  const truth = chroma(...[0, 1, 2].map(i => LINEAR[photo.rgba[4 * pixel + i]]));
  const method = element("after").value, predicted = [0, 1].map(i => photo.ab[method][2 * pixel + i]);
  const cross = ([a, b]) => `M${a - 5} ${-b}h10M${a} ${-b - 5}v10`;
  element("plane").replaceChildren(
    shape("path", {d: "M-100 0h200M0 -100v200", stroke: "#6a6a6a"}),
    ...like.map(([a, b]) => shape("circle", {cx: a, cy: -b, r: 3, fill: css(a, b)})),
    shape("path", {d: cross(mean), stroke: "#fff", "stroke-width": 2}),
    shape("circle", {cx: predicted[0], cy: -predicted[1], r: 5.5, fill: css(...predicted), stroke: "#fff", "stroke-width": 1.6}),
    shape("rect", {x: truth[0] - 5, y: -truth[1] - 5, width: 10, height: 10, fill: css(...truth), "stroke-width": 1.6}));
  element("plane").toggleAttribute("hidden", false);
  const text = ([a, b]) => `a ${Math.round(a)}, b ${Math.round(b)}`;
  element("decided").textContent = `Dots: the true colors of the ${kept} patches most like this one in ${photos}, a to the right, b upwards. Their mean (cross): ${text(mean)}; the ${NAMES[method]} (ring): ${text(predicted)}; the truth (square): ${text(truth)}.`;
  keyMark.x = (spacing / 2 + column * spacing + 0.5) / photo.width;
  keyMark.y = (spacing / 2 + row * spacing + 0.5) / photo.height;
  Object.assign(element("key-mark").style, {left: `${100 * keyMark.x}%`, top: `${100 * keyMark.y}%`});
  element("key-mark").hidden = false;
}

const pick = (x, y) => photo.example && element("ask").checked ? decide(x, y) : tell(x, y);

// Saving

// JSON as Python's json.dumps(…, sort_keys=True) writes it, so that a label has one form.
const python = value => Array.isArray(value) ? `[${value.map(python).join(", ")}]`
  : typeof value == "object" ? `{${Object.keys(value).sort().map(key => `"${key}": ${python(value[key])}`).join(", ")}}`
  : typeof value == "number" && Number.isInteger(value) ? value.toFixed(1) : JSON.stringify(value);
const sorted = all => [...all].sort((p, q) => p.x - q.x || p.y - q.y || (p.color < q.color ? -1 : 1));

// The XMP packet that colorlib.colorize.label writes.
function label(method) {
  const network = DATA.networks[method]?.sha256 || "";
  const options = {keep_luminance: true, saturation: saturation(), hints: sorted(hints).map(({x, y, color}) => [x, y, color])};
  if (method == "table") options.look_up_table = DATA.table.sha256;
  if (photo.half[method]) options.half_size = true;
  const text = python(options).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
  return DATA.label.replace("PHOTOGRAPH", photo.sha256).replace("NETWORK", network).replace("OPTIONS", () => text);
}

function crc32(bytes) {
  let value = -1;
  for (const byte of bytes) {
    value ^= byte;
    for (let i = 0; i < 8; i++) value = value >>> 1 ^ (value & 1 ? 0xedb88320 : 0);
  }
  return ~value >>> 0;
}

// A PNG with an XMP packet after its header, which ends at byte 33.
function withXmp(png, packet) {
  const body = new TextEncoder().encode(`iTXtXML:com.adobe.xmp\0\0\0\0\0${packet}`);
  const chunk = new Uint8Array(body.length + 8), view = new DataView(chunk.buffer);
  view.setUint32(0, body.length - 4);
  chunk.set(body, 4);
  view.setUint32(body.length + 4, crc32(body));
  return new Blob([png.subarray(0, 33), chunk, png.subarray(33)], {type: "image/png"});
}

function download(blob, name) {
  const link = Object.assign(document.createElement("a"), {href: URL.createObjectURL(blob), download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const stem = () => photo.name.replace(/\.[^.]*$/, "");

async function save() {
  const {width, height} = photo, method = element("after").value, placed = place(width, height), ab = photo.ab[method];
  const canvas = Object.assign(document.createElement("canvas"), {width, height}), context = canvas.getContext("2d");
  say("Writing the copy …", "busy");
  for (let top = 0; top < height; top += STRIP) {
    const bottom = Math.min(top + STRIP, height), strip = new ImageData(width, bottom - top);
    paint(strip.data, photo, ab, placed, saturation(), top, bottom);
    context.putImageData(strip, 0, top);
    await new Promise(done => setTimeout(done));
  }
  const blob = await new Promise(done => canvas.toBlob(done, "image/png"));
  if (!blob) throw new RangeError("the canvas is too large");
  download(withXmp(new Uint8Array(await blob.arrayBuffer()), label(method)), `${stem()}-colorized.png`);
  say(`${stem()}-colorized.png: ${width} × ${height} pixels, labeled as guessed colors.`, "done");
}

// Controls

const view = element("view");
let pressed = null;

const position = event => {
  const box = element("after-picture").getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
};

view.onpointerdown = event => { pressed = {x: event.clientX, y: event.clientY, dragged: false}; };
view.onpointermove = event => {
  if (!pressed) return;
  pressed.dragged ||= Math.abs(event.clientX - pressed.x) > 5;
  if (!pressed.dragged) return;
  view.setPointerCapture(event.pointerId);
  element("divider").value = 1000 * position(event)[0];
  divide();
};
view.onpointerup = event => {
  if (pressed && !pressed.dragged && photo) pick(...position(event));
  pressed = null;
};
view.onpointercancel = () => { pressed = null; };

// By keys: arrows move a mark, Enter or the space bar places the color there
const keyMark = {x: 0.5, y: 0.5};
view.onkeydown = event => {
  const step = event.shiftKey ? 0.1 : 0.02;
  const move = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step]}[event.key];
  if (move) {
    keyMark.x = Math.min(Math.max(keyMark.x + move[0], 0), 1);
    keyMark.y = Math.min(Math.max(keyMark.y + move[1], 0), 1);
    element("told").textContent = `${Math.round(100 * keyMark.x)} % from the left, ${Math.round(100 * keyMark.y)} % from the top`;
  } else if (event.key == "Enter" || event.key == " ") pick(keyMark.x, keyMark.y);
  else return;
  event.preventDefault();
  Object.assign(element("key-mark").style, {left: `${100 * keyMark.x}%`, top: `${100 * keyMark.y}%`});
  element("key-mark").hidden = false;
};
view.onblur = () => { element("key-mark").hidden = true; };

element("divider").oninput = divide;
element("saturation").oninput = () => {
  element("amount").textContent = saturation().toFixed(2);
  showSoon();
};
for (const side of ["before", "after"]) element(side).onchange = () => photo && enqueue(update);
for (const swatch of document.querySelectorAll("[data-color]")) swatch.onclick = () => setColor(swatch.dataset.color);
element("color").oninput = () => setColor(element("color").value);
element("stop").onclick = () => { if (job) job.stopped = true; };
element("save").onclick = () => enqueue(save);
element("save-hints").onclick = () => download(
  new Blob([JSON.stringify({hints: sorted(hints)}, null, 2)], {type: "application/json"}), `${stem()}-hints.json`);

const take = file => file && enqueue(() => open(file));
for (const button of document.querySelectorAll("[data-example]")) {
  const example = DATA.examples.examples[button.dataset.example];
  example.ab = new Int8Array(fromBase64(example.ab).buffer);
  button.onclick = () => enqueue(() => open(new File([fromBase64(example.jpeg)], `${button.textContent}.jpg`, {type: "image/jpeg"}), example));
}
element("file").onchange = event => { take(event.target.files[0]); event.target.value = ""; };
addEventListener("paste", event => take(event.clipboardData.files[0]));
for (const kind of ["dragover", "dragleave", "drop"]) {
  addEventListener(kind, event => {
    event.preventDefault();
    element("drop").classList.toggle("over", kind == "dragover");
    if (kind == "drop") take(event.dataTransfer.files[0]);
  });
}
setColor(element("color").value);
enqueue(start);
