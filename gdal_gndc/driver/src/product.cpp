#include "product.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "cpl_string.h"
#include "failure.h"

namespace gndc_driver
{

namespace
{

// gain * sum(numerator * bands) / (sum(denominator * bands) + offset)
struct Formula
{
    const char *m_name;
    const char *m_longName;
    std::vector<const char *> m_roles;
    std::vector<float> m_numerator;
    std::vector<float> m_denominator;
    float m_offset;
    float m_gain;
};

const std::vector<Formula> &Formulas()
{
    static const std::vector<Formula> formulas{
        // Rouse et al. 1974
        {"ndvi", "normalized difference vegetation index", {"red", "nir"}, {-1, 1}, {1, 1}, 0, 1},
        // Huete et al. 2002, the coefficients for MODIS
        {"evi", "enhanced vegetation index", {"red", "nir", "blue"}, {-1, 1, 0}, {6, 1, -7.5F}, 1, 2.5F},
        // McFeeters 1996
        {"ndwi", "normalized difference water index", {"green", "nir"}, {1, -1}, {1, 1}, 0, 1},
        // Gao 1996
        {"ndmi", "normalized difference moisture index", {"nir", "swir16"}, {1, -1}, {1, 1}, 0, 1},
    };
    return formulas;
}

// What tells a band's role: common names and wavelengths (nm) of STAC's electro-optical extension, and usual names.
struct Role
{
    const char *m_name;
    std::vector<const char *> m_common;
    double m_low;
    double m_high;
    std::vector<const char *> m_usual;
    const char *m_sentinel2;
};

const std::vector<Role> &Roles()
{
    static const std::vector<Role> roles{
        {"blue", {"blue"}, 450, 530, {"sur_refl_b03", "nadir_reflectance_band3"}, "b02"},
        {"green", {"green"}, 510, 600, {"sur_refl_b04", "nadir_reflectance_band4"}, "b03"},
        {"red", {"red"}, 600, 690, {"sur_refl_b01", "nadir_reflectance_band1"}, "b04"},
        {"nir", {"nir", "nir08"}, 760, 1000, {"sur_refl_b02", "nadir_reflectance_band2"}, "b08"},
        {"swir16", {"swir16"}, 1550, 1750, {"sur_refl_b06", "nadir_reflectance_band6"}, "b11"},
    };
    return roles;
}

int32_t IndexOf(const std::vector<std::string> &names, const std::string &wanted)
{
    const auto found = std::find(names.begin(), names.end(), wanted);
    return found == names.end() ? -1 : static_cast<int32_t>(found - names.begin());
}

int32_t ByWavelength(const std::vector<Band> &bands, const Role &role)
{
    int32_t best = -1;
    double least = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < bands.size(); ++i)
    {
        const double wavelength = bands[i].m_wavelength.value_or(0.0);
        const double away = std::fabs(wavelength - (role.m_low + role.m_high) / 2);
        if (wavelength >= role.m_low && wavelength <= role.m_high && away < least)
        {
            best = static_cast<int32_t>(i);
            least = away;
        }
    }
    return best;
}

int32_t FindRole(const std::vector<Band> &bands, const Role &role)
{
    std::vector<std::string> common;
    std::vector<std::string> names;
    for (const Band &band : bands)
    {
        common.push_back(CPLString(band.m_commonName).tolower());
        names.push_back(CPLString(band.m_name).tolower());
    }
    for (const char *name : role.m_common)
        if (const int32_t found = IndexOf(common, name); found >= 0)
            return found;
    if (const int32_t found = ByWavelength(bands, role); found >= 0)
        return found;
    std::vector<const char *> usual = role.m_common;
    usual.push_back(role.m_name);
    usual.insert(usual.end(), role.m_usual.begin(), role.m_usual.end());
    // B8 of another sensor is something else; B08 and B8A are Sentinel-2's alone
    if (IndexOf(names, "b08") >= 0 || IndexOf(names, "b8a") >= 0)
        usual.push_back(role.m_sentinel2);
    for (const char *name : usual)
        if (const int32_t found = IndexOf(names, name); found >= 0)
            return found;
    return -1;
}

}  // namespace

Product Product::Find(const Cube &cube, const std::string &name)
{
    std::string known;
    for (const Formula &formula : Formulas())
    {
        known += (known.empty() ? "" : ", ") + std::string(formula.m_name);
        if (!EQUAL(formula.m_name, name.c_str()))
            continue;
        Product product;
        product.m_name = formula.m_name;
        product.m_longName = formula.m_longName;
        product.m_numerator = formula.m_numerator;
        product.m_denominator = formula.m_denominator;
        product.m_offset = formula.m_offset;
        product.m_gain = formula.m_gain;
        for (const char *wanted : formula.m_roles)
        {
            const auto role = std::find_if(Roles().begin(), Roles().end(),
                                           [wanted](const Role &candidate) { return EQUAL(candidate.m_name, wanted); });
            const int32_t band = FindRole(cube.GetMeta().m_bands, *role);
            if (band < 0)
                Fail("%s: product=%s needs a %s band, and no band of the cube is known to be one", cube.Path().c_str(),
                     formula.m_name, wanted);
            product.m_bands.push_back(band);
        }
        return product;
    }
    Fail("%s: found product=%s, expected one of %s", cube.Path().c_str(), Shown(name).c_str(), known.c_str());
}

// Each operation is one of float32, in the order in which the Python package makes them.
float Product::Of(const float *values, int64_t stride) const
{
    float top = values[0] * m_numerator[0];
    float bottom = values[0] * m_denominator[0];
    for (size_t i = 1; i < m_bands.size(); ++i)
    {
        const float value = values[static_cast<int64_t>(i) * stride];
        top = top + value * m_numerator[i];
        bottom = bottom + value * m_denominator[i];
    }
    top = top * m_gain;
    bottom = bottom + m_offset;
    const float quotient = bottom != 0.0F ? top / bottom : std::numeric_limits<float>::quiet_NaN();
    return std::isfinite(quotient) ? quotient : std::numeric_limits<float>::quiet_NaN();
}

}  // namespace gndc_driver
