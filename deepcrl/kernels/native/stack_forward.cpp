// The trunk's forward pass: each thread takes tiles of rows through all layers; threads meet once per chunk of layers.
#include <omp.h>

#include "stack.h"

namespace deepcrl {
namespace {

template <typename P>
struct Buffers {
    using T = typename P::type;
    float* weights;  // [chunk][panel][word][column]
    float* z;        // [threads][kRows][W]: the matmul's result, and then the activations, of the rows at hand
    T* h;            // [threads][tile][W]: the next matmul's input, where the backward pass does not want it

    Buffers(const Stack& s, Arena& arena)
        : weights(arena.take<float>(chunk_layers(s) * s.width * s.width / P::kPerWord)),
          z(arena.take<float>(s.threads * kRows * s.width)),
          h(arena.take<T>(s.threads * tile_rows(s) * s.width)) {}
};

template <typename P>
void convert(const float* from, typename P::type* to, int64_t count) {
    for (int64_t i = 0; i < count; i += 16) store(to + i, load(from + i));
}

template <typename P, bool kNorm, bool kSwish>
void tile(const Stack& s, const Buffers<P>& b, int64_t begin, int64_t end, int64_t row, int64_t rows, const float* x,
          float* y, typename P::type* inputs, typename P::type* dense, float* stats) {
    using T = typename P::type;
    const int64_t width = s.width, words = width / P::kPerWord, all = s.rows * width, thread = omp_get_thread_num();
    float* z = b.z + thread * kRows * width;
    T* scratch = b.h + thread * tile_rows(s) * width;
    const auto input = [&](int64_t layer) { return inputs ? inputs + layer * all + row * width : scratch; };
    convert<P>((begin ? y : x) + row * width, input(begin), rows * width);
    for (int64_t layer = begin; layer < end; ++layer) {
        const Vectors p{s.bias + layer * width, kNorm ? s.scale + layer * width : nullptr,
                        kNorm ? s.shift + layer * width : nullptr};
        const bool ends_block = (layer + 1) % s.block_layers == 0;
        const T* h = input(layer);
        T* next = layer + 1 < end ? input(layer + 1) : nullptr;
        const float* stream = layer < s.block_layers ? x : y;
        split(rows, [&](int64_t first, int64_t count) {
            multiply<P>(count, reinterpret_cast<const float*>(h + first * width), words, 1,
                        b.weights + (layer - begin) * words * width, words, z, width);
            for (int64_t i = 0; i < count; ++i) {
                const int64_t r = row + first + i;
                float* mean = stats ? stats + layer * 2 * s.rows + r : nullptr;
                float* rstd = stats ? mean + s.rows : nullptr;
                activate<P, kNorm, kSwish>(z + i * width, width, p, s.eps,
                                           dense ? dense + layer * all + r * width : nullptr, mean, rstd);
                if (ends_block)
                    for (int64_t c = 0; c < width; c += 16) {
                        const Vec sum = add(load(stream + r * width + c), load(z + i * width + c));
                        store(y + r * width + c, sum);
                        if (next) store(next + (first + i) * width + c, sum);
                    }
                else
                    convert<P>(z + i * width, next + (first + i) * width, width);
            }
        });
    }
}

template <typename P>
void forward(const Stack& s, const float* x, float* y, typename P::type* inputs, typename P::type* dense, float* stats,
             void* scratch) {
    Arena arena(scratch);
    const Buffers<P> b(s, arena);
    const int64_t chunk = chunk_layers(s), height = tile_rows(s), layer_words = s.width * s.width / P::kPerWord;
    auto run = s.scale ? (s.swish ? tile<P, true, true> : tile<P, true, false>)
                       : (s.swish ? tile<P, false, true> : tile<P, false, false>);
#pragma omp parallel num_threads(s.threads)
    for (int64_t begin = 0; begin < s.layers; begin += chunk) {
        const int64_t end = std::min(s.layers, begin + chunk);
#pragma omp for schedule(static)
        for (int64_t task = 0; task < (end - begin) * panels(s); ++task) {
            const int64_t layer = task / panels(s), column = task % panels(s) * kPanel;
            pack_transposed<P>(s.weight + (begin + layer) * s.width * s.width, s.width, column,
                               std::min<int64_t>(kPanel, s.width - column),
                               b.weights + layer * layer_words + column * s.width / P::kPerWord);
        }
#pragma omp for schedule(dynamic, 1)
        for (int64_t row = 0; row < s.rows; row += height)
            run(s, b, begin, end, row, std::min(height, s.rows - row), x, y, inputs, dense, stats);
    }
}

}  // namespace
}  // namespace deepcrl

using namespace deepcrl;

extern "C" {
int64_t stack_forward_scratch(const Stack* s, int64_t bf16_words) {
    Arena arena(nullptr);
#ifdef __AVX512BF16__
    if (bf16_words) {
        Buffers<Bf16>(*s, arena);
        return arena.used();
    }
#endif
    Buffers<Fp32>(*s, arena);
    return arena.used();
}
void stack_forward_fp32(const Stack* s, const float* x, float* y, float* inputs, float* dense, float* stats,
                        void* scratch) {
    forward<Fp32>(*s, x, y, inputs, dense, stats, scratch);
}
#ifdef __AVX512BF16__
void stack_forward_bf16(const Stack* s, const float* x, float* y, bf16* inputs, bf16* dense, float* stats,
                        void* scratch) {
    forward<Bf16>(*s, x, y, inputs, dense, stats, scratch);
}
#endif
}
