#define GNDC_ISA_NAME avx2
#include "train_kernels.inl"
