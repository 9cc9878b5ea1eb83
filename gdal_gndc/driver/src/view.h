// What a dataset shows of a cube: which moment and which band or product each of its bands is.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cube.h"
#include "derivative.h"
#include "product.h"

namespace gndc_driver
{

class View final
{
  public:
    /** Some bands (0-based) at one moment. */
    static View OfMoment(const std::shared_ptr<Cube> &cube, const Moment &moment, const std::vector<int32_t> &bands);
    /** One band at many moments. */
    static View OfBand(const std::shared_ptr<Cube> &cube, int32_t band, const std::vector<Moment> &moments);
    /** A product at one moment, or at many, which are the bands then. */
    static View OfProduct(const std::shared_ptr<Cube> &cube, const Product &product, const std::vector<Moment> &moments,
                          bool isSeries);

    /** The derivative of every band instead of the band. */
    View Derived(const Derivative &derivative) const;

    const std::shared_ptr<Cube> &GetCube() const
    {
        return m_cube;
    }

    bool IsSeries() const
    {
        return m_isSeries;
    }

    int PlaneCount() const
    {
        return static_cast<int>(m_isSeries ? m_moments.size() : m_product ? 1 : m_bands.size());
    }

    const Moment &MomentOf(int plane) const
    {
        return m_moments[m_isSeries ? static_cast<size_t>(plane) : 0];
    }

    /** Which band of the cube a plane is; null for a product. */
    const Band *BandOf(int plane) const;
    /** Index of that band, or -1. */
    int32_t BandIndexOf(int plane) const;

    const std::optional<Product> &GetProduct() const
    {
        return m_product;
    }

    /** What stands where no chunk is. */
    float Fill() const;

    const std::optional<Derivative> &GetDerivative() const
    {
        return m_derivative;
    }

    /** Values of some planes at every crossing of rows and cols, ascending pixel coordinates of the cube. Throws
     *  Failure. */
    void Read(const std::vector<double> &rows, const std::vector<double> &cols, const std::vector<int> &planes,
              const Target &target, const Reading &reading) const;

  private:
    View() = default;

    void ReadBands(const Moment &moment, const std::vector<double> &rows, const std::vector<double> &cols,
                   const std::vector<int32_t> &bands, const Target &target, const Reading &reading) const;
    void ReadPlane(const Moment &moment, const std::vector<double> &rows, const std::vector<double> &cols,
                   const Target &target, const Reading &reading) const;
    void ReadPoint(double row, double col, const std::vector<Moment> &moments, float *out, int64_t stride,
                   const Reading &reading) const;

    std::shared_ptr<Cube> m_cube{};
    bool m_isSeries{};
    std::vector<Moment> m_moments{};
    std::vector<int32_t> m_bands{};  // of a product: those it takes
    std::optional<Product> m_product{};
    std::optional<Derivative> m_derivative{};
};

/** Index of the band that a connection string names, by name or by its number from 1. Throws Failure. */
int32_t FindBand(const Cube &cube, const std::string &name);

/** Indices of bands named in a list, separated by commas; all of them for an empty one. Throws Failure. */
std::vector<int32_t> FindBands(const Cube &cube, const std::string &names);

}  // namespace gndc_driver
