#define GNDC_ISA_NAME avx512
#include "train_kernels.inl"
