#include "threads.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>
#if defined(__linux__)
#include <sched.h>
#endif

#include "gndc_core.h"

namespace gndc {
namespace {

int cores() {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        return std::max(1, CPU_COUNT(&set));
    }
#endif
    return std::max(1u, std::thread::hardware_concurrency());
}

std::atomic<int> g_threads{0};

}  // namespace

int threads_for(int n_threads, int64_t n_items) {
    const int wanted = n_threads > 0 ? n_threads : gndc_threads();
    return static_cast<int>(std::max<int64_t>(1, std::min<int64_t>(wanted, n_items)));
}

void parallel_for(int64_t n_items, int64_t grain, int n_threads,
                  const std::function<void(int, int64_t, int64_t)> &body) {
    const int workers = threads_for(n_threads, (n_items + grain - 1) / grain);
    std::atomic<int64_t> next{0};
    std::mutex mutex;
    std::exception_ptr failure;
    auto work = [&](int worker) {
        try {
            for (;;) {
                const int64_t begin = next.fetch_add(grain);
                if (begin >= n_items) {
                    return;
                }
                body(worker, begin, std::min(begin + grain, n_items));
            }
        } catch (...) {
            next.store(n_items);
            const std::lock_guard<std::mutex> lock(mutex);
            if (!failure) {
                failure = std::current_exception();
            }
        }
    };
    std::vector<std::thread> threads;
    threads.reserve(static_cast<size_t>(workers));
    for (int worker = 1; worker < workers; ++worker) {
        try {
            threads.emplace_back(work, worker);
        } catch (const std::system_error &) {
            break;  // no more threads to be had: those there are do the rest
        }
    }
    work(0);
    for (std::thread &thread : threads) {
        thread.join();
    }
    if (failure) {
        std::rethrow_exception(failure);
    }
}

}  // namespace gndc

extern "C" int gndc_threads(void) {
    const int chosen = gndc::g_threads.load();
    if (chosen > 0) {
        return chosen;
    }
    static const int available = gndc::cores();
    return available;
}

extern "C" void gndc_set_threads(int n_threads) {
    gndc::g_threads.store(n_threads > 0 ? n_threads : 0);
}
