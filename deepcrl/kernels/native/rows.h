// What lies between the matmuls, a row at a time: bias, LayerNorm, activation, and their gradients.
#pragma once
#include "gemm.h"

namespace deepcrl {

// 1 / (1 + exp(-u)) to 3 ulp; exactly 0 or 1 far out. NaN stays NaN: min and max return their second operand for it.
inline Vec sigmoid(Vec u) {
    const Vec x = max(set1(-87.0f), min(set1(87.0f), sub(zero(), u)));
    const Vec n = nearest(mul(x, set1(1.44269504f)));
    Vec r = fnma(n, set1(0.693359375f), x);
    r = fma(n, set1(2.12194440e-4f), r);
    Vec p = set1(1.9875691500e-4f);
    p = fma(p, r, set1(1.3981999507e-3f));
    p = fma(p, r, set1(8.3334519073e-3f));
    p = fma(p, r, set1(4.1665795894e-2f));
    p = fma(p, r, set1(1.6666665459e-1f));
    p = fma(p, r, set1(5.0000001201e-1f));
    p = fma(mul(p, r), r, add(r, set1(1.0f)));
    return reciprocal(add(times_power_of_two(p, n), set1(1.0f)));
}

struct Vectors {  // of one layer; scale and shift are null without LayerNorm
    const float *bias, *scale, *shift;
};

// Takes z, a row of the matmul's result, to act(LN(z + bias)) in place, and writes what the backward pass wants.
// bf16: the row is rounded first, so that the backward pass differentiates what was computed.
template <typename P, bool kNorm, bool kSwish>
void activate(float* z, int64_t width, const Vectors& p, float eps, typename P::type* dense, float* mean_out,
              float* rstd_out) {
    Vec sums = zero();
    for (int64_t i = 0; i < width; i += 16) {
        Vec v = load(z + i);
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
        mean = sum(sums) / static_cast<float>(width);
        Vec squares = zero();
        for (int64_t i = 0; i < width; i += 16) {
            const Vec d = sub(load(z + i), set1(mean));
            squares = fma(d, d, squares);
        }
        rstd = 1.0f / __builtin_sqrtf(sum(squares) / static_cast<float>(width) + eps);
        if (mean_out) *mean_out = mean, *rstd_out = rstd;
    }
    for (int64_t i = 0; i < width; i += 16) {
        Vec u = load(z + i);
        if (kNorm) u = fma(mul(sub(u, set1(mean)), set1(rstd)), load(p.scale + i), load(p.shift + i));
        store(z + i, kSwish ? mul(u, sigmoid(u)) : max(zero(), u));
    }
}

// dz of one row from g, the gradient of act(LN(z + bias)). Where `sums` [3, width] is given, adds to it the gradients of
// bias, scale and shift. `work` has room for 2 rows.
template <typename P, bool kNorm, bool kSwish>
void differentiate(const float* g, const typename P::type* z, int64_t width, const Vectors& p, float mean, float rstd,
                   typename P::type* dz, float* sums, float* work) {
    float *du = work, *hat = work + width;
    Vec total = zero(), dot = zero();
    const Vec m = set1(mean), r = set1(rstd), one = set1(1.0f);
    for (int64_t i = 0; i < width; i += 16) {
        const Vec v = add(load(z + i), load(p.bias + i)), x = kNorm ? mul(sub(v, m), r) : v;
        const Vec u = kNorm ? fma(x, load(p.scale + i), load(p.shift + i)) : x;
        Vec d = load(g + i);
        if (kSwish) {
            const Vec s = sigmoid(u);
            d = mul(d, mul(s, fma(u, sub(one, s), one)));
        } else {
            d = where_positive(u, d);
        }
        if (kNorm) {
            const Vec dx = mul(d, load(p.scale + i));
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
    const Vec mean_d = set1(sum(total) / static_cast<float>(width));
    const Vec mean_dot = set1(sum(dot) / static_cast<float>(width));
    for (int64_t i = 0; i < width; i += 16) {
        const Vec centred = sub(mul(load(du + i), load(p.scale + i)), fma(load(hat + i), mean_dot, mean_d));
        const Vec d = mul(r, centred);
        store(dz + i, d);
        if (sums) store(sums + i, add(d, load(sums + i)));
    }
}

}  // namespace deepcrl
