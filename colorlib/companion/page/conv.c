// Convolutions for the page that colors photographs, in WebAssembly SIMD.
//
// A plane holds floats in the order row, column, channel, with a border of one pixel that is zero. A convolution may
// write its outputs into some of the channels of a plane, so that planes are concatenated without a copy.
#include <wasm_simd128.h>

#define EXPORT(name) __attribute__((export_name(#name)))
#define PIXELS 4   // pixels of a block: with 5 the accumulators no longer stay in 16 registers, at half the speed
#define OUTPUTS 8  // outputs of a block

extern unsigned char __heap_base;

EXPORT(heap_base) unsigned heap_base(void) { return (unsigned)&__heap_base; }

static inline v128_t multiply_add(v128_t sum, v128_t a, v128_t b) {
  return wasm_f32x4_add(sum, wasm_f32x4_mul(a, b));
}

// 8 outputs of up to 4 pixels in a row. weights: kernel row, kernel column, input channel, output.
static inline void block(const float *in, int row, int pixel, int step, int channels, int kernel, const float *weights,
                         const float *bias, float *out, int out_pixel, int count, int relu) {
  v128_t low[PIXELS], high[PIXELS];
  int at[PIXELS];
  for (int p = 0; p < PIXELS; p++) {
    low[p] = wasm_v128_load(bias);
    high[p] = wasm_v128_load(bias + 4);
    at[p] = p < count ? p * step : 0;
  }
  for (int y = 0; y < kernel; y++) {
    for (int x = 0; x < kernel; x++) {
      const float *seen = in + y * row + x * pixel, *end = seen + channels;
      for (; seen < end; seen++, weights += OUTPUTS) {
        v128_t first = wasm_v128_load(weights), second = wasm_v128_load(weights + 4);
#pragma unroll
        for (int p = 0; p < PIXELS; p++) {
          v128_t value = wasm_v128_load32_splat(seen + at[p]);
          low[p] = multiply_add(low[p], value, first);
          high[p] = multiply_add(high[p], value, second);
        }
      }
    }
  }
  v128_t zero = wasm_f32x4_splat(0);
  for (int p = 0; p < PIXELS; p++) {
    if (p < count) {
      wasm_v128_store(out + p * out_pixel, relu ? wasm_f32x4_max(zero, low[p]) : low[p]);
      wasm_v128_store(out + p * out_pixel + 4, relu ? wasm_f32x4_max(zero, high[p]) : high[p]);
    }
  }
}

// A convolution of kernel 1 or 3 and stride 1 or 2.
// in: a plane of height x width pixels of in_pixel floats, of which the first `channels` are read.
// weights: outputs / 8, kernel row, kernel column, input channel, 8. bias: outputs, a multiple of 8.
// out: a plane of pixels of out_pixel floats; outputs are written from float `offset` on.
EXPORT(convolve) void convolve(const float *in, int height, int width, int in_pixel, int channels, int stride,
                               int kernel, const float *weights, const float *bias, int outputs, float *out,
                               int out_pixel, int offset, int relu) {
  int out_height = height / stride, out_width = width / stride;
  int row = (width + 2) * in_pixel, inset = kernel == 1 ? 1 : 0;
  int per_block = kernel * kernel * channels * OUTPUTS;
  for (int y = 0; y < out_height; y++) {
    for (int first = 0; first < outputs; first += OUTPUTS) {
      for (int x = 0; x < out_width; x += PIXELS) {
        int count = out_width - x < PIXELS ? out_width - x : PIXELS;
        block(in + (y * stride + inset) * row + (x * stride + inset) * in_pixel, row, in_pixel, stride * in_pixel,
              channels, kernel, weights + first / OUTPUTS * per_block, bias + first,
              out + ((y + 1) * (out_width + 2) + x + 1) * out_pixel + offset + first, out_pixel, count, relu);
      }
    }
  }
}

// Twice as large, each pixel repeated 2 x 2 times. channels: a multiple of 4.
EXPORT(enlarge) void enlarge(const float *in, int height, int width, int channels, float *out, int out_pixel,
                             int offset) {
  for (int y = 0; y < 2 * height; y++) {
    for (int x = 0; x < 2 * width; x++) {
      const float *from = in + ((y / 2 + 1) * (width + 2) + x / 2 + 1) * channels;
      float *to = out + ((y + 1) * (2 * width + 2) + x + 1) * out_pixel + offset;
      for (int c = 0; c < channels; c += 4) wasm_v128_store(to + c, wasm_v128_load(from + c));
    }
  }
}
