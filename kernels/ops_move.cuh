// Operators that move elements without looking at them, for any element type by its width.
//
// copy_rows: Concat and Split. `outer` rows of n elements from a source to a destination, for up to kMaxPieces pieces in one launch: piece
// blockIdx.y. gather: x [outer,size,inner], ids [n] → y [outer,n,inner].
#pragma once

#include "ops.cuh"

namespace apexx {

constexpr int kMaxPieces = 16;

struct CopyPiece {
  const void* from;
  void* to;
  int64_t n, from_stride, to_stride;  // elements: of a row, from row to row
};

struct CopyArgs {
  CopyPiece pieces[kMaxPieces];
  int64_t outer;
};

template <class T>
APEXX_DEVICE void copy_thread(const CopyArgs& a) {
  const CopyPiece& p = a.pieces[blockIdx.y];
  const int64_t i = thread_of();
  if (i >= a.outer * p.n) return;
  const int64_t row = i / p.n, j = i - row * p.n;
  static_cast<T*>(p.to)[row * p.to_stride + j] = static_cast<const T*>(p.from)[row * p.from_stride + j];
}

APEXX_KERNEL(copy_rows_8, CopyArgs, 256) { copy_thread<uint8_t>(a); }
APEXX_KERNEL(copy_rows_32, CopyArgs, 256) { copy_thread<uint32_t>(a); }
APEXX_KERNEL(copy_rows_64, CopyArgs, 256) { copy_thread<uint64_t>(a); }

struct GatherArgs {
  const void* x;
  const int64_t* ids;
  void* y;
  int64_t outer, size, n, inner;
  Fault fault;
};

template <class T>
APEXX_DEVICE void gather_thread(const GatherArgs& a) {
  const int64_t i = thread_of();
  if (i >= a.outer * a.n * a.inner) return;
  const int64_t j = i % a.inner, row = i / a.inner, id = a.ids[row % a.n];
  if (id < 0 || id >= a.size) {
    report(a.fault);
    return;
  }
  static_cast<T*>(a.y)[i] = static_cast<const T*>(a.x)[(row / a.n * a.size + id) * a.inner + j];
}

APEXX_KERNEL(gather_8, GatherArgs, 256) { gather_thread<uint8_t>(a); }
APEXX_KERNEL(gather_32, GatherArgs, 256) { gather_thread<uint32_t>(a); }
APEXX_KERNEL(gather_64, GatherArgs, 256) { gather_thread<uint64_t>(a); }

}  // namespace apexx
