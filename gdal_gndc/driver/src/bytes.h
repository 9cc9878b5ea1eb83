// Little-endian numbers out of a bounded run of bytes.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

#include "failure.h"

namespace gndc_driver
{

/** Reads one after the other; every step beyond the end throws a Failure that names what was being read. */
class Bytes final
{
  public:
    Bytes(const uint8_t *data, size_t size) : m_data(data), m_size(size)
    {
    }

    const uint8_t *Take(uint64_t count, const char *what)
    {
        if (count > Left())
            Fail("%s: it needs %llu bytes, but %llu are left", what, static_cast<unsigned long long>(count),
                 static_cast<unsigned long long>(Left()));
        const uint8_t *taken = m_data + m_at;
        m_at += static_cast<size_t>(count);
        return taken;
    }

    uint16_t U16(const char *what)
    {
        const uint8_t *p = Take(2, what);
        return static_cast<uint16_t>(p[0] | (p[1] << 8));
    }

    uint32_t U32(const char *what)
    {
        const uint8_t *p = Take(4, what);
        return p[0] | (uint32_t{p[1]} << 8) | (uint32_t{p[2]} << 16) | (uint32_t{p[3]} << 24);
    }

    uint64_t U64(const char *what)
    {
        const uint64_t low = U32(what);
        return low | (uint64_t{U32(what)} << 32);
    }

    float F32(const char *what)
    {
        const uint32_t bits = U32(what);
        float value = 0;
        std::memcpy(&value, &bits, sizeof(value));
        return value;
    }

    /** A part that is preceded by its length in 32 bits. */
    Bytes Part(const char *what)
    {
        const uint32_t size = U32(what);
        const uint8_t *data = Take(size, what);
        return Bytes(data, size);
    }

    const uint8_t *Data() const
    {
        return m_data;
    }

    size_t Size() const
    {
        return m_size;
    }

    uint64_t Left() const
    {
        return m_size - m_at;
    }

    size_t At() const
    {
        return m_at;
    }

  private:
    const uint8_t *m_data;
    size_t m_size;
    size_t m_at = 0;
};

}  // namespace gndc_driver
