#include "kernels.inl"

namespace gndc {
extern const Kernels kKernelsAvx512 = {"avx512", points, grid_rows, series};
}
