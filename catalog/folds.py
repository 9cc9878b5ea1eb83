"""spatial_block_folds: cross-validation whose test ground lies apart from its training ground."""

from __future__ import annotations

import numpy as np
import shapely

from gdal_gndc.catalog.duck import AnyCatalog
from gdal_gndc.catalog.geocatalog import GeoCatalog
from gdal_gndc.errors import CoordinateError


def spatial_block_folds(
    catalog: AnyCatalog, block: float, folds: int = 5, *, buffer: float = 0.0, seed: int = 0
) -> list[tuple[GeoCatalog, GeoCatalog]]:
    """Folds of whole blocks of ground.

    Rows belong to the square block of side ``block`` (units of the catalog's CRS) that holds the middle of
    their footprint. Blocks are shuffled and dealt to the folds so that these have about as many rows each.

    Parameters
    ----------
    buffer
        Training rows whose footprint comes nearer than this to any test footprint are left out.

    Returns
    -------
    list of (train, test)
        One pair a fold. Every row is in exactly one test set.

    Raises
    ------
    CoordinateError
        For fewer blocks than folds.
    """
    if folds < 2 or block <= 0 or buffer < 0:
        raise CoordinateError(
            f"block={block}, folds={folds}, buffer={buffer}: expected positive sizes and two folds or more"
        )
    catalog = catalog.collect()
    geometry = np.asarray(catalog.gdf.geometry.array, dtype=object)
    box = np.asarray(shapely.bounds(geometry)).reshape(-1, 4)
    middle = (box[:, :2] + box[:, 2:]) / 2
    cells, which = np.unique(np.floor(middle / block).astype(np.int64), axis=0, return_inverse=True)
    if len(cells) < folds:
        raise CoordinateError(f"the rows lie in {len(cells)} blocks of {block}: too few for {folds} folds")
    which = which.reshape(-1)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(cells))
    # The largest blocks first, always to the fold that is smallest so far, keeps the folds even.
    counts = np.bincount(which)
    order = shuffled[np.argsort(-counts[shuffled], kind="stable")]
    filled = np.zeros(folds, dtype=np.int64)
    fold_of = np.empty(len(cells), dtype=np.int64)
    for cell in order.tolist():
        fold = int(np.argmin(filled))
        fold_of[cell] = fold
        filled[fold] += counts[cell]
    mine = fold_of[which]
    return [_split(catalog, geometry, mine == fold, buffer) for fold in range(folds)]


def _split(catalog: GeoCatalog, geometry: np.ndarray, test: np.ndarray, buffer: float) -> tuple[GeoCatalog, GeoCatalog]:
    train = ~test
    if buffer > 0:
        tree = shapely.STRtree(geometry[test])
        rows = np.flatnonzero(train)
        near = np.unique(tree.query(geometry[rows], predicate="dwithin", distance=buffer)[0])
        train[rows[near]] = False
    return catalog.take(np.flatnonzero(train)), catalog.take(np.flatnonzero(test))
