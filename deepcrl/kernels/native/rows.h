// What lies between the matmuls, a row at a time, in AVX-512: bias, LayerNorm, activation, and their gradients.
#pragma once
#include "gemm.h"

namespace deepcrl {

inline __m512 set1(float v) { return _mm512_set1_ps(v); }
inline __m512 add(__m512 a, __m512 b) { return _mm512_add_ps(a, b); }
inline __m512 sub(__m512 a, __m512 b) { return _mm512_sub_ps(a, b); }
inline __m512 mul(__m512 a, __m512 b) { return _mm512_mul_ps(a, b); }
inline __m512 fma(__m512 a, __m512 b, __m512 c) { return _mm512_fmadd_ps(a, b, c); }

// 1 / (1 + exp(-u)) to 3 ulp; exactly 0 or 1 far out. NaN stays NaN: min and max return their second operand for it.
inline __m512 sigmoid(__m512 u) {
    const __m512 x = _mm512_max_ps(set1(-87.0f), _mm512_min_ps(set1(87.0f), sub(_mm512_setzero_ps(), u)));
    const __m512 n = _mm512_roundscale_ps(mul(x, set1(1.44269504f)), 8);
    __m512 r = _mm512_fnmadd_ps(n, set1(0.693359375f), x);
    r = fma(n, set1(2.12194440e-4f), r);
    __m512 p = set1(1.9875691500e-4f);
    p = fma(p, r, set1(1.3981999507e-3f));
    p = fma(p, r, set1(8.3334519073e-3f));
    p = fma(p, r, set1(4.1665795894e-2f));
    p = fma(p, r, set1(1.6666665459e-1f));
    p = fma(p, r, set1(5.0000001201e-1f));
    p = fma(mul(p, r), r, add(r, set1(1.0f)));
    const __m512 d = add(_mm512_scalef_ps(p, n), set1(1.0f));
    const __m512 y = _mm512_rcp14_ps(d);  // 14 bits; one Newton step makes it 24, in half the time of a division
    return mul(y, _mm512_fnmadd_ps(d, y, set1(2.0f)));
}

struct Vectors {  // of one layer; scale and shift are null without LayerNorm
    const float *bias, *scale, *shift;
};

// Takes z, a row of the matmul's result, to act(LN(z + bias)) in place, and writes what the backward pass wants.
// bf16: the row is rounded first, so that the backward pass differentiates what was computed.
template <typename P, bool kNorm, bool kSwish>
void activate(float* z, int64_t width, const Vectors& p, float eps, typename P::type* dense, float* mean_out,
              float* rstd_out) {
    __m512 sums = _mm512_setzero_ps();
    for (int64_t i = 0; i < width; i += 16) {
        __m512 v = load(z + i);
        if constexpr (P::kPerWord == 2) {
            typename P::type rounded[16];
            store(rounded, v);
            v = load(rounded);
        }
        if (dense) store(dense + i, v);
        v = add(v, load(p.bias + i));
        if (kNorm) sums = add(sums, v);
        store(z + i, v);
    }
    float mean = 0, rstd = 1;
    if (kNorm) {
        mean = _mm512_reduce_add_ps(sums) / static_cast<float>(width);
        __m512 squares = _mm512_setzero_ps();
        for (int64_t i = 0; i < width; i += 16) {
            const __m512 d = sub(load(z + i), set1(mean));
            squares = fma(d, d, squares);
        }
        rstd = 1.0f / __builtin_sqrtf(_mm512_reduce_add_ps(squares) / static_cast<float>(width) + eps);
        if (mean_out) *mean_out = mean, *rstd_out = rstd;
    }
    for (int64_t i = 0; i < width; i += 16) {
        __m512 u = load(z + i);
        if (kNorm) u = fma(mul(sub(u, set1(mean)), set1(rstd)), load(p.scale + i), load(p.shift + i));
        store(z + i, kSwish ? mul(u, sigmoid(u)) : _mm512_max_ps(_mm512_setzero_ps(), u));
    }
}

// dz of one row from g, the gradient of act(LN(z + bias)). Where `sums` [3, width] is given, adds to it the gradients of
// bias, scale and shift. `work` has room for 2 rows.
template <typename P, bool kNorm, bool kSwish>
void differentiate(const float* g, const typename P::type* z, int64_t width, const Vectors& p, float mean, float rstd,
                   typename P::type* dz, float* sums, float* work) {
    float *du = work, *hat = work + width;
    __m512 total = _mm512_setzero_ps(), dot = _mm512_setzero_ps();
    const __m512 m = set1(mean), r = set1(rstd), one = set1(1.0f);
    for (int64_t i = 0; i < width; i += 16) {
        const __m512 v = add(load(z + i), load(p.bias + i)), x = kNorm ? mul(sub(v, m), r) : v;
        const __m512 u = kNorm ? fma(x, load(p.scale + i), load(p.shift + i)) : x;
        __m512 d = load(g + i);
        if (kSwish) {
            const __m512 s = sigmoid(u);
            d = mul(d, mul(s, fma(u, sub(one, s), one)));
        } else {
            d = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(u, _mm512_setzero_ps(), _CMP_GT_OQ), d);
        }
        if (kNorm) {
            const __m512 dx = mul(d, load(p.scale + i));
            total = add(total, dx);
            dot = fma(dx, x, dot);
            store(hat + i, x);
            store(du + i, d);
            if (sums) {
                store(sums + width + i, fma(d, x, load(sums + width + i)));
                store(sums + 2 * width + i, add(d, load(sums + 2 * width + i)));
            }
        } else {
            store(dz + i, d);
            if (sums) store(sums + i, add(d, load(sums + i)));
        }
    }
    if (!kNorm) return;
    const __m512 mean_d = set1(_mm512_reduce_add_ps(total) / static_cast<float>(width));
    const __m512 mean_dot = set1(_mm512_reduce_add_ps(dot) / static_cast<float>(width));
    for (int64_t i = 0; i < width; i += 16) {
        const __m512 centred = sub(mul(load(du + i), load(p.scale + i)), fma(load(hat + i), mean_dot, mean_d));
        const __m512 d = mul(r, centred);
        store(dz + i, d);
        if (sums) store(sums + i, add(d, load(sums + i)));
    }
}

}  // namespace deepcrl
