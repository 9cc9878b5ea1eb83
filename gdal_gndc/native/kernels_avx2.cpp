#include "kernels.inl"

namespace gndc {
extern const Kernels kKernelsAvx2 = {"avx2", points, grid_rows, series};
}
