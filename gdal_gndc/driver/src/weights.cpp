#include "weights.h"

#include <cmath>
#include <string>
#include <vector>

#include "codec.h"
#include "failure.h"

namespace gndc_driver
{

namespace
{

using Long = long long;

struct Mode
{
    const char *m_name;
    gndc_type m_grid;
    gndc_type m_decoder;
    bool m_perTensor;  // a scale and a size for each component
};

constexpr Mode MODES[] = {
    {"float16", GNDC_FLOAT16, GNDC_FLOAT16, false},
    {"int8_per_tensor_f16dec", GNDC_INT8, GNDC_FLOAT16, true},
    {"int16_per_tensor_f16dec", GNDC_INT16, GNDC_FLOAT16, true},
    {"int8_per_tensor", GNDC_INT8, GNDC_INT8, true},
    {"int16_per_tensor", GNDC_INT16, GNDC_INT16, true},
    {"int8", GNDC_INT8, GNDC_INT8, false},
    {"int16", GNDC_INT16, GNDC_INT16, false},
};

const Mode &ModeOf(const Json &info)
{
    const std::string name = info.String("mode");
    std::string known;
    for (const Mode &mode : MODES)
    {
        if (name == mode.m_name)
            return mode;
        known += (known.empty() ? "" : ", ") + std::string(mode.m_name);
    }
    info.Wrong("mode", "one of " + known);
}

std::string ListText(const std::vector<int64_t> &values)
{
    std::string text = "[";
    for (const int64_t value : values)
        text += (text.size() > 1 ? ", " : "") + std::to_string(value);
    return Shown(text + "]");
}

std::vector<float> ReadScales(const Json &info, const Mode &mode)
{
    std::vector<double> numbers;
    const char *const key = mode.m_perTensor ? "scales" : "scale";
    if (mode.m_perTensor)
        numbers = info.Numbers(key);
    else if (mode.m_grid != GNDC_FLOAT16)
        numbers.push_back(info.Number(key));
    std::vector<float> scales;
    for (const double number : numbers)
    {
        // compared in float32, where the division is made: 1e-50 is zero there
        const bool fits = std::fabs(number) <= static_cast<double>(std::numeric_limits<float>::max());
        if (!fits || static_cast<float>(number) == 0.0F)
            Fail("%s holds %.17g, expected a nonzero float32 number", info.Name(key).c_str(), number);
        scales.push_back(static_cast<float>(number));
    }
    return scales;
}

void CheckSizes(const Json &info, const Mode &mode, const std::vector<int64_t> &counts)
{
    const bool floatDecoder = mode.m_decoder == GNDC_FLOAT16;
    const std::vector<int64_t> grids(counts.begin(), counts.end() - 1);
    const std::vector<int64_t> &expected = floatDecoder ? grids : counts;
    if (mode.m_perTensor || info.Has("sizes"))
    {
        const std::vector<int64_t> sizes = info.Integers("sizes", 0);
        // modes without a scale per tensor need no sizes; if they are there they must be right
        if (sizes != expected && (mode.m_perTensor || (sizes != counts && sizes != grids)))
            Fail("%s is %s, but model_config needs %s", info.Name("sizes").c_str(), ListText(sizes).c_str(),
                 ListText(expected).c_str());
    }
    if ((mode.m_perTensor && floatDecoder) || info.Has("decoder_size"))
    {
        const int64_t size = info.Integer("decoder_size", 0);
        if (size != counts.back())
            Fail("%s is %lld, but model_config needs %lld", info.Name("decoder_size").c_str(), static_cast<Long>(size),
                 static_cast<Long>(counts.back()));
    }
}

}  // namespace

gndc_config ReadConfig(const Json &header, int64_t bands)
{
    const Json model = header.Child("model_config");
    if (model.Boolean("enable_deformation", false))
        Fail("%s: deformation networks are not supported", model.Name("enable_deformation").c_str());
    if (model.Has("temporal_mode") && model.String("temporal_mode") != "hash3d")
        Fail("%s \"%s\" is not supported, expected \"hash3d\"", model.Name("temporal_mode").c_str(),
             Shown(model.String("temporal_mode")).c_str());
    const int64_t dims = model.Integer("spatial_dims", 1, Json::HIGHEST, header.Integer("spatial_dims", 1, Json::HIGHEST, 2));
    if (dims != 2)
        Fail("spatial_dims %lld is not supported, expected 2", static_cast<Long>(dims));

    gndc_config config = {};
    config.disable_temporal = model.Boolean("disable_temporal", false) ? 1 : 0;
    // a model without a temporal grid says nothing by its t_* keys; zeros are common there
    const int64_t leastT = config.disable_temporal ? 0 : 1;
    const auto count = [&model](const char *key, int64_t otherwise, int64_t least = 1)
    { return model.Integer(key, least, Json::HIGHEST, otherwise); };
    const auto scale = [&model](const char *key, double otherwise, bool zero)
    {
        const double value = model.Number(key, otherwise);
        if (value < 0.0 || (value == 0.0 && !zero))
            model.Wrong(key, "a positive number");
        return value;
    };
    config.n_bands = count("n_bands", 1);
    config.xy_hash_size = count("xy_hash_size", 19);
    config.xy_base_resolution = count("xy_base_resolution", 512);
    config.xy_n_levels = count("xy_n_levels", 9);
    config.xy_per_level_scale = scale("xy_per_level_scale", 1.43, false);
    config.xy_features_per_level = count("xy_features_per_level", 4);
    config.t_hash_size = count("t_hash_size", 21, leastT);
    config.t_base_resolution = count("t_base_resolution", 16, leastT);
    config.t_n_levels = count("t_n_levels", 9, leastT);
    config.t_per_level_scale = scale("t_per_level_scale", 1.43, leastT == 0);
    config.t_features_per_level = count("t_features_per_level", 4, leastT);
    config.spatial_scale = scale("spatial_scale", 1.0, true);
    config.decoder_hidden = count("decoder_hidden", 128);
    config.n_hidden_layers = count("n_hidden_layers", 6);
    config.block_rows = 1;
    config.block_cols = 1;
    if (model.Has("block_size"))
    {
        const std::vector<int64_t> block = model.Integers("block_size", 1);
        if (block.size() != 2)
            Fail("%s has %zu entries, expected rows and columns", model.Name("block_size").c_str(), block.size());
        config.block_rows = block[0];
        config.block_cols = block[1];
    }
    if (config.n_bands != bands)
        Fail("model_config.n_bands is %lld, but the cube has %lld bands", static_cast<Long>(config.n_bands),
             static_cast<Long>(bands));
    return config;
}

FieldPtr ReadField(const Json &header, const gndc_config &config, const Bytes &section)
{
    char message[GNDC_MESSAGE] = {};
    gndc_layout layout = {};
    if (gndc_layout_of(&config, &layout, message) != GNDC_OK)
        Fail("%s", message);
    const Json info = header.Child("quantization_info");
    const Mode &mode = ModeOf(info);
    std::vector<int64_t> counts{layout.spatial_count};
    if (!config.disable_temporal)
        counts.push_back(layout.temporal_count);
    counts.push_back(layout.decoder_count);
    const std::vector<float> scales = ReadScales(info, mode);
    CheckSizes(info, mode, counts);
    const size_t scaled = counts.size() - (mode.m_decoder == GNDC_FLOAT16 ? 1 : 0);
    if (mode.m_perTensor && scales.size() != scaled)
        Fail("%s has %zu entries, expected %zu", info.Name("scales").c_str(), scales.size(), scaled);

    size_t total = 0;
    std::vector<gndc_tensor> tensors;
    for (size_t i = 0; i < counts.size(); ++i)
    {
        gndc_tensor tensor = {};
        tensor.count = counts[i];
        tensor.type = i + 1 == counts.size() ? mode.m_decoder : mode.m_grid;
        tensor.scale = tensor.type == GNDC_FLOAT16 ? 1.0F : mode.m_perTensor ? scales[i] : scales[0];
        tensors.push_back(tensor);
        total += static_cast<size_t>(counts[i]) * (tensor.type == GNDC_INT8 ? 1 : 2);
    }
    const std::string what = "weights (" + std::string(mode.m_name) + ")";
    const std::vector<uint8_t> payload = Decompress("zstd", section.Data(), section.Size(), total, what.c_str());
    const uint8_t *at = payload.data();
    for (gndc_tensor &tensor : tensors)
    {
        tensor.data = at;
        at += tensor.count * (tensor.type == GNDC_INT8 ? 1 : 2);
    }
    int status = GNDC_OK;
    FieldPtr field(gndc_field_new(&config, tensors.data(), static_cast<int>(tensors.size()), &status, message));
    if (!field)
        Fail("%s: %s", what.c_str(), message);
    return field;
}

}  // namespace gndc_driver
