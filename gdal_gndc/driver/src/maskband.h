// The mask of a dataset: 255 where any band has data, 0 elsewhere.
#pragma once

#include "dataset.h"

namespace gndc_driver
{

class MaskBand final : public GDALRasterBand
{
  public:
    explicit MaskBand(Dataset &dataset);

  protected:
    CPLErr IReadBlock(int blockX, int blockY, void *image) override;
    CPLErr IRasterIO(GDALRWFlag flag, int xOff, int yOff, int xSize, int ySize, void *data, int bufXSize, int bufYSize,
                     GDALDataType bufType, GSpacing pixelSpace, GSpacing lineSpace,
                     GDALRasterIOExtraArg *extra) override;

  private:
    Dataset &m_dataset;
};

}  // namespace gndc_driver
