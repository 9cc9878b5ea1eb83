#include "kernels.inl"

namespace gndc {
extern const Kernels kKernelsGeneric = {"generic", points, grid_rows, series};
}
