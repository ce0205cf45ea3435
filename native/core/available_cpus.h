#pragma once

#include <string>

namespace set_native {

/**
 * CPUs that this process may use, at least 1: those of the affinity mask of the calling thread, or as many as
 * the quota of a Linux control group stands for where that is less. Looked up anew by each call, some small
 * files: both change while a process runs. Elsewhere than on Linux: the CPUs of the machine.
 */
unsigned available_cpus();

/**
 * CPUs that the quotas of the process' control groups stand for: the least of its own group's and of all
 * groups above it, as far as they are mounted; infinity without a quota. Version 1 (cpu.cfs_quota_us) and
 * version 2 (cpu.max). What is missing or malformed counts as no quota.
 *
 * @param root  folder in which /proc and /sys are looked for; empty: the machine's own
 */
double quota_cpus(const std::string& root = "");

/**
 * Threads for that many CPUs: rounded up. Two threads use up a quota of 1.5, each resting for a quarter of
 * the time, where one alone leaves a third of it; and training goes down to fewer threads by itself where
 * those are faster.
 */
unsigned threads_for(double cpus);

}  // namespace set_native
