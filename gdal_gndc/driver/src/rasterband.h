// One band of a dataset.
#pragma once

#include "dataset.h"

namespace gndc_driver
{

class RasterBand final : public GDALPamRasterBand
{
  public:
    /** @param number from 1; its description, unit and metadata come from the dataset's view */
    RasterBand(Dataset &dataset, int number);

    double GetNoDataValue(int *success) override;
    const char *GetUnitType() override;
    GDALColorInterp GetColorInterpretation() override;
    int GetMaskFlags() override;
    GDALRasterBand *GetMaskBand() override;
    int GetOverviewCount() override;
    GDALRasterBand *GetOverview(int index) override;

  protected:
    CPLErr IReadBlock(int blockX, int blockY, void *image) override;
    CPLErr IRasterIO(GDALRWFlag flag, int xOff, int yOff, int xSize, int ySize, void *data, int bufXSize, int bufYSize,
                     GDALDataType bufType, GSpacing pixelSpace, GSpacing lineSpace,
                     GDALRasterIOExtraArg *extra) override;

  private:
    void Describe(const Band &band);

    Dataset &m_dataset;
    std::string m_unit{};
    GDALColorInterp m_colour{GCI_Undefined};
};

}  // namespace gndc_driver
