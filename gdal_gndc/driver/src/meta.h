// meta.json: shape, bands, georeference and times of a cube (specification 4).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gndc_driver
{

struct Band
{
    std::string m_name{};
    std::string m_description{};
    std::string m_unit{};
    std::string m_commonName{};
    std::optional<double> m_wavelength{};  // of the centre, nm
};

struct Sensor
{
    int64_t m_id{};
    std::string m_name{};
    std::string m_platform{};
    std::string m_instrument{};
    std::vector<bool> m_observes{};  // one a band of the cube
};

struct Meta
{
    // an absent time or band axis counts as 1
    int64_t m_frames{};
    int64_t m_height{};
    int64_t m_width{};
    std::vector<Band> m_bands{};
    std::optional<double> m_missingFill{};
    bool m_useLog{};
    std::string m_crs{};
    bool m_hasTransform{};
    bool m_anchorCenter{};                  // the file gives the centre of a pixel
    std::array<double, 6> m_stored{};       // a..f for the file's reference point
    std::array<double, 6> m_transform{};    // a..f for upper-left corners of pixels
    std::vector<int64_t> m_times{};         // microseconds since 1970, one a frame; empty for one frame without a date
    std::optional<int64_t> m_start{};       // what normalises times where a chunk does not say
    std::optional<int64_t> m_end{};
    std::vector<Sensor> m_sensors{};
    std::vector<int64_t> m_frameSensors{};  // index into m_sensors per frame; empty for cubes of one sensor

    /** Reads the entry; throws Failure where it describes no cube that can be read. */
    static Meta Parse(const std::vector<uint8_t> &data);
};

}  // namespace gndc_driver
