// The interface of the whole-stack kernels, in plain C: no torch headers, so it builds in seconds.
#pragma once
#include "pack.h"
#include "rows.h"

namespace deepcrl {

struct Stack {
    int64_t rows, width, layers, block_layers, threads, swish;
    const float *weight, *bias, *scale, *shift;  // [L, W, W] as (layer, out, in), [L, W]; the last two may be null
    float eps;
};

constexpr int64_t kTileRows = 64;
constexpr int64_t kSumRows = 32;      // rows of one partial sum of the vector gradients: fixed, so bits are, too
constexpr int64_t kChunkLayers = 16;  // layers whose packed weights and dz are in flight, small beside the L3 cache
constexpr int64_t kDwRows = 256;      // words of K per weight-gradient step, so that a panel of x is 32 KiB
constexpr int64_t kDwColumns = 5 * 13;  // columns of dz per task: few enough for many tasks, enough to reuse a panel of x

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t panels(const Stack& s) { return ceil_div(s.width, kPanel); }
// Whole blocks, since only the residual stream outlives a chunk.
inline int64_t chunk_layers(const Stack& s) {
    return std::min(s.layers, std::max<int64_t>(1, kChunkLayers / s.block_layers) * s.block_layers);
}
// Rows that one thread takes through a chunk at a time: all of its share up to what L2 holds beside a layer's weights.
inline int64_t tile_rows(const Stack& s) {
    const int64_t share = ceil_div(s.rows, s.threads);
    const int64_t wanted = std::min<int64_t>(share, kTileRows);
    return ceil_div(wanted, kSumRows) * kSumRows;
}

// Hands out aligned pieces of one block of memory; with a null base it only counts them.
class Arena {
  public:
    explicit Arena(void* base) : at_((reinterpret_cast<uintptr_t>(base) + 63) & ~uintptr_t{63}), used_(64) {}
    template <typename T>
    T* take(int64_t count) {
        const int64_t bytes = (count * static_cast<int64_t>(sizeof(T)) + 63) & ~int64_t{63};
        T* piece = reinterpret_cast<T*>(at_);
        at_ += bytes, used_ += bytes;
        return piece;
    }
    int64_t used() const { return used_; }

  private:
    uintptr_t at_;
    int64_t used_;
};

}  // namespace deepcrl
