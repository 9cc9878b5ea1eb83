// The weights of a grid as the kernels read them: in float32 or in the 8 bits they were stored in, which are a quarter of
// the memory that has to be fetched. Both have the same values to the bit.
#ifndef GNDC_TABLE_INL
#define GNDC_TABLE_INL
#include <cstdint>
#include "field.h"
#include "simd.h"

namespace {

struct Floats {
    const float *at;

    Floats from(int64_t i) const { return {at + i}; }
    void fetch(int64_t i) const { __builtin_prefetch(at + i); }
    // weights [i, i + lanes of V)
    template <typename V>
    V get(int64_t i) const {
        return load<V>(at + i);
    }
};

struct Bytes {
    const int8_t *at;
    float scale, high, low;

    Bytes from(int64_t i) const { return {at + i, scale, high, low}; }
    void fetch(int64_t i) const { __builtin_prefetch(at + i); }
    template <typename V>
    V get(int64_t i) const {
        const V q = whole<V>(at + i);
#if defined(__AVX2__) || defined(__AVX512F__)
        return fma(q, splat<V>(high), q * splat<V>(low));
#else
        return q / splat<V>(scale);
#endif
    }
};

// Calls body with the weights of a table from `offset` on.
template <typename Body>
inline void with_table(const gndc::Table &table, int64_t offset, Body &&body) {
    if (table.bytes) {
        body(Bytes{table.bytes + offset, table.scale, table.high, table.low});
    } else {
        body(Floats{table.floats + offset});
    }
}

}  // namespace
#endif
