#include "tangent_kernels.inl"

namespace gndc {
extern const TangentKernel kTangentAvx512 = tangents;
}
