#include "crc32.h"

#include <array>

namespace gndc_driver
{

namespace
{

constexpr int SLICES = 8;
using Tables = std::array<std::array<uint32_t, 256>, SLICES>;

constexpr Tables MakeTables()
{
    Tables tables{};
    for (uint32_t i = 0; i < 256; ++i)
    {
        uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit)
            value = (value >> 1) ^ ((value & 1U) ? 0xEDB88320U : 0U);
        tables[0][i] = value;
    }
    for (uint32_t i = 0; i < 256; ++i)
        for (size_t slice = 1; slice < SLICES; ++slice)
            tables[slice][i] = (tables[slice - 1][i] >> 8) ^ tables[0][tables[slice - 1][i] & 0xFFU];
    return tables;
}

constexpr Tables TABLES = MakeTables();

}  // namespace

// Slicing by eight (M. E. Kounavis, F. L. Berry, 2005): eight table look-ups for eight bytes, no chain between them.
uint32_t Crc32(const void *data, size_t size)
{
    const uint8_t *p = static_cast<const uint8_t *>(data);
    uint32_t crc = 0xFFFFFFFFU;
    for (; size >= 8; size -= 8, p += 8)
    {
        crc ^= p[0] | (uint32_t{p[1]} << 8) | (uint32_t{p[2]} << 16) | (uint32_t{p[3]} << 24);
        crc = TABLES[7][crc & 0xFFU] ^ TABLES[6][(crc >> 8) & 0xFFU] ^ TABLES[5][(crc >> 16) & 0xFFU] ^
              TABLES[4][crc >> 24] ^ TABLES[3][p[4]] ^ TABLES[2][p[5]] ^ TABLES[1][p[6]] ^ TABLES[0][p[7]];
    }
    for (; size > 0; --size, ++p)
        crc = (crc >> 8) ^ TABLES[0][(crc ^ *p) & 0xFFU];
    return crc ^ 0xFFFFFFFFU;
}

}  // namespace gndc_driver
