// Mean and variance of a whole map, gathered in pieces: what GroupNorm with one group needs.
//
// A piece is (n, mean, m2) with m2 = Σ (x - mean)². Pieces combine in two passes:
//
//   n = Σ n_i    mean = Σ n_i·mean_i / n    m2 = Σ m2_i + Σ n_i·(mean_i - mean)²
//
// No sum of squares is subtracted from another, so a map whose mean is large beside its deviation loses nothing. The
// order of every sum is fixed by the code, never by which block came first: the same bits every time.
#pragma once

#include "both.h"

namespace apexx {

// Moments is one piece. 16 bytes, so that one access moves it.
struct alignas(16) Moments {
  float n, mean, m2;
};

// combine joins pieces; an empty one, n = 0, adds nothing.
template <int N>
APEXX_BOTH Moments combine(const Moments (&piece)[N]) {
  float n = 0, sum = 0, m2 = 0;
  for (int i = 0; i < N; i++) n += piece[i].n, sum += piece[i].n * piece[i].mean;
  if (n == 0) return {0, 0, 0};
  const float mean = sum / n;
  for (int i = 0; i < N; i++) m2 += piece[i].m2 + piece[i].n * (piece[i].mean - mean) * (piece[i].mean - mean);
  return {n, mean, m2};
}

}  // namespace apexx
