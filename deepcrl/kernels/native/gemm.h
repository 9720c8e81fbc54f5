// Matrix multiplication of a few rows by a packed matrix. bf16 needs AVX512_BF16.
//
// Everything is counted in words of 4 bytes: a float, or a pair of bf16 that are neighbours along the summed dimension,
// which is what VDPBF16PS multiplies. So one kernel serves both, and only `dot` differs. Sums are float32, and their
// order depends on the shapes alone.
#pragma once
#include <utility>

#include "vec.h"

namespace deepcrl {

struct Fp32 {
    using type = float;
    static constexpr int64_t kPerWord = 1;
    static Vec dot(Vec sum, Vec a, Vec b) { return fma(a, b, sum); }
};

#ifdef __AVX512BF16__
inline Vec widen(__m256i half) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16)); }
inline Vec load(const bf16* p) { return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
// One word from each of two rows of bf16: (first[i], second[i]) for 16 columns.
inline Vec pair_up(__m256i first, __m256i second) {
    const __m512i wide = _mm512_cvtepu16_epi32(first), high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(second), 16);
    return _mm512_castsi512_ps(_mm512_or_si512(wide, high));
}

struct Bf16 {
    using type = bf16;
    static constexpr int64_t kPerWord = 2;
    static Vec dot(Vec sum, Vec a, Vec b) {
        return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
    }
};
inline __m256i narrow(Vec v) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v)); }
inline void store(bf16* p, Vec v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(v)); }
#endif

// c[m, 16 n] (+)= a[m, k] b[k, 16 n] for m < M, n < V. b is a packed panel; a[m, k] lies at a[m * step_m + k * step_k].
template <typename P, int M, int V>
void kernel(const float* a, int64_t step_m, int64_t step_k, const float* b, int64_t words, float* c, int64_t step_c,
            bool add) {
    Vec sum[M][V];
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
        for (int n = 0; n < V; ++n) sum[m][n] = add ? load(c + m * step_c + 16 * n) : zero();
    for (int64_t k = 0; k < words; ++k, b += 16 * V, a += step_k) {
        Vec column[V];
        _mm_prefetch(reinterpret_cast<const char*>(b + 16 * V * 16), _MM_HINT_T0);
        if (V == 2) _mm_prefetch(reinterpret_cast<const char*>(b + 16 * V * 16 + 16), _MM_HINT_T0);
#pragma GCC unroll 2
        for (int n = 0; n < V; ++n) column[n] = load(b + 16 * n);
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) {
            const Vec row = set1(a[m * step_m]);
#pragma GCC unroll 2
            for (int n = 0; n < V; ++n) sum[m][n] = P::dot(sum[m][n], row, column[n]);
        }
    }
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
        for (int n = 0; n < V; ++n) store(c + m * step_c + 16 * n, sum[m][n]);
}

using Kernel = void (*)(const float*, int64_t, int64_t, const float*, int64_t, float*, int64_t, bool);

template <typename P, int V, int... M>
Kernel kernel_for(int64_t rows, std::integer_sequence<int, M...>) {
    static constexpr Kernel kernels[] = {kernel<P, M + 1, V>...};
    return kernels[rows - 1];
}
template <typename P, int V>
Kernel kernel_for(int64_t rows) {
    return kernel_for<P, V>(rows, std::make_integer_sequence<int, kRows>());
}

// c[rows, width] = a b for rows <= kRows; b packed [panel][words][<= kPanel].
template <typename P>
void multiply(int64_t rows, const float* a, int64_t step_m, int64_t step_k, const float* b, int64_t words, float* c,
              int64_t width) {
    const Kernel wide = kernel_for<P, kVectors>(rows);
    int64_t column = 0;
    for (; column + kPanel <= width; column += kPanel, b += kPanel * words)
        wide(a, step_m, step_k, b, words, c + column, width, false);
    if (column < width) kernel_for<P, 1>(rows)(a, step_m, step_k, b, words, c + column, width, false);
}

// Splits `count` rows into runs of nearly equal length, at most kRows each, and calls run(first, length).
template <typename F>
void split(int64_t count, F run) {
    const int64_t runs = (count + kRows - 1) / kRows;
    for (int64_t i = 0; i < runs; ++i) {
        const int64_t first = count * i / runs;
        run(first, count * (i + 1) / runs - first);
    }
}

}  // namespace deepcrl
