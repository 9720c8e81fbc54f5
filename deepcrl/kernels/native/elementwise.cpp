// What lies between the trunk's matmuls, one pass per row: bias + LayerNorm + activation (+ residual), and its backward.
//
// Plain loops that any C++17 compiler vectorises; no torch headers, so it builds in about two seconds. Rows are split
// into `parts` fixed ranges, and column sums are added in the order of the parts: same bits on every run.
// T is the type of the matmuls' inputs and outputs, float or bf16; all arithmetic is float32.
#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

struct bf16 {
    uint16_t bits;
};

inline float load(const float* p) { return *p; }
inline float load(const bf16* p) {
    const uint32_t wide = static_cast<uint32_t>(p->bits) << 16;
    float value;
    std::memcpy(&value, &wide, 4);
    return value;
}
inline void store(float* p, float value) { *p = value; }
inline void store(bf16* p, float value) {  // round to nearest even; NaN stays NaN
    uint32_t wide;
    std::memcpy(&wide, &value, 4);
    const uint32_t rounded = (wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16;
    p->bits = static_cast<uint16_t>(value == value ? rounded : 0x7fc0u);
}

// exp(x) to 2 ulp on [-87, 88], clamped outside: 2^n * p(r) with |r| <= ln(2) / 2. NaN stays NaN.
inline float fast_exp(float x) {
    x = x > 88.0f ? 88.0f : x;
    x = x < -87.0f ? -87.0f : x;
    const float shifted = x * 1.44269504f + 12582912.0f;  // 1.5 * 2^23: the sum's low bits are the rounded integer
    const float n = shifted - 12582912.0f;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    uint32_t exponent, value;
    std::memcpy(&exponent, &shifted, 4);
    std::memcpy(&value, &p, 4);
    value += exponent << 23;
    std::memcpy(&p, &value, 4);
    return p;
}
inline float sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

}  // namespace

struct Shape {
    int64_t rows, width, parts, swish;
};

