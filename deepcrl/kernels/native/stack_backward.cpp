// The trunk's backward pass: tiles of rows through all layers in reverse, leaving dz of a chunk of layers, and then the
// weight gradients of that chunk, a task per layer and kDwColumns columns of dz. Every sum has one order, whatever the threads.
#include <omp.h>

#include <cstring>

#include "stack.h"

namespace deepcrl {
namespace {

template <typename P>
struct Job {
    using T = typename P::type;
    const T *inputs, *dense;  // as the forward pass left them
    const float* stats;
    float *grad, *grad_weight, *grad_vectors;  // [B, W] in place; [L, W, W]; [L, 3, W]; null where unwanted
    int64_t want_x;
};

template <typename P>
struct Buffers {
    using T = typename P::type;
    float* weights;  // [chunk][panel][word][column]
    T* dz;           // [chunk or 1][B][W]: a layer's rows are overwritten by the next where weights want no gradient
    float* g;        // [threads][tile][W]: gradient of the layer's output inside a block
    float* work;     // [threads][2][W]
    float* sums;     // [chunk][sum rows][3][W]
    float* packed;   // [threads][columns and panel][words]: operands of the weight gradient

    Buffers(const Stack& s, const Job<P>& job, Arena& arena)
        : weights(arena.take<float>(chunk_layers(s) * s.width * s.width / P::kPerWord)),
          dz(arena.take<T>((job.grad_weight ? chunk_layers(s) : 1) * s.rows * s.width)),
          g(arena.take<float>(s.threads * tile_rows(s) * s.width)),
          work(arena.take<float>(s.threads * 2 * s.width)),
          sums(arena.take<float>(job.grad_vectors ? chunk_layers(s) * ceil_div(s.rows, kSumRows) * 3 * s.width : 0)),
          packed(arena.take<float>(job.grad_weight ? s.threads * kPackedWords : 0)) {}
    static constexpr int64_t kPackedWords = kDwRows * (kDwColumns + kPanel) + 64;
};

template <typename P, bool kNorm, bool kSwish>
void tile(const Stack& s, const Job<P>& job, const Buffers<P>& b, int64_t begin, int64_t end, int64_t row,
          int64_t rows) {
    const int64_t width = s.width, words = width / P::kPerWord, all = s.rows * width, thread = omp_get_thread_num();
    float *g = b.g + thread * tile_rows(s) * width, *work = b.work + thread * 2 * width;
    float* stream = job.grad + row * width;
    for (int64_t layer = end; layer-- > begin;) {
        const Vectors p{s.bias + layer * width, kNorm ? s.scale + layer * width : nullptr,
                        kNorm ? s.shift + layer * width : nullptr};
        const float* from = (layer + 1) % s.block_layers ? g : stream;
        auto* dz = b.dz + (job.grad_weight ? (layer - begin) * all : 0) + row * width;
        const bool starts_block = layer % s.block_layers == 0, want_input = layer || job.want_x;
        // Column sums go by 32 rows, whatever the tile: kRows at a time within them.
        for (int64_t part = 0; part < rows; part += kSumRows) {
            float* sums = nullptr;
            if (job.grad_vectors) {
                sums = b.sums + ((layer - begin) * ceil_div(s.rows, kSumRows) + (row + part) / kSumRows) * 3 * width;
                std::memset(sums, 0, sizeof(float) * 3 * width);
            }
            split(std::min(kSumRows, rows - part), [&](int64_t first, int64_t count) {
                first += part;
                for (int64_t i = first; i < first + count; ++i) {
                    const float* mean = kNorm ? job.stats + layer * 2 * s.rows + row + i : nullptr;
                    differentiate<P, kNorm, kSwish>(from + i * width, job.dense + layer * all + (row + i) * width,
                                                    width, p, kNorm ? *mean : 0, kNorm ? mean[s.rows] : 1,
                                                    dz + i * width, sums, work);
                }
                if (!want_input) return;
                multiply<P>(count, reinterpret_cast<const float*>(dz + first * width), words, 1,
                            b.weights + (layer - begin) * words * width, words, g + first * width, width);
                if (starts_block)
                    for (int64_t i = first * width; i < (first + count) * width; i += 16)
                        store(stream + i, add(load(stream + i), load(g + i)));
            });
        }
    }
}

// grad_weight[layer, first:first + count, :] = dz^T x, in steps of kDwRows words of rows.
template <typename P>
void weight_gradient(const Stack& s, const Job<P>& job, const Buffers<P>& b, int64_t begin, int64_t layer,
                     int64_t first, int64_t count) {
    const int64_t width = s.width, all = s.rows * width, step = kDwRows * P::kPerWord;
    float* columns = b.packed + omp_get_thread_num() * Buffers<P>::kPackedWords;
    float* panel = columns + kDwRows * kDwColumns + 32;
    panel = reinterpret_cast<float*>(reinterpret_cast<uintptr_t>(panel) & ~uintptr_t{63});
    float* out = job.grad_weight + layer * width * width + first * width;
    for (int64_t row = 0; row < s.rows; row += step) {
        const int64_t rows = std::min(step, s.rows - row), words = ceil_div(rows, P::kPerWord);
        split(count, [&](int64_t at, int64_t n) {
            pack_activations(b.dz + (layer - begin) * all + row * width + first + at, width, rows, n,
                             columns + at * words);
        });
        for (int64_t column = 0; column < width; column += kPanel) {
            const int64_t wide = std::min<int64_t>(kPanel, width - column);
            pack_activations(job.inputs + layer * all + row * width + column, width, rows, wide, panel);
            split(count, [&](int64_t at, int64_t n) {
                const Kernel run = wide == kPanel ? kernel_for<P, kVectors>(n) : kernel_for<P, 1>(n);
                run(columns + at * words, 1, n, panel, words, out + at * width + column, width, row > 0);
            });
        }
    }
}

inline void add_parts(const float* sums, int64_t parts, int64_t width, float* out) {
    for (int64_t i = 0; i < 3 * width; i += 16) {
        Vec sum = load(sums + i);
        for (int64_t part = 1; part < parts; ++part) sum = add(sum, load(sums + part * 3 * width + i));
        store(out + i, sum);
    }
}

template <typename P>
void backward(const Stack& s, const Job<P>& job, void* scratch) {
    Arena arena(scratch);
    const Buffers<P> b(s, job, arena);
    const int64_t chunk = chunk_layers(s), height = tile_rows(s), layer_words = s.width * s.width / P::kPerWord;
    const int64_t groups = ceil_div(s.width, kDwColumns), parts = ceil_div(s.rows, kSumRows);
    auto run = s.scale ? (s.swish ? tile<P, true, true> : tile<P, true, false>)
                       : (s.swish ? tile<P, false, true> : tile<P, false, false>);
#pragma omp parallel num_threads(s.threads)
    for (int64_t end = s.layers, begin; end > 0; end = begin) {
        begin = std::max<int64_t>(0, end - chunk);
#pragma omp for schedule(static)
        for (int64_t task = 0; task < (end - begin) * panels(s); ++task) {
            const int64_t layer = task / panels(s), column = task % panels(s) * kPanel;
            if (begin + layer == 0 && !job.want_x) continue;
            pack_plain<P>(s.weight + (begin + layer) * s.width * s.width, s.width, column,
                          std::min<int64_t>(kPanel, s.width - column),
                          b.weights + layer * layer_words + column * s.width / P::kPerWord);
        }
#pragma omp for schedule(dynamic, 1)
        for (int64_t row = 0; row < s.rows; row += height)
            run(s, job, b, begin, end, row, std::min(height, s.rows - row));
        if (job.grad_weight) {
#pragma omp for schedule(dynamic, 1) nowait
            for (int64_t task = 0; task < (end - begin) * groups; ++task) {
                const int64_t i = task % groups, first = s.width * i / groups;
                weight_gradient(s, job, b, begin, begin + task / groups, first, s.width * (i + 1) / groups - first);
            }
        }
        if (job.grad_vectors) {
#pragma omp for schedule(static) nowait
            for (int64_t layer = begin; layer < end; ++layer)
                add_parts(b.sums + (layer - begin) * parts * 3 * s.width, parts, s.width,
                          job.grad_vectors + layer * 3 * s.width);
        }
        // The barrier after packing the next chunk's weights keeps its tiles from overwriting dz and sums in use here.
    }
}

}  // namespace
}  // namespace deepcrl

using namespace deepcrl;

extern "C" {
int64_t stack_backward_scratch(const Stack* s, const Job<Fp32>* job, int64_t is_bf16) {
    Arena arena(nullptr);
#ifdef __AVX512BF16__
    if (is_bf16) {
        Buffers<Bf16>(*s, *reinterpret_cast<const Job<Bf16>*>(job), arena);
        return arena.used();
    }
#endif
    Buffers<Fp32>(*s, *job, arena);
    return arena.used();
}
void stack_backward_fp32(const Stack* s, const Job<Fp32>* job, void* scratch) { backward(*s, *job, scratch); }
#ifdef __AVX512BF16__
void stack_backward_bf16(const Stack* s, const Job<Bf16>* job, void* scratch) { backward(*s, *job, scratch); }
#endif
}
