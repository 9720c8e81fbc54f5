// Sixteen floats at once: one register of AVX-512, or two of AVX2 with FMA. All that the other files say in intrinsics
// for both stands here.
#pragma once
#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace deepcrl {

using bf16 = uint16_t;

#ifdef __AVX512F__

using Vec = __m512;
constexpr int kRows = 14;  // rows per kernel call: 14 x 2 accumulators, 2 columns, 1 broadcast fill the 32 registers
constexpr int kVectors = 2;

inline Vec zero() { return _mm512_setzero_ps(); }
inline Vec set1(float v) { return _mm512_set1_ps(v); }
inline Vec load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
inline Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
inline Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
inline Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
inline Vec fnma(Vec a, Vec b, Vec c) { return _mm512_fnmadd_ps(a, b, c); }
inline Vec min(Vec a, Vec b) { return _mm512_min_ps(a, b); }  // of the two, b if either is NaN; max likewise
inline Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
inline Vec nearest(Vec v) { return _mm512_roundscale_ps(v, 8); }
inline Vec times_power_of_two(Vec v, Vec n) { return _mm512_scalef_ps(v, n); }
inline Vec reciprocal(Vec v) {
    const Vec y = _mm512_rcp14_ps(v);  // 14 bits; one Newton step makes it 24, in half the time of a division
    return mul(y, fnma(v, y, set1(2.0f)));
}
inline Vec where_positive(Vec u, Vec v) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(u, _mm512_setzero_ps(), _CMP_GT_OQ), v);
}
inline float sum(Vec v) { return _mm512_reduce_add_ps(v); }
inline Vec load_first(const float* p, int64_t count) {  // the others are 0
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << std::min<int64_t>(count, 16)) - 1), p);
}

// 16 x 16 floats, transposed in registers.
inline void transpose(Vec (&r)[16]) {
    Vec t[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
        t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        r[4 * i] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        r[4 * i + 1] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        r[4 * i + 2] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        r[4 * i + 3] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
        r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
    }
}

#else

struct Vec {
    __m256 low, high;
};
constexpr int kRows = 6;  // 6 x 2 accumulators, 2 halves of a column, 1 broadcast: 15 of the 16 registers
constexpr int kVectors = 1;

inline Vec zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline Vec set1(float v) { return {_mm256_set1_ps(v), _mm256_set1_ps(v)}; }
inline Vec load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline void store(float* p, Vec v) { _mm256_storeu_ps(p, v.low), _mm256_storeu_ps(p + 8, v.high); }
inline Vec add(Vec a, Vec b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
inline Vec sub(Vec a, Vec b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
inline Vec mul(Vec a, Vec b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
inline Vec fma(Vec a, Vec b, Vec c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline Vec fnma(Vec a, Vec b, Vec c) {
    return {_mm256_fnmadd_ps(a.low, b.low, c.low), _mm256_fnmadd_ps(a.high, b.high, c.high)};
}
inline Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
inline Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
inline __m256 nearest(__m256 v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline Vec nearest(Vec v) { return {nearest(v.low), nearest(v.high)}; }
inline __m256 power_of_two(__m256 n) {  // n is whole and between -126 and 127
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}
inline Vec times_power_of_two(Vec v, Vec n) {
    return {_mm256_mul_ps(v.low, power_of_two(n.low)), _mm256_mul_ps(v.high, power_of_two(n.high))};
}
inline Vec reciprocal(Vec v) {
    const __m256 one = _mm256_set1_ps(1.0f);
    return {_mm256_div_ps(one, v.low), _mm256_div_ps(one, v.high)};
}
inline __m256 where_positive(__m256 u, __m256 v) {
    return _mm256_and_ps(_mm256_cmp_ps(u, _mm256_setzero_ps(), _CMP_GT_OQ), v);
}
inline Vec where_positive(Vec u, Vec v) { return {where_positive(u.low, v.low), where_positive(u.high, v.high)}; }
inline float sum(Vec v) {
    const __m256 eight = _mm256_add_ps(v.low, v.high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_shuffle_ps(four, four, 1)));
}
inline Vec load_first(const float* p, int64_t count) {
    float v[16] = {};
    std::memcpy(v, p, sizeof(float) * std::min<int64_t>(count, 16));
    return load(v);
}
inline void transpose(__m256 (&r)[8]) {
    __m256 t[8];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
        r[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        r[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        r[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        r[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) r[i] = t[i];
}
inline void transpose(Vec (&r)[16]) {  // by blocks of 8 x 8, of which two change places
    __m256 a[8], b[8], c[8], d[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) a[i] = r[i].low, b[i] = r[i].high, c[i] = r[i + 8].low, d[i] = r[i + 8].high;
    transpose(a), transpose(b), transpose(c), transpose(d);
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) r[i] = {a[i], c[i]}, r[i + 8] = {b[i], d[i]};
}

#endif

constexpr int kPanel = 16 * kVectors;  // columns per kernel call; the last panel may have fewer vectors

}  // namespace deepcrl
