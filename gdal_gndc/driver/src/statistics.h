// Statistics of the bands from the container's metrics.json, where the encoder left them.
#pragma once

#include "dataset.h"

namespace gndc_driver
{

/** Sets STATISTICS_* of the bands. They are those of the whole cube, and said to be approximate. A sidecar that is absent
 *  or not understood is passed over: no pixel depends on it. */
void SetStatistics(GDALDataset &dataset, const View &view);

}  // namespace gndc_driver
