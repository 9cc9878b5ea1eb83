// Exact derivatives of bands by place and time: those of the Python package, bit for bit.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cube.h"
#include "ogr_spatialref.h"

namespace gndc_driver
{

enum class Axis
{
    X,     // per unit of the reference system, per pixel column without one
    Y,     // likewise; y grows upwards
    TIME,  // per day
};

class Derivative final
{
  public:
    /** dx, dy or dt in any case; anything else is none. */
    static std::optional<Derivative> Find(const std::string &name);

    /** In lower case. */
    const std::string &Name() const
    {
        return m_name;
    }

    /** What a band's unit becomes. */
    std::string UnitOf(const std::string &unit, const OGRSpatialReference *srs) const;

    /** Values at every crossing of rows and cols, as Cube::ReadGrid. Residuals take no part. Throws Failure. */
    void Read(Cube &cube, const Moment &moment, const std::vector<double> &rows, const std::vector<double> &cols,
              const std::vector<int32_t> &bands, const Target &target, const Reading &reading) const;

  private:
    Derivative(const std::string &name, Axis axis) : m_name(name), m_axis(axis)
    {
    }

    std::string m_name{};
    Axis m_axis{};
};

}  // namespace gndc_driver
