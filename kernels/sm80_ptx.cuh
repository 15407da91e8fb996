// The instructions of compute capability 8.0 that CUDA C++ has no words for, one function each.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

namespace apexx::sm80 {

// load_fragments loads four 8×8 matrices of 16-bit elements, or 8×4 of 32 bits; lane l gives the address of row l%8 of
// matrix l/8 and receives, of each matrix, the 32 bits at l%4 of row l/4.
__device__ __forceinline__ void load_fragments(uint32_t (&f)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(f[0]), "=r"(f[1]), "=r"(f[2]), "=r"(f[3])
               : "r"(uint32_t(__cvta_generic_to_shared(row))));
}

// multiply_add adds A[16,K]·B[K,8], where K elements of T are 32 bytes: the thread of lane l holds sums of rows l/4 and
// l/4+8, columns 2·(l%4) + {0, 1}. float is multiplied as tf32.
template <class T>
__device__ __forceinline__ void multiply_add(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);

#define APEXX_MULTIPLY_ADD(T, instruction)                                                                         \
  template <>                                                                                                      \
  __device__ __forceinline__ void multiply_add<T>(float(&d)[4], const uint32_t(&a)[4], uint32_t b0, uint32_t b1) { \
    asm volatile("mma.sync.aligned." instruction " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"          \
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                                  \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));                                  \
  }
APEXX_MULTIPLY_ADD(__half, "m16n8k16.row.col.f32.f16.f16.f32")
APEXX_MULTIPLY_ADD(__nv_bfloat16, "m16n8k16.row.col.f32.bf16.bf16.f32")
APEXX_MULTIPLY_ADD(float, "m16n8k8.row.col.f32.tf32.tf32.f32")
#undef APEXX_MULTIPLY_ADD

__device__ __forceinline__ void copy_async(void* to, const void* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(uint32_t(__cvta_generic_to_shared(to))), "l"(from)
               : "memory");
}

// copy_async_or_zero copies four bytes, or writes zeros and does not read.
__device__ __forceinline__ void copy_async_or_zero(float* to, const float* from, bool reads) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(uint32_t(__cvta_generic_to_shared(to))), "l"(from),
               "r"(reads ? 4 : 0)
               : "memory");
}

__device__ __forceinline__ void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int kPending>
__device__ __forceinline__ void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

}  // namespace apexx::sm80
