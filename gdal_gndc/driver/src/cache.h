// What is kept of all open cubes: fields, masks and residuals, the least recently used given up first.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>

namespace gndc_driver
{

class Cache final
{
  public:
    enum class Kind
    {
        CHUNK,
        MASK,
        RESIDUAL
    };

    // cube, kind, chunk, frame
    using Key = std::tuple<uint64_t, Kind, int64_t, int64_t>;
    using Item = std::shared_ptr<const void>;

    /** The cache of this process. Its size is the configuration option GNDC_CACHE_BYTES, 512 MiB by default. */
    static Cache &Shared();

    /** The item, or null. */
    Item Find(const Key &key);
    void Keep(const Key &key, const Item &item, int64_t bytes);
    void Forget(uint64_t cube);

  private:
    struct Entry
    {
        Key m_key;
        Item m_item;
        int64_t m_bytes;
    };

    Cache();

    std::mutex m_mutex{};
    std::list<Entry> m_entries{};  // most recently used first
    std::map<Key, std::list<Entry>::iterator> m_index{};
    int64_t m_bytes{};
    int64_t m_limit{};
};

}  // namespace gndc_driver
