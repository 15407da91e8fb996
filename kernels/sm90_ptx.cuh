// The instructions of compute capability 9.0 that CUDA C++ has no words for, one function each.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

namespace apexx::sm90 {

__device__ __forceinline__ uint32_t shared_address(const void* p) { return uint32_t(__cvta_generic_to_shared(p)); }

// --- barriers in shared memory, and the bulk copies that complete on them

__device__ __forceinline__ void barrier_init(uint64_t* bar, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(bar)), "r"(arrivals));
}

// barrier_init_fence makes initialised barriers visible to the copy engine.
__device__ __forceinline__ void barrier_init_fence() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__device__ __forceinline__ void barrier_expect(uint64_t* bar, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(bar)), "r"(bytes)
               : "memory");
}

__device__ __forceinline__ void barrier_wait(uint64_t* bar, uint32_t parity) {
  asm volatile(
      "{\n .reg .pred done;\n"
      "again:\n mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      " @!done bra again;\n}\n" ::"r"(shared_address(bar)),
      "r"(parity)
      : "memory");
}

// bulk_load copies bytes (a multiple of 16, both ends aligned to 16) from global to shared memory.
__device__ __forceinline__ void bulk_load(void* to, const void* from, uint32_t bytes, uint64_t* bar) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                   shared_address(to)),
               "l"(from), "r"(bytes), "r"(shared_address(bar))
               : "memory");
}

// shared_writes_visible orders this thread's ordinary stores to shared memory before later reads by the matrix unit.
__device__ __forceinline__ void shared_writes_visible() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// team_sync lets the threads of one team wait for each other: named barriers, number 0 is that of __syncthreads.
template <int kThreads>
__device__ __forceinline__ void team_sync(int team) {
  asm volatile("bar.sync %0, %1;" ::"r"(team + 1), "n"(kThreads) : "memory");
}

// --- matrix products of a warpgroup

// descriptor names a matrix of 8×8 core matrices (128 contiguous bytes each) in shared memory without swizzle: along_k
// and along_rows are the distances in bytes between core matrices that are neighbours along K and along M or N.
__device__ __forceinline__ uint64_t descriptor(uint32_t address, uint32_t along_k, uint32_t along_rows) {
  return uint64_t((address & 0x3FFFF) >> 4) | uint64_t(along_k >> 4) << 16 | uint64_t(along_rows >> 4) << 32;
}

// moved names the matrix that begins a number of 16-byte cells further on. Shared memory ends below the descriptor's
// largest address.
__device__ __forceinline__ uint64_t moved(uint64_t descriptor, int cells) { return descriptor + cells; }

__device__ __forceinline__ void matrix_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void matrix_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void matrix_wait() { asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory"); }

// MultiplyAdd adds A[64,16]·B[16,N] of type T (__half, __nv_bfloat16) to the fp32 sums of a warpgroup, N =
// 2·kRegisters. Thread t of the warpgroup holds, of row 16·(t/32) + t%32/4 + 8·i and column 8·j + 2·(t%4) + e, the sum
// at index 4·j + 2·i + e.
template <class T, int kRegisters>
struct MultiplyAdd;

#define APEXX_R4(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define APEXX_R16(d, i) APEXX_R4(d, i), APEXX_R4(d, i + 4), APEXX_R4(d, i + 8), APEXX_R4(d, i + 12)
#define APEXX_MULTIPLY_ADD(T, type, registers, n, names, ...)                                           \
  template <>                                                                                           \
  struct MultiplyAdd<T, registers> {                                                                    \
    static __device__ __forceinline__ void run(float (&d)[registers], uint64_t a, uint64_t b) {         \
      asm volatile("wgmma.mma_async.sync.aligned.m64n" n "k16.f32." type "." type " " names:__VA_ARGS__ \
                   : "l"(a), "l"(b));                                                                   \
    }                                                                                                   \
  };
#define APEXX_BOTH_TYPES(registers, n, names, ...)                    \
  APEXX_MULTIPLY_ADD(__half, "f16", registers, n, names, __VA_ARGS__) \
  APEXX_MULTIPLY_ADD(__nv_bfloat16, "bf16", registers, n, names, __VA_ARGS__)

APEXX_BOTH_TYPES(16, "32", "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, %16, %17, 1, 1, 1, 0, 0;",
                 APEXX_R16(d, 0))
APEXX_BOTH_TYPES(
    24, "48",
    "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23}, %24, %25, 1, 1, 1, 0, 0;",
    APEXX_R16(d, 0), APEXX_R4(d, 16), APEXX_R4(d, 20))
APEXX_BOTH_TYPES(32, "64",
                 "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,"
                 "%25,%26,%27,%28,%29,%30,%31}, %32, %33, 1, 1, 1, 0, 0;",
                 APEXX_R16(d, 0), APEXX_R16(d, 16))
APEXX_BOTH_TYPES(48, "96",
                 "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,"
                 "%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47}, "
                 "%48, %49, 1, 1, 1, 0, 0;",
                 APEXX_R16(d, 0), APEXX_R16(d, 16), APEXX_R16(d, 32))

#undef APEXX_BOTH_TYPES
#undef APEXX_MULTIPLY_ADD
#undef APEXX_R16
#undef APEXX_R4

// store_matrices writes four 8×8 fp16 fragments; lane l gives the address of row l%8 of fragment l/8.
__device__ __forceinline__ void store_matrices(void* row, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1,%2,%3,%4};" ::"r"(shared_address(row)), "r"(a),
               "r"(b), "r"(c), "r"(d)
               : "memory");
}

}  // namespace apexx::sm90
