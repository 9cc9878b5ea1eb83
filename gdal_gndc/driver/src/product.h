// Rasters made of several bands: the spectral indices that the Python package knows, value for value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cube.h"

namespace gndc_driver
{

class Product final
{
  public:
    /** The index called `name` (ndvi, evi, ndwi, ndmi, in any case) of a cube whose description tells which bands it
     *  takes: by common name, centre wavelength, or a usual band name. Throws Failure. */
    static Product Find(const Cube &cube, const std::string &name);

    const std::string &Name() const
    {
        return m_name;
    }

    const std::string &LongName() const
    {
        return m_longName;
    }

    /** The bands it takes, 0-based. */
    const std::vector<int32_t> &Bands() const
    {
        return m_bands;
    }

    /** The index of the values of its bands, `stride` floats apart; NaN where a value is, or where it is not finite. */
    float Of(const float *values, int64_t stride) const;

  private:
    std::string m_name{};
    std::string m_longName{};
    std::vector<int32_t> m_bands{};
    std::vector<float> m_numerator{};
    std::vector<float> m_denominator{};
    float m_offset{};
    float m_gain{};
};

}  // namespace gndc_driver
