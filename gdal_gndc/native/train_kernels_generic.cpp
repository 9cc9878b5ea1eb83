#define GNDC_ISA_NAME generic
#include "train_kernels.inl"
