#include "cache.h"

#include "cpl_conv.h"
#include "cpl_string.h"

namespace gndc_driver
{

namespace
{

constexpr const char *DEFAULT_BYTES = "536870912";

}  // namespace

Cache::Cache() : m_limit(CPLAtoGIntBig(CPLGetConfigOption("GNDC_CACHE_BYTES", DEFAULT_BYTES)))
{
}

Cache &Cache::Shared()
{
    // never destroyed: datasets may outlive the destructors of static objects
    static Cache *const cache = new Cache;
    return *cache;
}

Cache::Item Cache::Find(const Key &key)
{
    std::lock_guard<std::mutex> lock(m_mutex);
    const auto found = m_index.find(key);
    if (found == m_index.end())
        return nullptr;
    m_entries.splice(m_entries.begin(), m_entries, found->second);
    return found->second->m_item;
}

void Cache::Keep(const Key &key, const Item &item, int64_t bytes)
{
    std::list<Entry> dropped;  // destroyed after the lock is gone
    std::lock_guard<std::mutex> lock(m_mutex);
    if (m_index.count(key))
        return;
    m_entries.push_front({key, item, bytes});
    m_index[key] = m_entries.begin();
    m_bytes += bytes;
    while (m_bytes > m_limit && m_entries.size() > 1)
    {
        m_bytes -= m_entries.back().m_bytes;
        m_index.erase(m_entries.back().m_key);
        dropped.splice(dropped.begin(), m_entries, std::prev(m_entries.end()));
    }
}

void Cache::Forget(uint64_t cube)
{
    std::list<Entry> dropped;
    std::lock_guard<std::mutex> lock(m_mutex);
    auto at = m_index.lower_bound(Key(cube, Kind::CHUNK, 0, 0));
    while (at != m_index.end() && std::get<0>(at->first) == cube)
    {
        m_bytes -= at->second->m_bytes;
        dropped.splice(dropped.begin(), m_entries, at->second);
        at = m_index.erase(at);
    }
}

}  // namespace gndc_driver
