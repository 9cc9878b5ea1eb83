// Aligned memory for tables that are read at random places.
#ifndef GNDC_MEMORY_H
#define GNDC_MEMORY_H

#include <cstddef>
#include <cstdlib>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace gndc {

// Aligned to cache lines at least, for std::free; *rounded (where given) becomes what was reserved. Large blocks take
// huge pages where the system has them on demand, or every other access would wait for the address of its page.
// Throws std::bad_alloc.
inline void *allocate_aligned(size_t bytes, size_t *rounded) {
    constexpr size_t kHugePage = size_t{2} << 20;
    const size_t alignment = bytes >= 2 * kHugePage ? kHugePage : 64;
    const size_t whole = (bytes + alignment - 1) / alignment * alignment;
    void *memory = std::aligned_alloc(alignment, whole);
    if (!memory) {
        throw std::bad_alloc();
    }
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (alignment == kHugePage) {
        madvise(memory, whole, MADV_HUGEPAGE);  // a wish: nothing depends on it
    }
#endif
    if (rounded) {
        *rounded = whole;
    }
    return memory;
}

}  // namespace gndc
#endif
