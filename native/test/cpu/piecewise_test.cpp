#include <cmath>
#include <string>
#include <vector>

#include "reference/ops.h"
#include "test/check.h"
#include "test/cpu/kernel_support.h"

/* The activations of three pieces, against the reference, for every instruction set and width of row. */
namespace set_native {
namespace {

using Doubles = std::vector<double>;

/** Rows [begin, end) of `rows` x `stride`, feature-major, as the reference has them: [stride][rows]. */
Doubles sample_major(const AlignedVector<float>& matrix, size_t rows, size_t stride) {
  Doubles out(rows * stride);
  for (size_t r = 0; r < rows; ++r)
    for (size_t s = 0; s < stride; ++s) out[s * rows + r] = matrix[r * stride + s];
  return out;
}

void pieces_parity(const cpu::KernelTable& table) {
  constexpr size_t kRows = 9, kBegin = 2, kEnd = 8;
  for (const size_t stride : {1, 2, 4, 8, 16, 48}) {
    const std::string what = std::string(table.name) + ", stride " + std::to_string(stride);
    AlignedVector<float> z(kRows * stride), dy(kRows * stride), pieces(4 * kRows), velocity(4 * kRows, 0.5f);
    AlignedVector<float> bias(kRows, 0.25f), bias_velocity(kRows, -0.5f);
    // Eighths: every product and sum below is exact, and some numbers lie on the borders between pieces.
    for (size_t k = 0; k < z.size(); ++k) z[k] = static_cast<float>((k * 7) % 33) / 8.0f - 2.0f;
    for (size_t k = 0; k < dy.size(); ++k) dy[k] = static_cast<float>((k * 5) % 17) / 8.0f - 1.0f;
    for (size_t r = 0; r < kRows; ++r) {
      pieces[r] = -static_cast<float>(r % 4) / 4.0f;
      pieces[kRows + r] = static_cast<float>(r) / 8.0f - 0.5f;
      pieces[2 * kRows + r] = r == 5 ? -1.0f : static_cast<float>(r % 5) / 4.0f;  // r == 5: t_r below t_l
      pieces[3 * kRows + r] = 1.5f - static_cast<float>(r) / 8.0f;
    }

    AlignedVector<float> y = z, kept(z.size(), 7.0f);
    table.piecewise({pieces.data(), y.data(), kept.data(), kRows, stride}, kBegin, kEnd);
    AlignedVector<float> unkept = z;
    table.piecewise({pieces.data(), unkept.data(), nullptr, kRows, stride}, kBegin, kEnd);
    CHECK(unkept == y);
    Doubles want = sample_major(z, kRows, stride);
    const Doubles wide(pieces.begin(), pieces.end());
    reference::piecewise(want, wide, kRows, stride);
    for (size_t r = 0; r < kRows; ++r)
      for (size_t s = 0; s < stride; ++s) {
        const bool own = r >= kBegin && r < kEnd;
        CHECK_MSG(y[r * stride + s] == (own ? want[s * kRows + r] : z[r * stride + s]),
                  what << ", row " << r);
        CHECK(kept[r * stride + s] == (own ? z[r * stride + s] : 7.0f));
      }

    cpu::PiecewiseBackward op{};
    op.z = z.data();
    op.dy = dy.data();
    op.bias = {bias.data(), bias_velocity.data(), nullptr};
    op.outputs = kRows;
    op.stride = stride;
    op.rule = {0.5f, 0.5f, 0.25f, 0.125f, 0.0f, 0.0f, 0.0f};
    const auto backward = [&](float* piece_velocity) {
      op.pieces = {pieces.data(), piece_velocity, nullptr};
      table.piecewise_backward(op, kBegin, kEnd);
    };
    const AlignedVector<float> dy_before = dy, pieces_before = pieces;
    Doubles dz = sample_major(dy, kRows, stride);
    const Doubles gradient =
        reference::piecewise_gradient(sample_major(z, kRows, stride), dz, wide, kRows, stride);
    backward(velocity.data());
    for (size_t r = 0; r < kRows; ++r) {
      const bool own = r >= kBegin && r < kEnd;
      double sum = 0.0;
      for (size_t s = 0; s < stride; ++s) {
        CHECK_MSG(dy[r * stride + s] == (own ? dz[s * kRows + r] : dy_before[r * stride + s]),
                  what << ", row " << r);
        sum += dz[s * kRows + r];
      }
      const double bias_step = -0.25 - 0.5 * (sum + 0.25 * 0.25);
      CHECK_MSG(std::fabs(bias_velocity[r] - (own ? bias_step : -0.5)) <= 1e-6,
                what << ", bias of row " << r);
      CHECK(std::fabs(bias[r] - (own ? 0.25 + bias_step - 0.125 * 0.25 : 0.25)) <= 1e-6);
      for (size_t k = 0; k < 4; ++k) {  // no decay
        const size_t at = k * kRows + r;
        const double step = 0.25 - 0.5 * gradient[at];
        CHECK_MSG(std::fabs(velocity[at] - (own ? step : 0.5)) <= 1e-6,
                  what << ", piece " << k << " of row " << r);
        CHECK(std::fabs(pieces[at] - (own ? pieces_before[at] + step : pieces_before[at])) <= 1e-6);
      }
    }
    const AlignedVector<float> learned = pieces;
    backward(nullptr);
    CHECK(pieces == learned);

    AlignedVector<float> broken(kRows * stride, NAN);
    table.piecewise({pieces.data(), broken.data(), nullptr, kRows, stride}, 0, kRows);
    for (const float value : broken) CHECK(std::isnan(value));
  }
}

TEST_EACH_ISA("piecewise: forward, backward and update follow the reference", pieces_parity)

}  // namespace
}  // namespace set_native
