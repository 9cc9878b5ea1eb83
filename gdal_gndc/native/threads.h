// A loop over items shared by a few threads that live as long as the loop: no pool, so nothing breaks across fork().
#ifndef GNDC_THREADS_H
#define GNDC_THREADS_H

#include <cstdint>
#include <functional>

namespace gndc {

// n_threads <= 0: the default of gndc_set_threads(). Never more than there are items.
int threads_for(int n_threads, int64_t n_items);

// Calls body(worker, begin, end) until [0, n_items) is done, `grain` items at a time. An exception of a body ends the
// loop and is thrown again here.
void parallel_for(int64_t n_items, int64_t grain, int n_threads,
                  const std::function<void(int worker, int64_t begin, int64_t end)> &body);

}  // namespace gndc
#endif
