#pragma once

#include <cstddef>
#include <vector>

#include "bench/ceilings.h"
#include "core/model.h"

/*
 * The least work of an operation, and how fast this machine could do it. These formulas stand only here.
 *
 * A layer of n sources, m targets and N links in blocks of h sources by one target, rows of `stride` floats
 * (the batch, padded), I bytes per index (2, or 4 from 65,537 neurons on). With K = N / h blocks:
 *
 *                    flops                 random rows                bytes in order
 *   forward, h = 1   2 N batch             K of stride 4 bytes (x)    K (I + 4) + m stride 4 (z)
 *   forward, h > 1   2 N batch             K of stride 4 bytes (z)    K (I + 4 h) + n stride 4 (x)
 *   backward         2 N batch (dw)        K of stride 4 bytes (dz)   K (I + 8 h) + n stride 4 (x,
 *                    + 2 N batch (dx)                                 and dx in its place)
 *                    + 6 N (update)
 *   dense forward    2 n m batch           none                       4 n m + (n + m) stride 4
 *   dense backward   4 n m batch + 6 n m   none                       8 n m + (n + m) stride 4
 *   sddmm, C cells   2 C stride            2 C of stride 4 bytes      16 C (cells, sums)
 *   update           6 N                   none                       12 N
 *   gather           none                  none                       8 n batch
 *   loss             none                  none                       8 m stride (z and its gradient)
 *   epoch order      none                  none                       12 per sample (draw and number)
 *   evolution,       none                  none                       K (2 I + 4 + 10 h): weights, velocity,
 *   initialisation                                                    births, and indices both ways
 *
 * Evolution and initialisation have no limit here: draws and selection take their time, not bytes.
 * A byte counts once, whether it is read, written or both: a written byte is loaded first, and is stored
 * while later ones are read. Weights are counted as if they were visited in order both forward and backward,
 * and rows as if x and dx, or z, stayed in registers: no algorithm that visits each link once in each
 * direction does less. The first layer has dw but no dx.
 *
 * Limits of one operation on T threads, each with 1 / T of the work:
 *   fma      flops / peak
 *   l1       (row bytes + bytes in order) / read bandwidth of L1
 *   rows     rows x time of such a row out of such a matrix, measured for just these sizes (Machine::row_ns);
 *            nothing where the matrix fits L1
 *   stream   bytes in order / read bandwidth over a buffer as large as all the data, measured
 *   barrier  barriers x their cost: one per layer and direction, but one direction only for the last layer
 * Rows and stream both load lines into L1, so their times add up; the rest overlaps:
 *   limit = max(fma, l1, rows + stream) + barrier
 * A network's limit is the sum over its layers, and it is named after the term that takes most of that sum.
 */
namespace set_native::bench {

/** The sizes of a layer that the formulas need. */
struct LayerShape {
  size_t inputs, outputs;
  double links;
  size_t height;  // h
  bool dense;

  double blocks() const { return links / static_cast<double>(height); }
  double index_bytes() const { return inputs > 65536 || outputs > 65536 ? 4.0 : 2.0; }
};

LayerShape shape_of(const Layer& layer);

/** One operation on one layer. */
struct Work {
  double flops = 0.0;
  double rows = 0.0;  // random rows, below them the bytes of each and the rows of their matrix
  size_t row_bytes = 0, matrix_rows = 0;
  double streamed = 0.0;   // bytes in order
  double footprint = 0.0;  // bytes of all the data
  double barriers = 0.0;

  /** Returns the bytes of rows and stream, for GB/s. */
  double bytes() const { return rows * static_cast<double>(row_bytes) + streamed; }
};

Work forward_work(const LayerShape& shape, size_t batch, size_t stride);
Work backward_work(const LayerShape& shape, size_t batch, size_t stride, bool with_dx);
Work update_work(double parameters);
Work gather_work(size_t features, size_t batch);
Work loss_work(size_t outputs, size_t stride);
Work order_work(size_t samples);
/** Returns the work of an SDDMM at `cells` random cells of a layer of so many sources and targets. */
Work sddmm_work(double cells, size_t sources, size_t targets, size_t stride);
/** Returns the work of evolution or initialisation. */
Work rebuild_work(const LayerShape& shape);

/**
 * Returns the work of gather, forward and (when training) backward of every layer for one batch. The loss is
 * not counted.
 */
std::vector<Work> network_work(const std::vector<LayerShape>& layers, size_t batch, size_t stride,
                               bool training);

struct Limit {
  double ms = 0.0;
  const char* name = "";  // the term that takes most: fma, l1, rows, stream or barrier
};

/** Returns the limit of `times` repetitions of all of `work`, one after the other, on `threads` threads. */
Limit limit_of(Machine& machine, const std::vector<Work>& work, double times, unsigned threads);

}  // namespace set_native::bench
