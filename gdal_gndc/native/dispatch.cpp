#include <atomic>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "kernels.h"

namespace gndc {
namespace {

const Kernels *usable(const char *name) {
#ifdef GNDC_X86
    if (std::strcmp(name, kKernelsAvx512.name) == 0 && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl")) {
        return &kKernelsAvx512;
    }
    if (std::strcmp(name, kKernelsAvx2.name) == 0 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return &kKernelsAvx2;
    }
#endif
    return std::strcmp(name, kKernelsGeneric.name) == 0 ? &kKernelsGeneric : nullptr;
}

const Kernels *best() {
    if (const char *wanted = std::getenv("GNDC_ISA")) {
        if (const Kernels *set = usable(wanted)) {
            return set;
        }
    }
    for (const char *name : {"avx512", "avx2"}) {
        if (const Kernels *set = usable(name)) {
            return set;
        }
    }
    return &kKernelsGeneric;
}

std::atomic<const Kernels *> g_kernels{nullptr};

}  // namespace

const Kernels &kernels() {
    const Kernels *set = g_kernels.load(std::memory_order_acquire);
    if (!set) {
        set = best();
        g_kernels.store(set, std::memory_order_release);
    }
    return *set;
}

FixedHidden fixed_hidden() {
#ifdef GNDC_X86
    if (&kernels() == &kKernelsAvx512 && __builtin_cpu_supports("avx512vnni")) {
        return kFixedHiddenAvx512Vnni;
    }
#endif
    return nullptr;
}

}  // namespace gndc

extern "C" const char *gndc_isa(void) {
    return gndc::kernels().name;
}

extern "C" int gndc_has_fast(void) {
    return gndc::fixed_hidden() ? 1 : 0;
}

extern "C" int gndc_set_isa(const char *name) {
    const gndc::Kernels *set = gndc::usable(name);
    if (set) {
        gndc::g_kernels.store(set, std::memory_order_release);
    }
    return set ? 1 : 0;
}
