// One vector type for every instruction set. A kernel source is compiled once per set (see CMakeLists.txt) with
// GNDC_ISA_NAME naming its namespace; everything here has internal linkage so that no symbol built for a newer set
// can be chosen by the linker for an older one. For the same reason kernel sources include no standard containers.
#ifndef GNDC_SIMD_H
#define GNDC_SIMD_H

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

template <int N>
struct VecOf {
    typedef float type __attribute__((vector_size(N * 4), aligned(4)));
};
template <>
struct VecOf<1> {
    typedef float type;
};

// vector of the machine's width, unaligned
using Vec = VecOf<kLanes>::type;

template <typename V>
inline V load(const float *p) {
    V v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}
template <typename V>
inline void store(float *p, V v) {
    __builtin_memcpy(p, &v, sizeof v);
}
template <typename V>
inline V splat(float a) {
    return a - V{};  // a - 0 is a for every float, so that this is a plain broadcast; 0 + a is not
}

// Whole numbers of 8 bits as floats.
template <typename V>
inline V whole(const int8_t *p) {
    typedef int8_t Whole __attribute__((vector_size(sizeof(V) / 4)));
    Whole v;
    __builtin_memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, V);
}
template <>
inline float whole<float>(const int8_t *p) {
    return static_cast<float>(*p);
}
#if defined(__AVX2__) || defined(__AVX512F__)
template <>
inline VecOf<4>::type whole<VecOf<4>::type>(const int8_t *p) {
    int32_t v;
    __builtin_memcpy(&v, p, sizeof v);
    return (VecOf<4>::type)_mm_cvtepi32_ps(_mm_cvtepi8_epi32(_mm_cvtsi32_si128(v)));
}
template <>
inline VecOf<8>::type whole<VecOf<8>::type>(const int8_t *p) {
    return (VecOf<8>::type)_mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(p))));
}
#endif
#if defined(__AVX512F__)
template <>
inline VecOf<16>::type whole<VecOf<16>::type>(const int8_t *p) {
    return (VecOf<16>::type)_mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p))));
}
#endif

// a * b + c with one rounding where the machine has it. Sources are built with -ffp-contract=off, so that these are
// the only fused operations and a value does not depend on which loop computed it.
#if defined(__AVX2__) || defined(__AVX512F__)
inline float fma(float a, float b, float c) {
    return __builtin_fmaf(a, b, c);
}
inline VecOf<2>::type fma(VecOf<2>::type a, VecOf<2>::type b, VecOf<2>::type c) {
    return VecOf<2>::type{__builtin_fmaf(a[0], b[0], c[0]), __builtin_fmaf(a[1], b[1], c[1])};
}
inline VecOf<4>::type fma(VecOf<4>::type a, VecOf<4>::type b, VecOf<4>::type c) {
    return (VecOf<4>::type)_mm_fmadd_ps((__m128)a, (__m128)b, (__m128)c);
}
inline VecOf<8>::type fma(VecOf<8>::type a, VecOf<8>::type b, VecOf<8>::type c) {
    return (VecOf<8>::type)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
#if defined(__AVX512F__)
inline VecOf<16>::type fma(VecOf<16>::type a, VecOf<16>::type b, VecOf<16>::type c) {
    return (VecOf<16>::type)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
#endif
#else
template <typename V>
inline V fma(V a, V b, V c) {
    return a * b + c;
}
#endif

template <typename V>
inline V relu(V a) {
    return a > V{} ? a : V{};
}
#if defined(__AVX512F__)
inline VecOf<16>::type relu(VecOf<16>::type a) {  // the same, NaN and -0 too, in one instruction
    return (VecOf<16>::type)_mm512_max_ps((__m512)a, _mm512_setzero_ps());
}
#endif

// Lane i of the result is lane i ^ x of v; x < kLanes.
#if defined(__AVX512F__)
struct LaneSwap {
    explicit LaneSwap(int x)
        : index(_mm512_xor_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                                 _mm512_set1_epi32(x))) {}
    Vec operator()(Vec v) const { return (Vec)_mm512_permutexvar_ps(index, (__m512)v); }
    __m512i index;
};
#elif defined(__AVX2__)
struct LaneSwap {
    explicit LaneSwap(int x)
        : index(_mm256_xor_si256(_mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0), _mm256_set1_epi32(x))) {}
    Vec operator()(Vec v) const { return (Vec)_mm256_permutevar8x32_ps((__m256)v, index); }
    __m256i index;
};
#else
struct LaneSwap {
    explicit LaneSwap(int x) : index(x) {}
    Vec operator()(Vec v) const { return Vec{v[index], v[index ^ 1], v[index ^ 2], v[index ^ 3]}; }
    int index;
};
#endif

// a + f * (b - a): the one way features are interpolated, on every path
template <typename V>
inline V lerp(V a, V b, V f) {
    return fma(f, b - a, a);
}

}  // namespace
#endif
