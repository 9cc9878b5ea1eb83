#include "container.h"

#include <algorithm>
#include <cstring>

#include "bytes.h"
#include "codec.h"
#include "crc32.h"
#include "failure.h"

namespace gndc_driver
{

namespace
{

using Long = unsigned long long;

constexpr uint32_t LOCAL_HEADER = 0x04034b50;
constexpr uint32_t CENTRAL_HEADER = 0x02014b50;
constexpr uint32_t END_RECORD = 0x06054b50;
constexpr uint32_t END64_LOCATOR = 0x07064b50;
constexpr uint32_t END64_RECORD = 0x06064b50;
constexpr uint64_t LOCAL_SIZE = 30;
constexpr uint64_t END_SIZE = 22;
constexpr uint64_t LOCATOR_SIZE = 20;
constexpr uint64_t END64_SIZE = 56;
constexpr uint64_t LONGEST_COMMENT = 65535;
constexpr uint16_t STORE = 0;
constexpr uint16_t DEFLATE = 8;
constexpr uint16_t ENCRYPTED = 1;
constexpr uint64_t DEFLATE_LIMIT = 1040;  // no DEFLATE stream grows by more than 1032 times

struct Directory
{
    uint64_t m_count{};
    uint64_t m_size{};
    uint64_t m_offset{};
};

// The values of a ZIP64 extra field stand in for those that are all ones, in this order.
void ApplyZip64(Bytes extra, uint64_t &size, uint64_t &stored, uint64_t &offset)
{
    while (extra.Left() >= 4)
    {
        const uint16_t id = extra.U16("extra field");
        const uint16_t length = extra.U16("extra field");
        const uint8_t *data = extra.Take(length, "extra field");
        if (id != 1)
            continue;
        Bytes values(data, length);
        for (uint64_t *value : {&size, &stored, &offset})
            if (*value == 0xFFFFFFFFU)
                *value = values.U64("ZIP64 extra field");
    }
}

}  // namespace

bool IsLegacyLayout(const uint8_t *head, size_t size)
{
    return size > 5 && memcmp(head, "PK", 2) != 0 && head[4] == '{' && (head[5] == '"' || head[5] == '\n');
}

std::unique_ptr<Container> Container::Open(const std::string &path)
{
    return In(path,
              [&path]
              {
                  std::unique_ptr<Container> container(new Container(path));
                  container->m_file.reset(VSIFOpenL(path.c_str(), "rb"));
                  if (!container->m_file)
                      Fail("the file cannot be opened");
                  if (VSIFSeekL(container->m_file.get(), 0, SEEK_END) != 0)
                      Fail("the size of the file cannot be found");
                  container->m_fileSize = VSIFTellL(container->m_file.get());
                  container->ReadDirectory();
                  return container;
              });
}

std::vector<uint8_t> Container::Raw(uint64_t offset, uint64_t size, const char *what) const
{
    if (offset > m_fileSize || size > m_fileSize - offset)
        Fail("%s: found it at byte %llu with %llu bytes, expected it inside the file of %llu bytes", what,
             static_cast<Long>(offset), static_cast<Long>(size), static_cast<Long>(m_fileSize));
    std::vector<uint8_t> data(static_cast<size_t>(size));
    std::lock_guard<std::mutex> lock(m_mutex);
    if (size > 0 && (VSIFSeekL(m_file.get(), offset, SEEK_SET) != 0 ||
                     VSIFReadL(data.data(), 1, data.size(), m_file.get()) != data.size()))
        Fail("%s: %llu bytes at byte %llu cannot be read", what, static_cast<Long>(size), static_cast<Long>(offset));
    return data;
}

// What is no ZIP archive may be the layout from before: the length of a JSON header, and the header.
void Container::RefuseLayout() const
{
    const std::vector<uint8_t> head = Raw(0, std::min<uint64_t>(m_fileSize, 16), "beginning");
    if (IsLegacyLayout(head.data(), head.size()))
        Fail("found the single-file layout from before version 0.9, expected a ZIP container; GDAL reads it through a "
             "VRT that gndc-vrt writes");
    Fail("found no end of central directory, expected a complete ZIP archive");
}

void Container::ReadDirectory()
{
    const uint64_t tailSize = std::min(m_fileSize, END_SIZE + LONGEST_COMMENT);
    const uint64_t tailStart = m_fileSize - tailSize;
    // most archives have no comment: a short first read spares remote files the long one
    const uint64_t shortSize = std::min<uint64_t>(m_fileSize, END_SIZE + LOCATOR_SIZE + END64_SIZE);
    Directory directory;
    bool found = false;
    uint64_t endAt = 0;
    for (const uint64_t size : {shortSize, tailSize})
    {
        const uint64_t start = size == shortSize ? m_fileSize - shortSize : tailStart;
        const std::vector<uint8_t> tail = Raw(start, size, "end of the archive");
        for (uint64_t i = size < END_SIZE ? 0 : size - END_SIZE + 1; i-- > 0 && !found;)
        {
            Bytes record(tail.data() + i, tail.size() - i);
            if (record.U32("end record") != END_RECORD)
                continue;
            record.Take(6, "end record");
            directory.m_count = record.U16("end record");
            directory.m_size = record.U32("end record");
            directory.m_offset = record.U32("end record");
            found = record.U16("end record") == record.Left();
            endAt = start + i;
        }
        if (found)
            break;
    }
    if (!found)
        RefuseLayout();

    if ((directory.m_count == 0xFFFF || directory.m_size == 0xFFFFFFFFU || directory.m_offset == 0xFFFFFFFFU) &&
        endAt >= LOCATOR_SIZE)
    {
        const std::vector<uint8_t> locatorData = Raw(endAt - LOCATOR_SIZE, LOCATOR_SIZE, "ZIP64 locator");
        Bytes locator(locatorData.data(), locatorData.size());
        if (locator.U32("ZIP64 locator") == END64_LOCATOR)
        {
            locator.U32("ZIP64 locator");
            const std::vector<uint8_t> endData = Raw(locator.U64("ZIP64 locator"), END64_SIZE, "ZIP64 end record");
            Bytes end(endData.data(), endData.size());
            if (end.U32("ZIP64 end record") != END64_RECORD)
                Fail("found no ZIP64 end record where its locator points, expected one");
            end.Take(28, "ZIP64 end record");
            directory.m_count = end.U64("ZIP64 end record");
            directory.m_size = end.U64("ZIP64 end record");
            directory.m_offset = end.U64("ZIP64 end record");
        }
    }

    m_directoryStart = directory.m_offset;
    const std::vector<uint8_t> data = Raw(directory.m_offset, directory.m_size, "central directory");
    Bytes bytes(data.data(), data.size());
    const char *const what = "central directory";
    for (uint64_t i = 0; i < directory.m_count; ++i)
    {
        if (bytes.U32(what) != CENTRAL_HEADER)
            Fail("central directory: found no header for entry %llu of %llu, expected one", static_cast<Long>(i + 1),
                 static_cast<Long>(directory.m_count));
        Entry entry;
        bytes.Take(4, what);
        entry.m_flags = bytes.U16(what);
        entry.m_method = bytes.U16(what);
        bytes.Take(4, what);
        entry.m_crc = bytes.U32(what);
        entry.m_stored = bytes.U32(what);
        entry.m_size = bytes.U32(what);
        const uint16_t nameLength = bytes.U16(what);
        const uint16_t extraLength = bytes.U16(what);
        const uint16_t commentLength = bytes.U16(what);
        bytes.Take(8, what);
        entry.m_offset = bytes.U32(what);
        const uint8_t *name = bytes.Take(nameLength, what);
        const uint8_t *extra = bytes.Take(extraLength, what);
        bytes.Take(commentLength, what);
        ApplyZip64(Bytes(extra, extraLength), entry.m_size, entry.m_stored, entry.m_offset);
        m_entries[std::string(reinterpret_cast<const char *>(name), nameLength)] = entry;
    }
}

bool Container::Has(const std::string &name) const
{
    return m_entries.count(name) > 0;
}

std::vector<uint8_t> Container::Read(const std::string &name) const
{
    const auto found = m_entries.find(name);
    return In(m_path + ": " + Shown(name),
              [&]
              {
                  if (found == m_entries.end())
                      Fail("no such entry in the container");
                  return ReadEntry(name, found->second);
              });
}

std::vector<uint8_t> Container::ReadEntry(const std::string &name, const Entry &entry) const
{
    if (entry.m_flags & ENCRYPTED)
        Fail("found an encrypted entry, expected a plain one");
    if (entry.m_method != STORE && entry.m_method != DEFLATE)
        Fail("found ZIP method %d, expected 0 (stored) or 8 (deflated)", entry.m_method);
    if (entry.m_offset > m_directoryStart)
        Fail("found its local header at byte %llu, expected it before the central directory at byte %llu",
             static_cast<Long>(entry.m_offset), static_cast<Long>(m_directoryStart));
    // header and data in one read, which is one request where the file is remote
    const uint64_t room = m_directoryStart - entry.m_offset;
    const uint64_t guess = LOCAL_SIZE + name.size();
    const bool fits = entry.m_stored <= room && guess <= room - entry.m_stored;
    std::vector<uint8_t> data = Raw(entry.m_offset, fits ? guess + entry.m_stored : std::min(room, guess), "local header");
    Bytes local(data.data(), data.size());
    if (local.U32("local header") != LOCAL_HEADER)
        Fail("found no local header at byte %llu, expected one", static_cast<Long>(entry.m_offset));
    local.Take(22, "local header");
    const uint64_t nameLength = local.U16("local header");
    const uint64_t extraLength = local.U16("local header");
    const uint64_t before = LOCAL_SIZE + nameLength + extraLength;
    const uint64_t start = entry.m_offset + before;
    if (start > m_directoryStart || entry.m_stored > m_directoryStart - start)
        Fail("found %llu bytes declared, expected at most the %llu that the file holds there",
             static_cast<Long>(entry.m_stored),
             static_cast<Long>(start > m_directoryStart ? 0 : m_directoryStart - start));
    if (nameLength != name.size() || memcmp(local.Take(nameLength, "local header"), name.data(), name.size()) != 0)
        Fail("found the local header of another entry, expected its own");
    if (entry.m_method == STORE ? entry.m_size != entry.m_stored : entry.m_size / DEFLATE_LIMIT > entry.m_stored)
        Fail("found %llu bytes declared for %llu stored ones, expected a possible number",
             static_cast<Long>(entry.m_size), static_cast<Long>(entry.m_stored));

    if (before == guess && fits)
        data.erase(data.begin(), data.begin() + static_cast<ptrdiff_t>(before));
    else  // an extra field lies between
        data = Raw(start, entry.m_stored, "data");
    if (entry.m_method == DEFLATE)
        data = Inflate(data, static_cast<size_t>(entry.m_size), entry.m_crc);
    else if (Crc32(data.data(), data.size()) != entry.m_crc)
        Fail("found a wrong checksum, expected %08x: the file is damaged", entry.m_crc);
    return data;
}

}  // namespace gndc_driver
