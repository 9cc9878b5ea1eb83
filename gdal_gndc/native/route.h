#ifndef GNDC_ROUTE_H
#define GNDC_ROUTE_H

namespace gndc {

// Weight of a chunk at position x of one axis: 1 inside its core [c0, c1), falling to 0 at the ends of its stored
// extent [s0, s1), never below 1e-6 (DECODING.md 11).
double feather(double x, double c0, double c1, double s0, double s1);

}  // namespace gndc
#endif
