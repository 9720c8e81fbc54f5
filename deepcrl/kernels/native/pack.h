// Puts matrices in the order in which the kernel of gemm.h reads them: [panel][word][column], panels of kPanel columns.
#pragma once
#include "gemm.h"

namespace deepcrl {

template <typename P>
Vec words_of_row(const float* p, bool half) {  // 16 words along a row of floats; 8 if `half`
    if constexpr (P::kPerWord == 1) {
        return load(p);
    } else {
#ifdef __AVX512BF16__
        const Vec second = half ? _mm512_setzero_ps() : load(p + 16);
        return reinterpret_cast<__m512>(_mm512_cvtne2ps_pbh(second, load(p)));
#endif
    }
}

// For x -> x w^T: the transpose of w [width, width], columns [first, first + count) of the result. count is 16 or kPanel.
template <typename P>
void pack_transposed(const float* w, int64_t width, int64_t first, int64_t count, float* panel) {
    const int64_t words = width / P::kPerWord;
    for (int64_t column = 0; column < count; column += 16)
        for (int64_t word = 0; word < words; word += 16) {
            const int64_t height = std::min<int64_t>(16, words - word);
            Vec r[16];
#pragma GCC unroll 16
            for (int i = 0; i < 16; ++i)
                r[i] = words_of_row<P>(w + (first + column + i) * width + word * P::kPerWord, height < 16);
            transpose(r);
            for (int64_t i = 0; i < height; ++i) store(panel + (word + i) * count + column, r[i]);
        }
}

// For g -> g w: w [width, width] as it is, columns [first, first + count). count is 16 or kPanel.
template <typename P>
void pack_plain(const float* w, int64_t width, int64_t first, int64_t count, float* panel) {
    for (int64_t row = 0; row < width; row += P::kPerWord)
        for (int64_t column = 0; column < count; column += 16, panel += 16) {
            const float* p = w + row * width + first + column;
            if constexpr (P::kPerWord == 1) {
                store(panel, load(p));
            } else {
#ifdef __AVX512BF16__
                _mm512_store_ps(panel, pair_up(narrow(load(p)), narrow(load(p + width))));
#endif
            }
        }
}

// For dz^T x: columns [first, first + count) of a matrix of activations, words along its rows; count <= kPanel.
// An odd last row of bf16 is paired with zeros. Whole vectors are stored, masked stores being slow, so up to 15 words
// after the panel are overwritten.
inline void pack_activations(const float* p, int64_t width, int64_t rows, int64_t count, float* panel) {
    for (int64_t row = 0; row < rows; ++row, p += width)
        for (int64_t column = 0; column < count; column += 16, panel += std::min<int64_t>(count, 16)) {
            const bool whole = count >= 16 || row + 1 < rows;  // else there may be no more memory; the rest is overwritten
            store(panel, whole ? load(p + column) : load_first(p + column, count));
        }
}
#ifdef __AVX512BF16__
inline void pack_activations(const bf16* p, int64_t width, int64_t rows, int64_t count, float* panel) {
    const __mmask16 keep = static_cast<__mmask16>((1u << std::min<int64_t>(count, 16)) - 1);
    for (int64_t row = 0; row < rows; row += 2, p += 2 * width)
        for (int64_t column = 0; column < count; column += 16, panel += std::min<int64_t>(count, 16)) {
            const __m256i first = _mm256_maskz_loadu_epi16(keep, p + column);
            const __m256i second =
                row + 1 < rows ? _mm256_maskz_loadu_epi16(keep, p + width + column) : _mm256_setzero_si256();
            store(panel, pair_up(first, second));
        }
}
#endif

}  // namespace deepcrl
