// Threads that work through the phases of a step together. A step of a small batch takes a fraction of a millisecond,
// so meeting must cost next to nothing: spin first, give the core away when somebody is late.
#ifndef GNDC_TRAIN_TEAM_H
#define GNDC_TRAIN_TEAM_H

#include <atomic>
#include <thread>
#include <vector>

#if defined(GNDC_X86)
#include <immintrin.h>
#endif

namespace gndc {

class Barrier {
public:
    explicit Barrier(int n) : n_(n), waiting_(n) {}

    void wait() {
        if (n_ == 1) {
            return;
        }
        const unsigned round = round_.load(std::memory_order_relaxed);
        if (waiting_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            waiting_.store(n_, std::memory_order_relaxed);
            round_.store(round + 1, std::memory_order_release);
            return;
        }
        for (int spins = 0; round_.load(std::memory_order_acquire) == round; ++spins) {
            if (spins < 4000) {
#if defined(GNDC_X86)
                _mm_pause();
#endif
            } else {
                std::this_thread::yield();
            }
        }
    }

private:
    const int n_;
    alignas(64) std::atomic<int> waiting_;
    alignas(64) std::atomic<unsigned> round_{0};
};

// Adam's memory decays into numbers too small to be normal, which are slow and of no use here.
class FlushTiny {
public:
#if defined(GNDC_X86)
    FlushTiny() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
    ~FlushTiny() { _mm_setcsr(before_); }

private:
    unsigned before_;
#else
    FlushTiny() {}
    ~FlushTiny() {}
#endif
};

// Calls work(thread) on n threads, the caller being number 0, and returns when all are done. work must not throw.
// Throws std::system_error, with nothing begun, if the system gives fewer threads.
template <typename Work>
void run_team(int n, const Work &work) {
    enum : int { waiting, begin, give_up };
    std::atomic<int> gate{waiting};
    std::vector<std::thread> others;
    others.reserve(static_cast<size_t>(n));
    try {
        for (int i = 1; i < n; ++i) {
            others.emplace_back([&work, &gate, i] {
                int state;
                while ((state = gate.load(std::memory_order_acquire)) == waiting) {
                    std::this_thread::yield();
                }
                if (state == begin) {
                    FlushTiny flush;
                    work(i);
                }
            });
        }
    } catch (...) {
        gate.store(give_up, std::memory_order_release);
        for (std::thread &thread : others) {
            thread.join();
        }
        throw;
    }
    gate.store(begin, std::memory_order_release);
    {
        FlushTiny flush;
        work(0);
    }
    for (std::thread &thread : others) {
        thread.join();
    }
}

}  // namespace gndc
#endif
