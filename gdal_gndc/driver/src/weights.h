// The weights of a chunk: compressed bytes to a field (specification 6.2).
#pragma once

#include <memory>

#include "bytes.h"
#include "gndc_core.h"
#include "json.h"

namespace gndc_driver
{

struct FieldDeleter
{
    void operator()(gndc_field *field) const
    {
        gndc_field_free(field);
    }
};

using FieldPtr = std::unique_ptr<gndc_field, FieldDeleter>;

/** Reads "model_config" of a chunk's header; variants that are not supported throw a Failure. */
gndc_config ReadConfig(const Json &header, int64_t bands);

/** Unpacks the weight section into a field. Nothing is allocated before sizes and configuration agree. Throws Failure. */
FieldPtr ReadField(const Json &header, const gndc_config &config, const Bytes &section);

}  // namespace gndc_driver
