#include <cstring>

#include "gndc_core.h"
#include "train_kernels.h"

namespace gndc {

extern const TrainKernels train_kernels_generic;
#if defined(GNDC_X86)
extern const TrainKernels train_kernels_avx2;
extern const TrainKernels train_kernels_avx512;
#endif

const TrainKernels &train_kernels() {
#if defined(GNDC_X86)
    const char *isa = gndc_isa();
    if (std::strcmp(isa, "avx512") == 0) {
        return train_kernels_avx512;
    }
    if (std::strcmp(isa, "avx2") == 0) {
        return train_kernels_avx2;
    }
#endif
    return train_kernels_generic;
}

}  // namespace gndc
