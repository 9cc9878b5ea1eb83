#include "tangent_kernels.inl"

namespace gndc {
extern const TangentKernel kTangentGeneric = tangents;
}
