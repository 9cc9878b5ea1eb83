// A .gndc file as what it is outside: a ZIP archive whose entries are looked up by exact name.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "cpl_vsi.h"

namespace gndc_driver
{

/** Whether a file begins as those of the single-file layout did, before version 0.9. */
bool IsLegacyLayout(const uint8_t *head, size_t size);

class Container final
{
  public:
    /** Reads the central directory, nothing else. `path` is any name VSI knows. Throws Failure. */
    static std::unique_ptr<Container> Open(const std::string &path);

    const std::string &Path() const
    {
        return m_path;
    }

    bool Has(const std::string &name) const;

    /** The bytes of an entry, its checksum verified. Nothing is allocated that the file could not hold. Throws Failure;
     *  any number of threads may call it. */
    std::vector<uint8_t> Read(const std::string &name) const;

  private:
    struct Closer
    {
        void operator()(VSILFILE *file) const
        {
            VSIFCloseL(file);
        }
    };

    struct Entry
    {
        uint64_t m_offset{};  // of the local header
        uint64_t m_stored{};  // bytes in the file
        uint64_t m_size{};    // bytes once unpacked
        uint32_t m_crc{};
        uint16_t m_method{};
        uint16_t m_flags{};
    };

    explicit Container(const std::string &path) : m_path(path)
    {
    }

    [[noreturn]] void RefuseLayout() const;
    std::vector<uint8_t> Raw(uint64_t offset, uint64_t size, const char *what) const;
    void ReadDirectory();
    std::vector<uint8_t> ReadEntry(const std::string &name, const Entry &entry) const;

    std::string m_path;
    std::unique_ptr<VSILFILE, Closer> m_file{};
    mutable std::mutex m_mutex{};
    uint64_t m_fileSize{};
    uint64_t m_directoryStart{};
    std::unordered_map<std::string, Entry> m_entries{};
};

}  // namespace gndc_driver