namespace {

constexpr int64_t kMaxWidth = 8192;

// out = stream + act(LN(z + bias)) where `stream` is given (and stream_out gets it in float32), else act(LN(z + bias)).
template <typename T, bool kNorm, bool kSwish>
void forward(const Shape& s, const T* z, const float* bias, const float* scale, const float* shift, const float* stream,
             T* out, float* stream_out, float* mean_out, float* rstd_out, float eps) {
    const int64_t width = s.width;
#pragma omp parallel for schedule(static, 1) num_threads(s.parts)
    for (int64_t part = 0; part < s.parts; ++part) {
        float v[kMaxWidth];
        for (int64_t row = s.rows * part / s.parts; row < s.rows * (part + 1) / s.parts; ++row) {
            const T* zr = z + row * width;
            float mean = 0, rstd = 1;
            if (kNorm) {
                float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
                for (int64_t i = 0; i < width; ++i) {
                    v[i] = load(zr + i) + bias[i];
                    sum += v[i];
                }
                mean = sum / static_cast<float>(width);
#pragma omp simd reduction(+ : squares)
                for (int64_t i = 0; i < width; ++i) squares += (v[i] - mean) * (v[i] - mean);
                rstd = 1.0f / std::sqrt(squares / static_cast<float>(width) + eps);
                if (mean_out) mean_out[row] = mean, rstd_out[row] = rstd;
            }
#pragma omp simd
            for (int64_t i = 0; i < width; ++i) {
                const float u = kNorm ? (v[i] - mean) * rstd * scale[i] + shift[i] : load(zr + i) + bias[i];
                v[i] = kSwish ? u * sigmoid(u) : (u > 0 ? u : 0 * u);
            }
            if (stream) {
                const float* sr = stream + row * width;
                float* so = stream_out + row * width;
#pragma omp simd
                for (int64_t i = 0; i < width; ++i) so[i] = v[i] = sr[i] + v[i];
            }
            if (out) {
                T* o = out + row * width;
#pragma omp simd
                for (int64_t i = 0; i < width; ++i) store(o + i, v[i]);
            }
        }
    }
}

// dz = d act(LN(z + bias)) / dz applied to grad; sums[part] gets [3, W]: bias, scale, shift over the part's rows.
template <typename T, typename G, bool kNorm, bool kSwish>
void backward(const Shape& s, const G* grad, const T* z, const float* bias, const float* scale, const float* shift,
              const float* mean, const float* rstd, T* dz, float* sums) {
    const int64_t width = s.width;
#pragma omp parallel for schedule(static, 1) num_threads(s.parts)
    for (int64_t part = 0; part < s.parts; ++part) {
        float d[kMaxWidth], hat[kMaxWidth];
        float* d_bias = sums ? sums + part * 3 * width : nullptr;
        float *d_scale = d_bias + width, *d_shift = d_scale + width;
        if (sums) std::memset(d_bias, 0, sizeof(float) * 3 * width);
        for (int64_t row = s.rows * part / s.parts; row < s.rows * (part + 1) / s.parts; ++row) {
            const T* zr = z + row * width;
            const G* gr = grad + row * width;
            const float m = kNorm ? mean[row] : 0, r = kNorm ? rstd[row] : 1;
            float sum = 0, dot = 0;
#pragma omp simd reduction(+ : sum, dot)
            for (int64_t i = 0; i < width; ++i) {
                const float x = (load(zr + i) + bias[i] - m) * r;
                const float u = kNorm ? x * scale[i] + shift[i] : x;
                const float sig = sigmoid(u);
                const float du = load(gr + i) * (kSwish ? sig * (1.0f + u * (1.0f - sig)) : (u > 0 ? 1.0f : 0.0f));
                const float dx = kNorm ? du * scale[i] : du;
                hat[i] = x;
                d[i] = du;
                sum += dx;
                dot += dx * x;
            }
            if (sums && kNorm) {
#pragma omp simd
                for (int64_t i = 0; i < width; ++i) d_scale[i] += d[i] * hat[i], d_shift[i] += d[i];
            }
            sum /= static_cast<float>(width), dot /= static_cast<float>(width);
#pragma omp simd
            for (int64_t i = 0; i < width; ++i) {
                if (kNorm) d[i] = r * (d[i] * scale[i] - sum - hat[i] * dot);
                store(dz + row * width + i, d[i]);
            }
            if (sums) {
#pragma omp simd
                for (int64_t i = 0; i < width; ++i) d_bias[i] += d[i];
            }
        }
    }
}

template <typename T>
void forward_any(const Shape* s, const T* z, const float* bias, const float* scale, const float* shift,
                 const float* stream, T* out, float* stream_out, float* mean, float* rstd, float eps) {
    auto run = scale ? (s->swish ? forward<T, true, true> : forward<T, true, false>)
                     : (s->swish ? forward<T, false, true> : forward<T, false, false>);
    run(*s, z, bias, scale, shift, stream, out, stream_out, mean, rstd, eps);
}

template <typename T, typename G>
void backward_any(const Shape* s, const G* grad, const T* z, const float* bias, const float* scale, const float* shift,
                  const float* mean, const float* rstd, T* dz, float* sums) {
    auto run = scale ? (s->swish ? backward<T, G, true, true> : backward<T, G, true, false>)
                     : (s->swish ? backward<T, G, false, true> : backward<T, G, false, false>);
    run(*s, grad, z, bias, scale, shift, mean, rstd, dz, sums);
}

}  // namespace

extern "C" {
void forward_fp32(const Shape* s, const float* z, const float* bias, const float* scale, const float* shift,
                  const float* stream, float* out, float* stream_out, float* mean, float* rstd, float eps) {
    forward_any(s, z, bias, scale, shift, stream, out, stream_out, mean, rstd, eps);
}
void forward_bf16(const Shape* s, const bf16* z, const float* bias, const float* scale, const float* shift,
                  const float* stream, bf16* out, float* stream_out, float* mean, float* rstd, float eps) {
    forward_any(s, z, bias, scale, shift, stream, out, stream_out, mean, rstd, eps);
}
void backward_fp32(const Shape* s, const float* grad, const float* z, const float* bias, const float* scale,
                   const float* shift, const float* mean, const float* rstd, float* dz, float* sums) {
    backward_any(s, grad, z, bias, scale, shift, mean, rstd, dz, sums);
}
void backward_bf16(const Shape* s, const bf16* grad, const bf16* z, const float* bias, const float* scale,
                   const float* shift, const float* mean, const float* rstd, bf16* dz, float* sums) {
    backward_any(s, grad, z, bias, scale, shift, mean, rstd, dz, sums);
}
void backward_bf16_stream(const Shape* s, const float* grad, const bf16* z, const float* bias, const float* scale,
                          const float* shift, const float* mean, const float* rstd, bf16* dz, float* sums) {
    backward_any(s, grad, z, bias, scale, shift, mean, rstd, dz, sums);
}
}
