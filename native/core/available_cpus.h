#pragma once

#include <string>

namespace set_native {

/**
 * Number of CPUs that this process may use, at least 1. On Linux it is the lesser of the CPUs in the calling
 * thread's affinity mask and of threads_for(quota_cpus()); elsewhere it is the CPUs of the machine. Both can
 * change while a process runs, so each call reads them again (a few small files).
 */
unsigned available_cpus();

/**
 * CPU quota of the process' control groups: the least quota of its own group and of all mounted groups above
 * it, in CPUs; infinity without a quota. Reads version 1 (cpu.cfs_quota_us) and version 2 (cpu.max). A
 * missing or malformed file counts as no quota.
 *
 * @param root  folder that holds /proc and /sys; empty: the machine's own
 */
double quota_cpus(const std::string& root = "");

/**
 * Number of threads for `cpus` CPUs, rounded up. Two threads use up a quota of 1.5, each idle for a quarter
 * of the time, while one thread would leave a third of it unused. Training itself goes down to fewer threads
 * where those are faster.
 */
unsigned threads_for(double cpus);

}  // namespace set_native
