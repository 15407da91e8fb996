#include "emulator.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include <memory>
#include <set>
#include <vector>

#include "../ops.cu"
#include "network.h"

Dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace apexx::emulator {
namespace {

std::vector<Kernel>& kernels() {
  static std::vector<Kernel> list;
  return list;
}

constexpr size_t kStack = 64 << 10;
constexpr int kMostThreads = 1024;  // of a block

constexpr int kWarp = 32;

// Wait says what a thread that has stopped waits for.
enum class Wait { kNothing, kWarp, kBlock };

// Fiber is a thread of a block that can stop at a barrier. It is made once and runs one thread of a block after the other.
struct Fiber {
  ucontext_t context;
  jmp_buf here;
  std::unique_ptr<char[]> stack;
  bool started = false, done = true;
  Wait waits = Wait::kNothing;
  Dim3 index;
};

std::vector<std::unique_ptr<Fiber>> fibers;
Fiber* current = nullptr;
jmp_buf scheduler;
const Kernel* running = nullptr;
std::set<const Kernel*> launched;
const void* argument = nullptr;

// yield hands over to the scheduler until it resumes the fiber.
void yield(Wait waits) {
  current->waits = waits;
  if (!_setjmp(current->here)) _longjmp(scheduler, 1);
}

void life() {
  for (;;) {
    running->run(argument);
    current->done = true;
    yield(Wait::kNothing);
  }
}

// resume runs a fiber up to its next barrier or its end.
void resume(Fiber* f) {
  current = f;
  threadIdx = f->index;
  if (_setjmp(scheduler)) return;
  if (f->started) _longjmp(f->here, 1);
  f->started = true;
  setcontext(&f->context);
}

Fiber* fiber(size_t i) {
  while (fibers.size() <= i) {
    auto f = std::make_unique<Fiber>();
    f->stack = std::make_unique<char[]>(kStack);
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack.get();
    f->context.uc_stack.ss_size = kStack;
    f->context.uc_link = nullptr;
    makecontext(&f->context, life, 0);
    fibers.push_back(std::move(f));
  }
  return fibers[i].get();
}

[[noreturn]] void fail(const char* what) {
  fprintf(stderr, "kernel %s: %s\n", running->name, what);
  abort();
}

// run_warp runs the threads from first on to the next barrier of the block, or to their end, and returns how many wait there.
int run_warp(int first, int threads) {
  for (;;) {
    int in_warp = 0, in_block = 0;
    for (int t = first; t < threads && t < first + kWarp; t++) {
      Fiber* f = fiber(t);
      if (f->done) continue;
      resume(f);
      in_warp += f->waits == Wait::kWarp;
      in_block += f->waits == Wait::kBlock;
    }
    if (in_warp == 0) return in_block;
    if (in_block != 0) fail("some threads of a warp wait for the warp and others for the block");
  }
}

// run_block runs the threads of a block by turns: each from one barrier to the next. All of them must reach a barrier, or none.
void run_block(int threads) {
  for (int t = 0; t < threads; t++) {
    fiber(t)->done = false;
    fiber(t)->index = {static_cast<unsigned>(t), 0, 0};
  }
  for (int waiting = threads; waiting > 0;) {
    int left = 0;
    for (int t = 0; t < threads; t += kWarp) left += run_warp(t, threads);
    if (left != 0 && left != waiting) fail("some threads of a block wait at a barrier and others do not");
    waiting = left;
  }
}

const Kernel* find(const char* name) {
  for (const Kernel& k : kernels())
    if (!strcmp(k.name, name)) return &k;
  return nullptr;
}

const char* running_name() { return running->name; }

}  // namespace

Register::Register(const Kernel& k) { kernels().push_back(k); }

namespace {
const bool network_registered = (register_network<running_name>(), true);
}

void barrier() {
  if (!running->barriers) fail("a barrier in a kernel that is declared without");
  yield(Wait::kBlock);
}

void warp_barrier() {
  if (!running->barriers) fail("threads of a warp meet in a kernel that is declared without barriers");
  yield(Wait::kWarp);
}

bool votes[kMostThreads];

unsigned ballot(bool vote) {
  votes[threadIdx.x] = vote;
  warp_barrier();
  const unsigned t = current->index.x, first = t / kWarp * kWarp;
  unsigned bits = 0;
  for (unsigned i = 0; i < kWarp && first + i < blockDim.x; i++) bits |= static_cast<unsigned>(votes[first + i]) << i;
  warp_barrier();
  return bits;
}

void exchange(const void* own, void* other, size_t bytes, unsigned lane) {
  static char passed[kMostThreads][8];
  const unsigned t = current->index.x;
  memcpy(passed[t], own, bytes);
  warp_barrier();
  memcpy(other, passed[t / kWarp * kWarp + lane], bytes);
  warp_barrier();
}

bool any_of_block(bool vote) {
  votes[threadIdx.x] = vote;
  barrier();
  bool any = false;
  for (unsigned i = 0; i < blockDim.x; i++) any = any || votes[i];
  barrier();
  return any;
}

}  // namespace apexx::emulator

using namespace apexx::emulator;

// apexx_kernel returns the size of a kernel's argument and the most threads of a block, and whether there is such a kernel.
extern "C" int apexx_kernel(const char* name, size_t* arguments, int* threads) {
  const Kernel* k = find(name);
  if (!k) return 0;
  *arguments = k->arguments;
  *threads = k->threads;
  return 1;
}

// apexx_kernel_name returns the name of the i-th kernel, a null pointer beyond the last.
extern "C" const char* apexx_kernel_name(size_t i) { return i < kernels().size() ? kernels()[i].name : nullptr; }

// apexx_launched tells whether a kernel was launched in this process.
extern "C" __attribute__((visibility("default"))) int apexx_launched(const char* name) {
  const Kernel* k = find(name);
  return k && launched.count(k);
}

// apexx_launch runs a kernel to its end. The caller has checked name, argument and sizes.
extern "C" void apexx_launch(const char* name, unsigned x, unsigned y, unsigned z, int threads, const void* args) {
  running = find(name);
  launched.insert(running);
  argument = args;
  gridDim = {x, y, z};
  blockDim = {static_cast<unsigned>(threads), 1, 1};
  for (unsigned bz = 0; bz < z; bz++) {
    for (unsigned by = 0; by < y; by++) {
      for (unsigned bx = 0; bx < x; bx++) {
        blockIdx = {bx, by, bz};
        if (running->barriers) {
          run_block(threads);
          continue;
        }
        for (int t = 0; t < threads; t++) {
          threadIdx = {static_cast<unsigned>(t), 0, 0};
          running->run(argument);
        }
      }
    }
  }
}
