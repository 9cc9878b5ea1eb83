#include "tangent_kernels.inl"

namespace gndc {
extern const TangentKernel kTangentAvx2 = tangents;
}
