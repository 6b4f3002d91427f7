// A network on one part of a photograph, with the convolutions of conv.c. Runs in a worker, or in the page.

// float16 -> float32
function widen(half) {
  const table = new Float32Array(65536);
  for (let i = 0; i < 65536; i++) {
    const exponent = i >> 10 & 31, fraction = i & 1023;
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    table[i] = i >> 15 ? -size : size;
  }
  return Float32Array.from(half, value => table[value]);
}

// Return a function from L / 100 of a part to the network's output there.
// plan: planes, steps and sizes, as build.py writes them. weights: its float16 numbers in the order of the steps.
function loadNetwork(instance, plan, weights) {
  const {memory, heap_base, convolve, enlarge} = instance.exports;
  let top = heap_base();
  const allocate = bytes => {
    const at = top = Math.ceil(top / 16) * 16;
    top += bytes;
    const missing = top - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / 65536));
    return at;
  };
  // Copy weights and biases into the kernel's memory
  const numbers = widen(weights);
  let read = 0;
  const copy = count => {
    const at = allocate(4 * count);
    new Float32Array(memory.buffer, at, count).set(numbers.subarray(read, read + count));
    read += count;
    return at;
  };
  const layers = plan.steps.map(step => step.kind == "convolve" && {
    weights: copy(step.kernel ** 2 * step.channels * step.outputs),
    bias: copy(step.outputs),
  });
  const free = top;

  // light: height x width of L / 100. Returns height x width x channels.
  return (light, height, width) => {
    // Zero planes for a size that is a multiple of the network's stride
    top = free;
    const [H, W] = [height, width].map(side => Math.ceil(side / plan.stride) * plan.stride);
    const planes = {};
    for (const [name, {channels, shrunk}] of Object.entries(plan.planes)) {
      const h = H / shrunk, w = W / shrunk, count = channels * (h + 2) * (w + 2);
      planes[name] = {channels, h, w, count, at: allocate(4 * count)};
    }
    for (const {at, count} of Object.values(planes)) new Float32Array(memory.buffer, at, count).fill(0);
    // The input, its last row and column repeated
    const input = new Float32Array(memory.buffer, planes.input.at, planes.input.count);
    for (let y = 0; y < H; y++) {
      for (let x = 0; x < W; x++) {
        input[(y + 1) * (W + 2) + x + 1] = light[Math.min(y, height - 1) * width + Math.min(x, width - 1)];
      }
    }
    plan.steps.forEach((step, i) => {
      const from = planes[step.from], to = planes[step.to];
      if (step.kind == "enlarge") enlarge(from.at, from.h, from.w, from.channels, to.at, to.channels, step.offset);
      else convolve(from.at, from.h, from.w, from.channels, step.channels, step.stride, step.kernel, layers[i].weights,
        layers[i].bias, step.outputs, to.at, to.channels, step.offset, step.relu ? 1 : 0);
    });
    // The last activation
    const last = planes.output, channels = plan.channels, found = new Float32Array(height * width * channels);
    const output = new Float32Array(memory.buffer, last.at, last.count);
    const activation = {tanh: Math.tanh, sigmoid: value => 1 / (1 + Math.exp(-value))}[plan.activation];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        for (let c = 0; c < channels; c++) {
          const value = output[((y + 1) * (W + 2) + x + 1) * last.channels + c];
          found[(y * width + x) * channels + c] = activation(value);
        }
      }
    }
    return found;
  };
}

async function loadNetworks({kernel, networks}) {
  const loaded = {};
  for (const [name, {plan, weights}] of Object.entries(networks)) {
    const {instance} = await WebAssembly.instantiate(kernel, {});
    loaded[name] = loadNetwork(instance, plan, weights);
  }
  return loaded;
}
