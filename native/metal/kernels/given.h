#pragma once

/** A buffer argument that may be missing: it is null unless bit `index` of `given` is set. */
#define SET_GIVEN(given, index, buffer) (((given) >> (index) & 1u) != 0 ? (buffer) : nullptr)
