// Kernels of a training step, compiled once for each instruction set: see simd.h. No standard containers in here.
#include "train_kernels_adam.inl"
#include "train_kernels_grids.inl"
#include "train_kernels_products.inl"

namespace gndc {

#define GNDC_JOIN_(a, b) a##b
#define GNDC_JOIN(a, b) GNDC_JOIN_(a, b)

extern const TrainKernels GNDC_JOIN(train_kernels_, GNDC_ISA_NAME);
const TrainKernels GNDC_JOIN(train_kernels_, GNDC_ISA_NAME) = {
    corners, prefetch_entries, gather, scatter, multiply, accumulate, errors, adam, round_all, transpose, total};

}  // namespace gndc
