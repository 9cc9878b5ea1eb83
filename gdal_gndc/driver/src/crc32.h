// CRC-32 as ZIP uses it (reflected polynomial 0xEDB88320).
#pragma once

#include <cstddef>
#include <cstdint>

namespace gndc_driver
{

uint32_t Crc32(const void *data, size_t size);

}  // namespace gndc_driver
